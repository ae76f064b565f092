//! A network that computes in half precision: mixed precision training (Micikevicius et al. 2018).
//!
//! The weights stay f32, and so does the optimiser; every forward pass rounds the matrices to bf16 or f16, and gradients come back in f32. Biases,
//! scales and tables, which only add, are not rounded.

use super::condition::is_table;
use super::{Inputs, Network, Parameters, Weights};
use crate::network::parameters::FrozenWeights;
use candle_core::{DType, Device, Result, Tensor};

/// The same function as the network inside, in another precision.
pub struct HalfPrecision {
    network: Box<dyn Network>,
    dtype: DType,
    /// The name of every weight, and whether it is rounded.
    rounded: Vec<(String, bool)>,
}

impl HalfPrecision {
    /// The network in `dtype`, bf16 or f16.
    pub fn new(network: Box<dyn Network>, dtype: DType) -> Self {
        let is_matrix = |name: &str, shape: &[usize]| shape.len() > 1 && !is_table(name);
        let rounded = network.weights().into_iter().map(|(name, shape)| {
            let is_matrix = is_matrix(&name, &shape);
            (name, is_matrix)
        });
        Self { rounded: rounded.collect(), network, dtype }
    }
}

impl Network for HalfPrecision {
    fn weights(&self) -> Vec<(String, Vec<usize>)> {
        self.network.weights()
    }

    fn initialise(&self, seed: u64, device: &Device) -> Result<Parameters> {
        self.network.initialise(seed, device)
    }

    fn forward(&self, weights: &dyn Weights, inputs: &Inputs) -> Result<Tensor> {
        let rounded = self.rounded.iter().map(|(name, is_rounded)| {
            let weight = weights.get(name)?;
            Ok((name.clone(), if *is_rounded { weight.to_dtype(self.dtype)? } else { weight.clone() }))
        });
        let rounded = FrozenWeights::new(rounded.collect::<Result<_>>()?);
        let inputs = Inputs {
            state: inputs.state.to_dtype(self.dtype)?,
            angle: inputs.angle.to_dtype(self.dtype)?,
            condition: inputs.condition.clone(),
        };
        self.network.forward(&rounded, &inputs)?.to_dtype(DType::F32)
    }

    fn harvest(&self, weights: FrozenWeights) -> Result<FrozenWeights> {
        self.network.harvest(weights)
    }
}
