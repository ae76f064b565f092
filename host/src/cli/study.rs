//! `cargo xtask study`.

use crate::atomic_file;
use crate::error::Error;
use crate::picture::line_plot::LinePlot;
use crate::study::StudyName;
use clap::Args;
use std::path::PathBuf;

/// Draw the theory: figures made with exact denoisers, each with its numbers.
///
/// Every study leaves NAME.png and NAME.csv, the same figures for people and for programs, and takes seconds.
#[derive(Args)]
#[command(after_help = "\
Studies:
  norms          noise lives on a thin shell, and draws of it are nearly orthogonal
  entropy        it rises along the forward process and falls along the reverse one (Theorems 3.1, 3.3)
  denoisers      what the exact denoiser of two Gaussians answers at several noise levels
  trajectories   samples on their way from noise to three Gaussians in the plane
  solvers        error against evaluations for each solver, with its slope
  variation      total variation of what DDIM draws falls like one over the steps (Theorem 3.4)
  memorising     the empirical denoiser draws training points, the data's own does not
  copies         how blurred training rows must be until samples stop being copies

Examples:
  cargo xtask study                       all of them, into runs/study
  cargo xtask study solvers --out plots   one of them
  cargo xtask study entropy --json        what it found, as JSON")]
pub struct Arguments {
    /// Which study [default: all of them]
    name: Option<StudyName>,
    /// Where to leave the figures; earlier ones of the same study are replaced
    #[arg(long, value_name = "DIR", default_value = "runs/study")]
    out: PathBuf,
    /// Print what was found as one line of JSON for each study
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let all = match arguments.name {
        Some(name) => vec![name],
        None => StudyName::ALL.to_vec(),
    };
    for (index, name) in all.into_iter().enumerate() {
        let found = name.findings()?;
        let [png, csv] = leave(&found.plot, &arguments.out, &name.to_string())?;
        if arguments.json {
            crate::say!("{}", serde_json::json!({"study": name, "remarks": found.remarks, "png": png, "csv": csv}));
            continue;
        }
        let gap = if index == 0 { "" } else { "\n" };
        crate::say!("{gap}{}", found.plot.title);
        found.remarks.iter().for_each(|remark| crate::say!("  {remark}"));
        crate::say!("  see {}, its numbers in {}", png.display(), csv.display());
    }
    Ok(())
}

/// Writes a plot as `STEM.png` and `STEM.csv` into a folder, which is made if it isn't there; returns both paths.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn leave(plot: &LinePlot, folder: &std::path::Path, stem: &str) -> Result<[PathBuf; 2], Error> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder, "make the folder"))?;
    let [png, csv] = ["png", "csv"].map(|extension| folder.join(format!("{stem}.{extension}")));
    plot.write(&png)?;
    atomic_file::write(&csv, plot.csv().as_bytes()).map_err(Error::Write)?;
    Ok([png, csv])
}
