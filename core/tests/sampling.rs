//! Running plans: exact denoisers give the closed form, the history is kept in order, and an error changes nothing.

mod generators;

use core::convert::Infallible;
use core::fmt;
use generators::{AnyProcess, between, check, close};
use tweedie_core::discretise::Spacing;
use tweedie_core::exact::Gaussian;
use tweedie_core::noise::{NoNoise, NoNoiseError, NoiseStream};
use tweedie_core::plan::Step;
use tweedie_core::sampler::{self, Clip, SamplerError, Workspace};
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Denoiser, NoiseLevel, NoiseSource, StepId, Tensor, ddim};

/// The exact denoiser of Gaussian data, along a plan.
struct Exact<'a> {
    data: Gaussian<'a>,
    levels: Vec<NoiseLevel>,
}

impl Denoiser<[f64]> for Exact<'_> {
    type Error = tweedie_core::tensor::LengthMismatch;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Self::Error> {
        self.data.denoise(x_t, self.levels[step.0], x0_hat)
    }
}

/// Deterministic DDIM with the exact denoiser: the state at the end.
fn sample(process: &impl Process, times: &[f64], data: Gaussian<'_>, start: &[f64]) -> Vec<f64> {
    let mut plan = vec![Step::EMPTY; times.len() - 1];
    ddim::plan(process, times, 0.0, &mut plan).unwrap();
    let mut denoiser = Exact { data, levels: plan.iter().map(|step| step.level).collect() };
    let (mut x, mut x0_hat) = (start.to_vec(), vec![f64::NAN; start.len()]);
    let mut workspace = Workspace { x0_hats: &mut [x0_hat.as_mut_slice()], noise: None };
    sampler::run(&plan, Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise, |_, _, _| ()).unwrap();
    x
}

#[test]
fn ddim_on_a_gaussian_is_the_product_of_its_factors() {
    fn law(process: AnyProcess, count: u8, mean: u32, variance: u32, deviation: u32) -> bool {
        let count = 1 + usize::from(count % 60);
        let mean = [between(mean, -2.0, 2.0), 0.5];
        let variance = [between(variance, 0.0, 4.0), 0.0];
        let (first, last) = (0.95 * process.horizon(), 0.01 * process.horizon());
        let mut times = vec![0.0; count + 1];
        Spacing::Uniform.fill(&process, first, last, &mut times).unwrap();
        let levels: Vec<_> = times.iter().map(|&t| process.level(t).unwrap()).collect();
        let deviation = between(deviation, -3.0, 3.0);
        let start = mean.map(|mean| levels[0].alpha * mean + deviation);
        let end = sample(&process, &times, Gaussian { mean: &mean, variance: &variance }, &start);
        (0..2).all(|i| {
            let factor: f64 = levels
                .windows(2)
                .map(|pair| {
                    let ([from, to], lambda) = ([pair[0], pair[1]], variance[i]);
                    let keep = to.sigma / from.sigma;
                    let total = from.alpha * from.alpha * lambda + from.sigma * from.sigma;
                    keep + (to.alpha - from.alpha * keep) * from.alpha * lambda / total
                })
                .product();
            close(end[i], levels[count].alpha * mean[i] + factor * deviation, 1e-11, 10.0 * levels[0].norm())
        })
    }
    check(2000, law as fn(AnyProcess, u8, u32, u32, u32) -> bool);
}

#[test]
fn ddim_converges_to_the_probability_flow_at_first_order() {
    let cases: [(Schedule, f64, f64, f64); 6] = [
        (Schedule::VariancePreserving, 0.99, 0.01, 0.3),
        (Schedule::Trigonometric, 1.0, 0.0, 0.3),
        (Schedule::CosineSquared, 0.99, 0.01, 0.3),
        (Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 }, 1.0, 0.01, 0.3),
        (Schedule::FlowMatching, 0.99, 0.01, 2.0),
        (Schedule::VarianceExploding { sigma_max: 5.0 }, 5.0, 0.1, 2.0),
    ];
    for (schedule, first, last, lambda) in cases {
        let flow = Gaussian::flow(lambda, schedule.level(first).unwrap(), schedule.level(last).unwrap());
        let error = |count: usize| {
            let mut times = vec![0.0; count + 1];
            Spacing::Uniform.fill(&schedule, first, last, &mut times).unwrap();
            let data = Gaussian { mean: &[0.0], variance: &[lambda] };
            (sample(&schedule, &times, data, &[1.0])[0] - flow).abs()
        };
        let (coarse, fine) = (error(400), error(6400));
        let slope = (coarse / fine).log2() / 4.0;
        assert!((slope - 1.0).abs() < 0.2, "{schedule:?}: {coarse} falls to {fine}, order {slope}");
        assert!(fine < 1e-2 * flow, "{schedule:?}: {fine} of {flow}");
    }
}

/// Answers with a constant per step, or fails.
struct Constants {
    answers: Vec<f64>,
    fail_at: usize,
    asked: Vec<(usize, Vec<f64>)>,
}

#[derive(Debug, PartialEq)]
struct Refused;

impl core::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl Denoiser<[f64]> for Constants {
    type Error = Refused;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Refused> {
        self.asked.push((step.0, x_t.to_vec()));
        x0_hat.fill(f64::NAN);
        if step.0 == self.fail_at {
            return Err(Refused);
        }
        x0_hat.fill(self.answers[step.0]);
        Ok(())
    }
}

fn constants(answers: &[f64]) -> Constants {
    Constants { answers: answers.to_vec(), fail_at: usize::MAX, asked: vec![] }
}

/// Fails at one draw, else counts up.
struct Draws(u32);

impl NoiseSource<[f64]> for Draws {
    type Error = Refused;

    fn fill_normal(&mut self, draw: u32, out: &mut [f64]) -> Result<(), Refused> {
        out.fill(f64::from(draw) / 1024.0);
        if draw == self.0 { Err(Refused) } else { Ok(()) }
    }
}

/// Five steps; from the third on each pulls three estimates, each with a coefficient of its own.
fn multistep() -> Vec<Step> {
    let level = NoiseLevel::new(0.6, 0.8).unwrap();
    let pulls: [&[f64]; 5] = [&[1.0], &[2.0, 3.0], &[5.0, 7.0, 11.0], &[13.0, 17.0, 19.0], &[23.0, 29.0, 31.0]];
    pulls.iter().map(|pull| Step::new(0.5, level, 0.5, pull, 0.0).unwrap()).collect()
}

#[test]
fn each_pull_multiplies_the_estimate_that_many_steps_ago() {
    let answers = [1.0, 1e3, 1e6, 1e9, 1e12];
    // keep = 1/2 halves what was there.
    let mut expected = vec![7.0];
    for (k, step) in multistep().iter().enumerate() {
        let pulled: f64 = step.pull().iter().enumerate().map(|(back, pull)| pull * answers[k - back]).sum();
        expected.push(0.5 * expected[k] + pulled);
    }
    // More buffers than the plan reaches back over do no harm.
    for buffers in [3, 4, 7] {
        let mut storage = vec![vec![f64::NAN; 2]; buffers];
        let mut x0_hats: Vec<&mut [f64]> = storage.iter_mut().map(Vec::as_mut_slice).collect();
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: None };
        let (mut x, mut denoiser, mut seen) = ([7.0; 2], constants(&answers), vec![7.0]);
        sampler::run(
            &multistep(),
            Clip::None,
            &mut x[..],
            &mut workspace,
            &mut denoiser,
            &mut NoNoise,
            |id, x, x0_hat| {
                assert_eq!((x0_hat, x[0]), (&[answers[id.0]; 2][..], x[1]));
                seen.push(x[0]);
            },
        )
        .unwrap();
        assert_eq!(seen, expected, "{buffers} buffers");
        // The denoiser is asked once a step, for the state before it.
        let asked: Vec<_> = expected[..5].iter().map(|&x| vec![x; 2]).enumerate().collect();
        assert_eq!(denoiser.asked, asked);
        assert_eq!(workspace.x0_hats[2], &[1e6; 2][..]);
    }
}

#[test]
fn a_failed_step_changes_nothing_and_can_be_tried_again() {
    let plan = multistep();
    let answers = [1.0, 1e3, 1e6, 1e9, 1e12];
    for failing in 0..5 {
        let mut storage = [[f64::NAN; 2]; 3];
        let [a, b, c] = &mut storage;
        let mut workspace = Workspace { x0_hats: &mut [&mut a[..], &mut b[..], &mut c[..]], noise: None };
        let (mut x, mut denoiser) = ([7.0; 2], constants(&answers));
        let mut expected = 7.0;
        for (k, step) in plan.iter().enumerate() {
            if k == failing {
                let before = x.map(f64::to_bits);
                denoiser.fail_at = k;
                let failed =
                    sampler::step(step, StepId(k), Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise);
                assert_eq!(failed, Err(SamplerError::Denoiser(Refused)));
                assert_eq!(x.map(f64::to_bits), before);
                denoiser.fail_at = usize::MAX;
            }
            sampler::step(step, StepId(k), Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise)
                .unwrap();
            let pulled: f64 = step.pull().iter().enumerate().map(|(back, pull)| pull * answers[k - back]).sum();
            expected = 0.5 * expected + pulled;
            assert_eq!(x, [expected; 2], "step {k} after a failure of {failing}");
        }
    }
}

#[test]
fn noise_of_step_k_is_draw_k_plus_one_and_its_failure_changes_nothing() {
    let level = NoiseLevel::new(0.6, 0.8).unwrap();
    let plan: Vec<Step> =
        [0.25, 0.0, 0.5].iter().map(|&kick| Step::new(0.5, level, 1.0, &[1.0], kick).unwrap()).collect();
    let run = |source: &mut Draws, x: &mut [f64]| {
        let (mut x0_hat, mut z) = (vec![0.0; x.len()], vec![f64::NAN; x.len()]);
        let mut workspace = Workspace { x0_hats: &mut [x0_hat.as_mut_slice()], noise: Some(z.as_mut_slice()) };
        sampler::run(&plan, Clip::None, x, &mut workspace, &mut constants(&[0.0; 3]), source, |_, _, _| ())
    };
    let mut x = [1.0; 3];
    run(&mut Draws(99), &mut x).unwrap();
    assert_eq!(x, [1.0 + 0.25 / 1024.0 + 0.5 * 3.0 / 1024.0; 3]);
    let mut x = [1.0; 3];
    assert_eq!(run(&mut Draws(3), &mut x), Err(SamplerError::Noise(Refused)));
    assert_eq!(x, [1.0 + 0.25 / 1024.0; 3]);
}

#[test]
fn missing_buffers_are_found_before_the_first_step() {
    let level = NoiseLevel::new(0.6, 0.8).unwrap();
    let noisy = [Step::new(0.5, level, 1.0, &[1.0], 0.0).unwrap(), Step::new(0.5, level, 1.0, &[1.0], 0.5).unwrap()];
    let mut storage = [[0.0; 2]; 2];
    let [a, b] = &mut storage;
    let mut workspace = Workspace { x0_hats: &mut [&mut a[..], &mut b[..]], noise: None };
    let (mut x, mut denoiser) = ([7.0; 2], constants(&[1.0; 5]));
    let result =
        sampler::run(&multistep(), Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise, |_, _, _| ());
    assert_eq!(result, Err(SamplerError::History { need: 3, have: 2 }));
    let result =
        sampler::run(&noisy, Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise, |_, _, _| ());
    assert_eq!(result, Err(SamplerError::NoNoiseBuffer));
    let result =
        sampler::step(&noisy[1], StepId(1), Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise);
    assert_eq!(result, Err(SamplerError::NoNoiseBuffer));
    let mut z = [0.0; 2];
    workspace.noise = Some(&mut z[..]);
    let result =
        sampler::step(&noisy[1], StepId(1), Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise);
    assert_eq!(result, Err(SamplerError::Noise(NoNoiseError)));
    assert_eq!(x, [7.0; 2]);
    // Buffers of another length.
    let mut short = [0.0; 1];
    let mut workspace = Workspace { x0_hats: &mut [&mut short[..]], noise: None };
    let result =
        sampler::step(&noisy[0], StepId(0), Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise);
    assert!(matches!(result, Err(SamplerError::Tensor(mismatch)) if (mismatch.expected, mismatch.found) == (2, 1)));
    assert_eq!(x, [7.0; 2]);
}

/// `x0_hat = x_t`.
struct Identity;

impl Denoiser<[f64]> for Identity {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f64], _: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
        x0_hat.copy_from_slice(x_t);
        Ok(())
    }
}

#[test]
fn clipping_bounds_the_estimate_not_the_state() {
    let level = NoiseLevel::new(0.6, 0.8).unwrap();
    let plan = [Step::new(0.5, level, 10.0, &[1.0], 0.0).unwrap()];
    let (mut x, mut x0_hat) = ([-3.0, -0.5, 0.25, 2.0], [0.0; 4]);
    let mut workspace = Workspace { x0_hats: &mut [&mut x0_hat[..]], noise: None };
    let clip = Clip::Range { low: -1.0, high: 0.5 };
    sampler::run(&plan, clip, &mut x[..], &mut workspace, &mut Identity, &mut NoNoise, |_, _, _| ()).unwrap();
    assert_eq!(x, [-31.0, -5.5, 2.75, 20.5]);
    assert_eq!(x0_hat, [-1.0, -0.5, 0.25, 0.5]);
}

#[test]
fn stochastic_sampling_of_a_gaussian_has_its_variance() {
    // For an exact denoiser of N(0, lambda) each step is linear, so the variance obeys a recursion in closed form;
    // 4096 coordinates sample it to some 2%.
    const COUNT: usize = 4096;
    let (schedule, lambda, steps) = (Schedule::Trigonometric, 0.5, 50);
    let mut times = vec![0.0; steps + 1];
    Spacing::Uniform.fill(&schedule, 1.0, 0.0, &mut times).unwrap();
    let (mean, variance) = (vec![0.0; COUNT], vec![lambda; COUNT]);
    for eta in [0.0, 0.5, 1.0] {
        let mut plan = vec![Step::EMPTY; steps];
        ddim::plan(&schedule, &times, eta, &mut plan).unwrap();
        let expected = plan.iter().fold(1.0, |v: f64, step| {
            let factor = step.keep + step.pull()[0] * Gaussian::gain(lambda, step.level);
            factor * factor * v + step.kick * step.kick
        });
        let (mut x, mut x0_hat, mut z) = (vec![0.0; COUNT], vec![0.0; COUNT], vec![0.0; COUNT]);
        let mut stream = NoiseStream::new(5, 0);
        stream.fill_normal(0, &mut x[..]).unwrap();
        let mut denoiser = Exact {
            data: Gaussian { mean: &mean, variance: &variance },
            levels: plan.iter().map(|s| s.level).collect(),
        };
        let mut workspace = Workspace { x0_hats: &mut [x0_hat.as_mut_slice()], noise: Some(z.as_mut_slice()) };
        sampler::run(&plan, Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut stream, |_, _, _| ()).unwrap();
        let found = x.iter().map(|x| x * x).sum::<f64>() / COUNT as f64;
        assert!(
            (found / expected - 1.0).abs() < 4.0 * (2.0 / COUNT as f64).sqrt(),
            "eta {eta}: {found}, not {expected}"
        );
        assert!((expected / lambda - 1.0).abs() < 0.15, "eta {eta}: {expected}");
    }
}

#[test]
fn a_plan_that_reaches_back_before_its_beginning_is_refused() {
    let level = NoiseLevel::new(1.0, 1.0).unwrap();
    let plan = [Step::new(1.0, level, 0.5, &[0.25, 0.25], 0.0).unwrap()];
    let (mut x, mut a, mut b) = ([1.0_f64; 2], [0.0; 2], [0.0; 2]);
    let mut x0_hats = [&mut a[..], &mut b[..]];
    let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: None };
    let mut denoiser = Constant;
    let result = sampler::run(&plan, Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise, |_, _, _| {});
    assert!(matches!(result, Err(SamplerError::TooEarly { step: 0 })));
    assert_eq!(x, [1.0; 2]);
}

struct Constant;

impl Denoiser<[f64]> for Constant {
    type Error = core::convert::Infallible;

    fn denoise(&mut self, _: &[f64], _: StepId, x0_hat: &mut [f64]) -> Result<(), Self::Error> {
        x0_hat.fill(0.5);
        Ok(())
    }
}

#[test]
fn clamping_keeps_what_is_not_a_number() {
    let mut x = [f64::NAN, -3.0, 3.0, 0.25];
    x[..].clamp(-1.0, 1.0).unwrap();
    assert!(x[0].is_nan());
    assert_eq!(x[1..], [-1.0, 1.0, 0.25]);
}
