//! Commands of the tour in `docs/tour` that concern artifacts are ones that the twin understands.

#![allow(missing_docs)]

use std::path::Path;
use std::process::Command;

#[test]
fn the_commands_of_the_tour_are_understood() {
    let tour = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tour");
    let pages: String =
        ["8-few-steps.md", "9-fixed-point.md"].map(|page| std::fs::read_to_string(tour.join(page)).unwrap()).concat();
    let mut seen = 0;
    for rest in pages.split("cargo xtask ").skip(1) {
        let line = rest.split(['\n', '`']).next().unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        if !(words[0] == "export" || words.iter().any(|word| word.ends_with(".tweedie"))) {
            continue;
        }
        // Help comes when all before it is understood.
        let output = Command::new(env!("CARGO_BIN_EXE_tweedie-twin")).args(&words).arg("--help").output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        seen += 1;
    }
    assert_eq!(seen, 4);
}
