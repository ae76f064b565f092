//! Multistep sampling of consistency models (Song, Dhariwal, Chen and Sutskever 2023, Algorithm 1; Remark 3.4).

use crate::plan::{self, Step};
use crate::schedule::Process;
use crate::{Error, NoiseLevel};

/// One step from `from` (asked at time `t`) to `to`: the estimate is noised afresh, `x_s = alpha_s x0_hat + sigma_s z`.
///
/// A consistency model's estimate is a sample already, the end of the path through `x_t`; the state is therefore not kept.
///
/// # Errors
/// [`Error::NoiseVanishes`] when `from` is already clean; [`Error::NotDenoising`] when `to` is noisier.
pub fn step(t: f64, from: NoiseLevel, to: NoiseLevel) -> Result<Step, Error> {
    if from.sigma == 0.0 {
        return Err(Error::NoiseVanishes);
    }
    if to.log_snr() < from.log_snr() {
        return Err(Error::NotDenoising { from: from.log_snr(), to: to.log_snr() });
    }
    Step::new(t, from, 0.0, &[to.alpha], to.sigma)
}

/// A plan of such steps through `times`, from noise to data: `plan.len() + 1` times, falling. One step is the model itself.
///
/// # Errors
/// Those of [`step`], and [`Error::WrongLength`] when the lengths do not fit.
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    plan::fill(process, times, plan, step)
}
