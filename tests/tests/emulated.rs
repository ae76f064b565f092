//! What the emulated microcontrollers compute is what this machine computes, bit for bit.
//!
//! The board's programs write text; the same source runs here, and every line must be equal.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

#[path = "../../firmware/boards/emulated/machines.rs"]
mod machines;
#[path = "../../firmware/boards/emulated/src/probe.rs"]
mod probe;

use machines::{MACHINES, Machine};

/// A program that has not ended by then hangs.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Text over semihosting, and one instruction per nanosecond.
const QEMU_ARGUMENTS: &[&str] = &["-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-nographic"];

fn board() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/boards/emulated")
}

fn machine(name: &str) -> &'static Machine {
    MACHINES.iter().find(|machine| machine.name == name).expect("a machine of machines.rs")
}

/// Builds a program of the emulated board for one machine, and returns a copy of its own.
fn build(program: &str, machine: &Machine) -> PathBuf {
    // Machines of one target share a file name in cargo's folder: one build and copy at a time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target_dir = tmp.join("boards-emulated");
    let output = Command::new(env!("CARGO"))
        .current_dir(board())
        .args(["build", "--release", "--bin", program, "--target", machine.target])
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
fn emulate(program: &Path, machine: &Machine) -> Output {
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args(["-machine", machine.qemu]).args(QEMU_ARGUMENTS).arg("-kernel").arg(program);
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

fn assert_same_bits(machine_name: &str) {
    let machine = machine(machine_name);
    let output = emulate(&build("schedule_bits", machine), machine);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{machine_name} ended with {}: {errors}", output.status);
    let there = String::from_utf8(output.stdout).expect("UTF-8");

    let mut here = String::new();
    probe::write_all(&mut here).expect("the probe runs here");
    let (here, there): (Vec<_>, Vec<_>) = (here.lines().collect(), there.lines().collect());
    assert_eq!(here.len(), there.len(), "{machine_name} wrote another number of lines");
    let mut differences = String::new();
    let unequal = here.iter().zip(&there).filter(|(here, there)| here != there);
    for (here, there) in unequal.clone().take(10) {
        writeln!(differences, "here  {here}\nthere {there}").expect("a string takes all");
    }
    let count = unequal.count();
    assert!(count == 0, "{count} of {} lines differ on {machine_name}:\n{differences}", here.len());
}

#[test]
fn the_probe_covers_every_schedule_with_numbers_that_vary() {
    let mut text = String::new();
    probe::write_all(&mut text).expect("the probe runs here");
    let bits: std::collections::HashSet<_> = text.lines().map(|line| line.rsplit(' ').next()).collect();
    assert!(text.lines().count() > 5_000, "{} lines", text.lines().count());
    assert!(bits.len() > 4_000, "{} different numbers", bits.len());
}

#[test]
fn cortex_m0_has_our_bits() {
    assert_same_bits("m0");
}

#[test]
fn cortex_m4_has_our_bits() {
    assert_same_bits("m4");
}

#[test]
fn cortex_m33_has_our_bits() {
    assert_same_bits("m33");
}

#[test]
fn every_machine_starts_and_ends() {
    for machine in MACHINES {
        let output = emulate(&build("hello", machine), machine);
        assert!(output.status.success(), "{}: {}", machine.name, String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hello from an emulated microcontroller\n");
    }
}

#[test]
fn a_program_that_faults_ends_with_an_error() {
    for machine in MACHINES {
        let output = emulate(&build("fault", machine), machine);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{}: {errors}", machine.name);
        assert!(errors.contains("hard fault"), "{}: {errors}", machine.name);
    }
}
