//! The variational bound on the negative log-likelihood (Sohl-Dickstein et al. 2015; Ho, Jain and Abbeel 2020; (4.9)), in nats.
//!
//! ```text
//! -ln p(x_0) <= prior(x_0) + sum over steps E[step term] + E[reconstruction]
//! ```
//!
//! That is a loss, to be minimised: (4.17) and (4.18) print its negative, a bound to be maximised.
//!
//! Every part splits into coordinates, since all distributions are Gaussians with a multiple of the unit covariance. [`bits_per_dimension`]
//! is what papers quote. [`exact`](crate::exact) denoisers reach the data's own entropy as the chain grows finer (`core/tests/bounds.rs`).

use crate::ddpm::{self, Variance};
use crate::error::in_range;
use crate::{Error, NoiseLevel};
use core::f64::consts::{LN_2, PI, SQRT_2};
use libm::{erfc, exp, log, log1p};

/// `KL(q(x_T | x_0) || N(0, alpha_T^2 + sigma_T^2))` of one coordinate: what the noisiest state still tells of the data.
///
/// # Errors
/// [`Error::NoiseVanishes`] at a level without noise.
pub fn prior(x_0: f64, level: NoiseLevel) -> Result<f64, Error> {
    if level.sigma == 0.0 {
        return Err(Error::NoiseVanishes);
    }
    let NoiseLevel { alpha, sigma } = level.normalised();
    let (mean, variance) = (alpha * x_0, sigma * sigma);
    Ok(0.5 * (variance + mean * mean - 1.0 - log(variance)))
}

/// `KL(q(x_s | x_t, x_0) || p(x_s | x_t))` of one reverse step, as a function of the error of `x0_hat`:
/// `constant + weight (x_0 - x0_hat)^2` for each coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepTerm {
    /// What the reverse step's variance costs, whatever the estimate; 0 for the posterior's own.
    pub constant: f64,
    /// Nats for each unit of squared error.
    pub weight: f64,
}

impl StepTerm {
    /// The term of the ancestral step from `from` to the less noisy `to`, both means being [`ddpm::step`]'s.
    ///
    /// ```text
    /// weight = pull^2 / (2 variance)            constant = (r - 1 - ln r) / 2,  r = posterior variance / variance
    /// ```
    ///
    /// With the posterior's variance the weight is `(SNR_s - SNR_t) / 2` (Kingma et al. 2021). With `beta_t` on a chain it is, in terms of
    /// the error of `eps_hat`, `beta_t / (2 (1 - abar_t) (1 - beta_t))`, which is (4.15).
    ///
    /// # Errors
    /// [`Error::NoiseVanishes`] for a step to clean data, which [`reconstruction`] takes; [`Error::NotDenoising`] for a step that removes no
    /// noise; those of [`ddpm::step`].
    pub fn new(from: NoiseLevel, to: NoiseLevel, variance: Variance) -> Result<Self, Error> {
        let (posterior, own) = (Variance::Posterior.of(from, to)?, variance.of(from, to)?);
        if to.sigma == 0.0 {
            return Err(Error::NoiseVanishes);
        }
        if posterior == 0.0 {
            return Err(Error::NotDenoising { from: from.log_snr(), to: to.log_snr() });
        }
        let pull = ddpm::step(0.0, from, to, variance)?.pull()[0];
        let ratio = posterior / own;
        Ok(Self { constant: 0.5 * (ratio - 1.0 - log(ratio)), weight: 0.5 * pull * pull / own })
    }

    /// The nats of one coordinate whose estimate is off by `error`.
    pub fn nats(&self, error: f64) -> f64 {
        self.constant + self.weight * error * error
    }
}

/// Evenly spaced values, the only ones that a coordinate of the data takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// The lowest.
    pub low: f64,
    /// Between neighbours, above 0.
    pub spacing: f64,
    /// How many; at least 2.
    pub count: usize,
}

/// `-ln p(x_0 | x_1)` of one coordinate at the least noise of the chain: the normal distribution about `x0_hat` with standard deviation
/// `sigma_1`, cut into one bin for each level (Ho et al. 2020, equation 13). The outermost bins reach to infinity.
///
/// With one wide bin it would vanish; with ever finer ones it tends to (4.16) plus the logarithm of the bin's share.
///
/// # Errors
/// [`Error::NoiseVanishes`] at a level without noise; [`Error::OutOfRange`] for an `x_0` outside the levels, a spacing that is not positive, or
/// fewer than two levels.
pub fn reconstruction(x_0: f64, x0_hat: f64, level: NoiseLevel, levels: &Levels) -> Result<f64, Error> {
    if level.sigma == 0.0 {
        return Err(Error::NoiseVanishes);
    }
    in_range("spacing of the data's levels", levels.spacing, f64::MIN_POSITIVE, f64::MAX)?;
    in_range("count of the data's levels", levels.count as f64, 2.0, f64::MAX)?;
    let (half, high) = (0.5 * levels.spacing, levels.low + levels.spacing * (levels.count - 1) as f64);
    in_range("x_0", x_0, levels.low - half, high + half)?;
    let score = |edge: f64| (edge - x0_hat) / level.sigma;
    let lower = if x_0 < levels.low + half { f64::NEG_INFINITY } else { score(x_0 - half) };
    let upper = if x_0 > high - half { f64::INFINITY } else { score(x_0 + half) };
    Ok(-log_normal_between(lower, upper))
}

/// `ln (Phi(upper) - Phi(lower))` for `lower < upper`, without cancellation in the tails.
fn log_normal_between(lower: f64, upper: f64) -> f64 {
    // Both edges mirrored into the upper tail, where erfc is exact.
    let (near, far) = if lower + upper < 0.0 { (-upper, -lower) } else { (lower, upper) };
    let share = 0.5 * (erfc(near / SQRT_2) - erfc(far / SQRT_2));
    if share > 1e-290 {
        return log(share);
    }
    // Beyond some 36 standard deviations it underflows; both tails' leading terms, phi(z) / z, are then right to a part in a thousand.
    let rest = near / far * exp(0.5 * (near - far) * (near + far));
    -0.5 * near * near - log(near) - 0.5 * log(2.0 * PI) + log1p(-rest)
}

/// Nats of a whole sample as bits per dimension; `dimensions` is at least 1.
pub fn bits_per_dimension(nats: f64, dimensions: usize) -> f64 {
    nats / (LN_2 * dimensions.max(1) as f64)
}
