//! DDIM (Song, Meng and Ermon 2021; (3.2.87)) for any process and any `eta`.

use crate::chain::Chain;
use crate::discretise::ChainSpacing;
use crate::error::in_range;
use crate::forward::Noising;
use crate::plan::{self, Step};
use crate::schedule::Process;
use crate::{Error, NoiseLevel};
use libm::sqrt;

/// One DDIM step from `from` (asked at time `t`) to the less noisy level `to`.
///
/// ```text
/// kick = eta (sigma_s / sigma_t) sqrt(sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2)
/// dir  = sqrt(sigma_s^2 - kick^2)
/// keep = dir / sigma_t           pull = alpha_s - alpha_t dir / sigma_t
/// ```
///
/// `eta = 0` is deterministic; `eta = 1` is DDPM with the posterior variance, in the variance-exploding process the ancestral
/// sampler. In the variance-exploding process at `eta = 0` this reads `(s/t) x_t + (1 - s/t) x0_hat`.
///
/// # Errors
/// `eta` outside [0, 1]; [`Error::NoiseVanishes`] when `from` is already clean; [`Error::NotDenoising`] when `to` is noisier.
pub fn step(t: f64, from: NoiseLevel, to: NoiseLevel, eta: f64) -> Result<Step, Error> {
    in_range("eta", eta, 0.0, 1.0)?;
    let (keep, pull, kick) = coefficients(from, to, eta)?;
    Step::new(t, from, keep, &[pull], kick)
}

fn coefficients(from: NoiseLevel, to: NoiseLevel, eta: f64) -> Result<(f64, f64, f64), Error> {
    if from.sigma == 0.0 {
        return Err(Error::NoiseVanishes);
    }
    // The noise that the forward process adds on the way from `to` up to `from`.
    let added = Noising::between(to, from)?.noise;
    let kick = eta * (to.sigma / from.sigma) * added;
    let direction = sqrt(((to.sigma - kick) * (to.sigma + kick)).max(0.0));
    let keep = direction / from.sigma;
    Ok((keep, to.alpha - from.alpha * keep, kick))
}

/// A plan of DDIM steps through `times`, from noise to data: `plan.len() + 1` times, falling.
///
/// # Errors
/// Those of [`step`], and [`Error::WrongLength`] when the lengths do not fit.
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], eta: f64, plan: &mut [Step]) -> Result<(), Error> {
    plan::fill(process, times, plan, |t, from, to| step(t, from, to, eta))
}

/// A plan of DDIM steps as diffusers takes them on a chain of `T` steps: each of the `L` `timesteps` goes to the one `T / L` (whole-number
/// division) below it, whether or not that is the next one visited; what would be below 0 goes to `last`.
///
/// `last` is clean data, or in old models the chain's first entry (`set_alpha_to_one = false`).
///
/// # Errors
/// Those of [`step`], [`Error::WrongLength`] when the lengths differ, and a timestep beyond the chain.
pub fn chain_plan<S: AsRef<[f64]>>(
    chain: &Chain<S>,
    timesteps: &[u32],
    last: NoiseLevel,
    eta: f64,
    plan: &mut [Step],
) -> Result<(), Error> {
    if plan.is_empty() || timesteps.len() != plan.len() {
        return Err(Error::WrongLength { what: "timesteps of a plan", need: plan.len().max(1), have: timesteps.len() });
    }
    let level = |timestep: u32| chain.level_at(timestep as usize + 1);
    for (row, &timestep) in plan.iter_mut().zip(timesteps) {
        let to = match ChainSpacing::previous(timestep, chain.steps(), timesteps.len()) {
            Some(previous) => level(previous)?,
            None => last,
        };
        *row = step((f64::from(timestep) + 1.0) / chain.steps() as f64, level(timestep)?, to, eta)?;
    }
    Ok(())
}
