//! The firmware library and the host's plain reading of the format, two programs by two hands, give the same bits.

mod untrained;

use tweedie_core::artifact::{Artifact, PlanStep};
use tweedie_core::noise::NoiseStream;
use tweedie_core::normal::{FRACTION_BITS, Normal};
use tweedie_firmware::{Model, sample};
use tweedie_host::export::export;
use tweedie_host::export::integer::IntegerNetwork;

/// `saturate((sum of products + 2^13) >> 14)`.
fn combined(products: &[(i32, i16)]) -> i16 {
    let sum: i64 = products.iter().map(|&(coefficient, x)| i64::from(coefficient) * i64::from(x)).sum();
    ((sum + (1 << 13)) >> 14).clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

fn noise(stream: &NoiseStream, draw: u32, features: usize) -> Vec<i16> {
    // 12 fractional bits of 28, to nearest.
    let round = |z: Normal| ((z.to_bits() + (1 << (FRACTION_BITS - 13))) >> (FRACTION_BITS - 12)) as i16;
    (0..features).map(|i| round(stream.normals(draw, i as u64 / 4)[i % 4])).collect()
}

/// One whole sample, word by word as the format is described.
fn plain_sample(words: &[u32], seed: u64, number: u64, class: usize) -> Vec<i16> {
    let artifact = Artifact::parse(words).unwrap();
    let mut network = IntegerNetwork::new(&artifact);
    let (features, clip) = (artifact.header().features(), artifact.header().clip);
    let stream = NoiseStream::new(seed, number);
    let mut x = noise(&stream, 0, features);
    let mut estimates: Vec<Vec<i16>> = Vec::new();
    for (index, step) in artifact.plan().enumerate() {
        let PlanStep { keep, kick, from_state, from_output, pulls, pull_count, memory, .. } = step;
        let output = network.run(&x, index, class, |_, _| {}).to_vec();
        let estimate = |(&x, output)| {
            let x0_hat = combined(&[(from_output.into(), output), (from_state.into(), x)]);
            let x0_hat = if clip { x0_hat.clamp(-4096, 4096) } else { x0_hat };
            memory.map_or(x0_hat, |memory| combined(&[(memory.from_x0, x0_hat), (memory.from_state, x)]))
        };
        estimates.insert(0, x.iter().zip(output).map(estimate).collect());
        let z = noise(&stream, index as u32 + 1, features);
        for i in 0..features {
            let mut products = vec![(keep, x[i]), (kick, z[i])];
            products.extend((0..usize::from(pull_count)).map(|k| (pulls[k], estimates[k][i])));
            x[i] = combined(&products);
        }
    }
    x
}

#[test]
fn whole_samples_agree_bit_for_bit() {
    for overrides in [
        &["network.blocks=2"][..],
        &["network.hidden=64", "training.prediction=x0"],
        &["sampling.solver=ddpm", "sampling.clip=false"],
        &["sampling.eta=0.5", "process.schedule=variance-exploding", "network.blocks=0"],
        &["process.schedule=flow-matching", "training.prediction=velocity"],
        &["sampling.solver=heun", "process.max_time=0.95"],
        &["sampling.solver=unipc", "sampling.steps=10"],
        &["sampling.solver=deis", "sampling.clip=true"],
        &["sampling.solver=deis", "sampling.clip=false", "process.max_time=0.95"],
        &["sampling.solver=consistency", "sampling.steps=2", "sampling.spacing=exponential"],
        &["network.end_level=true", "sampling.steps=1"],
    ] {
        let model = untrained::model(overrides);
        let exported = export(&model, &model.preset.sampling, None).unwrap();
        let fixed = Model::parse(&exported.words).unwrap();
        let mut scratch = vec![0xdead_beef; fixed.scratch_words()];
        for (number, class) in [(0, Some(0)), (1, Some(9)), (2, None)] {
            let bits: Vec<i16> =
                sample(&fixed, &mut scratch, 7, number, class, |_| {}).unwrap().iter().map(|x| x.to_bits()).collect();
            let plain = plain_sample(&exported.words, 7, number, class.map_or(10, usize::from));
            assert_eq!(bits, plain, "{overrides:?}, sample {number}");
        }
    }
}
