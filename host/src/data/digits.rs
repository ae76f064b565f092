//! The embedded data set: 1797 handwritten digits of 8x8 pixels, so that `train` needs no download.
//!
//! Origin and licence: `host/data/README.md`.

use std::io::Read;
use std::ops::Range;
use std::path::Path;

use flate2::read::GzDecoder;

use super::labels::class_labels;
use super::{DataError, Dataset, Place, Scaling, csv};

const COMPRESSED: &[u8] = include_bytes!("../../data/digits.csv.gz");

const SIDE: usize = 8;
const ROWS: usize = 1797;
/// Rows are grouped by writer, so the split is by position: shuffling would put every hand on both sides.
const TRAIN_ROWS: usize = 1347;
/// Pixels count the dots set in a 4x4 block: 0 to 16.
const HALF_RANGE: f64 = 8.0;

impl Dataset {
    /// The embedded digits' training part: 1347 samples of shape `[8, 8]`, labels 0 to 9.
    ///
    /// Pixels 0 to 16 become `v / 8 - 1`: -1 is paper and 1 is ink.
    ///
    /// # Errors
    ///
    /// None that a user can cause: the file is part of the program and a test reads it.
    ///
    /// ```
    /// use tweedie_host::data::Dataset;
    ///
    /// let digits = Dataset::digits()?;
    /// assert_eq!((digits.len(), digits.shape.as_slice(), digits.classes), (1347, &[8, 8][..], 10));
    /// # Ok::<(), tweedie_host::data::DataError>(())
    /// ```
    pub fn digits() -> Result<Dataset, DataError> {
        rows(0..TRAIN_ROWS)
    }

    /// The embedded digits that no training sees: the last 450 rows, in the form of [`Dataset::digits`].
    ///
    /// # Errors
    ///
    /// As [`Dataset::digits`].
    pub fn digits_held_out() -> Result<Dataset, DataError> {
        rows(TRAIN_ROWS..ROWS)
    }
}

fn rows(wanted: Range<usize>) -> Result<Dataset, DataError> {
    let file = Path::new("digits");
    let mut text = Vec::new();
    GzDecoder::new(COMPRESSED)
        .read_to_end(&mut text)
        .map_err(|reason| DataError::Gzip { file: file.into(), reason })?;
    let table = csv::read(file, &text)?;
    let pixels = SIDE * SIDE;
    let values = table
        .values
        .get(wanted.start * (pixels + 1)..wanted.end * (pixels + 1))
        .filter(|_| table.columns == pixels + 1)
        .ok_or(DataError::Inconsistent {
            name: "digits".into(),
            reason: "the embedded file is not the one this program was written for",
        })?;
    let rows = values.chunks_exact(pixels + 1);
    let samples = rows.clone().flat_map(|row| &row[..pixels]).map(|v| (v / HALF_RANGE - 1.0) as f32).collect();
    let places = wanted.map(Place::Sample);
    let (labels, classes) = class_labels(file, places.zip(rows.map(|row| row[pixels])))?;
    Ok(Dataset {
        name: "digits".into(),
        shape: vec![SIDE, SIDE],
        samples,
        labels: Some(labels),
        classes,
        conditions: None,
        scaling: Scaling::IDENTITY,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label_counts(data: &Dataset) -> [usize; 10] {
        let mut counts = [0; 10];
        for &label in data.labels.as_ref().unwrap() {
            counts[label as usize] += 1;
        }
        counts
    }

    // The counts are those of scikit-learn's `load_digits().target[:1347]` and `[1347:]`.
    #[test]
    fn the_split_is_by_position() {
        let train = Dataset::digits().unwrap();
        assert_eq!(train.len(), 1347);
        assert_eq!(label_counts(&train), [135, 136, 134, 136, 133, 137, 134, 134, 133, 135]);
        let held_out = Dataset::digits_held_out().unwrap();
        assert_eq!(held_out.len(), 450);
        assert_eq!(label_counts(&held_out), [43, 46, 43, 47, 48, 45, 47, 45, 41, 45]);
        for data in [train, held_out] {
            data.validate().unwrap();
            assert_eq!(data.shape, [8, 8]);
            assert_eq!(data.classes, 10);
            assert_eq!(data.scaling, Scaling::IDENTITY);
            let min = data.samples.iter().copied().fold(f32::MAX, f32::min);
            let max = data.samples.iter().copied().fold(f32::MIN, f32::max);
            assert_eq!((min, max), (-1.0, 1.0));
        }
    }

    // Rows 0 and 1347 as scikit-learn's `load_digits().data` has them.
    #[test]
    fn both_parts_start_where_they_should() {
        let zero = [
            [0, 0, 5, 13, 9, 1, 0, 0],
            [0, 0, 13, 15, 10, 15, 5, 0],
            [0, 3, 15, 2, 0, 11, 8, 0],
            [0, 4, 12, 0, 0, 8, 8, 0],
            [0, 5, 8, 0, 0, 9, 8, 0],
            [0, 4, 11, 0, 1, 12, 7, 0],
            [0, 2, 14, 5, 10, 12, 0, 0],
            [0, 0, 6, 13, 10, 0, 0, 0],
        ];
        let three = [
            [0, 0, 7, 16, 16, 14, 0, 0],
            [0, 0, 16, 12, 10, 15, 1, 0],
            [0, 0, 10, 4, 16, 10, 0, 0],
            [0, 0, 0, 9, 16, 11, 1, 0],
            [0, 0, 0, 0, 7, 16, 8, 0],
            [0, 0, 0, 0, 0, 16, 7, 0],
            [0, 0, 8, 4, 10, 15, 2, 0],
            [0, 0, 12, 16, 16, 6, 0, 0],
        ];
        for (data, pixels, label) in
            [(Dataset::digits().unwrap(), zero, 0), (Dataset::digits_held_out().unwrap(), three, 3)]
        {
            let expected: Vec<f32> = pixels.as_flattened().iter().map(|&v| v as f32 / 8.0 - 1.0).collect();
            assert_eq!(data.sample(0), expected);
            assert_eq!(data.labels.unwrap()[0], label);
        }
    }
}
