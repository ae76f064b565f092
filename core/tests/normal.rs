//! The Gaussian transform against the true inverse of the normal distribution function.

use tweedie_core::normal::{FRACTION_BITS, Normal, from_bits};

/// The documentation's bound on the error.
const BOUND: f64 = 2e-7;

/// The probability that a standard normal number exceeds `z`.
fn tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

/// Where [`tail`] is `p` in (0, 1/2]: Newton's method on its logarithm, which is concave.
fn inverse(p: f64) -> f64 {
    let mut z = 0.0_f64;
    for _ in 0..100 {
        let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let step = (tail(z) / p).ln() * tail(z) / density;
        z += step;
        if step.abs() < 1e-15 {
            break;
        }
    }
    assert!((tail(z) / p - 1.0).abs() < 1e-13, "{p}: {z}");
    z
}

/// The transform at the tail probability `odd / 2^33`, as a number of its own.
fn transform(odd: u32) -> f64 {
    assert!(odd % 2 == 1);
    // Odd bits are the negative half.
    -f64::from(from_bits(odd))
}

fn error(odd: u32) -> f64 {
    (transform(odd) - inverse(f64::from(odd) / 8_589_934_592.0)).abs()
}

/// The odd numbers of a piece, from the first to the last: half an octave of 32-bit numbers.
fn piece(octave: u32, half: u32) -> Option<(u32, u32)> {
    let (from, width) = ((1_u64 << 31 >> octave) as f64, 0.5 * (1_u64 << 31 >> octave) as f64);
    let first = (from + f64::from(half) * width).ceil() as u64;
    let last = (from + f64::from(half + 1) * width).ceil() as u64 - 1;
    let (first, last) = (first | 1, if last.is_multiple_of(2) { last.checked_sub(1)? } else { last });
    (first <= last).then_some((first as u32, last as u32))
}

#[test]
fn every_piece_is_within_the_bound() {
    let (mut pieces, mut worst) = (0, 0.0_f64);
    for octave in 0..32 {
        for half in 0..2 {
            let Some((first, last)) = piece(octave, half) else { continue };
            pieces += 1;
            let span = f64::from(last - first);
            for k in 0..=200 {
                // The ends, the middle, and points that crowd towards both ends, where interpolation is worst.
                let part = 0.5 - 0.5 * (std::f64::consts::PI * f64::from(k) / 200.0).cos();
                let odd = (first + (span * part) as u32) | 1;
                worst = worst.max(error(odd.min(last)));
            }
        }
    }
    // Two pieces of the table hold no odd number: 2, and "1.5".
    assert_eq!(pieces, 62);
    assert!(worst < BOUND, "{worst}");
    // The bound is not idle.
    assert!(worst > 1e-8, "{worst}");
}

#[test]
fn pieces_meet() {
    let mut previous = None;
    for octave in 0..32 {
        for half in (0..2).rev() {
            let Some((first, last)) = piece(octave, half) else { continue };
            if let Some(above) = previous {
                assert_eq!(above, last + 2);
                let gap = transform(last) - transform(above);
                let truth = inverse(f64::from(last) / 8_589_934_592.0) - inverse(f64::from(above) / 8_589_934_592.0);
                assert!((gap - truth).abs() < 2.0 * BOUND, "{last}: {gap} for {truth}");
            }
            previous = Some(first);
        }
    }
    assert_eq!(previous, Some(1));
}

#[test]
fn smaller_tails_lie_further_out() {
    // Monotone but for the error, on a grid finer than the pieces; and in steps well above the error, strictly.
    let grid: Vec<u32> = (1..40_000).map(|k| (f64::from(k) * 107_374.0) as u32 | 1).collect();
    for pair in grid.windows(2) {
        assert!(transform(pair[0]) > transform(pair[1]) - BOUND);
    }
    for pair in grid.iter().step_by(50).collect::<Vec<_>>().windows(2) {
        assert!(transform(*pair[0]) > transform(*pair[1]));
    }
}

#[test]
fn the_lowest_bit_is_the_sign() {
    for k in 0..100_000_u32 {
        let bits = k.wrapping_mul(2_654_435_761);
        assert_eq!(from_bits(bits & !1).to_bits(), -from_bits(bits | 1).to_bits());
    }
}

#[test]
fn the_ends_are_where_the_documentation_says() {
    let z = |bits| f64::from(from_bits(bits));
    assert!((z(0) - inverse(1.0 / 8_589_934_592.0)).abs() < BOUND && z(0) < 6.34 && z(0) > 6.33);
    assert_eq!(z(1), -z(0));
    assert!(z(u32::MAX).abs() < BOUND);
}

#[test]
fn conversions_are_exact_or_rounded_once() {
    for k in 0..100_000_u32 {
        let normal: Normal = from_bits(k.wrapping_mul(2_654_435_761));
        let exact = f64::from(normal.to_bits()) / f64::from(1 << FRACTION_BITS);
        assert_eq!(f64::from(normal), exact);
        assert_eq!(f32::from(normal), exact as f32);
    }
}

/// Frozen: seeds and artifacts depend on these bits.
#[test]
fn golden_bits() {
    let table = [
        (0x0000_0000, 1_701_332_564),
        (0x0000_0001, -1_701_332_564),
        (0x0000_0002, 1_655_288_317),
        (0x0000_0100, 1_454_728_541),
        (0x1234_5678, 484_463_489),
        (0x3fff_ffff, -308_794_556),
        (0x4000_0000, 308_794_517),
        (0x8000_0000, 181_056_917),
        (0x8000_0001, -181_056_917),
        (0xc000_0000, 85_534_097),
        (0xdead_beef, -43_986_759),
        (0xffff_ffff, 4),
    ];
    let found = table.map(|(bits, _)| (bits, from_bits(bits).to_bits()));
    assert_eq!(found, table);
}
