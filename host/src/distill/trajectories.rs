//! The teacher's paths from noise to data, of which students learn.

use super::Rules;
use super::jump::{Jump, Rows};
use crate::error::Error;
use crate::streams;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::OnceLock;
use tweedie_core::noise::NoiseStream;
use tweedie_core::schedule::Process;

/// Rows that the teacher draws together: on a thread of the CPU, and on another device.
const ROWS: usize = 256;
const DEVICE_ROWS: usize = 8192;

/// Many paths, seen at a few times.
pub struct Trajectories {
    features: usize,
    classes: Vec<u32>,
    /// For each time, from noise to data, the states `[trajectories, features]`.
    states: Vec<Vec<f32>>,
    /// All of them on a device other than the CPU: `[times * trajectories, features]`.
    resident: OnceLock<Tensor>,
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

        let part_rows = if device.is_cpu() { ROWS } else { DEVICE_ROWS };
        let draw = |(part, classes): (usize, &[u32])| {
            let mut noise = vec![0.0; classes.len() * features];
            for (row, out) in noise.chunks_exact_mut(features).enumerate() {
                let path = (part * part_rows + row) as u64;
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
        };
        let parts: Result<Vec<_>, Error> = match device.is_cpu() {
            true => classes.par_chunks(part_rows).enumerate().map(draw).collect(),
            // A device is given its work by one thread.
            false => classes.chunks(part_rows).enumerate().map(draw).collect(),
        };
        let parts = parts?;
        let states =
            (0..times.len()).map(|time| parts.iter().flat_map(|part| &part[time]).copied().collect()).collect();
        Ok(Self { features, classes, states, resident: OnceLock::new() })
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

    /// The states of some paths at the time of number `time`, `[paths, features]`.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn states(&self, paths: &[usize], time: usize, device: &Device) -> Result<Tensor, Error> {
        self.states_at(paths.iter().map(|&path| (path, time)), device)
    }

    /// The states of paths, each at the time of a number of its own, `[paths, features]`. On a device other than the CPU all of them are there
    /// already, and only their numbers are sent.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn states_at(
        &self,
        places: impl ExactSizeIterator<Item = (usize, usize)>,
        device: &Device,
    ) -> Result<Tensor, Error> {
        if device.is_cpu() {
            let count = places.len();
            let values = places.flat_map(|(path, time)| &self.states[time][path * self.features..][..self.features]);
            return Ok(Tensor::from_vec(values.copied().collect(), (count, self.features), device)?);
        }
        self.chosen_there(places, device)
    }

    /// The same by a choice of rows on the device.
    fn chosen_there(
        &self,
        places: impl ExactSizeIterator<Item = (usize, usize)>,
        device: &Device,
    ) -> Result<Tensor, Error> {
        let all = match self.resident.get() {
            Some(all) => all,
            None => {
                let shape = (self.states.len() * self.classes.len(), self.features);
                let all = Tensor::from_vec(self.states.concat(), shape, device)?;
                self.resident.get_or_init(|| all)
            }
        };
        let rows: Vec<u32> = places.map(|(path, time)| (time * self.classes.len() + path) as u32).collect();
        Ok(all.index_select(&Tensor::from_slice(&rows, rows.len(), device)?, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_of_rows_on_a_device_is_the_same() {
        let states = (0..3).map(|time| (0..10).map(|i| (100 * time + i) as f32).collect()).collect();
        let classes = vec![0; 5];
        let trajectories = Trajectories { features: 2, classes, states, resident: OnceLock::new() };
        let places = [(4, 0), (0, 2), (3, 1), (3, 1)];
        let here = trajectories.states_at(places.into_iter(), &Device::Cpu).unwrap();
        let there = trajectories.chosen_there(places.into_iter(), &Device::Cpu).unwrap();
        let rows = |tensor: &Tensor| tensor.to_vec2::<f32>().unwrap();
        assert_eq!(rows(&here), [[8.0, 9.0], [200.0, 201.0], [106.0, 107.0], [106.0, 107.0]]);
        assert_eq!(rows(&there), rows(&here));
    }
}
