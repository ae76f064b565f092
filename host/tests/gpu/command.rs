//! `--device wgpu` as people type it.

use super::program::{small_training, succeed, tweedie};
use super::shared;
use std::path::Path;
use std::process::Command;

/// A small run in a folder of its own.
fn run() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(small_training(&run, &["--steps", "20"]));
    (folder, run.display().to_string())
}

/// The command is refused by one sentence on standard error, with every part in it, and status 2.
#[track_caller]
fn refused(mut command: Command, parts: &[&str]) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{command:?}: {text}");
    assert_eq!(text.lines().count(), 1, "more than one line: {text}");
    let sentence = text.trim_end().strip_prefix("error: ").expect(&text);
    for part in parts {
        assert!(sentence.contains(part), "`{part}` is not in: {sentence}");
    }
    for noise in ["  ", "Some(", "panicked", "Kind", "wgpu error", "  "] {
        assert!(!sentence.contains(noise), "`{noise}` is in: {sentence}");
    }
    sentence.to_owned()
}

/// The numbers of an array of `f32` that `sample` left.
fn samples(folder: &Path, count: usize) -> Vec<f32> {
    let bytes = std::fs::read(folder.join("samples.npy")).unwrap();
    let numbers = &bytes[bytes.len() - 4 * count..];
    numbers.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn the_commands_draw_what_they_draw_on_the_cpu() {
    if shared().is_none() {
        return;
    }
    let (folder, run) = run();
    let draw = |device: &[&str]| {
        let out = folder.path().join(device[0]).display().to_string();
        let arguments =
            [&["sample", &run, "--count", "30", "--guidance", "2", "--json", "--out", &out, "--device"], device];
        let output = succeed(tweedie(&arguments.concat()));
        assert!(String::from_utf8(output.stdout).unwrap().contains("\"count\":30"));
        samples(Path::new(&out), 30 * 64)
    };
    let (own, candle) = (draw(&["wgpu", "--adapter", "0", "--batch", "7"]), draw(&["cpu"]));
    // In the data's units, from 0 to 16.
    for (own, candle) in own.iter().zip(&candle) {
        assert!((own - candle).abs() < 8e-4, "{own}, not {candle}");
    }
    let animation = folder.path().join("way.png").display().to_string();
    succeed(tweedie(&["sample", &run, "--device", "wgpu", "--count", "4", "--animate", &animation]));
    assert!(std::fs::read(&animation).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_run_is_judged_by_samples_of_a_gpu() {
    if shared().is_none() {
        return;
    }
    let (folder, run) = run();
    let judge = |device: &str| {
        let out = folder.path().join(device).display().to_string();
        let arguments = ["eval", &run, "--count", "150", "--seeds", "2", "--steps", "2", "--json", "--out", &out];
        let output = succeed(tweedie(&[&arguments[..], &["--device", device]].concat()));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json["by_steps"][0].clone()
    };
    let (own, candle) = (judge("wgpu"), judge("cpu"));
    let distance = |steps: &serde_json::Value| steps["scores"]["pixels"]["frechet"]["mean"].as_f64();
    let (own, candle) = (distance(&own).expect("a distance"), distance(&candle).expect("a distance"));
    assert!((own - candle).abs() < 1e-3 * candle, "{own}, not {candle}");
}

#[test]
fn what_a_gpu_does_not_do_is_one_sentence() {
    if shared().is_none() {
        return;
    }
    let (folder, run) = run();
    let file = folder.path().join("samples").display().to_string();
    succeed(tweedie(&["sample", &run, "--count", "2", "--out", &file]));
    let array = format!("{file}/samples.npy");
    refused(tweedie(&["train", "--device", "wgpu"]), &["--device wgpu", "cuda"]);
    refused(tweedie(&["distill", &run, "--device", "wgpu"]), &["--device wgpu"]);
    refused(tweedie(&["sample", &run, "--device", "wgpu", "--invert", &array]), &["--invert", "--device cpu"]);
    refused(tweedie(&["sample", &run, "--device", "wgpu:1"]), &["--adapter"]);
    refused(tweedie(&["sample", &run, "--adapter", "0"]), &["--adapter is an option of --device wgpu"]);
    let unknown = tweedie(&["sample", &run, "--device", "wgpu", "--adapter", "no such card"]);
    refused(unknown, &["no adapter is called `no such card`", "there are 0: "]);
    let huge = ["--device", "wgpu", "--count", "10000000", "--batch", "10000000", "--class", "1"];
    let sentence =
        refused(tweedie(&[&["sample", &run], &huge[..]].concat()), &["10000000 samples at a time", "at most"]);
    let most = sentence.split("--batch ").nth(1).and_then(|rest| rest.strip_suffix(')')?.parse::<usize>().ok());
    assert!(most.is_some_and(|most| (1000..10_000_000).contains(&most)), "{sentence}");
}

#[test]
fn a_missing_driver_is_one_sentence() {
    let (_folder, run) = run();
    let mut command = tweedie(&["sample", &run, "--device", "wgpu"]);
    command.env("VK_DRIVER_FILES", "/nowhere").env("VK_ICD_FILENAMES", "/nowhere").env("WGPU_BACKEND", "vulkan");
    refused(command, &["no GPU was found by way of Vulkan", "mesa-vulkan-drivers", "VK_DRIVER_FILES", "--device cpu"]);
}

#[test]
fn devices_are_listed() {
    let text = String::from_utf8(succeed(tweedie(&["devices"])).stdout).unwrap();
    assert!(text.starts_with("cpu ") && text.contains("\nwgpu "), "{text}");
    let json = succeed(tweedie(&["devices", "--json"])).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert!(json["cpu_threads"].as_u64().unwrap() > 0);
    let adapters = json["wgpu"].as_array().unwrap();
    assert_eq!(adapters.is_empty(), shared().is_none());
    for (number, adapter) in adapters.iter().enumerate() {
        assert_eq!(adapter["number"], number);
        let name = adapter["name"].as_str().unwrap();
        assert!(!name.is_empty() && text.contains(name), "{name}");
    }
}
