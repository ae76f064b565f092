//! Tensors and noise on a GPU, beside core's reference.

use super::{own, shared};
use quickcheck::{QuickCheck, TestResult};
use std::sync::Arc;
use tweedie_core::noise::NoiseStream;
use tweedie_core::{NoiseSource, Tensor};
use tweedie_host::gpu::noise::GpuNoise;
use tweedie_host::gpu::{Gpu, GpuTensor, Tensors};

fn tensor(gpu: &Arc<Gpu>, values: &[f32]) -> GpuTensor {
    from(&Tensors::new(gpu.clone()), values)
}

fn from(tensors: &Arc<Tensors>, values: &[f32]) -> GpuTensor {
    let mut tensor = tensors.zeros("numbers", values.len()).unwrap();
    tensor.write(values).unwrap();
    tensor
}

fn within(values: Vec<i16>) -> Vec<f32> {
    values.into_iter().map(|value| f32::from(value) / 4096.0).collect()
}

#[test]
fn combinations_are_the_reference_but_for_rounding() {
    fn law(state: Vec<i16>, keep: i8, pulls: Vec<i8>) -> TestResult {
        let Some(gpu) = shared() else { return TestResult::passed() };
        if state.is_empty() || pulls.len() > 9 {
            return TestResult::discard();
        }
        let mut reference = within(state);
        let keep = f64::from(keep) / 32.0;
        let terms: Vec<(f64, Vec<f32>)> = pulls
            .iter()
            .enumerate()
            .map(|(at, &pull)| {
                let term = reference.iter().enumerate().map(|(i, x)| (x + at as f32 - i as f32 * 0.01).sin()).collect();
                (f64::from(pull) / 32.0, term)
            })
            .collect();
        let tensors = Tensors::new(gpu.clone());
        let mut own = from(&tensors, &reference);
        let others: Vec<GpuTensor> = terms.iter().map(|(_, term)| from(&tensors, term)).collect();
        let operands: Vec<(f64, &GpuTensor)> =
            terms.iter().zip(&others).map(|((pull, _), other)| (*pull, other)).collect();
        own.combine(keep, &operands).unwrap();
        let operands: Vec<(f64, &[f32])> = terms.iter().map(|(pull, term)| (*pull, &term[..])).collect();
        reference[..].combine(keep, &operands).unwrap();
        let scale = 8.0 + 4.0 * terms.len() as f32;
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= scale * 3e-7;
        TestResult::from_bool(own.to_vec().unwrap().iter().zip(&reference).all(close))
    }
    QuickCheck::new().tests(40).quickcheck(law as fn(_, _, _) -> _);
}

/// Of large numbers that cancel all digits count.
#[test]
fn large_coefficients_are_rounded_once() {
    let Some(gpu) = shared() else { return };
    let tensors = Tensors::new(gpu.clone());
    const COUNT: usize = 1003;
    let draw = |stream: u64| {
        let mut values = vec![0.0_f32; COUNT];
        NoiseStream::new(3, stream).fill(0, &mut values);
        values
    };
    let (x, a) = (draw(0), draw(1));
    // Next to x, so that the difference keeps few of the digits.
    let b: Vec<f32> = x.iter().zip(&a).map(|(x, a)| x + 1e-3 * a).collect();
    for (keep, pulls) in [(165.5, [-165.3, 1.0 / 3.0]), (-1e4, [1e4, 0.1]), (12.345_678_9, [-1e-3, 77.7])] {
        let mut reference = x.clone();
        reference[..].combine(keep, &[(pulls[0], &b), (pulls[1], &a)]).unwrap();
        let mut own = from(&tensors, &x);
        own.combine(keep, &[(pulls[0], &from(&tensors, &b)), (pulls[1], &from(&tensors, &a))]).unwrap();
        for (own, reference) in own.to_vec().unwrap().iter().zip(&reference) {
            assert!((own - reference).abs() <= 1.3e-7 * reference.abs() + 1e-10, "{own}, not {reference}");
        }
    }
}

#[test]
fn clamping_and_copying_are_the_reference() {
    let Some(gpu) = shared() else { return };
    let values = [0.5, -3.0, f32::NAN, 1.0, -1.0, 7.0, f32::INFINITY];
    let mut own = tensor(gpu, &values);
    own.clamp(-1.0, 0.75).unwrap();
    let mut reference = values;
    reference[..].clamp(-1.0, 0.75).unwrap();
    let clamped = own.to_vec().unwrap();
    for (own, reference) in clamped.iter().zip(&reference) {
        assert!(own == reference || (own.is_nan() && reference.is_nan()), "{clamped:?}, not {reference:?}");
    }
    let tensors = Tensors::new(gpu.clone());
    let (source, mut copy) = (from(&tensors, &[1.0, 2.0, 3.0]), from(&tensors, &[f32::NAN, 0.0, 9.0]));
    copy.copy_from(&source).unwrap();
    assert_eq!(copy.to_vec().unwrap(), [1.0, 2.0, 3.0]);
    assert!(copy.combine(0.5, &[(1.0, &from(&tensors, &[1.0]))]).is_err());
    assert_eq!(copy.to_vec().unwrap(), [1.0, 2.0, 3.0], "changed by an error");
}

/// Counted from the bindings: state and estimates and noise are read once, the state is written once.
#[test]
fn a_fused_step_moves_little_more_than_it_must() {
    let Some(gpu) = own().map(Arc::new) else { return };
    const COUNT: usize = 40_000;
    let tensors = Tensors::new(gpu.clone());
    let zeros = || tensors.zeros("numbers", COUNT).unwrap();
    let (mut state, noise, estimates) = (zeros(), zeros(), [(); 4].map(|()| zeros()));
    for used in 1..=estimates.len() {
        for is_noisy in [false, true] {
            let mut terms: Vec<(f64, &GpuTensor)> = estimates[..used].iter().map(|estimate| (0.25, estimate)).collect();
            if is_noisy {
                terms.push((0.5, &noise));
            }
            let before = gpu.moved();
            state.combine(0.9, &terms).unwrap();
            let moved = gpu.moved() - before;
            let least = 4 * COUNT as u64 * (terms.len() as u64 + 2);
            assert!(moved >= least, "{moved} bytes cannot be all of {least}");
            assert!(moved as f64 <= 1.2 * least as f64, "{moved} bytes where {least} must be moved");
        }
    }
    gpu.wait().unwrap();
}

#[test]
fn noise_has_the_bits_of_the_generator() {
    let Some(gpu) = shared() else { return };
    // Streams that cross 2^32, seeds of two words, rows that end within a block of four.
    for (seed, first, rows, features) in
        [(0, 0, 3, 64), (42, 7, 5, 13), (u64::MAX - 3, u64::from(u32::MAX) - 2, 6, 1), (1 << 40, 1 << 35, 300, 31)]
    {
        let mut noise = GpuNoise::new(gpu, seed, features).unwrap();
        noise.first = first;
        let mut out = Tensors::new(gpu.clone()).zeros("noise", rows * features).unwrap();
        for draw in [0, 1, u32::MAX] {
            noise.fill_normal(draw, &mut out).unwrap();
            let made = out.to_vec().unwrap();
            for (row, made) in made.chunks_exact(features).enumerate() {
                let mut expected = vec![0.0_f32; features];
                NoiseStream::new(seed, first + row as u64).fill(draw, &mut expected);
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(made), bits(&expected), "seed {seed}, stream {}, draw {draw}", first + row as u64);
            }
        }
    }
}

/// Rare bits as well: the ends of every piece, and what rounds to even.
#[test]
fn noise_of_many_draws_has_the_bits_of_the_generator() {
    let Some(gpu) = shared() else { return };
    let (rows, features) = (512, 2048);
    let mut noise = GpuNoise::new(gpu, 5, features).unwrap();
    let mut out = Tensors::new(gpu.clone()).zeros("noise", rows * features).unwrap();
    noise.fill_normal(9, &mut out).unwrap();
    let made = out.to_vec().unwrap();
    let mut expected = vec![0.0_f32; features];
    for (row, made) in made.chunks_exact(features).enumerate() {
        NoiseStream::new(5, row as u64).fill(9, &mut expected);
        assert!(made == expected, "stream {row}");
    }
}

#[test]
fn thresholding_is_core_s() {
    use tweedie_core::thresholding::Thresholding;
    let Some(gpu) = shared() else { return };
    for (features, ratio) in [(1, 0.5), (7, 0.0), (7, 1.0), (64, 0.995), (700, 0.9), (300, 0.31)] {
        let thresholding = Thresholding { ratio, most: f64::MAX };
        let rows = 5;
        let mut values = vec![0.0_f32; rows * features];
        NoiseStream::new(8, features as u64).fill(0, &mut values);
        // Rows of several scales, and values that occur more than once.
        for (i, value) in values.iter_mut().enumerate() {
            *value *= [0.1, 1.0, 3.0, 20.0, 1.5][i / features];
            if i % 3 == 0 {
                *value = (*value * 4.0).round() / 4.0;
            }
        }
        let mut own = tensor(gpu, &values);
        own.threshold(thresholding, features).unwrap();
        for (row, own) in values.chunks_exact(features).zip(own.to_vec().unwrap().chunks_exact(features)) {
            let mut expected: Vec<f64> = row.iter().map(|&x| x.into()).collect();
            thresholding.apply(&mut expected, &mut vec![0.0; features]).unwrap();
            for (own, expected) in own.iter().zip(&expected) {
                assert!((f64::from(*own) - expected).abs() < 1e-6, "{features} {ratio}: {own}, not {expected}");
            }
        }
    }
}
