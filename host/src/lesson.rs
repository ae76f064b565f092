//! What a network learns: the loss of a part of a batch, whatever it stands for. One training loop serves every lesson.

use crate::error::Error;
use crate::network::parameters::FrozenWeights;
use crate::network::{Network, Parameters};
use crate::optimiser::OptimiserState;
use candle_core::{Device, Tensor};
use std::ops::Range;

/// A network in training.
#[derive(Clone, Copy)]
pub struct Learner<'a> {
    /// The network.
    pub network: &'a dyn Network,
    /// Its weights, which gradients flow to.
    pub weights: &'a Parameters,
    /// What the optimiser remembers of them.
    pub optimiser: &'a OptimiserState,
    /// Where they are.
    pub device: &'a Device,
}

impl Learner<'_> {
    /// The moving averages of the weights; they go on changing with the training.
    pub fn averages(&self) -> FrozenWeights {
        let slots = self.weights.iter().zip(&self.optimiser.slots);
        FrozenWeights::new(slots.map(|((name, _), slot)| (name.to_owned(), slot.average.clone())).collect())
    }
}

/// What is learnt. Every update is a function of its number and of the weights, so that a killed training resumes to the same bits.
pub trait Lesson: Sync {
    /// Gets ready for an update.
    ///
    /// # Errors
    /// The tensor library's.
    fn prepare(&mut self, _update: u64, _learner: &Learner<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// The loss of rows `rows` of an update's batch, a scalar: `scale` times the sum of weighted squares, so that parts add up.
    ///
    /// # Errors
    /// Noise levels that core refuses, or the tensor library's errors.
    fn loss(&self, learner: &Learner<'_>, update: u64, rows: Range<usize>, scale: f64) -> Result<Tensor, Error>;

    /// The updates over which the learning rate rises and falls once, of `0..updates`; those around `update`.
    fn stage(&self, _update: u64, updates: u64) -> Range<u64> {
        0..updates
    }

    /// Tensors that a checkpoint must hold beside weights and optimiser.
    fn memory(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    /// Takes them back from a checkpoint made after `updates` updates.
    fn recall(&mut self, _updates: u64, _memory: Vec<(String, Tensor)>) {}
}
