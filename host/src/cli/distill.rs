//! `cargo xtask distill`.

use super::fit::conclude;
use super::positive;
use super::trainer::Trainer;
use crate::checkpoint::Model;
use crate::condition::Asked;
use crate::device::DeviceName;
use crate::distill::Rules;
use crate::distill::settings::{DistillationConfig, DistillationSettings, Method};
use crate::error::Error;
use crate::preset::Precision;
use crate::process::AnyProcess;
use crate::run_folder::RunFolder;
use crate::say::counted;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Make a student that draws in one, two or four steps what a trained model draws in many.
///
/// The student has at most two fifths of the teacher's weights unless told otherwise, or is as large where both are networks of images. Its run folder is like a trained one's: it is sampled, exported and
/// judged by the same commands.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask distill runs/digits                          two steps, into runs/digits-2-steps
  cargo xtask distill runs/digits --steps 1                one step
  cargo xtask distill runs/digits --method consistency     another lesson
  cargo xtask distill runs/digits --guidance 2             the student draws as the teacher does under guidance
  cargo xtask distill runs/digits --resume                 go on after an interruption (with the same --steps or --out)

Methods: trajectory (the teacher's whole paths, through all of the student's steps at once), progressive (halving the steps again and again),
consistency (neighbouring times give the same estimate; sampled with fresh noise between steps), average-velocity (the network is told where a
step leads). The teacher takes deterministic DDIM steps, evenly in time. Students of the first two know their own steps alone; the others can be
sampled with more or fewer, consistency down to one of its distillation.consistency_times.
Every setting, with a comment each, stands in host/presets/distillation.toml; networks of images change some, in distillation-images.toml.")]
pub struct Arguments {
    /// The teacher: a run folder, as `train` leaves it
    #[arg(value_name = "RUN")]
    teacher: PathBuf,
    /// Network evaluations of the student for a sample [default: 2]
    #[arg(long, value_name = "K", value_parser = positive::<u64>)]
    steps: Option<u64>,
    /// trajectory, progressive, consistency or average-velocity [default: trajectory]
    #[arg(long, value_name = "NAME")]
    method: Option<Method>,
    /// Width of the student [default: the widest with at most two fifths of the teacher's weights; of networks of images the teacher's]
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    hidden: Option<u64>,
    /// Residual blocks of the student [default: the teacher's]
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    blocks: Option<u64>,
    /// Guidance of the teacher, which the student learns to do without asking twice [default: that of the teacher's preset]
    #[arg(long, value_name = "G", allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// Weight updates (distillation.updates)
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    updates: Option<u64>,
    /// Seed of weights and noise (distillation.seed)
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Change one setting; may be given several times
    #[arg(long = "set", value_name = "distillation.KEY=VALUE")]
    set: Vec<String>,
    /// cpu, cuda (cuda:1 for the second GPU), metal, or auto for the first that is there
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
    /// Of what numbers the student computes: f32, or of 16 bits bf16 or f16, which GPUs are faster at (distillation.precision)
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
    /// The student's run folder, which must be new [default: RUN-K-steps]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the distillation in the student's run folder, to the very weights of an uninterrupted one
    #[arg(long)]
    resume: bool,
    /// Print a summary as JSON on standard output instead of samples
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let device = arguments.device.open()?;
    // Of a teacher that is told vectors the student learns its examples, as classes.
    let teacher = Asked::default().load(&arguments.teacher, &device)?;
    let path = arguments.teacher.canonicalize().map_err(Error::file(&arguments.teacher, "find it"))?;
    if teacher.preset.network.end_level || teacher.description.distilled.is_some() {
        let reason = "this run is itself a student: its few steps have nothing to teach; name the teacher's run";
        return Err(Error::NoRun { folder: arguments.teacher.clone(), reason: reason.to_owned() });
    }
    let settings = arguments.settings(&teacher)?;
    let config = DistillationConfig { teacher: path, student: settings.student(&teacher)?, settings };
    let out = arguments.out(&config.teacher, config.settings.steps);
    let resumed = arguments.resume.then(|| RunFolder::open(&out)).transpose()?;
    let config = match &resumed {
        Some(folder) => arguments.resumed(folder, config)?,
        None if !RunFolder::is_vacant(&out)? => return Err(Error::RunExists(out)),
        None => config,
    };
    let process = AnyProcess::new(&teacher.preset.process)?;
    let data = teacher.preset.data.of_classes().load()?;
    if data.classes == 0 && !teacher.description.class_names.is_empty() && config.settings.method.learns_from_data() {
        let reason =
            "the teacher's data have no classes, as this method needs; distil by trajectory or average-velocity";
        return Err(Error::Argument(reason.to_owned()));
    }
    let same_classes = data.classes == teacher.description.classes || !teacher.description.class_names.is_empty();
    if data.shape != teacher.description.shape || !same_classes {
        let reason = "the data that this model was trained on have another shape or other classes now; restore them";
        return Err(Error::NoRun { folder: arguments.teacher.clone(), reason: reason.to_owned() });
    }
    let rules = Rules {
        settings: &config.settings,
        teacher: &teacher,
        student: &config.student,
        process: &process,
        data: &data,
    };
    // The plan is tried before time is spent.
    crate::sample::check(&config.student, &process, &config.student.sampling)?;
    let folder = match resumed {
        Some(folder) => folder,
        None => RunFolder::create(&out, &config.to_toml()?)?,
    };
    let is_begun = folder.state().is_file();
    eprintln!(
        "{} teaches a student of {} by {}, into {}",
        arguments.teacher.display(),
        counted(config.settings.steps, "step"),
        config.settings.method,
        folder.path().display()
    );
    let DistillationSettings { method, trajectories, teacher_steps, .. } = config.settings;
    if matches!(method, Method::Trajectory | Method::AverageVelocity) {
        eprintln!("drawing {trajectories} of the teacher's trajectories in {teacher_steps} steps each");
    }
    let drawing = Instant::now();
    let training = match is_begun {
        true => rules.resume(&folder.state(), &config.teacher, &device)?,
        false => rules.begin(&config.teacher, &device)?,
    };
    let from = if is_begun { format!(", resumed at update {}", training.updates()) } else { String::new() };
    let (own, of) = (training.parameter_count(), teacher.parameter_count());
    eprintln!("{own} parameters instead of {of}; ready after {:.1} s{from}", drawing.elapsed().as_secs_f64());
    conclude(&mut Trainer::Gradients(Box::new(training)), &folder, &config.student, &device, arguments.json)
}

impl Arguments {
    fn settings(&self, teacher: &Model) -> Result<DistillationSettings, Error> {
        // As the teacher samples, unless the person says otherwise.
        let guidance = format!("distillation.guidance={:?}", teacher.preset.sampling.guidance);
        let mut overrides = vec![guidance];
        overrides.extend(self.set.iter().cloned());
        let mut set = |key: &str, value: Option<String>| {
            overrides.extend(value.map(|value| format!("distillation.{key}={value}")));
        };
        set("steps", self.steps.map(|steps| steps.to_string()));
        set("method", self.method.map(|method| method.to_string()));
        set("hidden", self.hidden.map(|hidden| hidden.to_string()));
        set("blocks", self.blocks.map(|blocks| blocks.to_string()));
        set("guidance", self.guidance.map(|guidance| format!("{guidance:?}")));
        set("updates", self.updates.map(|updates| updates.to_string()));
        set("seed", self.seed.map(|seed| seed.to_string()));
        set("precision", self.precision.map(|precision| precision.to_string()));
        DistillationSettings::new(teacher.preset.network.kind, &overrides)
    }

    fn out(&self, teacher: &Path, steps: usize) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            // `.` has no name, but its canonical path does.
            let path = if self.teacher.file_name().is_some() { &self.teacher } else { teacher };
            let name = path.file_name().map(|name| name.display().to_string()).unwrap_or_default();
            path.with_file_name(format!("{name}-{}", counted(steps, "step").replace(' ', "-")))
        })
    }

    /// The settings that the distillation began with; what the command line adds must agree with them.
    fn resumed(&self, folder: &RunFolder, asked: DistillationConfig) -> Result<DistillationConfig, Error> {
        let config = folder.config();
        let text = std::fs::read_to_string(&config).map_err(Error::file(&config, "read it"))?;
        let begun = DistillationConfig::parse(&config.display().to_string(), &text)?;
        let mismatch =
            |reason: &str| Err(Error::ResumeMismatch { folder: folder.path().to_owned(), reason: reason.to_owned() });
        if begun.teacher != asked.teacher {
            return mismatch("this student has another teacher, which its config.toml names");
        }
        let says_nothing =
            self.set.is_empty() && self.method.is_none() && self.hidden.is_none() && self.blocks.is_none();
        let says_nothing = says_nothing
            && self.precision.is_none()
            && self.guidance.is_none()
            && self.updates.is_none()
            && self.seed.is_none();
        // The steps may be said to name the folder.
        let is_plain = says_nothing && self.steps.is_none_or(|steps| steps == begun.settings.steps as u64);
        if is_plain || asked == begun {
            return Ok(begun);
        }
        mismatch(
            "this distillation began with other settings, which its config.toml keeps; resume it without settings, or begin a new one with --out",
        )
    }
}
