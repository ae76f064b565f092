//! The variational bound of a model on real rows, in bits per dimension; its formulas stand in [`tweedie_core::bound`].
//!
//! The chain goes from the noisiest state that the sampler starts in, evenly in log-SNR, down to noise of a quarter of the distance between
//! the data's levels. There the levels can be told apart; beyond, a denoiser that has not been told that data are discrete would only be
//! charged for its ignorance. Any chain gives a bound, and this rule is the same for all models.
//!
//! A row's bound takes as many evaluations of the network as the chain has steps. Where that comes to more than [`MOST_WORK`], each row is looked at in every
//! `k`-th step alone, the next row in those one further on: the mean over rows is an estimate of the same bound, without bias, since rows and steps know
//! nothing of one another.

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
/// The most multiply-accumulates that steps may take, of both kinds of rows together: about half a minute on two cores.
pub const MOST_WORK: u64 = 500_000_000_000;
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
    let (held_out, training) = (rows(held_out), rows(training));
    let guided = settings.guidance != 1.0 && model.description.classes > 0;
    let work = model.network.multiply_accumulates() * if guided { 2 } else { 1 };
    let every = every(work, [&held_out, &training].map(|rows| rows.classes.len()));
    let chain = Chain::new(model, settings, levels, every)?;
    let (own, seen) = (chain.parts(&held_out)?, chain.parts(&training)?);
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
        rows: held_out.classes.len(),
        steps_of_a_row: STEPS.div_ceil(every),
        by_level: by_level.collect::<Result<_, tweedie_core::Error>>()?,
    })
}

/// Of how many steps each row is looked at in one, for a network of so many multiply-accumulates: at least 1, and so few that every step has a row of either kind.
fn every(work: u64, [held_out, training]: [usize; 2]) -> usize {
    let evaluations = (STEPS * (held_out + training)) as u64;
    let wanted = work.saturating_mul(evaluations).div_ceil(MOST_WORK);
    (wanted as usize).clamp(1, held_out.min(training).max(1))
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

impl Rows {
    /// Those that are looked at in a step, with their numbers; all of them where every step sees every row.
    fn of_step(&self, step: usize, every: usize) -> Vec<usize> {
        (0..self.classes.len()).filter(|row| (row + step).is_multiple_of(every)).collect()
    }
}

struct Chain<'a> {
    model: &'a Model,
    settings: &'a SamplingSettings,
    process: AnyProcess,
    levels: Levels,
    /// From noise to data, one more than steps.
    times: Vec<f64>,
    /// A row is looked at in one of so many steps.
    every: usize,
}

impl<'a> Chain<'a> {
    fn new(model: &'a Model, settings: &'a SamplingSettings, levels: &DataLevels, every: usize) -> Result<Self, Error> {
        let process = AnyProcess::new(&model.preset.process)?;
        let spacing = f64::from(levels.spacing);
        let most = model.preset.process.max_time * process.horizon();
        let least = process.time_of_log_snr(-2.0 * (LEAST_NOISE * spacing).ln())?;
        let least = least.max(model.preset.process.min_time * process.horizon());
        let mut times = vec![0.0; STEPS + 1];
        Spacing::LogSnr.fill(&process, most, least, &mut times)?;
        let levels = Levels { low: f64::from(levels.low), spacing, count: levels.count };
        Ok(Self { model, settings, process, levels, times, every })
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
        let seen = rows.of_step(step, self.every);
        let estimates = self.estimates(step, rows, &seen)?;
        let originals = seen.iter().flat_map(|&row| self.row(rows, row));
        let errors = originals.zip(&estimates).map(|(x_0, x0_hat)| f64::from(x_0 - x0_hat));
        Ok(errors.map(|error| term.nats(error)).sum::<f64>() / seen.len() as f64)
    }

    fn reconstruction(&self, rows: &Rows) -> Result<f64, Error> {
        let level = self.process.level(self.times[STEPS])?;
        let mut sum = 0.0;
        let all: Vec<usize> = (0..rows.classes.len()).collect();
        for (&x_0, x0_hat) in rows.samples.iter().zip(self.estimates(STEPS, rows, &all)?) {
            sum += reconstruction(f64::from(x_0), f64::from(x0_hat), level, &self.levels)?;
        }
        Ok(sum / rows.classes.len() as f64)
    }

    /// One row's numbers.
    fn row<'r>(&self, rows: &'r Rows, row: usize) -> &'r [f32] {
        let features = self.model.description.features();
        &rows.samples[row * features..][..features]
    }

    /// The model's estimates of some rows that have been put under the noise of a time.
    fn estimates(&self, step: usize, rows: &Rows, seen: &[usize]) -> Result<Vec<f32>, Error> {
        let (t, features) = (self.times[step], self.model.description.features());
        let noising = Noising::jump(self.process.level(t)?);
        let mut states: Vec<f32> = seen.iter().flat_map(|&row| self.row(rows, row)).copied().collect();
        let mut eps = vec![0.0_f32; features];
        for (&row, state) in seen.iter().zip(states.chunks_exact_mut(features)) {
            NoiseStream::new(SEED, row as u64).fill(step as u32, &mut eps);
            noising.apply(state, &eps[..]).map_err(|error| Error::Argument(error.to_string()))?;
        }
        let classes: Vec<u32> = seen.iter().map(|&row| rows.classes[row]).collect();
        estimate(self.model, &self.process, self.settings, t, states, &classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::tests::model;
    use crate::preset::Preset;

    #[test]
    fn some_steps_of_each_row_estimate_the_bound_of_all() {
        let data = Dataset::digits().unwrap();
        let model = model(&data, &["training.steps=3"]);
        let rows = rows(&data);
        let levels = DataLevels::of(&data.samples).unwrap();
        let nats = |every| {
            let parts = Chain::new(&model, &model.preset.sampling, &levels, every).unwrap().parts(&rows).unwrap();
            assert_eq!(parts.steps.len(), STEPS);
            parts.steps.iter().sum::<f64>()
        };
        let whole = nats(1);
        for every in [7, 25] {
            let estimate = nats(every);
            assert!((estimate / whole - 1.0).abs() < 0.02 && estimate != whole, "{every}: {estimate} for {whole}");
        }
    }

    #[test]
    fn work_is_limited() {
        let features = |kind: &[&str]| {
            let overrides: Vec<String> = kind.iter().map(|&set| set.to_owned()).collect();
            let preset = Preset::load("mnist", &overrides).unwrap();
            preset.network.build(&[28, 28], 10).unwrap().multiply_accumulates()
        };
        // The network of the digits sees every row in every step, as it always has.
        assert_eq!(every(88_768, [450, 500]), 1);
        let (unet, transformer) = (features(&[]), features(&["network.kind=transformer", "network.heads=3"]));
        assert!((6_500_000..7_500_000).contains(&unet), "{unet}");
        assert!(transformer > 196 * 18 * (12 * 18 + 2 * 196), "{transformer}");
        let some = every(2 * unet, [500, 500]);
        assert!((12..20).contains(&some), "{some}");
        // However much it costs, each step has a row.
        assert_eq!(every(u64::MAX, [500, 20]), 20);
        let rows = Rows { samples: vec![0.0; 20], classes: vec![0; 20] };
        let mut seen: Vec<usize> = (0..20).flat_map(|step| rows.of_step(step, 20)).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..20));
    }
}
