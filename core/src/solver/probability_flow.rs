//! Euler's and Heun's methods for the probability-flow ODE in the process's own time (Song et al. 2021, eq. 13); on flow matching, *the*
//! Euler and Heun samplers.

use super::combination::Combination;
use super::path::Path;
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
    step_by(&moment, t, t - s)
}

/// `x_t - span u_hat`.
fn step_by(moment: &Moment, t: f64, span: f64) -> Result<Step, Error> {
    let velocity = Prediction::Velocity.from_x0(moment)?;
    Step::new(t, moment.level, 1.0 - span * velocity.from_state, &[-span * velocity.from_output], 0.0)
}

/// A plan through `times`, falling from noise to data; `plan.len() + 1` of them.
///
/// # Errors
/// Those of [`step`], and [`Error::WrongLength`].
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    plan::fill_times(times, plan, |t, s| step(process, t, s))
}

/// Evaluations of a [`heun_plan`], which is its number of rows: two a step, but one to clean data, whose velocity says nothing of noise.
///
/// # Errors
/// Times that are no way from noise to data.
pub fn heun_evaluations(process: &(impl Process + ?Sized), times: &[f64]) -> Result<usize, Error> {
    let path = Path::new(process, times)?;
    Ok(2 * path.steps() - usize::from(path.level(path.steps())?.sigma == 0.0))
}

/// A plan of Heun steps, `x_s = x_t - (t - s) (u_hat_t + u_hat_s') / 2`, with the second velocity at the end of an Euler step.
///
/// Where velocities hardly change this needs few steps: on flow matching, and on the
/// [trigonometric](crate::schedule::Schedule::Trigonometric) process for data of unit variance.
///
/// # Errors
/// Those of [`step`]; [`Error::NoiseVanishes`] when an Euler step would keep nothing of the state; [`Error::WrongLength`] unless
/// `plan` holds [`heun_evaluations`] rows.
pub fn heun_plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    let (path, need) = (Path::new(process, times)?, heun_evaluations(process, times)?);
    if plan.len() != need {
        return Err(Error::WrongLength { what: "a Heun plan", need, have: plan.len() });
    }
    for (k, rows) in plan.chunks_mut(2).enumerate() {
        let (t, s) = (path.time(k), path.time(k + 1));
        let euler = step(process, t, s)?;
        if let [_, corrector] = rows {
            // The mean of both ends of the step: x_t itself, and an Euler step from x_s' with the velocity there.
            let predictor = Combination::new(euler.keep, euler.pull());
            let again = step_by(&Moment::at(process, s)?, s, t - s)?;
            let start = Combination::STATE.carried_over(&predictor)?;
            let next = start.scaled(0.5).plus(0.5, Combination::new(again.keep, again.pull()));
            *corrector = next.step(s, again.level, 0.0, None)?;
        }
        rows[0] = euler;
    }
    Ok(())
}
