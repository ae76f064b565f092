//! Makes `memory.x` for the machine named by `TWEEDIE_MACHINE`, or for the first one of the target, and the model's source.

#[path = "../layout.rs"]
mod layout;
#[path = "machines.rs"]
mod machines;
#[path = "../model.rs"]
mod model;

use std::ops::Range;
use std::path::PathBuf;
use std::{env, fs, io};

use machines::{MACHINES, Machine, Region};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=TWEEDIE_MACHINE");
    for source in ["machines.rs", "../layout.rs", "../model.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-changed=build.rs");

    let target = env::var("TARGET").unwrap_or_default();
    let Some(machine) = machine(&target) else {
        let names: Vec<_> = MACHINES.iter().map(|machine| format!("{} ({})", machine.name, machine.target)).collect();
        println!(
            "cargo::error=no machine for target {target} and TWEEDIE_MACHINE={:?}; there are {}",
            env::var("TWEEDIE_MACHINE").unwrap_or_default(),
            names.join(", ")
        );
        return Ok(());
    };

    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("memory.x"), layout::memory_x(machine.chip, range(machine.flash), range(machine.ram)))?;
    model::write_source(&out)?;
    // Programs that measure leave out what does not fit.
    println!("cargo::rustc-check-cfg=cfg(small_ram)");
    if machine.ram.length < 32 * 1024 {
        println!("cargo::rustc-cfg=small_ram");
    }
    // Where a device crate would name its interrupts.
    fs::write(out.join("device.x"), "")?;
    println!("cargo::rustc-link-search={}", out.display());
    // Here and not in .cargo/config.toml, where RUSTFLAGS from the environment would replace them.
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    // The others do not speak defmt.
    println!("cargo::rustc-link-arg-bin=sample=-Tdefmt.x");
    Ok(())
}

fn machine(target: &str) -> Option<&'static Machine> {
    let of_target = MACHINES.iter().filter(|machine| machine.target == target);
    match env::var("TWEEDIE_MACHINE") {
        Ok(name) => of_target.into_iter().find(|machine| machine.name == name),
        Err(_) => of_target.into_iter().next(),
    }
}

fn range(region: Region) -> Range<u64> {
    let start = u64::from(region.origin);
    start..start + u64::from(region.length)
}
