//! Folding networks of images: every block writes buffers of its own, so that a buffer lives no longer than it is needed.

use super::fold::EPSILON;
use super::folded::{Buffer, Folded, FoldedLayer, FoldedLinear, Kind};
use super::folded_convolution::FoldedConvolution;
use crate::checkpoint::Model;
use crate::network::{ImagePatches, Weights, features_of};
use crate::operators::{Activation, linear};
use candle_core::{Device, Result, Tensor};

/// An image in a buffer.
#[derive(Clone, Copy)]
struct Image {
    buffer: usize,
    size: [usize; 2],
    channels: usize,
}

/// A network that grows layer by layer.
struct Builder<'a> {
    model: &'a Model,
    patches: &'a ImagePatches,
    /// The embedding of every step, `[steps, width]`.
    embedding: Tensor,
    buffers: Vec<Buffer>,
    layers: Vec<FoldedLayer>,
    input: usize,
}

impl<'a> Builder<'a> {
    /// The state, cut into patches.
    fn new(model: &'a Model, patches: &'a ImagePatches, angles: &[Vec<f64>]) -> Result<(Self, Image)> {
        let features: Vec<f32> = angles.iter().flat_map(|told| features_of(told)).collect();
        let features = Tensor::from_vec(features.clone(), (angles.len(), features.len() / angles.len()), &Device::Cpu)?;
        let weights = &model.weights;
        let embedding = linear(&features, weights.get("angle.weight")?, weights.get("angle.bias")?, Activation::Silu)?;
        let (buffers, layers) = (Vec::new(), Vec::new());
        let mut builder = Self { model, patches, embedding, buffers, layers, input: 0 };
        builder.input = builder.buffer("state", model.description.features());
        let image = builder.image("patches", [patches.rows, patches.columns], patches.channels);
        let kind = Kind::Rearrange { patches: patches.clone(), back: false };
        builder.layer("patches", builder.input, image.buffer, kind);
        Ok((builder, image))
    }

    /// The whole, whose output is this image put together.
    fn finish(mut self, image: Image) -> Folded {
        let output = self.buffer("output", self.model.description.features());
        let kind = Kind::Rearrange { patches: self.patches.clone(), back: true };
        self.layer("sample", image.buffer, output, kind);
        Folded { buffers: self.buffers, layers: self.layers, input: self.input, output }
    }

    fn buffer(&mut self, name: &str, length: usize) -> usize {
        self.buffers.push(Buffer { name: name.to_owned(), length });
        self.buffers.len() - 1
    }

    fn image(&mut self, name: &str, size: [usize; 2], channels: usize) -> Image {
        let buffer = self.buffer(name, size[0] * size[1] * channels);
        Image { buffer, size, channels }
    }

    fn layer(&mut self, name: &str, input: usize, output: usize, kind: Kind) {
        self.layers.push(FoldedLayer { name: name.to_owned(), input, output, kind });
    }

    fn get(&self, name: &str) -> Result<&'a Tensor> {
        self.model.weights.get(name)
    }

    /// A layer with its weights, a row for each output, and its bias.
    fn linear(&self, name: &str, activation: Activation, add: bool) -> Result<FoldedLinear> {
        let weight = self.rows(name)?;
        Ok(FoldedLinear { add, ..FoldedLinear::plain(&weight, self.get(&format!("{name}.bias"))?, activation) })
    }

    /// A layer whose bias is told noise level and class: `W e + b + class_table[class]`.
    fn told(&self, name: &str, activation: Activation, add: bool) -> Result<FoldedLinear> {
        let mut bias = self.get(&format!("{name}.angle.bias"))?.clone();
        let step_bias = self.embedding.matmul(&self.get(&format!("{name}.angle.weight"))?.t()?)?;
        let classes = self.get(&format!("{name}.class.weight"))?.clone();
        let class_bias = match self.model.description.classes {
            0 => {
                bias = (bias + classes.get(0)?)?;
                None
            }
            _ => Some(classes),
        };
        Ok(FoldedLinear { weight: self.rows(name)?, bias, activation, add, step_bias: Some(step_bias), class_bias })
    }

    fn rows(&self, name: &str) -> Result<Tensor> {
        let weight = self.get(&format!("{name}.weight"))?;
        weight.reshape((weight.dim(0)?, ()))
    }

    /// A convolution of one image, or of two, the first doubled; into `output`, or into an image of its own.
    fn convolution(
        &mut self,
        name: &str,
        (first, second): (Image, Option<Image>),
        stride: usize,
        linear: FoldedLinear,
        output: Option<Image>,
    ) -> Image {
        let channels = [first.channels, second.map_or(0, |image| image.channels)];
        let inputs = linear.weight.elem_count() / linear.bias.elem_count();
        let kernel = (inputs / channels.iter().sum::<usize>()).isqrt();
        let outputs = linear.bias.elem_count();
        let convolution = FoldedConvolution {
            second: second.map(|image| image.buffer),
            channels,
            doubled: [second.is_some(), false],
            size: second.map_or(first.size, |image| image.size),
            kernel,
            stride,
            padding: kernel / 2,
            linear,
        };
        let output = output.unwrap_or_else(|| self.image(name, convolution.output_size(), outputs));
        self.layer(name, first.buffer, output.buffer, Kind::Convolution(Box::new(convolution)));
        output
    }

    /// Every pixel's channels normalised.
    fn normalised(&mut self, name: &str, image: Image) -> Image {
        let output = self.image(name, image.size, image.channels);
        let kind = Kind::Normalise { features: image.channels, epsilon: EPSILON };
        self.layer(name, image.buffer, output.buffer, kind);
        output
    }
}

/// The U-Net: see [`UNet`](crate::network::UNet).
pub(super) fn unet(model: &Model, patches: &ImagePatches, angles: &[Vec<f64>]) -> Result<Folded> {
    let settings = &model.preset.network;
    let (mut builder, image) = Builder::new(model, patches, angles)?;
    let blocks = |builder: &mut Builder<'_>, way: &str, level: usize, h: Image| -> Result<()> {
        for block in 0..settings.blocks {
            let name = format!("{way}.{level}.block.{block}");
            let normal = builder.normalised(&format!("{name}.norm"), h);
            let (first, second) = (format!("{name}.first"), format!("{name}.second"));
            let told = builder.told(&first, Activation::Silu, false)?;
            let hidden = builder.convolution(&first, (normal, None), 1, told, None);
            let back = builder.linear(&second, Activation::None, true)?;
            builder.convolution(&second, (hidden, None), 1, back, Some(h));
        }
        Ok(())
    };
    let input = builder.told("input", Activation::None, false)?;
    let mut h = builder.convolution("input", (image, None), 1, input, None);
    let mut skips = Vec::new();
    for level in 0..settings.levels {
        if level > 0 {
            skips.push(h);
            let name = format!("down.{level}");
            let down = builder.told(&name, Activation::None, false)?;
            h = builder.convolution(&name, (h, None), 2, down, None);
        }
        blocks(&mut builder, "down", level, h)?;
    }
    for level in (0..settings.levels).rev() {
        if let Some(&skip) = skips.get(level) {
            let name = format!("up.{level}");
            let up = builder.told(&name, Activation::None, false)?;
            h = builder.convolution(&name, (h, Some(skip)), 1, up, None);
        }
        blocks(&mut builder, "up", level, h)?;
    }
    let output = builder.linear("output", Activation::None, false)?;
    let image = builder.convolution("output", (h, None), 1, output, None);
    Ok(builder.finish(image))
}

/// The transformer, its tokens as the pixels of an image: see [`Transformer`](crate::network::Transformer).
pub(super) fn transformer(model: &Model, patches: &ImagePatches, angles: &[Vec<f64>]) -> Result<Folded> {
    let settings = &model.preset.network;
    let (tokens, heads) = (patches.count(), settings.heads);
    let (mut builder, image) = Builder::new(model, patches, angles)?;
    let h = builder.image("tokens", image.size, settings.hidden);
    let positions = builder.get("position.weight")?.flatten_all()?;
    builder.layer("position", h.buffer, h.buffer, Kind::Constants(positions));
    let input = builder.told("input", Activation::None, true)?;
    builder.convolution("input", (image, None), 1, input, Some(h));
    for block in 0..settings.blocks {
        let name = |part: &str| format!("block.{block}.{part}");
        let layer = |builder: &Builder<'_>, part: &str, activation, add| builder.linear(&name(part), activation, add);
        let normal = builder.normalised(&name("heads.norm"), h);
        let linear = layer(&builder, "heads", Activation::None, false)?;
        let qkv = builder.convolution(&name("heads"), (normal, None), 1, linear, None);
        let seen = builder.image("seen", h.size, h.channels);
        builder.layer(&name("attention"), qkv.buffer, seen.buffer, Kind::Attention { tokens, heads });
        let linear = layer(&builder, "merge", Activation::None, true)?;
        builder.convolution(&name("merge"), (seen, None), 1, linear, Some(h));
        let normal = builder.normalised(&name("first.norm"), h);
        let linear = layer(&builder, "first", Activation::Silu, false)?;
        let hidden = builder.convolution(&name("first"), (normal, None), 1, linear, None);
        let linear = layer(&builder, "second", Activation::None, true)?;
        builder.convolution(&name("second"), (hidden, None), 1, linear, Some(h));
    }
    let normal = builder.normalised("output.norm", h);
    let output = builder.linear("output", Activation::None, false)?;
    let image = builder.convolution("output", (normal, None), 1, output, None);
    Ok(builder.finish(image))
}
