//! How much signal and how much noise: the pair `(alpha, sigma)`.

use crate::Error;
use libm::{atan2, hypot, log, sqrt};

/// The signal and noise *coefficients* of `x_t = alpha x_0 + sigma eps` (3.2.85).
///
/// Solvers need nothing else of a schedule, so one solver serves every process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseLevel {
    /// Coefficient of the data, `alpha >= 0`.
    pub alpha: f64,
    /// Coefficient of the unit noise, `sigma >= 0`.
    pub sigma: f64,
}

impl NoiseLevel {
    /// Clean data: `alpha = 1`, `sigma = 0`.
    pub const CLEAN: Self = Self { alpha: 1.0, sigma: 0.0 };

    /// A checked pair: both finite, not negative, not both zero.
    pub fn new(alpha: f64, sigma: f64) -> Result<Self, Error> {
        let valid = |c: f64| c.is_finite() && c >= 0.0;
        if valid(alpha) && valid(sigma) && (alpha > 0.0 || sigma > 0.0) {
            Ok(Self { alpha, sigma })
        } else {
            Err(Error::InvalidNoiseLevel { alpha, sigma })
        }
    }

    /// The level of a variance-preserving chain, `alpha = sqrt(alpha_bar)`, `sigma = sqrt(1 - alpha_bar)` (2.6).
    ///
    /// `alpha_bar` must lie in [0, 1].
    pub fn from_alpha_bar(alpha_bar: f64) -> Result<Self, Error> {
        crate::error::in_range("alpha_bar", alpha_bar, 0.0, 1.0)?;
        Ok(Self { alpha: sqrt(alpha_bar), sigma: sqrt(1.0 - alpha_bar) })
    }

    /// Signal-to-noise ratio `alpha^2 / sigma^2`; infinite for clean data.
    pub fn snr(&self) -> f64 {
        let ratio = self.alpha / self.sigma;
        ratio * ratio
    }

    /// `ln(alpha^2 / sigma^2)`, from `+inf` (clean) to `-inf` (pure noise).
    pub fn log_snr(&self) -> f64 {
        2.0 * (log(self.alpha) - log(self.sigma))
    }

    /// `sigma / alpha`, by which EDM and k-diffusion count noise (Karras et al. 2022); infinite where there is no signal.
    pub fn ratio(&self) -> f64 {
        self.sigma / self.alpha
    }

    /// `sqrt(alpha^2 + sigma^2)`: the standard deviation of `x_t` for data of unit variance; 1 when variance-preserving.
    pub fn norm(&self) -> f64 {
        hypot(self.alpha, self.sigma)
    }

    /// The same SNR scaled to be variance-preserving: `alpha` and `sigma` over [`norm`](Self::norm). The state scales along.
    pub fn normalised(&self) -> Self {
        let norm = self.norm();
        Self { alpha: self.alpha / norm, sigma: self.sigma / norm }
    }

    /// The noise level as an angle, `(2 / pi) atan2(sigma, alpha)`, from 0 (data) to 1 (noise).
    ///
    /// It depends on the SNR alone, so a network that is told the angle instead of a clock serves every
    /// schedule; on [`Schedule::Trigonometric`](crate::schedule::Schedule::Trigonometric) it *is* the clock.
    pub fn angle(&self) -> f64 {
        atan2(self.sigma, self.alpha) * core::f64::consts::FRAC_2_PI
    }
}

/// `d alpha / dt` and `d sigma / dt` at one time: what a velocity is measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Velocity {
    /// `d alpha / dt`.
    pub alpha: f64,
    /// `d sigma / dt`.
    pub sigma: f64,
}
