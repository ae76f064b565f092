//! The posterior of a low-rank mixture about each component's mean, as coefficients of plain products: for arithmetic of 24 bits.

use super::gaussian::{Gaussian, total};
use super::low_rank::LowRankMixture;
use super::mixture::Mixture as _;
use crate::NoiseLevel;
use libm::log;

/// Component `k` of a [`LowRankMixture`] at one noise level.
///
/// With `d = x_t - alpha mu`, its coordinates `c_j = u_j . d` and what they leave, `r = d - sum_j c_j u_j`,
///
/// ```text
/// ln w_k = log_constant - (sum_j precision_j c_j^2 + rest_precision |r|^2) / 2 + what all components share
/// E[x_0 | x_t, k] = mu + sum_j gain_j c_j u_j + rest_gain r
/// ```
///
/// Unlike those of [`LowRankTerms`](super::LowRankTerms), the squares here are of deviations, so that nothing large cancels: single precision does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CentredTerms {
    /// `ln pi_k - 1/2 ln det(alpha^2 S_k + sigma^2 I)`.
    pub log_constant: f64,
    /// `1 / v` with `v = alpha^2 floor_k + sigma^2`; 0 for a full basis, which leaves nothing but rounding.
    pub rest_precision: f64,
    /// `alpha floor_k / v`.
    pub rest_gain: f64,
}

impl LowRankMixture<'_> {
    /// The terms of component `k`, below [`components`](super::Mixture::components); not finite where a direction has neither variance nor noise.
    ///
    /// ```
    /// use tweedie_core::{NoiseLevel, exact::{LowRankMixture, LowRankTables}};
    /// // A round Gaussian of variance 3 about 0.
    /// let round = LowRankTables { weights: &[1.0], means: &[0.0; 2], bases: &[], eigenvalues: &[], floors: &[3.0] };
    /// let terms = LowRankMixture::new(round)?.centred_terms(0, NoiseLevel::new(1.0, 1.0)?);
    /// assert_eq!((terms.rest_precision, terms.rest_gain), (0.25, 0.75));
    /// # Ok::<(), tweedie_core::Error>(())
    /// ```
    pub fn centred_terms(&self, k: usize, level: NoiseLevel) -> CentredTerms {
        let floor = self.floors()[k];
        let v = total(floor, level);
        let left = self.dimension() - self.rank();
        let along: f64 = self.eigenvalues(k).iter().map(|&lambda| log(total(lambda, level))).sum();
        let determinant = if left > 0 { along + left as f64 * log(v) } else { along };
        CentredTerms {
            log_constant: log(self.prior(k)) - 0.5 * determinant,
            rest_precision: if left > 0 { 1.0 / v } else { 0.0 },
            rest_gain: Gaussian::gain(floor, level),
        }
    }

    /// `(precision_j, gain_j)` of component `k`: `1 / (alpha^2 lambda + sigma^2)` and `alpha lambda / (alpha^2 lambda + sigma^2)`.
    pub fn centred_directions(&self, k: usize, level: NoiseLevel) -> impl ExactSizeIterator<Item = (f64, f64)> {
        self.eigenvalues(k).iter().map(move |&lambda| (1.0 / total(lambda, level), Gaussian::gain(lambda, level)))
    }
}
