//! `cargo xtask train`.

use super::fit::conclude;
use super::positive;
use super::trainer::Trainer;
use crate::data::Dataset;
use crate::device::DeviceName;
use crate::distill::settings::DistillationConfig;
use crate::error::Error;
use crate::preset::Preset;
use crate::process::AnyProcess;
use crate::run_folder::RunFolder;
use clap::Args;
use std::path::{Path, PathBuf};

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
  cargo xtask train my.toml --set training.batch=128       your own preset, one value changed
  cargo xtask train --resume                               go on after an interruption

Data: `digits` or `cow` (embedded); a folder of IDX files, gzipped or not (train-images-idx3-ubyte, train-labels-idx1-ubyte); a .npy array
[n, ...] with an optional labels.npy of whole numbers beside it; a .csv table, one sample a row, whose column `label`, `class` or
`target` is the class; a closed mesh (.off, .obj, .ply), whose inside is filled with points. Bytes are mapped from 0..255 to [-1, 1]; other numbers beyond [-1, 1] from their range, and samples back to it.
Every setting, with a comment each, stands in host/presets/digits.toml: copy it and pass the copy's path.")]
pub struct Arguments {
    /// A built-in preset (digits, digits-mixture, digits-mixture-denoising, cow) or the path of a TOML file
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
    let data = preset.data.load()?;
    let process = AnyProcess::new(&preset.process)?;
    let mut trainer = Trainer::new(&preset, &data, &process, &device, resumed.as_ref())?;
    // Sampling settings are tried before the time is spent.
    crate::sample::check(&preset, &process, &preset.sampling)?;
    let folder = match resumed {
        Some(folder) => folder,
        None => RunFolder::create(&out, &preset.to_toml()?)?,
    };

    eprintln!("{}", introduction(&data, &trainer, &folder));
    conclude(&mut trainer, &folder, &preset, &device, arguments.json)
}

impl Arguments {
    fn preset(&self) -> Result<Preset, Error> {
        let mut overrides = self.set.clone();
        overrides.extend(self.steps.map(|steps| format!("training.steps={steps}")));
        overrides.extend(self.seed.map(|seed| format!("training.seed={seed}")));
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
        if DistillationConfig::is_students(&text) {
            let reason = "this is a student's run; go on with it by cargo xtask distill TEACHER --resume";
            return Err(Error::ResumeMismatch { folder: folder.path().to_owned(), reason: reason.to_owned() });
        }
        let begun = Preset::parse(&config.display().to_string(), &text, &[])?;
        let says_nothing = self.set.is_empty() && self.steps.is_none() && self.seed.is_none();
        let says_nothing = says_nothing && self.window.is_none() && self.stride.is_none();
        let is_plain = says_nothing && self.data.is_none() && self.preset == "digits";
        if is_plain || asked == begun {
            return Ok(begun);
        }
        let reason = "this training began with other settings, which its config.toml keeps; resume it without settings, or begin a new one with --out";
        Err(Error::ResumeMismatch { folder: folder.path().to_owned(), reason: reason.to_owned() })
    }
}

fn introduction(data: &Dataset, trainer: &Trainer<'_>, folder: &RunFolder) -> String {
    let classes = match data.classes {
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
