//! The README's program is the example that is compiled, and its commands are those that exist.

use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).expect("a file")
}

#[test]
fn the_program_in_the_readme_is_the_example() {
    let (readme, example) = (read("README.md"), read("firmware/examples/own_firmware.rs"));
    let program = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
    assert!(program.lines().count() > 10);
    assert!(example.contains(program.trim()), "firmware/examples/own_firmware.rs differs from the README");
}

#[test]
fn the_example_draws_a_three() {
    let run = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "tweedie-firmware", "--example", "own_firmware"])
        .output()
        .expect("cargo starts");
    let picture = String::from_utf8(run.stdout).expect("text");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(picture.lines().count(), 8, "{picture}");
    let ink = picture.matches('#').count();
    assert!((20..60).contains(&ink), "{ink} dark characters:\n{picture}");
}

#[test]
fn the_commands_in_the_readme_exist() {
    let (readme, commands) = (read("README.md"), read("xtask/src/main.rs"));
    // Long ones stand on several lines.
    let commands = commands.replace(char::is_whitespace, "");
    let mut seen = 0;
    for rest in readme.split("cargo xtask ").skip(1) {
        let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        assert!(commands.contains(&format!("Command::new(\"{name}\"")), "there is no `cargo xtask {name}`");
        seen += 1;
    }
    assert!(seen > 10);
}
