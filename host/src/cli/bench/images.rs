//! Two small networks of images, built of the fused operators alone: the same as in host/bench/peer.py.

use crate::error::Error;
use crate::network::{Parameters, Weights};
use crate::operators::{Activation, attention, convolution, linear, weighted_mean_squared_error};
use crate::optimiser::OptimiserState;
use crate::preset::TrainingSettings;
use crate::train::{adamw, gradients};
use candle_core::{DType, Device, Result, Tensor};
use tweedie_core::noise::NoiseStream;

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageNetwork {
    /// Four convolutions 3x3 of `[64, 28, 28, 1]` to 32, 32, 32 and 1 channels, SiLU between them.
    Convolutions,
    /// A transformer's block over `[64, 49, 128]`: attention in 4 heads and a perceptron four times as wide, both residual.
    Attention,
}

/// Images in a batch, and in the part of one that a thread computes at once.
const BATCH: usize = 64;
const PART: usize = 8;
/// Channels of the convolutions' images, from first to last.
const CHANNELS: [usize; 5] = [1, 32, 32, 32, 1];
const SIDE: usize = 28;
/// Sizes of the transformer's block.
const TOKENS: usize = 49;
const WIDTH: usize = 128;
const HEADS: usize = 4;

impl ImageNetwork {
    fn weights(self) -> Vec<(String, Vec<usize>)> {
        let layer = |name: String, weight: Vec<usize>| {
            let bias = (format!("{name}.bias"), vec![weight[0]]);
            [(format!("{name}.weight"), weight), bias]
        };
        let layers: Vec<_> = match self {
            Self::Convolutions => {
                CHANNELS.windows(2).enumerate().map(|(i, c)| layer(i.to_string(), vec![c[1], 3, 3, c[0]])).collect()
            }
            Self::Attention => {
                let sizes = [("heads", 3, 1), ("merge", 1, 1), ("first", 4, 1), ("second", 1, 4)];
                sizes
                    .map(|(name, outputs, inputs)| layer(name.to_owned(), vec![outputs * WIDTH, inputs * WIDTH]))
                    .into()
            }
        };
        layers.into_iter().flatten().collect()
    }

    fn input_shape(self, images: usize) -> Vec<usize> {
        match self {
            Self::Convolutions => vec![images, SIDE, SIDE, 1],
            Self::Attention => vec![images, TOKENS, WIDTH],
        }
    }

    fn forward(self, weights: &dyn Weights, x: &Tensor) -> Result<Tensor> {
        let get = |name: &str, part: &str| weights.get(&format!("{name}.{part}"));
        match self {
            Self::Convolutions => {
                let last = CHANNELS.len() - 2;
                (0..=last).try_fold(x.clone(), |x, index| {
                    let (name, activation) =
                        (index.to_string(), if index < last { Activation::Silu } else { Activation::None });
                    convolution(&x, get(&name, "weight")?, get(&name, "bias")?, 1, activation)
                })
            }
            Self::Attention => {
                let images = x.dim(0)?;
                let layer =
                    |name, x: &Tensor, activation| linear(x, get(name, "weight")?, get(name, "bias")?, activation);
                let x = x.reshape((images * TOKENS, WIDTH))?;
                let qkv = layer("heads", &x, Activation::None)?.reshape((images, TOKENS, 3 * WIDTH))?;
                let seen = attention(&qkv, HEADS)?.reshape((images * TOKENS, WIDTH))?;
                let x = (x + layer("merge", &seen, Activation::None)?)?;
                let hidden = layer("first", &x, Activation::Silu)?;
                x + layer("second", &hidden, Activation::None)?
            }
        }
    }
}

/// Training steps of such a network towards 0 on inputs that stay the same.
pub struct ImageSteps {
    network: ImageNetwork,
    parameters: Parameters,
    optimiser: OptimiserState,
    parts: Vec<Tensor>,
}

impl ImageSteps {
    /// Fresh weights and inputs.
    pub fn new(network: ImageNetwork) -> std::result::Result<Self, Error> {
        let parameters = Parameters::initialise(&network.weights(), 0, &Device::Cpu)?;
        let optimiser = OptimiserState::new(&parameters)?;
        let parts = (0..BATCH).step_by(PART).map(|first| {
            let shape = network.input_shape(PART);
            let mut values = vec![0.0_f32; shape.iter().product()];
            NoiseStream::new(0, first as u64).fill(0, &mut values);
            Tensor::from_vec(values, shape, &Device::Cpu)
        });
        let parts = parts.collect::<Result<_>>()?;
        Ok(Self { network, parameters, optimiser, parts })
    }

    /// The loss of a part and its share in that of the batch, the mean square of the output.
    fn loss_of(&self, part: &Tensor) -> std::result::Result<Tensor, Error> {
        let output = self.network.forward(&self.parameters, part)?.reshape((PART, ()))?;
        let weights = Tensor::ones(PART, DType::F32, &Device::Cpu)?;
        let scale = 1.0 / (self.parts.len() * output.elem_count()) as f64;
        Ok(weighted_mean_squared_error(&output, &output.zeros_like()?, &weights, scale)?)
    }

    /// Forward, backward and AdamW; the loss before it results.
    pub fn step(&mut self, training: &TrainingSettings) -> std::result::Result<f64, Error> {
        let parts = self.parts.iter().collect();
        let (loss, gradients) = gradients(&self.parameters, parts, None, |part| self.loss_of(part))?;
        adamw(training).update(&self.parameters, &gradients, &mut self.optimiser, 1e-3)?;
        Ok(loss.read()?)
    }
}
