//! Programs of the emulated board: built here, run under QEMU.
//!
//! Several test programs share this; not each of them needs all of it.
#![allow(dead_code)]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

#[path = "../../../firmware/boards/emulated/machines.rs"]
mod machines;

pub use machines::{MACHINES, Machine};

/// A program that has not ended by then hangs.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Text over semihosting, and one instruction per nanosecond.
const QEMU_ARGUMENTS: &[&str] = &["-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-nographic"];

fn board() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/boards/emulated")
}

/// The machine of that name.
pub fn machine(name: &str) -> &'static Machine {
    MACHINES.iter().find(|machine| machine.name == name).expect("a machine of machines.rs")
}

/// Builds a program of the emulated board for one machine, and returns a copy of its own.
pub fn build(program: &str, machine: &Machine) -> PathBuf {
    // Machines of one target share a file name in cargo's folder: one build and copy at a time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target_dir = tmp.join("boards-emulated");
    let output = Command::new(env!("CARGO"))
        .current_dir(board())
        .args(["build", "--release", "--bin", program, "--target", machine.target])
        .args(machine.dsp.then_some("--features=dsp"))
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("TWEEDIE_MACHINE", machine.name)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} does not build for {}:\n{errors}", machine.name);
    let copy = tmp.join(format!("{program}-{}", machine.name));
    std::fs::copy(target_dir.join(machine.target).join("release").join(program), &copy).expect("a copy");
    copy
}

/// Runs a program to its end under QEMU.
pub fn emulate(program: &Path, machine: &Machine) -> Output {
    emulate_in(Path::new("."), program, machine)
}

/// The same, with a folder that the program may read files of.
pub fn emulate_in(folder: &Path, program: &Path, machine: &Machine) -> Output {
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args(["-machine", machine.qemu]).args(QEMU_ARGUMENTS).arg("-kernel").arg(program).current_dir(folder);
    let child = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        panic!("qemu-system-arm is not installed: run `cargo xtask setup`.");
    };
    let stdout = read_all(child.stdout.take().expect("piped"));
    let stderr = read_all(child.stderr.take().expect("piped"));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            break status;
        }
        if start.elapsed() > TIMEOUT {
            child.kill().expect("a child to stop");
            child.wait().expect("a child to wait for");
            let stderr = stderr.join().expect("text");
            panic!("{} hangs on {}; it wrote: {}", program.display(), machine.name, String::from_utf8_lossy(&stderr));
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output { status, stdout: stdout.join().expect("text"), stderr: stderr.join().expect("text") }
}

fn read_all(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("text from QEMU");
        bytes
    })
}
