//! A convolutional U-Net (Ronneberger et al. 2015) of residual blocks, for small images.
//!
//! ```text
//! h = conv(patches of x)
//! h = blocks(h);  skip = h;  h = conv(h), every second pixel         for each level but the last
//! h = blocks(h)                                                      at the last
//! h = conv(h enlarged, skip);  h = blocks(h)                         for each level, back
//! output = patches of conv(h)
//!
//! block:  h + conv(silu(conv(normal(h)) + bias(noise level, class)))
//! ```
//!
//! All convolutions are 3x3; a level has twice the channels of the one before. A pixel's channels are normalised without scale and shift, and
//! noise level and class are biases: on a device all that is left of either is tables. Images are channels-last inside.

use super::conditioning::{Conditioning, Shapes};
use super::image_patches::ImagePatches;
use super::{Inputs, Network, Parameters, Weights};
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

    fn block(&self, weights: &dyn Weights, name: &str, h: &Tensor, told: &Told<'_>) -> Result<Tensor> {
        let bias = self.conditioning.bias(weights, name, &told.embedding, told.inputs)?;
        let first = weights.get(&format!("{name}.first.weight"))?;
        let hidden = convolution(&normalise(h)?, first, &bias, 1, Activation::Silu)?;
        h + convolve(weights, &format!("{name}.second"), &hidden, 1)?
    }
}

/// What the blocks are told.
struct Told<'a> {
    embedding: Tensor,
    inputs: &'a Inputs,
}

fn list_convolution(list: &mut Shapes, name: &str, inputs: usize, outputs: usize) {
    list.push((format!("{name}.weight"), vec![outputs, FILTER, FILTER, inputs]));
    list.push((format!("{name}.bias"), vec![outputs]));
}

fn convolve(weights: &dyn Weights, name: &str, x: &Tensor, stride: usize) -> Result<Tensor> {
    let (weight, bias) = (weights.get(&format!("{name}.weight"))?, weights.get(&format!("{name}.bias"))?);
    convolution(x, weight, bias, stride, Activation::None)
}

impl Network for UNet {
    fn weights(&self) -> Shapes {
        let mut list = Shapes::new();
        self.conditioning.list(&mut list);
        let blocks = |list: &mut Shapes, way: &str, level: usize| {
            let channels = self.channels_of(level);
            for name in self.blocks_of(way, level) {
                list.push((format!("{name}.first.weight"), vec![channels, FILTER, FILTER, channels]));
                self.conditioning.list_bias(list, &name, channels);
                list_convolution(list, &format!("{name}.second"), channels, channels);
            }
        };
        list_convolution(&mut list, "input", self.patches.channels, self.channels);
        for level in 0..self.levels {
            if level > 0 {
                let (from, to) = (self.channels_of(level - 1), self.channels_of(level));
                list_convolution(&mut list, &format!("down.{level}"), from, to);
            }
            blocks(&mut list, "down", level);
        }
        for level in (0..self.levels - 1).rev() {
            let (below, own) = (self.channels_of(level + 1), self.channels_of(level));
            list_convolution(&mut list, &format!("up.{level}"), below + own, own);
            blocks(&mut list, "up", level);
        }
        list_convolution(&mut list, "output", self.channels, self.patches.channels);
        list
    }

    fn initialise(&self, seed: u64, device: &Device) -> Result<Parameters> {
        Parameters::initialise(&self.weights(), seed, device)
    }

    fn forward(&self, weights: &dyn Weights, inputs: &Inputs) -> Result<Tensor> {
        let told = Told { embedding: self.conditioning.embedding(weights, inputs)?, inputs };
        let mut h = convolve(weights, "input", &self.patches.cut(&inputs.state)?, 1)?;
        let mut skips = Vec::new();
        for level in 0..self.levels {
            if level > 0 {
                skips.push(h.clone());
                h = convolve(weights, &format!("down.{level}"), &h, 2)?;
            }
            for name in self.blocks_of("down", level) {
                h = self.block(weights, &name, &h, &told)?;
            }
        }
        for (level, skip) in skips.iter().enumerate().rev() {
            h = convolve(weights, &format!("up.{level}"), &join(&h, skip, 2)?, 1)?;
            for name in self.blocks_of("up", level) {
                h = self.block(weights, &name, &h, &told)?;
            }
        }
        self.patches.assemble(&convolve(weights, "output", &h, 1)?)
    }
}
