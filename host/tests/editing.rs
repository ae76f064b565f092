//! Samples that begin with data: inversion to noise and back, and inpainting.

#![allow(missing_docs)]

use candle_core::Device;
use std::sync::LazyLock;
use tempfile::TempDir;
use tweedie_host::checkpoint::Model;
use tweedie_host::data::Dataset;
use tweedie_host::preset::{Preset, SamplingSettings, SolverName};
use tweedie_host::process::AnyProcess;
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::inpaint::{Given, inpaint};
use tweedie_host::sample::invert::invert;
use tweedie_host::sample::{classes_in_turn, sample};
use tweedie_host::train::Training;

mod program;

static TRAINED: LazyLock<(TempDir, Model)> = LazyLock::new(|| {
    let settings = ["network.hidden=48", "training.steps=1500", "training.batch=128"].map(str::to_owned);
    let preset = Preset::load("digits", &settings).unwrap();
    let process = AnyProcess::new(&preset.process).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    let data = Dataset::digits().unwrap();
    Training::begin(&preset, &data, &process, &Device::Cpu).unwrap().run(&run, |_| {}).unwrap();
    let model = Model::load(&run.model(), &Device::Cpu).unwrap();
    (folder, model)
});

fn settings(solver: SolverName, steps: usize) -> SamplingSettings {
    SamplingSettings { solver, steps, ..TRAINED.1.preset.sampling.clone() }
}

/// Twenty samples of each class in turn, to begin with.
fn drawn() -> (Vec<f32>, Vec<u32>) {
    let classes = classes_in_turn(20, 10);
    (sample(&TRAINED.1, &settings(SolverName::Ddim, 20), &classes, 5, &Device::Cpu).unwrap(), classes)
}

#[test]
fn inversion_and_sampling_come_back_to_the_data() {
    let (data, classes) = drawn();
    let error = |steps: usize| {
        let inverted = invert(&TRAINED.1, &settings(SolverName::Ddim, steps), &data, &classes, &Device::Cpu).unwrap();
        let power: f32 = inverted.noise.iter().map(|z| z * z).sum::<f32>() / inverted.noise.len() as f32;
        assert!((0.5..1.5).contains(&power), "noise of variance {power}");
        inverted.error(&data)
    };
    let errors = [25, 50, 100, 200].map(error);
    assert!(errors.windows(2).all(|pair| pair[1] < 0.7 * pair[0]) && errors[3] < 0.02, "{errors:?}");
}

#[test]
fn what_inversion_cannot_walk_is_refused() {
    let (data, classes) = drawn();
    for settings in [settings(SolverName::Heun, 20), SamplingSettings { eta: 0.5, ..settings(SolverName::Ddim, 20) }] {
        let refused = invert(&TRAINED.1, &settings, &data, &classes, &Device::Cpu).unwrap_err().to_string();
        assert!(refused.contains("--solver ddim"), "{refused}");
    }
}

#[test]
fn what_is_known_stays_and_the_rest_fits_it_better_with_repeats() {
    let (data, classes) = drawn();
    // The left halves.
    let mask: Vec<bool> = (0..64).map(|i| i % 8 < 4).collect();
    let settings = settings(SolverName::Ddpm, 25);
    let drawn = |repeats, classes: &[u32]| {
        let given = Given { data: &data, mask: &mask, repeats };
        inpaint(&TRAINED.1, &settings, &given, classes, 1, &Device::Cpu).unwrap()
    };
    let free = sample(&TRAINED.1, &settings, &classes, 1, &Device::Cpu).unwrap();
    // Squared distances of the unknown halves from those that stood there.
    let distance = |samples: &[f32]| -> f32 {
        let unknown = samples.iter().zip(&data).enumerate().filter(|(i, _)| !mask[i % 64]);
        unknown.map(|(_, (a, b))| (a - b).powi(2)).sum()
    };
    let (once, often) = (drawn(1, &classes), drawn(8, &classes));
    for samples in [&once, &often] {
        assert!(samples.iter().zip(&data).enumerate().all(|(i, (a, b))| !mask[i % 64] || a == b));
    }
    let distances = [&free, &once, &often].map(|samples| distance(samples));
    assert!(distances[2] < distances[1] && distances[1] < distances[0], "{distances:?}");
    assert_eq!(drawn(1, &classes[..7])[..], once[..7 * 64], "samples depend on their company");
    let given = Given { data: &data, mask: &mask, repeats: 1 };
    let several = SamplingSettings { solver: SolverName::UniPc, ..settings.clone() };
    let refused = inpaint(&TRAINED.1, &several, &given, &classes, 1, &Device::Cpu).unwrap_err().to_string();
    assert!(refused.contains("unipc combines estimates"), "{refused}");
}

#[test]
fn the_command_line_inverts_and_inpaints() {
    let (folder, data) = (tempfile::tempdir().unwrap(), drawn().0);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let run = TRAINED.0.path().join("run").display().to_string();
    tweedie_host::npy::write_f32(folder.path().join("data.npy").as_path(), &[20, 8, 8], &data).unwrap();
    let left: Vec<f32> = (0..64).map(|i| if i % 8 < 4 { 1.0 } else { 0.0 }).collect();
    tweedie_host::npy::write_f32(folder.path().join("left.npy").as_path(), &[8, 8], &left).unwrap();
    let command = |arguments: &[&str]| {
        program::tweedie(&[&["sample", &run, "--json", "--out", &file("out")], arguments].concat())
    };
    let said = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_slice(&program::succeed(command(arguments)).stdout).unwrap()
    };
    let inverted = said(&["--invert", &file("data.npy"), "--class", "3", "--steps", "50"]);
    assert!(inverted["count"] == 20 && inverted["error"].as_f64().unwrap() < 0.2, "{inverted}");
    let names = program::names(&folder.path().join("out"));
    let expected = ["labels.npy", "noise.npy", "noise.png", "samples.json", "samples.npy", "samples.png"];
    assert_eq!(names, expected);

    let inpainted = said(&["--inpaint", &file("data.npy"), "--mask", &file("left.npy"), "--count", "4"]);
    assert_eq!((&inpainted["count"], &inpainted["error"]), (&4.into(), &serde_json::Value::Null));
    let samples = std::fs::read(folder.path().join("out/samples.npy")).unwrap();
    let first: Vec<u8> = data[..4].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert!(samples.windows(16).any(|bytes| bytes == first), "the known pixels should come out as they are");

    for (arguments, part) in [
        (&["--invert", &file("left.npy"), "--solver", "heun"][..], "DDIM"),
        (&["--invert", "none.npy"], "none.npy"),
        (&["--inpaint", &file("data.npy")], "--mask"),
        (&["--inpaint", &file("data.npy"), "--mask", &file("data.npy")], "a mask is one array"),
        (&["--repeats", "2"], "--inpaint"),
        (&["--threshold", "1.5"], "threshold = 1.5"),
    ] {
        let output = command(arguments).output().unwrap();
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{sentence}");
        assert!(sentence.contains(part) && sentence.trim().lines().count() == 1, "{sentence}");
    }
}

#[test]
fn thresholds_keep_estimates_in_range_where_clamping_would() {
    let classes = classes_in_turn(20, 10);
    let draw = |threshold: f64, clip: bool| {
        let settings = SamplingSettings { threshold, clip, guidance: 4.0, ..settings(SolverName::Ddim, 10) };
        sample(&TRAINED.1, &settings, &classes, 0, &Device::Cpu).unwrap()
    };
    let farthest = |samples: &[f32]| samples.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let [free, clamped, thresholded] = [(0.0, false), (0.0, true), (0.9, false)].map(|(p, clip)| draw(p, clip));
    assert!(farthest(&free) > 1.01 && farthest(&thresholded) <= 1.0 && thresholded != clamped);
}
