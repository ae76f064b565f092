//! Heun's predictor and corrector with one evaluation a step: the estimate made at the predicted state corrects the step, and is the slope that
//! the next one starts with (the mode PEC of predictor-corrector methods; Lambert 1991, section 4.2). The linear part is solved exactly, as in
//! exponential Runge-Kutta methods (Hochbruck and Ostermann 2010, section 2).

use super::exponential::{Form, Transition};
use super::path::{Path, lambda_between};
use crate::plan::Step;
use crate::schedule::Process;
use crate::{Error, NoiseLevel};
use libm::expm1;

/// The share of the estimate at the step's end, where `x0_hat` is linear in `sigma / alpha` over the step:
/// `integral_0^h e^(u - h) (1 - e^-u) / (1 - e^-h) du = 1 - h / (e^h - 1)`, half the estimates' weight for small steps.
fn share(from: NoiseLevel, to: NoiseLevel) -> f64 {
    let h = lambda_between(to, from);
    match h {
        _ if h <= 0.0 => 0.0,
        _ if h.is_finite() => 1.0 - h / expm1(h),
        _ => 1.0,
    }
}

/// A plan through `times`, falling from noise to data; `plan.len() + 1` of them. With `w` the share above, row `k` corrects and predicts:
///
/// ```text
/// x_k = x_k' + alpha_k w (x0_hat_k' - x0_hat_(k-1)')        x_(k+1)' = DDIM(x_k, x0_hat_k')
/// ```
///
/// which is one combination of the state and two estimates. Of second order. EDM's [`heun`](super::heun) asks once more at each corrected state,
/// so it takes half as many steps in as many evaluations.
///
/// # Errors
/// [`Error::NotDenoising`] and [`Error::NoiseVanishes`] for times that are no way from noise to data; [`Error::WrongLength`].
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    let path = Path::with_rows(process, times, plan.len())?;
    for (k, row) in plan.iter_mut().enumerate() {
        let (t, here, to) = (path.time(k), path.level(k)?, path.level(k + 1)?);
        let predictor = Transition::new(Form::Data, here, to, 0.0)?;
        let pull = predictor.scale * predictor.moments[0];
        *row = match k.checked_sub(1) {
            Some(before) if predictor.keep != 0.0 => {
                let correction = predictor.keep * here.alpha * share(path.level(before)?, here);
                Step::new(t, here, predictor.keep, &[pull + correction, -correction], 0.0)?
            }
            // The step to clean data lands on the newest estimate, wherever it starts.
            _ => Step::new(t, here, predictor.keep, &[pull], 0.0)?,
        };
    }
    Ok(())
}
