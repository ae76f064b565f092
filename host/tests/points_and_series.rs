//! Points inside solids and windows of series, from the command line: learnt, drawn, and left in the units of their files.

#![allow(missing_docs)]

mod program;

use image::GenericImageView;
use program::{succeed, tweedie};
use std::fs;
use std::path::Path;

/// A tetrahedron in units of its own.
const TETRAHEDRON: &str = "v 10 20 20\nv 20 20 20\nv 10 30 20\nv 10 20 30\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";

/// `train ARGUMENTS`, a few steps of a small network.
fn train(folder: &Path, arguments: &[&str]) -> String {
    let small = ["--steps", "30", "--set", "network.hidden=16", "--set", "training.batch=64"];
    let mut command = tweedie(&[&["train"], arguments, &small[..]].concat());
    command.current_dir(folder);
    String::from_utf8(succeed(command).stdout).unwrap()
}

fn sample(folder: &Path, arguments: &[&str]) -> String {
    let mut command = tweedie(&[&["sample"], arguments].concat());
    command.current_dir(folder);
    String::from_utf8(succeed(command).stdout).unwrap()
}

/// The numbers of a `.npy` of 32-bit floats, behind a header that must contain `shape`.
fn numbers(file: &Path, shape: &str) -> Vec<f32> {
    let bytes = fs::read(file).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..128]).contains(shape), "{}", String::from_utf8_lossy(&bytes[..128]));
    bytes[128..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn size(picture: &Path) -> (u32, u32) {
    image::open(picture).unwrap().dimensions()
}

#[test]
fn points_drawn_of_the_cow_stray_little_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cow").display().to_string();
    // Half of the preset's training, so that it takes some 16 s on two idle cores; a sixth of it strays 2.0 times as far.
    let shortened = ["--steps", "6000", "--json"];
    let output = succeed(tweedie(&[&["train", "cow", "--out", &out], &shortened[..]].concat()));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let distance = |of: &str| summary["chamfer"][of].as_f64().unwrap();
    let ratio = distance("samples") / distance("fresh");
    println!("the samples stray {ratio:.3} times as far as fresh points");
    assert!(distance("fresh") > 0.0 && ratio <= 1.3, "{summary}");
}

#[test]
fn points_of_a_mesh_are_drawn_from_two_sides() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    fs::write(folder.join("solid.obj"), TETRAHEDRON).unwrap();
    let told = train(folder, &["cow", "--data", "solid.obj"]);
    assert!(told.contains("one-sided Chamfer distance"), "{told}");
    assert_eq!(size(&folder.join("runs/solid/samples.png")), (720, 360));

    sample(folder, &["runs/solid", "--count", "500", "--steps", "6", "--animate", "steps.png"]);
    let points = numbers(&folder.join("runs/solid/samples/samples.npy"), "(500, 3)");
    // Clipped to the box of the mesh's coordinates.
    assert!(points.iter().all(|value| (9.9..30.1).contains(value)), "{points:?}");
    let mean = points.iter().sum::<f32>() / points.len() as f32;
    assert!((13.0..24.0).contains(&mean), "{mean}");
    assert_eq!(size(&folder.join("steps.png")), (720, 360));
    let frames = fs::read(folder.join("steps.png")).unwrap();
    // The animation's control chunk: as many frames as states.
    let control = frames.windows(4).position(|window| window == b"acTL").unwrap();
    assert_eq!(frames[control + 4..][..4], 7_u32.to_be_bytes());

    // The same picture and the same points, whether or not the way there is watched.
    let png = fs::read(folder.join("runs/solid/samples/samples.png")).unwrap();
    sample(folder, &["runs/solid", "--count", "500", "--steps", "6", "--out", "again"]);
    assert_eq!(numbers(&folder.join("again/samples.npy"), "(500, 3)"), points);
    assert_eq!(fs::read(folder.join("again/samples.png")).unwrap(), png);
}

#[test]
fn the_embedded_cow_needs_no_file() {
    let place = tempfile::tempdir().unwrap();
    let told = train(place.path(), &["cow", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(summary["chamfer"]["samples"].as_f64() > summary["chamfer"]["fresh"].as_f64(), "{summary}");
    let shown = sample(place.path(), &["runs/cow"]);
    assert!(shown.contains("drew 4096 samples") && shown.lines().count() > 20, "{shown}");
}

#[test]
fn windows_of_a_series_are_drawn_as_curves() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let wave: String = (0..400).map(|i| format!("{}\n", 100.0 + 20.0 * (f64::from(i) * 0.2).sin())).collect();
    fs::write(folder.join("wave.csv"), wave).unwrap();
    train(folder, &["--data", "wave.csv", "--window", "24", "--stride", "4"]);
    let config = fs::read_to_string(folder.join("runs/wave/config.toml")).unwrap();
    assert!(config.contains("window = 24") && config.contains("stride = 4"), "{config}");
    // Five panels of 244 and twenty of 100 pixels.
    assert_eq!(size(&folder.join("runs/wave/samples.png")), (1224, 2004));
    let shown = sample(folder, &["runs/wave", "--count", "3", "--animate", "wave.png"]);
    assert!(shown.contains("@@"), "{shown}");
    let windows = numbers(&folder.join("runs/wave/samples/samples.npy"), "(3, 1, 24)");
    assert!(windows.iter().all(|value| (79.9..120.1).contains(value)));
    assert_eq!(size(&folder.join("wave.png")), (3 * 244 + 4, 104));
    train(folder, &["--data", "wave.csv", "--window", "24", "--stride", "4", "--resume", "--out", "runs/wave"]);
}
