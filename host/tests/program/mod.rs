//! Running the host program as people do, and looking at what it leaves.
#![allow(dead_code)] // Each test file uses its share.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A small training that writes a checkpoint after every update, so that most of its time goes into writing them.
pub const SMALL: [&str; 8] = [
    "--set",
    "network.hidden=32",
    "--set",
    "training.batch=64",
    "--set",
    "training.checkpoint_every=1",
    "--set",
    "training.log_every=7",
];

/// `tweedie ARGUMENTS`, away from the repository's folders.
pub fn tweedie<A: AsRef<str>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tweedie"));
    command.args(arguments.iter().map(AsRef::as_ref));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A backtrace would follow the sentence that is looked at.
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
    // As `cargo xtask` does for --device wgpu.
    command.env("NODEVICE_SELECT", "1");
    command
}

/// `tweedie train` into `out` with the settings of [`SMALL`].
pub fn small_training(out: &Path, more: &[&str]) -> Command {
    let out = out.display().to_string();
    tweedie(&[&["train", "--out", &out, "--json"], &SMALL[..], more].concat())
}

/// Runs a command that must succeed.
#[track_caller]
pub fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Starts a command, its output thrown away.
pub fn start(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The names of everything in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a finished training leaves that must not depend on its interruptions: every byte of weights and state, and the metrics
/// without the wall time.
pub fn outcome(run: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let files = ["config.toml", "model.safetensors", "state.safetensors", "samples.png"];
    let read = |name: &'static str| (name, std::fs::read(run.join(name)).unwrap());
    let mut outcome: Vec<_> = files.into_iter().map(read).collect();
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| match line.rsplit_once(",\"seconds\":") {
        Some((before, _)) => format!("{before}\n"),
        None => panic!("{line}: no line of metrics"),
    });
    outcome.push(("metrics.jsonl", lines.collect::<String>().into_bytes()));
    outcome
}

/// Asserts that two outcomes are the same, naming the file where they are not.
#[track_caller]
pub fn assert_same(actual: &[(&'static str, Vec<u8>)], expected: &[(&'static str, Vec<u8>)], when: &str) {
    for ((name, actual), (_, expected)) in actual.iter().zip(expected) {
        assert!(actual == expected, "{name} differs {when}");
    }
}
