//! How a network of images is told noise level and class: by a bias for every channel, which a device looks up in tables.
//!
//! ```text
//! e = silu(W_angle angle_features)                                 once
//! bias = W e + b + table^T condition                  for each layer that is told
//! ```

use super::condition::TABLE;
use super::{ANGLE_FEATURES, Inputs, Weights};
#[cfg(feature = "wgpu")]
use crate::error::Error;
#[cfg(feature = "wgpu")]
use crate::gpu::recorder::{Bias, Recorder};
use crate::operators::{Activation, linear};
use candle_core::{Result, Tensor};

/// Name and shape of a network's weights, in their order.
pub(super) type Shapes = Vec<(String, Vec<usize>)>;

/// What is told, and how wide the embedding of the noise level is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conditioning {
    /// Classes, or numbers in a condition; one more row of each table stands for "none".
    pub classes: usize,
    /// Whether the network is also told the noise level that a step leads to.
    pub end_level: bool,
    /// Numbers in `e`.
    pub width: usize,
}

impl Conditioning {
    /// The weights of `e`.
    pub fn list(&self, list: &mut Shapes) {
        let levels = if self.end_level { 2 } else { 1 };
        list.push(("angle.weight".to_owned(), vec![self.width, levels * ANGLE_FEATURES]));
        list.push(("angle.bias".to_owned(), vec![self.width]));
    }

    /// The weights of one layer's bias.
    pub fn list_bias(&self, list: &mut Shapes, layer: &str, channels: usize) {
        list.push((format!("{layer}.angle.weight"), vec![channels, self.width]));
        list.push((format!("{layer}.angle.bias"), vec![channels]));
        list.push((format!("{layer}.{TABLE}.weight"), vec![self.classes + 1, channels]));
    }

    /// `e` for every row of [`angle_features`](super::angle_features), `[batch, width]`.
    pub fn embedding(&self, weights: &dyn Weights, angles: &Tensor) -> Result<Tensor> {
        linear(angles, weights.get("angle.weight")?, weights.get("angle.bias")?, Activation::Silu)
    }

    /// A layer's bias for every row, `[batch, channels]`.
    pub fn bias(&self, weights: &dyn Weights, layer: &str, embedding: &Tensor, inputs: &Inputs) -> Result<Tensor> {
        let of_condition = inputs.condition.embed(weights.get(&format!("{layer}.{TABLE}.weight"))?)?;
        self.bias_of_level(weights, layer, embedding)? + of_condition
    }

    /// The part of a layer's bias that is of the noise level.
    fn bias_of_level(&self, weights: &dyn Weights, layer: &str, embedding: &Tensor) -> Result<Tensor> {
        let get = |part: &str| weights.get(&format!("{layer}.angle.{part}"));
        linear(embedding, get("weight")?, get("bias")?, Activation::None)
    }

    /// The same bias on a GPU, for every step and class.
    #[cfg(feature = "wgpu")]
    pub fn record(&self, recorder: &mut Recorder<'_, '_>, layer: &str) -> std::result::Result<Bias, Error> {
        recorder.told(layer, &format!("{layer}.{TABLE}.weight"), |weights, angles| {
            self.bias_of_level(weights, layer, &self.embedding(weights, angles)?)
        })
    }
}
