//! `cargo xtask inspect`.

use super::positive;
use super::study::leave;
use crate::atomic_file;
use crate::error::Error;
use crate::inspect::{Inspection, plots, text};
use crate::preset::DataSettings;
use clap::Args;
use std::path::{Path, PathBuf};

/// Measure data before training on them: each number beside noise's, with what to do about it, and a preset that suits.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask inspect                                     the embedded digits
  cargo xtask inspect faces.npy                           your own array [n, height, width]
  cargo xtask inspect cow                                 points inside the embedded cow
  cargo xtask inspect heart.csv --window 128 --stride 8   windows of one long series
  cargo xtask inspect mnist/ --out seen                   plots, inspection.json and preset.toml into a folder
  cargo xtask train seen/preset.toml                      train as it suggests

Data are given as to train. Of more than 8192 rows, and of fewer long ones, an even part is compared in pairs.")]
pub struct Arguments {
    /// `digits`, `cow`, or the path of data as of train
    #[arg(default_value = "digits")]
    data: String,
    /// The data are one long series: measure windows of so many numbers of it
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    window: Option<u64>,
    /// Numbers from one window's beginning to the next one's
    #[arg(long, value_name = "S", value_parser = positive::<u64>, requires = "window")]
    stride: Option<u64>,
    /// Leave spectrum.png, norms.png with a CSV each, inspection.json and preset.toml there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the inspection as JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let size = |number: Option<u64>, unless: usize| number.map_or(unless, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let source = DataSettings {
        window: size(arguments.window, 0),
        stride: size(arguments.stride, 1),
        ..DataSettings::samples_of(&arguments.data)
    };
    let data = source.load()?;
    let inspection = Inspection::of(&data, &source.found())?;
    let json = serde_json::to_string(&inspection)
        .map_err(|error| Error::Argument(format!("the inspection holds what JSON cannot say: {error}")))?;
    if let Some(out) = &arguments.out {
        write(out, &inspection, &json)?;
    }
    if arguments.json {
        crate::say!("{json}");
        return Ok(());
    }
    crate::say!("{}", text::table(&inspection));
    if let Some(out) = &arguments.out {
        let preset = out.join("preset.toml");
        crate::say!("\nsee {}; next: cargo xtask train {}", out.join("spectrum.png").display(), preset.display());
    }
    Ok(())
}

/// Leaves everything in a folder, which is made if it isn't there.
fn write(out: &Path, inspection: &Inspection, json: &str) -> Result<(), Error> {
    leave(&plots::spectrum(inspection), out, "spectrum")?;
    leave(&plots::norms(inspection), out, "norms")?;
    let files = [("inspection.json", format!("{json}\n")), ("preset.toml", inspection.suggestion.preset.clone())];
    files.iter().try_for_each(|(name, text)| atomic_file::write(&out.join(name), text.as_bytes())).map_err(Error::Write)
}
