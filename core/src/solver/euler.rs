//! Euler's method in EDM's coordinates `x / alpha` over `sigma / alpha`, its ancestral variant, and EDM's churn (Karras et al. 2022, Algorithm 2).
//!
//! In these coordinates the slope is `(x - x0_hat) / sigma`, and Euler's step is DDIM's: [`ddim::step`]. It stands here under its
//! other name, as practitioners look for it.

use super::path::{Path, lambda_between};
use crate::error::in_range;
use crate::forward::Noising;
use crate::plan::Step;
use crate::schedule::Process;
use crate::{Error, NoiseLevel, ddim};
use libm::{log, sqrt};

/// A plan of Euler steps through `times`, falling from noise to data.
///
/// # Errors
/// As of [`ddim::plan`]; a parameter of churn outside its range, and [`Error::OutOfRange`] when churn leads beyond the process's horizon.
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], churn: Churn, plan: &mut [Step]) -> Result<(), Error> {
    let path = Path::with_rows(process, times, plan.len())?;
    for (k, row) in plan.iter_mut().enumerate() {
        let (t, from) = churn.raised(&path, k)?;
        *row = churn.after(ddim::step(t, from, path.level(k + 1)?, 0.0)?, &path, k)?;
    }
    Ok(())
}

/// A plan of ancestral Euler steps: down to `sigma_down`, then noise `sigma_up` (k-diffusion's `sample_euler_ancestral`).
/// `sigma_up = eta sigma_s sqrt(1 - sigma_s^2 / sigma_t^2)` is DDIM's `kick` on `x / alpha`, so this is DDIM with that `eta`.
///
/// # Errors
/// As of [`ddim::plan`].
pub fn ancestral_plan(
    process: &(impl Process + ?Sized),
    times: &[f64],
    eta: f64,
    plan: &mut [Step],
) -> Result<(), Error> {
    ddim::plan(process, times, eta, plan)
}

/// Noise added before every step, which raises its level by the factor `1 + gamma` (Karras et al. 2022, Algorithm 2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// `S_churn`, at least 0: `gamma = min(S_churn / steps, sqrt(2) - 1)`.
    pub amount: f64,
    /// `S_tmin`: only from this `sigma / alpha` up.
    pub least: f64,
    /// `S_tmax`: only up to this `sigma / alpha`.
    pub most: f64,
    /// `S_noise`, at least 0: the standard deviation of the noise that is added.
    pub noise: f64,
}

impl Churn {
    /// No added noise.
    pub const NONE: Self = Self { amount: 0.0, least: 0.0, most: f64::MAX, noise: 1.0 };

    /// The time and the level from which step `k` really starts.
    ///
    /// # Errors
    /// A parameter outside its range; [`Error::OutOfRange`] when the raised level lies beyond the process's horizon.
    pub(crate) fn raised<P: Process + ?Sized>(&self, path: &Path<'_, P>, k: usize) -> Result<(f64, NoiseLevel), Error> {
        in_range("churn", self.amount, 0.0, f64::MAX)?;
        in_range("churn's noise", self.noise, 0.0, f64::MAX)?;
        let (t, level) = (path.time(k), path.level(k)?);
        let sigma = super::path::ratio(level);
        let gamma = (self.amount / path.steps() as f64).min(core::f64::consts::SQRT_2 - 1.0);
        if gamma == 0.0 || !(self.least..=self.most).contains(&sigma) {
            return Ok((t, level));
        }
        let log_snr = level.log_snr() - 2.0 * log(1.0 + gamma);
        let most = path.process.level(path.process.horizon())?.log_snr();
        in_range("the log-SNR after churn", log_snr, most, f64::MAX)?;
        let t = path.process.time_of_log_snr(log_snr)?;
        Ok((t, path.process.level(t)?))
    }

    /// The step `k` that ends at its own level, followed by the noise that the next one starts with.
    pub(crate) fn after<P: Process + ?Sized>(&self, step: Step, path: &Path<'_, P>, k: usize) -> Result<Step, Error> {
        if k + 1 == path.steps() {
            return Ok(step);
        }
        let (level, (_, raised)) = (path.level(k + 1)?, self.raised(path, k + 1)?);
        if lambda_between(level, raised) <= 0.0 {
            return Ok(step);
        }
        let Noising { signal, noise } = Noising::between(level, raised)?;
        let mut pulls = [0.0; crate::plan::MAX_PULLS];
        let pulls = &mut pulls[..step.pull().len()];
        pulls.iter_mut().zip(step.pull()).for_each(|(pull, &own)| *pull = signal * own);
        let carried = signal * step.kick;
        let kick = self.noise * noise;
        Step::new(step.t, step.level, signal * step.keep, pulls, sqrt(carried * carried + kick * kick))
    }
}
