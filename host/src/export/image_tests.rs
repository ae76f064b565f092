//! Networks of images from a model to an artifact.

use super::folded::Observation;
use super::integer::IntegerNetwork;
use super::tests::shaken;
use super::*;
use crate::checkpoint::{Description, Model};
use crate::network::Inputs;
use crate::preset::Preset;
use candle_core::{Device, Tensor};
use tweedie_core::noise::NoiseStream;

const SHAPE: [usize; 3] = [2, 8, 8];
const FEATURES: usize = 128;

/// An untrained network, whose zeros and ones are none.
fn model(kind: &str, classes: usize, overrides: &[&str]) -> Model {
    let kind = format!("network.kind={kind}");
    let small = [&kind, "network.hidden=8", "network.heads=2", "sampling.steps=3", "sampling.guidance=1.0"];
    let overrides: Vec<String> = small.iter().chain(overrides).map(|&set| set.to_owned()).collect();
    let preset = Preset::parse("test", "", &overrides).unwrap();
    let description = Description {
        format: "model".to_owned(),
        version: 1,
        preset: preset.to_toml().unwrap(),
        data: "test".to_owned(),
        shape: SHAPE.to_vec(),
        classes,
        offset: 0.0,
        scale: 1.0,
        distilled: None,
        class_names: Vec::new(),
        vectors: None,
    };
    let network = preset.network.build(&SHAPE, classes).unwrap();
    let parameters = network.initialise(3, &Device::Cpu).unwrap();
    let weights = shaken(&parameters, 0.05);
    Model { network, weights, preset, description }
}

const KINDS: [(&str, &[&str]); 4] = [
    ("unet", &[]),
    ("unet", &["network.levels=3", "network.patch=1", "network.blocks=2"]),
    ("transformer", &[]),
    ("transformer", &["network.end_level=true"]),
];

#[test]
fn the_folded_network_is_the_network() {
    for (kind, overrides) in KINDS {
        for classes in [0, 3] {
            let model = model(kind, classes, overrides);
            let told = if overrides.contains(&"network.end_level=true") { vec![0.9, 0.4] } else { vec![0.9] };
            let folded = fold::fold(&model, std::slice::from_ref(&told)).unwrap();
            let rows = classes + 1;
            let mut states = vec![0.0_f32; rows * FEATURES];
            NoiseStream::new(4, 0).fill(0, &mut states);
            let states = Tensor::from_vec(states, (rows, FEATURES), &Device::Cpu).unwrap();
            let classes: Vec<u32> = (0..rows as u32).collect();
            let inputs = Inputs::at_angles(states.clone(), &told, &classes).unwrap();
            let exact = model.network.forward(&model.weights, &inputs).unwrap();
            let class = Tensor::from_slice(&classes, rows, &Device::Cpu).unwrap();
            let output = folded.forward(&states, 0, &class, |_: Observation<'_>| Ok(())).unwrap();
            let error = (exact - output).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(error < 1e-4, "{kind} {overrides:?}: {error}");
        }
    }
}

#[test]
fn the_integer_network_follows_the_float_network() {
    for (kind, overrides) in KINDS.into_iter().take(3) {
        let model = model(kind, 3, overrides);
        let export = export(&model, &model.preset.sampling, None).unwrap();
        let report = &export.report;
        assert!(report.output_error.signal_to_noise_db > 30.0, "{kind}: {report:#?}");
        let artifact = Artifact::parse(&export.words).unwrap();
        assert_eq!(report.bytes.total, artifact.bytes());
        // An output that no step depends on would follow as well.
        let mut network = IntegerNetwork::new(&artifact);
        let first = network.run(&[1000; FEATURES], 0, 0, |_, _| ()).to_vec();
        assert_ne!(first, network.run(&[1000; FEATURES], 2, 0, |_, _| ()));
        assert_ne!(first, network.run(&[1000; FEATURES], 0, 1, |_, _| ()));
    }
}

#[test]
fn skips_live_no_longer_than_they_are_needed() {
    let model = model("unet", 0, &["network.hidden=20"]);
    let folded = fold::fold(&model, &[vec![0.5]]).unwrap();
    let arena = arena::plan(&folded);
    // At the upper level: the residual stream, its normalised copy and the hidden image, and the patches of two pixels.
    let room = folded.layers.iter().map(|layer| layer.kind.room()).max().unwrap();
    assert!(arena.elements <= 3 * 4 * 4 * 20 + 20 * 4 + room, "{arena:?}");
}

#[test]
fn widths_that_pairs_do_not_divide_are_refused() {
    let model = model("unet", 0, &["network.hidden=9"]);
    let sentence = export(&model, &model.preset.sampling, None).unwrap_err().to_string();
    assert!(sentence.contains("9 numbers") && sentence.contains("network.hidden"), "{sentence}");
}
