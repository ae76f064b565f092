//! What a network is told of each sample instead of its class: vectors, from an array `[n, c]` or of captions.

use super::npy::Array;
use super::{DataError, Dataset, Place, Scaling, read_file};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The most numbers in a vector.
pub const MAX_WIDTH: usize = 4096;
/// Examples that are chosen where there are no classes.
const EXAMPLES: usize = 10;

/// Vectors, and which of them describe which sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// What the vectors are.
    pub description: VectorDescription,
    /// `[m, width]`, in the network's range.
    pub vectors: Vec<f32>,
    /// For each sample the rows of `vectors` that describe it, at least one; training takes one of them by chance.
    pub choices: Vec<Vec<u32>>,
}

/// What a model must know of the vectors that it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorDescription {
    /// Where vectors come from.
    pub kind: VectorKind,
    /// For each number the way from the network's range to the units of the data's file.
    pub units: Vec<Scaling>,
    /// Conditions that are drawn where nobody asks for others.
    pub examples: Vec<Example>,
    /// Whether the examples are one for each class of the data, in their order.
    pub by_class: bool,
}

/// Where vectors come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VectorKind {
    /// From the data.
    Numbers,
    /// From captions, by a text encoder.
    Text,
}

/// A condition with its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The prompt, or the numbers in the units of their file.
    pub name: String,
    /// `[width]`, in the network's range.
    pub vector: Vec<f32>,
}

impl VectorDescription {
    /// Numbers in a vector.
    pub fn width(&self) -> usize {
        self.units.len()
    }

    /// An example of numbers in the units of their file.
    pub fn example(&self, numbers: &[f32]) -> Example {
        let name = numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(", ");
        let to_network = |(&number, units): (&f32, &Scaling)| units.to_network(number);
        Example { name, vector: numbers.iter().zip(&self.units).map(to_network).collect() }
    }
}

impl Conditions {
    /// The rows of an `.npy` array `[n, c]` (or `[n]`, one number each), one for each sample of the data. Each column is brought to
    /// mean 0, and all to such a variance that a vector's square norm is 1 on average, as a class's one-hot vector has.
    ///
    /// # Errors
    /// A file that is no such array, holds what is no number, or has another number of rows.
    pub fn read(file: &Path, data: &Dataset) -> Result<Self, DataError> {
        let (width, numbers) = rows(file)?;
        let samples = data.len();
        same_count(file, numbers.len() / width, data)?;
        let units = (0..width).map(|column| {
            let values = || numbers.iter().skip(column).step_by(width).map(|&value| f64::from(value));
            let mean = values().sum::<f64>() / samples as f64;
            let variance = values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / samples as f64;
            // A column that says nothing stays 0.
            let deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
            Scaling { offset: mean as f32, scale: (deviation * (width as f64).sqrt()) as f32 }
        });
        let units = units.collect();
        let by_class = data.labels.is_some();
        let mut description = VectorDescription { kind: VectorKind::Numbers, units, examples: Vec::new(), by_class };
        let row = |row: usize| &numbers[row * width..][..width];
        description.examples = match &data.labels {
            Some(labels) => (0..data.classes)
                .map(|class| {
                    let own: Vec<&[f32]> =
                        (0..samples).filter(|&sample| labels[sample] as usize == class).map(row).collect();
                    let sum = |column: usize| own.iter().map(|row| f64::from(row[column])).sum::<f64>();
                    let mean: Vec<f32> =
                        (0..width).map(|column| (sum(column) / own.len().max(1) as f64) as f32).collect();
                    Example { name: format!("class {class} on average"), ..description.example(&mean) }
                })
                .collect(),
            None => {
                let count = EXAMPLES.min(samples);
                (0..count).map(|index| description.example(row(index * samples / count))).collect()
            }
        };
        let vectors = numbers.chunks_exact(width).flat_map(|row| description.example(row).vector).collect();
        Ok(Self { description, vectors, choices: (0..samples as u32).map(|sample| vec![sample]).collect() })
    }

    /// The vector of a sample that a number in (0, 1) chooses.
    pub fn of_sample(&self, sample: usize, choice: f64) -> &[f32] {
        let width = self.description.width();
        &self.vectors[self.number_of_sample(sample, choice) as usize * width..][..width]
    }

    /// The same vector's number among all of them.
    pub fn number_of_sample(&self, sample: usize, choice: f64) -> u32 {
        let choices = &self.choices[sample];
        choices[(choice * choices.len() as f64) as usize]
    }

    /// The conditions of some samples.
    pub fn of_samples(&self, samples: impl Iterator<Item = usize>) -> Self {
        Self { choices: samples.map(|sample| self.choices[sample].clone()).collect(), ..self.clone() }
    }
}

/// Checks that there is one row for each sample.
///
/// # Errors
/// [`DataError::ConditionCount`].
pub fn same_count(file: &Path, rows: usize, data: &Dataset) -> Result<(), DataError> {
    let (name, samples) = (data.name.clone(), data.len());
    if rows == samples { Ok(()) } else { Err(DataError::ConditionCount { file: file.into(), rows, name, samples }) }
}

/// The width and the numbers of an `.npy` array `[n, c]` or `[n]`.
///
/// # Errors
/// Another shape, no rows, or what is no number.
pub fn rows(file: &Path) -> Result<(usize, Vec<f32>), DataError> {
    let bytes = read_file(file)?;
    let array = Array::read(file, &bytes)?;
    let width = match *array.shape() {
        [n] if n > 0 => 1,
        [n, width] if n > 0 && (1..=MAX_WIDTH).contains(&width) => width,
        ref shape => return Err(DataError::ConditionShape { file: file.into(), shape: shape.to_vec() }),
    };
    let values: Vec<f64> = array.values().collect();
    match values.iter().position(|&value| !(value as f32).is_finite()) {
        Some(i) => Err(DataError::NotFinite {
            file: file.into(),
            place: Place::Element { sample: i / width, element: i % width },
            value: values[i],
        }),
        None => Ok((width, values.into_iter().map(|value| value as f32).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::write_f32;

    fn written(shape: &[usize], numbers: &[f32]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("conditions.npy");
        write_f32(&file, shape, numbers).unwrap();
        (folder, file)
    }

    /// So many samples of one number.
    fn data(samples: usize, labels: Option<Vec<u32>>) -> Dataset {
        let (classes, scaling) = (if labels.is_some() { 3 } else { 0 }, Scaling::IDENTITY);
        let (name, samples) = ("x".to_owned(), vec![0.0; samples]);
        Dataset { name, shape: vec![1], samples, labels, classes, conditions: None, scaling }
    }

    #[test]
    fn vectors_have_a_square_norm_of_one_on_average() {
        let numbers: Vec<f32> =
            (0..40).map(|i| if i % 2 == 0 { i as f32 } else { 7.0 * (i * i % 11) as f32 }).collect();
        let (_folder, file) = written(&[20, 2], &numbers);
        let conditions = Conditions::read(&file, &data(20, None)).unwrap();
        let squares = conditions.vectors.iter().map(|v| f64::from(v * v)).sum::<f64>() / 20.0;
        assert!((squares - 1.0).abs() < 1e-5, "{squares}");
        for sample in [0, 7, 19] {
            let own = conditions.of_sample(sample, 0.5);
            for (column, (&value, units)) in own.iter().zip(&conditions.description.units).enumerate() {
                assert!((units.to_units(value) - numbers[2 * sample + column]).abs() < 1e-4);
            }
        }
        let examples = &conditions.description.examples;
        assert_eq!((examples.len(), examples[1].name.as_str()), (10, "4, 21"));
        assert_eq!(examples[1].vector, conditions.of_sample(2, 0.0));
    }

    #[test]
    fn with_classes_there_is_one_example_for_each() {
        let (_folder, file) = written(&[4], &[1.0, 2.0, 3.0, 6.0]);
        let conditions = Conditions::read(&file, &data(4, Some(vec![0, 2, 0, 2]))).unwrap();
        let VectorDescription { examples, units, by_class, .. } = &conditions.description;
        let back: Vec<f32> = examples.iter().map(|example| units[0].to_units(example.vector[0])).collect();
        assert!(*by_class && (back[0] - 2.0).abs() < 1e-6 && (back[2] - 4.0).abs() < 1e-6, "{back:?}");
    }

    #[test]
    fn what_is_no_table_of_numbers_is_refused() {
        let refused = |shape: &[usize], numbers: &[f32], samples| {
            let (_folder, file) = written(shape, numbers);
            Conditions::read(&file, &data(samples, None)).unwrap_err()
        };
        assert!(matches!(refused(&[2, 2, 1], &[0.0; 4], 2), DataError::ConditionShape { .. }));
        assert!(matches!(refused(&[0, 2], &[], 2), DataError::ConditionShape { .. }));
        assert!(matches!(refused(&[2, 2], &[0.0, f32::NAN, 0.0, 0.0], 2), DataError::NotFinite { .. }));
        let sentence = refused(&[3, 1], &[0.0; 3], 2).to_string();
        assert!(sentence.ends_with("holds 3 rows for the 2 samples of x"), "{sentence}");
    }

    #[test]
    fn a_choice_takes_every_row_that_describes_a_sample() {
        let description = VectorDescription {
            kind: VectorKind::Text,
            units: vec![Scaling::IDENTITY],
            examples: Vec::new(),
            by_class: false,
        };
        let conditions = Conditions { description, vectors: vec![0.1, 0.2, 0.3], choices: vec![vec![2], vec![0, 1]] };
        assert_eq!(conditions.of_sample(0, 0.999), [0.3]);
        assert_eq!((conditions.of_sample(1, 0.49), conditions.of_sample(1, 0.51)), (&[0.1][..], &[0.2][..]));
        assert_eq!(conditions.of_samples([1, 1, 0].into_iter()).choices, [vec![0, 1], vec![0, 1], vec![2]]);
    }
}
