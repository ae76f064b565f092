//! Expectation maximisation for mixtures of probabilistic PCAs, one mixture for each class.

use super::maximise::Component;
use super::seeding;
use super::tables::Tables;
use crate::checkpoint::{Description, Model};
use crate::data::Dataset;
use crate::error::Error;
use crate::preset::{NetworkSettings, Preset};
use crate::run_folder::{Metrics, RunFolder};
use crate::streams;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::time::Instant;
use tweedie_core::NoiseLevel;
use tweedie_core::exact::Mixture as _;
use tweedie_core::noise::NoiseStream;

/// The longest sample that a mixture takes: an eigenvalue problem of this size is solved for each component in every pass.
const MOST_FEATURES: usize = 1024;

/// A fit under way. Every number of it is a function of the data, the sizes and the seed, whatever the number of threads.
pub struct Fit {
    classes: Vec<Class>,
    rank: usize,
}

/// The mixture of one class.
struct Class {
    /// The class's rows, `[n, dimension]`.
    rows: Vec<f64>,
    dimension: usize,
    /// How much of each row each component accounts for, `[n, components]`; the shares of a row sum to 1.
    shares: Vec<f64>,
    components: usize,
    tables: Tables,
}

impl Fit {
    /// A fit from its beginning, where each row belongs to one component. Data without labels are one class.
    ///
    /// # Errors
    /// [`Error::Argument`] for a rank that leaves no direction over, samples of more than 1024 values, or a class with
    /// fewer samples than components.
    pub fn begin(data: &Dataset, network: &NetworkSettings, seed: u64) -> Result<Self, Error> {
        let (dimension, components) = (data.sample_size(), network.components);
        if dimension > MOST_FEATURES {
            return Err(Error::Argument(format!(
                "a mixture takes samples of at most {MOST_FEATURES} values, these have {dimension}; train a network instead (the preset digits)"
            )));
        }
        if network.rank >= dimension {
            return Err(Error::Argument(format!(
                "network.rank = {} must be below {dimension}, the number of values in a sample",
                network.rank
            )));
        }
        let classes = (0..data.classes.max(1)).map(|class| {
            let is_own = |i: &usize| data.labels.as_ref().is_none_or(|labels| labels[*i] as usize == class);
            let own: Vec<usize> = (0..data.len()).filter(is_own).collect();
            if own.len() < components {
                let whose = if data.classes > 0 { format!(" of class {class}") } else { String::new() };
                return Err(Error::Argument(format!(
                    "network.components = {components} must be at most {}, the number of samples{whose}",
                    own.len()
                )));
            }
            let rows: Vec<f64> = own.iter().flat_map(|&i| data.sample(i)).map(|&value| value.into()).collect();
            let stream = NoiseStream::new(seed, streams::SEEDING + class as u64);
            let mut shares = vec![0.0; own.len() * components];
            for (row, cluster) in seeding::clusters(&rows, dimension, components, &stream).into_iter().enumerate() {
                shares[row * components + cluster] = 1.0;
            }
            Ok(Class { rows, dimension, shares, components, tables: Tables::default() })
        });
        Ok(Self { classes: classes.collect::<Result<_, _>>()?, rank: network.rank })
    }

    /// One pass over the data: the components that fit their shares best, then the shares that follow from these. Returns the mean
    /// log-likelihood of a row within its class, in nats; it does not fall from pass to pass.
    ///
    /// # Errors
    /// None on data that [`Dataset::validate`] accepts.
    pub fn pass(&mut self) -> Result<f64, Error> {
        let rank = self.rank;
        let sums = self.classes.par_iter_mut().map(|class| {
            class.maximise(rank);
            class.expect()
        });
        // Added in the order of the classes.
        let sum: f64 = sums.collect::<Result<Vec<_>, _>>()?.iter().sum();
        Ok(sum / self.rows() as f64)
    }

    /// The mixture as of the last pass: the components of class 0, then those of class 1, and so on; a class weighs as much as its rows.
    pub fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        for class in &self.classes {
            tables.append(&class.tables, class.len() as f64 / self.rows() as f64);
        }
        tables
    }

    /// Fits by the preset's number of passes into a run folder, from the start; `watch` sees every line of metrics.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn run(
        &mut self,
        preset: &Preset,
        data: &Dataset,
        folder: &RunFolder,
        mut watch: impl FnMut(&Metrics),
    ) -> Result<(), Error> {
        let (begun, steps) = (Instant::now(), preset.training.steps);
        folder.rewind_metrics(0)?;
        for step in 1..=steps {
            let likelihood = self.pass()? / data.sample_size() as f64;
            if step.is_multiple_of(preset.training.log_every) || step == steps {
                let seconds = begun.elapsed().as_secs_f64();
                let metrics = Metrics { step, loss: -likelihood, learning_rate: 0.0, gradient_norm: 0.0, seconds };
                folder.append_metrics(&metrics)?;
                watch(&metrics);
            }
        }
        let tables = self.tables();
        let network = preset.network.build(&data.shape, data.classes)?;
        let tensor = |((name, shape), (_, values)): ((String, Vec<usize>), (_, &[f64]))| {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Ok((name, Tensor::from_vec(values, shape, &Device::Cpu)?))
        };
        let weights: Vec<(String, Tensor)> =
            network.weights().into_iter().zip(tables.entries()).map(tensor).collect::<candle_core::Result<_>>()?;
        let weights: Vec<(String, &Tensor)> = weights.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
        Model::save(&folder.model(), &weights, &Description::new(preset, data)?)
    }

    fn rows(&self) -> usize {
        self.classes.iter().map(Class::len).sum()
    }
}

impl Class {
    fn len(&self) -> usize {
        self.rows.len() / self.dimension
    }

    /// Every component the most likely one for its shares.
    fn maximise(&mut self, rank: usize) {
        self.tables = Tables::default();
        for k in 0..self.components {
            let shares: Vec<f64> = self.shares.iter().skip(k).step_by(self.components).copied().collect();
            self.tables.push(&Component::most_likely(&self.rows, self.dimension, &shares, rank));
        }
    }

    /// Every share the posterior chance of its component; returns the log-likelihood of all rows.
    fn expect(&mut self) -> Result<f64, Error> {
        let mixture = self.tables.mixture(0..self.components)?;
        let mut scratch = vec![0.0; mixture.scratch_len()];
        let rows = self.rows.chunks_exact(self.dimension).zip(self.shares.chunks_exact_mut(self.components));
        let mut sum = 0.0;
        for (row, shares) in rows {
            sum += mixture.posterior(row, NoiseLevel::CLEAN, &mut scratch, shares)?;
        }
        Ok(sum)
    }
}
