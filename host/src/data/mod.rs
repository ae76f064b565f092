//! Data sets: whatever the file, samples come out as `f32` in the network's range, about [-1, 1].
//!
//! [`load`] reads the embedded digits and the embedded cow, IDX files (MNIST), folders of PNGs, `.npy` arrays, `.csv` tables, and meshes, which it fills with
//! points; [`windows`] cuts a series into samples. Files are checked against what
//! their headers promise before anything is allocated, so that a damaged or hostile one gives a [`DataError`] of one
//! clear sentence and never a panic.
//!
//! ```
//! use tweedie_host::data;
//!
//! let digits = data::load("digits")?;
//! assert_eq!(digits.sample(0).len(), digits.sample_size());
//!
//! let error = data::load("digist").unwrap_err();
//! assert_eq!(error.to_string(), "digist: no such file, folder or data set; did you mean `digits`?");
//! # Ok::<(), data::DataError>(())
//! ```

mod csv;
mod digits;
mod error;
mod idx;
mod labels;
pub mod mesh;
mod npy;
mod npy_header;
mod png_folder;
mod scaling;
mod series;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use error::{DataError, Place};
pub use labels::MAX_CLASSES;
pub use mesh::Solid;
pub use scaling::Scaling;
pub use series::{MAX_WINDOW, windows};

/// Names that [`load`] knows without a file.
const EMBEDDED: [&str; 2] = ["digits", mesh::COW];

/// Whether a source is a name that [`load`] knows without a file.
pub fn is_embedded(source: &str) -> bool {
    EMBEDDED.contains(&source)
}

/// Samples of one shape, with a class each or without.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// `digits`, the file's name without its extension, or the folder's name.
    pub name: String,
    /// The shape of one sample, such as `[8, 8]` or `[64]`; at least one dimension, none of them 0.
    pub shape: Vec<usize>,
    /// All samples, row-major `[n, shape...]`, finite and within [-1, 1].
    pub samples: Vec<f32>,
    /// A class in `0..classes` for each of the `n` samples.
    pub labels: Option<Vec<u32>>,
    /// The number of classes, at most [`MAX_CLASSES`]; 0 without labels.
    pub classes: usize,
    /// The way back to the file's own units.
    pub scaling: Scaling,
}

impl Dataset {
    /// The number of samples, `n`.
    pub fn len(&self) -> usize {
        // A sample size of 0 is a fault that `validate` reports; here it must not divide.
        self.samples.len().checked_div(self.sample_size()).unwrap_or(0)
    }

    /// Whether there are no samples. No data set that [`load`] returns is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of values in a sample, the product of `shape`; 0 if that overflows, which no `load` returns.
    pub fn sample_size(&self) -> usize {
        product(&self.shape).unwrap_or(0)
    }

    /// Sample `i` of `0..len()`, row-major in `shape`; the empty slice for any other `i`.
    pub fn sample(&self, i: usize) -> &[f32] {
        let size = self.sample_size();
        let range = i.checked_mul(size).and_then(|start| Some(start..start.checked_add(size)?));
        range.and_then(|range| self.samples.get(range)).unwrap_or_default()
    }

    /// Checks all that the fields' descriptions promise, for data sets that were not made by [`load`].
    ///
    /// # Errors
    ///
    /// The first promise that doesn't hold: the same errors as of a file, which then name the data set.
    ///
    /// ```
    /// use tweedie_host::data::{DataError, Dataset, Scaling};
    ///
    /// let mut points = Dataset {
    ///     name: "points".into(),
    ///     shape: vec![2],
    ///     samples: vec![0.5, -0.5, 1.0, 0.0],
    ///     labels: Some(vec![0, 1]),
    ///     classes: 2,
    ///     scaling: Scaling::IDENTITY,
    /// };
    /// points.validate()?;
    /// points.labels = Some(vec![0, 2]);
    /// assert!(matches!(points.validate(), Err(DataError::Label { .. })));
    /// # Ok::<(), DataError>(())
    /// ```
    pub fn validate(&self) -> Result<(), DataError> {
        let file = || PathBuf::from(&self.name);
        let inconsistent = |reason| Err(DataError::Inconsistent { name: self.name.clone(), reason });
        let size = self.sample_size();
        if self.shape.is_empty() || size == 0 {
            return Err(DataError::NoValues { file: file(), shape: self.shape.clone() });
        }
        if self.samples.is_empty() {
            return Err(DataError::NoSamples { file: file() });
        }
        if !self.samples.len().is_multiple_of(size) {
            return inconsistent("the number of values is no multiple of a sample's size");
        }
        if let Some(i) = self.samples.iter().position(|v| !v.is_finite()) {
            return Err(DataError::NotFinite {
                file: file(),
                place: Place::Element { sample: i / size, element: i % size },
                value: self.samples[i].into(),
            });
        }
        if self.samples.iter().any(|v| v.abs() > 1.0) {
            return inconsistent("values lie outside [-1, 1]; scale them and note it in `scaling`");
        }
        let Scaling { offset, scale } = self.scaling;
        if !offset.is_finite() || !scale.is_finite() || scale == 0.0 {
            return inconsistent("the scaling must be finite and its scale not 0");
        }
        let Some(labels) = &self.labels else {
            if self.classes != 0 {
                return inconsistent("there are classes but no labels");
            }
            return Ok(());
        };
        if self.classes > MAX_CLASSES {
            return inconsistent("there are more classes than MAX_CLASSES");
        }
        same_count(&file(), labels.len(), &file(), self.len())?;
        let stray = labels.iter().position(|&l| l as usize >= self.classes);
        match stray {
            Some(i) => Err(DataError::Label { file: file(), place: Place::Sample(i), label: labels[i].into() }),
            None => Ok(()),
        }
    }
}

/// Reads a data set: `digits`, `cow`, or the path of
///
/// - a folder with `train-images-idx3-ubyte` and, if there are labels, `train-labels-idx1-ubyte`, as MNIST and
///   Fashion-MNIST come: with a dot instead of the second dash as well, and with `.gz` or without;
/// - a folder with `samples.npy` and, if there are labels, `labels.npy`, as `sample` leaves them;
/// - a folder of PNGs of one size, or of sub-folders of them, each a class, numbered in the order of their names: `[height, width]` if all are
///   grey, else `[3, height, width]`;
/// - one IDX file of images (`idx` or `ubyte` in its name), with its labels beside it under the matching name, if any;
/// - an `.npy` array `[n, ...]`, in any byte order, row-major or column-major, with `labels.npy` beside it, if any;
/// - a `.csv` table, comma or semicolon, a sample per row; a header is optional, and a column that it names `label`,
///   `class` or `target` is the class;
/// - a mesh, `.off`, `.obj` or `.ply`, closed: samples are 32 768 points inside it, of shape `[3]`, all three coordinates scaled alike.
///
/// Bytes (IDX, `u1` arrays) are pixels, `v / 127.5 - 1`. Other numbers stay as they are if all of them lie in [-1, 1];
/// if not, their range is mapped to [-1, 1] and [`Dataset::scaling`] leads back. Write `./digits` for a folder of that
/// name.
///
/// # Errors
///
/// A [`DataError`] that names the file, what is wrong with it and what would be right. A file costs a small
/// multiple of its size in memory, whatever its header promises; a compressed one up to 256 times that.
pub fn load(source: &str) -> Result<Dataset, DataError> {
    if source == "digits" {
        return Dataset::digits();
    }
    if source == mesh::COW {
        return mesh::dataset(source);
    }
    let path = Path::new(source);
    let metadata = fs::metadata(path).map_err(|reason| match reason.kind() {
        io::ErrorKind::NotFound => not_found(source),
        _ => DataError::Unreadable { file: path.into(), reason },
    })?;
    if metadata.is_dir() {
        return load_folder(path);
    }
    let extension = path.extension().unwrap_or_default();
    if extension.eq_ignore_ascii_case("csv") {
        csv::dataset(name_of(path), path, &read_file(path)?)
    } else if extension.eq_ignore_ascii_case("npy") {
        npy::dataset(name_of(path), path)
    } else if mesh::is_named(path) {
        mesh::dataset(source)
    } else if idx::is_named(path) {
        idx::dataset(name_of(path), path)
    } else if metadata.is_file() {
        Err(DataError::UnknownFormat { file: path.into() })
    } else {
        Err(DataError::NotRegular { file: path.into() })
    }
}

fn load_folder(folder: &Path) -> Result<Dataset, DataError> {
    if let Some(images) = idx::images_in(folder) {
        return idx::dataset(name_of(folder), &images);
    }
    let samples = folder.join("samples.npy");
    if samples.is_file() {
        return npy::dataset(name_of(folder), &samples);
    }
    if let Some(classes) = png_folder::classes_in(folder)? {
        return png_folder::dataset(name_of(folder), folder, classes);
    }
    Err(DataError::NoDataset { file: folder.into() })
}

fn not_found(source: &str) -> DataError {
    let path = Path::new(source);
    if source.contains(['/', '\\']) || path.extension().is_some() {
        return DataError::Missing { file: path.into() };
    }
    let closeness = |name: &str| strsim::normalized_damerau_levenshtein(name, &source.to_lowercase());
    let nearest = EMBEDDED.into_iter().max_by(|a, b| closeness(a).total_cmp(&closeness(b))).unwrap_or_default();
    DataError::UnknownName { name: source.into(), nearest, near: closeness(nearest) >= 0.5 }
}

/// A file's or folder's name without `.gz` and extension.
fn name_of(path: &Path) -> String {
    // `.` and `..` have no name of their own.
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let path = if path.file_name().is_some() { path } else { &absolute };
    let name = if path.is_dir() {
        path.file_name()
    } else if path.extension().is_some_and(|e| e == "gz") {
        Path::new(path.file_stem().unwrap_or_default()).file_stem()
    } else {
        path.file_stem()
    };
    match name {
        Some(name) => name.to_string_lossy().into_owned(),
        None => "data".into(),
    }
}

/// A regular file's bytes; pipes and devices may never end.
fn read_file(file: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable = |reason| DataError::Unreadable { file: file.into(), reason };
    if !fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(DataError::NotRegular { file: file.into() });
    }
    fs::read(file).map_err(unreadable)
}

fn same_count(file: &Path, labels: usize, of: &Path, samples: usize) -> Result<(), DataError> {
    if labels == samples {
        return Ok(());
    }
    Err(DataError::LabelCount { file: file.into(), labels, of: of.into(), samples })
}

/// Elements of a shape; nothing if the sizes other than 0 overflow, so that a 0 cannot hide two absurd ones.
fn product(shape: &[usize]) -> Option<usize> {
    let nonzero = shape.iter().filter(|&&d| d != 0);
    let product = nonzero.copied().try_fold(1, usize::checked_mul)?;
    Some(if shape.contains(&0) { 0 } else { product })
}

/// `28x28`, for messages.
fn shape_text(shape: &[usize]) -> String {
    match shape {
        [] => "1".into(),
        _ => shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"),
    }
}

#[cfg(test)]
mod tests;
