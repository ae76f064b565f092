//! `cargo xtask train`.

use super::learner::Learner;
use super::{positive, preview};
use crate::checkpoint::Model;
use crate::data::{self, Dataset};
use crate::device::DeviceName;
use crate::error::Error;
use crate::picture::{loss_plot, sheet};
use crate::preset::Preset;
use crate::process::AnyProcess;
use crate::run_folder::{Metrics, RunFolder};
use crate::sample::sample;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Train a diffusion model.
///
/// With no argument at all it learns the embedded 8x8 digits on the CPU. The run folder then holds model.safetensors
/// (to sample from), state.safetensors (to resume from), config.toml, metrics.jsonl, loss.png and samples.png.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask train                                        the embedded digits
  cargo xtask train digits-mixture                         the same without a neural network: Gaussians, fitted in a second
  cargo xtask train --data faces.npy --out runs/faces      your own array [n, height, width], labels.npy beside it if there are classes
  cargo xtask train --data mnist/                          a folder of IDX files
  cargo xtask train my.toml --set training.batch=128       your own preset, one value changed
  cargo xtask train --resume                               go on after an interruption

Data: `digits` (embedded); a folder of IDX files, gzipped or not (train-images-idx3-ubyte, train-labels-idx1-ubyte); a .npy array
[n, ...] with an optional labels.npy of whole numbers beside it; a .csv table, one sample a row, whose column `label`, `class` or
`target` is the class. Bytes are mapped from 0..255 to [-1, 1]; other numbers beyond [-1, 1] from their range, and samples back to it.
Every setting, with a comment each, stands in host/presets/digits.toml: copy it and pass the copy's path.")]
pub struct Arguments {
    /// A built-in preset (digits, digits-mixture) or the path of a TOML file
    #[arg(default_value = "digits")]
    preset: String,
    /// Train on these data instead of the preset's
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// cpu, cuda or metal (cuda:1 for the second GPU)
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
    /// The run folder, which must be new [default: runs/PRESET, or runs/DATA with --data]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Weight updates (training.steps)
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    steps: Option<u64>,
    /// Seed of weights, noise and order (training.seed)
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Change one setting; may be given several times
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Go on with the training in the run folder, to the very weights of an uninterrupted one
    #[arg(long)]
    resume: bool,
    /// Print a summary as JSON on standard output instead of samples
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let device = arguments.device.open()?;
    let mut preset = arguments.preset()?;
    let out = arguments.out();
    let resumed = arguments.resume.then(|| RunFolder::open(&out)).transpose()?;
    if let Some(folder) = &resumed {
        preset = arguments.resumed_preset(folder, preset)?;
    } else if !RunFolder::is_vacant(&out)? {
        return Err(Error::RunExists(out));
    }
    let data = data::load(&preset.data.source)?;
    let process = AnyProcess::new(&preset.process)?;
    let mut learner = Learner::new(&preset, &data, &process, &device, resumed.as_ref())?;
    // Sampling settings are tried before the time is spent.
    crate::sample::check(&preset, &process, &preset.sampling)?;
    let folder = match resumed {
        Some(folder) => folder,
        None => RunFolder::create(&out, &preset.to_toml()?)?,
    };

    let parameters = learner.parameter_count();
    eprintln!("{}", introduction(&data, &learner, &folder));
    let progress = Progress::new(preset.training.steps, learner.updates());
    learner.run(&folder, |metrics| progress.show(metrics))?;
    progress.finish();

    let metrics = folder.read_metrics(preset.training.steps)?;
    let seconds = metrics.last().map_or(0.0, |m| m.seconds);
    draw_loss(&folder, &preset, &metrics)?;
    let model = Model::load(&folder.model(), &device)?;
    let classes = classes_in_turn(&model, 10 * model.description.classes.max(10));
    let drawing = Instant::now();
    let samples = sample(&model, &preset.sampling, &classes, 0, &device)?;
    let drawing = drawing.elapsed().as_secs_f64();
    let shape: Vec<usize> = [classes.len()].into_iter().chain(model.description.shape.iter().copied()).collect();
    sheet::write(&folder.path().join("samples.png"), &samples, &shape, model.description.classes.max(10))?;
    if arguments.json {
        let summary = serde_json::json!({
            "run": folder.path(), "steps": preset.training.steps, "parameters": parameters,
            "seconds": seconds, "loss": metrics.last().map(|m| m.loss),
        });
        crate::say!("{summary}");
    } else {
        let labelled = model.description.classes > 0;
        let shown = classes.iter().map(|class| labelled.then_some(class));
        let labels = preview::labels(shown, 2 * model.description.classes.max(5));
        preview::print(&model.description.shape, &samples, &labels);
        crate::say!(
            "\ntrained in {seconds:.1} s ({:.2} ms a step), drew {} samples in {drawing:.2} s; see {}",
            1e3 * seconds / preset.training.steps as f64,
            classes.len(),
            folder.path().join("samples.png").display(),
        );
        let class = if model.description.classes > 0 { " --class 3" } else { "" };
        crate::say!("next: cargo xtask sample {}{class} --count 16", folder.path().display());
    }
    Ok(())
}

/// Classes 0, 1, 2, … in turn; "none" for a model without classes.
fn classes_in_turn(model: &Model, count: usize) -> Vec<u32> {
    let classes = model.description.classes as u32;
    (0..count as u32).map(|i| if classes == 0 { 0 } else { i % classes }).collect()
}

impl Arguments {
    fn preset(&self) -> Result<Preset, Error> {
        let mut overrides = self.set.clone();
        overrides.extend(self.steps.map(|steps| format!("training.steps={steps}")));
        overrides.extend(self.seed.map(|seed| format!("training.seed={seed}")));
        let mut preset = Preset::load(&self.preset, &overrides)?;
        if let Some(data) = &self.data {
            preset.data.source.clone_from(data);
        }
        // An absolute path, so that the run can be resumed from anywhere.
        let source = Path::new(&preset.data.source);
        if preset.data.source != "digits" && source.exists() {
            let path = source.canonicalize().map_err(Error::file(source, "find it"))?;
            preset.data.source = path.display().to_string();
        }
        Ok(preset)
    }

    fn out(&self) -> PathBuf {
        let stem =
            |path: &str| Path::new(path).file_stem().map_or_else(|| path.to_owned(), |s| s.display().to_string());
        match (&self.out, &self.data) {
            (Some(out), _) => out.clone(),
            (None, Some(data)) => Path::new("runs").join(stem(data)),
            (None, None) => Path::new("runs").join(stem(&self.preset)),
        }
    }

    /// The preset that the run began with; what the command line adds must agree with it.
    fn resumed_preset(&self, folder: &RunFolder, asked: Preset) -> Result<Preset, Error> {
        let config = folder.config();
        let text = std::fs::read_to_string(&config).map_err(Error::file(&config, "read it"))?;
        let begun = Preset::parse(&config.display().to_string(), &text, &[])?;
        let says_nothing = self.set.is_empty() && self.steps.is_none() && self.seed.is_none();
        let is_plain = says_nothing && self.data.is_none() && self.preset == "digits";
        if is_plain || asked == begun {
            return Ok(begun);
        }
        let reason = "this training began with other settings, which its config.toml keeps; resume it without settings, or begin a new one with --out";
        Err(Error::ResumeMismatch { folder: folder.path().to_owned(), reason: reason.to_owned() })
    }
}

fn introduction(data: &Dataset, learner: &Learner<'_>, folder: &RunFolder) -> String {
    let classes = match data.classes {
        0 => "without classes".to_owned(),
        classes => format!("in {classes} classes"),
    };
    let resumed = match learner.updates() {
        0 => String::new(),
        updates => format!(", resumed at step {updates}"),
    };
    format!(
        "{}: {} samples of {:?} {classes}; {} of {} parameters, into {}{resumed}",
        data.name,
        data.len(),
        data.shape,
        learner.what(),
        learner.parameter_count(),
        folder.path().display(),
    )
}

fn draw_loss(folder: &RunFolder, preset: &Preset, metrics: &[Metrics]) -> Result<(), Error> {
    let points: Vec<(u64, f64)> = metrics.iter().map(|m| (m.step, m.loss)).collect();
    let smooth = loss_plot::smoothed(&points, 2.0);
    let name = folder.path().file_name().map(|name| name.display().to_string()).unwrap_or_default();
    let title = format!("{name}: {} steps of {}", preset.training.steps, preset.training.batch);
    Ok(loss_plot::write(&folder.path().join("loss.png"), &points, &smooth, &title)?)
}

/// A bar on a terminal, plain lines elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    steps: u64,
    first: u64,
    begun: Instant,
    /// The last tenth that a plain line was printed for.
    shown: Cell<u64>,
}

impl Progress {
    fn new(steps: u64, first: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps).with_position(first);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps  loss {msg}  {per_sec}  {eta} left");
            if let Ok(style) = style {
                bar.set_style(style.with_key(
                    "per_sec",
                    |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                        let _ = write!(out, "{:.0} steps/s", state.per_sec());
                    },
                ));
            }
            bar.reset_eta();
            bar
        });
        Self { bar, steps, first, begun: Instant::now(), shown: Cell::new(0) }
    }

    fn show(&self, metrics: &Metrics) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{:.4}", metrics.loss));
            bar.set_position(metrics.step);
            return;
        }
        // About ten lines for the whole training.
        let tenth = (self.steps / 10).max(1);
        let is_new_tenth = metrics.step / tenth > self.shown.replace(metrics.step / tenth);
        if is_new_tenth || metrics.step == self.steps {
            let elapsed = self.begun.elapsed().as_secs_f64();
            let per_second = (metrics.step - self.first) as f64 / elapsed.max(1e-9);
            let left = (self.steps - metrics.step) as f64 / per_second.max(1e-9);
            eprintln!(
                "step {}/{}  loss {:.4}  {per_second:.0} steps/s  {left:.0} s left",
                metrics.step, self.steps, metrics.loss
            );
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
