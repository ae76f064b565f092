//! The command line of the host program; people reach it as `cargo xtask`.

mod bench;
mod devices;
mod distill;
pub mod drawer;
pub mod eval;
mod fit;
mod given;
mod inspect;
pub mod preview;
mod sample;
mod study;
mod train;
mod trainer;

use crate::error::Error;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Diffusion models from a GPU host down to a microcontroller.
#[derive(Parser)]
#[command(name = "tweedie", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(inspect::Arguments),
    Train(train::Arguments),
    Distill(distill::Arguments),
    Sample(sample::Arguments),
    Eval(eval::Arguments),
    Study(study::Arguments),
    Bench(bench::Arguments),
    Devices(devices::Arguments),
}

/// Parses the arguments, runs the command, and says in one sentence what went wrong.
///
/// The exit status is 0, or 2 for anything that the person can put right: bad arguments, bad files, a full disk.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return fail(
                "a command is needed: inspect, train, distill, sample, eval, study, bench or devices; `cargo xtask help` explains them",
            );
        }
        Err(error) if error.use_stderr() => return fail(&usage_sentence(&error)),
        Err(help) => {
            // In colour on a terminal alone; a pipe that nobody reads any more is no error.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let result = match arguments.command {
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Distill(arguments) => distill::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Study(arguments) => study::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(sentence: &str) -> ExitCode {
    eprintln!("error: {}", one_line(sentence));
    ExitCode::from(2)
}

/// A message as one line, without the system's number for what it also says in words.
pub fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    match line.split_once(" (os error ") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').map_or("", |(_, rest)| rest)),
        None => line,
    }
}

/// Clap's complaint without its paragraphs on usage.
pub fn usage_sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    lines.map(|line| line.strip_prefix("tip: ").unwrap_or(line)).collect::<Vec<_>>().join("; ")
}

/// A count of at least 1, for clap.
fn positive<N: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<N, String> {
    match text.parse::<N>() {
        Ok(number) if number >= N::from(1) => Ok(number),
        _ => Err("it must be a whole number of at least 1".to_owned()),
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self::Argument(format!("standard output: {source}"))
    }
}
