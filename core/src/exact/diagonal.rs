//! Mixtures of Gaussians with diagonal covariances.

use super::gaussian::Gaussian;
use super::joint::LogJoint;
use super::mixture::{Mixture, along, total_weight, variances, within, wrong_length};
use crate::{Error, NoiseLevel};
use libm::{log, sqrt};

/// A mixture of Gaussians with diagonal covariances (Example 3.6), `S_k = diag(variance_k)`; a variance of 0 is allowed.
///
/// ```
/// use tweedie_core::{NoiseLevel, exact::{DiagonalMixture, Mixture, two_point}};
/// let points = DiagonalMixture::new(&[0.5, 0.5], &[-1.0, 1.0], &[0.0, 0.0])?;
/// let (level, mut x0_hat) = (NoiseLevel::new(1.0, 0.5)?, [0.0]);
/// points.denoise(&[0.3], level, &mut [], &mut x0_hat)?;
/// assert!((x0_hat[0] - two_point(0.3, level)).abs() < 1e-15);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiagonalMixture<'a> {
    weights: &'a [f64],
    means: &'a [f64],
    variances: &'a [f64],
    dimension: usize,
    total_weight: f64,
}

impl<'a> DiagonalMixture<'a> {
    /// A mixture from its tables: `weights` `[k]`, positive, whose sum may be any number; `means` and `variances` `[k, d]`.
    ///
    /// # Errors
    /// [`Error::WrongLength`] for tables that do not fit; [`Error::OutOfRange`] for a weight that is not positive, a negative
    /// variance, or a number beyond [`LARGEST`](super::LARGEST).
    pub fn new(weights: &'a [f64], means: &'a [f64], variances: &'a [f64]) -> Result<Self, Error> {
        let total_weight = total_weight(weights)?;
        let dimension = (means.len() / weights.len()).max(1);
        wrong_length("means of a mixture", weights.len() * dimension, means.len())?;
        wrong_length("variances of a mixture", means.len(), variances.len())?;
        within("mean", means)?;
        self::variances("variance", variances)?;
        Ok(Self { weights, means, variances, dimension, total_weight })
    }

    /// Mean and variance of component `k`.
    pub(super) fn component(&self, k: usize) -> (&'a [f64], &'a [f64]) {
        let range = k * self.dimension..(k + 1) * self.dimension;
        (&self.means[range.clone()], &self.variances[range])
    }
}

impl Mixture for DiagonalMixture<'_> {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn components(&self) -> usize {
        self.weights.len()
    }

    fn joint(&self, k: usize, x_t: &[f64], level: NoiseLevel, _scratch: &mut [f64]) -> LogJoint {
        let mut joint = LogJoint { gap: 0.0, codimension: 0, log: log(self.prior(k)) };
        let (mean, variance) = self.component(k);
        for (i, x) in x_t.iter().enumerate() {
            let deviation = x - level.alpha * mean[i];
            along(&mut joint, variance[i], 1, deviation * deviation, level);
        }
        joint
    }

    fn add_estimate(
        &self,
        k: usize,
        weight: f64,
        x_t: &[f64],
        level: NoiseLevel,
        _scratch: &[f64],
        x0_hat: &mut [f64],
    ) {
        let (mean, variance) = self.component(k);
        for (i, estimate) in x0_hat.iter_mut().enumerate() {
            let deviation = x_t[i] - level.alpha * mean[i];
            *estimate += weight * (mean[i] + Gaussian::gain(variance[i], level) * deviation);
        }
    }

    fn add_score(&self, k: usize, weight: f64, x_t: &[f64], level: NoiseLevel, _scratch: &[f64], score: &mut [f64]) {
        let (mean, variance) = self.component(k);
        for (i, slope) in score.iter_mut().enumerate() {
            *slope -= weight * (x_t[i] - level.alpha * mean[i]) / super::gaussian::total(variance[i], level);
        }
    }

    fn draw(&self, k: usize, z: &[f64], x_0: &mut [f64]) {
        let (mean, variance) = self.component(k);
        for (i, x) in x_0.iter_mut().enumerate() {
            *x = mean[i] + sqrt(variance[i]) * z[i];
        }
    }

    fn prior(&self, k: usize) -> f64 {
        self.weights[k] / self.total_weight
    }
}
