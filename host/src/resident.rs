//! Data on a device: uploaded once, so that a batch is a choice of its rows there.

use crate::data::Dataset;
use crate::network::Condition;
use crate::noise::NoiseRows;
use crate::operators::combine_rows;
use candle_core::{Device, Result, Tensor};
use std::sync::{Arc, OnceLock};

/// The rows of a data set.
#[derive(Clone, Debug)]
pub struct Resident {
    /// `[samples, features]`.
    samples: Tensor,
    /// The vectors that rows may be told, [as conditions](Condition::of_vectors), and none last.
    vectors: Option<Tensor>,
}

/// What is made of a batch's rows and of noise: `a x_0 + b eps`, with a number of either for each row.
pub struct Mix {
    /// `a`.
    pub signal: Arc<[f32]>,
    /// `b`.
    pub noise: Arc<[f32]>,
}

impl Resident {
    /// Uploads the data.
    ///
    /// # Errors
    /// Data that the device has no room for.
    pub fn new(data: &Dataset, device: &Device) -> Result<Self> {
        let shape = (data.len(), data.sample_size());
        let samples = Tensor::from_slice(&data.samples, shape, device)?;
        let vectors = data.conditions.as_ref().map(|conditions| {
            let width = conditions.description.width();
            let rows: Vec<_> = conditions.vectors.chunks_exact(width).map(Some).chain([None]).collect();
            match Condition::of_vectors(rows.into_iter(), width, device)? {
                Condition::Vector(vectors) => Ok(vectors),
                Condition::Class(_) => candle_core::bail!("vectors became classes"),
            }
        });
        Ok(Self { samples, vectors: vectors.transpose()? })
    }

    /// The data on a device, uploaded at the first call.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn once<'a>(cell: &'a OnceLock<Self>, data: &Dataset, device: &Device) -> Result<&'a Self> {
        if let Some(resident) = cell.get() {
            return Ok(resident);
        }
        let fresh = Self::new(data, device)?;
        Ok(cell.get_or_init(|| fresh))
    }

    /// Several mixtures of the samples of numbers `rows` and of one noise, each `[rows, features]`.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn noised(&self, rows: &[u32], noise: NoiseRows, mixes: &[Mix]) -> Result<Vec<Tensor>> {
        let device = self.samples.device();
        let x0 = self.samples.index_select(&Tensor::from_slice(rows, rows.len(), device)?, 0)?;
        let eps = noise.normal(rows.len(), self.samples.dim(1)?, device)?;
        mixes.iter().map(|mix| combine_rows(&mix.signal, &x0, &mix.noise, &eps)).collect()
    }

    /// The vectors of these numbers; beyond the last is none.
    ///
    /// # Errors
    /// Data without vectors, or the tensor library's.
    pub fn vectors(&self, numbers: &[Option<u32>]) -> Result<Condition> {
        let Some(vectors) = &self.vectors else { candle_core::bail!("these data have no vectors") };
        let none = vectors.dim(0)? as u32 - 1;
        let rows: Vec<u32> = numbers.iter().map(|number| number.unwrap_or(none)).collect();
        let rows = Tensor::from_vec(rows, numbers.len(), vectors.device())?;
        Ok(Condition::Vector(vectors.index_select(&rows, 0)?))
    }
}
