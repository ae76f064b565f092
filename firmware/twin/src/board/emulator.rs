//! A board's program under QEMU.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use std::{fmt, fs, thread};

use super::machines::Machine;
use super::stream::{self, Event, Reader, Sample, StreamError};

const QEMU: &str = "qemu-system-arm";
/// A program that has been silent for so long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// Why a run did not come to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum EmulatorError {
    /// QEMU is not there.
    Missing,
    /// What the board said makes no sense.
    Stream(StreamError),
    /// The board gave up.
    GaveUp(String),
    /// The board fell silent.
    Hangs,
    /// The board ended before all was drawn.
    Incomplete(usize),
    /// Files and pipes.
    Io(io::Error),
}

impl std::error::Error for EmulatorError {}

impl fmt::Display for EmulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "{QEMU} is not installed: run `cargo xtask setup`"),
            Self::Stream(error) => error.fmt(f),
            Self::GaveUp(why) => write!(f, "the board gave up: {why}"),
            Self::Hangs => write!(f, "the board has been silent for {} seconds and was stopped", SILENCE.as_secs()),
            Self::Incomplete(samples) => write!(f, "the board stopped after {samples} samples"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<StreamError> for EmulatorError {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl From<io::Error> for EmulatorError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether QEMU is there.
///
/// # Errors
/// [`EmulatorError::Missing`] if not.
pub fn check() -> Result<(), EmulatorError> {
    let version = Command::new(QEMU).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.map(|_| ()).map_err(|_| EmulatorError::Missing)
}

/// What a program drew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The samples, in their order.
    pub samples: Vec<Sample>,
    /// Bytes of the model's scratch buffer.
    pub scratch: u64,
}

/// Runs a program to its end, and shows each sample as it comes; messages for people go to standard error.
///
/// # Errors
/// [`EmulatorError`].
pub fn run(
    program: &Path,
    machine: &Machine,
    request: &str,
    show: &mut dyn FnMut(&Sample) -> io::Result<()>,
) -> Result<Run, EmulatorError> {
    let elf = fs::read(program)?;
    let table = stream::table(&elf)?;
    let mut reader = Reader::new(&table);
    let Started { mut child, output, errors } = start(program, machine, &format!(",arg=sample,arg={request}"))?;
    let (mut samples, mut scratch, mut ended, mut gave_up) = (Vec::new(), 0, false, None);
    loop {
        let bytes = match output.recv_timeout(SILENCE) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Timeout) => return Err(EmulatorError::Hangs),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        for event in reader.read(&bytes)? {
            match event {
                Event::Scratch(bytes) => scratch = bytes,
                Event::Sample(sample) => {
                    show(&sample)?;
                    samples.push(sample);
                }
                Event::End => ended = true,
                Event::Text(text, true) => gave_up = Some(text),
                Event::Text(text, false) => eprintln!("{}: {text}", machine.name),
            }
        }
    }
    // A panic or a fault speaks there.
    let plain = text(&errors);
    if let Some(why) = gave_up.or((!ended && !plain.is_empty()).then_some(plain)) {
        return Err(EmulatorError::GaveUp(why));
    }
    match ended && child.0.wait()?.success() {
        true => Ok(Run { samples, scratch }),
        false => Err(EmulatorError::Incomplete(samples.len())),
    }
}

/// Runs a program that prints plain text to its end, and returns what it printed.
///
/// # Errors
/// [`EmulatorError`].
pub fn print(program: &Path, machine: &Machine) -> Result<String, EmulatorError> {
    let Started { mut child, output, errors } = start(program, machine, "")?;
    let mut printed = Vec::new();
    loop {
        match output.recv_timeout(SILENCE) {
            Ok(bytes) => printed.extend(bytes),
            Err(RecvTimeoutError::Timeout) => return Err(EmulatorError::Hangs),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    match child.0.wait()?.success() {
        true => Ok(String::from_utf8_lossy(&printed).into_owned()),
        false => Err(EmulatorError::GaveUp(text(&errors))),
    }
}

/// QEMU at work.
struct Started {
    child: Stopped,
    /// What the program says.
    output: Receiver<Vec<u8>>,
    /// What QEMU says, and a program that faults.
    errors: Receiver<Vec<u8>>,
}

/// Starts a program with more settings of semihosting, such as its arguments.
fn start(program: &Path, machine: &Machine, arguments: &str) -> Result<Started, EmulatorError> {
    let mut qemu = Command::new(QEMU);
    qemu.args(["-machine", machine.qemu, "-nographic", "-icount", "shift=0"])
        .args(["-semihosting-config", &format!("enable=on,target=native{arguments}")])
        .arg("-kernel")
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = Stopped(qemu.spawn().map_err(|_| EmulatorError::Missing)?);
    let (output, errors) = (chunks(child.0.stdout.take()), chunks(child.0.stderr.take()));
    Ok(Started { child, output, errors })
}

/// All that still comes, as text.
fn text(pipe: &Receiver<Vec<u8>>) -> String {
    let bytes: Vec<u8> = pipe.iter().flatten().collect();
    String::from_utf8_lossy(&bytes).trim().to_string()
}

/// A child process that does not outlive this value.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by itself, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What comes out of a pipe, as it comes, so that waiting for it can end.
fn chunks(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
