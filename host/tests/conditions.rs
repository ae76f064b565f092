//! Networks that are told vectors or captions, from the command line: learnt, resumed, drawn.

#![allow(missing_docs)]

mod program;

use program::{assert_same, outcome, succeed, tweedie};
use std::fs;
use std::path::Path;
use std::process::Command;
use tweedie_host::npy::write_f32;

const ROWS: usize = 256;

/// Pairs `(s / 10, -s / 10)` of a number `s` from 0 to 8, with little noise, and a second number that says nothing.
fn prepare(folder: &Path) {
    let number = |row: usize| (row * 37 % ROWS) as f32 / 32.0;
    let jitter = |row: usize| (row % 7) as f32 / 200.0;
    let samples: Vec<f32> = (0..ROWS).flat_map(|row| [number(row) / 10.0 + jitter(row), -number(row) / 10.0]).collect();
    let conditions: Vec<f32> = (0..ROWS).flat_map(|row| [number(row), 3.0]).collect();
    write_f32(&folder.join("pairs.npy"), &[ROWS, 2], &samples).unwrap();
    write_f32(&folder.join("conditions.npy"), &[ROWS, 2], &conditions).unwrap();
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = tweedie(arguments);
    command.current_dir(folder);
    command
}

fn train(folder: &Path, arguments: &[&str]) -> Command {
    let small = ["--set", "network.hidden=32", "--set", "training.batch=64", "--set", "training.checkpoint_every=100"];
    command(folder, &[&["train", "--data", "pairs.npy"], &small[..], arguments].concat())
}

fn refused(folder: &Path, arguments: &[&str], part: &str) {
    let output = command(folder, arguments).output().unwrap();
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {sentence}");
    assert!(sentence.lines().count() == 1 && sentence.contains(part), "{arguments:?}: {sentence}");
}

/// The mean of the first number of the samples of each condition, of `classes`, that were left in `run`.
fn means(run: &Path, classes: usize) -> Vec<f32> {
    let bytes = fs::read(run.join("samples/samples.npy")).unwrap();
    let values: Vec<f32> = bytes[128..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let of = |class: usize| values.chunks_exact(2).skip(class).step_by(classes).map(|pair| pair[0]);
    (0..classes).map(|class| of(class).sum::<f32>() / of(class).count() as f32).collect()
}

#[test]
fn numbers_beside_the_data_steer_what_is_drawn() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    prepare(folder);
    succeed(train(folder, &["--steps", "1500"]));
    let run = folder.join("runs/pairs");
    let drawn = |arguments: &[&str], classes| {
        let line = [&["sample", "runs/pairs", "--count", "120", "--json"], arguments].concat();
        let summary = String::from_utf8(succeed(command(folder, &line)).stdout).unwrap();
        (means(&run, classes), summary)
    };
    // In the units of conditions.npy; data lie about a tenth of the first number, or 0.015 above.
    let (own, summary) = drawn(&["--condition", "1,3", "--condition", "7.5,3"], 2);
    assert!((own[0] - 0.115).abs() < 0.08 && (own[1] - 0.765).abs() < 0.08, "{own:?}");
    assert!(summary.contains("[\"1, 3\",\"7.5, 3\"]"), "{summary}");
    write_f32(&folder.join("asked.npy"), &[2, 2], &[1.0, 3.0, 7.5, 3.0]).unwrap();
    assert_eq!(drawn(&["--conditions", "asked.npy"], 2).0, own);
    // Classes of the frozen model are the same conditions by number.
    let one = drawn(&["--condition", "1,3", "--condition", "7.5,3", "--class", "1"], 1).0;
    assert!((one[0] - own[1]).abs() < 0.05, "{one:?} {own:?}");
    // Guidance of 0 asks for nothing: both are drawn as the data are, about 0.4.
    let ends = ["--condition", "1,3", "--condition", "7.5,3"];
    let blind = drawn(&[&ends[..], &["--guidance", "0"]].concat(), 2).0;
    assert!((blind[0] - blind[1]).abs() < 0.2 && (blind[0] - 0.4).abs() < 0.15, "{blind:?}");
    let guided = drawn(&[&ends[..], &["--guidance", "2"]].concat(), 2).0;
    assert!(guided != own && guided[1] - guided[0] > 0.5, "{guided:?}");
    // Without conditions, examples from the data are drawn.
    let (_, summary) = drawn(&[], 10);
    assert!(summary.contains("class_names"), "{summary}");

    for (arguments, part) in [
        (&["sample", "runs/pairs", "--condition", "1"][..], "1 numbers, where the model is told 2"),
        (&["sample", "runs/pairs", "--condition", "1;2"], "numbers with commas"),
        (&["sample", "runs/pairs", "--prompt", "seven"], "--condition"),
        (&["sample", "runs/pairs", "--conditions", "none.npy"], "none.npy"),
        (&["sample", "runs/pairs", "--condition", "1,2", "--class", "1"], "the classes 0 to 0"),
        (&["train", "digits-mixture", "--data", "pairs.npy", "--out", "m"], "a mixture knows classes alone"),
        (&["train", "--data", "pairs.npy", "--conditions", "numbers", "--out", "m"], "data.conditions = numbers"),
        (&["train", "--data", "pairs.npy", "--conditions", "captions", "--out", "m"], "ten classes of digits"),
    ] {
        refused(folder, arguments, part);
    }
    assert!(!folder.join("m").exists());
}

#[test]
fn a_model_of_vectors_is_judged_without_them_and_taught_as_examples() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    prepare(folder);
    succeed(train(folder, &["--steps", "200"]));
    let eval = ["eval", "runs/pairs", "--count", "100", "--seeds", "1", "--steps", "4", "--json"];
    let judged = String::from_utf8(succeed(command(folder, &eval)).stdout).unwrap();
    assert!(judged.contains("the data have no classes"), "{judged}");
    let student = ["distill", "runs/pairs", "--updates", "20", "--set", "distillation.trajectories=512", "--json"];
    succeed(command(folder, &student));
    let sampled = command(folder, &["sample", "runs/pairs-2-steps", "--count", "10", "--json"]);
    let summary = String::from_utf8(succeed(sampled).stdout).unwrap();
    assert!(summary.contains("\"class_names\":[\"0, 3\","), "{summary}");
    refused(folder, &["distill", "runs/pairs", "--method", "consistency", "--out", "c"], "distil by trajectory");
}

#[test]
fn conditions_can_be_left_out_and_are_part_of_what_is_resumed() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    prepare(folder);
    succeed(train(folder, &["--steps", "300", "--out", "whole"]));
    succeed(train(folder, &["--steps", "300", "--out", "none", "--conditions", "none"]));
    refused(folder, &["sample", "none", "--condition", "1,2"], "without captions or vectors");

    // As if killed after its first checkpoint.
    let killed = folder.join("killed");
    let mut child = train(folder, &["--steps", "300", "--out", "killed"]).spawn().unwrap();
    while !killed.join("state.safetensors").is_file() && child.try_wait().unwrap().is_none() {}
    child.kill().unwrap();
    child.wait().unwrap();
    succeed(command(folder, &["train", "--resume", "--out", "killed"]));
    assert_same(&outcome(&killed), &outcome(&folder.join("whole")), "after a kill");

    let mut child = train(folder, &["--steps", "100000", "--out", "changed"]).spawn().unwrap();
    while !folder.join("changed/state.safetensors").is_file() {}
    child.kill().unwrap();
    child.wait().unwrap();
    write_f32(&folder.join("conditions.npy"), &[ROWS, 2], &[0.25; 2 * ROWS]).unwrap();
    refused(folder, &["train", "--resume", "--out", "changed"], "the data have changed");
    write_f32(&folder.join("conditions.npy"), &[ROWS - 1, 2], &[0.25; 2 * ROWS - 2]).unwrap();
    refused(folder, &["train", "--data", "pairs.npy"], "holds 255 rows for the 256 samples of pairs");
}

#[test]
fn captions_of_a_file_are_learnt_and_drawn_by_prompts() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    prepare(folder);
    let captions: Vec<&str> =
        (0..ROWS).map(|row| if row * 37 % ROWS < 128 { "a low pair" } else { "a high pair" }).collect();
    fs::write(folder.join("captions.txt"), captions.join("\n")).unwrap();
    let told = String::from_utf8(succeed(train(folder, &["--steps", "1000"])).stderr).unwrap();
    assert!(told.contains("text encoder: 500 steps"), "{told}");
    let line =
        ["sample", "runs/pairs", "--prompt", "a low pair", "--prompt", "A HIGH pair!", "--count", "120", "--json"];
    succeed(command(folder, &line));
    let own = means(&folder.join("runs/pairs"), 2);
    assert!((own[0] - 0.2).abs() < 0.1 && (own[1] - 0.6).abs() < 0.1, "{own:?}");

    // The encoder is read, not trained again.
    let resumed = train(folder, &["--steps", "1000", "--resume"]);
    assert!(!String::from_utf8(succeed(resumed).stderr).unwrap().contains("text encoder"));
    refused(folder, &["sample", "runs/pairs", "--prompt", "..."], "there is no word in it");
    refused(folder, &["sample", "runs/pairs", "--condition", "1"], "--prompt");
    fs::remove_file(folder.join("runs/pairs/text.safetensors")).unwrap();
    refused(folder, &["sample", "runs/pairs", "--prompt", "low"], "text.safetensors");
}
