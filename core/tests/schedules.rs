//! Laws of schedules, chains and the forward process.

mod generators;

use generators::{AnyProcess, between, check, close};
use tweedie_core::chain::{Betas, Chain};
use tweedie_core::forward::Noising;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Error, NoiseLevel};

#[test]
fn the_forward_sde_leads_to_the_jump() {
    let schedules = [
        (Schedule::Trigonometric, 0.8),
        (Schedule::VariancePreserving, 0.8),
        (Schedule::VarianceExploding { sigma_max: 10.0 }, 2.0),
        (Schedule::CosineSquared, 0.8),
        (Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 }, 0.5),
        (Schedule::FlowMatching, 0.8),
    ];
    for (schedule, end) in schedules {
        let error = |steps: usize| {
            let time = |step: usize| end * step as f64 / steps as f64;
            let composed = (0..steps).fold(Noising { signal: 1.0, noise: 0.0 }, |so_far, step| {
                so_far.then(Noising::euler_maruyama(&schedule, time(step), time(step + 1)).unwrap())
            });
            let jump = Noising::jump(schedule.level(end).unwrap());
            (composed.signal - jump.signal).abs() + (composed.noise - jump.noise).abs()
        };
        // Of first order: ten times the steps leave a tenth of the error.
        let (coarse, fine) = (error(200), error(2000));
        assert!(fine < 2e-3 && (8.0..12.5).contains(&(coarse / fine)), "{schedule:?}: {coarse} {fine}");
    }
    let flow = Schedule::FlowMatching;
    assert_eq!(Noising::euler_maruyama(&flow, 1.0, 1.0), Err(Error::SignalVanishes));
    assert!(matches!(Noising::euler_maruyama(&flow, 0.5, 0.4), Err(Error::NotDenoising { .. })));
}

#[test]
fn one_step_noise_composes_to_the_jump() {
    fn law(bits: Vec<u32>) -> bool {
        let betas: Vec<f64> = bits.iter().map(|&b| between(b, 1e-6, 0.9)).collect();
        if betas.is_empty() {
            return Chain::new(Betas::Given(&betas), &mut []).is_err();
        }
        let mut storage = vec![0.0; betas.len()];
        let chain = Chain::new(Betas::Given(&betas), &mut storage).unwrap();
        let mut composed = Noising { signal: 1.0, noise: 0.0 };
        for (&beta, i) in betas.iter().zip(1..) {
            composed = composed.then(Noising::one_step(beta).unwrap());
            let jump = Noising::jump(chain.level_at(i).unwrap());
            // The mean's factor and the variance, relative; 1 - alpha_bar loses digits where it is small.
            let (mean, variance) = (jump.signal, jump.noise * jump.noise);
            assert!(close(composed.signal, mean, 1e-13, mean), "{i}: {composed:?} {jump:?}");
            assert!(
                close(composed.noise * composed.noise, variance, 1e-14 / variance, variance),
                "{i}: {composed:?} {jump:?}"
            );
            assert!(close(chain.beta(i).unwrap(), beta, 1e-14, 1.0));
        }
        true
    }
    check(2000, law as fn(Vec<u32>) -> bool);
}

#[test]
fn noising_a_tensor_step_by_step_is_the_jump_with_the_combined_noise() {
    fn law(x0: u32, steps: Vec<(u32, u32)>) -> bool {
        let x0 = between(x0, -3.0, 3.0);
        let (mut x, mut total, mut noise) = ([x0], Noising { signal: 1.0, noise: 0.0 }, 0.0);
        for (beta, eps) in steps {
            let (step, eps) = (Noising::one_step(between(beta, 0.0, 0.9)).unwrap(), between(eps, -4.0, 4.0));
            step.apply(&mut x[..], &[eps]).unwrap();
            noise = step.signal * noise + step.noise * eps;
            total = total.then(step);
        }
        close(x[0], total.signal * x0 + noise, 1e-12, 10.0)
    }
    check(2000, law as fn(u32, Vec<(u32, u32)>) -> bool);
}

#[test]
fn noising_between_levels_is_transitive() {
    fn law(process: AnyProcess, a: u32, b: u32, c: u32) -> bool {
        let mut times = [a, b, c].map(|bits| between(bits, 0.0, process.horizon()));
        times.sort_by(f64::total_cmp);
        let [a, b, c] = times.map(|t| process.level(t).unwrap());
        if b.alpha == 0.0 && c.alpha == 0.0 {
            return true;
        }
        let through = Noising::between(a, b).unwrap().then(Noising::between(b, c).unwrap());
        let straight = Noising::between(a, c).unwrap();
        let scale = straight.noise.max(c.sigma);
        close(through.signal, straight.signal, 1e-12, 1.0) && close(through.noise, straight.noise, 1e-7, scale)
    }
    check(3000, law as fn(AnyProcess, u32, u32, u32) -> bool);
}

#[test]
fn variance_preserving_processes_keep_unit_variance() {
    fn law(process: AnyProcess, t: u32) -> bool {
        let level = process.level(between(t, 0.0, process.horizon())).unwrap();
        let total = level.alpha * level.alpha + level.sigma * level.sigma;
        !process.is_variance_preserving() || (close(total, 1.0, 1e-15, 2.0) && close(level.norm(), 1.0, 1e-15, 2.0))
    }
    check(10_000, law as fn(AnyProcess, u32) -> bool);
    assert!(Schedule::VariancePreserving.is_variance_preserving() && Schedule::Trigonometric.is_variance_preserving());
    assert!(!Schedule::FlowMatching.is_variance_preserving() && !Schedule::CosineSquared.is_variance_preserving());
}

#[test]
fn every_process_runs_from_clean_data_to_less_signal() {
    fn law(process: AnyProcess) -> bool {
        let end = process.level(process.horizon()).unwrap();
        process.level(0.0) == Ok(NoiseLevel::CLEAN) && end.log_snr() < 20.0 && end.sigma > 0.0
    }
    check(1000, law as fn(AnyProcess) -> bool);
}

#[test]
fn log_snr_strictly_falls() {
    fn law(process: AnyProcess, s: u32, gap: u32) -> bool {
        let horizon = process.horizon();
        let s = between(s, 0.0, horizon * (1.0 - 1e-6));
        let t = between(gap, s + 1e-7 * horizon, horizon);
        let (less, more) = (process.level(s).unwrap(), process.level(t).unwrap());
        assert!(less.log_snr() > more.log_snr(), "{s} {t} {less:?} {more:?}");
        assert!(less.alpha >= more.alpha && less.sigma <= more.sigma, "{s} {t} {less:?} {more:?}");
        // The angle, between 0 and 1, has no digits for differences smaller than this.
        let differ = less.alpha - more.alpha + more.sigma - less.sigma > 1e-14;
        assert!(!differ || less.angle() < more.angle(), "{s} {t} {less:?} {more:?}");
        true
    }
    check(20_000, law as fn(AnyProcess, u32, u32) -> bool);
}

#[test]
fn velocity_is_the_slope_of_the_level() {
    fn law(process: AnyProcess, t: u32) -> bool {
        let horizon = process.horizon();
        let t = match process.pieces() {
            None => between(t, 0.02, 0.98) * horizon,
            // Within a piece, away from its kinks; the first is left out, where sigma' tends to infinity.
            Some(steps) => {
                let at = between(t, 1.0, steps as f64);
                (at.floor() + at.fract().clamp(0.2, 0.8)) / steps as f64
            }
        };
        let h = 1e-5 * horizon / process.pieces().unwrap_or(1) as f64;
        let (before, after) = (process.level(t - h).unwrap(), process.level(t + h).unwrap());
        let velocity = process.velocity(t).unwrap();
        let slope = |a: f64, b: f64| (b - a) / (2.0 * h);
        let scale = (velocity.alpha.abs() + velocity.sigma.abs()).max(1.0 / horizon);
        close(velocity.alpha, slope(before.alpha, after.alpha), 1e-6, scale)
            && close(velocity.sigma, slope(before.sigma, after.sigma), 1e-6, scale)
    }
    check(10_000, law as fn(AnyProcess, u32) -> bool);
}

#[test]
fn velocity_is_a_number_and_points_towards_noise() {
    fn law(process: AnyProcess, t: u32, ends: u8) -> bool {
        let t = match ends % 8 {
            0 => 0.0,
            1 => process.horizon(),
            _ => between(t, 0.0, process.horizon()),
        };
        let velocity = process.velocity(t).unwrap();
        let inside = 0.0 < t && t < process.horizon();
        velocity.alpha <= 0.0
            && velocity.sigma >= 0.0
            && (!inside || (velocity.alpha.is_finite() && velocity.sigma.is_finite()))
    }
    check(10_000, law as fn(AnyProcess, u32, u8) -> bool);
}

#[test]
fn time_of_log_snr_inverts_log_snr() {
    fn law(process: AnyProcess, t: u32) -> bool {
        let t = between(t, 0.0, process.horizon());
        let log_snr = process.level(t).unwrap().log_snr();
        let back = process.time_of_log_snr(log_snr).unwrap();
        // In log-SNR to rounding, in time to what the rounding of alpha and sigma leaves of it.
        let at = |t: f64| process.level(t).unwrap().log_snr();
        let again = at(back);
        let one_bit = (at(back.next_down()) - at(back.next_up().min(process.horizon()))).abs();
        assert!(
            close(again, log_snr, 1e-13, 1.0 + log_snr.abs()) || close(again, log_snr, 1.0, one_bit),
            "{again} {log_snr}"
        );
        assert!(close(back, t, 1e-5, process.horizon()), "{back} {t}");
        true
    }
    check(2000, law as fn(AnyProcess, u32) -> bool);
}

#[test]
fn time_of_log_snr_is_clamped_to_the_interval() {
    for schedule in [Schedule::FlowMatching, Schedule::VarianceExploding { sigma_max: 80.0 }, Schedule::Trigonometric] {
        assert_eq!(schedule.time_of_log_snr(f64::NEG_INFINITY), Ok(schedule.horizon()));
        assert!(schedule.time_of_log_snr(f64::INFINITY).unwrap() < 1e-300);
        assert!(matches!(schedule.time_of_log_snr(f64::NAN), Err(Error::OutOfRange { name: "log_snr", .. })));
    }
}

#[test]
fn the_reversed_clock_runs_from_noise_to_data() {
    fn law(process: AnyProcess, t: u32) -> bool {
        let (t, horizon) = (between(t, 0.0, process.horizon()), process.horizon());
        process.level_reversed(t) == process.level(horizon - t)
    }
    check(1000, law as fn(AnyProcess, u32) -> bool);
    assert_eq!(Schedule::FlowMatching.level_reversed(1.0), Ok(NoiseLevel::CLEAN));
}

#[test]
fn times_outside_the_interval_are_errors() {
    fn law(process: AnyProcess) -> bool {
        let horizon = process.horizon();
        [-1e-300, -1.0, horizon * (1.0 + 1e-15), f64::INFINITY, f64::NEG_INFINITY, f64::NAN].into_iter().all(|t| {
            matches!(process.level(t), Err(Error::TimeOutOfRange { horizon: h, .. }) if h == horizon)
                && matches!(process.velocity(t), Err(Error::TimeOutOfRange { .. }))
        })
    }
    check(1000, law as fn(AnyProcess) -> bool);
}

#[test]
fn continuous_time_meets_every_entry_of_a_chain() {
    for steps in (1..=64).chain([999, 1000, 4000, 10_007]) {
        let mut storage = vec![0.0; steps];
        let chain = Chain::new(Betas::Linear { start: 1e-4, end: 0.02 }, &mut storage).unwrap();
        for i in 0..=steps {
            assert_eq!(chain.level(i as f64 / steps as f64), chain.level_at(i), "{i} of {steps}");
        }
    }
}

#[test]
fn zero_terminal_snr_keeps_the_first_step_and_ends_without_signal() {
    for betas in
        [Betas::Linear { start: 1e-4, end: 0.02 }, Betas::ScaledLinear { start: 1e-4, end: 0.02 }, Betas::Cosine]
    {
        let (mut plain, mut rescaled) = ([0.0; 300], [0.0; 300]);
        let plain = Chain::new(betas, &mut plain).unwrap();
        let rescaled = Chain::with_zero_terminal_snr(betas, &mut rescaled).unwrap();
        assert!((rescaled.alpha_bar(1).unwrap() / plain.alpha_bar(1).unwrap() - 1.0).abs() < 1e-15);
        assert_eq!(rescaled.level_at(300), Ok(NoiseLevel { alpha: 0.0, sigma: 1.0 }));
        assert_eq!(rescaled.beta(300), Ok(1.0));
        // Square roots of alpha_bar are stretched evenly.
        let root = |chain: &Chain<&[f64]>, i| chain.level_at(i).unwrap().alpha;
        let stretch = |a, b| (root(&rescaled, a) - root(&rescaled, b)) / (root(&plain, a) - root(&plain, b));
        assert!((stretch(1, 150) / stretch(150, 300) - 1.0).abs() < 1e-12);
    }
}

#[test]
fn impossible_chains_and_schedules_are_errors() {
    let range = |betas: Betas<'_>| matches!(Chain::new(betas, &mut [0.0; 3]), Err(Error::OutOfRange { .. }));
    for bad in [-1e-9, 1.0, 7.0, f64::NAN] {
        assert!(range(Betas::Linear { start: bad, end: 0.02 }) && range(Betas::Linear { start: 0.02, end: bad }));
        assert!(range(Betas::ScaledLinear { start: bad, end: 0.02 }) && range(Betas::Sigmoid { start: 0.0, end: bad }));
        assert!(range(Betas::Given(&[0.1, bad, 0.1])));
        assert!(NoiseLevel::from_alpha_bar(bad).is_ok() == (bad == 1.0) && Noising::one_step(-1e-9).is_err());
    }
    let given = Betas::Given(&[0.1, 0.2]);
    assert!(matches!(Chain::new(given, &mut [0.0; 3]), Err(Error::WrongLength { need: 3, have: 2, .. })));
    assert!(matches!(Chain::new(Betas::Cosine, &mut []), Err(Error::WrongLength { .. })));
    assert!(Chain::with_zero_terminal_snr(Betas::Cosine, &mut [0.0]).is_err());
    assert!(Chain::from_alpha_bar([]).is_err() && Chain::from_alpha_bar([0.5, 0.6]).is_err());
    let chain = Chain::from_alpha_bar([0.9, 0.5]).unwrap();
    assert!(chain.alpha_bar(3).is_err() && chain.beta(3).is_err() && chain.beta(0).is_err());
    assert!(Schedule::VarianceExploding { sigma_max: 0.0 }.level(0.0).is_err());
    assert!(Schedule::VarianceExploding { sigma_max: f64::NAN }.level(0.0).is_err());
    assert!(Schedule::LinearBeta { beta_min: 2.0, beta_max: 1.0 }.level(0.5).is_err());
    assert!(Schedule::LinearBeta { beta_min: 0.1, beta_max: f64::INFINITY }.level(0.5).is_err());
    for (alpha, sigma) in [(0.0, 0.0), (-1.0, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
        assert!(matches!(NoiseLevel::new(alpha, sigma), Err(Error::InvalidNoiseLevel { .. })));
    }
}
