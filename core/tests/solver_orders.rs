//! Orders of convergence: with exact denoisers, the error against the exact probability flow falls with the number of steps as each paper says.

use std::convert::Infallible;
use tweedie_core::discretise::Spacing;
use tweedie_core::exact::Gaussian;
use tweedie_core::noise::NoNoise;
use tweedie_core::plan::{Step, history};
use tweedie_core::sampler::{self, Clip, Workspace};
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::solver::deis::{Deis, Variable};
use tweedie_core::solver::dpm_solver::{Correction, DpmSolver};
use tweedie_core::solver::singlestep::{Singlestep, divide};
use tweedie_core::solver::unipc::UniPc;
use tweedie_core::solver::{Ending, Form, dpm_solver_2, euler, heun, heun_pec, lms, pndm, probability_flow};
use tweedie_core::{Denoiser, NoiseLevel, StepId, ddim};

/// Data on a line: Gaussians of equal weights.
#[derive(Clone, Copy)]
struct Mixture {
    means: [f64; 2],
    variance: f64,
}

impl Mixture {
    fn x0_hat(&self, x: f64, level: NoiseLevel) -> f64 {
        let NoiseLevel { alpha, sigma } = level;
        let total = alpha * alpha * self.variance + sigma * sigma;
        let log_weight = |mean: f64| -(x - alpha * mean).powi(2) / (2.0 * total);
        let [first, second] = self.means;
        let share = 1.0 / (1.0 + (log_weight(second) - log_weight(first)).exp());
        let gain = Gaussian::gain(self.variance, level);
        let estimate = |mean: f64| mean + gain * (x - alpha * mean);
        share * estimate(first) + (1.0 - share) * estimate(second)
    }

    /// The probability flow between two times, by Runge and Kutta's method of fourth order in `ln (sigma / alpha)`, for `x / alpha`.
    fn flow(&self, process: &impl Process, times: [f64; 2], x: f64) -> f64 {
        let [from, to] = times.map(|t| process.level(t).unwrap());
        let [start, end] = [from, to].map(|level| (level.sigma / level.alpha).ln());
        let slope = |u: f64, y: f64| y - self.x0_hat(y, NoiseLevel { alpha: 1.0, sigma: u.exp() });
        let steps = 20_000;
        let h = (end - start) / f64::from(steps);
        let y = (0..steps).fold(x / from.alpha, |y, k| {
            let u = start + f64::from(k) * h;
            let a = slope(u, y);
            let b = slope(u + 0.5 * h, y + 0.5 * h * a);
            let c = slope(u + 0.5 * h, y + 0.5 * h * b);
            let d = slope(u + h, y + h * c);
            y + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        });
        y * to.alpha
    }
}

struct Along<'a> {
    data: Mixture,
    plan: &'a [Step],
}

impl Denoiser<[f64]> for Along<'_> {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
        let level = self.plan[step.0].level;
        x0_hat.iter_mut().zip(x_t).for_each(|(estimate, &x)| *estimate = self.data.x0_hat(x, level));
        Ok(())
    }
}

fn sample(plan: &[Step], data: Mixture, x: f64) -> f64 {
    let mut state = [x];
    let mut storage = vec![[f64::NAN]; history(plan)];
    let mut x0_hats: Vec<&mut [f64]> = storage.iter_mut().map(|x0_hat| &mut x0_hat[..]).collect();
    let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: None };
    let mut denoiser = Along { data, plan };
    sampler::run(plan, Clip::None, &mut state[..], &mut workspace, &mut denoiser, &mut NoNoise, |_, _, _| ()).unwrap();
    state[0]
}

type Solver = (&'static str, f64, Box<dyn Fn(&Schedule, &[f64]) -> Vec<Step>>);

/// A solver with one row a step.
fn rows(name: &'static str, order: f64, fill: impl Fn(&Schedule, &[f64], &mut [Step]) + 'static) -> Solver {
    let made = move |schedule: &Schedule, times: &[f64]| {
        let mut plan = vec![Step::EMPTY; times.len() - 1];
        fill(schedule, times, &mut plan);
        plan
    };
    (name, order, Box::new(made))
}

fn solvers() -> Vec<Solver> {
    use euler::Churn;
    let dpm = |order, form, correction| DpmSolver { order, form, correction, eta: 0.0, ending: Ending::Full };
    let deis = |order, variable| Deis { order, variable, ending: Ending::Full };
    let uni = |order, form, corrector| UniPc { form, corrector, ending: Ending::Full, ..UniPc::new(order) };
    let single = |order, form, correction| Singlestep { order, form, correction, ending: Ending::Full };
    use Correction::{Heun, Interpolation, Midpoint};
    use Form::{Data, Noise};
    use Variable::{LogRho, Rho, Time};
    let mut all = vec![
        rows("DDIM", 1.0, |s, t, p| ddim::plan(s, t, 0.0, p).unwrap()),
        rows("Euler", 1.0, |s, t, p| euler::plan(s, t, Churn::NONE, p).unwrap()),
        rows("Heun PEC", 2.0, |s, t, p| heun_pec::plan(s, t, p).unwrap()),
        rows("probability flow", 1.0, |s, t, p| probability_flow::plan(s, t, p).unwrap()),
        // Of order 4 it starts at order 1, which shows in the end.
        rows("LMS 3", 3.0, |s, t, p| lms::plan(s, t, 3, p).unwrap()),
        // The weights are those of even steps, which these are not in sigma / alpha.
        rows("iPNDM", 2.0, |s, t, p| pndm::improved_plan(s, t, p).unwrap()),
    ];
    for (name, order, solver) in [
        ("DPM-Solver++ 1", 1.0, dpm(1, Data, Midpoint)),
        ("DPM-Solver++ 2M", 2.0, dpm(2, Data, Midpoint)),
        ("DPM-Solver++ 2M Heun", 2.0, dpm(2, Data, Heun)),
        ("DPM-Solver++ 3M published", 2.0, dpm(3, Data, Midpoint)),
        ("DPM-Solver++ 3M", 3.0, dpm(3, Data, Interpolation)),
        ("DPM-Solver 2", 2.0, dpm(2, Noise, Midpoint)),
        ("DPM-Solver 3", 3.0, dpm(3, Noise, Interpolation)),
    ] {
        all.push(rows(name, order, move |s, t, p| solver.plan(s, t, p).unwrap()));
    }
    for (name, order, solver) in [
        ("DEIS log-rho 2", 2.0, deis(2, LogRho)),
        ("DEIS log-rho 3", 3.0, deis(3, LogRho)),
        ("DEIS rho 2", 2.0, deis(2, Rho)),
        ("DEIS rho 3", 3.0, deis(3, Rho)),
        ("DEIS t 2", 2.0, deis(2, Time)),
        ("DEIS t 3", 3.0, deis(3, Time)),
    ] {
        all.push(rows(name, order, move |s, t, p| solver.plan(s, t, p).unwrap()));
    }
    for (name, order, solver) in [
        ("UniP-2", 2.0, uni(2, Data, false)),
        ("UniP-3", 3.0, uni(3, Data, false)),
        ("UniPC-1", 2.0, uni(1, Data, true)),
        ("UniPC-2", 3.0, uni(2, Data, true)),
        ("UniPC-3", 4.0, uni(3, Data, true)),
        ("UniPC-3 noise", 4.0, uni(3, Noise, true)),
    ] {
        all.push(rows(name, order, move |s, t, p| solver.plan(s, t, p).unwrap()));
    }
    for (name, order, solver) in [
        ("2S", 2.0, single(2, Data, Midpoint)),
        ("2S Heun", 2.0, single(2, Data, Heun)),
        ("2S noise", 2.0, single(2, Noise, Midpoint)),
        ("3S", 3.0, single(3, Data, Midpoint)),
        ("3S noise", 3.0, single(3, Noise, Midpoint)),
    ] {
        let made = move |s: &Schedule, t: &[f64]| {
            let mut times = vec![0.0; solver.order * (t.len() - 1) + 1];
            divide(s, t, solver.order, &mut times).unwrap();
            let mut plan = vec![Step::EMPTY; times.len() - 1];
            solver.plan(s, &times, &mut plan).unwrap();
            plan
        };
        all.push((name, order, Box::new(made)));
    }
    let dpm2 = |s: &Schedule, t: &[f64]| {
        let mut plan = vec![Step::EMPTY; dpm_solver_2::evaluations(s, t).unwrap()];
        dpm_solver_2::plan(s, t, 0.0, &mut plan).unwrap();
        plan
    };
    all.push(("DPM-Solver-2", 2.0, Box::new(dpm2)));
    let heun = |s: &Schedule, t: &[f64]| {
        let mut plan = vec![Step::EMPTY; heun::evaluations(s, t).unwrap()];
        heun::plan(s, t, &mut plan).unwrap();
        plan
    };
    all.push(("Heun", 2.0, Box::new(heun)));
    let heun = |s: &Schedule, t: &[f64]| {
        let mut plan = vec![Step::EMPTY; probability_flow::heun_evaluations(s, t).unwrap()];
        probability_flow::heun_plan(s, t, &mut plan).unwrap();
        plan
    };
    all.push(("Heun in time", 2.0, Box::new(heun)));
    all
}

const DATA: Mixture = Mixture { means: [-0.9, 0.6], variance: 0.15 };
const STARTS: [f64; 7] = [-1.8, -1.1, -0.4, 0.3, 0.7, 1.2, 2.0];

/// The root of the summed squares of errors, over several starts, of a plan through that many steps.
fn error(
    schedule: &Schedule,
    ends: [f64; 2],
    exact: &[f64; 7],
    make: impl Fn(&[f64]) -> Vec<Step>,
    steps: usize,
) -> f64 {
    let mut times = vec![0.0; steps + 1];
    Spacing::LogSnr.fill(schedule, ends[0], ends[1], &mut times).unwrap();
    let (plan, norm) = (make(&times), schedule.level(ends[0]).unwrap().norm());
    let square = |(&z, exact): (&f64, &f64)| (sample(&plan, DATA, z * norm) - exact).powi(2);
    STARTS.iter().zip(exact).map(square).sum::<f64>().sqrt()
}

fn exact(schedule: &Schedule, ends: [f64; 2]) -> [f64; 7] {
    let norm = schedule.level(ends[0]).unwrap().norm();
    STARTS.map(|z| DATA.flow(schedule, ends, z * norm))
}

#[test]
fn errors_fall_at_each_solvers_order() {
    let cases: [(Schedule, [f64; 2]); 3] = [
        (Schedule::VarianceExploding { sigma_max: 80.0 }, [80.0, 0.2]),
        (Schedule::Trigonometric, [0.99, 0.1]),
        (Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 }, [0.99, 0.05]),
    ];
    for (schedule, ends) in cases {
        let exact = exact(&schedule, ends);
        for (name, order, make) in solvers() {
            let error = |steps| error(&schedule, ends, &exact, |times| make(&schedule, times), steps);
            let (coarse, fine) = (error(160), error(640));
            let slope = (coarse / fine).log2() / 2.0;
            assert!((slope - order).abs() < 0.2, "{name}, {schedule:?}: {coarse} falls to {fine}, order {slope}");
        }
    }
}

#[test]
fn ten_evaluations_of_higher_order_beat_fifty_of_ddim() {
    let (schedule, ends) = (Schedule::Trigonometric, [0.9, 0.05]);
    let exact = exact(&schedule, ends);
    let all = solvers();
    let error = |name: &str, steps: usize| {
        let (_, _, make) = all.iter().find(|solver| solver.0 == name).unwrap();
        error(&schedule, ends, &exact, |times| make(&schedule, times), steps)
    };
    let ddim = error("DDIM", 50);
    // Two evaluations a step. EDM's Heun is not among them: over so wide a range of sigma it needs some ten steps.
    assert!(error("Heun in time", 5) < 0.5 * ddim, "{}, DDIM: {ddim}", error("Heun in time", 5));
    for name in ["DPM-Solver++ 2M", "UniPC-2", "UniPC-3", "DEIS log-rho 2", "DEIS log-rho 3", "DPM-Solver++ 3M"] {
        assert!(error(name, 10) < 0.8 * ddim, "{name}: {}, DDIM: {ddim}", error(name, 10));
    }
    assert!(error("Heun", 10) < 2.0 * ddim, "{}, DDIM: {ddim}", error("Heun", 10));
}
