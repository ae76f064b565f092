//! Laws of the solvers: finite coefficients for any process and any times, what a constant estimate must lead to, and their errors.

mod generators;

use generators::{AnyProcess, between, check, close};
use quickcheck::{Arbitrary, Gen};
use std::convert::Infallible;
use tweedie_core::exact::Gaussian;
use tweedie_core::noise::NoNoise;
use tweedie_core::plan::{self, Step, history};
use tweedie_core::sampler::{self, Clip, Workspace};
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::sigma_clock::{SigmaClock, sigma_at, timestep_of};
use tweedie_core::solver::deis::{Deis, Variable};
use tweedie_core::solver::dpm_solver::{Correction, DpmSolver};
use tweedie_core::solver::euler::{self, Churn};
use tweedie_core::solver::heun::Heun;
use tweedie_core::solver::singlestep::{Singlestep, divide};
use tweedie_core::solver::unipc::{B, UniPc};
use tweedie_core::solver::{
    Ending, Form, dpm_solver_2, dpm_solver_sde, heun, heun_pec, pndm, probability_flow, reverse_sde,
};
use tweedie_core::{Denoiser, Error, StepId, ddim, ddpm};

const KINDS: u8 = 11;

/// Any solver, with any options.
#[derive(Clone, Debug)]
struct AnySolver {
    kind: u8,
    order: usize,
    form: Form,
    correction: Correction,
    ending: Ending,
    variable: Variable,
    b: B,
    corrector: bool,
    eta: f64,
}

impl Arbitrary for AnySolver {
    fn arbitrary(g: &mut Gen) -> Self {
        let kind = u8::arbitrary(g) % KINDS;
        Self {
            kind,
            order: 1 + usize::arbitrary(g) % 3,
            form: *g.choose(&[Form::Data, Form::Noise]).unwrap(),
            correction: *g.choose(&[Correction::Midpoint, Correction::Heun, Correction::Interpolation]).unwrap(),
            ending: *g.choose(&[Ending::Full, Ending::Euler, Ending::Falling]).unwrap(),
            variable: *g.choose(&[Variable::Time, Variable::Rho, Variable::LogRho]).unwrap(),
            b: *g.choose(&[B::B1, B::B2]).unwrap(),
            corrector: bool::arbitrary(g),
            eta: *g.choose(&[0.0, 0.5, 1.0]).unwrap(),
        }
    }
}

impl AnySolver {
    fn plan(&self, process: &AnyProcess, times: &[f64]) -> Result<Vec<Step>, Error> {
        let &Self { order, form, correction, ending, variable, b, corrector, eta, .. } = self;
        let rows = match self.kind {
            0 | 1 | 9 => heun::evaluations(process, times)?,
            2 => times.len(),
            _ => times.len() - 1,
        };
        let mut plan = vec![Step::EMPTY; rows];
        match self.kind {
            0 => heun::plan(process, times, &mut plan)?,
            1 => dpm_solver_sde::plan(process, times, &mut plan)?,
            2 => pndm::plan(process, times, &mut plan)?,
            3 => pndm::improved_plan(process, times, &mut plan)?,
            4 => Singlestep { order, form, correction, ending }.plan(process, times, &mut plan)?,
            5 => UniPc { b, form, corrector, ending, ..UniPc::new(order) }.plan(process, times, &mut plan)?,
            6 => Deis { order, variable, ending }.plan(process, times, &mut plan)?,
            7 => euler::ancestral_plan(process, times, eta, &mut plan)?,
            10 => heun_pec::plan(process, times, &mut plan)?,
            9 => dpm_solver_2::plan(process, times, eta, &mut plan)?,
            _ => DpmSolver { order, form, correction, eta, ending }.plan(process, times, &mut plan)?,
        }
        Ok(plan)
    }

    fn is_deterministic(&self) -> bool {
        !(self.kind == 1 || matches!(self.kind, 7..=9) && self.eta > 0.0)
    }
}

/// Falling times at random, from anywhere to anywhere.
fn falling(process: &AnyProcess, seeds: &[u32], first: Option<f64>, last: Option<f64>) -> Vec<f64> {
    let horizon = process.horizon();
    let mut times: Vec<f64> = seeds.iter().map(|&seed| between(seed, 0.001, 0.999) * horizon).collect();
    times.extend(first.into_iter().chain(last).map(|share| share * horizon));
    times.sort_by(|a, b| b.total_cmp(a));
    times.dedup();
    times
}

#[test]
fn coefficients_are_finite_or_the_error_says_why() {
    fn law(solver: AnySolver, process: AnyProcess, seeds: Vec<u32>, ends: u8, close_by: bool) -> bool {
        let mut times = falling(
            &process,
            &seeds[..seeds.len().min(12)],
            (ends & 1 == 1).then_some(1.0),
            (ends & 2 == 2).then_some(0.0),
        );
        if close_by && let Some(first) = times.first().copied() {
            // Two times with nothing between them.
            times.insert(0, first.next_up().min(process.horizon()));
            times.dedup();
        }
        if times.len() < 3 {
            return true;
        }
        let noisiest = process.level(times[0]).unwrap();
        match solver.plan(&process, &times) {
            Ok(plan) => {
                // The sampler can run it: no row reaches back beyond the beginning.
                assert!(plan.iter().enumerate().all(|(k, step)| (1..=k + 1).contains(&step.pull().len())));
                plan.iter().all(|step| {
                    let memory = step.memory().map_or([0.0; 2], |memory| [memory.from_state, memory.from_x0]);
                    [step.keep, step.kick].iter().chain(step.pull()).chain(&memory).all(|c| c.is_finite())
                })
            }
            // PNDM starts with noise estimates, which pure noise does not have.
            Err(Error::SignalVanishes) => solver.kind == 2 && noisiest.alpha == 0.0,
            // An ulp apart, rounding may turn the order of the levels round, or make them one, and a slope between them is infinite.
            Err(Error::NotDenoising { .. } | Error::OutOfRange { .. }) => close_by,
            Err(error) => panic!("{solver:?} {error}"),
        }
    }
    check(20_000, law as fn(AnySolver, AnyProcess, Vec<u32>, u8, bool) -> bool);
}

/// Always answers the same.
struct Constant(f64);

impl Denoiser<[f64]> for Constant {
    type Error = Infallible;

    fn denoise(&mut self, _: &[f64], _: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
        x0_hat.fill(self.0);
        Ok(())
    }
}

#[test]
fn a_constant_estimate_is_followed_exactly() {
    // Then the flow is x_t = alpha_t c + sigma_t eps with eps constant, and whatever a solver extrapolates is constant: every
    // row must stand on that line, at its own level.
    fn law(solver: AnySolver, process: AnyProcess, seeds: Vec<u32>, ends: u8) -> bool {
        if !solver.is_deterministic() {
            return true;
        }
        let seeds: Vec<u32> = seeds.into_iter().take(10).map(|seed| seed / 4 * 3).collect();
        let times = falling(&process, &seeds, (ends & 1 == 1).then_some(0.9), (ends & 2 == 2).then_some(0.0));
        let apart = times.windows(2).all(|pair| pair[0] - pair[1] > 0.01 * process.horizon());
        if times.len() < 3 || !apart {
            return true;
        }
        let plan = solver.plan(&process, &times).unwrap();
        let levels: Vec<_> =
            plan.iter().map(|step| step.level).chain([process.level(times[times.len() - 1]).unwrap()]).collect();
        let (c, eps) = (0.75, -1.25);
        let line = |k: usize| levels[k].alpha * c + levels[k].sigma * eps;
        let mut x = [line(0)];
        let mut storage = vec![[f64::NAN]; history(&plan)];
        let mut x0_hats: Vec<&mut [f64]> = storage.iter_mut().map(|x0_hat| &mut x0_hat[..]).collect();
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: None };
        let (mut all, mut denoiser) = (true, Constant(c));
        // What rounding may have made of the state, and of what the rows remember, newest first. Near pure noise, solvers of noise
        // estimates divide by a vanishing alpha, and then every error grows by it.
        let rounding = 1e-10;
        let (mut error, mut remembered) = (0.0, Vec::new());
        sampler::run(&plan, Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise, |id, x, _| {
            let (row, before) = (&plan[id.0], line(id.0).abs());
            remembered.insert(
                0,
                row.memory().map_or((c, 0.0), |memory| {
                    let size = memory.from_state.abs() * before + memory.from_x0.abs() * c;
                    (eps.abs(), memory.from_state.abs() * error + rounding * size)
                }),
            );
            let pulled = row.pull().iter().zip(&remembered);
            error = row.keep.abs() * (error + rounding * before)
                + pulled.map(|(pull, (size, error))| pull.abs() * (error + rounding * size)).sum::<f64>();
            all &= close(x[0], line(id.0 + 1), 1.0, error + rounding);
        })
        .unwrap();
        all
    }
    check(10_000, law as fn(AnySolver, AnyProcess, Vec<u32>, u8) -> bool);
}

#[test]
fn stochastic_solvers_conserve_the_marginal() {
    // With x0_hat = 1 always, the state's mean is alpha and its standard deviation sigma at every row, if they are at the start.
    fn law(solver: AnySolver, process: AnyProcess, seeds: Vec<u32>, churn: u32) -> bool {
        let times = falling(&process, &seeds[..seeds.len().min(10)], Some(0.8), Some(0.0));
        let apart = times.windows(2).all(|pair| pair[0] - pair[1] > 0.001 * process.horizon());
        if times.len() < 3 || !apart || (solver.is_deterministic() && solver.kind != 0) {
            return true;
        }
        // Extrapolated noise estimates follow the noise that was added, which is not constant.
        if solver.kind == 8 && solver.form == Form::Noise {
            return true;
        }
        let mut plan = if solver.kind == 0 {
            let churn = Churn { amount: between(churn, 0.0, 8.0), ..Churn::NONE };
            let heun = Heun { churn, ..if times.len().is_multiple_of(2) { Heun::EDM } else { Heun::STEADY } };
            let mut plan = vec![Step::EMPTY; heun.evaluations(&process, &times).unwrap()];
            match heun.plan(&process, &times, &mut plan) {
                // Noise added at the start may lead beyond the process's end.
                Err(Error::OutOfRange { name: "the log-SNR after churn", .. }) => return true,
                other => other.unwrap(),
            }
            plan
        } else {
            solver.plan(&process, &times).unwrap()
        };
        let (mut mean, mut deviation) = (plan[0].level.alpha, plan[0].level.sigma);
        let mut error = 0.0;
        let ends: Vec<_> = plan[1..].iter().map(|step| step.level).chain([process.level(0.0).unwrap()]).collect();
        plan.drain(..).zip(ends).all(|(step, to)| {
            mean = step.keep * mean + step.pull().iter().sum::<f64>();
            deviation = (step.keep * deviation).hypot(step.kick);
            // Heavy weights of opposite sign cancel, at rounding's cost, which later rows carry on.
            let weight: f64 = step.pull().iter().map(|pull| pull.abs()).sum();
            error = step.keep.abs() * error + 1e-9 * (1.0 + weight);
            close(mean, to.alpha, 1.0, error) && close(deviation, to.sigma, 1e-9, to.norm())
        })
    }
    check(10_000, law as fn(AnySolver, AnyProcess, Vec<u32>, u32) -> bool);
}

/// The variance that a plan of single pulls, with Gaussian data of variance `lambda`, makes of its start.
fn variance_at_end(plan: &[Step], lambda: f64) -> f64 {
    let start = plan[0].level;
    plan.iter().fold(start.alpha * start.alpha * lambda + start.sigma * start.sigma, |variance, step| {
        let gain = Gaussian::gain(lambda, step.level);
        let estimate = step.memory().map_or(gain, |memory| memory.from_state + memory.from_x0 * gain);
        let factor = step.keep + step.pull()[0] * estimate;
        factor * factor * variance + step.kick * step.kick
    })
}

#[test]
fn the_reverse_sde_and_the_ancestral_samplers_tend_to_the_datas_variance() {
    let lambda = 0.4;
    for schedule in [
        Schedule::Trigonometric,
        Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 },
        Schedule::FlowMatching,
        Schedule::VarianceExploding { sigma_max: 10.0 },
    ] {
        let horizon = schedule.horizon();
        let error = |kind: u8, steps: u32| {
            let at = |k| horizon * (0.05 + 0.9 * f64::from(steps - k) / f64::from(steps));
            let times: Vec<f64> = (0..=steps).map(at).collect();
            let mut plan = vec![Step::EMPTY; steps as usize];
            match kind {
                0 => reverse_sde::plan(&schedule, &times, &mut plan).unwrap(),
                1 => euler::ancestral_plan(&schedule, &times, 1.0, &mut plan).unwrap(),
                2 => ddpm::plan(&schedule, &times, ddpm::Variance::Posterior, &mut plan).unwrap(),
                3 => probability_flow::plan(&schedule, &times, &mut plan).unwrap(),
                _ => {
                    let form = if kind == 4 { Form::Data } else { Form::Noise };
                    DpmSolver { eta: 1.0, form, ..DpmSolver::plus_plus(1) }.plan(&schedule, &times, &mut plan).unwrap();
                }
            }
            let end = schedule.level(times[times.len() - 1]).unwrap();
            (variance_at_end(&plan, lambda) - (end.alpha * end.alpha * lambda + end.sigma * end.sigma)).abs()
        };
        for kind in 0..6 {
            let (coarse, fine) = (error(kind, 1000), error(kind, 4000));
            let slope = (coarse / fine).log2() / 2.0;
            assert!((slope - 1.0).abs() < 0.1 && fine < 0.01, "{schedule:?} {kind}: {coarse} falls to {fine}");
        }
    }
}

#[test]
fn churn_is_noise_added_before_each_step() {
    // EDM's Algorithm 2 by hand, in the variance-exploding process.
    let process = Schedule::VarianceExploding { sigma_max: 100.0 };
    let times = [10.0, 4.0, 1.0, 0.0];
    let churn = Churn { amount: 0.6, least: 0.0, most: 5.0, noise: 1.01 };
    let mut plan = vec![Step::EMPTY; 3];
    euler::plan(&process, &times, churn, &mut plan).unwrap();
    let gamma = 0.2;
    // Above S_tmax nothing is added, so the first step starts at its own level.
    let expected = [(10.0, 4.0, 4.0 * (1.0 + gamma)), (4.0 * (1.0 + gamma), 1.0, 1.0 + gamma), (1.0 + gamma, 0.0, 0.0)];
    for (step, (from, to, raised)) in plan.iter().zip(expected) {
        let added = f64::sqrt(raised * raised - to * to) * 1.01;
        assert!(close(step.level.sigma, from, 1e-12, 1.0), "{step:?}");
        assert!(close(step.keep, to / from, 1e-12, 1.0) && close(step.pull()[0], 1.0 - to / from, 1e-12, 1.0));
        assert!(close(step.kick, added, 1e-12, 1.0), "{step:?}");
    }
    let beyond = Churn { amount: 3.0, ..Churn::NONE };
    let outside = euler::plan(&Schedule::VarianceExploding { sigma_max: 11.0 }, &times, beyond, &mut plan);
    assert!(matches!(outside, Err(Error::OutOfRange { .. })));
    assert!(euler::plan(&process, &times, Churn { amount: -1.0, ..churn }, &mut plan).is_err());
}

#[test]
fn ending_lowers_the_order_as_it_says() {
    let schedule = Schedule::Trigonometric;
    let times = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
    let reach = |ending, times: &[f64]| {
        let mut plan = vec![Step::EMPTY; times.len() - 1];
        DpmSolver { ending, ..DpmSolver::plus_plus(3) }.plan(&schedule, times, &mut plan).unwrap();
        plan.iter().map(|step| step.pull().len()).collect::<Vec<_>>()
    };
    assert_eq!(reach(Ending::Full, &times), [1, 2, 3, 3, 3]);
    assert_eq!(reach(Ending::Euler, &times), [1, 2, 3, 3, 1]);
    assert_eq!(reach(Ending::Falling, &times), [1, 2, 3, 2, 1]);
    assert_eq!(reach(Ending::Full, &[0.9, 0.6, 0.3, 0.0]), [1, 2, 1]);
    // Pure noise is a step of its own.
    assert_eq!(reach(Ending::Full, &[1.0, 0.8, 0.6, 0.4, 0.2]), [1, 1, 2, 3]);
}

#[test]
fn impossible_solvers_are_typed_errors() {
    let (schedule, times) = (Schedule::Trigonometric, [0.9, 0.6, 0.3, 0.0]);
    let mut plan = vec![Step::EMPTY; 3];
    for order in [0, 4] {
        let refused = DpmSolver::plus_plus(order).plan(&schedule, &times, &mut plan);
        assert!(matches!(refused, Err(Error::OutOfRange { name: "a solver's order", .. })));
        assert!(UniPc::new(order).plan(&schedule, &times, &mut plan).is_err());
        assert!(Singlestep::plus_plus(order).plan(&schedule, &times, &mut plan).is_err());
    }
    assert!(Deis::new(5).plan(&schedule, &times, &mut plan).is_err());
    let stochastic = DpmSolver { eta: 1.5, ..DpmSolver::plus_plus(2) };
    assert!(matches!(stochastic.plan(&schedule, &times, &mut plan), Err(Error::OutOfRange { name: "eta", .. })));
    assert!(matches!(heun::plan(&schedule, &times, &mut plan), Err(Error::WrongLength { need: 5, have: 3, .. })));
    let rising = DpmSolver::plus_plus(2).plan(&schedule, &[0.3, 0.6, 0.2, 0.1], &mut plan);
    assert!(matches!(rising, Err(Error::NotDenoising { .. })));
    let beyond_clean = UniPc::new(2).plan(&schedule, &[0.3, 0.0, 0.0, 0.0], &mut plan);
    assert_eq!(beyond_clean, Err(Error::NoiseVanishes));
    assert!(matches!(UniPc::new(2).plan(&schedule, &times[1..], &mut plan), Err(Error::WrongLength { .. })));
    assert_eq!(pndm::plan(&schedule, &[1.0, 0.5, 0.0], &mut plan), Err(Error::SignalVanishes));
    assert!(matches!(pndm::plan(&schedule, &[0.9, 0.0], &mut plan[..2]), Err(Error::WrongLength { .. })));
    assert_eq!(reverse_sde::step(&schedule, 1.0, 0.5), Err(Error::SignalVanishes));
    assert!(matches!(reverse_sde::step(&schedule, 0.5, 0.6), Err(Error::NotDenoising { .. })));
    assert_eq!(probability_flow::step(&Schedule::VariancePreserving, 1.0, 0.5), Err(Error::VelocityUninformative));
    assert_eq!(probability_flow::step(&schedule, 0.0, 0.0), Err(Error::NoiseVanishes));
}

#[test]
fn on_flow_matching_the_probability_flow_is_ddim() {
    fn law(s: u32, t: u32) -> bool {
        let s = between(s, 0.0, 0.99);
        let t = between(t, s, 1.0);
        let process = Schedule::FlowMatching;
        let a = probability_flow::step(&process, t, s).unwrap();
        let b = ddim::step(t, process.level(t).unwrap(), process.level(s).unwrap(), 0.0).unwrap();
        close(a.keep, b.keep, 1e-13, 1.0) && close(a.pull()[0], b.pull()[0], 1e-13, 1.0)
    }
    check(2000, law as fn(u32, u32) -> bool);
}

#[test]
fn divided_steps_are_even_in_log_snr() {
    let schedule = Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 };
    let times = [0.95, 0.6, 0.2];
    for parts in [1, 2, 3] {
        let mut divided = vec![f64::NAN; 2 * parts + 1];
        divide(&schedule, &times, parts, &mut divided).unwrap();
        assert_eq!((divided[0], divided[parts], divided[2 * parts]), (0.95, 0.6, 0.2));
        let log_snr: Vec<f64> = divided.iter().map(|&t| schedule.level(t).unwrap().log_snr()).collect();
        for step in log_snr.chunks(parts).take(2) {
            let end = log_snr[log_snr.iter().position(|v| v == &step[0]).unwrap() + parts];
            for (i, value) in step.iter().enumerate() {
                assert!(close(*value, step[0] + (end - step[0]) * i as f64 / parts as f64, 1e-12, 10.0));
            }
        }
    }
    let mut divided = [f64::NAN; 4];
    divide(&schedule, &[0.9, 0.3, 0.0], 2, &mut divided).unwrap();
    assert_eq!((divided[0], divided[2], divided[3]), (0.9, 0.3, 0.0));
    assert!(divided[1] < 0.9 && divided[1] > 0.3);
    assert!(matches!(divide(&schedule, &[0.9, 0.3, 0.0], 2, &mut [0.0; 5]), Err(Error::WrongLength { need: 4, .. })));
    assert_eq!(divide(&Schedule::FlowMatching, &[1.0, 0.5], 2, &mut [0.0; 3]), Err(Error::SignalVanishes));
}

#[test]
fn a_normalised_plan_with_memory_gives_the_same_sample() {
    let process = Schedule::VarianceExploding { sigma_max: 20.0 };
    let times = [20.0, 9.0, 4.0, 1.5, 0.5, 0.0];
    let mut plan = vec![Step::EMPTY; 5];
    Deis::new(3).plan(&process, &times, &mut plan).unwrap();
    let sample = |plan: &[Step], start: f64| {
        let mut x = [start];
        let mut storage = [[0.0]; 3];
        let mut x0_hats: Vec<&mut [f64]> = storage.iter_mut().map(|x0_hat| &mut x0_hat[..]).collect();
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: None };
        let levels: Vec<_> = plan.iter().map(|step| step.level).collect();
        let mut denoiser = Wave { levels };
        let clip = Clip::Range { low: -0.5, high: 0.5 };
        sampler::run(plan, clip, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise, |_, _, _| ()).unwrap();
        x[0]
    };
    let start = 13.0;
    let as_it_is = sample(&plan, start);
    let norm = plan[0].level.norm();
    plan::normalise(&mut plan);
    assert!(close(sample(&plan, start / norm), as_it_is, 1e-13, 1.0) && as_it_is.abs() <= 0.5);
}

/// An estimate that depends on the state over its norm alone.
struct Wave {
    levels: Vec<tweedie_core::NoiseLevel>,
}

impl Denoiser<[f64]> for Wave {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
        let norm = self.levels[step.0].norm();
        x0_hat.iter_mut().zip(x_t).for_each(|(estimate, x)| *estimate = (3.0 * x / norm).sin());
        Ok(())
    }
}

#[test]
fn sigmas_and_timesteps_are_each_others_inverse_at_a_chains_entries() {
    let table: Vec<f64> = generators::any_chain(&mut Gen::new(10), false);
    let chain = tweedie_core::chain::Chain::from_alpha_bar(&table[..]).unwrap();
    for timestep in 0..chain.steps() {
        let sigma = sigma_at(&chain, timestep as f64).unwrap();
        assert!(close(timestep_of(&chain, sigma).unwrap(), timestep as f64, 1e-6, 1.0));
    }
    let last = (chain.steps() - 1) as f64;
    assert_eq!((timestep_of(&chain, 1e-9), timestep_of(&chain, 1e9)), (Ok(0.0), Ok(last)));
    assert!(sigma_at(&chain, last + 0.5).is_err() && timestep_of(&chain, 0.0).is_err());
    let clock = SigmaClock { sigma_max: 3.0 };
    assert!(matches!(clock.level(3.5), Err(Error::TimeOutOfRange { .. })));
    let (slope, h) = (clock.velocity(0.7).unwrap(), 1e-6);
    let (a, b) = (clock.level(0.7 - h).unwrap(), clock.level(0.7 + h).unwrap());
    assert!(close(slope.alpha, (b.alpha - a.alpha) / (2.0 * h), 1e-8, 1.0));
    assert!(close(slope.sigma, (b.sigma - a.sigma) / (2.0 * h), 1e-8, 1.0));
}
