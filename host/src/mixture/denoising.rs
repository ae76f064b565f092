//! A mixture learnt by the denoising loss (3.2.32): gradients of the very error that sampling makes, at all noise levels.
//!
//! Expectation maximisation finds the likeliest distribution; here the denoiser is fitted itself, by the loop that trains networks. It
//! begins at the same clusters. After every update the bases are brought back to orthonormal rows, the retraction of Riemannian gradient
//! descent on the Stiefel manifold (Absil, Mahony and Sepulchre 2008, example 4.1.3).

use super::{Fit, orthonormal};
use crate::data::Dataset;
use crate::error::Error;
use crate::lesson::{Learner, Lesson};
use crate::network::{FactoredMixture, Parameters};
use crate::preset::Preset;
use candle_core::{Device, Tensor};
use std::ops::Range;

/// The first weights: of the mixture that fits clusters of the data, one pass of expectation maximisation.
///
/// # Errors
/// Those of [`Fit::begin`].
pub fn first_weights(preset: &Preset, data: &Dataset, device: &Device) -> Result<Parameters, Error> {
    let mut fit = Fit::begin(data, &preset.network, preset.training.seed)?;
    fit.pass()?;
    Ok(network(preset, data.sample_size(), data.classes).parameters_of(&fit.tables(), device)?)
}

/// What gradients flow through.
pub fn network(preset: &Preset, features: usize, classes: usize) -> FactoredMixture {
    let (components, rank) = (preset.network.components, preset.network.rank);
    FactoredMixture { features, classes, components, rank }
}

/// A lesson whose learner's bases are orthonormal whenever it is asked.
pub struct OnStiefel<L>(pub L);

impl<L: Lesson> Lesson for OnStiefel<L> {
    fn prepare(&mut self, update: u64, learner: &Learner<'_>) -> Result<(), Error> {
        for (_, bases) in learner.weights.iter().filter(|(name, _)| *name == "bases") {
            let (_, rank, features) = bases.dims3()?;
            let mut values: Vec<f64> = bases.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
            for basis in values.chunks_exact_mut((rank * features).max(1)) {
                orthonormal::rows(basis, features);
            }
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            bases.set(&Tensor::from_vec(values, bases.shape(), learner.device)?)?;
        }
        self.0.prepare(update, learner)
    }

    fn loss(&self, learner: &Learner<'_>, update: u64, rows: Range<usize>, scale: f64) -> Result<Tensor, Error> {
        self.0.loss(learner, update, rows, scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Scaling;
    use crate::mixture::Tables;
    use crate::network::parameters::FrozenWeights;
    use crate::network::{Inputs, Network, Weights, mixture};
    use crate::process::AnyProcess;
    use crate::train::{Training, lesson, subject};
    use tweedie_core::noise::NoiseStream;

    fn preset(overrides: &[&str]) -> Preset {
        let overrides: Vec<String> = overrides.iter().map(|&set| set.to_owned()).collect();
        Preset::load("digits-mixture-denoising", &overrides).unwrap()
    }

    fn frozen(parameters: &Parameters) -> FrozenWeights {
        FrozenWeights::new(parameters.iter().map(|(name, var)| (name.to_owned(), var.as_tensor().clone())).collect())
    }

    #[test]
    fn gradients_flow_through_the_mixtures_denoiser() {
        let (digits, preset) = (Dataset::digits().unwrap(), preset(&["network.rank=5"]));
        let parameters = first_weights(&preset, &digits, &Device::Cpu).unwrap();
        let learner = network(&preset, 64, 10);
        let kept = learner.harvest(frozen(&parameters)).unwrap();
        let mut states = vec![0.0_f32; 4 * 64];
        NoiseStream::new(1, 0).fill(0, &mut states);
        // Classes and none, at much noise and at little.
        let inputs = Inputs::from_rows(states, &[0.4, 0.05, 0.9, 0.3], &[7, 2, 10, 10], &Device::Cpu).unwrap();
        let found: Vec<Vec<f32>> = learner.forward(&parameters, &inputs).unwrap().to_vec2().unwrap();
        let exact = preset.network.build(&[64], 10).unwrap().forward(&kept, &inputs).unwrap().to_vec2::<f32>().unwrap();
        for (found, exact) in found.iter().flatten().zip(exact.iter().flatten()) {
            assert!((found - exact).abs() < 2e-3, "{found} for {exact}");
        }
        // Every weight of the softmax's mixture moves the estimate.
        let gradients =
            learner.forward(&parameters, &inputs).unwrap().sqr().unwrap().sum_all().unwrap().backward().unwrap();
        for (name, var) in parameters.iter() {
            let gradient = gradients.get(var.as_tensor()).unwrap().abs().unwrap().max_all().unwrap();
            let largest = gradient.to_scalar::<f32>().unwrap();
            assert!(largest > 0.0 && largest.is_finite(), "{name}: {largest}");
        }
    }

    /// One cloud around (0.2, -0.1, 0.4), flat but for the direction (0.6, 0, 0.8).
    fn cloud() -> Dataset {
        let stream = NoiseStream::new(4, 0);
        let sample = |i: u32| {
            let mut z = [0.0_f32; 4];
            stream.fill(i, &mut z);
            [0.2 + 0.05 * z[0] + 0.12 * z[3], -0.1 + 0.05 * z[1], 0.4 + 0.05 * z[2] + 0.16 * z[3]]
        };
        let samples = (0..2048).flat_map(sample).collect();
        Dataset {
            name: "cloud".into(),
            shape: vec![3],
            samples,
            labels: None,
            classes: 0,
            conditions: None,
            scaling: Scaling::IDENTITY,
        }
    }

    #[test]
    fn one_component_comes_to_the_principal_components() {
        let data = cloud();
        let preset = preset(&[
            "network.components=1",
            "network.rank=1",
            "training.steps=800",
            "training.learning_rate=0.02",
            "training.weight=snr",
            "training.times=log-snr",
            "training.ema=0.95",
        ]);
        let wrong = Tables {
            weights: vec![1.0],
            means: vec![0.0; 3],
            bases: vec![0.6, 0.64, 0.48],
            eigenvalues: vec![0.3],
            floors: vec![0.02],
        };
        let parameters = network(&preset, 3, 0).parameters_of(&wrong, &Device::Cpu).unwrap();
        let process = AnyProcess::new(&preset.process).unwrap();
        let (about, lesson) = (subject(&preset, &data).unwrap(), lesson(&preset, &data, &process).unwrap());
        let mut training = Training::of_lesson(about, lesson, parameters, &Device::Cpu).unwrap();
        let losses: Vec<f64> = (0..800).map(|_| training.update().unwrap().loss).collect();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        assert!(mean(&losses[780..]) < 0.9 * mean(&losses[..20]), "{} {}", mean(&losses[..20]), mean(&losses[780..]));

        let model = training.model().unwrap();
        let found = mixture::tables(&model.weights).unwrap();
        let mut fit = Fit::begin(&data, &preset.network, 0).unwrap();
        fit.pass().unwrap();
        let exact = fit.tables();
        let along: f64 = found.bases.iter().zip(&exact.bases).map(|(a, b)| a * b).sum();
        assert!(along.abs() > 0.995, "{found:?} for {exact:?}");
        assert!(found.means.iter().zip(&exact.means).all(|(a, b)| (a - b).abs() < 0.02), "{found:?} for {exact:?}");
        let near = |a: f64, b: f64| (a / b).ln().abs() < 0.2;
        assert!(near(found.eigenvalues[0], exact.eigenvalues[0]), "{found:?} for {exact:?}");
        assert!(near(found.floors[0], exact.floors[0]), "{found:?} for {exact:?}");
        // What a file keeps is what core accepts.
        assert!(found.mixture(0..1).is_ok() && model.weights.get("floors").is_ok());
    }
}
