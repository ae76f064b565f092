//! The teacher's paths from noise to data, of which students learn.

use super::Rules;
use super::jump::{Jump, Rows};
use crate::error::Error;
use crate::streams;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::ops::Range;
use tweedie_core::noise::NoiseStream;
use tweedie_core::schedule::Process;

/// Rows that the teacher draws together.
const ROWS: usize = 256;

/// Many paths, seen at a few times.
pub struct Trajectories {
    features: usize,
    classes: Vec<u32>,
    /// For each time, from noise to data, the states `[trajectories, features]`.
    states: Vec<Vec<f32>>,
}

impl Trajectories {
    /// Draws the teacher's paths through `times` (falling, the last 0), with as many steps of the teacher between two of them as make
    /// `teacher_steps` in all, at least one.
    ///
    /// # Errors
    /// Times or a prediction that core refuses, or the tensor library's errors.
    pub fn draw(rules: &Rules<'_>, times: &[f64], device: &Device) -> Result<Self, Error> {
        let intervals = times.len() - 1;
        let between = rules.settings.teacher_steps.div_ceil(intervals);
        let jumps = times.windows(2).map(|pair| {
            let at = |step: usize| pair[0] + (pair[1] - pair[0]) * step as f64 / between as f64;
            // The end exactly, since no rounding must step past the data.
            let inner: Vec<f64> = (0..between).map(at).chain([pair[1]]).collect();
            Jump::along(&inner, &rules.teacher.preset, rules.process)
        });
        let jumps = jumps.collect::<Result<Vec<_>, Error>>()?;
        let (features, count) = (rules.teacher.description.features(), rules.settings.trajectories);
        let teacher = rules.as_teacher();
        let classes: Vec<u32> = (0..count).map(|path| rules.class_of_trajectory(path)).collect();
        let start = rules.process.level(times[0])?.norm() as f32;

        let parts = classes.par_chunks(ROWS).enumerate().map(|(part, classes)| {
            let mut noise = vec![0.0; classes.len() * features];
            for (row, out) in noise.chunks_exact_mut(features).enumerate() {
                let path = (part * ROWS + row) as u64;
                NoiseStream::new(rules.settings.seed, streams::TRAJECTORIES + path).fill(0, out);
                out.iter_mut().for_each(|z| *z *= start);
            }
            let mut seen = vec![noise.clone()];
            let mut x = Tensor::from_vec(noise, (classes.len(), features), device)?;
            for interval in &jumps {
                for jump in interval {
                    x = teacher.land(&Rows::new(classes.iter().map(|_| jump)), &x, classes)?;
                }
                seen.push(x.flatten_all()?.to_vec1()?);
            }
            Ok(seen)
        });
        let parts = parts.collect::<Result<Vec<_>, Error>>()?;
        let states =
            (0..times.len()).map(|time| parts.iter().flat_map(|part| &part[time]).copied().collect()).collect();
        Ok(Self { features, classes, states })
    }

    /// The paths that the rows of an update learn from, drawn with replacement.
    pub fn choose(&self, seed: u64, update: u64, rows: Range<usize>) -> Vec<usize> {
        let stream = NoiseStream::new(seed, streams::TRAINING + update);
        let count = self.classes.len() as f64;
        rows.map(|row| (streams::unit(stream.bits(row as u32, 0)[0]) * count) as usize).collect()
    }

    /// The classes of some paths.
    pub fn classes(&self, paths: &[usize]) -> Vec<u32> {
        paths.iter().map(|&path| self.classes[path]).collect()
    }

    /// The states of some paths at the time of number `time`.
    pub fn state(&self, path: usize, time: usize) -> &[f32] {
        &self.states[time][path * self.features..][..self.features]
    }

    /// The same as a tensor `[paths, features]`.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn states(&self, paths: &[usize], time: usize, device: &Device) -> Result<Tensor, Error> {
        let values: Vec<f32> = paths.iter().flat_map(|&path| self.state(path, time)).copied().collect();
        Ok(Tensor::from_vec(values, (paths.len(), self.features), device)?)
    }
}
