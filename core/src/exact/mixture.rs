//! What all mixtures have in common: posterior, denoiser, score, density.

use super::joint::{LogJoint, RunningSoftmax};
use crate::error::in_range;
use crate::{Error, NoiseLevel};
use core::f64::consts::PI;
use libm::log;

/// The largest number, and one over the smallest `sqrt(alpha^2 + sigma^2)`, that closed forms accept: within it nothing overflows.
pub const LARGEST: f64 = 1e75;

/// Data distributed as `sum_k pi_k N(mu_k, S_k)`, in `dimension()` coordinates.
///
/// A kind of mixture says what one component does; what follows for all of them is given. States, estimates and scores are slices
/// of [`dimension`](Self::dimension) numbers, `scratch` is lent by the caller and at least [`scratch_len`](Self::scratch_len) long.
pub trait Mixture {
    /// The number of coordinates.
    fn dimension(&self) -> usize;

    /// The number of components, at least 1.
    fn components(&self) -> usize;

    /// How much scratch the methods below need.
    fn scratch_len(&self) -> usize {
        0
    }

    /// How well component `k` explains `x_t`. Leaves in `scratch` what [`add_estimate`](Self::add_estimate) and
    /// [`add_score`](Self::add_score) of the same component read there.
    fn joint(&self, k: usize, x_t: &[f64], level: NoiseLevel, scratch: &mut [f64]) -> LogJoint;

    /// `x0_hat <- x0_hat + weight E[x_0 | x_t, k]`, where `E[x_0 | x_t, k] = mu_k + alpha S_k (alpha^2 S_k + sigma^2 I)^-1 (x_t - alpha mu_k)`.
    fn add_estimate(&self, k: usize, weight: f64, x_t: &[f64], level: NoiseLevel, scratch: &[f64], x0_hat: &mut [f64]);

    /// `score <- score - weight (alpha^2 S_k + sigma^2 I)^-1 (x_t - alpha mu_k)`.
    fn add_score(&self, k: usize, weight: f64, x_t: &[f64], level: NoiseLevel, scratch: &[f64], score: &mut [f64]);

    /// A draw from component `k`, made of unit noise: `x_0 = mu_k + S_k^(1/2) z`.
    fn draw(&self, k: usize, z: &[f64], x_0: &mut [f64]);

    /// The prior `pi_k`.
    fn prior(&self, k: usize) -> f64;

    /// `x0_hat = E[x_0 | x_t] = sum_k w_k E[x_0 | x_t, k]`, with `w_k` the posterior chance of component `k` (3.2.19).
    ///
    /// At `alpha = 0` it is the mean of the data; at `sigma = 0` the limit from above, so that `x_t` is denoised to the nearest
    /// component's flat.
    ///
    /// # Errors
    /// [`Error::WrongLength`]; [`Error::OutOfRange`] for a state or a level beyond [`LARGEST`]. `x0_hat` is then unchanged.
    fn denoise(&self, x_t: &[f64], level: NoiseLevel, scratch: &mut [f64], x0_hat: &mut [f64]) -> Result<(), Error> {
        wrong_length("x0_hat", self.dimension(), x0_hat.len())?;
        let softmax = weigh(self, x_t, level, scratch, x0_hat, |k, weight, scratch, x0_hat| {
            self.add_estimate(k, weight, x_t, level, scratch, x0_hat);
        })?;
        x0_hat.iter_mut().for_each(|estimate| *estimate /= softmax.total);
        Ok(())
    }

    /// The score `grad log p_t(x_t)`, directly: (3.2.86) would subtract nearly equal numbers when there is little noise.
    ///
    /// # Errors
    /// As of [`denoise`](Self::denoise); [`Error::NoiseVanishes`] where there is no density.
    fn score(&self, x_t: &[f64], level: NoiseLevel, scratch: &mut [f64], score: &mut [f64]) -> Result<(), Error> {
        wrong_length("score", self.dimension(), score.len())?;
        let softmax = weigh(self, x_t, level, scratch, score, |k, weight, scratch, score| {
            self.add_score(k, weight, x_t, level, scratch, score);
        })?;
        score.iter_mut().for_each(|slope| *slope /= softmax.total);
        if score.iter().all(|slope| slope.is_finite()) { Ok(()) } else { Err(Error::NoiseVanishes) }
    }

    /// `ln p_t(x_t)`, in nats.
    ///
    /// # Errors
    /// As of [`denoise`](Self::denoise); [`Error::NoiseVanishes`] where there is no density.
    fn log_density(&self, x_t: &[f64], level: NoiseLevel, scratch: &mut [f64]) -> Result<f64, Error> {
        density(self, &weigh(self, x_t, level, scratch, &mut [], |_, _, _, _| ())?)
    }

    /// The posterior chances `w_k` of all components, into `components()` numbers; returns `ln p_t(x_t)`.
    ///
    /// # Errors
    /// As of [`log_density`](Self::log_density).
    fn posterior(
        &self,
        x_t: &[f64],
        level: NoiseLevel,
        scratch: &mut [f64],
        chances: &mut [f64],
    ) -> Result<f64, Error> {
        wrong_length("posterior", self.components(), chances.len())?;
        let softmax =
            weigh(self, x_t, level, scratch, chances, |k, weight, _, chances: &mut [f64]| chances[k] = weight)?;
        chances.iter_mut().for_each(|chance| *chance /= softmax.total);
        density(self, &softmax)
    }
}

/// Visits every component with its unnormalised weight; what earlier visits left in `sums` shrinks when a likelier one comes.
fn weigh<M: Mixture + ?Sized>(
    data: &M,
    x_t: &[f64],
    level: NoiseLevel,
    scratch: &mut [f64],
    sums: &mut [f64],
    mut add: impl FnMut(usize, f64, &[f64], &mut [f64]),
) -> Result<RunningSoftmax, Error> {
    wrong_length("x_t", data.dimension(), x_t.len())?;
    if scratch.len() < data.scratch_len() {
        return Err(Error::WrongLength { what: "scratch", need: data.scratch_len(), have: scratch.len() });
    }
    in_range("sqrt(alpha^2 + sigma^2)", level.norm(), 1.0 / LARGEST, LARGEST)?;
    within("x_t", x_t)?;
    sums.fill(0.0);
    let mut softmax = RunningSoftmax::new(level.sigma);
    for k in 0..data.components() {
        let (shrink, weight) = softmax.weigh(data.joint(k, x_t, level, scratch));
        if shrink < 1.0 {
            sums.iter_mut().for_each(|sum| *sum *= shrink);
        }
        if weight > 0.0 {
            add(k, weight, scratch, sums);
        }
    }
    Ok(softmax)
}

fn density<M: Mixture + ?Sized>(data: &M, softmax: &RunningSoftmax) -> Result<f64, Error> {
    let log_sum = softmax.log_sum();
    // So far from everything that the logarithm itself would overflow; +inf and NaN mean a point.
    let log_sum = if log_sum == f64::NEG_INFINITY { f64::MIN } else { log_sum };
    if log_sum.is_finite() {
        Ok(log_sum - 0.5 * data.dimension() as f64 * log(2.0 * PI))
    } else {
        Err(Error::NoiseVanishes)
    }
}

pub(super) fn wrong_length(what: &'static str, need: usize, have: usize) -> Result<(), Error> {
    if need == have { Ok(()) } else { Err(Error::WrongLength { what, need, have }) }
}

/// `Ok` when every value is at most [`LARGEST`] in size.
pub(super) fn within(name: &'static str, values: &[f64]) -> Result<(), Error> {
    values.iter().try_for_each(|&value| in_range(name, value, -LARGEST, LARGEST))
}

/// `Ok` when every value is a variance: from 0 to [`LARGEST`].
pub(super) fn variances(name: &'static str, values: &[f64]) -> Result<(), Error> {
    values.iter().try_for_each(|&value| in_range(name, value, 0.0, LARGEST))
}

/// The sum of the weights of at least one component, each positive.
pub(super) fn total_weight(weights: &[f64]) -> Result<f64, Error> {
    if weights.is_empty() {
        return Err(Error::WrongLength { what: "components of a mixture", need: 1, have: 0 });
    }
    weights.iter().try_for_each(|&weight| in_range("weight", weight, 1.0 / LARGEST, LARGEST))?;
    Ok(weights.iter().sum())
}

/// What a direction of the data with variance `lambda` adds to a component's [`LogJoint`], `count` times over: `squares` is the
/// sum of squared deviations along it.
pub(super) fn along(joint: &mut LogJoint, lambda: f64, count: usize, squares: f64, level: NoiseLevel) {
    let spread = level.alpha * level.alpha * lambda;
    if spread > 0.0 {
        let total = spread + level.sigma * level.sigma;
        // A quotient beyond all numbers must stay one, or differences of two would be NaN.
        joint.log -= 0.5 * ((squares / total).min(f64::MAX / 1e6) + count as f64 * log(total));
    } else {
        joint.gap += squares;
        joint.codimension += count;
    }
}
