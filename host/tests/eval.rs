//! `tweedie eval` as a person calls it: what it leaves, what it says, and one sentence for whatever is wrong.

mod program;

use program::{names, small_training, succeed, tweedie};
use std::path::Path;
use std::process::Command;
use tweedie_host::judge::evaluation::{Evaluation, Stated, SubjectKind};
use tweedie_host::npy;

/// `tweedie eval` in a folder, judges being kept there as well.
fn eval(folder: &Path, line: &str) -> Command {
    let mut command = tweedie(&[&["eval"], &line.split(' ').collect::<Vec<_>>()[..]].concat());
    command.current_dir(folder).env("TWEEDIE_CACHE", folder.join("cache"));
    command
}

/// A temporary folder with the run `small`, barely trained.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    succeed(small_training(&folder.path().join("small"), &["--steps", "20"]));
    folder
}

#[test]
fn a_judgement_is_left_as_json_and_as_a_page() {
    let folder = prepared();
    let line = "small --steps 4,1 --count 100 --seeds 2";
    let table = String::from_utf8(succeed(eval(folder.path(), line)).stdout).unwrap();
    let left = folder.path().join("small/eval");
    assert_eq!(names(&left), ["eval.json", "report.html"]);
    for part in ["real", "variational bound", "95 % interval over 2 seeds", "report.html"] {
        assert!(table.contains(part), "{part}: {table}");
    }

    let json = succeed(eval(folder.path(), &format!("{line} --json --out again"))).stdout;
    let evaluation: Evaluation = serde_json::from_slice(&json).unwrap();
    let file: Evaluation = serde_json::from_slice(&std::fs::read(left.join("eval.json")).unwrap()).unwrap();
    // Two calls agree but for the seconds: the second finds the judge that the first one trained.
    let timeless = |mut evaluation: Evaluation| {
        evaluation.by_steps.iter_mut().for_each(|step| step.seconds = 0.0);
        evaluation
    };
    assert_eq!(timeless(evaluation.clone()), timeless(file));
    assert_eq!(names(&folder.path().join("cache")).len(), 1);

    assert_eq!(evaluation.subject.kind, SubjectKind::Run);
    assert_eq!(evaluation.by_steps.iter().map(|step| step.steps).collect::<Vec<_>>(), [1, 4]);
    assert!((evaluation.real.pixels.frechet - 0.985).abs() < 5e-4);
    assert!(evaluation.judge.present().unwrap().held_out_accuracy >= 0.95);
    let bound = evaluation.bound.present().unwrap();
    assert!((bound.prior + bound.diffusion + bound.reconstruction - bound.held_out).abs() < 1e-9);
    assert!((bound.by_level.iter().map(|term| term.bits).sum::<f64>() - bound.diffusion).abs() < 1e-9);
    // Seventeen equally likely levels would take 4.09 bits; a model that has seen 20 batches knows little more.
    assert!((2.0..8.0).contains(&bound.held_out), "{bound:?}");
}

#[test]
fn data_without_classes_or_levels_are_judged_in_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let mut values = vec![0.0_f32; 300 * 3];
    tweedie_core::noise::NoiseStream::new(0, 0).fill(0, &mut values);
    npy::write_f32(&folder.path().join("cloud.npy"), &[300, 3], &values).unwrap();
    let data = folder.path().join("cloud.npy").display().to_string();
    succeed(small_training(&folder.path().join("cloud"), &["--steps", "20", "--data", &data]));
    let json = succeed(eval(folder.path(), "cloud --count 200 --seeds 1 --json")).stdout;
    let evaluation: Evaluation = serde_json::from_slice(&json).unwrap();
    assert!(matches!(evaluation.judge, Stated::Absent(_)) && matches!(evaluation.bound, Stated::Absent(_)));
    assert_eq!(evaluation.by_steps.iter().map(|step| step.steps).collect::<Vec<_>>(), [1, 2, 4, 8, 20, 50]);
    assert!(evaluation.by_steps.iter().filter(|step| step.is_default).map(|step| step.steps).eq([20]));
    assert!(evaluation.data.held_out_seen_in_training && evaluation.notes.len() == 1, "{evaluation:?}");
    assert_eq!((evaluation.data.training_rows, evaluation.data.held_out_rows), (225, 75));
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = prepared();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    npy::write_f32(&folder.path().join("other.npy"), &[20, 3], &[0.5; 60]).unwrap();
    for (line, part) in [
        ("nowhere", "no such run folder"),
        ("empty", "has it been trained?"),
        ("small --count 64", "needs more than 64 samples"),
        ("small --count x", "--count"),
        ("small --seeds 0", "between 1 and 31"),
        ("small --steps 0", "--steps 0"),
        ("small --steps 4,x", "--steps"),
        ("small --data other.npy", "--data"),
        ("small --data none.csv", "none.csv"),
        ("small --held-out other.npy", "--held-out"),
    ] {
        let output = eval(folder.path(), line).output().unwrap();
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {sentence}");
        assert!(sentence.starts_with("error: ") && sentence.contains(part), "{line}: {sentence}");
        assert!(sentence.lines().count() == 1 && output.stdout.is_empty(), "{line}: {sentence}");
        assert!(!folder.path().join("small/eval").exists(), "{line}");
    }
}
