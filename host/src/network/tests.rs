//! Networks of images: their weights, and what their outputs depend on.

use super::*;
use crate::preset::Preset;
use tweedie_core::noise::NoiseStream;

const SHAPE: [usize; 3] = [2, 8, 8];
const FEATURES: usize = 128;

fn network(settings: &[&str]) -> Box<dyn Network> {
    let settings: Vec<String> = [&["network.hidden=8"], settings].concat().iter().map(|&s| s.to_owned()).collect();
    Preset::load("mnist", &settings).unwrap().network.build(&SHAPE, 3).unwrap()
}

fn kinds() -> [Box<dyn Network>; 3] {
    [
        network(&[]),
        network(&["network.levels=3", "network.patch=1", "network.blocks=2"]),
        network(&["network.kind=transformer", "network.end_level=true"]),
    ]
}

/// Outputs for rows of given states, angles and classes, with weights that are not the initial ones.
fn outputs(network: &dyn Network, states: &[f32], angle: f64, classes: &[u32]) -> Vec<Vec<f32>> {
    let parameters = network.initialise(3, &Device::Cpu).unwrap();
    let levels = if parameters.get("angle.weight").unwrap().dim(1).unwrap() == ANGLE_FEATURES { 1 } else { 2 };
    let states = Tensor::from_slice(states, (classes.len(), FEATURES), &Device::Cpu).unwrap();
    let inputs = Inputs::at_angles(states, &vec![angle; levels], classes).unwrap();
    network.forward(&parameters, &inputs).unwrap().to_vec2().unwrap()
}

fn noise(rows: usize) -> Vec<f32> {
    let mut values = vec![0.0_f32; rows * FEATURES];
    NoiseStream::new(5, 0).fill(0, &mut values);
    values
}

#[test]
fn every_weight_has_its_part_in_the_output() {
    for network in kinds() {
        let parameters = network.initialise(1, &Device::Cpu).unwrap();
        let levels = if parameters.get("angle.weight").unwrap().dim(1).unwrap() == ANGLE_FEATURES { 1 } else { 2 };
        let states = Tensor::from_vec(noise(4), (4, FEATURES), &Device::Cpu).unwrap();
        let inputs = Inputs::at_angles(states, &vec![0.4; levels], &[0, 1, 2, 3]).unwrap();
        let gradients =
            network.forward(&parameters, &inputs).unwrap().sqr().unwrap().sum_all().unwrap().backward().unwrap();
        for (name, var) in parameters.iter() {
            let gradient = gradients.get(var.as_tensor()).unwrap_or_else(|| panic!("{name} is not used"));
            let gradient = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            // Keys shift all scores alike, which the softmax does not see.
            let used = gradient.iter().filter(|g| g.abs() > 1e-9).count();
            assert!(used * 2 > gradient.len(), "{name}: {used} of {} numbers matter", gradient.len());
        }
    }
}

#[test]
fn rows_do_not_see_each_other() {
    for network in kinds() {
        let states = noise(3);
        let together = outputs(network.as_ref(), &states, 0.5, &[2, 0, 3]);
        let alone = outputs(network.as_ref(), &states[FEATURES..2 * FEATURES], 0.5, &[0]);
        for (together, alone) in together[1].iter().zip(&alone[0]) {
            assert!((together - alone).abs() < 1e-5, "{together} {alone}");
        }
    }
}

#[test]
fn noise_level_and_class_are_heard() {
    let differ = |a: &[Vec<f32>], b: &[Vec<f32>]| a[0].iter().zip(&b[0]).any(|(a, b)| (a - b).abs() > 1e-3);
    for network in kinds() {
        let states = noise(1);
        let of = |angle, class| outputs(network.as_ref(), &states, angle, &[class]);
        assert!(differ(&of(0.5, 1), &of(0.6, 1)) && differ(&of(0.5, 1), &of(0.5, 3)));
    }
}

/// Numbers in the weights of a preset's network, but for those of noise level and class, which become tables on a device.
fn weights_of(preset: &str, shape: &[usize]) -> usize {
    let network = Preset::load(preset, &[]).unwrap().network.build(shape, 10).unwrap();
    let list = network.weights();
    let folds = |name: &str| name.contains("angle") || name.contains("class");
    list.iter().filter(|(name, _)| !folds(name)).map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

#[test]
fn the_presets_are_as_large_as_they_say() {
    // Of 8 bits, beside 28 KiB of code in 128 KiB of flash.
    assert_eq!(weights_of("mnist", &[28, 28]), 74_308);
    assert!((15_000_000..18_000_000).contains(&weights_of("images", &[3, 32, 32])));
}

#[test]
fn heads_share_the_width() {
    let settings = ["network.kind=transformer", "network.hidden=10", "network.heads=4"].map(str::to_owned);
    let settings = Preset::load("mnist", &settings).unwrap().network;
    let refused = settings.build(&SHAPE, 0).err().unwrap().to_string();
    assert!(refused.contains("network.hidden = 10") && refused.contains("network.heads = 4"), "{refused}");
}

/// The output and the gradient of its square by every weight, of weights and inputs in `dtype`.
fn differentiated(network: &dyn Network, dtype: candle_core::DType) -> (Vec<f64>, Vec<Vec<f64>>) {
    let numbers = |tensor: &Tensor| -> Vec<f64> {
        tensor.to_dtype(candle_core::DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let drawn = network.initialise(3, &Device::Cpu).unwrap();
    let mut parameters = Parameters::default();
    for (name, var) in drawn.iter() {
        parameters.insert(name, var.as_tensor().to_dtype(dtype).unwrap()).unwrap();
    }
    let levels = parameters.get("angle.weight").unwrap().dim(1).unwrap() / ANGLE_FEATURES;
    let features = if parameters.get("input.weight").unwrap().rank() == 2 { 64 } else { FEATURES };
    let states = Tensor::from_slice(&noise(3)[..3 * features], (3, features), &Device::Cpu).unwrap();
    let inputs = Inputs::at_angles(states, &vec![0.4; levels], &[0, 3, 1]).unwrap();
    let (state, angle) = (inputs.state.to_dtype(dtype).unwrap(), inputs.angle.to_dtype(dtype).unwrap());
    let output = network.forward(&parameters, &Inputs { state, angle, ..inputs }).unwrap();
    let gradients = output.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let by_weight = parameters.iter().map(|(_, var)| numbers(gradients.get(var.as_tensor()).unwrap()));
    (numbers(&output), by_weight.collect())
}

fn all_kinds() -> Vec<Box<dyn Network>> {
    let mlp = Preset::load("digits", &[]).unwrap().network.build(&[64], 3).unwrap();
    kinds().into_iter().chain([mlp]).collect()
}

/// The distance of two vectors over the length of the second.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    length(&mut a.iter().zip(b).map(|(a, b)| a - b)) / length(&mut b.iter().copied()).max(1e-6)
}

/// Doubles are no type of the fused operators: this is the way of devices other than the CPU.
#[test]
fn candles_operators_make_the_same_networks() {
    for network in all_kinds() {
        let (fused, plain) =
            [candle_core::DType::F32, candle_core::DType::F64].map(|t| differentiated(&*network, t)).into();
        assert!(apart(&fused.0, &plain.0) < 1e-5, "{}", apart(&fused.0, &plain.0));
        for ((name, _), (fused, plain)) in network.weights().iter().zip(fused.1.iter().zip(&plain.1)) {
            assert!(apart(fused, plain) < 1e-4, "{name}: {}", apart(fused, plain));
        }
    }
}

#[test]
fn half_precision_rounds_and_no_more() {
    for (index, dtype, tolerance) in
        (0..4).flat_map(|i| [(i, candle_core::DType::BF16, 0.05), (i, candle_core::DType::F16, 0.01)])
    {
        let own = differentiated(&*all_kinds().swap_remove(index), candle_core::DType::F32);
        let network = HalfPrecision::new(all_kinds().swap_remove(index), dtype);
        let half = differentiated(&network, candle_core::DType::F32);
        let distance = apart(&half.0, &own.0);
        assert!(distance > 1e-5 && distance < tolerance, "{dtype:?}, network {index}: {distance}");
        for ((name, _), (half, own)) in network.weights().iter().zip(half.1.iter().zip(&own.1)) {
            assert!(apart(half, own) < 4.0 * tolerance, "{dtype:?}, network {index}, {name}: {}", apart(half, own));
        }
    }
}
