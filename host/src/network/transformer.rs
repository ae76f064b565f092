//! A transformer over the patches of small images (Dosovitskiy et al. 2021; Peebles and Xie 2023).
//!
//! ```text
//! h = W_in patches + position_table + bias(noise level, class)
//! h = h + W_o attention(W_qkv normal(h))                             for each block
//! h = h + W_2 silu(W_1 normal(h))
//! output = patches of W_out normal(h)
//! ```
//!
//! Tokens are normalised without scale and shift, which the next layer's weights take over.

use super::conditioning::{Conditioning, Shapes};
use super::image_patches::ImagePatches;
use super::{Inputs, Network, Parameters, Weights};
use crate::error::Error;
#[cfg(feature = "wgpu")]
use crate::gpu::recorder::{Product, Recorder};
use crate::operators::{Activation, attention, convolution, linear, normalise};
use candle_core::{Device, Result, Tensor};

/// The network's sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transformer {
    patches: ImagePatches,
    conditioning: Conditioning,
    width: usize,
    blocks: usize,
    heads: usize,
}

/// The hidden layer of a block is so many times as wide as a token.
const WIDENING: usize = 4;

impl Transformer {
    /// A network of `blocks` blocks over tokens of `width` numbers, seen by `heads` heads.
    ///
    /// # Errors
    /// [`Error::Argument`] for heads that do not divide the width.
    pub(super) fn new(
        patches: ImagePatches,
        classes: usize,
        end_level: bool,
        width: usize,
        blocks: usize,
        heads: usize,
    ) -> std::result::Result<Self, Error> {
        if !width.is_multiple_of(heads) {
            return Err(Error::Argument(format!(
                "network.hidden = {width} must be a multiple of network.heads = {heads}, which share it"
            )));
        }
        let conditioning = Conditioning { classes, end_level, width };
        Ok(Self { patches, conditioning, width, blocks, heads })
    }
}

fn list_linear(list: &mut Shapes, name: &str, inputs: usize, outputs: usize) {
    list.push((format!("{name}.weight"), vec![outputs, inputs]));
    list.push((format!("{name}.bias"), vec![outputs]));
}

impl Network for Transformer {
    fn weights(&self) -> Shapes {
        let mut list = Shapes::new();
        self.conditioning.list(&mut list);
        // A filter of one pixel, so that every image can have a bias of its own.
        list.push(("input.weight".to_owned(), vec![self.width, 1, 1, self.patches.channels]));
        self.conditioning.list_bias(&mut list, "input", self.width);
        list.push(("position.weight".to_owned(), vec![self.patches.count(), self.width]));
        for block in 0..self.blocks {
            let width = self.width;
            for (name, inputs, outputs) in [
                ("heads", width, 3 * width),
                ("merge", width, width),
                ("first", width, WIDENING * width),
                ("second", WIDENING * width, width),
            ] {
                list_linear(&mut list, &format!("block.{block}.{name}"), inputs, outputs);
            }
        }
        list_linear(&mut list, "output", self.width, self.patches.channels);
        list
    }

    fn initialise(&self, seed: u64, device: &Device) -> Result<Parameters> {
        Parameters::initialise(&self.weights(), seed, device)
    }

    fn multiply_accumulates(&self) -> u64 {
        let tokens = self.patches.count();
        // Every weight meets every token; each block compares all tokens, and sums their values.
        let weights: usize = self.weights().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        (tokens * (weights + 2 * self.blocks * tokens * self.width)) as u64
    }

    fn forward(&self, weights: &dyn Weights, inputs: &Inputs) -> Result<Tensor> {
        let layer = |name: &str, x: &Tensor, activation| {
            linear(x, weights.get(&format!("{name}.weight"))?, weights.get(&format!("{name}.bias"))?, activation)
        };
        let embedding = self.conditioning.embedding(weights, &inputs.angle)?;
        let bias = self.conditioning.bias(weights, "input", &embedding, inputs)?;
        let state = self.patches.cut(&inputs.state)?;
        let h = convolution(&state, weights.get("input.weight")?, &bias, 1, Activation::None)?;
        let (batch, tokens) = (h.dim(0)?, self.patches.count());
        let position = weights.get("position.weight")?.to_dtype(h.dtype())?;
        let h = h.reshape((batch, tokens, self.width))?.broadcast_add(&position)?;
        // One token for each row, which is all that layers see.
        let mut h = h.reshape((batch * tokens, self.width))?;
        for block in 0..self.blocks {
            let name = |part: &str| format!("block.{block}.{part}");
            let qkv = layer(&name("heads"), &normalise(&h)?, Activation::None)?;
            let seen = attention(&qkv.reshape((batch, tokens, 3 * self.width))?, self.heads)?;
            h = (h + layer(&name("merge"), &seen.reshape((batch * tokens, self.width))?, Activation::None)?)?;
            let hidden = layer(&name("first"), &normalise(&h)?, Activation::Silu)?;
            h = (h + layer(&name("second"), &hidden, Activation::None)?)?;
        }
        self.patches.assemble(&layer("output", &normalise(&h)?, Activation::None)?)
    }

    #[cfg(feature = "wgpu")]
    fn record(&self, recorder: &mut Recorder<'_, '_>) -> std::result::Result<(), Error> {
        let state = self.patches.record_cut(recorder)?;
        let bias = self.conditioning.record(recorder, "input")?;
        let position = recorder.table("position.weight", self.patches.count(), self.width)?;
        let layer = Product {
            weight: "input.weight",
            image: [self.patches.rows, self.patches.columns],
            size: 1,
            stride: 1,
            activation: Activation::None,
            residual: Some(&position),
        };
        let mut h = recorder.product(&state, &bias, layer)?;
        drop(state);
        for block in 0..self.blocks {
            let name = |part: &str| format!("block.{block}.{part}");
            let normal = recorder.normalise(&h, None)?;
            let qkv = recorder.linear(&normal, &name("heads"), Activation::None, None)?;
            let seen = recorder.attention(&qkv, self.heads)?;
            h = recorder.linear(&seen, &name("merge"), Activation::None, Some(&h))?;
            let normal = recorder.normalise(&h, None)?;
            let hidden = recorder.linear(&normal, &name("first"), Activation::Silu, None)?;
            h = recorder.linear(&hidden, &name("second"), Activation::None, Some(&h))?;
        }
        let normal = recorder.normalise(&h, None)?;
        let output = recorder.linear(&normal, "output", Activation::None, None)?;
        self.patches.record_assemble(recorder, &output)
    }
}
