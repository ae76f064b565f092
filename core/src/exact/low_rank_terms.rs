//! The posterior of a low-rank mixture as an attention: what tables and gradients are made of.

use super::gaussian::{Gaussian, total};
use super::low_rank::LowRankMixture;
use super::mixture::Mixture as _;
use crate::{Error, NoiseLevel};
use libm::log;

/// Component `k` of a [`LowRankMixture`] at one noise level, as coefficients of plain products.
///
/// With `c_j = u_j . (x_t - alpha mu)` for its directions `u_j`, and with the gains of these terms,
///
/// ```text
/// E[x_0 | x_t, k] = floor_gain x_t + mean_gain mu + sum_j excess_gain_j c_j u_j
/// ln w_k = log_constant + beta (mean_gain mu . (x_t - alpha mu) + (floor_gain |x_t|^2 + sum_j excess_gain_j c_j^2) / 2) + what all components share
/// ```
///
/// where `beta = alpha / sigma^2` is [`inverse_temperature`]. The two have the same coefficients, since by Tweedie's formula the estimate is the
/// slope of the log-density. Nothing here divides by what vanishes with `alpha`, and the large part of every `ln w_k`,
/// `-|x_t|^2 / (2 sigma^2)`, is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LowRankTerms {
    /// `ln pi_k - 1/2 ln det(alpha^2 S_k + sigma^2 I) + alpha^2 |mu_k|^2 / (2 v)` with `v = alpha^2 floor_k + sigma^2`.
    pub log_constant: f64,
    /// `sigma^2 / v`.
    pub mean_gain: f64,
    /// `alpha floor_k / v`.
    pub floor_gain: f64,
}

/// `alpha / sigma^2`: how sharply the posterior tells components apart.
///
/// # Errors
/// [`Error::NoiseVanishes`] for `sigma = 0`, where it is infinite.
pub fn inverse_temperature(level: NoiseLevel) -> Result<f64, Error> {
    let beta = level.alpha / (level.sigma * level.sigma);
    if beta.is_finite() { Ok(beta) } else { Err(Error::NoiseVanishes) }
}

impl LowRankMixture<'_> {
    /// The terms of component `k`, below [`components`](super::Mixture::components).
    ///
    /// ```
    /// use tweedie_core::{NoiseLevel, exact::{LowRankMixture, LowRankTables}};
    /// // One point: whatever the state, the estimate is the point.
    /// let point = LowRankTables { weights: &[1.0], means: &[0.5, 1.0], bases: &[], eigenvalues: &[], floors: &[0.0] };
    /// let terms = LowRankMixture::new(point)?.terms(0, NoiseLevel::new(0.8, 0.6)?);
    /// assert_eq!((terms.mean_gain, terms.floor_gain), (1.0, 0.0));
    /// # Ok::<(), tweedie_core::Error>(())
    /// ```
    pub fn terms(&self, k: usize, level: NoiseLevel) -> LowRankTerms {
        let floor = self.floors()[k];
        let v = total(floor, level);
        let left = (self.dimension() - self.rank()) as f64;
        let along: f64 = self.eigenvalues(k).iter().map(|&lambda| log(total(lambda, level))).sum();
        let length = self.mean(k).iter().map(|m| m * m).sum::<f64>();
        let determinant = if left > 0.0 { along + left * log(v) } else { along };
        LowRankTerms {
            log_constant: log(self.prior(k)) - 0.5 * determinant + 0.5 * level.alpha * level.alpha * length / v,
            mean_gain: level.sigma * level.sigma / v,
            floor_gain: Gaussian::gain(floor, level),
        }
    }

    /// The `excess_gain_j` of component `k`: what its eigenvalue gains over its floor,
    /// `alpha lambda / (alpha^2 lambda + sigma^2) - alpha floor / v = alpha sigma^2 (lambda - floor) / ((alpha^2 lambda + sigma^2) v)`.
    pub fn excess_gains(&self, k: usize, level: NoiseLevel) -> impl ExactSizeIterator<Item = f64> {
        let floor = self.floors()[k];
        let share = level.alpha * level.sigma * level.sigma / total(floor, level);
        self.eigenvalues(k).iter().map(move |&lambda| share * (lambda - floor) / total(lambda, level))
    }
}
