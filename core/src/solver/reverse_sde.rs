//! The reverse-time SDE by Euler and Maruyama, in the process's own time (Anderson 1982; Song et al. 2021, eq. 6).

use crate::Error;
use crate::plan::{self, Step};
use crate::prediction::{Moment, Prediction};
use crate::schedule::Process;
use libm::sqrt;

/// One step of `dx = (f x - g^2 score) dt + g dw` backwards in time, with `f = alpha' / alpha` and `g^2 = 2 sigma sigma' - 2 f sigma^2`:
///
/// ```text
/// x_s = x_t - (t - s) (f x_t - g^2 score) + g sqrt(t - s) z,      score = (alpha x0_hat - x_t) / sigma^2
/// ```
///
/// A step to clean data adds no noise.
///
/// # Errors
/// [`Error::NoiseVanishes`] when there is no noise at `t`, [`Error::SignalVanishes`] when there is no signal;
/// [`Error::VelocityUninformative`] where a slope is infinite; [`Error::NotDenoising`] when `s` is not below `t`.
pub fn step(process: &(impl Process + ?Sized), t: f64, s: f64) -> Result<Step, Error> {
    let (moment, to) = (Moment::at(process, t)?, process.level(s)?);
    let level = moment.level;
    if s > t {
        return Err(Error::NotDenoising { from: level.log_snr(), to: to.log_snr() });
    }
    if level.alpha == 0.0 {
        return Err(Error::SignalVanishes);
    }
    // The velocity f x - g^2 score / 2 of the probability flow, in terms of x and x0_hat.
    let flow = Prediction::Velocity.from_x0(&moment)?;
    let diffusion = 2.0 * level.sigma * moment.wronskian() / level.alpha;
    let half_score = 0.5 * diffusion / level.sigma / level.sigma;
    let span = t - s;
    let keep = 1.0 - span * (flow.from_state + half_score);
    let pull = -span * (flow.from_output - half_score * level.alpha);
    let kick = if to.sigma == 0.0 { 0.0 } else { sqrt(diffusion.max(0.0) * span) };
    Step::new(t, level, keep, &[pull], kick)
}

/// A plan through `times`, falling from noise to data; `plan.len() + 1` of them.
///
/// # Errors
/// Those of [`step`], and [`Error::WrongLength`].
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    plan::fill_times(times, plan, |t, s| step(process, t, s))
}
