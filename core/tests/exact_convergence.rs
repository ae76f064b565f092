//! With an exact denoiser only the solver errs: DDIM's error falls like 1/L, and so does the total variation of what it draws.
//!
//! On a line a deterministic sampler is an [`IncreasingMap`], so the distribution that it draws from is known exactly.

use tweedie_core::discretise::Spacing;
use tweedie_core::exact::{AlongPlan, DiagonalMixture, IncreasingMap};
use tweedie_core::noise::NoNoise;
use tweedie_core::plan::Step;
use tweedie_core::sampler::{self, Clip, Workspace};
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{NoiseLevel, ddim};

fn data() -> DiagonalMixture<'static> {
    DiagonalMixture::new(&[1.0, 2.0], &[-1.0, 1.0], &[0.04, 0.09]).unwrap()
}

/// DDIM plan of `steps` steps with the exponential discretisation (3.2.83) between two times; `steps * growth` is held fixed,
/// so that finer grids refine coarser ones.
fn plan(process: &Schedule, first: f64, last: f64, steps: usize) -> Vec<Step> {
    let (mut times, mut plan) = (vec![0.0; steps + 1], vec![Step::EMPTY; steps]);
    Spacing::Exponential { growth: 4.0 / steps as f64 }.fill(process, first, last, &mut times).unwrap();
    ddim::plan(process, &times, 0.0, &mut plan).unwrap();
    plan
}

/// Where a plan carries points of the line, each a sample of its own.
fn carried(plan: &[Step], start: &[f64]) -> Vec<f64> {
    let carry = |&x: &f64| {
        let (mut x, mut x0_hat) = ([x], [0.0]);
        let mut workspace = Workspace { x0_hats: &mut [&mut x0_hat[..]], noise: None };
        let mut denoiser = AlongPlan { data: data(), plan, scratch: &mut [] };
        sampler::run(plan, Clip::None, &mut x[..], &mut workspace, &mut denoiser, &mut NoNoise, |_, _, _| ()).unwrap();
        x[0]
    };
    start.iter().map(carry).collect()
}

/// Points across the distribution of `x_t`, a fine grid.
fn grid(level: NoiseLevel, count: i32) -> Vec<f64> {
    let reach = level.alpha * 2.5 + 6.0 * level.sigma;
    (0..=count).map(|i| reach * (f64::from(2 * i) / f64::from(count) - 1.0)).collect()
}

fn slope(errors: &[(usize, f64)]) -> f64 {
    let points: Vec<(f64, f64)> = errors.iter().map(|&(l, e)| ((l as f64).ln(), e.ln())).collect();
    let mean = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

const STEPS: [usize; 5] = [32, 64, 128, 256, 512];

#[test]
fn the_global_error_of_ddim_falls_like_one_over_the_steps() {
    for (process, first, last) in [
        (Schedule::VarianceExploding { sigma_max: 20.0 }, 20.0, 0.02),
        (Schedule::VariancePreserving, 0.999, 0.02),
        (Schedule::Trigonometric, 0.98, 0.01),
        (Schedule::FlowMatching, 0.98, 0.01),
    ] {
        let (from, to) = (process.level(first).unwrap(), process.level(last).unwrap());
        let start = grid(from, 40);
        let exact: Vec<f64> = start.iter().map(|&x| data().flow(x, from, to).unwrap()).collect();
        let errors = STEPS.map(|steps| {
            let found = carried(&plan(&process, first, last, steps), &start);
            let squares: f64 = found.iter().zip(&exact).map(|(a, b)| (a - b) * (a - b)).sum();
            (steps, (squares / start.len() as f64).sqrt())
        });
        println!("{process:?}: {errors:?}, slope {:.3}", slope(&errors));
        assert!((slope(&errors) + 1.0).abs() < 0.2, "{process:?}: {errors:?}");
    }
}

#[test]
fn the_total_variation_of_ddim_falls_like_one_over_the_steps() {
    // Theorem 3.4 with the Bayes-optimal denoiser: the variance-preserving process, its exponential discretisation, D = 1.
    let (process, first, last) = (Schedule::VariancePreserving, 0.9999, 0.01);
    let (from, to) = (process.level(first).unwrap(), process.level(last).unwrap());
    let start = grid(from, 5000);
    let errors = STEPS.map(|steps| {
        let end = carried(&plan(&process, first, last, steps), &start);
        let map = IncreasingMap::new(&start, &end).unwrap();
        (steps, map.total_variation(&data(), from, to).unwrap())
    });
    println!("total variation {errors:?}, slope {:.3}", slope(&errors));
    assert!((slope(&errors) + 1.0).abs() < 0.2, "{errors:?}");
    assert!(errors[4].1 < 0.01, "{errors:?}");
}

#[test]
fn entropy_falls_along_the_reverse_process() {
    // Theorem 3.3: h(E[x_s | x_t]) < h(x_t) for every s < t, in the variance-exploding process; E[x_s | x_t] is one DDIM step.
    let process = Schedule::VarianceExploding { sigma_max: 20.0 };
    for (t, s) in [(20.0, 10.0), (3.0, 2.9), (1.0, 0.2), (0.3, 0.25), (0.1, 0.01), (0.05, 0.049)] {
        let level = process.level(t).unwrap();
        let start = grid(level, 5000);
        let mut step = vec![Step::EMPTY];
        ddim::plan(&process, &[t, s], 0.0, &mut step).unwrap();
        let end = carried(&step, &start);
        let change = IncreasingMap::new(&start, &end).unwrap().entropy_gained(&data(), level).unwrap();
        println!("from {t} to {s}: {change:.4} nats");
        assert!(change < 0.0, "from {t} to {s}: {change}");
    }
}

#[test]
fn maps_on_a_line() {
    // x + 1 moves a unit Gaussian: total variation 2 Phi(1/2) - 1, entropy unchanged; x / 2 costs ln 2.
    let (unit, clean) = (DiagonalMixture::new(&[1.0], &[0.0], &[1.0]).unwrap(), NoiseLevel::CLEAN);
    let from: Vec<f64> = (-4000..=4000).map(|i| f64::from(i) / 400.0).collect();
    let moved: Vec<f64> = from.iter().map(|x| x + 1.0).collect();
    let map = IncreasingMap::new(&from, &moved).unwrap();
    assert!((map.total_variation(&unit, clean, clean).unwrap() - 0.382_924_922_548_026).abs() < 1e-6);
    assert!(map.entropy_gained(&unit, clean).unwrap().abs() < 1e-12);
    let half: Vec<f64> = from.iter().map(|x| 0.5 * x).collect();
    let gained = IncreasingMap::new(&from, &half).unwrap().entropy_gained(&unit, clean).unwrap();
    assert!((gained + std::f64::consts::LN_2).abs() < 1e-12);
    assert!(IncreasingMap::new(&from, &from[1..]).is_err() && IncreasingMap::new(&[1.0], &[1.0]).is_err());
    assert!(IncreasingMap::new(&[0.0, 1.0, 2.0], &[0.0, 1.0, 1.0]).is_err());
    assert!(IncreasingMap::new(&[0.0, f64::NAN], &[0.0, 1.0]).is_err());
}
