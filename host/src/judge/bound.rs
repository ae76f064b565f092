//! The variational bound of a model on real rows, in bits per dimension; its formulas stand in [`tweedie_core::bound`].
//!
//! The chain goes from the noisiest state that the sampler starts in, evenly in log-SNR, down to noise of a quarter of the distance between
//! the data's levels. There the levels can be told apart; beyond, a denoiser that has not been told that data are discrete would only be
//! charged for its ignorance. Any chain gives a bound, and this rule is the same for all models.

use super::evaluation::{Bound, LevelTerm};
use crate::checkpoint::Model;
use crate::data::DataLevels;
use crate::data::Dataset;
use crate::error::Error;
use crate::preset::SamplingSettings;
use crate::process::AnyProcess;
use crate::sample::estimate;
use rayon::prelude::*;
use tweedie_core::bound::{Levels, StepTerm, bits_per_dimension, prior, reconstruction};
use tweedie_core::ddpm::Variance;
use tweedie_core::discretise::Spacing;
use tweedie_core::forward::Noising;
use tweedie_core::noise::NoiseStream;
use tweedie_core::schedule::Process;

/// Steps of the chain.
const STEPS: usize = 500;
/// Ranges of noise levels that are told apart.
const RANGES: usize = 50;
/// The most rows of either kind that are looked at.
const MOST_ROWS: usize = 500;
/// The least noise, in units of the distance between the data's levels.
const LEAST_NOISE: f64 = 0.25;
/// The seed of the noise that rows are put under, another than any that samples are asked for with by habit.
const SEED: u64 = 0x62_6f75_6e64;

/// Rows with their classes; the number of classes stands for "none".
struct Rows {
    samples: Vec<f32>,
    classes: Vec<u32>,
}

/// Mean nats of a row.
struct Parts {
    prior: f64,
    /// One for each step, from noise to data.
    steps: Vec<f64>,
    reconstruction: f64,
}

/// The bound of `model`, sampled by `settings`, on held-out rows and on training rows.
///
/// # Errors
/// A clause that says why there is no bound: data without levels, or a prediction that does not determine the data at some time.
pub fn of(
    model: &Model,
    settings: &SamplingSettings,
    levels: &DataLevels,
    training: &Dataset,
    held_out: &Dataset,
) -> Result<Bound, Error> {
    let chain = Chain::new(model, settings, levels)?;
    let (own, seen) = (chain.parts(&rows(held_out))?, chain.parts(&rows(training))?);
    let bits = |nats: f64| bits_per_dimension(nats, model.description.features());
    let total = |parts: &Parts| bits(parts.prior + parts.steps.iter().sum::<f64>() + parts.reconstruction);
    let process = &chain.process;
    let ranges = own.steps.chunks(STEPS / RANGES).zip(chain.times.chunks(STEPS / RANGES)).rev();
    let by_level = ranges.map(|(nats, times)| {
        let middle = process.level(times[times.len() / 2])?;
        Ok(LevelTerm { log_snr: middle.log_snr(), bits: bits(nats.iter().sum()) })
    });
    Ok(Bound {
        held_out: total(&own),
        training: total(&seen),
        prior: bits(own.prior),
        diffusion: bits(own.steps.iter().sum()),
        reconstruction: bits(own.reconstruction),
        data_levels: levels.count,
        steps: STEPS,
        by_level: by_level.collect::<Result<_, tweedie_core::Error>>()?,
    })
}

/// At most [`MOST_ROWS`] rows, evenly spaced.
fn rows(data: &Dataset) -> Rows {
    let count = data.len().min(MOST_ROWS);
    let indices = (0..count).map(|place| place * data.len() / count);
    let class = |index: usize| data.labels.as_ref().map_or(data.classes as u32, |labels| labels[index]);
    Rows {
        samples: indices.clone().flat_map(|index| data.sample(index)).copied().collect(),
        classes: indices.map(class).collect(),
    }
}

struct Chain<'a> {
    model: &'a Model,
    settings: &'a SamplingSettings,
    process: AnyProcess,
    levels: Levels,
    /// From noise to data, one more than steps.
    times: Vec<f64>,
}

impl<'a> Chain<'a> {
    fn new(model: &'a Model, settings: &'a SamplingSettings, levels: &DataLevels) -> Result<Self, Error> {
        let process = AnyProcess::new(&model.preset.process)?;
        let spacing = f64::from(levels.spacing);
        let most = model.preset.process.max_time * process.horizon();
        let least = process.time_of_log_snr(-2.0 * (LEAST_NOISE * spacing).ln())?;
        let least = least.max(model.preset.process.min_time * process.horizon());
        let mut times = vec![0.0; STEPS + 1];
        Spacing::LogSnr.fill(&process, most, least, &mut times)?;
        let levels = Levels { low: f64::from(levels.low), spacing, count: levels.count };
        Ok(Self { model, settings, process, levels, times })
    }

    fn parts(&self, rows: &Rows) -> Result<Parts, Error> {
        let steps = (0..STEPS).into_par_iter().map(|step| self.step(step, rows)).collect::<Result<_, Error>>()?;
        let first = self.process.level(self.times[0])?;
        let mean = |sum: f64| sum / rows.classes.len() as f64;
        let mut sum = 0.0;
        for &x_0 in &rows.samples {
            sum += prior(f64::from(x_0), first)?;
        }
        Ok(Parts { prior: mean(sum), steps, reconstruction: self.reconstruction(rows)? })
    }

    /// Mean nats of the step from time `step` to the next.
    fn step(&self, step: usize, rows: &Rows) -> Result<f64, Error> {
        let (from, to) = (self.process.level(self.times[step])?, self.process.level(self.times[step + 1])?);
        let term = StepTerm::new(from, to, Variance::Posterior)?;
        let estimates = self.estimates(step, rows)?;
        let errors = rows.samples.iter().zip(&estimates).map(|(x_0, x0_hat)| f64::from(x_0 - x0_hat));
        Ok(errors.map(|error| term.nats(error)).sum::<f64>() / rows.classes.len() as f64)
    }

    fn reconstruction(&self, rows: &Rows) -> Result<f64, Error> {
        let level = self.process.level(self.times[STEPS])?;
        let mut sum = 0.0;
        for (&x_0, x0_hat) in rows.samples.iter().zip(self.estimates(STEPS, rows)?) {
            sum += reconstruction(f64::from(x_0), f64::from(x0_hat), level, &self.levels)?;
        }
        Ok(sum / rows.classes.len() as f64)
    }

    /// The model's estimates of rows that have been put under the noise of a time.
    fn estimates(&self, step: usize, rows: &Rows) -> Result<Vec<f32>, Error> {
        let (t, features) = (self.times[step], self.model.description.features());
        let noising = Noising::jump(self.process.level(t)?);
        let mut states = rows.samples.clone();
        let mut eps = vec![0.0_f32; features];
        for (row, state) in states.chunks_exact_mut(features).enumerate() {
            NoiseStream::new(SEED, row as u64).fill(step as u32, &mut eps);
            noising.apply(state, &eps[..]).map_err(|error| Error::Argument(error.to_string()))?;
        }
        estimate(self.model, &self.process, self.settings, t, states, &rows.classes)
    }
}
