//! Learning average velocities: where the teacher's path from any time leads at any later one, in one step.
//!
//! The network is told both times. Its estimate for `(t, s, x_t)` is the one with which a DDIM step from `t` to `s` lands on the teacher's `x_s`
//! ([`tweedie_core::distillation::target`]); for flow matching that is `x_s = x_t - (t - s) u(s, t, x_t)` with the mean velocity `u` (Remark 3.4;
//! flow maps, Boffi, Albergo and Vanden-Eijnden 2025). Students are sampled with any number of steps.

use super::Rules;
use super::jump::{Jump, Rows};
use super::trajectories::Trajectories;
use crate::error::Error;
use crate::lesson::{Learner, Lesson};
use crate::operators::weighted_mean_squared_error;
use crate::streams;
use candle_core::{Device, Tensor};
use std::ops::Range;
use tweedie_core::distillation;
use tweedie_core::noise::NoiseStream;
use tweedie_core::prediction::{Conversion, Moment, Prediction};

/// Times that paths are seen at, at least: multiples of the student's steps, so that its own are among them.
const LEAST_INTERVALS: usize = 8;

/// The lesson.
pub struct AverageVelocityLesson<'a> {
    rules: &'a Rules<'a>,
    trajectories: Trajectories,
    /// Every pair of times, as their numbers, with the jump between and the network's output that makes it.
    pairs: Vec<(usize, usize, Jump, Conversion)>,
}

impl<'a> AverageVelocityLesson<'a> {
    /// Draws the teacher's trajectories.
    ///
    /// # Errors
    /// As of [`Trajectories::draw`].
    pub fn new(rules: &'a Rules<'a>, device: &Device) -> Result<Self, Error> {
        let intervals = rules.settings.steps * LEAST_INTERVALS.div_ceil(rules.settings.steps);
        let times = rules.student_times(intervals)?;
        let prediction = Prediction::from(rules.student.training.prediction);
        let mut pairs = Vec::new();
        for from in 0..intervals {
            for to in from + 1..=intervals {
                let jump = Jump::new(times[from], times[to], rules.student, rules.process)?;
                let landing = distillation::target(&jump.step)?;
                let output = prediction.from_x0(&Moment::at(rules.process, times[from])?)?;
                // The output from the states at both times.
                let target = Conversion {
                    from_state: output.from_state + output.from_output * landing.from_state,
                    from_output: output.from_output * landing.from_output,
                };
                pairs.push((from, to, jump, target));
            }
        }
        Ok(Self { rules, trajectories: Trajectories::draw(rules, &times, device)?, pairs })
    }
}

impl Lesson for AverageVelocityLesson<'_> {
    fn loss(&self, learner: &Learner<'_>, update: u64, rows: Range<usize>, scale: f64) -> Result<Tensor, Error> {
        let seed = self.rules.settings.seed;
        let paths = self.trajectories.choose(seed, update, rows.clone());
        let stream = NoiseStream::new(seed, streams::TRAINING + update);
        let chosen: Vec<_> = rows
            .map(|row| {
                let share = streams::unit(stream.bits(row as u32, 0)[1]);
                &self.pairs[(share * self.pairs.len() as f64) as usize]
            })
            .collect();
        let (mut states, mut targets) = (Vec::new(), Vec::new());
        for (&path, (from, to, _, target)) in paths.iter().zip(&chosen) {
            let (x_t, x_s) = (self.trajectories.state(path, *from), self.trajectories.state(path, *to));
            let (from_state, from_output) = (target.from_state as f32, target.from_output as f32);
            states.extend_from_slice(x_t);
            targets.extend(x_t.iter().zip(x_s).map(|(x_t, x_s)| from_state * x_t + from_output * x_s));
        }
        let shape = (paths.len(), states.len() / paths.len());
        let x = Tensor::from_vec(states, shape, learner.device)?;
        let target = Tensor::from_vec(targets, shape, learner.device)?;
        let jumps = Rows::new(chosen.iter().map(|(_, _, jump, _)| jump));
        let output = jumps.output(learner.network, learner.weights, &x, &self.trajectories.classes(&paths))?;
        let weights = Tensor::ones(paths.len(), candle_core::DType::F32, learner.device)?;
        Ok(weighted_mean_squared_error(&output, &target, &weights, scale)?)
    }
}
