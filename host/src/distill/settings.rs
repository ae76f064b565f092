//! What a distillation is told: `host/presets/distillation.toml` documents every key.

use crate::checkpoint::Model;
use crate::error::Error;
use crate::preset::{
    NetworkKind, Precision, PredictionName, Preset, SolverName, SpacingName, TrainingMethod, between, merged, names,
    within,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use toml::{Table, Value};

/// The section `[distillation]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillationSettings {
    /// How the student is taught.
    pub method: Method,
    /// Network evaluations of the student.
    pub steps: usize,
    /// Width of the student; 0: the widest with at most two fifths of the teacher's weights, or of a network of images the teacher's.
    pub hidden: usize,
    /// Residual blocks of the student; 0: as many as the teacher's.
    pub blocks: usize,
    /// The teacher's classifier-free guidance.
    pub guidance: f64,
    /// Network evaluations of the teacher.
    pub teacher_steps: usize,
    /// Times whose estimates consistency makes agree.
    pub consistency_times: usize,
    /// The teacher's trajectories that are learnt from.
    pub trajectories: usize,
    /// Weight of intermediate states.
    pub intermediate: f64,
    /// Weight updates.
    pub updates: u64,
    /// Samples for each update.
    pub batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Updates over which it rises.
    pub warmup: u64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest norm of the gradient; 0: no limit.
    pub gradient_clip: f64,
    /// Decay of the moving average of the weights.
    pub ema: f64,
    /// Of what numbers the student computes while it is trained. Left out of files where it is f32, so that they are those of earlier versions.
    #[serde(default = "Precision::full", skip_serializing_if = "Precision::is_full")]
    pub precision: Precision,
    /// Share of samples without a class.
    pub label_dropout: f64,
    /// Seed of weights, noise and order.
    pub seed: u64,
    /// Updates between lines of metrics.
    pub log_every: u64,
    /// Updates between checkpoints.
    pub checkpoint_every: u64,
    /// Rows that one thread works on.
    pub shard: usize,
}

names! {
    /// How a student is taught.
    Method {
        /// Whole trajectories of the teacher, through all of the student's steps at once (Luhman and Luhman 2021, for one step).
        Trajectory,
        /// Halving the steps again and again (Salimans and Ho 2022).
        Progressive,
        /// Neighbouring times give the same estimate (Song, Dhariwal, Chen and Sutskever 2023).
        Consistency,
        /// The mean velocity between two times, both of which the network is told (Remark 3.4; Boffi, Albergo and Vanden-Eijnden 2025).
        AverageVelocity,
    }
}

impl Method {
    /// Whether students know the very times of their plan alone; the others can be sampled with more or fewer steps.
    pub fn is_bound_to_its_steps(self) -> bool {
        matches!(self, Self::Trajectory | Self::Progressive)
    }

    /// Whether the lesson noises the data that the teacher learnt from, with their classes; the others draw the teacher's trajectories.
    pub fn learns_from_data(self) -> bool {
        matches!(self, Self::Progressive | Self::Consistency)
    }
}

/// Everything about a distillation: what a student's `config.toml` holds.
#[derive(Clone, Debug, PartialEq)]
pub struct DistillationConfig {
    /// The teacher's run folder.
    pub teacher: PathBuf,
    /// How it is distilled.
    pub settings: DistillationSettings,
    /// The student.
    pub student: Preset,
}

/// The name of the section, and of the key in it that names the teacher.
const SECTION: &str = "distillation";
const TEACHER: &str = "teacher";

impl DistillationSettings {
    /// The documented settings for teachers of a kind with `overrides`, `distillation.key=value` in TOML.
    ///
    /// # Errors
    /// An unknown key or value, naming the nearest right one; a value outside its range.
    pub fn new(teacher: NetworkKind, overrides: &[String]) -> Result<Self, Error> {
        let own = match teacher {
            NetworkKind::ResidualMlp | NetworkKind::Mixture => "",
            NetworkKind::Unet | NetworkKind::Transformer => include_str!("../../presets/distillation-images.toml"),
        };
        Self::parse(SECTION, own, overrides)
    }

    fn parse(name: &str, text: &str, overrides: &[String]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct File {
            distillation: DistillationSettings,
        }
        let File { distillation } = merged(include_str!("../../presets/distillation.toml"), name, text, overrides)?;
        let fail = |reason| Error::Preset { file: name.to_owned(), reason };
        distillation.validate().map_err(fail)?;
        Ok(distillation)
    }

    /// Checks the range of every number.
    fn validate(&self) -> Result<(), String> {
        between("distillation.steps", self.steps, 1..=1 << 12)?;
        between("distillation.teacher_steps", self.teacher_steps, 2..=1 << 14)?;
        between("distillation.consistency_times", self.consistency_times, 2..=1 << 14)?;
        between("distillation.trajectories", self.trajectories, 1..=1 << 30)?;
        within("distillation.guidance", self.guidance, -100.0..=100.0)?;
        within("distillation.intermediate", self.intermediate, 0.0..=1e6)?;
        if self.method != Method::Consistency && self.teacher_steps <= self.steps {
            return Err(format!(
                "distillation.teacher_steps = {} must be more than distillation.steps = {}, or there is nothing to learn",
                self.teacher_steps, self.steps
            ));
        }
        let stages = self.halvings();
        if self.method == Method::Progressive && self.updates < stages as u64 {
            return Err(format!(
                "distillation.updates = {} must be at least {stages}, one for each halving",
                self.updates
            ));
        }
        Ok(())
    }

    /// How often progressive distillation halves the teacher's steps, at least once.
    pub fn halvings(&self) -> usize {
        (self.teacher_steps / self.steps).max(2).ilog2() as usize
    }

    /// The student's preset: the teacher's, but for the network's size, the training and the steps.
    ///
    /// # Errors
    /// Sizes that presets do not have.
    pub fn student(&self, teacher: &Model) -> Result<Preset, Error> {
        let mut preset = teacher.preset.clone();
        let (network, training, sampling) = (&mut preset.network, &mut preset.training, &mut preset.sampling);
        if self.blocks > 0 {
            network.blocks = self.blocks;
        }
        if network.kind == NetworkKind::Mixture {
            // Its student is a network.
            network.kind = NetworkKind::ResidualMlp;
        }
        network.end_level = self.method == Method::AverageVelocity;
        if self.hidden > 0 {
            network.hidden = self.hidden;
        } else if network.kind == NetworkKind::ResidualMlp {
            let count = |network: &dyn crate::network::Network| -> usize {
                network.weights().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
            };
            let share = count(teacher.network.as_ref()) * 2 / 5;
            let (shape, classes) = (&teacher.description.shape, teacher.description.classes);
            // Multiples of 4, which the device's kernels like; one more is one too many.
            let mut widest = 4;
            loop {
                network.hidden = widest + 4;
                if count(network.build(shape, classes)?.as_ref()) > share {
                    break;
                }
                widest += 4;
            }
            network.hidden = widest;
        }
        if training.prediction == PredictionName::Eps {
            // From almost pure noise, where a student's first step starts, noise says next to nothing of the data; no device runs it either.
            training.prediction = PredictionName::V;
        }
        training.method = TrainingMethod::Denoising;
        training.steps = self.updates;
        training.batch = self.batch;
        training.learning_rate = self.learning_rate;
        training.warmup = self.warmup;
        training.weight_decay = self.weight_decay;
        training.gradient_clip = self.gradient_clip;
        training.ema = self.ema;
        training.precision = self.precision;
        training.label_dropout = self.label_dropout;
        training.seed = self.seed;
        training.log_every = self.log_every;
        training.checkpoint_every = self.checkpoint_every;
        training.shard = self.shard;
        sampling.solver = if self.method == Method::Consistency { SolverName::Consistency } else { SolverName::Ddim };
        sampling.steps = self.steps;
        sampling.eta = 0.0;
        sampling.guidance = 1.0;
        sampling.spacing = SpacingName::Uniform;
        let name = format!("the student of {}", teacher.description.data);
        Preset::parse(&name, &preset.to_toml()?, &[])
    }
}

impl DistillationConfig {
    /// The contents of a student's `config.toml`.
    pub fn to_toml(&self) -> Result<String, Error> {
        let fail = |error: toml::ser::Error| Error::Argument(error.to_string());
        let mut table = Table::try_from(&self.student).map_err(fail)?;
        let mut section = Table::try_from(&self.settings).map_err(fail)?;
        section.insert(TEACHER.to_owned(), Value::String(self.teacher.display().to_string()));
        table.insert(SECTION.to_owned(), Value::Table(section));
        toml::to_string(&table).map_err(fail)
    }

    /// Reads a student's `config.toml`; `name` stands in error messages.
    ///
    /// # Errors
    /// A file that no distillation wrote.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let fail = |reason: &str| Error::Preset { file: name.to_owned(), reason: reason.to_owned() };
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| fail(error.message()))?;
        let section = table.remove(SECTION).and_then(|section| match section {
            Value::Table(section) => Some(section),
            _ => None,
        });
        let mut section = section
            .ok_or_else(|| fail("this run was trained, not distilled: there is no section [distillation] in it"))?;
        let Some(Value::String(teacher)) = section.remove(TEACHER) else {
            return Err(fail("it does not name the teacher"));
        };
        let section = Table::from_iter([(SECTION.to_owned(), Value::Table(section))]);
        Ok(Self {
            teacher: PathBuf::from(teacher),
            settings: DistillationSettings::parse(name, &section.to_string(), &[])?,
            student: Preset::parse(name, &table.to_string(), &[])?,
        })
    }

    /// Whether a `config.toml` is a student's.
    pub fn is_students(text: &str) -> bool {
        text.parse::<Table>().is_ok_and(|table| table.contains_key(SECTION))
    }
}
