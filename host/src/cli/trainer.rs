//! What `train` runs: gradient descent for networks, expectation maximisation for mixtures.

use crate::data::Dataset;
use crate::error::Error;
use crate::mixture::Fit;
use crate::preset::{NetworkKind, Preset};
use crate::process::AnyProcess;
use crate::run_folder::{Metrics, RunFolder};
use crate::train::Training;
use candle_core::Device;

/// A training of either kind.
pub enum Trainer<'a> {
    /// A network.
    Network(Box<Training<'a>>),
    /// A mixture; a resumed one is fitted from the start, since it takes seconds, and comes to the same numbers.
    Mixture {
        /// The fit.
        fit: Fit,
        /// What is fitted, and by which settings.
        preset: &'a Preset,
        /// The data.
        data: &'a Dataset,
    },
}

impl<'a> Trainer<'a> {
    /// The trainer that a preset names, from the state of a resumed run if there is one.
    ///
    /// # Errors
    /// Those of [`Training::begin`], [`Training::resume`] and [`Fit::begin`].
    pub fn new(
        preset: &'a Preset,
        data: &'a Dataset,
        process: &'a AnyProcess,
        device: &Device,
        resumed: Option<&RunFolder>,
    ) -> Result<Self, Error> {
        match preset.network.kind {
            NetworkKind::Mixture if data.conditions.is_some() => {
                let reason = "a mixture knows classes alone; train it with --conditions class or none";
                Err(Error::Argument(reason.to_owned()))
            }
            NetworkKind::Mixture => {
                Ok(Self::Mixture { fit: Fit::begin(data, &preset.network, preset.training.seed)?, preset, data })
            }
            NetworkKind::ResidualMlp => {
                let training = match resumed.map(RunFolder::state).filter(|state| state.is_file()) {
                    Some(state) => Training::resume(&state, preset, data, process, device)?,
                    None => Training::begin(preset, data, process, device)?,
                };
                Ok(Self::Network(Box::new(training)))
            }
        }
    }

    /// What is trained, with its article.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Network(_) => "a network",
            Self::Mixture { .. } => "a mixture",
        }
    }

    /// The number of parameters.
    pub fn parameter_count(&self) -> usize {
        match self {
            Self::Network(training) => training.parameter_count(),
            Self::Mixture { preset, data, .. } => {
                let network = preset.network.build(data.sample_size(), data.classes);
                network.weights().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
            }
        }
    }

    /// Steps made so far.
    pub fn updates(&self) -> u64 {
        match self {
            Self::Network(training) => training.updates(),
            Self::Mixture { .. } => 0,
        }
    }

    /// Trains to the preset's number of steps into a run folder; `watch` sees every line of metrics.
    ///
    /// # Errors
    /// Those of [`Training::run`] and [`Fit::run`].
    pub fn run(&mut self, folder: &RunFolder, watch: impl FnMut(&Metrics)) -> Result<(), Error> {
        match self {
            Self::Network(training) => training.run(folder, watch),
            Self::Mixture { fit, preset, data } => fit.run(preset, data, folder, watch),
        }
    }
}
