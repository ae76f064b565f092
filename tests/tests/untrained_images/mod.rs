//! Networks of images with random weights, for tests that need a model and not a good one.

use candle_core::{Device, Tensor};
use tweedie_core::noise::NoiseStream;
use tweedie_host::checkpoint::{Description, Model};
use tweedie_host::data::{Dataset, Scaling};
use tweedie_host::network::parameters::FrozenWeights;
use tweedie_host::preset::Preset;

/// A model of a preset for samples of a shape. What training starts at zero is not left there, since it would hide what it is multiplied by: noise of a
/// size is added to all weights.
pub fn model(preset: Preset, shape: &[usize], classes: usize, seed: u64, size: f64) -> Model {
    let data = Dataset {
        name: "none".to_owned(),
        shape: shape.to_vec(),
        samples: Vec::new(),
        labels: None,
        classes,
        conditions: None,
        scaling: Scaling::IDENTITY,
    };
    let network = preset.network.build(shape, classes).unwrap();
    let parameters = network.initialise(seed, &Device::Cpu).unwrap();
    let shaken = parameters.iter().enumerate().map(|(index, (name, var))| {
        let mut noise = vec![0.0_f32; var.elem_count()];
        NoiseStream::new(seed, index as u64).fill(0, &mut noise);
        let noise = Tensor::from_vec(noise, var.shape(), &Device::Cpu).unwrap();
        (name.to_owned(), (var.as_tensor() + (noise * size).unwrap()).unwrap())
    });
    let weights = FrozenWeights::new(shaken.collect());
    let description = Description::new(&preset, &data).unwrap();
    Model { network, weights, preset, description }
}
