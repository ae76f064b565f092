//! DPM-Solver++ (SDE) as k-diffusion has it (`sample_dpmpp_sde`, `r = 1/2`): the reverse SDE, with an evaluation halfway in log-SNR.

use super::combination::Combination;
use super::exponential::{Form, Transition};
use super::path::Path;
use crate::Error;
use crate::plan::Step;
use crate::schedule::Process;

/// Evaluations of a plan through `times`: two a step, but one from pure noise and one to clean data, which have no middle.
///
/// # Errors
/// Times that are no way from noise to data.
pub fn evaluations(process: &(impl Process + ?Sized), times: &[f64]) -> Result<usize, Error> {
    super::heun::evaluations(process, times)
}

/// A plan through `times`, falling from noise to data, of [`evaluations`] rows.
///
/// The second row of a step starts over from the state before the first, but with the estimate made halfway. The noises of both
/// rows are pieces of one Brownian path, the SDE's own. So the first row's noise, carried on by the linear part of the SDE, *is* the
/// first piece of the whole step's noise, and cancels when the earlier state is eliminated:
///
/// ```text
/// x_m = k_m x_t + a_m x0_hat_t + c_m z              (c_m the SDE's noise from t to m)
/// x_s = k_s x_t + a_s x0_hat_m + (k_s / k_m) c_m z + c z'
///     = (k_s / k_m) (x_m - a_m x0_hat_t) + a_s x0_hat_m + c z'
/// ```
///
/// k-diffusion's Brownian tree runs in `sigma` instead, which gives the two noises another correlation and each the same law.
///
/// # Errors
/// [`Error::NotDenoising`] and [`Error::NoiseVanishes`] for times that are no way from noise to data; [`Error::WrongLength`].
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    let (path, need) = (Path::new(process, times)?, evaluations(process, times)?);
    if plan.len() != need {
        return Err(Error::WrongLength { what: "a DPM-Solver++ SDE plan", need, have: plan.len() });
    }
    let mut rows = plan.iter_mut();
    // As many rows were counted as are taken here.
    let mut put = |step: Step| {
        if let Some(row) = rows.next() {
            *row = step;
        }
    };
    for k in 0..path.steps() {
        let (t, from, to) = (path.time(k), path.level(k)?, path.level(k + 1)?);
        let row =
            |transition: &Transition| Combination::new(transition.keep, &[transition.scale * transition.moments[0]]);
        let whole = Transition::new(Form::Data, from, to, 1.0)?;
        if from.alpha == 0.0 || to.sigma == 0.0 {
            put(row(&whole).step(t, from, whole.kick, None)?);
            continue;
        }
        let middle_time = process.time_of_log_snr(0.5 * (from.log_snr() + to.log_snr()))?;
        let middle = process.level(middle_time)?;
        let (first, second) =
            (Transition::new(Form::Data, from, middle, 1.0)?, Transition::new(Form::Data, middle, to, 1.0)?);
        let predictor = row(&first);
        put(predictor.step(t, from, first.kick, None)?);
        let start = Combination::STATE.carried_over(&predictor)?;
        let next = start.scaled(second.keep * first.keep).plus_estimates(whole.scale * whole.moments[0], &[1.0]);
        put(next.step(middle_time, middle, second.kick, None)?);
    }
    Ok(())
}
