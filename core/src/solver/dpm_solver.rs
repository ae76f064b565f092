//! DPM-Solver++ (Lu et al. 2022b) and DPM-Solver (Lu et al. 2022a) as multistep methods: one evaluation a step, earlier ones reused.

use super::combination::Combination;
use super::exponential::{Form, Transition};
use super::interpolation::weights;
use super::order::{self, Ending};
use super::path::{Path, lambda_between};
use crate::Error;
use crate::error::in_range;
use crate::plan::{MAX_PULLS, Step};
use crate::schedule::Process;

/// How earlier estimates correct the newest (`solver_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Correction {
    /// At second order, half the first-order term times the extrapolated slope (DPM-Solver++, Algorithm 2).
    #[default]
    Midpoint,
    /// At second order the slope is integrated exactly.
    Heun,
    /// The polynomial through the estimates is integrated exactly at every order.
    ///
    /// At third order the published solver, which both others are there, gives the curvature half its weight (in the authors' code, in
    /// diffusers and in k-diffusion alike) and is therefore of second order, if with a small constant. This one is of third order.
    Interpolation,
    /// As [`Midpoint`](Self::Midpoint) or [`Heun`](Self::Heun), but at third order as diffusers has it for its SDE (`sde-dpmsolver++`): there a sign was
    /// lost, so that a whole `h^2 c_2` is missing of the curvature. The solver is of first order then. Whoever follows that library's configuration
    /// needs it; nobody else.
    WithLostSign {
        /// Whether second order is Heun's.
        heun: bool,
    },
}

/// DPM-Solver++ (`form` = data) or DPM-Solver (noise), of order 1 to 3.
///
/// ```
/// use tweedie_core::{discretise::Spacing, plan::Step, schedule::Schedule, solver::dpm_solver::DpmSolver};
/// let mut times = [0.0; 11];
/// Spacing::Uniform.fill(&Schedule::Trigonometric, 0.999, 0.0, &mut times)?;
/// let mut plan = [Step::EMPTY; 10];
/// DpmSolver::plus_plus(2).plan(&Schedule::Trigonometric, &times, &mut plan)?;
/// // The first step is DDIM's, from the second on the estimate before is used as well.
/// assert_eq!((plan[0].pull().len(), plan[1].pull().len(), plan[9].pull()), (1, 2, &[1.0][..]));
/// # Ok::<(), tweedie_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmSolver {
    /// 1 (which is DDIM), 2 or 3.
    pub order: usize,
    /// What is extrapolated.
    pub form: Form,
    /// How.
    pub correction: Correction,
    /// 0 for the ODE, 1 for the reverse SDE ("SDE" variants, 2M SDE), or between as in k-diffusion.
    pub eta: f64,
    /// The last steps.
    pub ending: Ending,
}

impl DpmSolver {
    /// DPM-Solver++ as practice uses it: midpoint, no noise, falling order at the end.
    pub const fn plus_plus(order: usize) -> Self {
        Self { order, form: Form::Data, correction: Correction::Midpoint, eta: 0.0, ending: Ending::Falling }
    }

    /// A plan through `times`, falling from noise to data; `plan.len() + 1` of them.
    ///
    /// # Errors
    /// An order outside 1 to 3, `eta` outside [0, 1]; [`Error::NotDenoising`] and [`Error::NoiseVanishes`] for times that are no way from noise to data; [`Error::WrongLength`].
    pub fn plan(&self, process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
        order::check(self.order, 3)?;
        in_range("eta", self.eta, 0.0, 1.0)?;
        let path = Path::with_rows(process, times, plan.len())?;
        let (steps, first) = (path.steps(), path.first_with_signal()?);
        for (k, row) in plan.iter_mut().enumerate() {
            let (from, to) = (path.level(k)?, path.level(k + 1)?);
            let order = if to.sigma == 0.0 { 1 } else { order::at(self.order, self.ending, k, steps, first) };
            let form = if from.alpha == 0.0 { Form::Data } else { self.form };
            let transition = Transition::new(form, from, to, self.eta)?;
            let mut nodes = [0.0; MAX_PULLS];
            for (back, node) in nodes.iter_mut().enumerate().take(order) {
                *node = lambda_between(path.level(k - back)?, from);
            }
            let weights = self.correction.weights(&nodes[..order], &transition);
            let next = Combination::new(transition.keep, &weights.map(|weight| transition.scale * weight));
            *row = next.step(path.time(k), from, transition.kick, form.memory(from)?)?;
        }
        Ok(())
    }
}

impl Correction {
    /// The weights of the estimates at `nodes`, newest first, in units of `lambda` from the step's start.
    pub(crate) fn weights(self, nodes: &[f64], transition: &Transition) -> [f64; MAX_PULLS] {
        let mut moments = transition.moments;
        match (self, nodes) {
            (Self::Midpoint | Self::WithLostSign { heun: false }, &[_, before]) => {
                let slope = 0.5 * moments[0] * transition.h / (nodes[0] - before);
                let mut weights = [0.0; MAX_PULLS];
                weights[0] = moments[0] + slope;
                weights[1] = -slope;
                return weights;
            }
            (Self::Midpoint | Self::Heun, &[_, _, _]) => moments[2] *= 0.5,
            (Self::WithLostSign { .. }, &[_, _, _]) => moments[2] = 0.5 * moments[2] - transition.h * transition.h,
            _ => {}
        }
        weights(nodes, &moments[..nodes.len()])
    }
}
