//! One Gaussian: denoiser, probability flow and entropy in closed form.

use crate::NoiseLevel;
use crate::tensor::{LengthMismatch, check_lengths};
use core::f64::consts::{E, PI};
use libm::{hypot, log, sqrt};

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
        let total = total(lambda, level);
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
    ///
    /// 0 from a point (`lambda = 0`) without noise, where nothing can deviate.
    pub fn flow(lambda: f64, from: NoiseLevel, to: NoiseLevel) -> f64 {
        let deviation = |level: NoiseLevel| hypot(level.alpha * sqrt(lambda), level.sigma);
        let start = deviation(from);
        if start > 0.0 { deviation(to) / start } else { 0.0 }
    }

    /// The differential entropy of `x_t` in nats, `1/2 sum ln(2 pi e (alpha^2 lambda + sigma^2))`: it rises with the noise
    /// (Theorem 3.1). `-inf` where a coordinate is a point.
    pub fn entropy(&self, level: NoiseLevel) -> f64 {
        0.5 * self.variance.iter().map(|&lambda| log(2.0 * PI * E * total(lambda, level))).sum::<f64>()
    }
}

/// The variance of `x_t` where that of `x_0` is `lambda`: `alpha^2 lambda + sigma^2`.
pub(super) fn total(lambda: f64, level: NoiseLevel) -> f64 {
    level.alpha * level.alpha * lambda + level.sigma * level.sigma
}
