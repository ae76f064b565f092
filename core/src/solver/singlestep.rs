//! Singlestep DPM-Solver++ (2S, 3S; Lu et al. 2022b, Algorithm 1) and DPM-Solver: each group of evaluations starts over from its own first state.

use super::combination::Combination;
use super::dpm_solver::Correction;
use super::exponential::{Form, Transition};
use super::interpolation::weights;
use super::order::{self, Ending};
use super::path::{Path, lambda_between};
use crate::Error;
use crate::plan::{MAX_PULLS, Step};
use crate::schedule::Process;

/// A singlestep solver. Its times are those of all evaluations: a group of `order` neighbouring steps is one step of the solver,
/// from the group's first time to its end, with the times between as intermediate ones.
///
/// For the paper's intermediate times (halves for 2S, thirds for 3S), let [`divide`] insert them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Singlestep {
    /// Evaluations in a group, 1 to 3.
    pub order: usize,
    /// What is interpolated.
    pub form: Form,
    /// How. At third order midpoint leaves the middle estimate out, and both others are the same.
    pub correction: Correction,
    /// The last steps. A group that is cut short by the end has a lower order by itself; [`Ending::Full`] differs in that
    /// a whole last group keeps its order. A step to clean data is of first order in any case.
    pub ending: Ending,
}

impl Singlestep {
    /// DPM-Solver++ (2S or 3S): midpoint, falling order.
    pub const fn plus_plus(order: usize) -> Self {
        Self { order, form: Form::Data, correction: Correction::Midpoint, ending: Ending::Falling }
    }

    /// A plan through `times`, falling from noise to data; `plan.len() + 1` of them, a row for each evaluation.
    ///
    /// # Errors
    /// An order outside 1 to 3; times that are no way from noise to data; [`Error::WrongLength`].
    pub fn plan(&self, process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
        order::check(self.order, 3)?;
        let path = Path::with_rows(process, times, plan.len())?;
        let (steps, first) = (path.steps(), path.first_with_signal()?);
        // The group's first state, in terms of the row at hand.
        let mut start = Combination::STATE;
        for (k, row) in plan.iter_mut().enumerate() {
            let (here, to) = (path.level(k)?, path.level(k + 1)?);
            let mut order = (k.saturating_sub(first)) % self.order + 1;
            let whole_at_end = k + 1 == steps && order == self.order && self.ending != Ending::Full;
            if here.alpha == 0.0 || to.sigma == 0.0 || whole_at_end {
                order = 1;
            }
            if order == 1 {
                start = Combination::STATE;
            }
            let from = path.level(k + 1 - order)?;
            let form = if from.alpha == 0.0 { Form::Data } else { self.form };
            let transition = Transition::new(form, from, to, 0.0)?;
            let mut nodes = [0.0; MAX_PULLS];
            for (back, node) in nodes.iter_mut().enumerate().take(order) {
                *node = lambda_between(path.level(k - back)?, from);
            }
            let weights = self.weights(&nodes[..order], &transition).map(|weight| transition.scale * weight);
            let next = start.scaled(transition.keep).plus_estimates(1.0, &weights);
            *row = next.step(path.time(k), here, 0.0, form.memory(here)?)?;
            if transition.keep != 0.0 {
                start = Combination::STATE.carried_over(&Combination::new(transition.keep, &weights))?;
            }
        }
        Ok(())
    }

    /// Weights of the estimates at `nodes`, newest first; the last is the group's first, at 0.
    fn weights(&self, nodes: &[f64], transition: &Transition) -> [f64; MAX_PULLS] {
        let moments = &transition.moments;
        let mut out = [0.0; MAX_PULLS];
        match (self.correction, nodes) {
            (Correction::Midpoint | Correction::WithLostSign { heun: false }, &[newest, start]) => {
                out[0] = 0.5 * moments[0] * transition.h / (newest - start);
                out[1] = moments[0] - out[0];
            }
            (Correction::Midpoint | Correction::WithLostSign { heun: false }, &[newest, _, start]) => {
                out[0] = moments[1] / (newest - start);
                out[2] = moments[0] - out[0];
            }
            _ => out = weights(nodes, &moments[..nodes.len()]),
        }
        out
    }
}

/// Inserts between neighbouring times those that divide the step into `parts` (2 for 2S, 3 for 3S) of equal length in log-SNR, as the
/// papers place them. A last step to clean data stays whole, having no middle: `divided` holds `parts steps + 1`, or else
/// `parts (steps - 1) + 2`.
///
/// # Errors
/// [`Error::WrongLength`] for `divided` of another length; [`Error::SignalVanishes`] for a first time without signal.
pub fn divide(
    process: &(impl Process + ?Sized),
    times: &[f64],
    parts: usize,
    divided: &mut [f64],
) -> Result<(), Error> {
    order::check(parts, 3)?;
    let path = Path::new(process, times)?;
    let whole = if path.level(path.steps())?.sigma == 0.0 { path.steps() - 1 } else { path.steps() };
    let need = parts * whole + 1 + (path.steps() - whole);
    if divided.len() != need {
        return Err(Error::WrongLength { what: "divided times", need, have: divided.len() });
    }
    for (i, entry) in divided.iter_mut().enumerate() {
        let (k, part) = (i / parts, i % parts);
        *entry = if part == 0 || k == whole {
            times[k + usize::from(k == whole && part > 0)]
        } else {
            let (from, to) = (path.level(k)?.log_snr(), path.level(k + 1)?.log_snr());
            if !from.is_finite() {
                return Err(Error::SignalVanishes);
            }
            process.time_of_log_snr(from + (to - from) * part as f64 / parts as f64)?
        };
    }
    Ok(())
}
