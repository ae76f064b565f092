//! A residual multilayer perceptron.
//!
//! ```text
//! h = W_in x + condition_table^T condition + silu(W_angle angle_features)
//! h = h + W_2 silu(W_1 layer_norm(h))              for each block
//! output = W_out h
//! ```

use super::{ANGLE_FEATURES, Inputs, Network, Parameters, Weights, condition};
#[cfg(feature = "wgpu")]
use crate::error::Error;
#[cfg(feature = "wgpu")]
use crate::gpu::recorder::{Product, Recorder};
use crate::operators::{Activation, layer_norm, linear};
use candle_core::{Device, Result, Tensor};

/// The network's sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResidualMlp {
    /// Numbers in a sample.
    pub features: usize,
    /// Classes, or numbers in a condition; one more row of the table stands for "none".
    pub classes: usize,
    /// Width.
    pub hidden: usize,
    /// Residual blocks.
    pub blocks: usize,
    /// Whether the network is also told the noise level that a step leads to.
    pub end_level: bool,
}

impl Network for ResidualMlp {
    fn weights(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = Vec::new();
        let linear = |list: &mut Vec<_>, name: &str, inputs, outputs| {
            list.push((format!("{name}.weight"), vec![outputs, inputs]));
            list.push((format!("{name}.bias"), vec![outputs]));
        };
        linear(&mut list, "input", self.features, self.hidden);
        list.push((condition::TABLE.to_owned(), vec![self.classes + 1, self.hidden]));
        let levels = if self.end_level { 2 } else { 1 };
        linear(&mut list, "angle", levels * ANGLE_FEATURES, self.hidden);
        for block in 0..self.blocks {
            for part in ["scale", "shift"] {
                list.push((format!("block.{block}.norm.{part}"), vec![self.hidden]));
            }
            linear(&mut list, &format!("block.{block}.first"), self.hidden, self.hidden);
            linear(&mut list, &format!("block.{block}.second"), self.hidden, self.hidden);
        }
        linear(&mut list, "output", self.hidden, self.features);
        list
    }

    fn initialise(&self, seed: u64, device: &Device) -> Result<Parameters> {
        Parameters::initialise(&self.weights(), seed, device)
    }

    fn forward(&self, weights: &dyn Weights, inputs: &Inputs) -> Result<Tensor> {
        let layer = |name: &str, x: &Tensor, activation| {
            linear(x, weights.get(&format!("{name}.weight"))?, weights.get(&format!("{name}.bias"))?, activation)
        };
        let condition = inputs.condition.embed(weights.get(condition::TABLE)?)?;
        let mut h = (layer("input", &inputs.state, Activation::None)? + condition)?;
        h = (h + layer("angle", &inputs.angle, Activation::Silu)?)?;
        for block in 0..self.blocks {
            let name = |part: &str| format!("block.{block}.{part}");
            let normal = layer_norm(&h, weights.get(&name("norm.scale"))?, weights.get(&name("norm.shift"))?)?;
            let first = layer(&name("first"), &normal, Activation::Silu)?;
            h = (h + layer(&name("second"), &first, Activation::None)?)?;
        }
        layer("output", &h, Activation::None)
    }

    #[cfg(feature = "wgpu")]
    fn record(&self, recorder: &mut Recorder<'_, '_>) -> std::result::Result<(), Error> {
        let x = recorder.input(self.features, None)?;
        // All that is added to the products of the state depends on step and class alone.
        let bias = recorder.told("input", condition::TABLE, |weights, angles| {
            let angle = linear(angles, weights.get("angle.weight")?, weights.get("angle.bias")?, Activation::Silu)?;
            angle.broadcast_add(weights.get("input.bias")?)
        })?;
        let layer = Product {
            weight: "input.weight",
            image: [1, 1],
            size: 1,
            stride: 1,
            activation: Activation::None,
            residual: None,
        };
        let mut h = recorder.product(&x, &bias, layer)?;
        drop(x);
        for block in 0..self.blocks {
            let name = |part: &str| format!("block.{block}.{part}");
            let normal = recorder.normalise(&h, Some([&name("norm.scale"), &name("norm.shift")]))?;
            let first = recorder.linear(&normal, &name("first"), Activation::Silu, None)?;
            h = recorder.linear(&first, &name("second"), Activation::None, Some(&h))?;
        }
        let output = recorder.linear(&h, "output", Activation::None, None)?;
        recorder.output(&output, None)
    }
}
