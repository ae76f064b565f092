//! Inversion: from data to the noise that a deterministic sampler turns into them (Song, Meng and Ermon 2021, section 5.4).
//!
//! The probability flow runs both ways. Walking it towards noise, DDIM's step is the same combination with the levels exchanged; the
//! estimate it needs, that at the noisier end, is taken at the cleaner one, so the way back is the way there up to the size of
//! the steps.

use crate::plan::{self, Step};
use crate::schedule::Process;
use crate::{Error, NoiseLevel};

/// One step from `from` (asked at time `t`) to the noisier level `to`: `x_t = alpha_t x0_hat_s + sigma_t eps_hat_s`.
///
/// # Errors
/// [`Error::NoiseVanishes`] when `from` is clean, where the direction of noise is unknown: begin at a small time instead.
/// [`Error::SignalVanishes`] when `to` has signal and `from` has none, [`Error::NotDenoising`] when `to` is less noisy.
pub fn step(t: f64, from: NoiseLevel, to: NoiseLevel) -> Result<Step, Error> {
    if from.sigma == 0.0 {
        return Err(Error::NoiseVanishes);
    }
    // Refuses what is no way towards noise.
    crate::forward::Noising::between(from, to)?;
    let keep = to.sigma / from.sigma;
    Step::new(t, from, keep, &[to.alpha - from.alpha * keep], 0.0)
}

/// A plan of inversion steps through `times`, *rising* from data to noise; `plan.len() + 1` of them, the first above 0.
///
/// ```
/// use tweedie_core::{ddim, inversion, plan::Step, schedule::Schedule};
/// let (rising, falling) = ([0.1, 0.4, 0.7], [0.7, 0.4, 0.1]);
/// let (mut there, mut back) = ([Step::EMPTY; 2], [Step::EMPTY; 2]);
/// inversion::plan(&Schedule::Trigonometric, &rising, &mut there)?;
/// ddim::plan(&Schedule::Trigonometric, &falling, 0.0, &mut back)?;
/// // With the same estimate both ways, the second undoes the first.
/// assert!((there[1].keep * back[0].keep - 1.0).abs() < 1e-15);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
///
/// # Errors
/// Those of [`step`], and [`Error::WrongLength`] when the lengths do not fit.
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    plan::fill(process, times, plan, step)
}
