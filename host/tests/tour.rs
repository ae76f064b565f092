//! The tour in `docs/tour` shows what its commands draw, and its commands are ones that the program understands.

#![allow(missing_docs)]

mod program;

use program::tweedie;
use std::path::{Path, PathBuf};
use tweedie_host::study::StudyName;

fn tour() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tour")
}

/// All pages, one after the other.
fn pages() -> String {
    let entries = std::fs::read_dir(tour()).unwrap().map(|entry| entry.unwrap().path());
    let pages = entries.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|page| std::fs::read_to_string(page).unwrap()).collect()
}

#[test]
fn every_study_stands_in_the_tour_as_it_is_drawn_now() {
    let pages = pages();
    for &name in StudyName::ALL {
        assert!(pages.contains(&format!("({name}.png)")), "the tour does not show {name}");
        assert!(pages.contains(&format!("`cargo xtask study {name}`")), "the tour does not say how {name} is drawn");
        let kept = image::open(tour().join(format!("{name}.png"))).unwrap().into_rgb8();
        let drawn = name.findings().unwrap().plot.draw().unwrap();
        assert_eq!(kept.dimensions(), drawn.dimensions(), "{name}");
        // Not bit for bit: other machines may round a letter's edge otherwise.
        let off =
            kept.iter().zip(drawn.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / kept.len() as f64;
        assert!(off < 0.5, "{name}.png is out of date: draw it again by cargo xtask study {name} and copy it");
    }
}

#[test]
fn figures_are_there_and_small() {
    let pages = pages();
    let mut seen = 0;
    for rest in pages.split("](").skip(1) {
        let link = rest.split(')').next().unwrap();
        let path = tour().join(link);
        let size = std::fs::metadata(&path).unwrap_or_else(|error| panic!("{link}: {error}")).len();
        assert!(!link.ends_with(".png") || size < 100_000, "{link} has {size} bytes");
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_commands_of_the_tour_are_understood() {
    // What the twin does, its own test looks at.
    let is_twins =
        |words: &[&str]| matches!(words[0], "export" | "run") || words.iter().any(|word| word.ends_with(".tweedie"));
    let pages = pages();
    let mut seen = 0;
    for rest in pages.split("cargo xtask ").skip(1) {
        let line = rest.split(['\n', '`']).next().unwrap();
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if is_twins(&words) {
            continue;
        }
        // Help comes when all before it is understood.
        words.push("--help");
        let output = tweedie(&words).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}
