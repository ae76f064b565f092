//! DPM-Solver-2 as k-diffusion has it (`sample_dpm_2`, `sample_dpm_2_ancestral`; Karras et al. 2022, Algorithm 2 with the midpoint rule in
//! `log sigma`): the slope halfway in log-SNR is taken for the whole step.

use super::path::{Path, ratio};
use crate::error::in_range;
use crate::plan::Step;
use crate::schedule::Process;
use crate::{Error, ddim};
use libm::{log, sqrt};

/// Evaluations of a plan through `times`: two a step, but one from pure noise and one to clean data, which have no middle.
///
/// # Errors
/// Times that are no way from noise to data.
pub fn evaluations(process: &(impl Process + ?Sized), times: &[f64]) -> Result<usize, Error> {
    super::heun::evaluations(process, times)
}

/// A plan through `times`, falling from noise to data, of [`evaluations`] rows.
///
/// With `y = x / alpha`, `r = sigma / alpha`, and `eta` from 0 (the ODE) to 1 (ancestral), a step from `t` to `s` goes down to `r_d`, by
/// the slope at the middle `r_m = sqrt(r_t r_d)`, and then adds noise:
///
/// ```text
/// up = eta r_s sqrt(1 - r_s^2 / r_t^2)      r_d = sqrt(r_s^2 - up^2)
/// y_m = DDIM(y_t, x0_hat_t)                 y_s = y_t + (r_d - r_t) (y_m - x0_hat_m) / r_m + up z
/// ```
///
/// and the second row is this with `y_t` eliminated. At `eta = 0` it is [singlestep](super::singlestep) DPM-Solver-2.
///
/// # Errors
/// `eta` outside [0, 1]; [`Error::NotDenoising`] and [`Error::NoiseVanishes`] for times that are no way from noise to data;
/// [`Error::WrongLength`].
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], eta: f64, plan: &mut [Step]) -> Result<(), Error> {
    in_range("eta", eta, 0.0, 1.0)?;
    let (path, need) = (Path::new(process, times)?, evaluations(process, times)?);
    if plan.len() != need {
        return Err(Error::WrongLength { what: "a DPM-Solver-2 plan", need, have: plan.len() });
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
        if from.alpha == 0.0 || to.sigma == 0.0 {
            put(ddim::step(t, from, to, eta)?);
            continue;
        }
        let (start, end) = (ratio(from), ratio(to));
        let up = eta * end * sqrt((1.0 - end / start) * (1.0 + end / start));
        let down = sqrt((end - up) * (end + up));
        let middle = sqrt(start) * sqrt(down);
        let middle_time = process.time_of_log_snr(-2.0 * log(middle))?;
        let at_middle = process.level(middle_time)?;
        put(ddim::step(t, from, at_middle, 0.0)?);
        let keep = to.alpha / at_middle.alpha * down / middle;
        let pulls = [to.alpha * (start - down) / middle, -to.alpha * (start - middle) / middle];
        put(Step::new(middle_time, at_middle, keep, &pulls, to.alpha * up)?);
    }
    Ok(())
}
