//! Measurements of a data set before anything is trained: `cargo xtask inspect`.
//!
//! Each measure is a number beside the same number of noise, and one sentence that says what to do about it. Data that look like noise by all of
//! them hold nothing that a model could learn.
//!
//! | read | for |
//! |---|---|
//! | [`norms`], [`cosines`] | the shell and the right angles of noise, and how data differ |
//! | [`entropy`], [`background`] | bits of a pixel; how many pixels are background |
//! | [`spectrum`] | intrinsic dimension by principal components |
//! | [`distances`], [`duplicates`] | how far rows lie apart; rows that come twice |
//! | [`classes`] | the balance of classes |
//! | [`suggestion`] | from which noise to which, and a preset that trains so |
//! | [`text`], [`plots`] | the same for people |
//!
//! Whatever compares rows in pairs or takes principal components looks at a part of a large data set: see [`rows`].

pub mod background;
pub mod classes;
pub mod cosines;
pub mod distances;
pub mod duplicates;
pub mod entropy;
pub mod norms;
pub mod plots;
pub mod rows;
pub mod spectrum;
pub mod suggestion;
pub mod text;

use crate::data::{DataLevels, Dataset};
use crate::error::Error;
use crate::preset::DataSettings;
use serde::Serialize;

use distances::Distances;
use rows::Rows;
use spectrum::Spectrum;
use suggestion::Suggestion;

/// The version of the JSON that this program writes.
pub const VERSION: u32 = 1;

/// All that is measured of a data set.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// `inspection`.
    pub format: &'static str,
    /// [`VERSION`].
    pub version: u32,
    /// Name of the data.
    pub data: String,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// Numbers in a sample.
    pub dimensions: usize,
    /// Rows of the data.
    pub rows: usize,
    /// Rows that were compared in pairs and taken principal components of.
    pub rows_compared: usize,
    /// Classes, 0 without labels.
    pub classes: usize,
    /// What is measured, in the order in which a person reads it.
    pub measures: Vec<Measure>,
    /// Variances along the principal components, falling; of the data and of as many rows of noise.
    pub spectrum: Beside<Vec<f64>>,
    /// Squared norms over the number of dimensions, of all rows, rising.
    pub squared_norms: Vec<f64>,
    /// What to train with.
    pub suggestion: Suggestion,
}

/// The same of the data and of noise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Beside<T> {
    /// Of the data.
    pub data: T,
    /// Of noise.
    pub noise: T,
}

/// One measured number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// What a program calls it.
    pub name: &'static str,
    /// What a person reads.
    pub label: &'static str,
    /// Of the data; `null` where there is no such number, and `advice` says why.
    pub value: Option<f64>,
    /// Of noise; `null` where there is none.
    pub noise: Option<f64>,
    /// Which noise that is, or which formula.
    pub reference: &'static str,
    /// What to do about it, in a sentence.
    pub advice: String,
}

impl Measure {
    /// A measure by name, with its label, value, and the noise's value and origin.
    pub fn new(
        [name, label]: [&'static str; 2],
        value: f64,
        (noise, reference): (f64, &'static str),
        advice: impl Into<String>,
    ) -> Self {
        Self { name, label, value: Some(value), noise: Some(noise), reference, advice: advice.into() }
    }
}

impl Inspection {
    /// Measures a data set that came from `source`.
    ///
    /// # Errors
    /// [`Error::Argument`] for data that cannot be measured: fewer than two rows, or rows that are all the same.
    pub fn of(data: &Dataset, source: &DataSettings) -> Result<Self, Error> {
        if data.len() < 2 {
            let reason = format!("{}: a single sample cannot be compared with anything; give at least 2", data.name);
            return Err(Error::Argument(reason));
        }
        let rows = Rows::of(data);
        if rows.deviation == 0.0 {
            let reason = format!("{}: every number is {}; there is nothing to learn", data.name, rows.mean);
            return Err(Error::Argument(reason));
        }
        let noise = rows.noise_like();
        let levels = DataLevels::of(&data.samples);
        let spectra = Beside { data: Spectrum::of(&rows), noise: Spectrum::of(&noise) };
        let distances = Beside { data: Distances::of(&rows), noise: Distances::of(&noise) };
        let squared_norms = norms::squared(data);
        let suggestion = Suggestion::new(data, source, levels.as_ref(), &spectra.data, &distances.data)?;

        let mut measures = norms::measures(data).to_vec();
        measures.extend(cosines::measures(&rows));
        measures.push(entropy::measure(data, levels.as_ref()));
        measures.push(background::measure(data, levels.as_ref()));
        measures.extend(spectrum::measures(&spectra));
        measures.extend(distances::measures(&distances));
        measures.push(duplicates::measure(data));
        measures.push(classes::measure(data));
        Ok(Self {
            format: "inspection",
            version: VERSION,
            data: data.name.clone(),
            shape: data.shape.clone(),
            dimensions: data.sample_size(),
            rows: data.len(),
            rows_compared: rows.count(),
            classes: data.classes,
            measures,
            spectrum: Beside { data: spectra.data.variances, noise: spectra.noise.variances },
            squared_norms,
            suggestion,
        })
    }

    /// The measure of that name.
    pub fn measure(&self, name: &str) -> Option<&Measure> {
        self.measures.iter().find(|measure| measure.name == name)
    }
}

#[cfg(test)]
mod tests;
