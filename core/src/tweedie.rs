//! Tweedie's formula: the best estimate of the data is the state plus a step along the score.
//!
//! ```text
//! E[x_0 | x_t] = (x_t + sigma_t^2 grad log p_t(x_t)) / alpha_t                   (3.2.86)
//! ```
//!
//! So a denoiser *is* a score, and a score *is* a denoiser; [`Prediction::Score`] converts in bulk, the functions
//! here convert one number and serve as the definition.

use crate::prediction::{Moment, Prediction};
use crate::{Error, NoiseLevel};

/// `x0_hat = (x_t + sigma^2 score) / alpha` (3.2.86).
///
/// # Errors
/// [`Error::SignalVanishes`] at `alpha = 0`.
///
/// ```
/// use tweedie_core::{NoiseLevel, tweedie};
/// // Data N(0, 1) noised to sigma = 1 in the variance-exploding process: x_t ~ N(0, 2), score -x/2, estimate x/2.
/// assert_eq!(tweedie::x0_hat(3.0, -1.5, NoiseLevel::new(1.0, 1.0)?)?, 1.5);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
pub fn x0_hat(x_t: f64, score: f64, level: NoiseLevel) -> Result<f64, Error> {
    Ok(Prediction::Score.to_x0(&still(level))?.apply(x_t, score))
}

/// `score = (alpha x0_hat - x_t) / sigma^2`: Tweedie's formula solved for the score.
///
/// With the true `x_0` in place of the estimate it is the target of denoising score matching.
///
/// # Errors
/// [`Error::NoiseVanishes`] at `sigma = 0`.
///
/// ```
/// use tweedie_core::{NoiseLevel, tweedie};
/// // x_0 = 1.5 observed as 1.8 with sigma = 0.2: the score points back, -7.5; predicting -7.0 costs 0.25.
/// let score = tweedie::score(1.8, 1.5, NoiseLevel::new(1.0, 0.2)?)?;
/// assert!((score + 7.5).abs() < 1e-12);
/// assert!(((-7.0 - score) * (-7.0 - score) - 0.25).abs() < 1e-11);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
pub fn score(x_t: f64, x0_hat: f64, level: NoiseLevel) -> Result<f64, Error> {
    Ok(Prediction::Score.from_x0(&still(level))?.apply(x_t, x0_hat))
}

/// Scores do not depend on how fast the level changes.
fn still(level: NoiseLevel) -> Moment {
    Moment { level, velocity: crate::noise_level::Velocity { alpha: 0.0, sigma: 0.0 } }
}
