//! Ten evaluations of a solver of second order against fifty of DDIM, from noise to data on exact mixtures, at the times that are recommended for
//! so few: `Spacing::SOFT_LOG_SNR`.

use tweedie_core::discretise::Spacing;
use tweedie_core::exact::{AlongPlan, DiagonalMixture};
use tweedie_core::noise::NoNoise;
use tweedie_core::plan::{Step, history};
use tweedie_core::sampler::{self, Clip, Workspace};
use tweedie_core::schedule::Schedule;
use tweedie_core::solver::dpm_solver::DpmSolver;
use tweedie_core::solver::heun::Heun;
use tweedie_core::solver::unipc::UniPc;
use tweedie_core::solver::{heun_pec, probability_flow};
use tweedie_core::{Error, ddim};

const SCHEDULE: Schedule = Schedule::Trigonometric;
const STARTS: usize = 41;

/// Fills a plan through times.
type Fill = fn(&[f64], &mut [Step]) -> Result<(), Error>;

fn plan(spacing: Spacing, steps: usize, rows: impl Fn(&[f64]) -> usize, fill: Fill) -> Vec<Step> {
    let mut times = vec![0.0; steps + 1];
    spacing.fill(&SCHEDULE, 0.999, 0.0, &mut times).unwrap();
    let mut plan = vec![Step::EMPTY; rows(&times)];
    fill(&times, &mut plan).unwrap();
    plan
}

/// A plan of a solver with one evaluation a step.
fn rows(spacing: Spacing, steps: usize, fill: Fill) -> Vec<Step> {
    plan(spacing, steps, |times| times.len() - 1, fill)
}

/// Where a plan carries standard normal numbers from -2 to 2.
fn carried(plan: &[Step], data: DiagonalMixture<'_>) -> Vec<f64> {
    let carry = |i: usize| {
        let mut x = [4.0 * i as f64 / (STARTS - 1) as f64 - 2.0];
        let mut storage = vec![[0.0]; history(plan)];
        let mut x0_hats: Vec<&mut [f64]> = storage.iter_mut().map(|x0_hat| &mut x0_hat[..]).collect();
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: None };
        let mut denoiser = AlongPlan { data, plan, scratch: &mut [] };
        sampler::run(plan, Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise, |_, _, _| ()).unwrap();
        x[0]
    };
    (0..STARTS).map(carry).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
}

const DDIM: Fill = |times, plan| ddim::plan(&SCHEDULE, times, 0.0, plan);
const TWO_M: Fill = |times, plan| DpmSolver::plus_plus(2).plan(&SCHEDULE, times, plan);
const UNIPC: Fill = |times, plan| UniPc::new(2).plan(&SCHEDULE, times, plan);
const HEUN_PEC: Fill = |times, plan| heun_pec::plan(&SCHEDULE, times, plan);
const HEUN: Fill = |times, plan| probability_flow::heun_plan(&SCHEDULE, times, plan);

#[test]
fn ten_evaluations_of_second_order_come_nearer_than_fifty_of_ddim() {
    let soft = Spacing::SOFT_LOG_SNR;
    for (weights, means, variances) in [
        ([1.0, 1.0], [-0.9, 0.6], [0.15, 0.15]),
        ([1.0, 2.0], [-1.0, 1.0], [0.04, 0.09]),
        ([1.0, 1.0], [-1.0, 1.0], [0.01, 0.01]),
        ([3.0, 1.0], [-0.2, 0.8], [0.3, 0.01]),
    ] {
        let data = DiagonalMixture::new(&weights, &means, &variances).unwrap();
        let exact = carried(&rows(soft, 2000, UNIPC), data);
        let error = |plan: &[Step]| distance(&carried(plan, data), &exact);
        // Over even times, and over the very times of the others.
        let fifty = error(&rows(Spacing::Uniform, 50, DDIM)).min(error(&rows(soft, 50, DDIM)));
        let of_heun = Spacing::SOFT_LOG_SNR_OF_HEUN;
        for (name, spacing, ten) in [("2M", soft, TWO_M), ("UniPC", soft, UNIPC), ("Heun", of_heun, HEUN_PEC)] {
            let error = error(&rows(spacing, 10, ten));
            println!("{name} on {means:?}, {variances:?}: {error:.4}, DDIM: {fifty:.4}");
            assert!(error < fifty, "{name} on {means:?}, {variances:?}: {error}, DDIM: {fifty}");
        }
        // Heun's methods with two evaluations a step take larger steps: enough where components are wide.
        let heun_rows = |times: &[f64]| probability_flow::heun_evaluations(&SCHEDULE, times).unwrap();
        let heun = error(&plan(soft, 5, heun_rows, HEUN));
        let limit = if variances == [0.15, 0.15] { fifty } else { 5.0 * fifty };
        assert!(heun < limit, "Heun in the angle on {means:?}, {variances:?}: {heun}, DDIM: {fifty}");
    }
}

#[test]
fn a_heun_step_from_next_to_noise_is_eulers_where_it_would_overshoot() {
    let data = DiagonalMixture::new(&[1.0, 2.0], &[-1.0, 1.0], &[0.04, 0.09]).unwrap();
    let exact = carried(&rows(Spacing::SOFT_LOG_SNR, 2000, UNIPC), data);
    let mut times = [0.0; 7];
    Spacing::SOFT_LOG_SNR.fill(&SCHEDULE, 0.999, 0.0, &mut times).unwrap();
    let made = |heun: Heun| {
        let mut plan = vec![Step::EMPTY; heun.evaluations(&SCHEDULE, &times).unwrap()];
        heun.plan(&SCHEDULE, &times, &mut plan).unwrap();
        (plan.len(), distance(&carried(&plan, data), &exact))
    };
    let ((edm_rows, edm), (rows, steady)) = (made(Heun::EDM), made(Heun::STEADY));
    assert_eq!((edm_rows, rows), (11, 10));
    assert!(edm > 1.0 && steady < 0.1, "{edm} {steady}");
}

#[test]
fn softened_times_reach_both_ends_and_are_log_snr_in_between() {
    let (mut soft, mut plain) = ([0.0; 9], [0.0; 9]);
    for schedule in [SCHEDULE, Schedule::FlowMatching, Schedule::VariancePreserving] {
        Spacing::SOFT_LOG_SNR.fill(&schedule, 1.0, 0.0, &mut soft).unwrap();
        assert!(soft.windows(2).all(|pair| pair[0] > pair[1]), "{schedule:?}: {soft:?}");
        assert_eq!((soft[0], soft[8]), (1.0, 0.0));
        let tiny = Spacing::SoftLogSnr { noise_floor: 1e-9, signal_floor: 1e-9 };
        tiny.fill(&schedule, 0.9, 0.1, &mut soft).unwrap();
        Spacing::LogSnr.fill(&schedule, 0.9, 0.1, &mut plain).unwrap();
        assert!(distance(&soft, &plain) < 1e-8, "{schedule:?}: {soft:?} {plain:?}");
    }
    let floorless = Spacing::SoftLogSnr { noise_floor: 0.0, signal_floor: 0.3 };
    assert!(matches!(
        floorless.fill(&SCHEDULE, 1.0, 0.0, &mut soft),
        Err(Error::OutOfRange { name: "noise floor", .. })
    ));
}
