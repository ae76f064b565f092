//! The twin's commands as a person calls them: files left behind, and one sentence for whatever is wrong.

mod untrained;

use std::path::Path;
use std::process::{Command, Output};
use tweedie_host::judge::evaluation::{Evaluation, SubjectKind};

fn twin(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tweedie-twin"));
    command.args(line.split(' ')).current_dir(folder).env("TWEEDIE_CACHE", folder.join("cache")).output().unwrap()
}

/// A temporary folder with the run `small` and the artifact `small.tweedie`.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    untrained::save(&untrained::model(&[]), &folder.path().join("small"));
    let exported = twin(folder.path(), "export small -o small.tweedie");
    assert!(exported.status.success(), "{exported:?}");
    folder
}

#[test]
fn an_export_reports_what_it_left() {
    let folder = prepared();
    let report = twin(folder.path(), "export small --steps 3 --eta 1 -o noisy.tweedie --json");
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let length = std::fs::metadata(folder.path().join("noisy.tweedie")).unwrap().len();
    assert_eq!(report["report"]["bytes"]["total"], length);
    assert_eq!(report["report"]["steps"], 3);
    assert_eq!(report["compared"]["samples"], 200);
    assert!(report["compared"]["mean_difference"].as_f64().unwrap() < 0.05, "{report}");
    let text = twin(folder.path(), "export small");
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("small/model.tweedie") && text.contains("no accumulator can overflow"), "{text}");
}

#[test]
fn samples_are_left_as_pictures_and_arrays() {
    let folder = prepared();
    let output = twin(folder.path(), "sample small.tweedie --count 12 --seed 3");
    assert!(output.status.success(), "{output:?}");
    let left = folder.path().join("small.samples");
    let length = |name: &str| std::fs::metadata(left.join(name)).unwrap().len();
    // A header of 128 bytes, then 12 samples of 64 numbers.
    assert_eq!((length("samples.npy"), length("samples.raw.npy")), (128 + 12 * 64 * 4, 128 + 12 * 64 * 2));
    assert_eq!(length("labels.npy"), 128 + 12 * 8);
    assert!(length("samples.png") > 100 && length("samples.json") > 100);

    // A sample depends on its number, not on how many are drawn.
    let fewer = twin(folder.path(), "sample small.tweedie --count 5 --seed 3 --out fewer --json");
    let summary: serde_json::Value = serde_json::from_slice(&fewer.stdout).unwrap();
    assert_eq!((&summary["count"], &summary["steps"]), (&5.into(), &5.into()));
    let all = std::fs::read(left.join("samples.raw.npy")).unwrap();
    let few = std::fs::read(folder.path().join("fewer/samples.raw.npy")).unwrap();
    assert_eq!(few[128..], all[128..][..5 * 128]);
}

/// Where there is no adapter nothing is compared, unless this is continuous integration, which has one.
#[cfg(feature = "wgpu")]
#[test]
fn a_gpu_leaves_the_same_bits() {
    let folder = prepared();
    assert!(twin(folder.path(), "sample small.tweedie --count 300 --seed 4 --out cpu").status.success());
    let output = twin(folder.path(), "sample small.tweedie --count 300 --seed 4 --out gpu --device wgpu --json");
    let error = String::from_utf8(output.stderr).unwrap();
    if error.contains("no GPU was found") && std::env::var_os("CI").is_none() {
        println!("skipped: {error}");
        return;
    }
    assert!(output.status.success(), "{error}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(summary["device"].as_str().unwrap().starts_with("wgpu: "), "{summary}");
    for name in ["samples.raw.npy", "samples.npy", "labels.npy", "samples.png"] {
        let left = |out: &str| std::fs::read(folder.path().join(out).join(name)).unwrap();
        assert_eq!(left("cpu"), left("gpu"), "{name}");
    }

    let output = twin(folder.path(), "eval small.tweedie --run small --count 100 --seeds 2 --json --device wgpu");
    assert!(output.status.success(), "{output:?}");
    let evaluation: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    let cost = evaluation.quantisation.unwrap();
    assert!((cost.frechet_pixels.mean - 1.0).abs() < 0.05 && cost.mean_difference < 0.05, "{cost:?}");

    let output = twin(folder.path(), "sample small.tweedie --device wgpu --adapter nowhere");
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && sentence.contains("no adapter is called `nowhere`"), "{sentence}");
}

#[test]
fn an_artifact_is_judged_beside_its_run() {
    let folder = prepared();
    let output = twin(folder.path(), "eval small.tweedie --run small --count 100 --seeds 2 --json");
    assert!(output.status.success(), "{output:?}");
    let evaluation: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(evaluation.subject.kind, SubjectKind::Artifact);
    let length = std::fs::metadata(folder.path().join("small.tweedie")).unwrap().len();
    assert_eq!(evaluation.subject.bytes, Some(length));
    assert_eq!(evaluation.by_steps.len(), 1);
    assert_eq!((evaluation.by_steps[0].steps, evaluation.by_steps[0].is_default), (5, true));
    // The same noise in fixed point: all but the same distance.
    let cost = evaluation.quantisation.unwrap();
    assert!((cost.frechet_pixels.mean - 1.0).abs() < 0.05 && cost.mean_difference < 0.05, "{cost:?}");
    let left = folder.path().join("small.eval");
    assert!(left.join("eval.json").is_file() && left.join("report.html").is_file());
}

#[test]
fn every_step_of_an_artifact_can_be_watched() {
    let folder = prepared();
    let watched = |line: &str| {
        let output = twin(folder.path(), line);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = watched("watch small.tweedie --count 2 --seed 5");
    let blocks: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(blocks[0], "small.tweedie  classes in turn  seed 5  its own plan, 5 steps  the firmware library");
    assert!(blocks[1].starts_with("step 0 of 5 ") && blocks[6].starts_with("step 5 of 5 "), "{text}");
    assert_eq!(blocks.len(), 7);
    // Above, states and estimates; the last step's are the sample, however the solver remembers its estimates.
    let halves = |block: &str| -> (Vec<String>, Vec<String>) {
        let lines: Vec<&str> = block.lines().skip(1).collect();
        let at = lines[0].find("estimate").unwrap();
        let lines = lines[1..].iter().map(|line| format!("{line:200}"));
        lines.map(|line| (line[..at].trim_end().to_owned(), line[at..].trim_end().to_owned())).unzip()
    };
    let (state, estimate) = halves(blocks[6].trim_end());
    assert!(state == estimate && state.iter().any(|line| line.contains('@')), "{text}");
    assert!(halves(blocks[1]).1.iter().all(String::is_empty), "there is no estimate before the first step: {text}");
    assert_ne!(halves(blocks[3]).0, halves(blocks[3]).1);

    assert!(twin(folder.path(), "export small --solver deis -o deis.tweedie").status.success());
    let text = watched("watch deis.tweedie --class 3 --count 2");
    let (state, estimate) = halves(text.split("\n\n").last().unwrap().trim_end());
    let same = state.iter().zip(&estimate).flat_map(|(a, b)| a.chars().zip(b.chars())).filter(|(a, b)| a == b).count();
    assert!(same * 10 > 9 * state.iter().map(|line| line.chars().count()).sum::<usize>(), "{text}");
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = prepared();
    let path = |name: &str| folder.path().join(name);
    let artifact = std::fs::read(path("small.tweedie")).unwrap();
    std::fs::write(path("short.tweedie"), &artifact[..artifact.len() - 10]).unwrap();
    let mut flipped = artifact.clone();
    flipped[200] ^= 4;
    std::fs::write(path("flipped.tweedie"), flipped).unwrap();
    let mut newer = artifact;
    newer[8] = 9;
    std::fs::write(path("newer.tweedie"), newer).unwrap();
    std::fs::write(path("picture.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    untrained::save(&untrained::model(&["training.prediction=eps", "process.max_time=0.9"]), &path("eps"));
    untrained::save(&untrained::model(&["network.hidden=22"]), &path("wider"));
    assert!(twin(folder.path(), "export small --eta 1 -o noisy.tweedie").status.success());
    tweedie_host::npy::write_f32(&path("other.npy"), &[20, 3], &[0.5; 60]).unwrap();
    for (line, part) in [
        ("sample picture.png", "not a Tweedie artifact"),
        ("sample short.tweedie", "cut short"),
        ("sample flipped.tweedie", "checksum"),
        ("sample newer.tweedie", "version 9"),
        ("sample none.tweedie", "no such file"),
        ("sample small", "a folder"),
        ("sample small.tweedie --class 10", "the classes 0 to 9"),
        ("sample small.tweedie --class x", "--class"),
        ("sample small.tweedie --count 0", "at least 1"),
        ("sample small.tweedie --count 99999999999", "10000000"),
        ("watch none.tweedie", "no such file"),
        ("watch short.tweedie", "cut short"),
        ("watch small.tweedie --class 10", "the classes 0 to 9"),
        ("watch small.tweedie --class 70000", "the classes 0 to 9"),
        ("watch small.tweedie --steps 3", "--steps"),
        ("watch small.tweedie --fps none", "from 0.1 to 1000"),
        ("run none.tweedie", "no such file"),
        ("run small.tweedie --class 10", "the classes 0 to 9"),
        ("sample small.tweedie --device cuda", "--device cpu, by the firmware library, or with --device wgpu"),
        ("sample small.tweedie --device tpu", "tpu is no device"),
        ("sample small.tweedie --adapter 0", "an option of --device wgpu"),
        #[cfg(not(feature = "wgpu"))]
        ("eval small.tweedie --device wgpu", "--features wgpu"),
        ("eval none.tweedie", "no such file"),
        ("eval short.tweedie", "cut short"),
        ("eval small.tweedie --run empty", "has it been trained?"),
        ("eval small.tweedie --run wider", "was not exported from it"),
        ("eval noisy.tweedie --run small", "was not exported from it"),
        ("eval small.tweedie --count 9", "needs more than 64 samples"),
        ("eval small.tweedie --data other.npy", "--data"),
        ("eval small.tweedie --steps 4", "--steps"),
        ("export nowhere", "no such run folder"),
        ("export empty", "has it been trained?"),
        ("export eps", "training.prediction=v"),
        ("export small --guidance 2", "distil"),
        ("export small --steps 0", "at least 1"),
        ("export small --steps 99999", "65535"),
        ("export small --solver dim", "ddim"),
        ("export small --spacing leading", "chain"),
        ("export small --eta 2", "eta"),
        ("export small --data none.csv", "none.csv"),
        ("export small -o none/x.tweedie", "none/x.tweedie"),
    ] {
        let output = twin(folder.path(), line);
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {sentence}");
        assert!(sentence.starts_with("error: ") && sentence.contains(part), "{line}: {sentence}");
        assert!(sentence.lines().count() == 1 && output.stdout.is_empty(), "{line}: {sentence}");
    }
}

#[test]
fn vectors_are_exported_as_classes() {
    let folder = tempfile::tempdir().unwrap();
    untrained::save(&untrained::told(2), &folder.path().join("told"));
    let exported =
        twin(folder.path(), "export told --condition 0.5,-1 --condition -2,3 --condition 0,0 -o told.tweedie");
    let text = String::from_utf8(exported.stdout).unwrap();
    assert!(exported.status.success() && text.contains("--class 1: -2, 3\n"), "{text}");
    let sampled = twin(folder.path(), "sample told.tweedie --count 6 --json");
    assert!(sampled.status.success(), "{sampled:?}");
    // Each class is another picture of the same noise.
    let picture = |class: &str| {
        let line = format!("sample told.tweedie --class {class} --count 1 --out one --json");
        assert!(twin(folder.path(), &line).status.success());
        std::fs::read(folder.path().join("one/samples.raw.npy")).unwrap()
    };
    assert!(picture("0") != picture("1") && picture("1") != picture("2"));
    let examples = twin(folder.path(), "export told --json");
    let report: serde_json::Value = serde_json::from_slice(&examples.stdout).unwrap();
    assert_eq!(report["report"]["class_names"], serde_json::json!(["1, 1"]), "{report}");
    for (line, part) in [
        ("export told --condition 1", "1 numbers, where the model is told 2"),
        ("export told --prompt seven", "--condition"),
        ("sample told.tweedie --class 3", "the classes 0 to 2"),
    ] {
        let output = twin(folder.path(), line);
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && sentence.contains(part), "{line}: {sentence}");
    }
}
