//! DDPM ancestral sampling (Ho, Jain and Abbeel 2020; Algorithm 2).

use crate::forward::Noising;
use crate::plan::{self, Step};
use crate::schedule::Process;
use crate::{Error, NoiseLevel};
use libm::sqrt;

/// The variance of the reverse step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Variance {
    /// The posterior's, `beta_t (1 - abar_{t-1}) / (1 - abar_t)` (3.6): right when the data are one point (`fixed_small`).
    Posterior,
    /// The forward step's, `beta_t`: right when the data are standard normal (`fixed_large`).
    Beta,
}

impl Variance {
    /// The variance of the noise added by a step from `from` to `to`, general in the process:
    /// `added^2 sigma_s^2 / sigma_t^2`, or `added^2 = sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2`, which is `beta_t` on a chain.
    ///
    /// The step to clean data adds none, whichever is chosen.
    pub fn of(self, from: NoiseLevel, to: NoiseLevel) -> Result<f64, Error> {
        if from.sigma == 0.0 {
            return Err(Error::NoiseVanishes);
        }
        if to.sigma == 0.0 {
            return Ok(0.0);
        }
        let added = Noising::between(to, from)?.noise;
        Ok(match self {
            Self::Posterior => {
                let kick = added * to.sigma / from.sigma;
                kick * kick
            }
            Self::Beta => added * added,
        })
    }
}

/// One ancestral step from `from` (asked at time `t`) to the less noisy `to`: the posterior mean (3.5), (3.11) plus noise.
///
/// ```text
/// keep = (alpha_t / alpha_s) sigma_s^2 / sigma_t^2        pull = alpha_s added^2 / sigma_t^2
/// ```
///
/// (4.12) of the texts is not this mean but the estimate of `x_0` inside it.
///
/// # Errors
/// [`Error::NoiseVanishes`] when `from` is already clean, [`Error::NotDenoising`] when `to` is noisier.
pub fn step(t: f64, from: NoiseLevel, to: NoiseLevel, variance: Variance) -> Result<Step, Error> {
    let kick = sqrt(variance.of(from, to)?);
    let forward = Noising::between(to, from)?;
    let ratio = to.sigma / from.sigma;
    let added = forward.noise / from.sigma;
    Step::new(t, from, forward.signal * ratio * ratio, &[to.alpha * added * added], kick)
}

/// A plan of ancestral steps through `times`, from noise to data: `plan.len() + 1` times, falling.
///
/// # Errors
/// Those of [`step`], and [`Error::WrongLength`] when the lengths do not fit.
pub fn plan(
    process: &(impl Process + ?Sized),
    times: &[f64],
    variance: Variance,
    plan: &mut [Step],
) -> Result<(), Error> {
    plan::fill(process, times, plan, |t, from, to| step(t, from, to, variance))
}
