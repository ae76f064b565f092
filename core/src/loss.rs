//! Training losses: one regression under different weights.
//!
//! Algorithm 3.2 draws `x_0`, `t` and `eps`, forms `x_t`, and regresses the network's target. The losses of the texts differ only in the
//! weight that each gives to the error of `x0_hat`, because every prediction is linear in it ([`prediction`](crate::prediction)):
//!
//! | loss | target | weight on `(x0_hat - x_0)^2` |
//! |---|---|---|
//! | denoising | `x_0` | 1 |
//! | noise, Algorithm 1 | `eps` | `SNR = alpha^2 / sigma^2` |
//! | v | `(alpha eps - sigma x_0) / sqrt(alpha^2 + sigma^2)` | `SNR + 1` |
//! | flow matching | `alpha' x_0 + sigma' eps` | `((alpha sigma' - sigma alpha') / sigma)^2`, which is `1 / t^2` on straight paths |
//! | conditional flow matching | the same, the network being told a class or an embedding as well | the same |
//! | denoising score matching | `(alpha x_0 - x_t) / sigma^2` | `SNR / sigma^2` |
//!
//! ```
//! use tweedie_core::prediction::{Moment, Prediction};
//! use tweedie_core::schedule::Schedule;
//! let moment = Moment::at(&Schedule::FlowMatching, 0.25)?;
//! let (x_t, x_0, x0_hat) = (0.9, 0.5, 0.7);
//! // An error of 0.2 in x0_hat, as each loss sees it.
//! let loss = |prediction: Prediction| -> Result<f64, tweedie_core::Error> {
//!     let output = prediction.from_x0(&moment)?;
//!     let error = output.apply(x_t, x0_hat) - output.apply(x_t, x_0);
//!     Ok(error * error / (0.2 * 0.2))
//! };
//! let snr = moment.level.snr();
//! assert!((loss(Prediction::X0)? - 1.0).abs() < 1e-12);
//! assert!((loss(Prediction::Eps)? - snr).abs() < 1e-12);
//! assert!((loss(Prediction::V)? - (snr + 1.0)).abs() < 1e-12);
//! assert!((loss(Prediction::Velocity)? - 1.0 / (0.25 * 0.25)).abs() < 1e-12);
//! assert!((loss(Prediction::Score)? - snr / (0.25 * 0.25)).abs() < 1e-9);
//! # Ok::<(), tweedie_core::Error>(())
//! ```
//!
//! The doc tests below are the worked numbers of the texts; that of denoising score matching stands in
//! [`tweedie::score`](crate::tweedie::score).
//!
//! Flow matching. Points -1.5, 0.3 and 2.0 with velocities `v = -x`, predicted as 1.2, -0.5 and -1.8:
//!
//! ```
//! use tweedie_core::loss::mean_squared_error;
//! let loss = mean_squared_error(&[1.2, -0.5, -1.8], &[1.5, -0.3, -2.0]);
//! assert!((loss - (0.09 + 0.04 + 0.04) / 3.0).abs() < 1e-12);
//! assert!((loss - 0.0567).abs() < 1e-4);
//! ```
//!
//! Conditional flow matching. Predicting 110 where the condition asks for 100:
//!
//! ```
//! # use tweedie_core::loss::mean_squared_error;
//! assert_eq!(mean_squared_error(&[110.0], &[100.0]), 100.0);
//! ```
//!
//! Score matching for `N(0, 1)`, whose score is `-x`. The model `s(x) = -theta x` costs `(1 - theta)^2 E[x^2]`, least at
//! `theta = 1`. With points of unit second moment:
//!
//! ```
//! # use tweedie_core::loss::mean_squared_error;
//! let loss = |theta: f64| mean_squared_error(&[-theta, theta], &[-1.0, 1.0]);
//! for theta in [0.0, 0.5, 1.0, 1.7] {
//!     assert!((loss(theta) - (1.0 - theta) * (1.0 - theta)).abs() < 1e-12);
//! }
//! assert!(loss(1.0) < loss(0.99) && loss(1.0) < loss(1.01));
//! ```

use crate::Error;
use crate::error::in_range;
use crate::prediction::{Moment, Prediction};

/// `mean_i (predicted_i - target_i)^2` over the shorter of both slices; 0 for empty ones.
pub fn mean_squared_error(predicted: &[f64], target: &[f64]) -> f64 {
    let count = predicted.len().min(target.len()).max(1);
    let sum: f64 = predicted.iter().zip(target).map(|(p, t)| (p - t) * (p - t)).sum();
    sum / count as f64
}

/// How much each noise level counts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Weight {
    /// Every target counts the same: the simple loss of Algorithm 1.
    Uniform,
    /// `w_t = alpha^2 / sigma^2` on the error of `x0_hat` (Algorithm 3.2): the simple loss of noise prediction.
    Snr,
    /// `w_t = min(alpha^2 / sigma^2, gamma)` on the error of `x0_hat` (Hang et al. 2023; gamma = 5 there).
    MinSnr {
        /// The cap on the weight, above 0.
        gamma: f64,
    },
}

impl Weight {
    /// The factor on `(output - target)^2` for a network with the given prediction.
    ///
    /// With `x0_hat = a x_t + b output` an error of the output is `1/b` of the estimate's, so the factor is `w_t b^2`,
    /// written here such that no end of time divides by zero.
    ///
    /// # Errors
    /// `gamma` not above 0; the SNR weight of `x_0` prediction where the SNR is infinite ([`Error::NoiseVanishes`]);
    /// the errors of [`Prediction::to_x0`] for a velocity.
    pub fn factor(&self, prediction: Prediction, moment: &Moment) -> Result<f64, Error> {
        let cap = match *self {
            Self::Uniform => return Ok(1.0),
            Self::Snr => f64::INFINITY,
            Self::MinSnr { gamma } => {
                in_range("gamma", gamma, f64::MIN_POSITIVE, f64::MAX)?;
                gamma
            }
        };
        let level = moment.level;
        let (alpha, sigma) = (level.alpha, level.sigma);
        // snr b^2, each prediction's own way of writing it.
        let under_snr = match prediction {
            Prediction::Eps => 1.0,
            Prediction::Score => sigma * sigma,
            Prediction::X0 => {
                let weight = level.snr().min(cap);
                return if weight.is_finite() { Ok(weight) } else { Err(Error::NoiseVanishes) };
            }
            Prediction::V => {
                let signal = alpha / level.norm();
                signal * signal
            }
            Prediction::Velocity => {
                // b = -sigma / wronskian, so snr b^2 = (alpha / wronskian)^2.
                Prediction::Velocity.to_x0(moment)?;
                let signal = alpha / moment.wronskian();
                signal * signal
            }
        };
        Ok(under_snr * (cap / level.snr()).min(1.0))
    }
}
