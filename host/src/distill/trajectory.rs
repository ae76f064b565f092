//! Learning whole trajectories: all of the student's steps are one network, whose end should be the teacher's.
//!
//! ```text
//! x <- z;   for each step k:  x <- keep_k x + pull_k clamp(x0_hat(x, t_k)),   loss += w_k |x - x_k(teacher)|^2
//! ```
//!
//! For one step this is Luhman and Luhman's knowledge distillation (2021). With several, gradients pass through all of them, so a later step
//! learns to mend what an earlier one left, on the very states that it will meet.

use super::Rules;
use super::jump::{Jump, Rows};
use super::trajectories::Trajectories;
use crate::error::Error;
use crate::lesson::{Learner, Lesson};
use crate::operators::weighted_mean_squared_error;
use candle_core::{Device, Tensor};
use std::ops::Range;

/// How far from 0 an estimate may lie before it is clamped to [-1, 1]. A clamp that bites is one more nonlinearity, which students make good use of;
/// a device's numbers end at 8.
const FARTHEST: f64 = 4.0;

/// The lesson.
pub struct TrajectoryLesson<'a> {
    rules: &'a Rules<'a>,
    jumps: Vec<Jump>,
    trajectories: Trajectories,
}

impl<'a> TrajectoryLesson<'a> {
    /// Draws the teacher's trajectories.
    ///
    /// # Errors
    /// As of [`Trajectories::draw`].
    pub fn new(rules: &'a Rules<'a>, device: &Device) -> Result<Self, Error> {
        let times = rules.student_times(rules.settings.steps)?;
        let jumps = Jump::along(&times, rules.student, rules.process)?;
        Ok(Self { rules, jumps, trajectories: Trajectories::draw(rules, &times, device)? })
    }
}

impl Lesson for TrajectoryLesson<'_> {
    fn loss(&self, learner: &Learner<'_>, update: u64, rows: Range<usize>, scale: f64) -> Result<Tensor, Error> {
        let paths = self.trajectories.choose(self.rules.settings.seed, update, rows);
        let classes = self.trajectories.classes(&paths);
        let mut x = self.trajectories.states(&paths, 0, learner.device)?;
        let last = self.jumps.len() - 1;
        let mut losses = Vec::new();
        let squared_error = |x: &Tensor, target: &Tensor, weight: f64| {
            let weights = Tensor::full(weight as f32, paths.len(), learner.device)?;
            weighted_mean_squared_error(x, target, &weights, scale)
        };
        for (index, jump) in self.jumps.iter().enumerate() {
            let rows = Rows::new(paths.iter().map(|_| jump));
            let mut x0_hat = rows.x0_hat(&x, &rows.output(learner.network, learner.weights, &x, &classes)?)?;
            // The end is clamped in sampling alone: outside the range a gradient is wanted here.
            if self.rules.student.sampling.clip && index < last {
                let clamped = x0_hat.clamp(-1.0, 1.0)?;
                // What the clamp takes off has no other gradient, and would grow until a device's numbers cannot hold it.
                losses.push(squared_error(&x0_hat, &x0_hat.clamp(-FARTHEST, FARTHEST)?.detach(), 1.0)?);
                x0_hat = clamped;
            }
            x = rows.land(&x, &x0_hat)?;
            let weight = if index == last { 1.0 } else { self.rules.settings.intermediate };
            if weight > 0.0 {
                losses.push(squared_error(&x, &self.trajectories.states(&paths, index + 1, learner.device)?, weight)?);
            }
        }
        let mut losses = losses.into_iter();
        let first = losses.next().ok_or_else(|| Error::Argument("a student needs at least one step".to_owned()))?;
        losses.try_fold(first, |sum, loss| Ok((sum + loss)?))
    }
}
