//! Denoisers in closed form: no training, and the yardsticks for everything that is trained.

use crate::NoiseLevel;
use crate::tensor::{LengthMismatch, check_lengths};
use libm::{sqrt, tanh};

/// Data `x_0 ~ N(mean, diag(variance))`: a single Gaussian in its eigenbasis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian<'a> {
    /// The mean of each coordinate.
    pub mean: &'a [f64],
    /// The variance of each coordinate (an eigenvalue `lambda`), not negative.
    pub variance: &'a [f64],
}

impl Gaussian<'_> {
    /// The factor `alpha lambda / (alpha^2 lambda + sigma^2)` by which a deviation shrinks; 0 for a point without noise.
    pub fn gain(lambda: f64, level: NoiseLevel) -> f64 {
        let total = level.alpha * level.alpha * lambda + level.sigma * level.sigma;
        if total > 0.0 { level.alpha * lambda / total } else { 0.0 }
    }

    /// `x0_hat = m + alpha lambda / (alpha^2 lambda + sigma^2) (x_t - alpha m)`, coordinate by coordinate (3.2.19 with one component).
    ///
    /// # Errors
    /// Slices of different lengths; `x0_hat` is then unchanged.
    pub fn denoise(&self, x_t: &[f64], level: NoiseLevel, x0_hat: &mut [f64]) -> Result<(), LengthMismatch> {
        check_lengths(x0_hat.len(), [x_t.len(), self.mean.len(), self.variance.len()])?;
        for (i, estimate) in x0_hat.iter_mut().enumerate() {
            let mean = self.mean[i];
            *estimate = mean + Self::gain(self.variance[i], level) * (x_t[i] - level.alpha * mean);
        }
        Ok(())
    }

    /// The factor by which the probability flow scales a deviation from the mean on its way between two levels:
    /// `sqrt((alpha_s^2 lambda + sigma_s^2) / (alpha_t^2 lambda + sigma_t^2))`. A sampler with many steps tends to it.
    pub fn flow(lambda: f64, from: NoiseLevel, to: NoiseLevel) -> f64 {
        let total = |level: NoiseLevel| level.alpha * level.alpha * lambda + level.sigma * level.sigma;
        sqrt(total(to) / total(from))
    }
}

/// Data `-1` or `+1` with equal chances: `x0_hat = tanh(alpha x_t / sigma^2)` (Example 3.4); the sign of `x_t` without noise.
///
/// ```
/// use tweedie_core::{NoiseLevel, exact::two_point};
/// // The variance-exploding form of the texts, tanh(x / t^2).
/// assert_eq!(two_point(0.3, NoiseLevel::new(1.0, 0.5)?), libm::tanh(0.3 / 0.25));
/// # Ok::<(), tweedie_core::Error>(())
/// ```
pub fn two_point(x_t: f64, level: NoiseLevel) -> f64 {
    if x_t == 0.0 {
        return 0.0;
    }
    tanh(level.alpha * x_t / (level.sigma * level.sigma))
}
