//! The digital twin: the one program that sees both the host's models and the firmware library.
//!
//! The two never depend on each other. Here a float model becomes an artifact, and an artifact is run on this machine by the same code, with
//! the same bits, as on a microcontroller.
//!
//! | module | does |
//! |---|---|
//! | [`cli`] | arguments, exit status, one sentence for what went wrong |
//! | [`export`] | `cargo xtask export` |
//! | [`sample`] | `cargo xtask sample FILE` |
//! | [`eval`] | `cargo xtask eval FILE` |
//! | [`run`] | `cargo xtask run` |
//! | [`board`] | boards' programs: built, weighed, listened to |
//! | [`draw`] | samples of an artifact, on every core or on a GPU |
//! | [`artifact_file`] | an artifact's words from a file |
//! | [`error`] | what can go wrong |

mod artifact_file;
mod board;
mod cli;
mod draw;
mod error;
mod eval;
mod export;
mod export_text;
mod run;
mod sample;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
