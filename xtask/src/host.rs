//! Commands of the host program: build it, then become it.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use crate::cargo::cargo;

/// Builds the host program and runs its command `name` with `arguments`, in the caller's directory.
pub fn run(name: &str, arguments: &[OsString]) -> ExitCode {
    match build(device_feature(arguments)) {
        Ok(code @ 1..) => return ExitCode::from(code),
        Ok(0) => {}
        Err(error) => {
            eprintln!("cannot start cargo to build the host program: {error}.");
            return ExitCode::FAILURE;
        }
    }
    let program = executable();
    let mut host = Command::new(&program);
    host.arg(name).args(arguments);
    match replace_with(&mut host) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("cannot start {}: {error}.", program.display());
            ExitCode::FAILURE
        }
    }
}

/// The cargo feature that the arguments' `--device` needs.
fn device_feature(arguments: &[OsString]) -> Option<&'static str> {
    let flag = arguments.iter().position(|argument| argument == "--device");
    let separate = flag.and_then(|at| arguments.get(at + 1)).map(|value| value.to_string_lossy());
    let joined = arguments.iter().find_map(|argument| {
        argument.to_string_lossy().strip_prefix("--device=").map(|value| value.to_string().into())
    });
    let device = separate.or(joined)?;
    // `cuda:1` names the second GPU.
    let family = device.split(':').next()?;
    ["cuda", "metal"].into_iter().find(|feature| *feature == family)
}

/// Builds the host program with cargo's progress in sight; returns cargo's exit status.
///
/// Cargo's closing "Finished" line is left out: every later call would print it, and a person who mistypes
/// an argument should read one sentence.
fn build(feature: Option<&str>) -> io::Result<u8> {
    let mut command = cargo();
    command.args(["build", "--release", "-p", "tweedie-host"]);
    if let Some(feature) = feature {
        command.args(["--features", feature]);
    }
    if io::stderr().is_terminal() {
        let columns = std::env::var("COLUMNS").unwrap_or("80".into());
        command.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", columns);
        if std::env::var_os("NO_COLOR").is_none() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
            command.env("CARGO_TERM_COLOR", "always");
        }
    }
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    if let Some(progress) = child.stderr.take() {
        forward_progress(BufReader::new(progress), io::stderr().lock())?;
    }
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Clears a terminal's line from the cursor on.
const ERASE: &[u8] = b"\x1b[K";

/// Copies cargo's progress, which ends lines with `\n` and its moving bar with `\r`, but for "Finished".
fn forward_progress(mut from: impl BufRead, mut to: impl Write) -> io::Result<()> {
    let mut piece = Vec::new();
    let mut over_a_bar = false;
    loop {
        let available = from.fill_buf()?;
        if available.is_empty() {
            return to.write_all(&piece);
        }
        let end = available.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let taken = end.map_or(available.len(), |at| at + 1);
        piece.extend_from_slice(&available[..taken]);
        from.consume(taken);
        if end.is_none() {
            continue;
        }
        // Cargo sees a pipe, so it leaves the erasing of its bar to whoever shows it.
        if over_a_bar {
            to.write_all(ERASE)?;
        }
        if !is_finished_line(&piece) {
            to.write_all(&piece)?;
        }
        to.flush()?;
        over_a_bar = piece.ends_with(b"\r");
        piece.clear();
    }
}

fn is_finished_line(piece: &[u8]) -> bool {
    let text = String::from_utf8_lossy(piece);
    text.contains("Finished") && text.contains("`release` profile")
}

/// Where cargo puts the host program: beside this one's folder, whatever the target directory.
fn executable() -> PathBuf {
    let name = format!("tweedie{}", std::env::consts::EXE_SUFFIX);
    let this = std::env::current_exe().unwrap_or_default();
    let target = this.ancestors().nth(2).map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("release").join(OsStr::new(&name))
}

/// Becomes the program: its signals and its exit status are then its own.
#[cfg(unix)]
fn replace_with(program: &mut Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(program.exec())
}

#[cfg(not(unix))]
fn replace_with(program: &mut Command) -> io::Result<ExitCode> {
    let status = program.status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(line: &str) -> Option<&'static str> {
        device_feature(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_device_chooses_the_feature() {
        assert_eq!(feature("digits --device cuda --steps 3"), Some("cuda"));
        assert_eq!(feature("--device=metal"), Some("metal"));
        assert_eq!(feature("--device cuda:1"), Some("cuda"));
        assert_eq!(feature("--device cpu"), None);
        assert_eq!(feature("--device"), None);
        assert_eq!(feature("--out cuda"), None);
    }

    #[test]
    fn progress_passes_but_for_its_last_line() {
        let cargo = "   Compiling a v1.0.0\n Building [=> ] 1/2\rwarning: b\n Building [==>] 2/2\r\
                     \x1b[92m    Finished\x1b[0m `release` profile [optimized] target(s) in 0.1s\nx";
        let mut seen = Vec::new();
        forward_progress(cargo.as_bytes(), &mut seen).unwrap();
        let seen = String::from_utf8(seen).unwrap();
        let expected = "   Compiling a v1.0.0\n Building [=> ] 1/2\r\x1b[Kwarning: b\n Building [==>] 2/2\r\x1b[Kx";
        assert_eq!(seen, expected);
    }
}
