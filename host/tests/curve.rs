//! `tweedie eval --curve` as a person calls it: the turn from copies to new samples, what is left on disk, and what is refused.

mod program;

use program::{names, succeed, tweedie};
use roxmltree::Document;
use std::path::Path;
use std::process::Command;
use tweedie_host::judge::curve::Curve;
use tweedie_host::npy;

/// `tweedie eval --curve` in a folder, judges being kept there as well.
fn curve(folder: &Path, line: &str) -> Command {
    let mut command = tweedie(&[&["eval", "--curve"], &line.split(' ').collect::<Vec<_>>()[..]].concat());
    command.current_dir(folder).env("TWEEDIE_CACHE", folder.join("cache"));
    command
}

fn read(file: &Path) -> Curve {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn few_rows_are_copied_and_many_are_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let json = succeed(curve(folder.path(), "--rows 4,600 --widths 128 --updates 1200 --count 200 --json")).stdout;
    let measured: Curve = serde_json::from_slice(&json).unwrap();
    let [few, many] = measured.points.as_slice() else { panic!("{} points", measured.points.len()) };
    assert_eq!((few.width, few.rows, few.parameters), (128, 4, 88_768));
    assert!(few.memorised.by_distance >= 0.8 && few.memorised.by_cosine.unwrap() >= 0.8, "{:?}", few.memorised);
    assert!(many.memorised.by_distance <= 0.02, "{:?}", many.memorised);
    assert!(few.strangers.by_distance <= 0.02 && few.strangers.by_cosine.unwrap() <= 0.1, "{:?}", few.strangers);
    // What is known by heart is of no use for other rows.
    assert!(
        few.training_loss < 0.5 * many.training_loss && few.held_out_loss > 1.2 * many.held_out_loss,
        "{measured:?}"
    );

    let left = folder.path().join("runs/digits-curve");
    assert_eq!(names(&left), ["curve.html", "curve.json"]);
    assert_eq!(read(&left.join("curve.json")), measured);
    let page = std::fs::read_to_string(left.join("curve.html")).unwrap();
    for part in ["600 rows", "88\u{2009}768", "chance", "eval --curve --rows 4,600"] {
        assert!(page.contains(part), "{part} is missing");
    }
    assert!(!page.contains("http:") && !page.contains("https:"));
    // Two memorisation ratios, losses, and the plot against parameters.
    assert_eq!(page.matches("role=\"img\"").count(), 4);
    for svg in page.split("<svg").skip(1).map(|rest| format!("<svg{}</svg>", rest.split("</svg>").next().unwrap())) {
        Document::parse(&svg).unwrap();
    }
}

#[test]
fn a_curve_goes_on_where_it_was_interrupted_and_no_other_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    // Without classes there is no judge to wait for.
    let values: Vec<f32> = (0..3 * 64).map(|i| (i as f32 * 0.7).sin()).collect();
    npy::write_f32(&folder.path().join("cloud.npy"), &[64, 3], &values).unwrap();
    let line = "--data cloud.npy --rows 8,16,48 --widths 4,8 --updates 30 --count 50 --out cloud";
    let table = String::from_utf8(succeed(curve(folder.path(), line)).stdout).unwrap();
    assert_eq!(table.lines().filter(|line| line.trim_start().starts_with(['4', '8'])).count(), 6, "{table}");
    let file = folder.path().join("cloud/curve.json");
    let whole = read(&file);
    assert!(whole.points.iter().all(|point| point.memorised.by_cosine.is_none()));

    let mut cut = whole.clone();
    cut.points.truncate(4);
    cut.points[0].seconds = -1.0;
    cut.save(&file).unwrap();
    succeed(curve(folder.path(), line));
    let resumed = read(&file);
    assert_eq!(resumed.points[0].seconds, -1.0, "a point that was there is not measured again");
    let timeless = |mut curve: Curve| {
        curve.points.iter_mut().for_each(|point| point.seconds = 0.0);
        curve
    };
    assert_eq!(timeless(resumed.clone()), timeless(whole));

    for other in [line.replace("--updates 30", "--updates 31"), line.replace("4,8", "4")] {
        let output = curve(folder.path(), &other).output().unwrap();
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(sentence.contains("holds another curve") && sentence.contains("--out"), "{sentence}");
    }
    assert_eq!(read(&file), resumed);
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for (line, part) in [
        ("digist", "no such preset"),
        ("--rows 16,8", "rising"),
        ("--rows 1,8", "at least 2"),
        ("--rows 16,5000", "1347"),
        ("--rows x", "--rows"),
        ("--widths 0,8", "between 1 and"),
        ("--updates 0", "at least 1"),
        ("--data none.csv", "none.csv"),
        ("--steps 4", "--steps"),
        ("--seeds 4", "--seeds"),
    ] {
        let output = curve(folder.path(), line).output().unwrap();
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {sentence}");
        assert!(sentence.starts_with("error: ") && sentence.contains(part), "{line}: {sentence}");
        assert!(sentence.lines().count() == 1 && output.stdout.is_empty(), "{line}: {sentence}");
        assert!(!folder.path().join("runs").exists(), "{line}");
    }
}
