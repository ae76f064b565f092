//! The denoiser that memorises.

use super::joint::LogJoint;
use super::mixture::{LARGEST, Mixture};
use crate::error::in_range;
use crate::{Error, NoiseLevel};

/// The training set as a distribution: every sample with the same chance, and nothing else.
///
/// Its denoiser `sum_i w_i x^(i)` with `w = softmax_i(-|x_t - alpha x^(i)|^2 / (2 sigma^2))` (3.3.3) has the least denoising loss on the
/// training set of all functions, and samples with it are copies of the training set: what a network must *not* become.
/// Without noise it is the nearest sample.
///
/// ```
/// use tweedie_core::{NoiseLevel, exact::{Empirical, Mixture}};
/// let data = Empirical::new(&[0.0_f32, 0.0, 1.0, 1.0, -1.0, 2.0], 2)?;
/// let mut x0_hat = [0.0; 2];
/// data.denoise(&[0.9, 0.8], NoiseLevel::CLEAN, &mut [], &mut x0_hat)?;
/// assert_eq!(x0_hat, [1.0, 1.0]);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Empirical<'a, N> {
    samples: &'a [N],
    dimension: usize,
}

impl<'a, N: Copy + Into<f64>> Empirical<'a, N> {
    /// The distribution on `samples`, `[n, dimension]` with `n >= 1`.
    ///
    /// # Errors
    /// [`Error::WrongLength`] for no samples or a part of one; [`Error::OutOfRange`] for a number beyond [`LARGEST`].
    pub fn new(samples: &'a [N], dimension: usize) -> Result<Self, Error> {
        let have = samples.len();
        if dimension == 0 || have == 0 || !have.is_multiple_of(dimension) {
            let need = have.checked_div(dimension).unwrap_or(0).max(1) * dimension.max(1);
            return Err(Error::WrongLength { what: "samples of an empirical distribution", need, have });
        }
        samples.iter().try_for_each(|&value| in_range("sample", value.into(), -LARGEST, LARGEST))?;
        Ok(Self { samples, dimension })
    }

    fn sample(&self, k: usize) -> impl Iterator<Item = f64> {
        self.samples[k * self.dimension..(k + 1) * self.dimension].iter().map(|&value| value.into())
    }
}

impl<N: Copy + Into<f64>> Mixture for Empirical<'_, N> {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn components(&self) -> usize {
        self.samples.len() / self.dimension
    }

    fn joint(&self, k: usize, x_t: &[f64], level: NoiseLevel, _scratch: &mut [f64]) -> LogJoint {
        let square = |(x, value): (&f64, f64)| (x - level.alpha * value) * (x - level.alpha * value);
        let gap = x_t.iter().zip(self.sample(k)).map(square).sum();
        LogJoint { gap, codimension: self.dimension, log: libm::log(self.prior(k)) }
    }

    fn add_estimate(
        &self,
        k: usize,
        weight: f64,
        _x_t: &[f64],
        _level: NoiseLevel,
        _scratch: &[f64],
        x0_hat: &mut [f64],
    ) {
        x0_hat.iter_mut().zip(self.sample(k)).for_each(|(estimate, value)| *estimate += weight * value);
    }

    fn add_score(&self, k: usize, weight: f64, x_t: &[f64], level: NoiseLevel, _scratch: &[f64], score: &mut [f64]) {
        let variance = level.sigma * level.sigma;
        for ((slope, x), value) in score.iter_mut().zip(x_t).zip(self.sample(k)) {
            *slope -= weight * (x - level.alpha * value) / variance;
        }
    }

    fn draw(&self, k: usize, _z: &[f64], x_0: &mut [f64]) {
        x_0.iter_mut().zip(self.sample(k)).for_each(|(x, value)| *x = value);
    }

    fn prior(&self, _k: usize) -> f64 {
        1.0 / self.components() as f64
    }
}
