//! Learning average velocities: where the teacher's path from any time leads at any later one, in one step.
//!
//! The network is told both times, and a DDIM step from `t` to `s` with its estimate should land on the teacher's `x_s`. For flow matching this is
//! `x_s = x_t - (t - s) u(s, t, x_t)` with the mean velocity `u` (Remark 3.4; flow maps, Boffi, Albergo and Vanden-Eijnden 2025). Students are
//! sampled with any number of steps.

use super::Rules;
use super::jump::{Jump, Rows};
use super::trajectories::Trajectories;
use crate::error::Error;
use crate::lesson::{Learner, Lesson};
use crate::operators::weighted_mean_squared_error;
use crate::streams;
use candle_core::{Device, Tensor};
use std::ops::Range;
use tweedie_core::noise::NoiseStream;

/// Times that paths are seen at, at least: multiples of the student's steps, so that its own are among them.
const LEAST_INTERVALS: usize = 8;

/// The lesson.
pub struct AverageVelocityLesson<'a> {
    rules: &'a Rules<'a>,
    trajectories: Trajectories,
    /// Every pair of times, as their numbers, with the jump between.
    pairs: Vec<(usize, usize, Jump)>,
}

impl<'a> AverageVelocityLesson<'a> {
    /// Draws the teacher's trajectories.
    ///
    /// # Errors
    /// As of [`Trajectories::draw`].
    pub fn new(rules: &'a Rules<'a>, device: &Device) -> Result<Self, Error> {
        let intervals = rules.settings.steps * LEAST_INTERVALS.div_ceil(rules.settings.steps);
        let times = rules.student_times(intervals)?;
        let mut pairs = Vec::new();
        for from in 0..intervals {
            for to in from + 1..=intervals {
                pairs.push((from, to, Jump::new(times[from], times[to], rules.student, rules.process)?));
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
        let gather = |end: fn(&(usize, usize, Jump)) -> usize| {
            let places = paths.iter().zip(&chosen).map(|(&path, pair)| (path, end(pair)));
            self.trajectories.states_at(places, learner.device)
        };
        let x = gather(|(from, ..)| *from)?;
        let landing = gather(|(_, to, _)| *to)?;
        let jumps = Rows::new(chosen.iter().map(|(.., jump)| jump));
        let output = jumps.output(learner.network, learner.weights, &x, &self.trajectories.classes(&paths))?;
        let landed = jumps.land(&x, &jumps.x0_hat(&x, &output)?)?;
        let weights = Tensor::ones(paths.len(), candle_core::DType::F32, learner.device)?;
        Ok(weighted_mean_squared_error(&landed, &landing, &weights, scale)?)
    }
}
