//! `cargo xtask bench`.

use crate::error::Error;
use clap::Args;

/// Measure.
#[derive(Args)]
pub struct Arguments {}

/// Runs the command.
pub fn run(_: &Arguments) -> Result<(), Error> {
    Ok(())
}
