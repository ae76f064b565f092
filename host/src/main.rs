//! The host program behind `cargo xtask`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tweedie_host::cli::main()
}
