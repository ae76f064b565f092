//! Tests of the whole way from a model to an artifact.

use super::folded::Kind;
use super::*;
use crate::checkpoint::{Description, Model};
use crate::data;
use crate::network::Inputs;
use crate::network::parameters::{FrozenWeights, Parameters};
use crate::preset::{Preset, SolverName};
use candle_core::{Device, Tensor};
use tweedie_core::noise::NoiseStream;

/// A small untrained model of samples `[4, 3]`, with `overrides` of the digits' preset.
fn model(classes: usize, overrides: &[&str]) -> Model {
    let overrides: Vec<String> =
        ["network.hidden=22", "network.blocks=2"].iter().chain(overrides).map(|&set| set.to_owned()).collect();
    let preset = Preset::parse("test", "", &overrides).unwrap();
    let description = Description {
        format: "model".to_owned(),
        version: 1,
        preset: preset.to_toml().unwrap(),
        data: "test".to_owned(),
        shape: vec![4, 3],
        classes,
        class_names: Vec::new(),
        vectors: None,
        offset: 8.0,
        scale: -2.0,
        distilled: None,
    };
    let network = preset.network.build(&description.shape, classes).unwrap();
    let parameters = network.initialise(3, &Device::Cpu).unwrap();
    let weights = shaken(&parameters, 0.1);
    Model { network, weights, preset, description }
}

/// The weights with noise of that size: scales and shifts start as 1 and 0, where folding them wrongly would not be seen.
pub(super) fn shaken(parameters: &Parameters, size: f64) -> FrozenWeights {
    let weights = parameters.iter().enumerate().map(|(index, (name, var))| {
        let mut noise = vec![0.0_f32; var.elem_count()];
        NoiseStream::new(9, index as u64).fill(0, &mut noise);
        let noise = Tensor::from_vec(noise, var.shape(), &Device::Cpu).unwrap();
        (name.to_owned(), (var.as_tensor() + (noise * size).unwrap()).unwrap())
    });
    FrozenWeights::new(weights.collect())
}

fn exported(model: &Model) -> Export {
    export(model, &model.preset.sampling, None).unwrap()
}

#[test]
fn the_folded_network_is_the_network() {
    for classes in [0, 3] {
        let model = model(classes, &[]);
        let angles = [vec![0.99], vec![0.5], vec![0.013]];
        let folded = fold::fold(&model, &angles).unwrap();
        let rows = classes + 1;
        // Of a norm so small that normalisation's epsilon counts, too.
        for scale in [1.0, 1e-3] {
            let mut states = vec![0.0_f32; rows * 12];
            NoiseStream::new(4, 0).fill(0, &mut states);
            let states = (Tensor::from_vec(states, (rows, 12), &Device::Cpu).unwrap() * scale).unwrap();
            let classes: Vec<u32> = (0..rows as u32).collect();
            for (step, told) in angles.iter().enumerate() {
                let inputs = Inputs::at_angles(states.clone(), told, &classes).unwrap();
                let exact = model.network.forward(&model.weights, &inputs).unwrap();
                let class = Tensor::from_slice(&classes, rows, &Device::Cpu).unwrap();
                let mut seen = 0;
                let observe = |_: folded::Observation<'_>| {
                    seen += 1;
                    Ok(())
                };
                let output = folded.forward(&states, step, &class, observe).unwrap();
                let error = (exact - output).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(error < 1e-5, "step {step}: {error}");
                assert_eq!(seen, folded.layers.len());
            }
        }
    }
}

#[test]
fn normalisation_has_the_epsilon_of_the_network() {
    let model = model(0, &[]);
    let folded = fold::fold(&model, &[vec![0.5]]).unwrap();
    let Some(epsilon) = folded.layers.iter().find_map(|layer| match layer.kind {
        Kind::Normalise { epsilon, .. } => Some(epsilon),
        _ => None,
    }) else {
        panic!("there is a normalisation")
    };
    let x = Tensor::new(&[[3e-3_f32, -3e-3]], &Device::Cpu).unwrap();
    let (one, zero) =
        (Tensor::ones(2, x.dtype(), &Device::Cpu).unwrap(), Tensor::zeros(2, x.dtype(), &Device::Cpu).unwrap());
    let normal = crate::operators::layer_norm(&x, &one, &zero).unwrap().to_vec2::<f32>().unwrap()[0][0];
    assert!((f64::from(normal) - 3e-3 / (9e-6 + epsilon).sqrt()).abs() < 1e-6);
}

#[test]
fn the_report_adds_up_to_the_file() {
    for classes in [0, 3] {
        let export = exported(&model(classes, &[]));
        let bytes = export.report.bytes;
        assert_eq!(bytes.total, export.to_bytes().len());
        assert_eq!(bytes.head + bytes.weights + bytes.biases + bytes.step_and_class_biases + bytes.tables, bytes.total);
        // 16 words of header, 6 for each of 20 steps, 12 for each of 8 layers.
        assert_eq!(bytes.head, 4 * (16 + 6 * 20 + 12 * 8));
        // Rows and columns are padded to fours.
        assert_eq!(bytes.weights, 12 * 24 + 4 * 24 * 24 + 24 * 12);
        assert_eq!(bytes.tables, 2 * 4 * 129);
        let class_rows = if classes == 0 { 0 } else { classes + 1 };
        assert_eq!(bytes.step_and_class_biases, 4 * 22 * (20 + class_rows));
        assert_eq!(export.report.multiply_accumulates, 20 * (2 * 12 * 22 + 4 * 22 * 22));
        assert_eq!(export.report.arena_bytes, 2 * 3 * 24);
        // The output has 12 fractional bits; 22 normalised numbers, none above their root, have 12 as well.
        let units: Vec<_> = export.report.layers.iter().map(|layer| (layer.unit, layer.pre_activation_unit)).collect();
        assert_eq!((units[7], units[1]), ((1.0 / 4096.0, Some(1.0 / 4096.0)), (1.0 / 4096.0, None)));
        // The first layer and both blocks' second ones write the same buffer.
        assert!(units[0] == units[3] && units[0] == units[6] && units[0].0 > 0.0);
    }
}

#[test]
fn the_integer_network_follows_the_float_network() {
    for prediction in ["v", "x0"] {
        let report = exported(&model(3, &[&format!("training.prediction={prediction}")])).report;
        assert!(report.output_error.signal_to_noise_db > 40.0, "{report:#?}");
        for layer in &report.layers {
            assert!(layer.cumulative_db > 40.0, "{layer:?}");
            assert!(layer.weights_db.is_none_or(|db| db > 40.0), "{layer:?}");
        }
        assert!(report.least_margin > 0);
    }
}

#[test]
fn the_header_says_what_the_model_is() {
    let export = exported(&model(3, &["sampling.clip=false"]));
    let artifact = Artifact::parse(&export.words).unwrap();
    let header = artifact.header();
    assert_eq!((header.dims, header.rank, header.classes, header.clip), ([4, 3, 1, 1], 2, 3, false));
    assert_eq!((header.offset, header.scale), (8.0, -2.0));
    assert_eq!((artifact.steps(), artifact.history(), artifact.is_noisy()), (20, 1, false));
    let noisy = exported(&model(3, &["sampling.solver=ddpm"]));
    assert!(Artifact::parse(&noisy.words).unwrap().is_noisy());
}

#[test]
fn the_same_model_gives_the_same_file() {
    assert_eq!(exported(&model(3, &[])).words, exported(&model(3, &[])).words);
}

#[test]
fn refusals_are_one_sentence_with_a_remedy() {
    let refused = |classes, overrides: &[&str]| {
        let model = model(classes, overrides);
        export(&model, &model.preset.sampling, None).unwrap_err().to_string()
    };
    let digits = data::load("digits").unwrap();
    let other = model(3, &[]);
    let refusals = [
        (refused(3, &["training.prediction=eps"]), "--set training.prediction=v"),
        (refused(3, &["sampling.guidance=2.0"]), "distil"),
        (refused(3, &["network.kind=unet", "network.patch=1", "network.levels=1", "network.hidden=7"]), "an even"),
        (refused(3, &["sampling.steps=70000", "network.blocks=0"]), "--steps"),
        (refused(3, &["network.hidden=1025", "network.blocks=0"]), "--set network.hidden"),
        (refused(3, &["process.schedule=variance-exploding", "training.prediction=velocity"]), "from_state"),
        (export(&other, &other.preset.sampling, Some(&digits)).unwrap_err().to_string(), "trained on"),
    ];
    for (sentence, part) in refusals {
        assert!(sentence.contains(part), "{sentence}");
        assert!(!sentence.contains('\n') && !sentence.contains(". "), "{sentence}");
    }
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    let mut model = model(3, &[]);
    let weights = model.weights.iter().map(|(name, tensor)| {
        let tensor = if name == "output.bias" { (tensor / 0.0).unwrap() } else { tensor.clone() };
        (name.to_owned(), tensor)
    });
    model.weights = FrozenWeights::new(weights.collect());
    assert!(matches!(export(&model, &model.preset.sampling, None), Err(ExportError::NotFinite(_))));
}

#[test]
fn an_output_beyond_the_devices_range_is_refused() {
    let mut model = model(3, &[]);
    let weights = model.weights.iter().map(|(name, tensor)| {
        let tensor = if name == "output.bias" { (tensor + 9.0).unwrap() } else { tensor.clone() };
        (name.to_owned(), tensor)
    });
    model.weights = FrozenWeights::new(weights.collect());
    assert!(matches!(export(&model, &model.preset.sampling, None), Err(ExportError::OutputRange { .. })));
}

#[test]
fn devices_run_every_solver_that_stays_in_range() {
    let refused = |clip: bool| {
        let model = model(0, &[&format!("sampling.clip={clip}")]);
        let attempts = SolverName::ALL.iter().map(|&solver| {
            let settings = SamplingSettings { solver, ..model.preset.sampling.clone() };
            (solver.to_string(), export(&model, &settings, None).err().map(|error| error.to_string()))
        });
        attempts.filter_map(|(solver, error)| error.map(|error| (solver, error))).collect::<Vec<_>>()
    };
    let names =
        |refused: &[(String, String)]| refused.iter().map(|(solver, _)| solver.as_str()).collect::<Vec<_>>().join(" ");
    let (plain, clamped) = (refused(false), refused(true));
    // Next to pure noise the SDE throws the state out of every device's range.
    assert_eq!((names(&plain).as_str(), names(&clamped).as_str()), ("reverse-sde", "reverse-sde"));
    let all = plain.iter().chain(&clamped);
    assert!(all.clone().all(|(_, error)| error.contains("the network's output reaches")), "{plain:?} {clamped:?}");
}

#[test]
fn a_memory_is_kept_where_estimates_are_clamped() {
    let model = model(0, &["sampling.clip=true", "sampling.solver=deis"]);
    let words = export(&model, &model.preset.sampling, None).unwrap().words;
    let artifact = Artifact::parse(&words).unwrap();
    let process = AnyProcess::new(&model.preset.process).unwrap();
    let plan = plan_for(&model.preset, &process, &model.preset.sampling).unwrap();
    for (fixed, exact) in artifact.plan().zip(plan) {
        let (fixed, exact) = (fixed.memory.unwrap(), *exact.memory().unwrap());
        for (fixed, exact) in [(fixed.from_state, exact.from_state), (fixed.from_x0, exact.from_x0)] {
            let error = (f64::from(fixed) / 16384.0 - exact).abs();
            assert!(error <= (0.5 / 16384.0_f64).max(exact.abs() / 32768.0), "{fixed} for {exact}");
        }
    }
}

#[test]
fn what_a_solver_remembers_is_made_in_one_conversion() {
    let model = model(0, &["sampling.clip=false", "sampling.solver=deis"]);
    let process = AnyProcess::new(&model.preset.process).unwrap();
    let plan = plan_for(&model.preset, &process, &model.preset.sampling).unwrap();
    let frozen = freeze::freeze(plan.clone(), tweedie_core::NoiseLevel::CLEAN, &process, Prediction::V, false).unwrap();
    for (step, conversion) in plan.iter().zip(&frozen.to_x0) {
        assert!(step.memory().is_some());
        // eps_hat = sigma x + alpha v, on a process that preserves variance.
        assert!((conversion.from_state - step.level.sigma).abs() < 1e-9, "{conversion:?} {step:?}");
        assert!((conversion.from_output - step.level.alpha).abs() < 1e-9, "{conversion:?} {step:?}");
    }
    assert!(frozen.steps.iter().all(|step| step.memory().is_none()));
}
