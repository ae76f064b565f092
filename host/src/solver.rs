//! The solvers of core by name: how many steps so many evaluations make, and the plan through given times.

use crate::preset::{SamplingSettings, SolverName, VarianceName};
use crate::process::AnyProcess;
use tweedie_core::discretise::Spacing;
use tweedie_core::plan::Step;
use tweedie_core::solver::deis::Deis;
use tweedie_core::solver::dpm_solver::{Correction, DpmSolver};
use tweedie_core::solver::euler::{self, Churn};
use tweedie_core::solver::heun::Heun;
use tweedie_core::solver::singlestep::Singlestep;
use tweedie_core::solver::unipc::UniPc;
use tweedie_core::solver::{Form, dpm_solver_sde, heun_pec, lms, pndm, probability_flow, reverse_sde};
use tweedie_core::{Error, consistency, ddim, ddpm};

/// How many steps a solver takes in at most `evaluations` of the network, the last of them leading to clean data: most solvers as many,
/// those that evaluate twice a step half as many. At least 1, and at least 2 for [`SolverName::Pndm`].
pub fn steps(name: SolverName, evaluations: usize) -> usize {
    match name {
        SolverName::Heun | SolverName::FlowHeun | SolverName::DpmPlusPlusSde => evaluations.div_ceil(2).max(1),
        // Its first step is taken twice.
        SolverName::Pndm => evaluations.saturating_sub(1).max(2),
        _ => evaluations,
    }
}

/// Softened log-SNR spacing for a solver.
pub fn soft_log_snr(name: SolverName) -> Spacing {
    match name {
        SolverName::HeunPec => Spacing::SOFT_LOG_SNR_OF_HEUN,
        _ => Spacing::SOFT_LOG_SNR,
    }
}

/// Noise added before every step of Euler's and Heun's methods, at every level.
fn churn(settings: &SamplingSettings) -> Churn {
    Churn { amount: settings.churn, ..Churn::NONE }
}

fn heun(settings: &SamplingSettings) -> Heun {
    Heun { churn: churn(settings), ..Heun::STEADY }
}

/// The plan of the settings' solver through `times`, from noise to data.
///
/// # Errors
/// What core refuses: times that are no way from noise to data, or a start without signal where the solver needs some.
pub fn plan(settings: &SamplingSettings, process: &AnyProcess, times: &[f64]) -> Result<Vec<Step>, Error> {
    let rows = match settings.solver {
        SolverName::Heun => heun(settings).evaluations(process, times)?,
        SolverName::FlowHeun => probability_flow::heun_evaluations(process, times)?,
        SolverName::DpmPlusPlusSde => dpm_solver_sde::evaluations(process, times)?,
        SolverName::Pndm => times.len(),
        _ => times.len() - 1,
    };
    let mut plan = vec![Step::EMPTY; rows];
    let rows = &mut plan[..];
    match settings.solver {
        SolverName::Ddim => ddim::plan(process, times, settings.eta, rows),
        SolverName::Ddpm => {
            let variance = match settings.variance {
                VarianceName::Posterior => ddpm::Variance::Posterior,
                VarianceName::Beta => ddpm::Variance::Beta,
            };
            ddpm::plan(process, times, variance, rows)
        }
        SolverName::Consistency => consistency::plan(process, times, rows),
        SolverName::Euler => euler::plan(process, times, churn(settings), rows),
        SolverName::EulerAncestral => euler::ancestral_plan(process, times, 1.0, rows),
        SolverName::Heun => heun(settings).plan(process, times, rows),
        SolverName::HeunPec => heun_pec::plan(process, times, rows),
        SolverName::FlowEuler => probability_flow::plan(process, times, rows),
        SolverName::FlowHeun => probability_flow::heun_plan(process, times, rows),
        SolverName::ReverseSde => reverse_sde::plan(process, times, rows),
        SolverName::DpmPlusPlus2M => DpmSolver::plus_plus(2).plan(process, times, rows),
        SolverName::DpmPlusPlus2MHeun => {
            DpmSolver { correction: Correction::Heun, ..DpmSolver::plus_plus(2) }.plan(process, times, rows)
        }
        SolverName::DpmPlusPlus2MSde => DpmSolver { eta: 1.0, ..DpmSolver::plus_plus(2) }.plan(process, times, rows),
        SolverName::DpmPlusPlus3M => {
            DpmSolver { correction: Correction::Interpolation, ..DpmSolver::plus_plus(3) }.plan(process, times, rows)
        }
        SolverName::DpmPlusPlus2S => Singlestep::plus_plus(2).plan(process, times, rows),
        SolverName::DpmPlusPlusSde => dpm_solver_sde::plan(process, times, rows),
        SolverName::Dpm2M => DpmSolver { form: Form::Noise, ..DpmSolver::plus_plus(2) }.plan(process, times, rows),
        SolverName::Deis => Deis::new(3).plan(process, times, rows),
        SolverName::UniPc => UniPc::new(2).plan(process, times, rows),
        SolverName::Lms => lms::plan(process, times, 4, rows),
        SolverName::Pndm => pndm::plan(process, times, rows),
        SolverName::Ipndm => pndm::improved_plan(process, times, rows),
    }?;
    Ok(plan)
}
