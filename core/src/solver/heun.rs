//! Heun's method for the probability flow in EDM's coordinates (Karras et al. 2022, Algorithms 1 and 2).

use super::combination::Combination;
use super::euler::Churn;
use super::path::{Path, ratio};
use crate::plan::Step;
use crate::schedule::Process;
use crate::{Error, ddim};

/// Evaluations of a plan through `times`, which is its number of rows: two a step, but one from pure noise and one to clean data,
/// where the slope at the other end is infinite.
///
/// # Errors
/// Times that are no way from noise to data.
pub fn evaluations(process: &(impl Process + ?Sized), times: &[f64]) -> Result<usize, Error> {
    let path = Path::new(process, times)?;
    (0..path.steps()).try_fold(0, |rows, k| Ok(rows + if is_corrected(&path, k)? { 2 } else { 1 }))
}

fn is_corrected<P: Process + ?Sized>(path: &Path<'_, P>, k: usize) -> Result<bool, Error> {
    Ok(path.level(k)?.alpha > 0.0 && path.level(k + 1)?.sigma > 0.0)
}

/// A plan through `times`, falling from noise to data, of [`evaluations`] rows. Every step from `t` to `s` is Euler's, then an
/// evaluation at its end corrects it. With `r = (sigma_s / alpha_s) / (sigma_t / alpha_t)`,
///
/// ```text
/// x_s' = DDIM(x_t, x0_hat_t)        x_s = x_s' + alpha_s (1 - r) / (2 r) (x0_hat_s' - x0_hat_t)
/// ```
///
/// which is the mean of the two slopes `(x - x0_hat) / sigma`, with `x_t` eliminated.
///
/// # Errors
/// [`Error::NotDenoising`] and [`Error::NoiseVanishes`] for times that are no way from noise to data; [`Error::WrongLength`].
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    churned_plan(process, times, Churn::NONE, plan)
}

/// As [`plan`], with noise added before every step (Algorithm 2).
///
/// # Errors
/// As of [`plan`]; a parameter of churn outside its range, and [`Error::OutOfRange`] when churn leads beyond the process's horizon.
pub fn churned_plan(
    process: &(impl Process + ?Sized),
    times: &[f64],
    churn: Churn,
    plan: &mut [Step],
) -> Result<(), Error> {
    let (path, need) = (Path::new(process, times)?, evaluations(process, times)?);
    if plan.len() != need {
        return Err(Error::WrongLength { what: "a Heun plan", need, have: plan.len() });
    }
    let mut rows = plan.iter_mut();
    // As many rows were counted as are taken here.
    let mut put = |step: Step| {
        if let Some(row) = rows.next() {
            *row = step;
        }
    };
    for k in 0..path.steps() {
        let ((t, from), to) = (churn.raised(&path, k)?, path.level(k + 1)?);
        let predictor = ddim::step(t, from, to, 0.0)?;
        if !is_corrected(&path, k)? {
            put(churn.after(predictor, &path, k)?);
            continue;
        }
        put(predictor);
        let r = ratio(to) / ratio(from);
        let slope = to.alpha * 0.5 * (1.0 - r) / r;
        let corrector = Combination::new(1.0, &[slope, -slope]);
        put(churn.after(corrector.step(path.time(k + 1), to, 0.0, None)?, &path, k)?);
    }
    Ok(())
}
