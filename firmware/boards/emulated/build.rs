//! Makes `memory.x` for the machine named by `TWEEDIE_MACHINE`, or for the first one of the target.

#[path = "machines.rs"]
mod machines;

use std::path::PathBuf;
use std::{env, fs, io};

use machines::{MACHINES, Machine};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=TWEEDIE_MACHINE");
    println!("cargo::rerun-if-changed=machines.rs");
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
    fs::write(out.join("memory.x"), memory_x(machine))?;
    println!("cargo::rustc-link-search={}", out.display());
    // Here and not in .cargo/config.toml, where RUSTFLAGS from the environment would replace them.
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    Ok(())
}

fn machine(target: &str) -> Option<&'static Machine> {
    let of_target = MACHINES.iter().filter(|machine| machine.target == target);
    match env::var("TWEEDIE_MACHINE") {
        Ok(name) => of_target.into_iter().find(|machine| machine.name == name),
        Err(_) => of_target.into_iter().next(),
    }
}

fn memory_x(machine: &Machine) -> String {
    let Machine { name, chip, flash, ram, .. } = machine;
    format!(
        "/* {name}: room as on {chip} */\n\
         MEMORY\n{{\n  \
           FLASH : ORIGIN = {:#010x}, LENGTH = {}K\n  \
           RAM : ORIGIN = {:#010x}, LENGTH = {}K\n}}\n",
        flash.origin,
        flash.length / 1024,
        ram.origin,
        ram.length / 1024
    )
}
