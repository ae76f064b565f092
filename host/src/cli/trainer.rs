//! What `train` runs: gradient descent, or expectation maximisation for mixtures.

use crate::data::Dataset;
use crate::error::Error;
use crate::mixture::Fit;
use crate::network::{Mixture, Network};
use crate::preset::{NetworkKind, NetworkSettings, Preset, TrainingMethod};
use crate::process::AnyProcess;
use crate::run_folder::{Metrics, RunFolder};
use crate::train::Training;
use candle_core::Device;

/// A training of either kind.
pub enum Trainer<'a> {
    /// Of a network, or of a mixture by the denoising loss.
    Gradients(Box<Training<'a>>),
    /// Of a mixture; a resumed one is fitted from the start, since it takes seconds, and comes to the same numbers.
    Expectations {
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
        match preset.training.method {
            _ if preset.network.kind == NetworkKind::Mixture && data.conditions.is_some() => {
                let reason = "a mixture knows classes alone; train it with --conditions class or none";
                Err(Error::Argument(reason.to_owned()))
            }
            TrainingMethod::Em => {
                Ok(Self::Expectations { fit: Fit::begin(data, &preset.network, preset.training.seed)?, preset, data })
            }
            TrainingMethod::Denoising => {
                let training = match resumed.map(RunFolder::state).filter(|state| state.is_file()) {
                    Some(state) => Training::resume(&state, preset, data, process, device)?,
                    None => Training::begin(preset, data, process, device)?,
                };
                Ok(Self::Gradients(Box::new(training)))
            }
        }
    }

    /// What is trained, with its article.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Gradients(training) if training.preset().network.kind == NetworkKind::Mixture => "a mixture",
            Self::Gradients(_) => "a network",
            Self::Expectations { .. } => "a mixture",
        }
    }

    /// The number of parameters.
    pub fn parameter_count(&self) -> usize {
        match self {
            Self::Gradients(training) => training.parameter_count(),
            Self::Expectations { preset, data, .. } => {
                let NetworkSettings { components, rank, .. } = preset.network;
                let network = Mixture { features: data.sample_size(), classes: data.classes, components, rank };
                network.weights().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
            }
        }
    }

    /// Steps made so far.
    pub fn updates(&self) -> u64 {
        match self {
            Self::Gradients(training) => training.updates(),
            Self::Expectations { .. } => 0,
        }
    }

    /// Trains to the preset's number of steps into a run folder; `watch` sees every line of metrics.
    ///
    /// # Errors
    /// Those of [`Training::run`] and [`Fit::run`].
    pub fn run(&mut self, folder: &RunFolder, watch: impl FnMut(&Metrics)) -> Result<(), Error> {
        match self {
            Self::Gradients(training) => training.run(folder, watch),
            Self::Expectations { fit, preset, data } => fit.run(preset, data, folder, watch),
        }
    }
}
