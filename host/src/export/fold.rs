//! Folding: what depends on the step or the class alone becomes a table, and normalisation's scale and shift go into the next layer.

use super::folded::{Buffer, Folded, FoldedLayer, FoldedLinear, Kind};
use super::{ExportError, fold_images, mixture};
use crate::checkpoint::Model;
use crate::network::{ImagePatches, Weights, features_of};
use crate::operators::{Activation, linear};
use crate::preset::NetworkKind;
use candle_core::{Device, Result, Tensor};
use tweedie_core::artifact::{MAX_NORMALISED, MAX_TOKENS};

/// The epsilon of [`layer_norm`](crate::operators::layer_norm); a test compares them.
pub(super) const EPSILON: f64 = 1e-5;

/// With more inputs than these, hardly a bit of a weight would be left in sums that fit 32 bits.
const MOST_INPUTS: usize = 1 << 15;

/// The model's network for a plan, given as the angles that it is told at each step.
///
/// # Errors
/// Sizes that an artifact cannot hold.
pub fn fold(model: &Model, angles: &[Vec<f64>]) -> std::result::Result<Folded, ExportError> {
    // A dimension is at most as long as the whole sample, so it fits 16 bits.
    let limits = [
        ("dimensions of a sample", model.description.shape.len(), 4, "flatten the samples"),
        ("values in a sample", model.description.features(), MOST_INPUTS, "train on smaller samples"),
        ("classes", model.description.classes, usize::from(u16::MAX), "merge some of them"),
        ("hidden features", model.preset.network.hidden, MAX_NORMALISED, "train with a smaller --set network.hidden"),
    ];
    for (what, have, most, remedy) in limits {
        if have > most {
            return Err(ExportError::TooMany { what, have, most, remedy });
        }
    }
    let network = &model.preset.network;
    // Two numbers share a word: a pixel's, and a token's in each head, begin with a word of their own.
    let in_words = match network.kind {
        NetworkKind::Unet => network.hidden,
        NetworkKind::Transformer => network.hidden / network.heads,
        _ => 0,
    };
    if in_words % 2 == 1 {
        return Err(ExportError::Odd(in_words));
    }
    match network.kind {
        NetworkKind::ResidualMlp => Ok(residual_mlp(model, angles)?),
        NetworkKind::Unet => Ok(fold_images::unet(model, &patches(model)?, angles)?),
        NetworkKind::Transformer => Ok(fold_images::transformer(model, &patches(model)?, angles)?),
        NetworkKind::Mixture => mixture::fold(model, angles),
    }
}

/// How samples are cut, and limits of what is made of them.
fn patches(model: &Model) -> std::result::Result<ImagePatches, ExportError> {
    let network = &model.preset.network;
    let patches = ImagePatches::new(&model.description.shape, network.patch, 1)?;
    let (what, have, most, remedy) = match network.kind {
        NetworkKind::Transformer => ("tokens", patches.count(), MAX_TOKENS, "train with a larger --set network.patch"),
        _ => {
            let widest = network.hidden << (network.levels - 1);
            ("channels", widest, MAX_NORMALISED, "train with a smaller --set network.hidden or network.levels")
        }
    };
    if have > most { Err(ExportError::TooMany { what, have, most, remedy }) } else { Ok(patches) }
}

/// The places of a residual multilayer perceptron.
const STATE: usize = 0;
const RESIDUAL: usize = 1;
const NORMALISED: usize = 2;
const HIDDEN: usize = 3;
const OUTPUT: usize = 4;

fn residual_mlp(model: &Model, angles: &[Vec<f64>]) -> Result<Folded> {
    let weights = &model.weights;
    let (features, width) = (model.description.features(), model.preset.network.hidden);
    let buffers =
        [("state", features), ("residual", width), ("normalised", width), ("hidden", width), ("output", features)];

    let mut bias = weights.get("input.bias")?.clone();
    let class_table = weights.get("class")?.clone();
    let class_bias = match model.description.classes {
        0 => {
            bias = bias.broadcast_add(&class_table.get(0)?)?;
            None
        }
        _ => Some(class_table),
    };
    let input = FoldedLinear {
        weight: weights.get("input.weight")?.clone(),
        bias,
        activation: Activation::None,
        add: false,
        step_bias: Some(step_table(weights, angles)?),
        class_bias,
    };
    let mut layers = vec![layer("input", STATE, RESIDUAL, Kind::Linear(input))];
    for block in 0..model.preset.network.blocks {
        let name = |part: &str| format!("block.{block}.{part}");
        let get = |part: &str| weights.get(&name(part));
        let first = absorb(get("first.weight")?, get("first.bias")?, get("norm.scale")?, get("norm.shift")?)?;
        let second = plain(get("second.weight")?, get("second.bias")?, true);
        layers.push(layer(&name("norm"), RESIDUAL, NORMALISED, Kind::Normalise { features: width, epsilon: EPSILON }));
        layers.push(layer(&name("first"), NORMALISED, HIDDEN, Kind::Linear(first)));
        layers.push(layer(&name("second"), HIDDEN, RESIDUAL, Kind::Linear(second)));
    }
    let output = plain(weights.get("output.weight")?, weights.get("output.bias")?, false);
    layers.push(layer("output", RESIDUAL, OUTPUT, Kind::Linear(output)));
    let buffers = buffers.map(|(name, length)| Buffer { name: name.to_owned(), length });
    Ok(Folded { buffers: buffers.into(), layers, input: STATE, output: OUTPUT })
}

fn layer(name: &str, input: usize, output: usize, kind: Kind) -> FoldedLayer {
    FoldedLayer { name: name.to_owned(), input, output, kind }
}

fn plain(weight: &Tensor, bias: &Tensor, add: bool) -> FoldedLinear {
    FoldedLinear { add, ..FoldedLinear::plain(weight, bias, Activation::None) }
}

/// `silu(W_angle features(angle) + b_angle)` for every step, `[steps, hidden]`.
fn step_table(weights: &dyn Weights, angles: &[Vec<f64>]) -> Result<Tensor> {
    let features: Vec<f32> = angles.iter().flat_map(|told| features_of(told)).collect();
    let width = features.len() / angles.len();
    let features = Tensor::from_vec(features, (angles.len(), width), &Device::Cpu)?;
    linear(&features, weights.get("angle.weight")?, weights.get("angle.bias")?, Activation::Silu)
}

/// `silu(W (scale n + shift) + b)` as `silu((W diag(scale)) n + (b + W shift))`.
fn absorb(weight: &Tensor, bias: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<FoldedLinear> {
    let shifted = weight.matmul(&shift.unsqueeze(1)?)?.squeeze(1)?;
    Ok(FoldedLinear {
        weight: weight.broadcast_mul(scale)?,
        bias: (bias + shifted)?,
        activation: Activation::Silu,
        add: false,
        step_bias: None,
        class_bias: None,
    })
}
