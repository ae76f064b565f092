//! From which noise to which, and a preset that trains so.

use super::distances::Distances;
use super::spectrum::Spectrum;
use crate::data::{DataLevels, Dataset};
use crate::error::Error;
use crate::preset::{DataSettings, Preset};
use serde::Serialize;
use std::fmt::Write;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{NoiseLevel, bound};

/// What the noisiest state may still tell of the data, in nats: the prior term of the bound.
const TOLD: f64 = 0.01;
/// The least noise is this part of what tells two values, or two rows, apart.
const PART: f64 = 0.25;
/// At most so many dimensions make points rather than pictures: noise hides little of them, and their shape is settled late.
pub const FEW: usize = 16;

/// What to train with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    /// The least noise over signal, `sigma / alpha`.
    pub sigma_min: f64,
    /// The most.
    pub sigma_max: f64,
    /// Why the least noise is what it is.
    pub why_min: String,
    /// Why the most noise is what it is.
    pub why_max: String,
    /// The schedule.
    pub schedule: &'static str,
    /// `process.min_time` on it.
    pub min_time: f64,
    /// `process.max_time` on it.
    pub max_time: f64,
    /// `training.times`.
    pub times: &'static str,
    /// The preset's file.
    pub preset: String,
}

impl Suggestion {
    /// What suits data of these levels, principal components and distances.
    ///
    /// # Errors
    /// A suggestion that is no preset, which no data are known to cause.
    pub fn new(
        data: &Dataset,
        source: &DataSettings,
        levels: Option<&DataLevels>,
        spectrum: &Spectrum,
        distances: &Distances,
    ) -> Result<Self, Error> {
        let size = data.sample_size();
        let mean_square = data.samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / data.samples.len() as f64;
        let (sigma_min, why_min) = match levels {
            Some(levels) => (PART * f64::from(levels.spacing), "a quarter of the distance between levels"),
            None => {
                let each = distances.nearest / (size as f64).sqrt();
                (PART * each, "a quarter of the median distance to the nearest row, for each number")
            }
        };
        let hidden = hiding(mean_square.sqrt(), size)?;
        let (sigma_max, why_max) = if distances.largest > hidden {
            (distances.largest, "the largest distance of two rows")
        } else {
            (hidden, "where noise tells 0.01 nats of the data")
        };
        let schedule = Schedule::Trigonometric;
        let time = |sigma: f64| -> Result<f64, Error> {
            Ok(schedule.time_of_log_snr(NoiseLevel::new(1.0, sigma)?.log_snr())?)
        };
        // Three digits say all that is known, towards the ends.
        let min_time = ((1e4 * time(sigma_min)?).floor() / 1e4).max(1e-4);
        let max_time = ((1e4 * time(sigma_max)?).ceil() / 1e4).min(0.9999);
        let is_faint = mean_square < 0.1;
        let times = if size <= FEW || is_faint { "log-snr" } else { "uniform" };
        let mut suggestion = Self {
            sigma_min,
            sigma_max,
            why_min: why_min.to_owned(),
            why_max: why_max.to_owned(),
            schedule: "trigonometric",
            min_time,
            max_time,
            times,
            preset: String::new(),
        };
        suggestion.preset = suggestion.fragment(data, source, spectrum);
        Preset::parse("the suggestion", &suggestion.preset, &[])?;
        Ok(suggestion)
    }

    /// The preset: what is not in it is as in `digits.toml`.
    fn fragment(&self, data: &Dataset, source: &DataSettings, spectrum: &Spectrum) -> String {
        let is_point = data.sample_size() <= FEW;
        let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut preset = format!("[data]\nsource = {}\n", text(&source.source));
        if source.window > 0 {
            let _ = writeln!(preset, "window = {}\nstride = {}", source.window, source.stride);
        }
        let Self { sigma_min, sigma_max, why_min, why_max, schedule, min_time, max_time, times, .. } = self;
        let _ = write!(
            preset,
            "\n[process]\nschedule = {}\nmin_time = {min_time:?}   # sigma/alpha = {sigma_min:.3}: {why_min}\nmax_time = {max_time:?}   # sigma/alpha = {sigma_max:.1}: {why_max}\n",
            text(schedule)
        );
        let width = spectrum.dimensions_for(0.95).next_power_of_two().clamp(128, 512);
        let blocks = if is_point { 3 } else { 2 };
        let _ = write!(preset, "\n[network]\nhidden = {width}\nblocks = {blocks}\n");
        let batch = data.len().min(if is_point { 512 } else { 256 });
        let _ = write!(preset, "\n[training]\nbatch = {batch}\ntimes = {}\n", text(times));
        if is_point {
            preset += "\n[sampling]\nsteps = 50\n";
        }
        preset
    }
}

/// The `sigma / alpha` at which the noisiest state of `dimensions` numbers of this root mean square tells [`TOLD`] nats.
fn hiding(root_mean_square: f64, dimensions: usize) -> Result<f64, Error> {
    let told = |sigma: f64| -> Result<f64, Error> {
        Ok(dimensions as f64 * bound::prior(root_mean_square, NoiseLevel::new(1.0, sigma)?)?)
    };
    let (mut low, mut high) = (1e-3, 1e6);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if told(middle)? > TOLD { low = middle } else { high = middle }
    }
    Ok(high)
}
