//! Networks: what stands between a noised state and a prediction.
//!
//! A network sees the state scaled to unit variance, the noise level as an angle
//! ([`NoiseLevel::angle`](tweedie_core::NoiseLevel::angle)), and a [`Condition`]; which schedule and solver are in use it never learns.

pub mod condition;
mod conditioning;
pub mod factored_mixture;
pub mod half_precision;
mod image_patches;
pub mod mixture;
pub mod parameters;
pub mod residual_mlp;
pub mod transformer;
pub mod unet;

pub use condition::Condition;
pub use factored_mixture::FactoredMixture;
pub use half_precision::HalfPrecision;
pub use image_patches::ImagePatches;
pub use mixture::Mixture;
pub use parameters::{Parameters, Weights};
pub use residual_mlp::ResidualMlp;
pub use transformer::Transformer;
pub use unet::UNet;

use crate::error::Error;
#[cfg(feature = "wgpu")]
use crate::gpu::recorder::Recorder;
use crate::preset::{NetworkKind, NetworkSettings};
use candle_core::{Device, Result, Tensor};
use parameters::FrozenWeights;

/// A batch of network inputs, all on one device.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The state over its norm, `x_t / sqrt(alpha^2 + sigma^2)`: f32, `[batch, features]`.
    pub state: Tensor,
    /// The noise level as [`angle_features`], and behind it the level that the step leads to if the network is told of it: f32,
    /// `[batch, levels * ANGLE_FEATURES]`.
    pub angle: Tensor,
    /// What the network is told of each row beside the noise.
    pub condition: Condition,
}

/// How many numbers describe a noise level: a sine and a cosine at each of 16 frequencies.
pub const ANGLE_FEATURES: usize = 32;

/// `[sin(f_1 a) .. sin(f_16 a), cos(f_1 a) .. cos(f_16 a)]` with frequencies from 1 to 1000 in geometric steps, for an angle `a` in [0, 1].
pub fn angle_features(angle: f64, out: &mut [f32]) {
    let half = ANGLE_FEATURES / 2;
    for k in 0..half {
        let frequency = (1000.0_f64.ln() * k as f64 / (half - 1) as f64).exp();
        let (sin, cos) = (angle * frequency).sin_cos();
        out[k] = sin as f32;
        out[half + k] = cos as f32;
    }
}

/// The angle that [`angle_features`] were made of: the sine and cosine of the lowest frequency, which is 1, tell it.
pub fn angle_of(features: &[f32]) -> f64 {
    f64::from(features[0]).atan2(f64::from(features[ANGLE_FEATURES / 2]))
}

/// The features of several angles, one behind the other.
pub fn features_of(angles: &[f64]) -> Vec<f32> {
    let mut features = vec![0.0; angles.len() * ANGLE_FEATURES];
    for (row, &angle) in features.chunks_exact_mut(ANGLE_FEATURES).zip(angles) {
        angle_features(angle, row);
    }
    features
}

impl Inputs {
    /// Inputs from plain numbers: `states` of `batch * features`, one class and one angle (or as many as the network is told of) for each row.
    pub fn from_rows(states: Vec<f32>, angles: &[f64], classes: &[u32], device: &Device) -> Result<Self> {
        let features = states.len() / classes.len().max(1);
        let state = Tensor::from_vec(states, (classes.len(), features), device)?;
        Self::of_rows(state, angles, Condition::of_classes(classes, device)?)
    }

    /// Inputs of states `[batch, features]` under any conditions, with one angle (or as many as the network is told of) for each row.
    pub fn of_rows(state: Tensor, angles: &[f64], condition: Condition) -> Result<Self> {
        Self::new(state, features_of(angles), condition)
    }

    /// Inputs of one noise level for all rows: `state` is `[batch, features]`, with one class for each row; `angles` as many as the network
    /// is told of.
    pub fn at_angles(state: Tensor, angles: &[f64], classes: &[u32]) -> Result<Self> {
        let condition = Condition::of_classes(classes, state.device())?;
        Self::at_level(state, angles, condition)
    }

    /// The same under any conditions.
    pub fn at_level(state: Tensor, angles: &[f64], condition: Condition) -> Result<Self> {
        let (batch, device) = (condition.rows(), state.device().clone());
        let features = features_of(angles);
        if device.is_cpu() {
            return Self::new(state, features.repeat(batch), condition);
        }
        // One row is sent, and repeated there.
        let levels = features.len();
        let angle = Tensor::from_vec(features, (1, levels), &device)?.broadcast_as((batch, levels))?.contiguous()?;
        Ok(Self { state, angle, condition })
    }

    /// Inputs of states `[batch, features]` and of [`features_of`] the angles of every row.
    pub fn of_states(state: Tensor, angles: Vec<f32>, classes: &[u32]) -> Result<Self> {
        let condition = Condition::of_classes(classes, state.device())?;
        Self::new(state, angles, condition)
    }

    fn new(state: Tensor, angles: Vec<f32>, condition: Condition) -> Result<Self> {
        let batch = condition.rows();
        let levels = angles.len() / batch.max(1);
        let angle = Tensor::from_vec(angles, (batch, levels), state.device())?;
        Ok(Self { state, angle, condition })
    }
}

/// A function of [`Inputs`] under weights that live elsewhere, so that one network serves training, EMA and inference.
pub trait Network: Send + Sync {
    /// The name and shape of every weight, in order.
    fn weights(&self) -> Vec<(String, Vec<usize>)>;

    /// Fresh weights for a seed.
    fn initialise(&self, seed: u64, device: &Device) -> Result<Parameters>;

    /// The prediction, f32, `[batch, features]`.
    fn forward(&self, weights: &dyn Weights, inputs: &Inputs) -> Result<Tensor>;

    /// The layers of [`forward`](Self::forward) as calls on a GPU.
    ///
    /// # Errors
    /// A weight that is not there; a network that does not run there.
    #[cfg(feature = "wgpu")]
    fn record(&self, _recorder: &mut Recorder<'_, '_>) -> std::result::Result<(), Error> {
        Err(Error::Device("this network does not run by --device wgpu; use --device cpu".to_owned()))
    }

    /// Multiply-accumulates of a row, about: by this the work that an evaluation spends on a model is limited. In most layers each weight meets one number.
    fn multiply_accumulates(&self) -> u64 {
        self.weights().iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum()
    }

    /// What a model's file keeps of weights that training has moved.
    ///
    /// # Errors
    /// Weights of another network.
    fn harvest(&self, weights: FrozenWeights) -> Result<FrozenWeights> {
        Ok(weights)
    }
}

impl NetworkSettings {
    /// The network of these settings for samples of a shape and `classes` classes (0: unconditional), or vectors of so many numbers: see
    /// [`Condition`].
    ///
    /// # Errors
    /// [`Error::Argument`] for samples that the network does not take, such as points for one of images.
    pub fn build(&self, shape: &[usize], classes: usize) -> std::result::Result<Box<dyn Network>, Error> {
        let Self { hidden, blocks, end_level, .. } = *self;
        let features = shape.iter().product();
        Ok(match self.kind {
            NetworkKind::ResidualMlp => Box::new(ResidualMlp { features, classes, hidden, blocks, end_level }),
            NetworkKind::Unet => {
                let patches = ImagePatches::new(shape, self.patch, UNet::divisor(self.levels))?;
                Box::new(UNet::new(patches, classes, end_level, hidden, blocks, self.levels))
            }
            NetworkKind::Transformer => {
                let patches = ImagePatches::new(shape, self.patch, 1)?;
                Box::new(Transformer::new(patches, classes, end_level, hidden, blocks, self.heads)?)
            }
            NetworkKind::Mixture => {
                Box::new(Mixture { features, classes, components: self.components, rank: self.rank })
            }
        })
    }
}

#[cfg(test)]
mod tests;
