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
//! | [`watch`] | `cargo xtask watch FILE` |
//! | [`run`] | `cargo xtask run` |
//! | [`mod@bench`] | `cargo xtask bench --kernels` |
//! | [`board`] | boards' programs: built, weighed, listened to |
//! | [`draw`] | samples of an artifact, on every core or on a GPU |
//! | [`error`] | what can go wrong |

mod bench;
mod board;
mod cli;
mod draw;
mod error;
mod eval;
mod export;
mod export_text;
mod run;
mod sample;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
