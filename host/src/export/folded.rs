//! A network as the device sees it, still in floating point: layers between buffers, and everything known at export folded in.

use super::ExportError;
use super::mixture::FoldedMixture;
use crate::operators::{Activation, linear};
use candle_core::{D, Result, Tensor};

/// Layers in the order in which they run.
#[derive(Clone, Debug)]
pub struct Folded {
    /// What layers read and write.
    pub buffers: Vec<Buffer>,
    /// The layers.
    pub layers: Vec<FoldedLayer>,
    /// The buffer that the state is put in.
    pub input: usize,
    /// The buffer that the output is taken from.
    pub output: usize,
}

/// A place for activations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// What it holds.
    pub name: &'static str,
    /// How many numbers it holds for one sample.
    pub length: usize,
}

/// One layer.
#[derive(Clone, Debug)]
pub struct FoldedLayer {
    /// Its name in the report.
    pub name: String,
    /// The buffer it reads.
    pub input: usize,
    /// The buffer it writes.
    pub output: usize,
    /// What it does.
    pub kind: Kind,
}

/// What a layer does.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Fully connected.
    Linear(FoldedLinear),
    /// Layer normalisation without scale and shift, with its epsilon.
    Normalise(f64),
    /// The denoiser of a mixture.
    Mixture(FoldedMixture),
}

/// `output <- activation(weight input + bias + step_bias[step] + class_bias[class])`, or added to what the output holds.
#[derive(Clone, Debug)]
pub struct FoldedLinear {
    /// `[outputs, inputs]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Tensor,
    /// What follows.
    pub activation: Activation,
    /// Whether the result is added to what the output holds.
    pub add: bool,
    /// `[steps, outputs]`.
    pub step_bias: Option<Tensor>,
    /// `[classes + 1, outputs]`.
    pub class_bias: Option<Tensor>,
}

/// What a layer has just done, `[batch, length]` each.
pub struct Observation<'a> {
    /// The layer's number.
    pub layer: usize,
    /// What it read.
    pub input: &'a Tensor,
    /// What it computed before the activation and before adding; of a mixture [`FoldedMixture::forward`]'s magnitudes.
    pub pre_activation: &'a Tensor,
    /// What it left in its output.
    pub output: &'a Tensor,
}

impl Folded {
    /// The output `[batch, features]` for normalised states `[batch, features]` at one step, with one class (u32) for each row;
    /// `observe` is shown every layer.
    ///
    /// # Errors
    /// Whatever candle or `observe` says.
    pub fn forward(
        &self,
        states: &Tensor,
        step: usize,
        classes: &Tensor,
        mut observe: impl FnMut(Observation<'_>) -> std::result::Result<(), ExportError>,
    ) -> std::result::Result<Tensor, ExportError> {
        let mut held: Vec<Option<Tensor>> = vec![None; self.buffers.len()];
        held[self.input] = Some(states.clone());
        let content = |held: &[Option<Tensor>], buffer: usize| match &held[buffer] {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("the buffer {} is read before it is written", self.buffers[buffer].name),
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let input = content(&held, layer.input)?;
            let (pre_activation, output) = match &layer.kind {
                Kind::Linear(linear) => {
                    let z = linear.pre_activation(&input, step, classes)?;
                    let activated = match linear.activation {
                        Activation::None => z.clone(),
                        Activation::Silu => z.silu()?,
                    };
                    let output = if linear.add { (activated + content(&held, layer.output)?)? } else { activated };
                    (z, output)
                }
                Kind::Normalise(epsilon) => {
                    let output = normalise(&input, *epsilon)?;
                    (output.clone(), output)
                }
                Kind::Mixture(mixture) => mixture.forward(&input, step, classes)?,
            };
            observe(Observation { layer: index, input: &input, pre_activation: &pre_activation, output: &output })?;
            held[layer.output] = Some(output);
        }
        Ok(content(&held, self.output)?)
    }
}

impl FoldedLinear {
    fn pre_activation(&self, input: &Tensor, step: usize, classes: &Tensor) -> Result<Tensor> {
        let mut z = linear(input, &self.weight, &self.bias, Activation::None)?;
        if let Some(table) = &self.step_bias {
            z = z.broadcast_add(&table.narrow(0, step, 1)?)?;
        }
        if let Some(table) = &self.class_bias {
            z = (z + table.index_select(classes, 0)?)?;
        }
        Ok(z)
    }
}

fn normalise(x: &Tensor, epsilon: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(variance + epsilon)?.sqrt()?)
}
