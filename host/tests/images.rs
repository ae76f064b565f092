//! Networks of images from the command line: trained, interrupted, drawn and distilled.

#![allow(missing_docs)]

mod program;

use image::GrayImage;
use program::{assert_same, outcome, succeed, tweedie};
use std::path::Path;

/// Two classes of 8x8: a bright left half or a bright right half, each in a few shades.
fn halves(folder: &Path) -> String {
    for class in ["left", "right"] {
        let place = folder.join("data").join(class);
        std::fs::create_dir_all(&place).unwrap();
        for shade in 0..40_u8 {
            let bright = |x: u32| (x < 4) == (class == "left");
            let image = GrayImage::from_fn(8, 8, |x, _| [if bright(x) { 250 - shade } else { shade }].into());
            image.save(place.join(format!("{shade:02}.png"))).unwrap();
        }
    }
    folder.join("data").display().to_string()
}

/// `train mnist` of a network of few channels.
fn train(data: &str, out: &Path, network: &str, more: &[&str]) -> std::process::Command {
    let (out, kind) = (out.display().to_string(), format!("network.kind={network}"));
    let small = ["--set", "network.hidden=8", "--set", "training.batch=32", "--set", "training.checkpoint_every=10"];
    let small = [&small[..], &["--set", "training.shard=8", "--set", "sampling.steps=5"]].concat();
    tweedie(&[&["train", "mnist", "--data", data, "--out", &out, "--json", "--set", &kind], &small[..], more].concat())
}

/// Leaves the state that a training has at its first checkpoint, as if it had been killed after that.
fn stop_early(data: &str, out: &Path, network: &str) {
    let mut training = program::start(train(data, out, network, &STEPS));
    let state = out.join("state.safetensors");
    while !state.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    training.kill().unwrap();
    training.wait().unwrap();
}

const STEPS: [&str; 2] = ["--steps", "400"];

#[test]
fn an_interrupted_training_comes_to_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let data = halves(place.path());
    for network in ["unet", "transformer"] {
        let [whole, killed] = ["whole", "killed"].map(|name| place.path().join(format!("{network}-{name}")));
        succeed(train(&data, &whole, network, &STEPS));
        stop_early(&data, &killed, network);
        succeed(train(&data, &killed, network, &[&STEPS[..], &["--resume"]].concat()));
        assert_same(&outcome(&killed), &outcome(&whole), network);
    }
}

/// What is learnt: which half is bright, by the class that is asked for, by the teacher and by students of one, two and four steps.
#[test]
fn images_are_learnt_and_distilled() {
    let place = tempfile::tempdir().unwrap();
    let (data, teacher, student) = (halves(place.path()), place.path().join("teacher"), place.path().join("student"));
    succeed(train(&data, &teacher, "unet", &STEPS));
    let [teacher, student] = [teacher, student].map(|folder| folder.display().to_string());
    let students = ["1", "2", "4"].map(|steps| (steps, format!("{student}-{steps}")));
    for (steps, student) in &students {
        let distil = ["distill", &teacher, "--out", student, "--steps", steps, "--updates", "200", "--json"];
        let small = ["--set", "distillation.trajectories=200", "--set", "distillation.batch=32"];
        succeed(tweedie(&[&distil[..], &small].concat()));
    }
    for run in std::iter::once(&teacher).chain(students.iter().map(|(_, student)| student)) {
        succeed(tweedie(&["sample", run, "--count", "40", "--json"]));
        let bytes = std::fs::read(Path::new(run).join("samples/samples.npy")).unwrap();
        let numbers: Vec<f32> =
            bytes[128..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(numbers.len(), 40 * 64);
        let brighter_left = |image: &[f32]| {
            let half = |right: bool| {
                image.iter().enumerate().filter(|(i, _)| (i % 8 >= 4) == right).map(|(_, x)| x).sum::<f32>()
            };
            half(false) > half(true)
        };
        // Classes come in turn.
        let right = numbers.chunks_exact(64).zip(0..).filter(|(image, i)| brighter_left(image) == (i % 2 == 0)).count();
        assert!(right >= 38, "{run}: {right} of 40");
    }
}

#[test]
fn points_are_no_images() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run").display().to_string();
    let output = tweedie(&["train", "cow", "--out", &out, "--set", "network.kind=unet"]).output().unwrap();
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(sentence.contains("needs images") && sentence.contains("[3]"), "{sentence}");
}

#[test]
fn threads_change_no_bit() {
    let place = tempfile::tempdir().unwrap();
    let data = halves(place.path());
    let run = |threads: &str| {
        let out = place.path().join(threads);
        let mut command = train(&data, &out, "unet", &["--steps", "6"]);
        command.env("RAYON_NUM_THREADS", threads);
        succeed(command);
        outcome(&out)
    };
    assert_same(&run("3"), &run("1"), "with the number of threads");
}
