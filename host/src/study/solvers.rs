//! The error of solvers against the number of network evaluations, with an exact denoiser, so that only the solver errs.

use super::sampling::carried;
use super::{Findings, log_log_slope};
use crate::error::Error;
use crate::picture::axis::{Axis, significant};
use crate::picture::line_plot::{Curve, LinePlot};
use crate::preset::{Preset, SamplingSettings, SolverName};
use crate::process::AnyProcess;
use crate::solver;
use tweedie_core::discretise::Spacing;
use tweedie_core::exact::DiagonalMixture;
use tweedie_core::plan::Step;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::solver::Ending;
use tweedie_core::solver::deis::Deis;
use tweedie_core::solver::dpm_solver::{Correction, DpmSolver};
use tweedie_core::solver::unipc::UniPc;

/// The solvers that are compared.
const SOLVERS: [SolverName; 7] = [
    SolverName::Ddim,
    SolverName::Heun,
    SolverName::FlowHeun,
    SolverName::DpmPlusPlus2M,
    SolverName::UniPc,
    SolverName::DpmPlusPlus3M,
    SolverName::Deis,
];
/// The data: Gaussians that overlap, so that the flow is smooth and every solver shows its order.
const MEANS: [f64; 2] = [-0.9, 0.6];
const VARIANCES: [f64; 2] = [0.15; 2];
/// Network evaluations.
const EVALUATIONS: [usize; 8] = [6, 10, 20, 40, 80, 160, 320, 640];
/// From how many evaluations on the slope is taken: before, an error is no power of anything yet.
const STEADY: usize = 150;
/// From noise to where data are nearly clean; steps are even in log-SNR.
const ENDS: [f64; 2] = [0.99, 0.1];

/// Makes the study.
///
/// # Errors
/// None that is known.
pub fn findings() -> Result<Findings, Error> {
    let process = AnyProcess::Continuous(Schedule::Trigonometric);
    let data = DiagonalMixture::new(&[1.0; 2], &MEANS, &VARIANCES)?;
    let [from, to] = [process.level(ENDS[0])?, process.level(ENDS[1])?];
    let starts: Vec<f64> = (-20..=20).map(|i| f64::from(i) / 8.0).collect();
    let exact: Vec<f64> = starts.iter().map(|&x| data.flow(x, from, to)).collect::<Result<_, _>>()?;
    let settings = Preset::load("digits", &[])?.sampling;

    let (mut curves, mut remarks) = (Vec::new(), Vec::new());
    for (index, solver) in SOLVERS.into_iter().enumerate() {
        let settings = SamplingSettings { solver, ..settings.clone() };
        let mut points: Vec<(f64, f64)> = Vec::new();
        for evaluations in EVALUATIONS {
            let mut times = vec![0.0; solver::steps(solver, evaluations) + 1];
            Spacing::LogSnr.fill(&process, ENDS[0], ENDS[1], &mut times)?;
            let plan = plan(&settings, &process, &times)?;
            let ends = carried(data, &plan, &starts)?.pop().unwrap_or_default();
            let squares: f64 = ends.iter().zip(&exact).map(|(end, exact)| (end - exact).powi(2)).sum();
            points.push((plan.len() as f64, (squares / starts.len() as f64).sqrt()));
        }
        let steady: Vec<(f64, f64)> = points.iter().copied().filter(|point| point.0 >= STEADY as f64).collect();
        let (slope, at_ten) = (log_log_slope(&steady), points[1].1);
        remarks.push(format!("{solver}: error {} with 10 evaluations, log-log slope {slope:.2}", significant(at_ten)));
        curves.push(Curve::measured(index, format!("{solver}, slope {slope:.2}"), points));
    }
    let counts = EVALUATIONS.map(|count| count as f64);
    let all: Vec<f64> = curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1)).collect();
    let plot = LinePlot::new(
        "Error against the exact flow",
        ("evaluations of the denoiser", Axis::of_values(&counts)),
        ("root mean square error", Axis::of_losses(all.into_iter())),
        curves,
    );
    Ok(Findings { plot, remarks })
}

/// The plan of a solver. Multistep solvers keep their order to the end here, where `sample` lets it drop for the sake of the step to clean data:
/// these plans end before it.
fn plan(settings: &SamplingSettings, process: &AnyProcess, times: &[f64]) -> Result<Vec<Step>, Error> {
    let ending = Ending::Full;
    let mut plan = vec![Step::EMPTY; times.len() - 1];
    match settings.solver {
        SolverName::DpmPlusPlus2M => DpmSolver { ending, ..DpmSolver::plus_plus(2) }.plan(process, times, &mut plan),
        SolverName::DpmPlusPlus3M => {
            let correction = Correction::Interpolation;
            DpmSolver { ending, correction, ..DpmSolver::plus_plus(3) }.plan(process, times, &mut plan)
        }
        SolverName::UniPc => UniPc { ending, ..UniPc::new(2) }.plan(process, times, &mut plan),
        SolverName::Deis => Deis { ending, ..Deis::new(3) }.plan(process, times, &mut plan),
        _ => return Ok(solver::plan(settings, process, times)?),
    }?;
    Ok(plan)
}
