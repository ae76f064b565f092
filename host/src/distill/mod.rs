//! Distillation: a student that does in a few steps, and with fewer weights, what its teacher does in many.
//!
//! | lesson | module |
//! |---|---|
//! | the teacher's trajectories, through all of the student's steps at once | [`trajectory`] |
//! | half the steps, again and again | [`progressive`] |
//! | neighbouring times give the same estimate | [`consistency`] |
//! | the mean velocity between any two times | [`average_velocity`] |
//!
//! A student is a model like any other: it is sampled, exported and judged by the same code, as its plan has few steps.

pub mod average_velocity;
pub mod consistency;
pub mod jump;
mod noised;
pub mod progressive;
pub mod settings;
pub mod trajectories;
pub mod trajectory;

use crate::checkpoint::{Description, Model, hexadecimal};
use crate::data::Dataset;
use crate::error::Error;
use crate::lesson::Lesson;
use crate::network::{Parameters, Weights};
use crate::preset::Preset;
use crate::process::AnyProcess;
use crate::streams;
use crate::train::{Subject, Training, fingerprint};
use candle_core::Device;
use jump::Teacher;
use settings::{DistillationConfig, DistillationSettings, Method};
use sha2::{Digest, Sha256};
use std::path::Path;
use tweedie_core::discretise::Spacing;
use tweedie_core::noise::NoiseStream;
use tweedie_core::schedule::Process;

/// Who teaches whom, and how.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The settings.
    pub settings: &'a DistillationSettings,
    /// The teacher.
    pub teacher: &'a Model,
    /// The student's preset.
    pub student: &'a Preset,
    /// The process of both.
    pub process: &'a AnyProcess,
    /// What the teacher was trained on; of use to lessons on noised data.
    pub data: &'a Dataset,
}

impl<'a> Rules<'a> {
    /// The student's times for a number of steps, from noise to data: one more than steps. Those of half the steps are among them.
    ///
    /// # Errors
    /// A preset whose times core refuses.
    pub fn student_times(&self, steps: usize) -> Result<Vec<f64>, Error> {
        let mut times = vec![0.0; steps + 1];
        let first = self.student.process.max_time * self.process.horizon();
        Spacing::Uniform.fill(self.process, first, 0.0, &mut times)?;
        Ok(times)
    }

    /// The teacher under the guidance of the settings, clamped as in its own sampling.
    pub fn as_teacher(&self) -> Teacher<'a> {
        Teacher {
            network: self.teacher.network.as_ref(),
            weights: &self.teacher.weights,
            guidance: self.settings.guidance,
            none: self.none(),
            clip: self.teacher.preset.sampling.clip,
        }
    }

    /// The class that stands for none.
    fn none(&self) -> u32 {
        self.teacher.description.classes as u32
    }

    /// The class of one of the teacher's trajectories: all in turn, now and then none.
    fn class_of_trajectory(&self, path: usize) -> u32 {
        let [bits, ..] = NoiseStream::new(self.settings.seed, streams::TRAJECTORIES + path as u64).bits(1, 0);
        match self.none() {
            0 => 0,
            none if streams::unit(bits) < self.settings.label_dropout => none,
            classes => path as u32 % classes,
        }
    }

    /// The lesson.
    fn lesson(&'a self, device: &Device) -> Result<Box<dyn Lesson + 'a>, Error> {
        Ok(match self.settings.method {
            Method::Trajectory => Box::new(trajectory::TrajectoryLesson::new(self, device)?),
            Method::Progressive => Box::new(progressive::ProgressiveLesson::new(self)?),
            Method::Consistency => Box::new(consistency::ConsistencyLesson::new(self)?),
            Method::AverageVelocity => Box::new(average_velocity::AverageVelocityLesson::new(self, device)?),
        })
    }

    /// The student's first weights: the teacher's where they fit, else drawn.
    fn first_weights(&self, device: &Device) -> Result<Parameters, Error> {
        let description = &self.teacher.description;
        let network = self.student.network.build(&description.shape, description.classes)?;
        if network.weights() != self.teacher.network.weights() {
            return Ok(network.initialise(self.settings.seed, device)?);
        }
        let mut parameters = Parameters::default();
        for (name, _) in network.weights() {
            parameters.insert(&name, self.teacher.weights.get(&name)?.copy()?)?;
        }
        Ok(parameters)
    }

    fn subject(&self, teacher: &Path) -> Result<Subject<'a>, Error> {
        let description = Description {
            preset: self.student.to_toml()?,
            distilled: Some(self.settings.method),
            ..self.teacher.description.clone()
        };
        let config = DistillationConfig {
            teacher: teacher.to_owned(),
            settings: self.settings.clone(),
            student: self.student.clone(),
        };
        let mut hash = Sha256::new();
        for (name, tensor) in self.teacher.weights.iter() {
            hash.update(name.as_bytes());
            for value in tensor.flatten_all()?.to_vec1::<f32>()? {
                hash.update(value.to_le_bytes());
            }
        }
        hash.update(fingerprint(self.data).as_bytes());
        let fingerprint = hexadecimal(&hash.finalize());
        Ok(Subject { preset: self.student, description, config: config.to_toml()?, fingerprint })
    }

    /// The training of the student from its beginning; `teacher` is the folder that its `config.toml` names.
    ///
    /// # Errors
    /// Settings that do not go together.
    pub fn begin(&'a self, teacher: &Path, device: &Device) -> Result<Training<'a>, Error> {
        Training::of_lesson(self.subject(teacher)?, self.lesson(device)?, self.first_weights(device)?, device)
    }

    /// The same from the state that an earlier one saved.
    ///
    /// # Errors
    /// [`Error::ResumeMismatch`] for other settings, another teacher or other data than the state's; a state that is damaged.
    pub fn resume(&'a self, state: &Path, teacher: &Path, device: &Device) -> Result<Training<'a>, Error> {
        Training::resume_lesson(state, self.subject(teacher)?, device, || self.lesson(device))
    }
}
