//! Solvers in half the log-SNR: DPM-Solver, DEIS, UniPC.

use super::{Class, SchedulerConfig};
use crate::error::Error;
use tweedie_core::plan::Step;
use tweedie_core::schedule::Process;
use tweedie_core::solver::deis::Deis;
use tweedie_core::solver::dpm_solver::{Correction, DpmSolver};
use tweedie_core::solver::singlestep::Singlestep;
use tweedie_core::solver::unipc::{B, UniPc};
use tweedie_core::solver::{Ending, Form};

impl SchedulerConfig {
    /// The plan of the class's solver through `times`.
    pub(super) fn solve(&self, process: &impl Process, times: &[f64]) -> Result<Vec<Step>, Error> {
        let mut plan = vec![Step::EMPTY; times.len() - 1];
        let (order, few) = (self.count("solver_order", 2)?, plan.len() < 15);
        let singlestep = self.class() == Class::DPMSolverSinglestep;
        let lower = self.flag("lower_order_final", !singlestep)?;
        let ending = |lower: bool, euler: bool| match (lower, euler) {
            (true, _) => Ending::Falling,
            (_, true) => Ending::Euler,
            _ => Ending::Full,
        };
        // A name of another class's solver is taken for the class's usual one, as in the library.
        let kind =
            self.word("solver_type", "", &["midpoint", "heun", "logrho", "bh1", "bh2"].map(|word| (word, word)))?;
        let algorithms = [
            ("dpmsolver++", (Form::Data, 0.0)),
            ("sde-dpmsolver++", (Form::Data, 1.0)),
            ("dpmsolver", (Form::Noise, 0.0)),
            ("sde-dpmsolver", (Form::Noise, 1.0)),
            ("deis", (Form::Data, 0.0)),
        ];
        let usual = if self.class() == Class::CosineDPMSolverMultistep { algorithms[1] } else { algorithms[0] };
        let (form, eta) = self.word("algorithm_type", usual.1, &algorithms)?;
        if eta > 0.0 && (singlestep || order > 2 && form == Form::Noise) {
            let reason = if singlestep {
                "algorithm_type = sde-* is done here by the multistep scheduler"
            } else {
                "algorithm_type = sde-dpmsolver has no order above 2"
            };
            return Err(self.fail(reason.to_owned()));
        }
        let heun = kind == "heun";
        let correction = match heun {
            _ if eta > 0.0 => Correction::WithLostSign { heun },
            true => Correction::Heun,
            false => Correction::Midpoint,
        };
        match self.class() {
            Class::DPMSolverSinglestep => {
                let uneven = order > 0 && plan.len() % order != 0;
                let ending = ending(lower || uneven || self.ends_at_data(true)?, false);
                Singlestep { order, form, correction, ending }.plan(process, times, &mut plan)?;
            }
            Class::DEISMultistep => {
                Deis { ending: ending(lower && few, false), ..Deis::new(order) }.plan(process, times, &mut plan)?;
            }
            Class::UniPCMultistep => {
                let b = if kind == "bh1" { B::B1 } else { B::B2 };
                let form = if self.flag("predict_x0", true)? { Form::Data } else { Form::Noise };
                let uncorrected = self.counts("disable_corrector")?;
                let ending = ending(lower, false);
                UniPc { order, b, form, corrector: true, uncorrected: &uncorrected, ending }
                    .plan(process, times, &mut plan)?;
            }
            _ => {
                let ending = ending(lower && few, self.flag("euler_at_final", false)?);
                DpmSolver { order, form, correction, eta, ending }.plan(process, times, &mut plan)?;
            }
        }
        Ok(plan)
    }
}
