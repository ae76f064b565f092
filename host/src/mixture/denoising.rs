//! A mixture learnt by the denoising loss (3.2.32): gradients of the very error that sampling makes, at all noise levels.
//!
//! Expectation maximisation finds the likeliest distribution; here the denoiser is fitted itself, by the loop that trains networks. It
//! begins at the same clusters. After every update the bases are brought back to orthonormal rows, the retraction of Riemannian gradient
//! descent on the Stiefel manifold (Absil, Mahony and Sepulchre 2008, example 4.1.3).

use super::{Fit, orthonormal};
use crate::data::Dataset;
use crate::error::Error;
use crate::lesson::{Learner, Lesson};
use crate::network::{FactoredMixture, Parameters};
use crate::preset::Preset;
use candle_core::{Device, Tensor};
use std::ops::Range;

/// The first weights: of the mixture that fits clusters of the data, one pass of expectation maximisation.
///
/// # Errors
/// Those of [`Fit::begin`].
pub fn first_weights(preset: &Preset, data: &Dataset, device: &Device) -> Result<Parameters, Error> {
    let mut fit = Fit::begin(data, &preset.network, preset.training.seed)?;
    fit.pass()?;
    Ok(network(preset, data.sample_size(), data.classes).parameters_of(&fit.tables(), device)?)
}

/// What gradients flow through.
pub fn network(preset: &Preset, features: usize, classes: usize) -> FactoredMixture {
    let (components, rank) = (preset.network.components, preset.network.rank);
    FactoredMixture { features, classes, components, rank }
}

/// A lesson whose learner's bases are orthonormal whenever it is asked.
pub struct OnStiefel<L>(pub L);

impl<L: Lesson> Lesson for OnStiefel<L> {
    fn prepare(&mut self, update: u64, learner: &Learner<'_>) -> Result<(), Error> {
        for (_, bases) in learner.weights.iter().filter(|(name, _)| *name == "bases") {
            let (_, rank, features) = bases.dims3()?;
            let mut values: Vec<f64> = bases.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
            for basis in values.chunks_exact_mut((rank * features).max(1)) {
                orthonormal::rows(basis, features);
            }
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            bases.set(&Tensor::from_vec(values, bases.shape(), learner.device)?)?;
        }
        self.0.prepare(update, learner)
    }

    fn loss(&self, learner: &Learner<'_>, update: u64, rows: Range<usize>, scale: f64) -> Result<Tensor, Error> {
        self.0.loss(learner, update, rows, scale)
    }
}
