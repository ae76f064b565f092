//! `cargo xtask train`.

use super::fit::conclude;
use super::positive;
use super::trainer::Trainer;
use crate::condition::Source;
use crate::data::{DataError, Dataset};
use crate::device::DeviceName;
use crate::distill::settings::DistillationConfig;
use crate::error::Error;
use crate::preset::{Precision, Preset};
use crate::process::AnyProcess;
use crate::run_folder::RunFolder;
use crate::text;
use clap::Args;
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
  cargo xtask train cow                                    points inside the embedded cow: a solid drawn from noise
  cargo xtask train cow --data mesh.off                    points inside your own solid
  cargo xtask train --data heart.csv --window 128 --stride 8   windows of one long series
  cargo xtask train digits-text                            the digits by what is said of them, to be drawn by a prompt
  cargo xtask train --data faces.npy --conditions pose.npy told a row of numbers for each sample instead of its class
  cargo xtask train my.toml --set training.batch=128       your own preset, one value changed
  cargo xtask train --resume                               go on after an interruption

Data: `digits` or `cow` (embedded); a folder of IDX files, gzipped or not (train-images-idx3-ubyte, train-labels-idx1-ubyte); a .npy array
[n, ...] with an optional labels.npy of whole numbers beside it; a .csv table, one sample a row, whose column `label`, `class` or
`target` is the class; a closed mesh (.off, .obj, .ply), whose inside is filled with points. Bytes are mapped from 0..255 to [-1, 1]; other numbers beyond [-1, 1] from their range, and samples back to it.
With captions.txt (a line for each sample) or conditions.npy ([n, c]) beside the data, or named by --conditions, the network is told those.
Every setting, with a comment each, stands in host/presets/digits.toml: copy it and pass the copy's path.")]
pub struct Arguments {
    /// A built-in preset (digits, digits-mixture, digits-mixture-denoising, digits-text, mnist, images, cow) or the path of a TOML file
    #[arg(default_value = "digits")]
    preset: String,
    /// Train on these data instead of the preset's
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// The data are one long series: learn windows of so many numbers of it (data.window)
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    window: Option<u64>,
    /// Numbers from one window's beginning to the next one's (data.stride)
    #[arg(long, value_name = "S", value_parser = positive::<u64>)]
    stride: Option<u64>,
    /// What the network is told of a sample: class, none, captions (made up from digits' labels), a .txt with a caption a line, or an .npy
    /// [n, c] (data.conditions)
    #[arg(long, value_name = "WHAT|FILE")]
    conditions: Option<String>,
    /// cpu, cuda (cuda:1 for the second GPU), metal, or auto for the first that is there
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
    /// Of what numbers the network computes: f32, or of 16 bits bf16 or f16, which GPUs are faster at (training.precision)
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
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
    let mut data = arguments.load(&preset)?;
    let process = AnyProcess::new(&preset.process)?;
    // Sampling settings are tried before the time is spent.
    crate::sample::check(&preset, &process, &preset.sampling)?;
    let encoder = describe(&mut data, &preset, resumed.as_ref())?;
    let mut trainer = Trainer::new(&preset, &data, &process, &device, resumed.as_ref())?;
    let folder = match resumed {
        Some(folder) => folder,
        None => RunFolder::create(&out, &preset.to_toml()?)?,
    };
    if let Some(encoder) = encoder {
        encoder.save(&folder.text())?;
    }

    eprintln!("{}", introduction(&data, &trainer, &folder));
    conclude(&mut trainer, &folder, &preset, &device, arguments.json)
}

impl Arguments {
    fn preset(&self) -> Result<Preset, Error> {
        let mut overrides = self.set.clone();
        overrides.extend(self.steps.map(|steps| format!("training.steps={steps}")));
        overrides.extend(self.seed.map(|seed| format!("training.seed={seed}")));
        overrides.extend(self.conditions.as_ref().map(|source| format!("data.conditions={source}")));
        overrides.extend(self.precision.map(|precision| format!("training.precision={precision}")));
        overrides.extend(self.window.map(|window| format!("data.window={window}")));
        overrides.extend(self.stride.map(|stride| format!("data.stride={stride}")));
        let mut preset = Preset::load(&self.preset, &overrides)?;
        if self.stride.is_some() && preset.data.window == 0 {
            return Err(Error::Argument("--stride is for windows of a series: give --window as well".to_owned()));
        }
        if let Some(data) = &self.data {
            preset.data.source.clone_from(data);
        }
        // So that the run can be resumed from anywhere.
        preset.data = preset.data.found();
        if let Some(file) = preset.data.conditions_source()?.file() {
            let path = file.canonicalize().map_err(Error::file(file, "find it"))?;
            preset.data.conditions = path.display().to_string();
        }
        Ok(preset)
    }

    /// The preset's data. A preset such as mnist names a folder of which each person has another.
    fn load(&self, preset: &Preset) -> Result<Dataset, Error> {
        preset.data.load().map_err(|error| match error {
            DataError::Missing { .. } | DataError::UnknownName { near: false, .. } if self.data.is_none() => {
                let (source, preset) = (&preset.data.source, &self.preset);
                Error::Argument(format!(
                    "{source}: no such file or folder, where preset {preset} looks for its data; name yours with --data"
                ))
            }
            error => error.into(),
        })
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
        if DistillationConfig::is_students(&text) {
            let reason = "this is a student's run; go on with it by cargo xtask distill TEACHER --resume";
            return Err(Error::ResumeMismatch { folder: folder.path().to_owned(), reason: reason.to_owned() });
        }
        let begun = Preset::parse(&config.display().to_string(), &text, &[])?;
        let says_nothing = self.set.is_empty() && self.steps.is_none() && self.seed.is_none();
        let says_nothing = says_nothing
            && self.precision.is_none()
            && self.window.is_none()
            && self.stride.is_none()
            && self.conditions.is_none();
        let is_plain = says_nothing && self.data.is_none() && self.preset == "digits";
        if is_plain || asked == begun {
            return Ok(begun);
        }
        let reason = "this training began with other settings, which its config.toml keeps; resume it without settings, or begin a new one with --out";
        Err(Error::ResumeMismatch { folder: folder.path().to_owned(), reason: reason.to_owned() })
    }
}

/// The data's captions become vectors, if there are any, by the run's text encoder or by one that is trained now.
fn describe(data: &mut Dataset, preset: &Preset, resumed: Option<&RunFolder>) -> Result<Option<text::Encoder>, Error> {
    let stored = resumed.map(RunFolder::text);
    let (begun, mut updates) = (Instant::now(), 0);
    let encoder = text::describe(data, preset, stored.as_deref(), |update| updates = update)?;
    let Some(encoder) = encoder.as_ref().filter(|_| updates > 0) else { return Ok(encoder) };
    let retrieval = match (preset.data.conditions_source()?, &data.labels) {
        (Source::Templates, Some(labels)) => {
            let found = text::Retrieval::of(encoder, &data.samples, labels, &text::captions::held_out())?;
            format!(
                "; of captions that it has not seen, {:.1} % find a sample of their class, and {:.1} % of the samples such a caption",
                100.0 * found.samples_of_texts,
                100.0 * found.texts_of_samples
            )
        }
        _ => String::new(),
    };
    eprintln!("text encoder: {updates} steps in {:.1} s{retrieval}", begun.elapsed().as_secs_f64());
    Ok(Some(encoder.clone()))
}

fn introduction(data: &Dataset, trainer: &Trainer<'_>, folder: &RunFolder) -> String {
    let classes = match data.classes {
        _ if data.conditions.is_some() => format!("with {} numbers each to be told of", data.condition_width()),
        0 => "without classes".to_owned(),
        classes => format!("in {classes} classes"),
    };
    let resumed = match trainer.updates() {
        0 => String::new(),
        updates => format!(", resumed at step {updates}"),
    };
    format!(
        "{}: {} samples of {:?} {classes}; {} of {} parameters, into {}{resumed}",
        data.name,
        data.len(),
        data.shape,
        trainer.what(),
        trainer.parameter_count(),
        folder.path().display(),
    )
}
