//! What one training update sees: rows of data, noised, with their targets (Algorithm 3.2).

use crate::data::Dataset;
use crate::error::Error;
use crate::network::Inputs;
use crate::preset::{Preset, TimeDistribution};
use crate::process::AnyProcess;
use crate::streams;
use candle_core::{Device, Tensor};
use std::ops::Range;
use tweedie_core::noise::NoiseStream;
use tweedie_core::prediction::{Moment, Prediction};
use tweedie_core::schedule::Process;

/// A part of a batch, on one device.
pub struct Batch {
    /// What the network sees.
    pub inputs: Inputs,
    /// What it should predict: f32, `[rows, features]`.
    pub target: Tensor,
    /// The weight of each row's squared error: f32, `[rows]`.
    pub weights: Tensor,
}

/// Makes batches; every one is a function of the seed and the update's number alone, so a resumed run sees the same.
pub struct Batches<'a> {
    data: &'a Dataset,
    process: &'a AnyProcess,
    preset: &'a Preset,
    seed: u64,
    /// The order of the data in a pass, with the pass's number.
    orders: [(u64, Vec<u32>); 2],
}

impl<'a> Batches<'a> {
    /// Batches of `data` as the preset says.
    ///
    /// # Errors
    /// A batch larger than the data; training times at which the preset's prediction or weight does not work.
    pub fn new(data: &'a Dataset, process: &'a AnyProcess, preset: &'a Preset) -> Result<Self, Error> {
        let (batch, samples) = (preset.training.batch, data.len());
        if batch > samples {
            return Err(Error::BatchTooLarge { batch, samples });
        }
        let batches = Self {
            data,
            process,
            preset,
            seed: preset.training.seed,
            orders: [(u64::MAX, Vec::new()), (u64::MAX, Vec::new())],
        };
        for share in [0.0, 0.5, 1.0] {
            let moment = Moment::at(process, batches.time(share)?)?;
            let prediction = Prediction::from(preset.training.prediction);
            prediction.target(&moment)?;
            preset.training.weight().factor(prediction, &moment)?;
        }
        Ok(batches)
    }

    /// Looks up which samples update number `update` uses: each pass over the data visits every sample once, in a fresh order.
    pub fn samples_of(&mut self, update: u64) -> Vec<u32> {
        let (batch, count) = (self.preset.training.batch as u64, self.data.len() as u64);
        (0..batch)
            .map(|row| {
                let position = update * batch + row;
                let (pass, place) = (position / count, (position % count) as usize);
                let slot = (pass % 2) as usize;
                if self.orders[slot].0 != pass {
                    self.orders[slot] = (pass, shuffled(self.data.len() as u32, self.seed, pass));
                }
                self.orders[slot].1[place]
            })
            .collect()
    }

    /// The training time for a share in [0, 1] of the way from the least noise to the most.
    fn time(&self, share: f64) -> Result<f64, Error> {
        let horizon = self.process.horizon();
        let (first, last) = (self.preset.process.min_time * horizon, self.preset.process.max_time * horizon);
        let between = |a: f64, b: f64| a + (b - a) * share;
        let (least, most) = (self.process.level(first)?, self.process.level(last)?);
        let t = match self.preset.training.times {
            TimeDistribution::Uniform => between(first, last),
            TimeDistribution::Angle => {
                let angle = between(least.angle(), most.angle());
                self.process.time_of_angle(angle)?
            }
            TimeDistribution::LogSnr => self.process.time_of_log_snr(between(least.log_snr(), most.log_snr()))?,
        };
        // A chain is trained at its own indices, 1 ..= T.
        Ok(match self.process.chain_steps() {
            Some(steps) => (t * steps as f64).ceil().clamp(1.0, steps as f64) / steps as f64,
            None => t,
        })
    }

    /// Rows `rows` of update number `update`, whose samples are `samples`.
    pub fn part(&self, update: u64, samples: &[u32], rows: Range<usize>, device: &Device) -> Result<Batch, Error> {
        let (count, features) = (rows.len(), self.data.sample_size());
        let training = &self.preset.training;
        let (prediction, weight) = (Prediction::from(training.prediction), training.weight());
        let stream = NoiseStream::new(self.seed, streams::TRAINING + update);
        let (mut states, mut targets) = (Vec::with_capacity(count * features), Vec::with_capacity(count * features));
        let (mut angles, mut classes, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut eps = vec![0.0_f32; features];
        for row in rows {
            let sample = samples[row] as usize;
            let [time_bits, label_bits, ..] = stream.bits(row as u32, 0);
            // One time in each of `batch` equal shares: less variance than independent times.
            let share = (row as f64 + streams::unit(time_bits)) / training.batch as f64;
            let moment = Moment::at(self.process, self.time(share)?)?;
            stream.fill(row as u32, &mut eps);

            let norm = moment.level.norm();
            let (signal, noise) = ((moment.level.alpha / norm) as f32, (moment.level.sigma / norm) as f32);
            let target = prediction.target(&moment)?;
            let (from_x0, from_eps) = (target.from_x0 as f32, target.from_eps as f32);
            for (&x0, &eps) in self.data.sample(sample).iter().zip(&eps) {
                states.push(signal * x0 + noise * eps);
                targets.push(from_x0 * x0 + from_eps * eps);
            }
            angles.push(moment.level.angle());
            let none = self.data.classes as u32;
            classes.push(match &self.data.labels {
                Some(labels) if streams::unit(label_bits) >= training.label_dropout => labels[sample],
                _ => none,
            });
            weights.push(weight.factor(prediction, &moment)? as f32);
        }
        Ok(Batch {
            inputs: Inputs::from_rows(states, &angles, &classes, device)?,
            target: Tensor::from_vec(targets, (count, features), device)?,
            weights: Tensor::from_vec(weights, count, device)?,
        })
    }
}

/// The numbers `0..count` in an order drawn for one pass (Fisher and Yates).
fn shuffled(count: u32, seed: u64, pass: u64) -> Vec<u32> {
    let stream = NoiseStream::new(seed, streams::ORDER + pass);
    let mut order: Vec<u32> = (0..count).collect();
    for last in (1..count).rev() {
        let [low, high, ..] = stream.bits(0, u64::from(last));
        let bits = u64::from(low) | u64::from(high) << 32;
        let other = (u128::from(bits) * u128::from(last + 1)) >> 64;
        order.swap(last as usize, other as usize);
    }
    order
}
