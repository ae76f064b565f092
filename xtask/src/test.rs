//! `cargo xtask test`: every check and every test; all failures are collected before it fails.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::cargo::{cargo, root};
use crate::cli::{UsageError, is_help};
use crate::host::target_dir;
use crate::machines::MACHINES;
use crate::setup;

const HELP: &str = "\
Run every check and test: formatting, clippy, documentation, the tests of every package, the builds for
microcontrollers, and the emulated boards. What is missing is installed first, as `cargo xtask setup` does.

Usage: cargo xtask test [--list] [FILTER]...

Arguments:
  FILTER   run only the steps whose name contains one of the filters

Options:
  --list   print the names of the steps and run nothing

Examples:
  cargo xtask test
  cargo xtask test core
  cargo xtask test format clippy
";

/// The packages that must build for a chip without a floating-point unit, an allocator or std.
const NO_STD: &[&str] = &["tweedie-core", "tweedie-firmware"];

/// The flasher, a workspace of its own.
const FLASHER: &str = "flasher";

/// One line of the summary.
struct Step {
    name: String,
    command: Command,
}

/// What a step came to.
struct Outcome {
    name: String,
    passed: usize,
    failed: usize,
    failures: Vec<String>,
    time: Duration,
}

/// The command.
pub fn main(arguments: &[OsString]) -> Result<ExitCode, UsageError> {
    if arguments.iter().any(|argument| is_help(argument)) {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let (options, filters): (Vec<_>, Vec<_>) =
        arguments.iter().map(|argument| argument.to_string_lossy()).partition(|text| text.starts_with('-'));
    if let Some(unknown) = options.iter().find(|option| *option != "--list") {
        return Err(UsageError(format!("test does not know `{unknown}`: it takes --list and filters.")));
    }
    let matches = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(&**filter));
    if let Some(useless) = filters.iter().find(|filter| !steps().iter().any(|step| step.name.contains(&***filter))) {
        return Err(UsageError(format!("no step matches `{useless}`: `cargo xtask test --list` names them all.")));
    }
    let selected: Vec<_> = steps().into_iter().filter(|step| matches(&step.name)).collect();
    if !options.is_empty() {
        selected.iter().for_each(|step| println!("{}", step.name));
        return Ok(ExitCode::SUCCESS);
    }

    let mut outcomes = vec![prepare()];
    outcomes.extend(selected.into_iter().map(run));
    Ok(report(&outcomes))
}

/// Every step, quick ones first, so that a slip in formatting is seen at once.
fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    let mut add = |name: String, command: Command| steps.push(Step { name, command });
    let boards = boards();
    // The flasher goes where `cargo xtask flash` builds it, so that probe-rs is built once.
    let target = target_dir();
    let target = target.to_string_lossy();

    add("format".into(), with(cargo(), &["fmt", "--all", "--check"]));
    for board in &boards {
        add(format!("format {board}"), in_folder(board, &["fmt", "--check"]));
    }
    add(format!("format {FLASHER}"), in_folder(FLASHER, &["fmt", "--check"]));
    for package in NO_STD {
        let check = ["check", "-p", package, "--target", "thumbv6m-none-eabi"];
        add(format!("no_std {package}"), with(cargo(), &check));
    }
    for package in NO_STD {
        // In debug, where an overflow panics.
        add(format!("test {package}"), with(cargo(), &["test", "--no-fail-fast", "-p", package]));
    }
    for board in &boards {
        for target in targets() {
            let clippy = ["clippy", "--release", "--target", target, "--", "-D", "warnings"];
            add(format!("clippy {board} {target}"), in_folder(board, &clippy));
        }
    }
    let clippy = ["clippy", "--all-targets", "--release", "--target-dir", &target, "--", "-D", "warnings"];
    add(format!("clippy {FLASHER}"), in_folder(FLASHER, &clippy));
    // With the GPU's modules and the window, which nothing else looks at.
    let wgpu = ["--features", "tweedie-host/wgpu,tweedie-twin/wgpu,tweedie-tests/wgpu"];
    let mut clippy = with(cargo(), &["clippy", "--workspace", "--all-targets", "--release"]);
    clippy.args(wgpu).args(["--features", "tweedie-twin/window", "--", "-D", "warnings"]);
    add("clippy".into(), clippy);
    let mut docs = with(cargo(), &["doc", "--workspace", "--no-deps", "--release"]);
    docs.args(wgpu);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    add("docs".into(), docs);
    let chips = ["test", "--release", "--no-fail-fast", "--target-dir", &target];
    add(format!("test {FLASHER}"), in_folder(FLASHER, &chips));
    // One call for all: alone, each would resolve other features and build the tensor library anew.
    // The emulated boards are built and run by tests/tests/emulated.rs.
    let mut rest = with(cargo(), &["test", "--release", "--no-fail-fast"]);
    rest.args(["-p", "tweedie-host", "-p", "tweedie-twin", "-p", "tweedie-tests", "-p", "xtask"]);
    add("test tweedie-host, tweedie-twin, tweedie-tests, xtask".into(), rest);
    // Another build of the host, and the tests that need it alone. Without an adapter they say so, unless CI is set.
    let mut gpu = with(cargo(), &["test", "--release", "--no-fail-fast"]);
    gpu.args(["-p", "tweedie-host", "-p", "tweedie-twin", "-p", "tweedie-tests"]).args(wgpu);
    gpu.args(["--test", "gpu", "--test", "gpu_parity", "--test", "commands"]);
    add("test wgpu".into(), gpu);
    steps
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

/// Cargo in a workspace of its own below `firmware`.
fn in_folder(folder: &str, arguments: &[&str]) -> Command {
    let mut command = with(cargo(), arguments);
    command.current_dir(root().join("firmware").join(folder));
    command
}

/// The board workspaces, as `boards/NAME`.
fn boards() -> Vec<String> {
    let folders = std::fs::read_dir(root().join("firmware").join("boards")).into_iter().flatten().flatten();
    let folders = folders.filter(|folder| folder.path().join("Cargo.toml").is_file());
    let mut names: Vec<_> = folders.map(|folder| format!("boards/{}", folder.file_name().to_string_lossy())).collect();
    names.sort();
    names
}

/// The targets of the emulated machines, each once.
fn targets() -> Vec<&'static str> {
    let mut targets: Vec<_> = MACHINES.iter().map(|machine| machine.target).collect();
    targets.dedup();
    targets
}

fn prepare() -> Outcome {
    let start = Instant::now();
    heading("setup");
    let result = setup::install_missing();
    if let Err(sentence) = &result {
        eprintln!("{sentence}");
    }
    Outcome {
        name: "setup".into(),
        passed: usize::from(result.is_ok()),
        failed: usize::from(result.is_err()),
        failures: result.err().into_iter().collect(),
        time: start.elapsed(),
    }
}

fn run(step: Step) -> Outcome {
    let start = Instant::now();
    heading(&step.name);
    let mut tally = Tally::default();
    let succeeded = stream(step.command, &mut tally).unwrap_or_else(|error| {
        eprintln!("cannot run it: {error}.");
        false
    });
    // A step that has no tests to count is one check; so is a failure before any test ran.
    let whole = tally.passed + tally.failed == 0 || (!succeeded && tally.failed == 0);
    Outcome {
        name: step.name,
        passed: tally.passed + usize::from(whole && succeeded),
        failed: tally.failed + usize::from(whole && !succeeded),
        failures: tally.failures,
        time: start.elapsed(),
    }
}

fn heading(name: &str) {
    // The two streams may be one terminal: what came before goes out first.
    let _ = io::stdout().flush();
    eprintln!("\n=== {name}");
}

/// Runs a command, shows what it prints, and counts the tests it reports.
fn stream(mut command: Command, tally: &mut Tally) -> io::Result<bool> {
    if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            tally.read(&String::from_utf8_lossy(&line));
            io::stdout().write_all(&line)?;
            line.clear();
        }
    }
    Ok(child.wait()?.success())
}

/// Counts of tests, read from what libtest prints.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    failures: Vec<String>,
}

impl Tally {
    fn read(&mut self, line: &str) {
        if line.starts_with("test result: ") {
            self.passed += number_before(line, " passed;");
            self.failed += number_before(line, " failed;");
        } else if let Some(name) = line.strip_prefix("test ")
            && let Some((name, result)) = name.split_once(" ... ")
            && result.contains("FAILED")
        {
            self.failures.push(name.to_string());
        }
    }
}

fn number_before(line: &str, word: &str) -> usize {
    let before = line.split_once(word).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn report(outcomes: &[Outcome]) -> ExitCode {
    let _ = io::stderr().flush();
    let width = outcomes.iter().map(|outcome| outcome.name.len()).max().unwrap_or(0);
    println!("\n{:width$}  result  seconds  passed  failed", "step");
    for Outcome { name, passed, failed, time, .. } in outcomes {
        let result = if *failed == 0 { "ok" } else { "FAILED" };
        println!("{name:width$}  {result:6}  {:7.1}  {passed:6}  {failed:6}", time.as_secs_f64());
    }
    let failures: Vec<_> =
        outcomes.iter().flat_map(|outcome| outcome.failures.iter().map(move |test| (outcome, test))).collect();
    if !failures.is_empty() {
        println!("\nfailed:");
        failures.iter().for_each(|(outcome, test)| println!("  {}: {test}", outcome.name));
    }
    let passed: usize = outcomes.iter().map(|outcome| outcome.passed).sum();
    let failed: usize = outcomes.iter().map(|outcome| outcome.failed).sum();
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_libtest_prints() {
        let mut tally = Tally::default();
        for line in [
            "test a ... ok",
            "test b::c ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            "test result: \x1b[32mok\x1b[m. 12 passed; 0 failed; 0 ignored",
        ] {
            tally.read(line);
        }
        assert_eq!((tally.passed, tally.failed), (13, 1));
        assert_eq!(tally.failures, ["b::c"]);
    }

    #[test]
    fn a_step_without_tests_is_one_check_and_a_broken_build_is_one_failure() {
        let step = |arguments: &[&str]| {
            let mut command = with(cargo(), arguments);
            command.stderr(Stdio::null());
            Step { name: "x".into(), command }
        };
        let ok = run(step(&["--version"]));
        assert_eq!((ok.passed, ok.failed), (1, 0));
        let broken = run(step(&["no-such-command-at-all"]));
        assert_eq!((broken.passed, broken.failed), (0, 1));
    }

    #[test]
    fn a_filter_that_matches_nothing_is_one_sentence() {
        let UsageError(sentence) = main(&["xyzzy".into()]).unwrap_err();
        assert!(sentence.starts_with("no step matches `xyzzy`"), "{sentence}");
        let UsageError(sentence) = main(&["--lsit".into()]).unwrap_err();
        assert!(sentence.starts_with("test does not know `--lsit`"), "{sentence}");
    }

    #[test]
    fn every_package_is_tested_and_every_board_is_checked() {
        let steps = steps();
        let lines: Vec<_> = steps.iter().map(|step| format!("{:?}", step.command)).collect();
        for package in ["tweedie-core", "tweedie-firmware", "tweedie-host", "tweedie-tests", "xtask"] {
            let quoted = format!("\"{package}\"");
            assert!(lines.iter().any(|line| line.contains("\"test\"") && line.contains(&quoted)), "{package}");
        }
        assert!(boards().contains(&"boards/emulated".to_string()));
        assert!(steps.iter().any(|step| step.name == "format boards/emulated"));
    }
}
