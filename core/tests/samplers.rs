//! Laws of sampler steps and plans: coefficients, the marginals they conserve, and the spacings they run over.

mod generators;

use generators::{AnyProcess, between, check, close};
use tweedie_core::discretise::{ChainSpacing, Spacing};
use tweedie_core::plan::{self, MAX_PULLS, Step};
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Error, NoiseLevel, ddim, ddpm};

/// Two levels of a process, the noisier first; not so close that the step is all rounding.
fn pair(process: &AnyProcess, s: u32, t: u32) -> (f64, NoiseLevel, NoiseLevel) {
    let horizon = process.horizon();
    let s = between(s, 0.0, 0.999 * horizon);
    let t = between(t, s + 1e-4 * horizon, horizon);
    (t, process.level(t).unwrap(), process.level(s).unwrap())
}

fn eta_of(bits: u32) -> f64 {
    match bits % 4 {
        0 => 0.0,
        1 => 1.0,
        _ => between(bits, 0.0, 1.0),
    }
}

#[test]
fn ddim_coefficients_are_finite_and_within_one_when_variance_preserving() {
    fn law(process: AnyProcess, s: u32, t: u32, eta: u32, ends: u8) -> bool {
        // Any pair of times, however close, and both ends.
        let horizon = process.horizon();
        let s = if ends & 1 == 0 { between(s, 0.0, horizon) } else { 0.0 };
        let t = match ends >> 1 & 3 {
            0 => horizon,
            1 => s.next_up().min(horizon),
            _ => between(t, s, horizon),
        };
        let (from, to) = (process.level(t).unwrap(), process.level(s).unwrap());
        let step = match ddim::step(t, from, to, eta_of(eta)) {
            Ok(step) => step,
            Err(Error::NoiseVanishes) => return from.sigma == 0.0,
            // An ulp apart, rounding may turn the order of the levels round.
            Err(Error::NotDenoising { .. }) => return t - s < 1e-12 * horizon,
            Err(Error::SignalVanishes) => return to.alpha == 0.0,
            Err(error) => panic!("{error}"),
        };
        let [keep, pull, kick] = [step.keep, step.pull()[0], step.kick];
        assert!((t, from) == (step.t, step.level) && step.is_noisy() == (kick > 0.0));
        if process.is_variance_preserving() {
            assert!([keep, pull, kick].iter().all(|c| (0.0..=1.0).contains(c)), "{t} {s} {step:?}");
        }
        step.pull().len() == 1 && [keep, pull, kick].iter().all(|c| c.is_finite())
    }
    check(30_000, law as fn(AnyProcess, u32, u32, u32, u8) -> bool);
}

#[test]
fn ddim_conserves_the_marginal() {
    fn law(process: AnyProcess, s: u32, t: u32, eta: u32) -> bool {
        let (t, from, to) = pair(&process, s, t);
        let step = ddim::step(t, from, to, eta_of(eta)).unwrap();
        let noise = (step.keep * from.sigma).hypot(step.kick);
        let signal = step.keep * from.alpha + step.pull()[0];
        close(noise, to.sigma, 1e-14, to.sigma.max(f64::MIN_POSITIVE)) && close(signal, to.alpha, 1e-14, 1.0)
    }
    check(10_000, law as fn(AnyProcess, u32, u32, u32) -> bool);
}

#[test]
fn ddim_at_eta_one_is_ddpm_with_the_posterior_variance() {
    fn law(process: AnyProcess, s: u32, t: u32) -> bool {
        let (t, from, to) = pair(&process, s, t);
        let a = ddim::step(t, from, to, 1.0).unwrap();
        let b = ddpm::step(t, from, to, ddpm::Variance::Posterior).unwrap();
        let variance = ddpm::Variance::Posterior.of(from, to).unwrap();
        close(b.kick * b.kick, variance, 1e-14, variance)
            && close(a.kick, b.kick, 1e-13, to.sigma.max(f64::MIN_POSITIVE))
            && close(a.keep, b.keep, 1e-7, 1.0)
            && close(a.pull()[0], b.pull()[0], 1e-7, 1.0)
            // The same mean of what is left of the data.
            && close(b.keep * from.alpha + b.pull()[0], to.alpha, 1e-11, 1.0)
    }
    check(10_000, law as fn(AnyProcess, u32, u32) -> bool);
}

#[test]
fn ddpm_with_beta_variance_adds_what_the_forward_step_added() {
    fn law(process: AnyProcess, s: u32, t: u32) -> bool {
        let (t, from, to) = pair(&process, s, t);
        let step = ddpm::step(t, from, to, ddpm::Variance::Beta).unwrap();
        let ratio = from.alpha / to.alpha;
        let beta = from.sigma * from.sigma - ratio * ratio * to.sigma * to.sigma;
        close(step.kick * step.kick, beta, 1e-12, from.sigma * from.sigma)
    }
    check(5000, law as fn(AnyProcess, u32, u32) -> bool);
}

#[test]
fn deterministic_steps_of_the_variance_exploding_process_are_ratios_of_times() {
    fn law(s: u32, t: u32) -> bool {
        let process = Schedule::VarianceExploding { sigma_max: 80.0 };
        let s = between(s, 0.0, 79.0);
        let t = between(t, s, 80.0);
        let step = ddim::step(t, process.level(t).unwrap(), process.level(s).unwrap(), 0.0).unwrap();
        close(step.keep, s / t, 1e-14, 1.0) && close(step.pull()[0], 1.0 - s / t, 1e-14, 1.0) && step.kick == 0.0
    }
    check(5000, law as fn(u32, u32) -> bool);
}

#[test]
fn the_step_to_clean_data_lands_on_the_estimate() {
    fn law(process: AnyProcess, t: u32, eta: u32) -> bool {
        let t = between(t, 0.01, 1.0) * process.horizon();
        let from = process.level(t).unwrap();
        let steps = [
            ddim::step(t, from, NoiseLevel::CLEAN, eta_of(eta)).unwrap(),
            ddpm::step(t, from, NoiseLevel::CLEAN, ddpm::Variance::Posterior).unwrap(),
            ddpm::step(t, from, NoiseLevel::CLEAN, ddpm::Variance::Beta).unwrap(),
        ];
        steps.iter().all(|step| {
            step.keep == 0.0 && step.kick == 0.0 && !step.is_noisy() && close(step.pull()[0], 1.0, 1e-14, 1.0)
        })
    }
    check(2000, law as fn(AnyProcess, u32, u32) -> bool);
}

#[test]
fn plans_are_the_steps_between_their_times() {
    fn law(process: AnyProcess, count: u8, eta: u32) -> bool {
        let (count, eta) = (1 + usize::from(count % 40), eta_of(eta));
        let mut times = vec![0.0; count + 1];
        Spacing::Uniform.fill(&process, process.horizon(), 0.0, &mut times).unwrap();
        let (mut a, mut b) = (vec![Step::EMPTY; count], vec![Step::EMPTY; count]);
        ddim::plan(&process, &times, eta, &mut a).unwrap();
        ddpm::plan(&process, &times, ddpm::Variance::Beta, &mut b).unwrap();
        for (i, pair) in times.windows(2).enumerate() {
            let (from, to) = (process.level(pair[0]).unwrap(), process.level(pair[1]).unwrap());
            assert_eq!(a[i], ddim::step(pair[0], from, to, eta).unwrap());
            assert_eq!(b[i], ddpm::step(pair[0], from, to, ddpm::Variance::Beta).unwrap());
        }
        // The last step adds no noise, so a plan of one step never does.
        plan::history(&a) == 1 && plan::is_noisy(&a) == (eta > 0.0 && count > 1) && plan::is_noisy(&b) == (count > 1)
    }
    check(1000, law as fn(AnyProcess, u8, u32) -> bool);
}

#[test]
fn impossible_steps_are_typed_errors() {
    let (noisy, less) = (NoiseLevel::new(0.6, 0.8).unwrap(), NoiseLevel::new(0.8, 0.6).unwrap());
    for eta in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(ddim::step(0.5, noisy, less, eta), Err(Error::OutOfRange { name: "eta", .. })));
    }
    assert!(matches!(ddim::step(0.5, less, noisy, 0.0), Err(Error::NotDenoising { from, to }) if from > to));
    assert!(matches!(ddpm::step(0.5, less, noisy, ddpm::Variance::Beta), Err(Error::NotDenoising { .. })));
    assert_eq!(ddim::step(0.0, NoiseLevel::CLEAN, NoiseLevel::CLEAN, 0.0), Err(Error::NoiseVanishes));
    assert_eq!(ddpm::Variance::Beta.of(NoiseLevel::CLEAN, NoiseLevel::CLEAN), Err(Error::NoiseVanishes));
    let mut plan = vec![Step::EMPTY; 2];
    for times in [&[][..], &[1.0], &[1.0, 0.0], &[1.0, 0.5, 0.2, 0.0]] {
        let error = ddim::plan(&Schedule::FlowMatching, times, 0.0, &mut plan);
        assert!(matches!(error, Err(Error::WrongLength { need: 3, have, .. }) if have == times.len()));
    }
    assert!(ddim::plan(&Schedule::FlowMatching, &[1.0], 0.0, &mut []).is_err());
    assert!(ddim::plan(&Schedule::FlowMatching, &[1.0, 0.5, 0.6], 0.0, &mut plan).is_err());
    assert!(ddim::plan(&Schedule::FlowMatching, &[1.5, 0.5, 0.0], 0.0, &mut plan).is_err());
    for (keep, pull, kick) in [(f64::NAN, 1.0, 0.0), (1.0, f64::INFINITY, 0.0), (1.0, 1.0, -1.0), (1.0, 1.0, f64::NAN)]
    {
        assert!(matches!(Step::new(0.5, noisy, keep, &[pull], kick), Err(Error::OutOfRange { .. })));
    }
    for pulls in [0, MAX_PULLS + 1] {
        assert!(matches!(Step::new(0.5, noisy, 1.0, &vec![0.1; pulls], 0.0), Err(Error::WrongLength { .. })));
    }
}

#[test]
fn plans_refuse_coefficients_that_a_tensor_cannot_hold() {
    let level = NoiseLevel::new(1e-60, 1.0).unwrap();
    let step = Step::new(1.0, level, 1e60, &[0.25, 0.5], 0.125).unwrap();
    let error = step.for_tensor::<[f32]>().unwrap_err();
    assert_eq!((error.value, error.max), (1e60, f64::from(f32::MAX)));
    let same = step.for_tensor::<[f64]>().unwrap();
    assert_eq!((same.keep, same.pull(), same.kick, same.is_noisy()), (1e60, &[0.25, 0.5][..], 0.125, true));
    assert_eq!((same.t, same.level, plan::history(std::slice::from_ref(&same))), (1.0, level, 2));
}

#[test]
fn spacings_fall_strictly_and_meet_their_ends() {
    fn law(process: AnyProcess, kind: u8, count: u8, first: u32, last: u32, shape: u32) -> bool {
        let horizon = process.horizon();
        let first = if first.is_multiple_of(3) { horizon } else { between(first, 0.5, 1.0) * horizon };
        let last = if last.is_multiple_of(3) { 0.0 } else { between(last, 0.001, 0.4) * horizon };
        let spacing = match kind % 4 {
            0 => Spacing::Uniform,
            1 => Spacing::Exponential { growth: between(shape, 1e-3, 0.05) },
            2 => Spacing::LogSnr,
            _ => Spacing::Karras { rho: between(shape, 1.0, 10.0) },
        };
        let mut times = vec![f64::NAN; 2 + usize::from(count)];
        let (from, to) = (process.level(first).unwrap(), process.level(last).unwrap());
        match spacing.fill(&process, first, last, &mut times) {
            Ok(()) => {}
            Err(Error::SignalVanishes) => return from.alpha == 0.0 && kind % 4 >= 2,
            Err(Error::NoiseVanishes) => return to.sigma == 0.0 && kind % 4 == 2,
            Err(error) => panic!("{error}"),
        }
        assert!(times[0] == first && times[times.len() - 1] == last);
        assert!(times.windows(2).all(|pair| pair[0] > pair[1]), "{spacing:?} {times:?}");
        // And the quantity that a spacing is named after is evenly spaced.
        let value = |t: f64| match spacing {
            Spacing::LogSnr => process.level(t).unwrap().log_snr(),
            Spacing::Karras { rho } => {
                let level = process.level(t).unwrap();
                (level.sigma / level.alpha).powf(1.0 / rho)
            }
            // t = last + C1 (exp(C2 l) - 1), so exp(C2 l) is known from t.
            Spacing::Exponential { growth } => {
                let reach = (growth * (times.len() - 1) as f64).exp_m1();
                ((t - last) / (first - last) * reach).ln_1p()
            }
            _ => t,
        };
        let (start, end) = (value(first), value(last));
        let steps = (times.len() - 1) as f64;
        times.iter().zip(0..).all(|(&t, l)| {
            let expected = start + (end - start) * f64::from(l) / steps;
            close(value(t), expected, 1e-4, (end - start).abs() / steps)
        })
    }
    check(2000, law as fn(AnyProcess, u8, u8, u32, u32, u32) -> bool);
}

#[test]
fn impossible_spacings_are_typed_errors() {
    let fill = |spacing: Spacing, first, last, count| {
        spacing.fill(&Schedule::FlowMatching, first, last, &mut vec![0.0; count])
    };
    assert!(matches!(fill(Spacing::Uniform, 1.0, 0.0, 1), Err(Error::WrongLength { need: 2, have: 1, .. })));
    for (first, last) in [(1.1, 0.0), (1.0, -0.1), (0.5, 0.5), (0.2, 0.5), (f64::NAN, 0.0), (1.0, f64::NAN)] {
        assert!(matches!(fill(Spacing::Uniform, first, last, 5), Err(Error::OutOfRange { .. })), "{first} {last}");
    }
    for growth in [0.0, -1.0, 1000.0, f64::NAN] {
        assert!(matches!(
            fill(Spacing::Exponential { growth }, 1.0, 0.0, 5),
            Err(Error::OutOfRange { name: "growth", .. })
        ));
    }
    for rho in [0.5, f64::NAN] {
        assert!(matches!(fill(Spacing::Karras { rho }, 0.9, 0.0, 5), Err(Error::OutOfRange { name: "rho", .. })));
    }
    assert_eq!(fill(Spacing::LogSnr, 0.9, 0.0, 5), Err(Error::NoiseVanishes));
    assert_eq!(fill(Spacing::LogSnr, 1.0, 0.1, 5), Err(Error::SignalVanishes));
    assert_eq!(fill(Spacing::Karras { rho: 7.0 }, 1.0, 0.1, 5), Err(Error::SignalVanishes));
}

#[test]
fn timesteps_of_a_chain_fall_strictly_within_it() {
    fn law(total: u16, count: u16, offset: u8, kind: u8) -> bool {
        let total = 1 + usize::from(total % 3000);
        let count = 1 + usize::from(count) % total;
        let offset = u32::from(offset % 3);
        let spacing = match kind % 3 {
            0 => ChainSpacing::Linspace,
            1 => ChainSpacing::Trailing,
            _ => ChainSpacing::Leading { offset },
        };
        let mut timesteps = vec![u32::MAX; count];
        let filled = spacing.fill(total, &mut timesteps);
        let (last, stride) = (total as u32 - 1, (total / count) as u32);
        if kind % 3 == 2 && stride * (count as u32 - 1) + offset > last {
            return matches!(filled, Err(Error::OutOfRange { name: "timestep", .. }));
        }
        filled.unwrap();
        let ends = (timesteps[0], timesteps[count - 1]);
        let right = match spacing {
            ChainSpacing::Linspace => ends == (if count > 1 { last } else { 0 }, 0),
            ChainSpacing::Trailing => ends.0 == last && ends.1 + 1 >= stride,
            _ => ends.1 == offset && timesteps.windows(2).all(|pair| pair[0] - pair[1] == stride),
        };
        let previous = |tau| ChainSpacing::previous(tau, total, count);
        right
            && timesteps.windows(2).all(|pair| pair[0] > pair[1])
            && timesteps.iter().all(|&tau| tau <= last && previous(tau) == tau.checked_sub(stride))
    }
    check(3000, law as fn(u16, u16, u8, u8) -> bool);
    assert!(
        ChainSpacing::Linspace.fill(10, &mut [0; 11]).is_err() && ChainSpacing::Trailing.fill(10, &mut []).is_err()
    );
}
