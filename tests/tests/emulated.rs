//! What the emulated microcontrollers compute is what this machine computes, bit for bit.
//!
//! The board's programs write text; the same source runs here, and every line must be equal.

use std::fmt::Write;

mod emulator;
#[path = "../../firmware/boards/emulated/src/probe.rs"]
mod probe;

use emulator::{MACHINES, build, emulate, machine};

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
