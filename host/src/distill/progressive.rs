//! Progressive distillation: one step of the student does what two of its teacher do, then the student teaches the next (Salimans and Ho 2022,
//! Algorithm 2).
//!
//! From the largest `steps * 2^n` within `teacher_steps` the number is halved until it is the student's. The loss is on where the step lands, `|x_s - x_s(teacher)|^2`: of the error of
//! `v` it is `sin^2` of the angle between the two levels, so that the shortest steps, where a clamped teacher's `v` is steepest, do not drown the
//! others. Every stage has as many updates, and its learning rate rises and falls once.

use super::Rules;
use super::jump::{Jump, Rows, Teacher};
use super::noised::{choose, noised};
use crate::error::Error;
use crate::lesson::{Learner, Lesson};
use crate::network::parameters::FrozenWeights;
use crate::operators::weighted_mean_squared_error;
use crate::resident::Resident;
use candle_core::Tensor;
use std::ops::Range;
use std::sync::OnceLock;

/// One step of a stage's student, and the two of its teacher.
struct Halving {
    student: Jump,
    teacher: [Jump; 2],
}

/// The lesson.
pub struct ProgressiveLesson<'a> {
    rules: &'a Rules<'a>,
    /// For each stage, its student's steps.
    stages: Vec<Vec<Halving>>,
    /// The stage under way, and its teacher where that is an earlier student.
    stage: usize,
    earlier: Option<FrozenWeights>,
    /// The data on a device other than the CPU.
    resident: OnceLock<Resident>,
}

impl<'a> ProgressiveLesson<'a> {
    /// Plans the stages.
    ///
    /// # Errors
    /// Times or a prediction that core refuses.
    pub fn new(rules: &'a Rules<'a>) -> Result<Self, Error> {
        let steps = rules.settings.steps;
        let count = rules.settings.halvings();
        let stages = (0..count).map(|stage| {
            // The first stage's teacher is of the teacher's make, told what that is told.
            let teacher = if stage == 0 { &rules.teacher.preset } else { rules.student };
            let times = rules.student_times(steps << (count - stage))?;
            (0..times.len() / 2).map(|step| Halving::new(rules, teacher, &times[2 * step..2 * step + 3])).collect()
        });
        Ok(Self {
            rules,
            stages: stages.collect::<Result<_, Error>>()?,
            stage: 0,
            earlier: None,
            resident: OnceLock::new(),
        })
    }

    fn stage_of(&self, update: u64) -> usize {
        let count = self.stages.len() as u64;
        (0..count).rfind(|stage| stage * self.rules.settings.updates / count <= update).unwrap_or(0) as usize
    }
}

impl Halving {
    fn new(rules: &Rules<'_>, teacher: &crate::preset::Preset, times: &[f64]) -> Result<Self, Error> {
        let student = Jump::new(times[0], times[2], rules.student, rules.process)?;
        let first = Jump::new(times[0], times[1], teacher, rules.process)?;
        let second = Jump::new(times[1], times[2], teacher, rules.process)?;
        Ok(Self { student, teacher: [first, second] })
    }
}

impl Lesson for ProgressiveLesson<'_> {
    fn prepare(&mut self, update: u64, learner: &Learner<'_>) -> Result<(), Error> {
        let stage = self.stage_of(update);
        if stage != self.stage {
            let averages = learner.averages();
            // A copy: the averages themselves go on.
            let copies = averages.iter().map(|(name, tensor)| Ok((name.to_owned(), tensor.copy()?)));
            self.earlier = Some(FrozenWeights::new(copies.collect::<Result<_, Error>>()?));
            self.stage = stage;
        }
        Ok(())
    }

    fn loss(&self, learner: &Learner<'_>, update: u64, rows: Range<usize>, scale: f64) -> Result<Tensor, Error> {
        let stage = &self.stages[self.stage];
        let chosen = choose(self.rules, update, rows.clone(), stage.len());
        let chosen = || chosen.iter().map(|&step| &stage[step]);
        let levels = chosen().map(|step| step.student.from);
        let noised = noised(self.rules, &self.resident, update, rows, levels, learner.device)?;
        let teacher = match &self.earlier {
            None => self.rules.as_teacher(),
            Some(weights) => Teacher { network: learner.network, weights, guidance: 1.0, ..self.rules.as_teacher() },
        };
        let mut landing = noised.x.clone();
        for step in 0..2 {
            landing =
                teacher.land(&Rows::new(chosen().map(|halving| &halving.teacher[step])), &landing, &noised.classes)?;
        }
        let rows = Rows::new(chosen().map(|halving| &halving.student));
        let output = rows.output(learner.network, learner.weights, &noised.x, &noised.classes)?;
        let landed = rows.land(&noised.x, &rows.x0_hat(&noised.x, &output)?)?;
        let weights = Tensor::ones(noised.classes.len(), candle_core::DType::F32, learner.device)?;
        Ok(weighted_mean_squared_error(&landed, &landing, &weights, scale)?)
    }

    fn stage(&self, update: u64, updates: u64) -> Range<u64> {
        let (stage, count) = (self.stage_of(update) as u64, self.stages.len() as u64);
        stage * updates / count..(stage + 1) * updates / count
    }

    fn memory(&self) -> Vec<(String, Tensor)> {
        let earlier = self.earlier.iter().flat_map(FrozenWeights::iter);
        earlier.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect()
    }

    fn recall(&mut self, update: u64, memory: Vec<(String, Tensor)>) {
        // A checkpoint is saved after an update: its memory is of the stage before the next update's.
        self.stage = update.checked_sub(1).map_or(0, |last| self.stage_of(last));
        self.earlier = (!memory.is_empty()).then(|| FrozenWeights::new(memory));
    }
}
