//! Laws of what networks predict: conversions, their round trips and their typed errors, Tweedie's formula.

mod generators;

use generators::{AnyProcess, between, check, close};
use quickcheck::{Arbitrary, Gen};
use tweedie_core::noise_level::Velocity;
use tweedie_core::prediction::{Conversion, Moment, Prediction};
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Error, NoiseLevel, tweedie};

const ALL: [Prediction; 5] = [Prediction::X0, Prediction::Eps, Prediction::V, Prediction::Velocity, Prediction::Score];

/// A moment of any process, away from its ends; of a chain in the middle of a step, where every prediction is informative.
fn moment(process: &AnyProcess, t: u32) -> Moment {
    let t = match process.pieces() {
        None => between(t, 0.02, 0.95) * process.horizon(),
        Some(steps) => (between(t, 0.0, steps as f64).floor() + 0.5) / steps as f64,
    };
    Moment::at(process, t).unwrap()
}

/// What an ideal network would output.
fn output(prediction: Prediction, moment: &Moment, x_0: f64, eps: f64) -> f64 {
    let target = prediction.target(moment).unwrap();
    target.from_x0 * x_0 + target.from_eps * eps
}

#[test]
fn targets_are_what_the_texts_say() {
    fn law(process: AnyProcess, t: u32, x_0: u32, eps: u32) -> bool {
        let (moment, x_0, eps) = (moment(&process, t), between(x_0, -3.0, 3.0), between(eps, -4.0, 4.0));
        assert!(!process.is_variance_preserving() || close(moment.level.norm(), 1.0, 1e-15, 2.0));
        let Moment { level: NoiseLevel { alpha, sigma }, velocity } = moment;
        let is = |prediction, expected: f64| {
            close(output(prediction, &moment, x_0, eps), expected, 1e-14, 10.0 + expected.abs())
        };
        is(Prediction::X0, x_0)
            && is(Prediction::Eps, eps)
            && is(Prediction::V, (alpha * eps - sigma * x_0) / moment.level.norm())
            && is(Prediction::Velocity, velocity.alpha * x_0 + velocity.sigma * eps)
            && is(Prediction::Score, -eps / sigma)
    }
    check(2000, law as fn(AnyProcess, u32, u32, u32) -> bool);
}

#[test]
fn every_prediction_of_the_truth_gives_back_the_data() {
    fn law(process: AnyProcess, t: u32, x_0: u32, eps: u32) -> bool {
        let (moment, x_0, eps) = (moment(&process, t), between(x_0, -3.0, 3.0), between(eps, -4.0, 4.0));
        let level = moment.level;
        let x_t = level.alpha * x_0 + level.sigma * eps;
        ALL.into_iter().all(|prediction| {
            let conversion = prediction.to_x0(&moment).unwrap();
            let output = output(prediction, &moment, x_0, eps);
            // What cancels, times the rounding.
            let size = (conversion.from_state * x_t).abs() + (conversion.from_output * output).abs() + 1.0;
            close(conversion.apply(x_t, output), x_0, 1e-12, size)
        })
    }
    check(5000, law as fn(AnyProcess, u32, u32, u32) -> bool);
}

#[test]
fn conversions_round_trip_between_every_pair() {
    fn law(process: AnyProcess, t: u32, x_t: u32, output: u32) -> bool {
        let (moment, x_t, output) = (moment(&process, t), between(x_t, -5.0, 5.0), between(output, -5.0, 5.0));
        for from in ALL {
            for to in ALL {
                let there = from.convert(to, &moment).unwrap();
                let back = to.convert(from, &moment).unwrap();
                let other = there.apply(x_t, output);
                let again = back.apply(x_t, other);
                let size = |c: Conversion, o: f64| (c.from_state * x_t).abs() + (c.from_output * o).abs();
                // The rounding on the way there is amplified on the way back; two hops each through x_0.
                let hub = size(from.to_x0(&moment).unwrap(), output) + size(to.to_x0(&moment).unwrap(), other);
                let scale = size(back, other)
                    + back.from_output.abs() * size(there, output)
                    + from.from_x0(&moment).unwrap().from_output.abs() * hub
                    + 1.0;
                assert!(close(again, output, 1e-12, scale), "{from:?} {to:?} {moment:?}: {again} for {output}");
            }
        }
        true
    }
    check(2000, law as fn(AnyProcess, u32, u32, u32) -> bool);
}

#[test]
fn conversions_agree_on_the_truth() {
    fn law(process: AnyProcess, t: u32, x_0: u32, eps: u32) -> bool {
        let (moment, x_0, eps) = (moment(&process, t), between(x_0, -3.0, 3.0), between(eps, -4.0, 4.0));
        let x_t = moment.level.alpha * x_0 + moment.level.sigma * eps;
        ALL.into_iter().all(|from| {
            ALL.into_iter().all(|to| {
                let (conversion, given) = (from.convert(to, &moment).unwrap(), output(from, &moment, x_0, eps));
                let hub = from.to_x0(&moment).unwrap();
                let onward = to.from_x0(&moment).unwrap().from_output.abs();
                let scale = (1.0 + onward) * ((hub.from_state * x_t).abs() + (hub.from_output * given).abs() + 1.0)
                    + (conversion.from_state * x_t).abs();
                close(conversion.apply(x_t, given), output(to, &moment, x_0, eps), 1e-12, scale)
            })
        })
    }
    check(2000, law as fn(AnyProcess, u32, u32, u32) -> bool);
}

/// A finite moment that no process need ever reach: each number 0 or of any magnitude.
#[derive(Clone, Debug)]
struct Extreme(Moment);

impl Arbitrary for Extreme {
    fn arbitrary(g: &mut Gen) -> Self {
        let number = |g: &mut Gen| match u32::arbitrary(g) % 4 {
            0 => 0.0,
            1 => 1.0,
            _ => f64::from_bits(u64::arbitrary(g) & 0x7fff_ffff_ffff_ffff).min(1e300),
        };
        let mut positive = || number(g);
        let (alpha, sigma) = (positive(), positive());
        let velocity = Velocity { alpha: -positive(), sigma: positive() };
        let level = if alpha == 0.0 && sigma == 0.0 { NoiseLevel::CLEAN } else { NoiseLevel { alpha, sigma } };
        Self(Moment { level, velocity })
    }
}

#[test]
fn coefficients_are_finite_or_an_error_says_why() {
    fn law(Extreme(moment): Extreme) -> bool {
        for from in ALL {
            for conversion in [from.to_x0(&moment), from.from_x0(&moment)] {
                match conversion {
                    Ok(c) => {
                        assert!(c.from_state.is_finite() && c.from_output.is_finite(), "{from:?} {moment:?} {c:?}")
                    }
                    Err(error) => assert!(explains(error), "{error:?}"),
                }
            }
            match from.target(&moment) {
                Ok(t) => assert!(t.from_x0.is_finite() && t.from_eps.is_finite(), "{from:?} {moment:?} {t:?}"),
                Err(error) => assert!(explains(error), "{error:?}"),
            }
            for to in ALL {
                match from.convert(to, &moment) {
                    Ok(c) => assert!(
                        c.from_state.is_finite() && c.from_output.is_finite(),
                        "{from:?} {to:?} {moment:?} {c:?}"
                    ),
                    Err(error) => assert!(explains(error), "{error:?}"),
                }
            }
        }
        let norm = moment.level.norm();
        norm >= moment.level.alpha.max(moment.level.sigma) * (1.0 - 1e-15)
            && norm <= 1.5 * moment.level.alpha.max(moment.level.sigma)
    }
    fn explains(error: Error) -> bool {
        matches!(error, Error::SignalVanishes | Error::NoiseVanishes | Error::VelocityUninformative)
    }
    check(100_000, law as fn(Extreme) -> bool);
}

#[test]
fn v_determines_the_data_at_any_level() {
    fn law(alpha: u32, sigma: u32, exponent: i16, x_0: u32, eps: u32) -> bool {
        // Levels of any magnitude: the conversion depends on their ratio, and scales with them.
        let magnitude = 2.0_f64.powi(i32::from(exponent) % 900);
        let level =
            NoiseLevel::new(between(alpha, 0.0, 1.0) * magnitude, between(sigma, 0.0, 1.0) * magnitude).unwrap();
        let moment = Moment { level, velocity: Velocity { alpha: 0.0, sigma: 0.0 } };
        let (x_0, eps) = (between(x_0, -3.0, 3.0), between(eps, -4.0, 4.0));
        let x_t = level.alpha * x_0 + level.sigma * eps;
        let estimate = Prediction::V.to_x0(&moment).unwrap().apply(x_t, output(Prediction::V, &moment, x_0, eps));
        close(estimate, x_0, 1e-13, 10.0)
    }
    check(5000, law as fn(u32, u32, i16, u32, u32) -> bool);
}

#[test]
fn vanishing_signal_and_noise_are_typed_errors() {
    let at = |schedule: Schedule, t| Moment::at(&schedule, t).unwrap();
    for schedule in
        [Schedule::Trigonometric, Schedule::FlowMatching, Schedule::CosineSquared, Schedule::VariancePreserving]
    {
        let noise = at(schedule, 1.0);
        assert_eq!(Prediction::Eps.to_x0(&noise), Err(Error::SignalVanishes));
        assert_eq!(Prediction::Score.to_x0(&noise), Err(Error::SignalVanishes));
        assert_eq!(Prediction::V.to_x0(&noise).map(|c| (c.from_state, c.from_output)), Ok((0.0, -1.0)));
        assert!(Prediction::X0.to_x0(&noise).is_ok() && Prediction::Eps.from_x0(&noise).is_ok());
        let data = at(schedule, 0.0);
        for prediction in [Prediction::Eps, Prediction::V, Prediction::Velocity, Prediction::Score] {
            assert_eq!(prediction.from_x0(&data), Err(Error::NoiseVanishes), "{schedule:?} {prediction:?}");
            assert_eq!(prediction.convert(prediction, &data).map(|c| c.apply(3.0, 7.0)), Ok(7.0));
        }
        assert_eq!(Prediction::Score.target(&data), Err(Error::NoiseVanishes));
        assert_eq!(Prediction::Eps.to_x0(&data).map(|c| c.apply(3.0, 7.0)), Ok(3.0));
    }
    // The velocity of flow matching is informative to the very ends: x_0 = x_1 - u.
    assert_eq!(Prediction::Velocity.to_x0(&at(Schedule::FlowMatching, 1.0)).map(|c| c.apply(5.0, 2.0)), Ok(3.0));
    assert_eq!(Prediction::Velocity.to_x0(&at(Schedule::FlowMatching, 0.0)).map(|c| c.apply(5.0, 2.0)), Ok(5.0));
    // That of the cosine-squared process is not: there the level stands still.
    for t in [0.0, 1.0] {
        assert_eq!(Prediction::Velocity.to_x0(&at(Schedule::CosineSquared, t)), Err(Error::VelocityUninformative));
    }
    // Infinite slopes: sigma' of a linear beta at data, alpha' of alpha = sqrt(1 - t^2) at noise.
    let linear = Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 };
    for moment in [at(linear, 0.0), at(Schedule::VariancePreserving, 1.0)] {
        assert_eq!(Prediction::Velocity.to_x0(&moment), Err(Error::VelocityUninformative));
        assert_eq!(Prediction::Velocity.target(&moment), Err(Error::VelocityUninformative));
    }
}

#[test]
fn tweedies_formula_and_its_inverse() {
    fn law(process: AnyProcess, t: u32, x_t: u32, score: u32) -> bool {
        let (level, x_t, score) = (moment(&process, t).level, between(x_t, -5.0, 5.0), between(score, -5.0, 5.0));
        let estimate = tweedie::x0_hat(x_t, score, level).unwrap();
        let expected = (x_t + level.sigma * level.sigma * score) / level.alpha;
        let back = tweedie::score(x_t, estimate, level).unwrap();
        let size = x_t.abs() + level.sigma * level.sigma * score.abs();
        close(estimate, expected, 1e-14, size / level.alpha)
            && close(back, score, 1e-13, size / (level.sigma * level.sigma))
    }
    check(5000, law as fn(AnyProcess, u32, u32, u32) -> bool);
    let noise = NoiseLevel { alpha: 0.0, sigma: 1.0 };
    assert_eq!(tweedie::x0_hat(1.0, 1.0, noise), Err(Error::SignalVanishes));
    assert_eq!(tweedie::score(1.0, 1.0, NoiseLevel::CLEAN), Err(Error::NoiseVanishes));
}
