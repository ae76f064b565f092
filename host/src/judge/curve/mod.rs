//! The memorisation curve: how much a model copies, and what it loses, against the number of rows and of weights.
//!
//! A denoiser that minimises the loss over a finite data set is the memorising denoiser (3.3.3), whose samples are training rows. A
//! network too small for it learns what the rows have in common instead. In between the memorisation ratio falls from near 1 to near 0
//! (Gu et al., *On Memorization in Diffusion Models*, 2023; figure 3.11 of chapter 3). Here one recipe is trained on growing subsets
//! at several widths: every training makes the same number of updates on the same number of noisy rows, so that rows and weights are
//! all that differ.

pub mod page;
mod point;
pub mod subset;

pub use point::Measurer;

use super::evaluation::Memorised;
use crate::atomic_file;
use crate::checkpoint::hexadecimal;
use crate::data::Dataset;
use crate::error::Error;
use crate::preset::Preset;
use crate::train::fingerprint;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The version of `curve.json` that this program writes.
pub const VERSION: u32 = 1;
/// The widest network, as of `network.hidden`.
const MOST_WIDTH: usize = 1 << 14;

/// A curve, whole or as far as it is measured: the contents of `curve.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// `curve`.
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// What is measured.
    pub settings: Settings,
    /// SHA-256 in hexadecimal of settings, preset and data: points of one key belong to one curve.
    pub key: String,
    /// The points so far, width by width and within a width by rising numbers of rows.
    pub points: Vec<Point>,
}

/// What a curve measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The preset's name or path, as the person gave it.
    pub preset: String,
    /// Name of the data.
    pub data: String,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// Rows of all the training data.
    pub training_rows: usize,
    /// Rows that no training sees.
    pub held_out_rows: usize,
    /// Rows of the subsets, rising.
    pub rows: Vec<usize>,
    /// Widths of the network, rising.
    pub widths: Vec<usize>,
    /// Weight updates of every training.
    pub updates: u64,
    /// Samples drawn of every model.
    pub samples: usize,
    /// Seed of subsets, weights, order and noise.
    pub seed: u64,
}

/// One training of the curve, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Width of the network.
    pub width: usize,
    /// Its weights.
    pub parameters: usize,
    /// Rows it was trained on.
    pub rows: usize,
    /// Shares of its samples, of the classes of these rows in turn, that are copies of these rows.
    pub memorised: Memorised<f64>,
    /// The same of held-out rows in the place of samples: what strangers score by chance.
    pub strangers: Memorised<f64>,
    /// The preset's loss on the rows of training, under noise that training did not draw.
    pub training_loss: f64,
    /// The same on held-out rows.
    pub held_out_loss: f64,
    /// The first samples.
    pub exhibits: Vec<Exhibit>,
    /// Seconds for training, sampling and judging.
    pub seconds: f64,
}

/// A sample with the training row that it resembles most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exhibit {
    /// Its numbers in [-1, 1], row-major.
    pub sample: Vec<f32>,
    /// The number of the nearest row, counted in all the training data.
    pub row: usize,
    /// The distance to that row over the distance to the second nearest; at most 1/3 is a copy.
    pub ratio: f64,
}

impl Settings {
    /// Numbers of rows unless others are asked for: 16, doubled up to half the data, and all.
    pub fn default_rows(training_rows: usize) -> Vec<usize> {
        let doubled = std::iter::successors(Some(16), |rows| Some(2 * rows));
        doubled.take_while(|rows| 2 * rows <= training_rows).chain([training_rows]).collect()
    }

    /// Widths unless others are asked for: a quarter of the preset's, half of it, and itself.
    pub fn default_widths(hidden: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = [hidden / 4, hidden / 2, hidden].into_iter().filter(|&width| width > 0).collect();
        widths.dedup();
        widths
    }

    /// The points in the order of measuring: width, rows.
    pub fn points(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.widths.iter().flat_map(|&width| self.rows.iter().map(move |&rows| (width, rows)))
    }

    /// Checks what can be checked before time is spent.
    fn validate(&self) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Argument(reason));
        let rises = |list: &[usize]| list.windows(2).all(|pair| pair[0] < pair[1]);
        for (name, list) in [("--rows", &self.rows), ("--widths", &self.widths)] {
            if list.is_empty() || !rises(list) {
                return refuse(format!("{name}: give rising numbers, such as 16,64,256"));
            }
        }
        if let Some(width) = self.widths.iter().find(|width| !(1..=MOST_WIDTH).contains(*width)) {
            return refuse(format!("--widths {width}: a width must lie between 1 and {MOST_WIDTH}"));
        }
        match (self.rows.first(), self.rows.last()) {
            // With one row there is no second nearest.
            (Some(&least), _) if least < 2 => refuse(format!("--rows {least}: a subset needs at least 2 rows")),
            (_, Some(&most)) if most > self.training_rows => {
                refuse(format!("--rows {most} is more than the {} rows of {}", self.training_rows, self.data))
            }
            _ => Ok(()),
        }
    }
}

impl Curve {
    /// A curve without points yet.
    ///
    /// # Errors
    /// [`Error::Argument`] for rows or widths that do not rise, or rows that the data do not have.
    pub fn new(settings: Settings, preset: &Preset, data: &Dataset, held_out: &Dataset) -> Result<Self, Error> {
        settings.validate()?;
        let mut hash = Sha256::new();
        let said = format!("{settings:?}");
        for part in [said, preset.to_toml()?, fingerprint(data), fingerprint(held_out)] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let key = hexadecimal(&hash.finalize());
        Ok(Self { format: "curve".to_owned(), version: VERSION, settings, key, points: Vec::new() })
    }

    /// Takes over the points that an earlier call measured and left at `path`; without a file there are none.
    ///
    /// # Errors
    /// [`Error::CurveExists`] for a file that is no curve of the same settings, preset and data: it is not overwritten.
    pub fn resume(&mut self, path: &Path) -> Result<(), Error> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::file(path, "read it")(error)),
        };
        let earlier: Option<Self> = serde_json::from_slice(&bytes).ok();
        let Some(earlier) = earlier.filter(|earlier| earlier.key == self.key && earlier.version == VERSION) else {
            return Err(Error::CurveExists(path.to_owned()));
        };
        self.points = earlier.points;
        Ok(())
    }

    /// Width and rows of the next point to measure, if any is left.
    pub fn next(&self) -> Option<(usize, usize)> {
        self.settings.points().nth(self.points.len())
    }

    /// Writes `curve.json`.
    ///
    /// # Errors
    /// [`Error::Write`]: the file is then as it was.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec(self).map_err(|error| Error::Write(error.into()))?;
        atomic_file::write(path, &json).map_err(Error::Write)
    }
}
