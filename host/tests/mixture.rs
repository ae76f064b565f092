//! `train digits-mixture` as people run it: fitted in seconds, the same every time, sampled like any run.

#![allow(missing_docs)]

mod program;

use program::{names, succeed, tweedie};
use std::fs;

#[test]
fn a_mixture_is_fitted_sampled_and_fitted_again_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let train = |run: &str, more: &[&str]| {
        let out = folder.path().join(run).display().to_string();
        let base = ["train", "digits-mixture", "--out", &out, "--json", "--set", "network.rank=4", "--steps", "5"];
        let output = succeed(tweedie(&[&base[..], more].concat()));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let summary = train("a", &[]);
    assert_eq!(summary["steps"], 5);
    // 40 components: a weight, a mean, four directions with their variances, a floor.
    assert_eq!(summary["parameters"], 40 * (1 + 64 + 4 * 64 + 4 + 1));
    let left = names(&folder.path().join("a"));
    let expected = [".lock", "config.toml", "loss.png", "metrics.jsonl", "model.safetensors", "samples.png"];
    assert_eq!(left, expected);
    train("b", &[]);
    let model = |run: &str| fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(model("a") == model("b"));
    // A run whose model was lost is fitted again, and its metrics are not doubled.
    fs::remove_file(folder.path().join("b/model.safetensors")).unwrap();
    train("b", &["--resume"]);
    assert!(model("a") == model("b"));
    let metrics = fs::read_to_string(folder.path().join("b/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 5);

    let run = folder.path().join("a").display().to_string();
    let guided = ["--guidance", "2", "--solver", "ddpm", "--steps", "7"];
    for (name, more) in [("plain", &[][..]), ("guided", &guided)] {
        let out = folder.path().join(name).display().to_string();
        let base = ["sample", &run, "--count", "20", "--out", &out, "--json"];
        succeed(tweedie(&[&base[..], more].concat()));
        // The header, then 20 digits of 64 values.
        assert_eq!(fs::read(folder.path().join(name).join("samples.npy")).unwrap().len(), 128 + 20 * 64 * 4);
    }
    let samples = |name: &str| fs::read(folder.path().join(name).join("samples.npy")).unwrap();
    assert!(samples("plain") != samples("guided"));
}

#[test]
fn a_mixture_learns_by_the_denoising_loss_the_same_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let train = |run: &str, more: &[&str]| {
        let out = folder.path().join(run).display().to_string();
        let base = ["train", "digits-mixture-denoising", "--out", &out, "--json", "--set", "network.rank=2"];
        let output =
            succeed(tweedie(&[&base[..], &["--steps", "4", "--set", "training.checkpoint_every=2"], more].concat()));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let summary = train("a", &[]);
    assert_eq!(summary["parameters"], 40 * (1 + 64 + 2 * 64 + 2 + 1));
    train("b", &[]);
    let model = |run: &str| fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(model("a") == model("b"));
    let run = folder.path().join("a").display().to_string();
    let out = folder.path().join("drawn").display().to_string();
    succeed(tweedie(&["sample", &run, "--count", "20", "--out", &out, "--json"]));
    assert!(fs::read(folder.path().join("drawn/samples.npy")).is_ok());
}

#[test]
fn sizes_that_do_not_fit_end_with_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run").display().to_string();
    for (set, sentence) in [
        ("network.rank=64", "network.rank = 64 must be below 64, the number of values in a sample"),
        ("network.components=135", "network.components = 135 must be at most 134, the number of samples of class 2"),
        ("network.kind=residual-mlp", "training.method = em is for mixtures"),
        ("training.prediction=v", "training.prediction = v must be x0 for a mixture"),
    ] {
        let output = tweedie(&["train", "digits-mixture", "--out", &out, "--set", set]).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(sentence) && complaint.trim().lines().count() == 1, "{complaint}");
        assert!(!folder.path().join("run").exists());
    }
}
