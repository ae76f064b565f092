//! Threefry against published answers, and the statistics of the noise made of it.

use rand_core::{Rng, SeedableRng};
use tweedie_core::NoiseSource;
use tweedie_core::noise::NoiseStream;
use tweedie_core::shell;
use tweedie_core::threefry::{Threefry, block};

/// The known answers of Random123 for threefry4x32 with 20 rounds: key, counter, block. The last row and the three above it
/// were computed independently with `randomgen` 2 (PyPI), whose ThreeFry(number=4, width=32) is the authors' C code.
const KNOWN: [([u32; 4], [u32; 4], [u32; 4]); 4] = [
    ([0; 4], [0; 4], [0x9c6c_a96a, 0xe17e_ae66, 0xfc10_ecd4, 0x5256_a7d8]),
    ([u32::MAX; 4], [u32::MAX; 4], [0x2a88_1696, 0x5701_2287, 0xf6c7_446e, 0xa16a_6732]),
    (
        [0xa409_3822, 0x299f_31d0, 0x082e_fa98, 0xec4e_6c89],
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
        [0x59cd_1dbb, 0xb887_9579, 0x86b5_d00c, 0xac8b_6d84],
    ),
    ([42, 0, 3, 0], [0; 4], [0x13f3_52e2, 0xf27d_dcac, 0x89c0_9352, 0x7015_fc8c]),
];

#[test]
fn threefry_gives_the_published_answers() {
    for (key, counter, expected) in KNOWN {
        assert_eq!(block(key, counter), expected);
    }
}

#[test]
fn the_generator_reads_consecutive_blocks() {
    let (key, counter) = ([1, 2, 3, 4], [5, 6, 7, 8]);
    let words: Vec<u32> = (0..3).flat_map(|k| block(key, [5 + k, 6, 7, 8])).collect();
    let mut rng = Threefry::new(key, counter);
    assert_eq!((0..12).map(|_| rng.next_u32()).collect::<Vec<_>>(), words);
    let mut rng = Threefry::new(key, counter);
    rng.next_u32();
    assert_eq!(rng.next_u64(), u64::from(words[1]) | u64::from(words[2]) << 32);
    assert_eq!(rng.clone().next_u64(), u64::from(words[3]) | u64::from(words[4]) << 32);
    // Bytes are those of the words, low byte first; a part of a word uses it up.
    let mut bytes = [0; 7];
    rng.fill_bytes(&mut bytes);
    assert_eq!(bytes[..4], words[3].to_le_bytes());
    assert_eq!(bytes[4..], words[4].to_le_bytes()[..3]);
    assert_eq!(rng.next_u32(), words[5]);
}

#[test]
fn the_block_counter_carries() {
    let mut rng = Threefry::new([9; 4], [u32::MAX, 0, 7, 8]);
    let words: Vec<u32> = (0..8).map(|_| rng.next_u32()).collect();
    assert_eq!(words[..4], block([9; 4], [u32::MAX, 0, 7, 8]));
    assert_eq!(words[4..], block([9; 4], [0, 1, 7, 8]));
    let mut rng = Threefry::new([9; 4], [u32::MAX, u32::MAX, 7, 8]);
    let words: Vec<u32> = (0..8).map(|_| rng.next_u32()).collect();
    assert_eq!(words[4..], block([9; 4], [0, 0, 7, 8]));
}

#[test]
fn seeds_are_keys() {
    let seed: [u8; 16] = std::array::from_fn(|i| i as u8);
    let mut rng = Threefry::from_seed(seed);
    assert_eq!(rng.next_u32(), block([0x0302_0100, 0x0706_0504, 0x0b0a_0908, 0x0f0e_0d0c], [0; 4])[0]);
    assert_ne!(Threefry::seed_from_u64(1), Threefry::seed_from_u64(2));
}

#[test]
fn every_address_has_its_own_block() {
    let stream = NoiseStream::new(0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00);
    let key = [0x5566_7788, 0x1122_3344, 0xddee_ff00, 0x99aa_bbcc];
    assert_eq!(stream.bits(3, 0x0001_0000_0002), block(key, [2, 1, 3, 1]));
    let normals = stream.normals(3, 0x0001_0000_0002);
    let expected = block(key, [2, 1, 3, 0]).map(tweedie_core::normal::from_bits);
    assert_eq!(normals, expected);
    // Filling reads the blocks in order, for any length; the trait fills like the method.
    for length in 0..=9 {
        let (mut filled, mut by_trait) = (vec![0.0_f64; length], vec![0.0_f64; length]);
        stream.fill(5, &mut filled);
        stream.clone().fill_normal(5, &mut by_trait[..]).unwrap();
        let blocks: Vec<f64> = (0..3).flat_map(|k| stream.normals(5, k)).map(f64::from).collect();
        assert_eq!((&filled[..], &by_trait), (&blocks[..length], &filled));
    }
}

/// Frozen: the first elements of draw 0 and draw 1 of stream 3 under seed 42, times 2^28. Samples, artifacts and resumed
/// trainings depend on them; they are the transform of the last known answer above.
#[test]
fn golden_noise() {
    let stream = NoiseStream::new(42, 3);
    let bits = |draw, index| stream.normals(draw, index).map(|z| z.to_bits());
    assert_eq!(bits(0, 0), [473_202_271, 17_765_566, 165_274_819, 208_266_593]);
    assert_eq!(bits(0, 1), [227_685_760, -305_995_092, -288_567_490, 87_691_312]);
    assert_eq!(bits(1, 0), [-418_634_944, -246_710_849, 120_255_494, 131_427_002]);
    assert_eq!(stream.bits(0, 0), [0xde8f_6478, 0xb74b_6601, 0xfda7_4291, 0x9254_d283]);
    assert_eq!(Threefry::seed_from_u64(7).next_u32(), 3_290_432_787);
}

const COUNT: usize = 1_000_000;

fn draw(seed: u64, stream: u64, draw: u32, count: usize) -> Vec<f64> {
    let mut z = vec![0.0; count];
    NoiseStream::new(seed, stream).fill(draw, &mut z);
    z
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[test]
fn moments_are_those_of_the_normal_distribution() {
    let z = draw(1, 0, 0, COUNT);
    // E z^k = 0, 1, 0, 3; the variance of z^k is E z^2k - (E z^k)^2 = 1, 2, 15, 96.
    for (power, moment, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0_f64)] {
        let found = mean(z.iter().map(|z| z.powi(power)));
        let bound = 3.5 * (variance / COUNT as f64).sqrt();
        assert!((found - moment).abs() < bound, "moment {power}: {found}, within {bound} of {moment}");
    }
}

#[test]
fn kolmogorov_and_smirnov_find_nothing() {
    let mut z = draw(2, 7, 1, COUNT);
    z.sort_by(f64::total_cmp);
    let count = COUNT as f64;
    let distance = z.iter().zip(0..).fold(0.0, |worst: f64, (z, i)| {
        let below = 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
        let i = f64::from(i);
        worst.max((below - i / count).abs()).max((below - (i + 1.0) / count).abs())
    });
    // Exceeded once in a thousand, P = 2 exp(-2 n D^2).
    assert!(distance < 1.95 / count.sqrt(), "{distance}");
    // And the sample is not suspiciously regular: a distance below this is as rare.
    assert!(distance > 0.35 / count.sqrt(), "{distance}");
}

#[test]
fn streams_draws_seeds_and_neighbours_are_independent() {
    const COUNT: usize = 100_000;
    let base = draw(1, 0, 0, COUNT + 4);
    let others = [
        ("stream", draw(1, 1, 0, COUNT)),
        ("stream's high word", draw(1, 1 << 32, 0, COUNT)),
        ("draw", draw(1, 0, 1, COUNT)),
        ("seed", draw(2, 0, 0, COUNT)),
        ("seed's high word", draw(1 | 1 << 32, 0, 0, COUNT)),
        ("next element", base[1..].to_vec()),
        ("element after", base[2..].to_vec()),
        ("next block", base[4..].to_vec()),
    ];
    let bound = 4.0 / (COUNT as f64).sqrt();
    for (what, other) in others {
        let pairs = || base.iter().zip(&other).take(COUNT);
        let linear = pairs().map(|(a, b)| a * b).sum::<f64>() / COUNT as f64;
        let squares = pairs().map(|(a, b)| (a * a - 1.0) * (b * b - 1.0)).sum::<f64>() / (2.0 * COUNT as f64);
        assert!(linear.abs() < bound && squares.abs() < bound, "{what}: {linear}, {squares}");
    }
}

#[test]
fn norms_concentrate_on_the_shell() {
    const DIMENSIONS: usize = 64;
    const SAMPLES: usize = 10_000;
    let norms: Vec<f64> =
        (0..SAMPLES as u64).map(|stream| draw(3, stream, 0, DIMENSIONS).iter().map(|z| z * z).sum()).collect();
    let centre = mean(norms.iter().copied());
    let variance = mean(norms.iter().map(|n| (n - centre) * (n - centre)));
    let (expected, spread) = (shell::expected_squared_norm(DIMENSIONS), shell::spread_gaussian(DIMENSIONS));
    // Standard errors: of the mean spread / sqrt(n), of the spread about spread / sqrt(2 n).
    let count = SAMPLES as f64;
    assert!((centre / expected - 1.0).abs() < 4.0 * spread / count.sqrt(), "{centre}");
    assert!(
        (variance.sqrt() / centre / spread - 1.0).abs() < 4.5 / (2.0 * count).sqrt(),
        "{}",
        variance.sqrt() / centre
    );
}

#[test]
fn uniform_noise_has_the_wider_spread_of_its_shell() {
    const DIMENSIONS: usize = 64;
    const SAMPLES: usize = 10_000;
    let norms: Vec<f64> = (0..SAMPLES as u64)
        .map(|stream| {
            let stream = NoiseStream::new(4, stream);
            let words = (0..DIMENSIONS as u64 / 4).flat_map(|index| stream.bits(0, index));
            words.map(|word| (f64::from(word) / 4_294_967_296.0).powi(2)).sum()
        })
        .collect();
    let centre = mean(norms.iter().copied());
    let variance = mean(norms.iter().map(|n| (n - centre) * (n - centre)));
    let spread = shell::spread_uniform(DIMENSIONS);
    assert!((centre / (DIMENSIONS as f64 / 3.0) - 1.0).abs() < 0.01);
    assert!((variance.sqrt() / centre / spread - 1.0).abs() < 0.03, "{}", variance.sqrt() / centre);
}

#[test]
fn draws_of_noise_are_nearly_orthogonal() {
    const DIMENSIONS: usize = 256;
    const PAIRS: u64 = 4000;
    let cosine = |pair: u64| {
        let (mut u, mut v) = ([0.0_f64; DIMENSIONS], [0.0_f64; DIMENSIONS]);
        NoiseStream::new(5, 2 * pair).fill(0, &mut u);
        NoiseStream::new(5, 2 * pair + 1).fill(0, &mut v);
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        product(&u, &v) / (product(&u, &u) * product(&v, &v)).sqrt()
    };
    let cosines: Vec<f64> = (0..PAIRS).map(cosine).collect();
    let mean = cosines.iter().sum::<f64>() / PAIRS as f64;
    let deviation = (cosines.iter().map(|c| c * c).sum::<f64>() / PAIRS as f64).sqrt();
    assert!(
        (mean - shell::cosine_limit((0.0, 1.0), (0.0, 1.0))).abs() < 4.0 / (DIMENSIONS as f64 * PAIRS as f64).sqrt()
    );
    assert!((deviation / shell::cosine_deviation(DIMENSIONS) - 1.0).abs() < 0.05, "{deviation}");
}
