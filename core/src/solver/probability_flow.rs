//! Euler's method for the probability-flow ODE in the process's own time (Song et al. 2021, eq. 13); on flow matching, *the* Euler sampler.

use crate::Error;
use crate::plan::{self, Step};
use crate::prediction::{Moment, Prediction};
use crate::schedule::Process;

/// One step of `x_s = x_t - (t - s) u_hat`, the velocity `u_hat = alpha' x0_hat + sigma' eps_hat` being that at `t`.
///
/// On flow matching, `alpha = 1 - t`, this is DDIM's step.
///
/// # Errors
/// [`Error::NoiseVanishes`] when there is no noise at `t`; [`Error::VelocityUninformative`] where a slope is infinite, as in the
/// variance-preserving process at its horizon; [`Error::NotDenoising`] when `s` is not below `t`.
pub fn step(process: &(impl Process + ?Sized), t: f64, s: f64) -> Result<Step, Error> {
    let moment = Moment::at(process, t)?;
    if s > t {
        return Err(Error::NotDenoising { from: moment.level.log_snr(), to: process.level(s)?.log_snr() });
    }
    let velocity = Prediction::Velocity.from_x0(&moment)?;
    Step::new(t, moment.level, 1.0 - (t - s) * velocity.from_state, &[-(t - s) * velocity.from_output], 0.0)
}

/// A plan through `times`, falling from noise to data; `plan.len() + 1` of them.
///
/// # Errors
/// Those of [`step`], and [`Error::WrongLength`].
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    plan::fill_times(times, plan, |t, s| step(process, t, s))
}
