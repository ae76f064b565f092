//! The kernels, compiled for the processor: every bit against core's and the fused operators'.

use super::source;
use crate::loss_scale::{GROWTH_INTERVAL, LossScale};
use crate::noise::NoiseRows;
use crate::optimiser::AdamW;
use crate::tensor::CandleTensor;
use candle_core::{Device, Tensor};
use quickcheck::quickcheck;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;
use tweedie_core::Tensor as _;
use tweedie_core::noise::NoiseStream;

/// The program that runs them, made once.
fn program() -> &'static PathBuf {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_folder, program) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("kernels.c"), source()).unwrap();
        std::fs::write(file("driver.c"), include_str!("driver.c")).unwrap();
        let compiler = std::env::var_os("CC").unwrap_or("cc".into());
        // Without contraction, which would round less often.
        let flags = ["-std=c11", "-O2", "-ffp-contract=off", "-Wall", "-Werror", "-o"];
        let status =
            Command::new(compiler).args(flags).arg(file("driver")).arg(file("driver.c")).arg("-lm").status().unwrap();
        assert!(status.success(), "the kernels do not compile as C");
        let program = file("driver");
        (folder, program)
    });
    program
}

/// What the program makes of some arguments.
fn run(kernel: &str, arguments: &[&[u8]]) -> Vec<u8> {
    let pipes = || Stdio::piped();
    let mut child = Command::new(program()).arg(kernel).stdin(pipes()).stdout(pipes()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = arguments.concat();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{kernel} wants other arguments");
    output.stdout
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn normal(seed: u64, stream: u64, count: usize) -> Vec<f32> {
    let mut values = vec![0.0; count];
    NoiseStream::new(seed, stream).fill(0, &mut values);
    values
}

fn noise_agrees(noise: NoiseRows, rows: usize, features: usize) -> bool {
    let NoiseRows { seed, stream, stream_step, draw, draw_step } = noise;
    let own = noise.normal(rows, features, &Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let whole = [rows as u64, features as u64, seed, stream, stream_step].map(u64::to_le_bytes).concat();
    let kernels = run("noise", &[&whole, &[draw, draw_step].map(u32::to_le_bytes).concat()]);
    bits(&numbers(&kernels)) == bits(&own)
}

quickcheck! {
    fn noise_has_cores_bits(seed: u64, stream: u64, draw: u32, rows: u8, features: u8, of_draws: bool) -> bool {
        let (rows, features) = (usize::from(rows % 8), usize::from(features));
        let noise = if of_draws {
            NoiseRows::of_draws(seed, stream, draw)
        } else {
            NoiseRows::of_streams(seed, stream, draw)
        };
        noise_agrees(noise, rows, features)
    }

    fn a_step_has_the_processors_bits(count: u8, keep: f32, coefficients: Vec<f32>, seed: u64) -> bool {
        let (count, keep) = (usize::from(count), f64::from(keep) * 0.1);
        let coefficients: Vec<f64> = coefficients.into_iter().take(6).map(|c| f64::from(c) * 0.3).collect();
        let tensor = |values: &[f32]| CandleTensor(Tensor::from_slice(values, (1, count), &Device::Cpu).unwrap());
        let own = normal(seed, 0, count);
        let terms: Vec<Vec<f32>> = (1..=coefficients.len()).map(|i| normal(seed, i as u64, count)).collect();
        let tensors: Vec<CandleTensor> = terms.iter().map(|term| tensor(term)).collect();
        let pairs: Vec<(f64, &CandleTensor)> = coefficients.iter().copied().zip(&tensors).collect();
        let mut sum = tensor(&own);
        sum.combine(keep, &pairs).unwrap();

        let mut arguments = vec![(count as u64).to_le_bytes().to_vec(), keep.to_le_bytes().to_vec()];
        arguments.extend([(terms.len() as u32).to_le_bytes().to_vec(), bytes(&own)]);
        for (coefficient, term) in coefficients.iter().zip(&terms) {
            arguments.extend([coefficient.to_le_bytes().to_vec(), bytes(term)]);
        }
        let kernels = run("step", &arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        sum.0.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().zip(&numbers(&kernels)).all(same)
    }

    fn an_update_has_the_processors_bits(count: u16, before: u16, clipped: bool, scaled: bool, lost: bool, seed: u64) -> bool {
        update_agrees(usize::from(count % 400) + 1, u64::from(before), clipped, scaled, scaled && lost, seed);
        true
    }
}

/// Squares, norm, verdict, scale and update, of kernels and of the processor's pass.
fn update_agrees(count: usize, before: u64, clipped: bool, scaled: bool, lost: bool, seed: u64) {
    let optimiser = AdamW {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        gradient_clip: if clipped { 0.7 } else { 0.0 },
        ema: 0.995,
    };
    let constants = optimiser.constants(before, 0.01);
    let (scale, since) = if scaled { (512.0_f32, (GROWTH_INTERVAL - 1 - u32::from(lost)) as f32) } else { (1.0, 0.0) };
    let mut gradient: Vec<f32> = normal(seed, 0, count).iter().map(|g| g * scale).collect();
    if lost {
        gradient[count / 2] = f32::NAN;
    }
    let mut buffers = [
        normal(seed, 1, count),
        gradient.clone(),
        normal(seed, 2, count),
        normal(seed, 3, count),
        normal(seed, 4, count),
    ];
    buffers[3].iter_mut().for_each(|square| *square *= *square);

    let (slots, few) = (64_u64, 8_u64);
    let interval = if scaled { GROWTH_INTERVAL as f32 } else { 0.0 };
    let mut arguments = vec![[count as u64, slots, few].map(u64::to_le_bytes).concat()];
    arguments.extend([optimiser.gradient_clip.to_le_bytes().to_vec(), bytes(&[interval, scale, since])]);
    arguments.push(bytes(&constants.in_order()));
    arguments.extend(buffers.iter().map(|buffer| bytes(buffer)));
    let kernels = numbers(&run("update", &arguments.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let ([factor, applies, norm, new_scale, new_since], kernels) = kernels.split_first_chunk::<5>().unwrap();

    let exact = gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt() / f64::from(scale);
    assert_eq!(*applies, if lost { 0.0 } else { 1.0 });
    if !lost {
        let clip = if clipped && exact > 0.7 { 0.7 / exact } else { 1.0 };
        assert!((f64::from(*norm) / exact - 1.0).abs() < 1e-6, "{norm} for {exact}");
        assert!((f64::from(*factor) * f64::from(scale) / clip - 1.0).abs() < 1e-6, "{factor} for {clip}");
        let [weight, gradient, mean, square, average] = &mut buffers;
        constants.pass(*factor, weight, gradient, mean, square, average);
    }
    assert_eq!(bits(kernels), bits(&buffers.concat()));

    let mut reference = LossScale::restored((scale, since), &Device::Cpu).unwrap();
    if scaled {
        reference.take_note(&Tensor::new(if lost { 0.0_f32 } else { 1.0 }, &Device::Cpu).unwrap()).unwrap();
    }
    assert_eq!((*new_scale, *new_since), reference.read().unwrap());
}

#[test]
fn the_sizes_of_a_training() {
    assert!(noise_agrees(NoiseRows::of_draws(3, 2 << 60, 0), 256, 64));
    assert!(noise_agrees(NoiseRows::of_streams(u64::MAX, u64::MAX - 1, u32::MAX), 5, 784));
    update_agrees(16_384, 0, true, true, false, 1);
}

/// `cargo xtask check-cuda` names NVIDIA's compiler, which is not everywhere.
#[test]
fn nvidias_compiler_takes_them() {
    let Some(nvcc) = std::env::var_os("NVCC") else { return };
    let folder = tempfile::tempdir().unwrap();
    let [text, ptx] = ["kernels.cu", "kernels.ptx"].map(|name| folder.path().join(name));
    std::fs::write(&text, source()).unwrap();
    let output = Command::new(nvcc).args(["-ptx", "-fmad=false", "-o"]).arg(&ptx).arg(&text).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ptx = std::fs::read_to_string(ptx).unwrap();
    for kernel in ["normal_noise", "combine", "add_squares", "fold", "judge_gradient", "adamw"] {
        assert!(ptx.contains(&format!(".entry {kernel}(")), "{kernel} is no kernel in {ptx}");
    }
    // Each operation is rounded by itself.
    assert!(!ptx.contains("fma.rn"), "a multiply-add is fused in {ptx}");
}
