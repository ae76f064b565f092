//! The command line of the twin; people reach it as `cargo xtask`.

use crate::error::Error;
use crate::{bench, eval, export, run, sample, watch};
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tweedie_host::cli::{one_line, usage_sentence};

/// From trained models to artifacts, and samples of artifacts with a microcontroller's bits.
#[derive(Parser)]
#[command(name = "tweedie-twin", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Export(export::Arguments),
    Sample(sample::Arguments),
    Watch(watch::Arguments),
    Eval(eval::Arguments),
    Run(run::Arguments),
    Bench(bench::Arguments),
}

/// Parses the arguments, runs the command, and says in one sentence what went wrong.
///
/// The exit status is 0, or 2 for anything that the person can put right.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => return fail(&usage_sentence(&error)),
        Err(help) => {
            // In colours on a terminal alone.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let done: Result<(), Error> = match arguments.command {
        Command::Export(arguments) => export::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Run(arguments) => run::run(&arguments).map_err(Error::from),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(sentence: &str) -> ExitCode {
    eprintln!("error: {}", one_line(sentence));
    ExitCode::from(2)
}

/// A count of at least 1, for clap.
pub fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 1 => Ok(number),
        _ => Err("it must be a whole number of at least 1".to_owned()),
    }
}
