//! Makes `memory.x` for the chip that the environment describes, and the model's source. `cargo xtask flash` fills the environment in:
//!
//! | variable | is |
//! |---|---|
//! | `TWEEDIE_FLASH`, `TWEEDIE_RAM` | `START..END`, addresses in decimal |
//! | `TWEEDIE_BOOT` | the boot block that the chip wants: `rp2040`, `rp2350`, or none if it is not set |
//! | `TWEEDIE_REQUESTS` | what to draw, `SEED:FIRST:COUNT:CLASS` and more of them after spaces |
//! | `TWEEDIE_ARTIFACT` | the model's path |
//!
//! Without it the layout is that of an nRF51822, among the smallest there are, so that a plain `cargo clippy` works.

#[path = "../layout.rs"]
mod layout;
#[path = "../model.rs"]
mod model;

use std::ops::Range;
use std::path::PathBuf;
use std::{env, fs, io};

const NRF51822: (Range<u64>, Range<u64>) = (0..0x4_0000, 0x2000_0000..0x2000_4000);

/// Bytes at the start of an RP2040's flash that hold its second boot stage.
const BOOT2: u64 = 256;

/// Where the boot ROM looks for the second stage.
const RP2040: &str = r#"
SECTIONS {
  .boot2 ORIGIN(BOOT2) : { KEEP(*(.boot2)); } > BOOT2
} INSERT BEFORE .text;
ASSERT(SIZEOF(.boot2) == 256, "the second boot stage is missing");
"#;

/// The boot ROM looks for an image definition in the first 4 KiB.
const RP2350: &str = r#"
SECTIONS {
  .start_block : ALIGN(4) { KEEP(*(.start_block)); } > FLASH
} INSERT AFTER .vector_table;
_stext = ADDR(.start_block) + SIZEOF(.start_block);
ASSERT(SIZEOF(.start_block) == 20, "the image definition is missing");
"#;

fn main() -> io::Result<()> {
    for variable in ["TWEEDIE_FLASH", "TWEEDIE_RAM", "TWEEDIE_BOOT", "TWEEDIE_REQUESTS"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    for source in ["build.rs", "../layout.rs", "../model.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rustc-check-cfg=cfg(boot, values(\"rp2040\", \"rp2350\"))");

    let (mut flash, ram) = (range("TWEEDIE_FLASH", NRF51822.0)?, range("TWEEDIE_RAM", NRF51822.1)?);
    let boot = env::var("TWEEDIE_BOOT").unwrap_or_default();
    let mut more = String::new();
    match boot.as_str() {
        "" => {}
        "rp2040" => {
            more = format!("MEMORY {{ BOOT2 : ORIGIN = {:#010x}, LENGTH = {BOOT2} }}\n{RP2040}", flash.start);
            flash.start += BOOT2;
        }
        "rp2350" => more = RP2350.to_string(),
        other => return Err(io::Error::other(format!("no boot block is called {other:?}"))),
    }
    if !boot.is_empty() {
        println!("cargo::rustc-cfg=boot=\"{boot}\"");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("memory.x"), layout::memory_x("the chip", flash, ram) + &more)?;
    model::write_source(&out)?;
    // Where a device crate would name its interrupts.
    fs::write(out.join("device.x"), "")?;
    println!("cargo::rustc-link-search={}", out.display());
    // Here and not in .cargo/config.toml, where RUSTFLAGS from the environment would replace them.
    for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-env=TWEEDIE_REQUESTS={}", env::var("TWEEDIE_REQUESTS").unwrap_or_default());
    Ok(())
}

fn range(variable: &str, default: Range<u64>) -> io::Result<Range<u64>> {
    let Ok(text) = env::var(variable) else { return Ok(default) };
    let ends = text.split_once("..").and_then(|(start, end)| Some(start.parse().ok()?..end.parse().ok()?));
    ends.ok_or_else(|| io::Error::other(format!("{variable} is {text:?}, not START..END")))
}
