//! A network as the device sees it, still in floating point: layers between buffers, and everything known at export folded in.

use super::ExportError;
use super::folded_convolution::FoldedConvolution;
use super::mixture::FoldedMixture;
use crate::network::ImagePatches;
use crate::operators::{Activation, attention, linear};
use candle_core::{D, Result, Tensor};
use tweedie_core::artifact::Attention;

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
    pub name: String,
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
    /// Layer normalisation without scale and shift: so many features at a time, with an epsilon.
    Normalise {
        /// Numbers that are normalised together.
        features: usize,
        /// Added to their variance.
        epsilon: f64,
    },
    /// The denoiser of a mixture.
    Mixture(FoldedMixture),
    /// Convolution.
    Convolution(Box<FoldedConvolution>),
    /// A sample as an image of patches, or back, which are no numbers of their own.
    Rearrange {
        /// How samples are cut.
        patches: ImagePatches,
        /// From patches to the sample.
        back: bool,
    },
    /// Numbers that are the same for every sample.
    Constants(Tensor),
    /// Attention between tokens.
    Attention {
        /// How many tokens there are.
        tokens: usize,
        /// Heads.
        heads: usize,
    },
}

impl Kind {
    /// What is linear in it: the layer itself, or a convolution's for each patch.
    pub fn linear(&self) -> Option<&FoldedLinear> {
        match self {
            Self::Linear(linear) => Some(linear),
            Self::Convolution(convolution) => Some(&convolution.linear),
            _ => None,
        }
    }

    /// How often that is done for a sample.
    pub fn times(&self) -> usize {
        if let Self::Convolution(convolution) = self { convolution.pixels() } else { 1 }
    }

    /// Elements of the device's memory that the layer needs beside its input and output.
    pub fn room(&self) -> usize {
        match self {
            Self::Convolution(convolution) => convolution.room(),
            Self::Attention { tokens, .. } => Attention::room(*tokens as u16) as usize,
            _ => 0,
        }
    }
}

impl FoldedLayer {
    /// The buffers that the layer reads; one that is added to is not counted.
    pub fn reads(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, second) = match &self.kind {
            Kind::Constants(_) => (None, None),
            Kind::Convolution(convolution) => (Some(self.input), convolution.second),
            _ => (Some(self.input), None),
        };
        first.into_iter().chain(second)
    }
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
    /// What it read: of a convolution the patches, `[batch pixels, inputs]`, of a normalisation the rows, `[batch rows, features]`.
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
            let batch = states.dim(0)?;
            let input = match &layer.kind {
                Kind::Constants(numbers) => numbers.unsqueeze(0)?,
                Kind::Normalise { features, .. } => content(&held, layer.input)?.reshape(((), *features))?,
                Kind::Convolution(convolution) => {
                    let second = convolution.second.map(|second| content(&held, second)).transpose()?;
                    convolution.patches(&content(&held, layer.input)?, second.as_ref())?
                }
                _ => content(&held, layer.input)?,
            };
            let flat = |tensor: Tensor| tensor.reshape((batch, ()));
            let (pre_activation, output) = match (&layer.kind, layer.kind.linear()) {
                (kind, Some(linear)) => {
                    let z = flat(linear.pre_activation(&input, step, classes, kind.times())?)?;
                    let activated = match linear.activation {
                        Activation::None => z.clone(),
                        Activation::Silu => z.silu()?,
                    };
                    let output = if linear.add { (activated + content(&held, layer.output)?)? } else { activated };
                    (z, output)
                }
                (Kind::Mixture(mixture), _) => mixture.forward(&input, step, classes)?,
                (kind, _) => {
                    let output = flat(kind.apply(&input, batch)?)?;
                    (output.clone(), output)
                }
            };
            observe(Observation { layer: index, input: &input, pre_activation: &pre_activation, output: &output })?;
            held[layer.output] = Some(output);
        }
        Ok(content(&held, self.output)?)
    }
}

impl Kind {
    /// What layers without weights do.
    fn apply(&self, input: &Tensor, batch: usize) -> Result<Tensor> {
        match self {
            Self::Normalise { epsilon, .. } => normalise(input, *epsilon),
            Self::Rearrange { patches, back: false } => patches.cut(input),
            Self::Rearrange { patches, back: true } => patches.assemble(input),
            Self::Constants(numbers) => numbers.unsqueeze(0)?.repeat((batch, 1)),
            Self::Attention { tokens, heads } => attention(&input.reshape((batch, *tokens, ()))?, *heads),
            Self::Linear(_) | Self::Convolution(_) | Self::Mixture(_) => candle_core::bail!("a layer with weights"),
        }
    }
}

impl FoldedLinear {
    /// A layer without biases by step and class, which does not add.
    pub fn plain(weight: &Tensor, bias: &Tensor, activation: Activation) -> Self {
        let (weight, bias) = (weight.clone(), bias.clone());
        Self { weight, bias, activation, add: false, step_bias: None, class_bias: None }
    }

    /// Of rows `[batch times, inputs]`.
    fn pre_activation(&self, input: &Tensor, step: usize, classes: &Tensor, times: usize) -> Result<Tensor> {
        let mut z = linear(input, &self.weight, &self.bias, Activation::None)?;
        if let Some(table) = &self.step_bias {
            z = z.broadcast_add(&table.narrow(0, step, 1)?)?;
        }
        if let Some(table) = &self.class_bias {
            let of_class = table.index_select(classes, 0)?;
            let by_sample = z.reshape((classes.dim(0)?, times, ()))?;
            z = by_sample.broadcast_add(&of_class.unsqueeze(1)?)?.reshape(z.shape())?;
        }
        Ok(z)
    }
}

fn normalise(x: &Tensor, epsilon: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(variance + epsilon)?.sqrt()?)
}
