//! Inversion, inpainting and thresholding.

mod generators;

use generators::{AnyProcess, between, check, close};
use std::convert::Infallible;
use tweedie_core::discretise::Spacing;
use tweedie_core::exact::Gaussian;
use tweedie_core::inpainting::Known;
use tweedie_core::noise::NoNoise;
use tweedie_core::plan::Step;
use tweedie_core::sampler::{self, Clip, Workspace};
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::thresholding::Thresholding;
use tweedie_core::{Denoiser, Error, NoiseLevel, StepId, ddim, inversion};

/// Data of mean 0 and some variances.
struct Exact<'a>(&'a [f64], Vec<NoiseLevel>);

impl Denoiser<[f64]> for Exact<'_> {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
        let mean = vec![0.0; x_t.len()];
        Gaussian { mean: &mean, variance: self.0 }.denoise(x_t, self.1[step.0], x0_hat).unwrap();
        Ok(())
    }
}

fn run(plan: &[Step], variance: &[f64], x: &mut [f64]) {
    let mut x0_hat = vec![f64::NAN; x.len()];
    let mut workspace = Workspace { x0_hats: &mut [&mut x0_hat[..]], noise: None };
    let mut denoiser = Exact(variance, plan.iter().map(|step| step.level).collect());
    sampler::run(plan, Clip::None, x, &mut workspace, &mut denoiser, &mut NoNoise, |_, _, _| ()).unwrap();
}

#[test]
fn inversion_and_sampling_undo_each_other_as_steps_grow_small() {
    let (schedule, variance) = (Schedule::Trigonometric, [0.2, 1.7]);
    let error = |steps: usize| {
        let mut times = vec![0.0; steps + 1];
        Spacing::Uniform.fill(&schedule, 0.95, 0.02, &mut times).unwrap();
        let (mut there, mut back) = (vec![Step::EMPTY; steps], vec![Step::EMPTY; steps]);
        ddim::plan(&schedule, &times, 0.0, &mut back).unwrap();
        times.reverse();
        inversion::plan(&schedule, &times, &mut there).unwrap();
        let start = [0.4, -1.1];
        let mut x = start;
        run(&there, &variance, &mut x);
        // The noise that belongs to it, as the exact flow has it.
        let (from, to) = (schedule.level(0.02).unwrap(), schedule.level(0.95).unwrap());
        let noise = (0..2).map(|i| (x[i] - start[i] * Gaussian::flow(variance[i], from, to)).abs()).fold(0.0, f64::max);
        run(&back, &variance, &mut x);
        let data = (0..2).map(|i| (x[i] - start[i]).abs()).fold(0.0, f64::max);
        (noise, data)
    };
    let (coarse, fine) = (error(100), error(1600));
    for (coarse, fine) in [(coarse.0, fine.0), (coarse.1, fine.1)] {
        let slope = (coarse / fine).log2() / 4.0;
        assert!((slope - 1.0).abs() < 0.2 && fine < 0.02, "{coarse} falls to {fine}");
    }
}

#[test]
fn inversion_refuses_what_it_cannot_do() {
    let (clean, noisy) = (NoiseLevel::CLEAN, NoiseLevel::new(0.6, 0.8).unwrap());
    assert_eq!(inversion::step(0.0, clean, noisy), Err(Error::NoiseVanishes));
    let less = NoiseLevel::new(0.8, 0.6).unwrap();
    assert!(matches!(inversion::step(0.5, noisy, less), Err(Error::NotDenoising { .. })));
    let falling = inversion::plan(&Schedule::FlowMatching, &[0.6, 0.2], &mut [Step::EMPTY]);
    assert!(matches!(falling, Err(Error::NotDenoising { .. })));
}

#[test]
fn inversion_stays_on_the_line_of_a_constant_estimate() {
    fn law(process: AnyProcess, s: u32, t: u32) -> bool {
        let s = between(s, 0.01, 0.98) * process.horizon();
        let t = between(t, s + 1e-4 * process.horizon(), process.horizon());
        let (from, to) = (process.level(s).unwrap(), process.level(t).unwrap());
        let step = inversion::step(s, from, to).unwrap();
        close(step.keep * from.sigma, to.sigma, 1e-14, to.sigma)
            && close(step.keep * from.alpha + step.pull()[0], to.alpha, 1e-12, 1.0 + step.keep)
    }
    check(3000, law as fn(AnyProcess, u32, u32) -> bool);
}

#[test]
fn known_elements_are_data_noised_to_the_level_and_the_others_stay() {
    let level = NoiseLevel::new(0.6, 0.8).unwrap();
    let (x0, mask, eps) = ([1.0f64, 2.0, 3.0], [true, false, true], [0.5, 0.5, -1.0]);
    let mut x = [9.0; 3];
    Known { x0: &x0, mask: &mask }.replace(&mut x, level, &eps).unwrap();
    assert_eq!(x, [0.6 * 1.0 + 0.8 * 0.5, 9.0, 0.6 * 3.0 - 0.8]);
    Known { x0: &x0, mask: &mask }.replace(&mut x, NoiseLevel::CLEAN, &eps).unwrap();
    assert_eq!(x, [1.0, 9.0, 3.0]);
    let mut single = [9.0f32; 3];
    let known = Known { x0: &[1.0f32, 2.0, 3.0], mask: &mask };
    known.replace(&mut single, level, &[0.5, 0.5, -1.0]).unwrap();
    assert_eq!(single, [1.0, 9.0, 1.0]);
    assert!(known.replace(&mut single, level, &[0.5; 2]).is_err());
    assert_eq!(single, [1.0, 9.0, 1.0]);
}

#[test]
fn inpainting_samples_what_the_known_part_implies() {
    // Two coordinates that are always the same, x0 = (a, a): given the first, the second must become it.
    struct Twins(Vec<NoiseLevel>);
    impl Denoiser<[f64]> for Twins {
        type Error = Infallible;
        fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
            // The mean of both is a Gaussian observation of a with half the noise's variance.
            let NoiseLevel { alpha, sigma } = self.0[step.0];
            let mean = 0.5 * (x_t[0] + x_t[1]);
            x0_hat.fill(alpha * mean / (alpha * alpha + 0.5 * sigma * sigma));
            Ok(())
        }
    }
    let schedule = Schedule::Trigonometric;
    let mut times = vec![0.0; 41];
    Spacing::Uniform.fill(&schedule, 0.99, 0.0, &mut times).unwrap();
    let mut plan = vec![Step::EMPTY; 40];
    ddim::plan(&schedule, &times, 0.0, &mut plan).unwrap();
    let levels: Vec<_> = plan.iter().map(|step| step.level).collect();
    let sample = |mask: [bool; 2]| {
        let (known, eps) = (Known { x0: &[1.5f64, 0.0], mask: &mask }, [0.3, 0.0]);
        let (mut x, mut x0_hat) = ([0.0, -0.8], [0.0; 2]);
        let mut denoiser = Twins(levels.clone());
        for (k, step) in plan.iter().enumerate() {
            known.replace(&mut x, levels[k], &eps).unwrap();
            let mut workspace = Workspace { x0_hats: &mut [&mut x0_hat[..]], noise: None };
            sampler::step(step, StepId(k), Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise)
                .unwrap();
        }
        known.replace(&mut x, NoiseLevel::CLEAN, &eps).unwrap();
        x
    };
    // Replacement is approximate: the denoiser takes the noise of the known part for unknown as well.
    let (implied, free) = (sample([true, false]), sample([false, false]));
    assert_eq!(implied[0], 1.5);
    assert!((implied[1] - 1.5).abs() < 0.25 && free[1] < 0.0, "{implied:?} {free:?}");
}

#[test]
fn thresholds_follow_the_quantile_of_each_sample() {
    fn law(elements: Vec<i16>, ratio: u32, most: u32) -> bool {
        let before: Vec<f64> = elements.iter().map(|&e| f64::from(e) / 4096.0).collect();
        if before.is_empty() {
            return true;
        }
        let (ratio, most) = (between(ratio, 0.0, 1.0), between(most, 1.0, 6.0));
        let mut after = before.clone();
        Thresholding { ratio, most }.apply(&mut after, &mut vec![0.0; before.len()]).unwrap();
        // By a full sort.
        let mut sorted: Vec<f64> = before.iter().map(|x| x.abs()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = ratio * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        let threshold = (low + at.fract() * (high - low)).clamp(1.0, most);
        before.iter().zip(after).all(|(b, a)| close(a, (b / threshold).clamp(-1.0, 1.0), 1e-12, 1.0))
    }
    check(2000, law as fn(Vec<i16>, u32, u32) -> bool);
    let refused = Thresholding { ratio: 1.5, most: 2.0 }.apply(&mut [1.0], &mut [0.0]);
    assert!(matches!(refused, Err(Error::OutOfRange { .. })));
    assert!(Thresholding { ratio: 0.5, most: 0.5 }.apply(&mut [1.0], &mut [0.0]).is_err());
    let thresholding = Thresholding { ratio: 0.5, most: 2.0 };
    assert!(matches!(thresholding.apply(&mut [1.0; 2], &mut [0.0]), Err(Error::WrongLength { need: 2, have: 1, .. })));
    assert!(thresholding.apply(&mut [], &mut []).is_err());
}
