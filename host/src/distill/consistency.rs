//! Consistency distillation (Song, Dhariwal, Chen and Sutskever 2023, Algorithm 2).
//!
//! From real data noised to `t`, one step of the teacher leads to the neighbouring time `s`. The student's estimate at `t` is regressed on the
//! estimate that it makes itself at `s`, without gradient; at `s = 0` that is the state itself, which holds every other estimate in place. (A
//! moving average of the student would lag behind by a thousand updates for each of the times; Song and Dhariwal 2024, section 3.2, do without
//! as well.) An estimate is then the end of the teacher's path, so one evaluation is a sample; more of them noise it afresh in between
//! ([`tweedie_core::consistency`]).

use super::Rules;
use super::jump::{Jump, Rows, Teacher};
use super::noised::{choose, noised};
use crate::error::Error;
use crate::lesson::{Learner, Lesson};
use crate::operators::weighted_mean_squared_error;
use crate::resident::Resident;
use candle_core::Tensor;
use std::ops::Range;
use std::sync::OnceLock;

/// The lesson.
pub struct ConsistencyLesson<'a> {
    rules: &'a Rules<'a>,
    /// The teacher's steps between neighbouring times.
    teacher: Vec<Jump>,
    /// The student's question at each time, all leading to data.
    student: Vec<Jump>,
    /// The data on a device other than the CPU.
    resident: OnceLock<Resident>,
}

impl<'a> ConsistencyLesson<'a> {
    /// Plans the times.
    ///
    /// # Errors
    /// Times or a prediction that core refuses.
    pub fn new(rules: &'a Rules<'a>) -> Result<Self, Error> {
        // The student's own times are among them.
        let steps = rules.settings.steps;
        let times = rules.student_times(steps * rules.settings.consistency_times.div_ceil(steps))?;
        let teacher = Jump::along(&times, &rules.teacher.preset, rules.process)?;
        let ask = |&time: &f64| Jump::new(time, 0.0, rules.student, rules.process);
        let student = times[..times.len() - 1].iter().map(ask).collect::<Result<_, Error>>()?;
        Ok(Self { rules, teacher, student, resident: OnceLock::new() })
    }
}

impl Lesson for ConsistencyLesson<'_> {
    fn loss(&self, learner: &Learner<'_>, update: u64, rows: Range<usize>, scale: f64) -> Result<Tensor, Error> {
        let chosen = choose(self.rules, update, rows.clone(), self.teacher.len());
        let levels = chosen.iter().map(|&time| self.student[time].from);
        let noised = noised(self.rules, &self.resident, update, rows, levels, learner.device)?;
        let teacher = self.rules.as_teacher();
        let rows = Rows::new(chosen.iter().map(|&time| &self.teacher[time]));
        let landing = teacher.land(&rows, &noised.x, &noised.classes)?;

        let itself = Teacher { network: learner.network, weights: learner.weights, guidance: 1.0, ..teacher };
        let last = self.student.len() - 1;
        let rows = Rows::new(chosen.iter().map(|&time| &self.student[(time + 1).min(last)]));
        let estimate = itself.x0_hat(&rows, &landing, &noised.classes)?;
        let is_last: Vec<u8> = chosen.iter().map(|&time| u8::from(time == last)).collect();
        let is_last = Tensor::from_vec(is_last, (chosen.len(), 1), learner.device)?;
        let target = is_last.broadcast_as(landing.shape())?.where_cond(&landing, &estimate)?.detach();

        let rows = Rows::new(chosen.iter().map(|&time| &self.student[time]));
        let output = rows.output(learner.network, learner.weights, &noised.x, &noised.classes)?;
        let weights = Tensor::ones(chosen.len(), candle_core::DType::F32, learner.device)?;
        Ok(weighted_mean_squared_error(&rows.x0_hat(&noised.x, &output)?, &target, &weights, scale)?)
    }
}
