//! `cargo xtask bench`: what a training step and samples cost, beside PyTorch's where there is one.

mod device;
#[cfg(feature = "wgpu")]
mod gpu;
mod images;
mod peer;
pub mod record;

use super::drawer::GpuOptions;
use super::positive;
use crate::batch::Batch;
use crate::checkpoint::Model;
use crate::data::Dataset;
use crate::device::DeviceName;
use crate::error::Error;
use crate::network::{Inputs, Network, Parameters};
use crate::optimiser::OptimiserState;
use crate::preset::Preset;
use crate::process::AnyProcess;
use crate::sample::{classes_in_turn, sample};
use crate::train::{Training, adamw, gradients};
use candle_core::{Device, Tensor};
use clap::Args;
use images::{ImageNetwork, ImageSteps};
use peer::Peer;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tweedie_core::noise::NoiseStream;

/// Measure the speed of training, on a machine that does nothing else.
///
/// One training step, forward, backward and update, of three networks on inputs that stay the same: `mlp`, that of the digits (a batch of 256,
/// width 128, 2 blocks); `conv`, four convolutions 3x3 of [64, 1, 28, 28] with 32 channels; `block`, a transformer's block over [64, 49, 128].
/// `train` is a step of the first as `train` takes it, with rows, times and noise drawn and the moving
/// average kept; `sample` draws 2000 digits in 20 steps. Where Python with PyTorch is found, the same steps are timed there, in turns with ours. The table is printed and
/// left in bench.json, beside what --kernels has left there: the cost of device kernels on emulated microcontrollers.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                                        beside PyTorch, if `python3` has it
  cargo xtask bench --python ~/venv/bin/python --rounds 15 beside the PyTorch of a virtual environment
  RAYON_NUM_THREADS=1 cargo xtask bench                    on one thread each
  cargo xtask bench --device cuda                          what a GPU does in a second, and its share of the memory's bandwidth
  cargo xtask bench --device wgpu                          what any GPU draws in a second, and the same share
  cargo xtask bench --kernels --help                       the cost of device kernels instead")]
pub struct Arguments {
    /// The Python to look for PyTorch in [default: python3]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Measure what this device does in a second instead: samples, training steps, and the share of its memory's bandwidth that a sampler's
    /// step reaches. cpu, cuda, metal, wgpu, or auto for the first of cuda, metal and cpu that is there
    #[arg(long, conflicts_with = "python")]
    device: Option<DeviceName>,
    #[command(flatten)]
    gpu: GpuOptions,
    /// Turns that each side takes; medians are reported
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = positive::<u64>)]
    rounds: u64,
    /// Training steps in a turn; of the networks of images, which cost more, a twentieth, and a fiftieth as many draws; of no account with --device wgpu
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = positive::<u64>)]
    steps: u64,
    /// Where to leave bench.json, or with --device bench-NAME.json
    #[arg(long, value_name = "DIR", default_value = "runs/bench")]
    out: PathBuf,
    /// Print that file on standard output instead of the table
    #[arg(long)]
    json: bool,
}

/// Milliseconds of one training step, by name.
type Turn = BTreeMap<String, f64>;

/// What is measured.
const STEPS: [&str; 5] = ["mlp", "train", "conv", "block", "sample"];
/// A step of a network of images costs so many times another one's.
const IMAGES_COST: u64 = 20;
/// So do the samples of one call, of which there are [`SAMPLES`].
const SAMPLES_COST: u64 = 50;
const SAMPLES: usize = 2000;

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    if arguments.device == Some(DeviceName::Wgpu) {
        return on_any_gpu(arguments);
    }
    arguments.gpu.none_given()?;
    std::fs::create_dir_all(&arguments.out).map_err(Error::file(&arguments.out, "make the folder"))?;
    let (preset, data) = (Preset::load("digits", &[])?, Dataset::digits()?);
    let process = AnyProcess::new(&preset.process)?;
    if let Some(name) = arguments.device {
        return device::run(arguments, name, &preset, &data, &process);
    }
    let mut own = Own::new(&preset, &data, &process)?;
    let threads = rayon::current_num_threads();
    let (mut peer, absence) = match Peer::start(arguments, threads, &data) {
        Ok(peer) => (Some(peer), None),
        // Who names a Python wants the comparison.
        Err(sentence) if arguments.python.is_some() => return Err(Error::Argument(sentence)),
        Err(sentence) => (None, Some(sentence)),
    };

    // A first turn warms caches and clocks up, and is not counted.
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=arguments.rounds {
        let turn = own.turn(arguments.steps)?;
        // The other side's threads wait for work in a loop for a while before they sleep.
        std::thread::sleep(Duration::from_millis(30));
        let other = peer.as_mut().map(|peer| peer.turn(arguments.steps)).transpose()?;
        std::thread::sleep(Duration::from_millis(30));
        if round > 0 {
            ours.push(turn);
            theirs.extend(other);
        }
    }

    let torch = peer.as_ref().map(|peer| peer.version.as_str());
    let report = serde_json::json!({
        "threads": threads, "steps": arguments.steps, "torch": torch,
        "tweedie_ms": ours, "torch_ms": theirs,
        "median": STEPS.map(|step| row(step, &ours, &theirs)),
    });
    let file = record::leave(&arguments.out, &report)?;
    if arguments.json {
        crate::say!("{report:#}");
        return Ok(());
    }
    let peer = torch.map_or("PyTorch".to_owned(), |version| format!("PyTorch {version}"));
    crate::say!(
        "one training step on {threads} threads, and {SAMPLES} samples: median of {} turns of {} steps\n",
        ours.len(),
        arguments.steps
    );
    crate::say!("{:8}{:>12}{:>24}{:>10}{:>20}", "", "Tweedie", peer, "ratio", "ratio of fastest");
    for name in STEPS {
        let Row { tweedie, torch, ratio, ratio_of_fastest, .. } = row(name, &ours, &theirs);
        let cell = |value: Option<f64>, unit: &str| value.map_or("-".to_owned(), |value| format!("{value:.3}{unit}"));
        crate::say!(
            "{name:8}{:>12}{:>24}{:>10}{:>20}",
            cell(Some(tweedie), " ms"),
            cell(torch, " ms"),
            cell(ratio, ""),
            cell(ratio_of_fastest, "")
        );
    }
    if let Some(sentence) = absence {
        crate::say!("\n{sentence}");
    }
    crate::say!("\nsee {}", file.display());
    Ok(())
}

#[cfg(feature = "wgpu")]
fn on_any_gpu(arguments: &Arguments) -> Result<(), Error> {
    std::fs::create_dir_all(&arguments.out).map_err(Error::file(&arguments.out, "make the folder"))?;
    gpu::run(arguments)
}

/// It says which feature is missing.
#[cfg(not(feature = "wgpu"))]
fn on_any_gpu(_arguments: &Arguments) -> Result<(), Error> {
    DeviceName::Wgpu.open().map(|_| ())
}

/// One line of the table: medians in milliseconds, and ours over theirs, also of the fastest turns, which other programs on the
/// machine disturb least.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    step: &'static str,
    tweedie: f64,
    torch: Option<f64>,
    ratio: Option<f64>,
    ratio_of_fastest: Option<f64>,
}

fn row(step: &'static str, ours: &[Turn], theirs: &[Turn]) -> Row {
    let all = |turns: &[Turn]| turns.iter().filter_map(|turn| turn.get(step)).copied().collect::<Vec<_>>();
    let fastest = |turns: &[Turn]| all(turns).into_iter().fold(f64::INFINITY, f64::min);
    let tweedie = median(all(ours));
    let torch = (!theirs.is_empty()).then(|| median(all(theirs)));
    Row {
        step,
        tweedie,
        torch,
        ratio: torch.map(|torch| tweedie / torch),
        ratio_of_fastest: torch.map(|_| fastest(ours) / fastest(theirs)),
    }
}

/// The middle value, or the mean of the two middle ones; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n => 0.5 * (values[(n - 1) / 2] + values[n / 2]),
    }
}

/// This side of the comparison.
struct Own<'a> {
    preset: &'a Preset,
    network: Box<dyn Network>,
    parameters: Parameters,
    optimiser: OptimiserState,
    /// The fixed inputs, in parts of `training.shard` rows.
    parts: Vec<Batch>,
    training: Training<'a>,
    model: Model,
    classes: Vec<u32>,
    convolutions: ImageSteps,
    attention: ImageSteps,
}

impl<'a> Own<'a> {
    fn new(preset: &'a Preset, data: &'a Dataset, process: &'a AnyProcess) -> Result<Self, Error> {
        let device = Device::Cpu;
        let (rows, features) = (preset.training.batch, data.sample_size());
        let network = preset.network.build(&data.shape, data.classes)?;
        let parameters = network.initialise(0, &device)?;
        let optimiser = OptimiserState::new(&parameters)?;
        let parts = (0..rows).step_by(preset.training.shard).map(|start| {
            let count = preset.training.shard.min(rows - start);
            let mut states = vec![0.0; count * features];
            NoiseStream::new(0, start as u64).fill(0, &mut states);
            let angles: Vec<f64> = (start..start + count).map(|row| row as f64 / rows as f64).collect();
            Ok(Batch {
                inputs: Inputs::from_rows(states, &angles, &vec![0; count], &device)?,
                target: Tensor::zeros((count, features), candle_core::DType::F32, &device)?,
                weights: Tensor::ones(count, candle_core::DType::F32, &device)?,
            })
        });
        let parts = parts.collect::<Result<Vec<_>, Error>>()?;
        let training = Training::begin(preset, data, process, &device)?;
        let (model, classes) = (training.model()?, classes_in_turn(SAMPLES, data.classes));
        let [convolutions, attention] =
            [ImageSteps::new(ImageNetwork::Convolutions)?, ImageSteps::new(ImageNetwork::Attention)?];
        Ok(Self { preset, network, parameters, optimiser, parts, training, model, classes, convolutions, attention })
    }

    fn turn(&mut self, steps: u64) -> Result<Turn, Error> {
        let (training, few) = (&self.preset.training, (steps / IMAGES_COST).max(1));
        let times = [
            milliseconds(steps, || self.step())?,
            milliseconds(steps, || self.training.update().map(|_| ()))?,
            milliseconds(few, || self.convolutions.step(training).map(|_| ()))?,
            milliseconds(few, || self.attention.step(training).map(|_| ()))?,
            milliseconds((steps / SAMPLES_COST).max(1), || {
                sample(&self.model, &self.preset.sampling, &self.classes, 0, &Device::Cpu).map(|_| ())
            })?,
        ];
        Ok(STEPS.map(str::to_owned).into_iter().zip(times).collect())
    }

    /// Forward, backward and AdamW on the fixed inputs; the target is 0, as of the mean square.
    fn step(&mut self) -> Result<(), Error> {
        let count: usize = self.parts.iter().map(|part| part.target.elem_count()).sum();
        let loss = |part: &Batch| part.loss(self.network.as_ref(), &self.parameters, 1.0 / count as f64);
        let (_, gradients) = gradients(&self.parameters, self.parts.iter().collect(), None, loss)?;
        adamw(&self.preset.training).update(&self.parameters, &gradients, &mut self.optimiser, 1e-3)?;
        Ok(())
    }
}

fn milliseconds(steps: u64, mut step: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    let begun = Instant::now();
    for _ in 0..steps {
        step()?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3 / steps as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_medians_and_their_ratio() {
        let turns = |values: [f64; 3]| {
            values.map(|value| Turn::from([("mlp".to_owned(), value), ("train".to_owned(), 10.0 * value)]))
        };
        let row = row("train", &turns([3.0, 1.0, 2.0]), &turns([8.0, 4.0, 0.8]));
        assert_eq!(
            row,
            Row { step: "train", tweedie: 20.0, torch: Some(40.0), ratio: Some(0.5), ratio_of_fastest: Some(1.25) }
        );
        let alone = super::row("mlp", &turns([3.0, 1.0, 2.0]), &[]);
        assert_eq!(alone, Row { step: "mlp", tweedie: 2.0, torch: None, ratio: None, ratio_of_fastest: None });
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    /// What is compared must go downhill, on both kinds of network.
    #[test]
    fn steps_of_images_are_steps() {
        let training = Preset::load("digits", &[]).unwrap().training;
        for network in [ImageNetwork::Convolutions, ImageNetwork::Attention] {
            let mut steps = ImageSteps::new(network).unwrap();
            let losses: Vec<f64> = (0..4).map(|_| steps.step(&training).unwrap()).collect();
            assert!(losses[3] < losses[0], "{network:?}: {losses:?}");
        }
    }

    #[test]
    fn a_python_that_is_missing_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = Arguments {
            python: Some("/no/such/python".into()),
            device: None,
            gpu: GpuOptions::default(),
            rounds: 1,
            steps: 1,
            out: folder.path().to_owned(),
            json: false,
        };
        let Error::Argument(sentence) = run(&arguments).unwrap_err() else { panic!("it is about an argument") };
        assert!(sentence.starts_with("/no/such/python cannot be started"), "{sentence}");
    }
}
