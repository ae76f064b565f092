//! `cargo xtask bench --device`: what one device does in a second.

use super::{Arguments, IMAGES_COST, SAMPLES, SAMPLES_COST, median};
use crate::atomic_file;
use crate::data::{Dataset, Scaling};
use crate::device::DeviceName;
use crate::error::Error;
use crate::preset::{Precision, Preset, TrainingSettings};
use crate::process::AnyProcess;
use crate::sample::{classes_in_turn, sample};
use crate::tensor::CandleTensor;
use crate::train::Training;
use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use std::time::Instant;
use tweedie_core::Tensor as _;
use tweedie_core::noise::NoiseStream;

/// Numbers of the tensors that are copied and combined: 64 MiB each, more than caches hold.
const NUMBERS: usize = 1 << 24;
/// Copies and steps in a turn.
const PASSES: u64 = 10;
/// Bytes that a copy moves for each number, and a step `keep x + pull x0_hat`: what it reads and what it writes.
const COPIED: f64 = 8.0;
const COMBINED: f64 = 12.0;
/// Images of the data that the U-Net is trained on, as many as a batch.
const IMAGES: usize = 128;

/// What is left as JSON: medians over all turns.
#[derive(Debug, Serialize)]
struct Report {
    device: String,
    rounds: u64,
    /// Digits, in the preset's steps.
    samples_per_second: f64,
    training_steps_per_second: Vec<Speed>,
    /// Of a plain copy of a large tensor.
    copy_bytes_per_second: f64,
    /// Of a sampler's step, fused, over tensors of that size.
    step_bytes_per_second: f64,
    /// The latter over the former.
    share_of_bandwidth: f64,
}

#[derive(Debug, Serialize)]
struct Speed {
    network: &'static str,
    precision: &'static str,
    steps_per_second: f64,
}

/// Runs the measurement.
///
/// # Errors
/// A device that is not there, or that runs out of memory.
pub fn run(
    arguments: &Arguments,
    name: DeviceName,
    digits: &Preset,
    data: &Dataset,
    process: &AnyProcess,
) -> Result<(), Error> {
    let (name, device) = name.open_known()?;
    let report = measure(arguments, name, &device, digits, data, process)?;
    let file = arguments.out.join(format!("bench-{}.json", report.device.replace(':', "-")));
    let json = serde_json::to_string_pretty(&report).map_err(|error| Error::Write(error.into()))?;
    atomic_file::write(&file, format!("{json}\n").as_bytes()).map_err(Error::Write)?;
    if arguments.json {
        crate::say!("{json}");
        return Ok(());
    }
    crate::say!("{}: median of {} turns\n", report.device, report.rounds);
    crate::say!("{:34}{:>10.0} a second", "samples of digits, 20 steps each", report.samples_per_second);
    for Speed { network, precision, steps_per_second } in &report.training_steps_per_second {
        crate::say!("{:34}{steps_per_second:>10.1} a second", format!("training steps, {network}, {precision}"));
    }
    let gigabytes = |bytes: f64| bytes / 1e9;
    crate::say!("{:34}{:>10.1} GB a second", "a copy of memory", gigabytes(report.copy_bytes_per_second));
    crate::say!(
        "{:34}{:>10.1} GB a second, {:.2} of the copy's",
        "a sampler's step",
        gigabytes(report.step_bytes_per_second),
        report.share_of_bandwidth
    );
    crate::say!("\nsee {}", file.display());
    Ok(())
}

fn measure(
    arguments: &Arguments,
    name: DeviceName,
    device: &Device,
    digits: &Preset,
    data: &Dataset,
    process: &AnyProcess,
) -> Result<Report, Error> {
    let half = Preset { training: half_precision(digits), ..digits.clone() };
    let images = Preset::load("mnist", &[&format!("training.batch={IMAGES}")].map(|set| (*set).to_owned()))?;
    let half_images = Preset { training: half_precision(&images), ..images.clone() };
    let (noise, images_process) = (noise_images()?, AnyProcess::new(&images.process)?);
    let of_images = (arguments.steps / IMAGES_COST).max(1);
    let mut trainings = [
        ("digits", "f32", Training::begin(digits, data, process, device)?, arguments.steps),
        ("digits", "bf16", Training::begin(&half, data, process, device)?, arguments.steps),
        ("U-Net", "f32", Training::begin(&images, &noise, &images_process, device)?, of_images),
        ("U-Net", "bf16", Training::begin(&half_images, &noise, &images_process, device)?, of_images),
    ];
    let (model, classes) = (trainings[0].2.model()?, classes_in_turn(SAMPLES, data.classes));
    let draws = (arguments.steps / SAMPLES_COST).max(1);
    let x = Tensor::ones((1, NUMBERS), DType::F32, device)?;
    let (mut state, x0_hat) = (CandleTensor(x.copy()?), CandleTensor(x.copy()?));

    // A first turn warms caches and clocks up and builds kernels, and is not counted.
    let mut turns: Vec<[f64; 7]> = Vec::new();
    for round in 0..=arguments.rounds {
        let mut turn = [0.0; 7];
        turn[0] = SAMPLES as f64
            * per_second(device, draws, || sample(&model, &digits.sampling, &classes, 0, device).map(|_| ()))?;
        for (speed, (.., training, steps)) in turn[1..5].iter_mut().zip(&mut trainings) {
            *speed = per_second(device, *steps, || training.advance().map(|_| ()))?;
        }
        let numbers = NUMBERS as f64;
        turn[5] = COPIED
            * numbers
            * per_second(device, PASSES, || {
                let _copy = x.copy()?;
                Ok(())
            })?;
        turn[6] = COMBINED * numbers * per_second(device, PASSES, || Ok(state.combine(0.75, &[(0.25, &x0_hat)])?))?;
        if round > 0 {
            turns.push(turn);
        }
    }
    let of = |index: usize| median(turns.iter().map(|turn| turn[index]).collect());
    let speeds = trainings.iter().enumerate().map(|(index, (network, precision, ..))| Speed {
        network,
        precision,
        steps_per_second: of(1 + index),
    });
    Ok(Report {
        device: name.to_string(),
        rounds: arguments.rounds,
        samples_per_second: of(0),
        training_steps_per_second: speeds.collect(),
        copy_bytes_per_second: of(5),
        step_bytes_per_second: of(6),
        share_of_bandwidth: of(6) / of(5),
    })
}

/// The preset's training in bf16.
fn half_precision(preset: &Preset) -> TrainingSettings {
    TrainingSettings { precision: Precision::Bf16, ..preset.training.clone() }
}

/// How often something is done in a second, until the device has really done it.
fn per_second(device: &Device, count: u64, mut work: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    device.synchronize()?;
    let begun = Instant::now();
    for _ in 0..count {
        work()?;
    }
    device.synchronize()?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// Images of 28x28 that have everything but a meaning.
fn noise_images() -> Result<Dataset, Error> {
    let mut samples = vec![0.0_f32; IMAGES * 28 * 28];
    NoiseStream::new(0, 0).fill(0, &mut samples);
    Ok(Dataset {
        name: "noise".to_owned(),
        shape: vec![28, 28],
        samples,
        labels: Some(classes_in_turn(IMAGES, 10)),
        classes: 10,
        conditions: None,
        scaling: Scaling::IDENTITY,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::drawer::GpuOptions;

    #[test]
    fn the_processor_is_measured_like_any_device() {
        let arguments = Arguments {
            python: None,
            device: Some(DeviceName::Cpu),
            gpu: GpuOptions::default(),
            rounds: 1,
            steps: 2,
            out: "unused".into(),
            json: true,
        };
        let (preset, data) = (Preset::load("digits", &[]).unwrap(), Dataset::digits().unwrap());
        let process = AnyProcess::new(&preset.process).unwrap();
        let report = measure(&arguments, DeviceName::Cpu, &Device::Cpu, &preset, &data, &process).unwrap();
        assert_eq!((report.device.as_str(), report.rounds), ("cpu", 1));
        assert_eq!(report.training_steps_per_second.len(), 4);
        let speeds = report.training_steps_per_second.iter().map(|speed| speed.steps_per_second);
        let all = speeds.chain([report.samples_per_second, report.copy_bytes_per_second, report.share_of_bandwidth]);
        assert!(all.into_iter().all(|speed| speed.is_finite() && speed > 0.0), "{report:?}");
        let half = report.step_bytes_per_second / report.copy_bytes_per_second;
        assert!((half / report.share_of_bandwidth - 1.0).abs() < 1e-9);
    }
}
