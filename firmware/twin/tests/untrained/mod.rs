//! A small model with random weights, for tests that need a model and not a good one.

use candle_core::{Device, Tensor};
use std::path::Path;
use tweedie_host::checkpoint::{Description, Model};
use tweedie_host::data;
use tweedie_host::data::conditions::{VectorDescription, VectorKind};
use tweedie_host::network::parameters::FrozenWeights;
use tweedie_host::preset::Preset;

/// A model of the digits with `overrides` of their preset.
pub fn model(overrides: &[&str]) -> Model {
    let small = ["network.hidden=18", "sampling.steps=5"];
    let overrides: Vec<String> = small.iter().chain(overrides).map(|&set| set.to_owned()).collect();
    let preset = Preset::parse("test", "", &overrides).unwrap();
    let digits = data::load("digits").unwrap();
    let description = Description::new(&preset, &digits).unwrap();
    let network = preset.network.build(&description.shape, description.classes).unwrap();
    let parameters = network.initialise(1, &Device::Cpu).unwrap();
    let weights = parameters.iter().map(|(name, var)| (name.to_owned(), var.as_tensor().clone()));
    let weights = FrozenWeights::new(weights.collect());
    Model { network, weights, preset, description }
}

/// The same as a run folder.
#[allow(dead_code)]
pub fn save(model: &Model, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let weights: Vec<(String, &Tensor)> =
        model.weights.iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
    Model::save(&folder.join("model.safetensors"), &weights, &model.description).unwrap();
}

/// A model of the digits that is told vectors of `width` numbers, with one example.
#[allow(dead_code)]
pub fn told(width: usize) -> Model {
    let Model { preset, mut description, .. } = model(&[]);
    let units = vec![data::Scaling { offset: 0.5, scale: 2.0 }; width];
    let mut vectors = VectorDescription { kind: VectorKind::Numbers, units, examples: Vec::new(), by_class: false };
    vectors.examples = vec![vectors.example(&vec![1.0; width])];
    (description.classes, description.vectors) = (0, Some(vectors));
    let network = preset.network.build(&description.shape, description.condition_width()).unwrap();
    let parameters = network.initialise(1, &Device::Cpu).unwrap();
    let weights = parameters.iter().map(|(name, var)| (name.to_owned(), var.as_tensor().clone()));
    let weights = FrozenWeights::new(weights.collect());
    Model { network, weights, preset, description }
}
