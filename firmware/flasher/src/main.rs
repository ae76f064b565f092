//! `cargo xtask flash`: a model on any Cortex-M that probe-rs knows.
//!
//! probe-rs is used as a library rather than as the installed program, because one database then decides the memory layout, the check that the
//! model fits, and the flashing; because nothing needs to be installed first; and because what the chip says is a stream of samples that
//! this program draws, not only a log. The binary is an ordinary ELF file whose place is printed, so that who prefers `probe-rs run`,
//! a debugger or a vendor's tool can go on from there.
//!
//! | module | does |
//! |---|---|
//! | [`chip`] | a chip's target, memory and boot block, from probe-rs's database |
//! | [`probe`] | flashes, and reads RTT |
//! | [`board`] | builds, weighs and decodes; shared with `firmware/twin` |

// Shared, and not every part of it is needed here.
#[allow(dead_code)]
#[path = "../../twin/src/board/mod.rs"]
mod board;
mod chip;
mod probe;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use board::build::{Build, BuildError};
use board::image::Image;
use board::{ModelError, ModelFile, request};
use chip::{Chip, ChipError};
use clap::{Args, Parser, Subcommand};
use probe::ProbeError;

/// Models on real microcontrollers.
#[derive(Parser)]
#[command(name = "tweedie-flasher", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Flash(Arguments),
}

/// Put a model on a real microcontroller and watch it draw.
///
/// The chip's entry in probe-rs's database gives the memory layout; a model that does not fit is refused, with the number of bytes that are
/// missing, before anything is written. Chips that need a boot block (RP2040, RP2350) get theirs. Text and samples come over RTT, so a
/// debug probe is all that is needed beside the chip.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask flash digits.tweedie --chip nRF52840_xxAA           sixteen digits, as the chip draws them
  cargo xtask flash digits.tweedie --chip STM32G071RB --build-only  does it fit?")]
struct Arguments {
    /// An artifact, as `export` leaves it
    file: PathBuf,
    /// The chip, as probe-rs calls it; an unambiguous beginning will do
    #[arg(long, value_name = "NAME")]
    chip: String,
    /// How many samples
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Only this class [default: all in turn]
    #[arg(long, value_name = "C")]
    class: Option<u16>,
    /// Seed of the noise
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Build and print the sizes, touch no chip
    #[arg(long)]
    build_only: bool,
    /// The probe, as VID:PID or VID:PID:SERIAL [default: the only one attached]
    #[arg(long, value_name = "PROBE")]
    probe: Option<String>,
    /// Print the sizes as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Why the model is not on the chip.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Chip(#[from] ChipError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn main() -> ExitCode {
    let arguments = match Program::try_parse() {
        Ok(Program { command: Command::Flash(arguments) }) => arguments,
        Err(error) if error.use_stderr() => return fail(&usage_sentence(&error)),
        Err(help) => {
            // In colours on a terminal alone.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    match flash(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(sentence: &str) -> ExitCode {
    // Whatever a library says, one line.
    eprintln!("error: {}", sentence.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    ExitCode::from(2)
}

/// Clap's complaint without its paragraphs on usage.
fn usage_sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    lines.map(|line| line.strip_prefix("tip: ").unwrap_or(line)).collect::<Vec<_>>().join("; ")
}

fn flash(arguments: &Arguments) -> Result<(), Error> {
    let model = ModelFile::open(&arguments.file)?;
    model.check_class(arguments.class)?;
    let header = *model.artifact()?.header();
    let chip = Chip::find(&arguments.chip)?;

    let range = |region: &std::ops::Range<u64>| OsString::from(format!("{}..{}", region.start, region.end));
    let mut environment = vec![
        ("TWEEDIE_FLASH", range(&chip.flash)),
        ("TWEEDIE_RAM", range(&chip.ram)),
        ("TWEEDIE_REQUESTS", request(arguments.seed, arguments.count, arguments.class, header.classes).into()),
        ("TWEEDIE_BOOT", chip.boot.unwrap_or_default().into()),
    ];
    environment.sort();
    let build = Build { board: "generic", chip: chip.name.clone(), target: chip.target, dsp: chip.dsp, environment };
    let program = build.run(&model)?;
    let image = Image::read(&program, model.artifact()?.bytes() as u64)?;
    let (flash, ram) = (chip.flash.end - chip.flash.start, chip.ram.end - chip.ram.start);
    if arguments.json {
        let sizes = serde_json::json!({
            "chip": chip.name, "target": chip.target, "program": program, "flash_bytes": flash, "ram_bytes": ram,
            "code_bytes": image.code, "model_bytes": image.model, "static_bytes": image.statics,
        });
        println!("{sizes}");
    } else {
        println!("{} ({}):", chip.name, chip.target);
        println!(
            "  flash {:>9} of {flash} bytes: code {}, model {}",
            image.code + image.model,
            image.code,
            image.model
        );
        println!("  RAM   {:>9} of {ram} bytes beside the stack", image.statics);
        println!("  built {}", program.display());
    }
    if !arguments.build_only {
        probe::draw(&program, &chip.name, arguments.probe.as_deref(), &header, arguments.count)?;
    }
    Ok(())
}
