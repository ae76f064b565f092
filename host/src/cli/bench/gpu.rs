//! `cargo xtask bench --device wgpu`: what a GPU draws in a second, and the share of its memory's bandwidth that a sampler's step reaches.

use super::{Arguments, median};
use crate::atomic_file;
use crate::checkpoint::{Description, Model};
use crate::data::{Dataset, Scaling};
use crate::error::Error;
use crate::gpu::{Gpu, GpuSampler, GpuTensor, Tensors};
use crate::network::parameters::FrozenWeights;
use crate::preset::Preset;
use crate::sample::classes_in_turn;
use candle_core::Device;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;
use tweedie_core::Tensor as _;

/// Bytes of each of the large tensors: more than caches hold, or half of the largest buffer where that is less.
const BYTES: usize = 1 << 26;
/// Copies and steps in a turn.
const PASSES: usize = 10;
/// Samples of a draw, of digits and of images of 28x28: on a GPU, and by a driver in software, which is a hundred times slower.
const DRAWN: [usize; 2] = [4096, 256];
const DRAWN_IN_SOFTWARE: [usize; 2] = [512, 8];

/// What is left as JSON: medians over all turns.
#[derive(Debug, Serialize)]
struct Report {
    device: String,
    rounds: u64,
    /// Of the preset `digits`, in its steps.
    digits_per_second: f64,
    /// Of the preset `mnist`, a U-Net under guidance, in its steps.
    images_per_second: f64,
    /// Of a plain copy of a large tensor.
    copy_bytes_per_second: f64,
    /// Of a sampler's step, `keep x + pull x0_hat`, over tensors of that size.
    step_bytes_per_second: f64,
    /// The latter over the former.
    share_of_bandwidth: f64,
}

/// Runs the measurement.
///
/// # Errors
/// No adapter, or one without the memory.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let batch = arguments.gpu.batch.map(|batch| usize::try_from(batch).unwrap_or(usize::MAX));
    let sampler = GpuSampler::open(arguments.gpu.adapter.as_deref(), batch)?;
    let report = measure(&sampler, arguments.rounds)?;
    let json = serde_json::to_string_pretty(&report).map_err(|error| Error::Write(error.into()))?;
    let file = arguments.out.join("bench-wgpu.json");
    atomic_file::write(&file, format!("{json}\n").as_bytes()).map_err(Error::Write)?;
    if arguments.json {
        crate::say!("{json}");
        return Ok(());
    }
    crate::say!("{}: median of {} turns\n", report.device, report.rounds);
    crate::say!("{:34}{:>10.0} a second", "samples of digits", report.digits_per_second);
    crate::say!("{:34}{:>10.0} a second", "samples of mnist", report.images_per_second);
    crate::say!("{:34}{:>10.1} GB a second", "a copy of memory", report.copy_bytes_per_second / 1e9);
    crate::say!(
        "{:34}{:>10.1} GB a second, {:.2} of the copy's",
        "a sampler's step",
        report.step_bytes_per_second / 1e9,
        report.share_of_bandwidth
    );
    crate::say!("\nsee {}", file.display());
    Ok(())
}

fn measure(sampler: &GpuSampler, rounds: u64) -> Result<Report, Error> {
    let gpu = sampler.gpu();
    let (digits, images) = (model("digits", &[8, 8])?, model("mnist", &[28, 28])?);
    let tensors = Tensors::new(gpu.clone());
    let [few, fewer] = if gpu.adapter().kind == "software" { DRAWN_IN_SOFTWARE } else { DRAWN };
    let count = (BYTES / 4).min(gpu.most_words() / 2);
    let (mut state, x0_hat) = (tensors.zeros("the states", count)?, tensors.zeros("estimates", count)?);
    // A first turn warms caches and clocks up and builds kernels, and is not counted.
    let mut turns: Vec<[f64; 4]> = Vec::new();
    for round in 0..=rounds {
        let turn = [
            draws(sampler, &digits, few)?,
            draws(sampler, &images, fewer)?,
            8.0 * passes(gpu, &mut state, |state| Ok(state.copy_from(&x0_hat)?))?,
            12.0 * passes(gpu, &mut state, |state| Ok(state.combine(0.75, &[(0.25, &x0_hat)])?))?,
        ];
        if round > 0 {
            turns.push(turn);
        }
    }
    let of = |index: usize| median(turns.iter().map(|turn| turn[index]).collect());
    Ok(Report {
        device: gpu.adapter().name.clone(),
        rounds,
        digits_per_second: of(0),
        images_per_second: of(1),
        copy_bytes_per_second: of(2),
        step_bytes_per_second: of(3),
        share_of_bandwidth: of(3) / of(2),
    })
}

/// An untrained model of a preset, of ten classes.
fn model(preset: &str, shape: &[usize]) -> Result<Model, Error> {
    let preset = Preset::load(preset, &[])?;
    let nothing = Dataset {
        name: "nothing".to_owned(),
        shape: shape.to_vec(),
        samples: Vec::new(),
        labels: None,
        classes: 10,
        conditions: None,
        scaling: Scaling::IDENTITY,
    };
    let description = Description::new(&preset, &nothing)?;
    let network = preset.network.build(shape, description.classes)?;
    let parameters = network.initialise(0, &Device::Cpu)?;
    let weights = parameters.iter().map(|(name, var)| (name.to_owned(), var.as_tensor().clone())).collect();
    Ok(Model { network, weights: FrozenWeights::new(weights), preset, description })
}

fn draws(sampler: &GpuSampler, model: &Model, count: usize) -> Result<f64, Error> {
    let classes = classes_in_turn(count, model.description.classes);
    let begun = Instant::now();
    sampler.sample(model, &model.preset.sampling, &classes, 0)?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// How many numbers passes over a tensor make in a second: for each a copy reads 4 bytes and writes 4, a step reads 8.
fn passes(
    gpu: &Arc<Gpu>,
    state: &mut GpuTensor,
    mut pass: impl FnMut(&mut GpuTensor) -> Result<(), Error>,
) -> Result<f64, Error> {
    gpu.wait()?;
    let begun = Instant::now();
    for _ in 0..PASSES {
        pass(state)?;
    }
    gpu.wait()?;
    Ok((PASSES * state.count()) as f64 / begun.elapsed().as_secs_f64())
}
