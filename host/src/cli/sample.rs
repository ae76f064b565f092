//! `cargo xtask sample`.

use super::drawer::{Drawer, GpuOptions};
use super::{given, positive, preview};
use crate::atomic_file;
use crate::checkpoint::Model;
use crate::condition::Asked;
use crate::device::DeviceName;
use crate::error::Error;
use crate::npy;
use crate::picture::{Depiction, animation};
use crate::preset::{SamplingSettings, SolverName, SpacingName};
use crate::sample::classes_in_turn;
use crate::sample::inpaint::{Given, inpaint};
use crate::sample::invert::invert;
use crate::say::counted;
use crate::scheduler_config::SchedulerConfig;
use clap::Args;
use std::path::PathBuf;
use std::time::Instant;

/// Draw samples from a trained model.
///
/// The same seed gives the same samples: sample i depends on the seed, its class and i alone, not on how many are drawn. Files are
/// left in RUN/samples (or --out): samples.png, samples.npy (f32, [n, ...], in the data's units: images in [-1, 1]), labels.npy
/// (i64, [n], when there are classes; of prompts their place on the command line, from 0), samples.json (the settings), and scheduler_config.json where diffusers has the same sampler.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask sample runs/digits --class 3 --count 16      sixteen threes
  cargo xtask sample runs/digits --count 2000 --out all    2000 samples, classes 0, 1, 2, … in turn
  cargo xtask sample runs/digits --solver ddpm --steps 50  ancestral sampling
  cargo xtask sample runs/digits --solver unipc --steps 10 --spacing soft-log-snr
                                                           a solver of higher order, in few evaluations
  cargo xtask sample runs/digits --guidance 2              exaggerate the class
  cargo xtask sample runs/digits-text --prompt 'a handwritten seven'
                                                           what the words say; several prompts are drawn in turn
  cargo xtask sample runs/faces --condition 0.5,-1         for numbers, in the units of the training's conditions
  cargo xtask sample runs/digits --inpaint threes.npy --mask left.npy --repeats 10
                                                           keep the left halves, draw what may stand beside them
  cargo xtask sample runs/digits --invert threes.npy --steps 100
                                                           the noise that these samples would come of
  cargo xtask sample runs/cow --animate cow.png            watch the points gather")]
pub struct Arguments {
    /// A run folder, as `train` leaves it; or the file of an artifact, as `export` does (see sample FILE --help)
    #[arg(value_name = "RUN|FILE")]
    run: PathBuf,
    /// How many samples [default: 16 of one class or prompt, else 10 of each; 4096 points]
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    count: Option<u64>,
    /// Only this class [default: all in turn]
    #[arg(long, value_name = "C")]
    class: Option<u32>,
    #[command(flatten)]
    asked: Asked,
    /// ddim, ddpm, euler, euler-a, heun, heun-pec, flow-euler, flow-heun, reverse-sde, dpm++2m, dpm++2m-heun, dpm++2m-sde, dpm++3m, dpm++2s, dpm++sde,
    /// dpm2m, deis, unipc, lms, pndm, ipndm or consistency [default: the preset's]
    #[arg(long, value_name = "NAME")]
    solver: Option<SolverName>,
    /// Network evaluations for a sample [default: the preset's]
    #[arg(long, value_name = "K", value_parser = positive::<u64>)]
    steps: Option<u64>,
    /// Whether to clamp each estimate of the data to [-1, 1] [default: the preset's]
    #[arg(long, value_name = "true|false")]
    clip: Option<bool>,
    /// Noise of DDIM, 0 to 1 [default: the preset's]
    #[arg(long, value_name = "E")]
    eta: Option<f64>,
    /// Dynamic thresholding: the share of a sample's elements that the threshold leaves alone, such as 0.995; 0 is none [default: the preset's]
    #[arg(long, value_name = "P")]
    threshold: Option<f64>,
    /// Noise that euler and heun add before every step, S_churn of Karras et al.; 0 is none [default: the preset's]
    #[arg(long, value_name = "S")]
    churn: Option<f64>,
    /// Classifier-free guidance, 1 being none [default: the preset's]
    #[arg(long, value_name = "G")]
    guidance: Option<f64>,
    /// uniform, exponential, log-snr, soft-log-snr, karras; on a chain also leading, trailing, linspace [default: the preset's]
    #[arg(long, value_name = "NAME")]
    spacing: Option<SpacingName>,
    /// Follow diffusers' scheduler_config.json, a file or the folder that holds it, instead of the preset's solver, spacing and clamping
    #[arg(long, value_name = "PATH", conflicts_with_all = ["solver", "spacing", "eta", "churn", "clip", "threshold"])]
    scheduler: Option<PathBuf>,
    /// Seed of the noise
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// cpu, cuda, metal, wgpu, or auto for the first of cuda, metal and cpu that is there
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
    #[command(flatten)]
    gpu: GpuOptions,
    /// Where to leave the files [default: RUN/samples]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also leave an animated PNG of the steps from noise to samples: the states, each over the norm of its noise level
    #[arg(long, value_name = "FILE", conflicts_with = "scheduler")]
    animate: Option<PathBuf>,
    /// Do not draw, but walk the samples of this array back to their noise by DDIM, and on to data again; also leaves noise.npy and noise.png.
    /// Classes are those of labels.npy beside it, or --class, or none
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scheduler", "animate", "inpaint", "count"])]
    invert: Option<PathBuf>,
    /// Draw samples that agree with those of this array, in turn, where --mask says so
    #[arg(long, value_name = "FILE", requires = "mask", conflicts_with_all = ["scheduler", "animate"])]
    inpaint: Option<PathBuf>,
    /// Where samples are known: an array of the sample's shape with 1 there and 0 elsewhere
    #[arg(long, value_name = "FILE", requires = "inpaint")]
    mask: Option<PathBuf>,
    /// How many times --inpaint takes each step, adding its noise again in between: more fit what is known better
    #[arg(long, value_name = "N", default_value_t = 1, requires = "inpaint", value_parser = positive::<u64>)]
    repeats: u64,
    /// Print a summary as JSON on standard output instead of samples
    #[arg(long)]
    json: bool,
}

/// The most samples drawn by one call: beyond it the files would not fit into memory for typical shapes.
const MOST: u64 = 10_000_000;

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let drawer = Drawer::open(arguments.device, &arguments.gpu)?;
    let model = arguments.asked.load(&arguments.run, &drawer.model_device())?;
    let depiction = Depiction::of(&model.description.shape);
    let given = match &arguments.invert {
        Some(file) => Some(given::samples(file, &model)?),
        None => None,
    };
    let classes = match &given {
        Some((data, labels)) => arguments.classes_of(data.len(), labels.as_ref(), &model)?,
        None => arguments.classes(model.description.classes as u32, depiction)?,
    };
    let settings = arguments.settings(&model.preset.sampling);
    let begun = Instant::now();
    let (mut states, mut inverted) = (Vec::new(), None);
    let samples = if let Some((data, _)) = &given {
        let found = invert(&model, &settings, data, &classes, drawer.candle("--invert")?)?;
        let samples = found.reconstruction.clone();
        inverted = Some((found.error(data), found.noise));
        samples
    } else if let (Some(file), Some(mask)) = (&arguments.inpaint, &arguments.mask) {
        let (data, mask) = (given::samples(file, &model)?.0, given::mask(mask, &model)?);
        let given = Given { data: &data, mask: &mask, repeats: arguments.repeats as usize };
        inpaint(&model, &settings, &given, &classes, arguments.seed, drawer.candle("--inpaint")?)?
    } else if let Some(path) = &arguments.scheduler {
        let scheduled = SchedulerConfig::read(path)?.schedule(settings.steps)?;
        drawer.sample_scheduled(&model, &scheduled, &settings, &classes, arguments.seed)?
    } else if arguments.animate.is_some() {
        states = drawer.trajectory(&model, &settings, &classes, arguments.seed)?;
        states.last().cloned().unwrap_or_default()
    } else {
        drawer.sample(&model, &settings, &classes, arguments.seed)?
    };
    let seconds = begun.elapsed().as_secs_f64();

    let out = arguments.out.clone().unwrap_or_else(|| arguments.run.join("samples"));
    std::fs::create_dir_all(&out).map_err(Error::file(&out, "make the folder"))?;
    let shape: Vec<usize> = [classes.len()].into_iter().chain(model.description.shape.iter().copied()).collect();
    let columns =
        if arguments.class.is_none() && model.description.classes > 1 { model.description.classes } else { 16 };
    depiction.write(&out.join("samples.png"), &samples, &shape, columns)?;
    if let Some(file) = &arguments.animate {
        let frames =
            states.iter().map(|state| depiction.draw(state, &shape, columns)).collect::<Result<Vec<_>, _>>()?;
        animation::write(file, &frames)?;
    }
    let scaling = model.scaling();
    let units: Vec<f32> = samples.iter().map(|&value| scaling.to_units(value)).collect();
    let array = out.join("samples.npy");
    npy::write_f32(&array, &shape, &units).map_err(Error::Write)?;
    if let Some((_, noise)) = &inverted {
        npy::write_f32(&out.join("noise.npy"), &shape, noise).map_err(Error::Write)?;
        depiction.write(&out.join("noise.png"), noise, &shape, columns)?;
    }
    let labelled = classes.iter().all(|&class| (class as usize) < model.description.classes);
    if labelled {
        let file = out.join("labels.npy");
        let labels: Vec<i64> = classes.iter().map(|&class| i64::from(class)).collect();
        npy::write_i64(&file, &[classes.len()], &labels).map_err(Error::Write)?;
    }
    let summary = serde_json::json!({
        "run": arguments.run, "count": classes.len(), "class": arguments.class, "seed": arguments.seed,
        "class_names": model.description.class_names, "sampling": settings, "scheduler": arguments.scheduler,
        "inpaint": arguments.inpaint, "mask": arguments.mask, "invert": arguments.invert,
        "error": inverted.as_ref().map(|(error, _)| error), "seconds": seconds,
    });
    let file = out.join("samples.json");
    atomic_file::write(&file, format!("{summary:#}\n").as_bytes()).map_err(Error::Write)?;

    // Where diffusers has the same sampler, it is written in its terms as well.
    if arguments.scheduler.is_none()
        && arguments.invert.is_none()
        && arguments.inpaint.is_none()
        && let Ok(config) = SchedulerConfig::of(&model.preset, &settings)
    {
        config.write(&out)?;
    }

    if arguments.json {
        crate::say!("{summary}");
    } else {
        let labels = preview::labels(classes.iter().map(|class| labelled.then_some(class)), 40);
        preview::print(&model.description.shape, &samples, &labels);
        preview::legend(&model.description.class_names);
        let (count, steps) = (classes.len(), counted(settings.steps, "step"));
        if let Some((error, _)) = &inverted {
            crate::say!(
                "\nto noise and back in {steps} each way: {error:.4} off (root mean square, of a range of 2); the noise is in {}",
                out.join("noise.npy").display()
            );
            return Ok(());
        }
        crate::say!(
            "\ndrew {count} samples in {steps} each, {seconds:.2} s; see {}",
            arguments.animate.clone().unwrap_or_else(|| out.join("samples.png")).display()
        );
    }
    Ok(())
}

impl Arguments {
    /// The classes of so many given numbers, by their labels, by --class, or none.
    fn classes_of(&self, numbers: usize, labels: Option<&Vec<u32>>, model: &Model) -> Result<Vec<u32>, Error> {
        let (count, classes) = (numbers / model.description.features(), model.description.classes as u32);
        match (self.class, labels) {
            (None, Some(labels)) if classes > 0 => match labels.iter().find(|&&label| label >= classes) {
                Some(label) => Err(Error::Argument(format!(
                    "class {label} of the given samples: this model knows the classes 0 to {}",
                    classes - 1
                ))),
                None => Ok(labels.clone()),
            },
            (None, _) => Ok(vec![classes; count]),
            (Some(_), _) => self.classes(classes, Depiction::Sheet).map(|all| vec![all[0]; count]),
        }
    }

    fn classes(&self, classes: u32, depiction: Depiction) -> Result<Vec<u32>, Error> {
        let count = match (self.count, self.class) {
            (Some(count), _) if count > MOST => {
                return Err(Error::Argument(format!("--count {count} is more than the {MOST} that one call draws")));
            }
            (Some(count), _) => count as u32,
            (None, Some(_)) => 16,
            (None, None) if classes == 1 => 16,
            (None, None) => depiction.good_count(classes as usize) as u32,
        };
        match self.class {
            Some(class) if classes == 0 => {
                Err(Error::Argument(format!("--class {class}: this model was trained without classes")))
            }
            Some(class) if class >= classes => {
                Err(Error::Argument(format!("--class {class}: this model knows the classes 0 to {}", classes - 1)))
            }
            Some(class) => Ok(vec![class; count as usize]),
            None if self.guidance.is_some() && classes == 0 => {
                Err(Error::Argument("--guidance needs a model with classes".to_owned()))
            }
            None => Ok(classes_in_turn(count as usize, classes as usize)),
        }
    }

    fn settings(&self, preset: &SamplingSettings) -> SamplingSettings {
        SamplingSettings {
            solver: self.solver.unwrap_or(preset.solver),
            steps: self.steps.map_or(preset.steps, |steps| steps as usize),
            clip: self.clip.unwrap_or(preset.clip),
            eta: self.eta.unwrap_or(preset.eta),
            churn: self.churn.unwrap_or(preset.churn),
            threshold: self.threshold.unwrap_or(preset.threshold),
            guidance: self.guidance.unwrap_or(preset.guidance),
            spacing: self.spacing.unwrap_or(preset.spacing),
            ..preset.clone()
        }
    }
}
