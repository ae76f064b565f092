//! A convolutional U-Net (Ronneberger et al. 2015) of residual blocks, for small images.
//!
//! ```text
//! h = conv(patches of x) + bias
//! h = blocks(h);  skip = h;  h = conv(h), every second pixel, + bias      for each level but the last
//! h = blocks(h);  h = blocks(h)                                           at the last
//! h = conv(h enlarged, skip) + bias;  h = blocks(h)                       for each level, back
//! output = patches of conv(h)
//!
//! block:  h + conv(silu(conv(normal(h)) + bias))
//! ```
//!
//! All convolutions are 3x3, and each `bias` is of noise level and class; a level has twice the channels of the one before. A pixel's channels are normalised without scale and shift, and
//! noise level and class are biases: on a device all that is left of either is tables. Images are channels-last inside.

use super::conditioning::{Conditioning, Shapes};
use super::image_patches::ImagePatches;
use super::{Inputs, Network, Parameters, Weights};
#[cfg(feature = "wgpu")]
use crate::error::Error;
#[cfg(feature = "wgpu")]
use crate::gpu::recorder::{Product, Recorder, Value};
use crate::operators::{Activation, convolution, join, normalise};
use candle_core::{Device, Result, Tensor};

/// The network's sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UNet {
    patches: ImagePatches,
    conditioning: Conditioning,
    channels: usize,
    blocks: usize,
    levels: usize,
}

/// Pixels across a filter.
const FILTER: usize = 3;
/// The embedding of the noise level is so many times as wide as the first level.
const EMBEDDING: usize = 4;

impl UNet {
    /// A network with `channels` at the first of `levels` levels and `blocks` residual blocks at each, down and up.
    pub(super) fn new(
        patches: ImagePatches,
        classes: usize,
        end_level: bool,
        channels: usize,
        blocks: usize,
        levels: usize,
    ) -> Self {
        let conditioning = Conditioning { classes, end_level, width: EMBEDDING * channels };
        Self { patches, conditioning, channels, blocks, levels }
    }

    /// How often an image is halved, as a divisor of its sides.
    pub(super) fn divisor(levels: usize) -> usize {
        1 << (levels - 1)
    }

    fn channels_of(&self, level: usize) -> usize {
        self.channels << level
    }

    /// The names of the blocks at a level on the way there, and on the way back.
    fn blocks_of<'a>(&self, way: &'a str, level: usize) -> impl Iterator<Item = String> + use<'a> {
        (0..self.blocks).map(move |block| format!("{way}.{level}.block.{block}"))
    }

    /// A convolution whose bias is of noise level and class.
    fn list_told(&self, list: &mut Shapes, name: &str, inputs: usize, outputs: usize) {
        list.push((format!("{name}.weight"), vec![outputs, FILTER, FILTER, inputs]));
        self.conditioning.list_bias(list, name, outputs);
    }
}

/// A forward pass: the weights, and what layers are told.
struct Pass<'a> {
    network: &'a UNet,
    weights: &'a dyn Weights,
    embedding: Tensor,
    inputs: &'a Inputs,
}

impl Pass<'_> {
    fn told(&self, name: &str, x: &Tensor, stride: usize, activation: Activation) -> Result<Tensor> {
        let bias = self.network.conditioning.bias(self.weights, name, &self.embedding, self.inputs)?;
        convolution(x, self.weights.get(&format!("{name}.weight"))?, &bias, stride, activation)
    }

    fn plain(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let get = |part: &str| self.weights.get(&format!("{name}.{part}"));
        convolution(x, get("weight")?, get("bias")?, 1, Activation::None)
    }

    fn block(&self, name: &str, h: &Tensor) -> Result<Tensor> {
        let hidden = self.told(&format!("{name}.first"), &normalise(h)?, 1, Activation::Silu)?;
        h + self.plain(&format!("{name}.second"), &hidden)?
    }
}

fn list_plain(list: &mut Shapes, name: &str, inputs: usize, outputs: usize) {
    list.push((format!("{name}.weight"), vec![outputs, FILTER, FILTER, inputs]));
    list.push((format!("{name}.bias"), vec![outputs]));
}

impl Network for UNet {
    fn weights(&self) -> Shapes {
        let mut list = Shapes::new();
        self.conditioning.list(&mut list);
        let blocks = |list: &mut Shapes, way: &str, level: usize| {
            let channels = self.channels_of(level);
            for name in self.blocks_of(way, level) {
                self.list_told(list, &format!("{name}.first"), channels, channels);
                list_plain(list, &format!("{name}.second"), channels, channels);
            }
        };
        self.list_told(&mut list, "input", self.patches.channels, self.channels);
        for level in 0..self.levels {
            if level > 0 {
                let (from, to) = (self.channels_of(level - 1), self.channels_of(level));
                self.list_told(&mut list, &format!("down.{level}"), from, to);
            }
            blocks(&mut list, "down", level);
        }
        for level in (0..self.levels).rev() {
            if level + 1 < self.levels {
                let (below, own) = (self.channels_of(level + 1), self.channels_of(level));
                self.list_told(&mut list, &format!("up.{level}"), below + own, own);
            }
            blocks(&mut list, "up", level);
        }
        list_plain(&mut list, "output", self.channels, self.patches.channels);
        list
    }

    fn initialise(&self, seed: u64, device: &Device) -> Result<Parameters> {
        Parameters::initialise(&self.weights(), seed, device)
    }

    fn multiply_accumulates(&self) -> u64 {
        let pixels = self.patches.count();
        let of = |(name, shape): &(String, Vec<usize>)| {
            // A filter meets every pixel of its level, the second part of `down.1.weight`.
            let level: usize = name.split('.').nth(1).and_then(|part| part.parse().ok()).unwrap_or(0);
            shape.iter().product::<usize>() * if shape.len() == 4 { pixels >> (2 * level) } else { 1 }
        };
        self.weights().iter().map(|weight| of(weight) as u64).sum()
    }

    fn forward(&self, weights: &dyn Weights, inputs: &Inputs) -> Result<Tensor> {
        let embedding = self.conditioning.embedding(weights, &inputs.angle)?;
        let pass = Pass { network: self, weights, embedding, inputs };
        let mut h = pass.told("input", &self.patches.cut(&inputs.state)?, 1, Activation::None)?;
        let mut skips = Vec::new();
        for level in 0..self.levels {
            if level > 0 {
                skips.push(h.clone());
                h = pass.told(&format!("down.{level}"), &h, 2, Activation::None)?;
            }
            for name in self.blocks_of("down", level) {
                h = pass.block(&name, &h)?;
            }
        }
        for level in (0..self.levels).rev() {
            if let Some(skip) = skips.get(level) {
                h = pass.told(&format!("up.{level}"), &join(&h, skip, 2)?, 1, Activation::None)?;
            }
            for name in self.blocks_of("up", level) {
                h = pass.block(&name, &h)?;
            }
        }
        self.patches.assemble(&pass.plain("output", &h)?)
    }

    #[cfg(feature = "wgpu")]
    fn record(&self, recorder: &mut Recorder<'_, '_>) -> std::result::Result<(), Error> {
        let patches = self.patches.record_cut(recorder)?;
        let mut recording = Recording { network: self, recorder };
        let mut h = recording.told("input", &patches, 0, 1, Activation::None)?;
        let mut skips = Vec::new();
        for level in 0..self.levels {
            if level > 0 {
                skips.push(h.clone());
                h = recording.told(&format!("down.{level}"), &h, level - 1, 2, Activation::None)?;
            }
            for name in self.blocks_of("down", level) {
                h = recording.block(&name, &h, level)?;
            }
        }
        for level in (0..self.levels).rev() {
            if let Some(skip) = skips.get(level) {
                let joined = recording.recorder.join(&h, skip, self.image_at(level)[1], 2)?;
                h = recording.told(&format!("up.{level}"), &joined, level, 1, Activation::None)?;
            }
            for name in self.blocks_of("up", level) {
                h = recording.block(&name, &h, level)?;
            }
        }
        let output = recording.plain("output", &h, 0, None)?;
        self.patches.record_assemble(recorder, &output)
    }
}

#[cfg(feature = "wgpu")]
impl UNet {
    /// Height and width of the images at a level.
    fn image_at(&self, level: usize) -> [usize; 2] {
        [self.patches.rows >> level, self.patches.columns >> level]
    }
}

/// A forward pass that is taken down.
#[cfg(feature = "wgpu")]
struct Recording<'r, 'a, 'w> {
    network: &'r UNet,
    recorder: &'r mut Recorder<'a, 'w>,
}

#[cfg(feature = "wgpu")]
impl Recording<'_, '_, '_> {
    /// A convolution of images of a level, with a bias of noise level and class.
    fn told(
        &mut self,
        name: &str,
        x: &Value,
        level: usize,
        stride: usize,
        activation: Activation,
    ) -> std::result::Result<Value, Error> {
        let (bias, image) = (self.network.conditioning.record(self.recorder, name)?, self.network.image_at(level));
        let weight = format!("{name}.weight");
        let layer = Product { weight: &weight, image, size: FILTER, stride, activation, residual: None };
        self.recorder.product(x, &bias, layer)
    }

    fn plain(
        &mut self,
        name: &str,
        x: &Value,
        level: usize,
        residual: Option<&Value>,
    ) -> std::result::Result<Value, Error> {
        let (bias, image) = (self.recorder.bias(&format!("{name}.bias"))?, self.network.image_at(level));
        let weight = format!("{name}.weight");
        let layer = Product { weight: &weight, image, size: FILTER, stride: 1, activation: Activation::None, residual };
        self.recorder.product(x, &bias, layer)
    }

    fn block(&mut self, name: &str, h: &Value, level: usize) -> std::result::Result<Value, Error> {
        let normal = self.recorder.normalise(h, None)?;
        let hidden = self.told(&format!("{name}.first"), &normal, level, 1, Activation::Silu)?;
        drop(normal);
        self.plain(&format!("{name}.second"), &hidden, level, Some(h))
    }
}
