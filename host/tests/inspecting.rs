//! `inspect` and `study` as people run them: tables, JSON, files, and presets that train.

#![allow(missing_docs)]

mod program;

use program::{names, succeed, tweedie};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn inspect(folder: &Path, arguments: &[&str]) -> String {
    let mut command = tweedie(&[&["inspect"], arguments].concat());
    command.current_dir(folder);
    String::from_utf8(succeed(command).stdout).unwrap()
}

/// Trains a few small steps by the preset that an inspection left.
fn train_as_suggested(folder: &Path, out: &str) {
    let preset = format!("{out}/preset.toml");
    let mut command =
        tweedie(&["train", &preset, "--out", "run", "--steps", "3", "--set", "network.hidden=16", "--json"]);
    command.current_dir(folder);
    let summary: Value = serde_json::from_slice(&succeed(command).stdout).unwrap();
    assert!(summary["loss"].as_f64().unwrap().is_finite(), "{summary}");
}

#[test]
fn the_digits_need_no_argument() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let text = inspect(folder, &["--out", "seen"]);
    for part in [
        "digits: 1347 rows of [8, 8] in 10 classes",
        "squared norm",
        "sqrt(2/d)",
        "min_time = ",
        "next: cargo xtask train",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let left = ["inspection.json", "norms.csv", "norms.png", "preset.toml", "spectrum.csv", "spectrum.png"];
    assert_eq!(names(&folder.join("seen")), left);
    assert_eq!(image::image_dimensions(folder.join("seen/spectrum.png")).unwrap(), (1200, 720));
    train_as_suggested(folder, "seen");
    // The same every time.
    let json = inspect(folder, &["--json"]);
    assert_eq!(json, fs::read_to_string(folder.join("seen/inspection.json")).unwrap());
}

#[test]
fn the_json_has_every_measure_beside_noise() {
    let place = tempfile::tempdir().unwrap();
    let found: Value = serde_json::from_str(&inspect(place.path(), &["--json"])).unwrap();
    assert_eq!((found["format"].as_str(), found["version"].as_u64()), (Some("inspection"), Some(1)));
    let sizes = ["dimensions", "rows", "rows_compared", "classes"].map(|key| found[key].as_u64());
    assert_eq!(sizes, [Some(64), Some(1347), Some(1347), Some(10)]);
    let measures = found["measures"].as_array().unwrap();
    assert_eq!(measures.len(), 14);
    for measure in measures {
        assert!(measure["value"].is_number() && measure["noise"].is_number(), "{measure}");
        let advice = measure["advice"].as_str().unwrap();
        assert!(advice.ends_with('.') && advice.len() > 20, "{measure}");
    }
    let spectrum = &found["spectrum"];
    assert_eq!((spectrum["data"].as_array().unwrap().len(), spectrum["noise"].as_array().unwrap().len()), (64, 64));
    assert!(found["suggestion"]["sigma_min"].as_f64() < found["suggestion"]["sigma_max"].as_f64());
}

#[test]
fn series_points_and_arrays_are_inspected_and_train_as_suggested() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let wave: String = (0..300).map(|i| format!("{}\n", 100.0 + 20.0 * (f64::from(i) * 0.2).sin())).collect();
    fs::write(folder.join("wave.csv"), wave).unwrap();
    let text = inspect(folder, &["wave.csv", "--window", "24", "--stride", "2", "--out", "seen"]);
    assert!(text.contains("rows of [1, 24]") && text.contains("Values are continuous"), "{text}");
    let preset = fs::read_to_string(folder.join("seen/preset.toml")).unwrap();
    assert!(
        preset.contains("window = 24") && preset.contains("stride = 2") && preset.contains("batch = 139"),
        "{preset}"
    );
    train_as_suggested(folder, "seen");

    let text = inspect(folder, &["cow"]);
    assert!(text.contains("32768 rows of [3]; 8192 of them compared") && text.contains("log-snr"), "{text}");
}

/// A command that must be refused by one sentence with the culprit in it.
#[track_caller]
fn refused(mut command: Command, culprit: &str) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty() && text.lines().count() == 1 && text.contains(culprit), "{text}");
}

#[test]
fn bad_input_is_a_sentence() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(place.path().join(name), text).unwrap();
        place.path().join(name).display().to_string()
    };
    refused(tweedie(&["inspect", "digist"]), "did you mean `digits`");
    refused(tweedie(&["inspect", "digits", "--stride", "2"]), "--window");
    refused(tweedie(&["inspect", &file("one.csv", "1,2,3\n")]), "at least 2");
    refused(tweedie(&["inspect", &file("same.csv", "0.5,0.5\n0.5,0.5\n")]), "every number is 0.5");
    refused(tweedie(&["inspect", "--out", &file("taken", "a file")]), "taken");
    refused(tweedie(&["study", "solver"]), "did you mean `solvers`");
    refused(tweedie(&["study", "norms", "--out", &file("also", "a file")]), "also");
}

#[test]
fn a_study_leaves_a_picture_and_its_numbers() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().display().to_string();
    let told = succeed(tweedie(&["study", "denoisers", "--out", &out, "--json"])).stdout;
    let found: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(found["study"], "denoisers");
    assert!(!found["remarks"].as_array().unwrap().is_empty());
    assert_eq!(names(place.path()), ["denoisers.csv", "denoisers.png"]);
    let table = fs::read_to_string(place.path().join("denoisers.csv")).unwrap();
    assert!(table.starts_with("curve,\"noisy state x_t\",\"E[x_0 | x_t]\"\n") && table.lines().count() > 1000);
}
