//! The rows that are compared with each other: all of a small data set, an even part of a large one.

use crate::data::Dataset;
use crate::streams;
use tweedie_core::noise::NoiseStream;

/// The most rows, and the most multiplications that comparing all pairs may take: a second or two.
const MOST_ROWS: usize = 8192;
const MOST_WORK: usize = 20_000_000_000;

/// Rows of one size, and the mean and standard deviation of all their numbers.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The numbers, `[rows, width]`.
    pub values: Vec<f32>,
    /// Numbers in a row.
    pub width: usize,
    /// The mean of all numbers.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
}

impl Rows {
    /// At most 8192 rows of a data set, fewer where they are long, evenly taken from the first to the last.
    pub fn of(data: &Dataset) -> Self {
        let (count, width) = (data.len(), data.sample_size());
        let most = MOST_ROWS.min((MOST_WORK / width).isqrt()).max(2);
        let taken = count.min(most);
        let values: Vec<f32> = (0..taken).flat_map(|row| data.sample(row * count / taken)).copied().collect();
        let number = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / number;
        let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / number;
        Self { values, width, mean, deviation: variance.sqrt() }
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// The rows one after the other.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width)
    }

    /// The mean row.
    pub fn means(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.width];
        for row in self.iter() {
            means.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / self.count() as f64);
        }
        means
    }

    /// As many rows of independent Gaussian numbers of the same mean and standard deviation.
    pub fn noise_like(&self) -> Self {
        let mut values = vec![0.0; self.values.len()];
        for (row, values) in values.chunks_exact_mut(self.width).enumerate() {
            NoiseStream::new(0, streams::STUDY + row as u64).fill(0, values);
            values.iter_mut().for_each(|z: &mut f32| *z = (self.mean + self.deviation * f64::from(*z)) as f32);
        }
        Self { values, ..*self }
    }
}
