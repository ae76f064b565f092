//! `cargo xtask eval --curve`: the memorisation curve.

use super::{Options, Progress, command_line};
use crate::error::Error;
use crate::judge::classifier::recipe::Recipe;
use crate::judge::classifier::{Classifier, cache};
use crate::judge::curve::{Curve, Measurer, Point, Settings, page};
use crate::judge::real_rows::RealRows;
use crate::preset::Preset;
use candle_core::Device;
use clap::Args;
use std::path::{Path, PathBuf};

/// Options of the curve.
#[derive(Args)]
#[command(next_help_heading = "Memorisation curve")]
pub struct CurveOptions {
    /// Train a preset [default: digits] on growing subsets at several widths, and measure when samples are copies: curve.json and
    /// curve.html in --out [default: runs/PRESET-curve]. Repeated, it goes on where it was interrupted
    #[arg(long, conflicts_with_all = ["steps", "seeds"])]
    pub curve: bool,
    /// Rows of the subsets, rising [default: 16, doubled up to half of the data, and all]
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', requires = "curve")]
    rows: Option<Vec<usize>>,
    /// Widths of the network, rising (network.hidden) [default: a quarter of the preset's, half of it, and itself]
    #[arg(long, value_name = "W,W,…", value_delimiter = ',', requires = "curve")]
    widths: Option<Vec<usize>>,
    /// Weight updates of each training [default: 6000]
    #[arg(long, value_name = "N", requires = "curve")]
    updates: Option<u64>,
}

/// Long enough that a network which can memorise sixteen rows does.
const DEFAULT_UPDATES: u64 = 6000;
/// Samples of each model: the standard error of a share is then at most 1.6 percentage points.
const DEFAULT_SAMPLES: usize = 1000;
/// Updates between two words of progress.
const PROGRESS_EVERY: u64 = 100;

/// Runs the command.
pub fn run(preset: Option<&Path>, options: &Options, curve: &CurveOptions, device: &Device) -> Result<(), Error> {
    let name = preset.map_or_else(|| "digits".to_owned(), |preset| preset.display().to_string());
    let preset = Preset::load(&name, &[])?;
    let rows = RealRows::of(&options.data_of(&preset.data), options.held_out.as_deref())?;
    let settings = settings(&name, &preset, &rows, options, curve)?;
    let mut curve = Curve::new(settings.clone(), &preset, &rows.training, &rows.held_out)?;
    let out = options.out.clone().unwrap_or_else(|| default_out(&name));
    let file = out.join("curve.json");
    curve.resume(&file)?;
    std::fs::create_dir_all(&out).map_err(Error::file(&out, "make the folder"))?;

    let progress = Progress::default();
    let taken_over = curve.points.len();
    measure(&mut curve, &settings, &preset, &rows, device, &file, &progress)?;
    progress.finish();
    let shown = out.join("curve.html");
    page::write(&shown, &curve, &rows.training, &command_line())?;
    if options.json {
        let json = serde_json::to_string(&curve).map_err(|error| Error::Write(error.into()))?;
        crate::say!("{json}");
        return Ok(());
    }
    crate::say!("{}", table(&curve.points));
    if taken_over > 0 {
        crate::say!("{taken_over} of the {} points were there from an earlier call", curve.points.len());
    }
    crate::say!("\nsee {}", shown.display());
    Ok(())
}

fn settings(
    name: &str,
    preset: &Preset,
    rows: &RealRows,
    options: &Options,
    curve: &CurveOptions,
) -> Result<Settings, Error> {
    let training_rows = rows.training.len();
    let samples = options.count.unwrap_or(DEFAULT_SAMPLES);
    let updates = curve.updates.unwrap_or(DEFAULT_UPDATES);
    if updates == 0 || samples == 0 {
        return Err(Error::Argument("--updates and --count must be at least 1".to_owned()));
    }
    Ok(Settings {
        preset: name.to_owned(),
        data: rows.training.name.clone(),
        shape: rows.training.shape.clone(),
        training_rows,
        held_out_rows: rows.held_out.len(),
        rows: curve.rows.clone().unwrap_or_else(|| Settings::default_rows(training_rows)),
        widths: curve.widths.clone().unwrap_or_else(|| Settings::default_widths(preset.network.hidden)),
        updates,
        samples,
        seed: preset.training.seed,
    })
}

/// `runs/digits-curve` for the preset `digits` or `my/digits.toml`.
fn default_out(name: &str) -> PathBuf {
    let stem = Path::new(name).file_stem().map_or_else(|| name.to_owned(), |stem| stem.display().to_string());
    Path::new("runs").join(format!("{stem}-curve"))
}

/// Measures what is not measured yet, and leaves `curve.json` after every point.
fn measure(
    curve: &mut Curve,
    settings: &Settings,
    preset: &Preset,
    rows: &RealRows,
    device: &Device,
    file: &Path,
    progress: &Progress,
) -> Result<(), Error> {
    if curve.next().is_none() {
        return Ok(());
    }
    let judge = rows.training.labels.is_some().then(|| {
        let updates = Recipe::of(&rows.training.shape).updates;
        let watch = |update| progress.show(&format!("training the judge: {update}/{updates}"));
        Classifier::obtain(&rows.training, &cache::folder(), watch)
    });
    let judge = judge.transpose()?;
    let measurer = Measurer::new(settings, preset, &rows.training, &rows.held_out, judge.as_ref(), device)?;
    let all = settings.points().count();
    while let Some((width, rows)) = curve.next() {
        let number = curve.points.len() + 1;
        let point = measurer.measure(width, rows, |update| {
            if update % PROGRESS_EVERY == 0 {
                progress.show(&format!(
                    "point {number} of {all}: width {width}, {rows} rows, update {update}/{}",
                    settings.updates
                ));
            }
        })?;
        progress.done(&format!(
            "point {number} of {all}: width {width}, {rows} rows: {:.1} % copies, {:.1} s",
            100.0 * point.memorised.by_distance,
            point.seconds
        ));
        curve.points.push(point);
        curve.save(file)?;
    }
    Ok(())
}

/// The points as a table; shares in percent, what strangers score by chance in brackets.
fn table(points: &[Point]) -> String {
    let mut lines = vec![format!(
        "{:>6} {:>11} {:>6} {:>18} {:>18} {:>10} {:>14}",
        "width", "parameters", "rows", "copies: distance", "cosine", "loss: own", "held-out rows"
    )];
    let share = |samples: f64, strangers: f64| format!("{:.1} % ({:.1})", 100.0 * samples, 100.0 * strangers);
    for point in points {
        let by_cosine = point.memorised.by_cosine.zip(point.strangers.by_cosine);
        lines.push(format!(
            "{:>6} {:>11} {:>6} {:>18} {:>18} {:>10.4} {:>14.4}",
            point.width,
            point.parameters,
            point.rows,
            share(point.memorised.by_distance, point.strangers.by_distance),
            by_cosine.map_or_else(|| "-".to_owned(), |(samples, strangers)| share(samples, strangers)),
            point.training_loss,
            point.held_out_loss,
        ));
    }
    lines.push("in brackets: what held-out rows score in the place of samples, by chance".to_owned());
    lines.join("\n")
}
