//! What a few-step student is taught: estimates whose one step lands where a teacher's many steps do.

use crate::Error;
use crate::plan::Step;
use crate::prediction::Conversion;

/// The estimate with which a deterministic step from `x_t` lands on a given `x_s`: `x0_hat = (x_s - keep x_t) / pull`.
///
/// It is the target of progressive distillation, where `x_s` is reached by two steps of the teacher (Salimans and Ho 2022, Appendix G),
/// and of average velocities, where the teacher's whole path from `t` to `s` lies between (Remark 3.4; for flow matching the estimate is
/// `x_t - t u` with the mean velocity `u = (x_t - x_s) / (t - s)`). In [`Conversion::apply`] the state is `x_t` and the output `x_s`.
///
/// ```
/// use tweedie_core::{ddim, distillation, schedule::{Process, Schedule}};
///
/// let flow = Schedule::FlowMatching;
/// let step = ddim::step(0.8, flow.level(0.8)?, flow.level(0.3)?, 0.0)?;
/// let (x_t, x_s) = (1.5, 0.25);
/// let x0_hat = distillation::target(&step)?.apply(x_t, x_s);
/// let mean_velocity = (x_t - x_s) / (0.8 - 0.3);
/// assert!((x0_hat - (x_t - 0.8 * mean_velocity)).abs() < 1e-12);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::OutOfRange`] for a step that adds noise, or that combines other than one estimate with a positive weight.
pub fn target(step: &Step) -> Result<Conversion, Error> {
    crate::error::in_range("kick", step.kick, 0.0, 0.0)?;
    let &[pull] = step.pull() else {
        return Err(Error::WrongLength { what: "a distilled step's pulls", need: 1, have: step.pull().len() });
    };
    crate::error::in_range("pull", pull, f64::MIN_POSITIVE, f64::MAX)?;
    let conversion = Conversion { from_state: -step.keep / pull, from_output: 1.0 / pull };
    crate::error::in_range("1 / pull", conversion.from_output, 0.0, f64::MAX)?;
    crate::error::in_range("keep / pull", conversion.from_state, f64::MIN, f64::MAX)?;
    Ok(conversion)
}
