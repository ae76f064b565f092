//! Loss weights: one regression under different weights, whatever the network predicts.

mod generators;

use generators::{AnyProcess, between, check, close};
use tweedie_core::loss::{Weight, mean_squared_error};
use tweedie_core::noise_level::Velocity;
use tweedie_core::prediction::{Moment, Prediction};
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Error, NoiseLevel};

const ALL: [Prediction; 5] = [Prediction::X0, Prediction::Eps, Prediction::V, Prediction::Velocity, Prediction::Score];

fn moment(process: &AnyProcess, t: u32) -> Moment {
    let t = match process.pieces() {
        None => between(t, 0.02, 0.98) * process.horizon(),
        Some(steps) => (between(t, 0.0, steps as f64).floor() + 0.5) / steps as f64,
    };
    Moment::at(process, t).unwrap()
}

fn weight_of(bits: u32) -> Weight {
    if bits.is_multiple_of(2) { Weight::Snr } else { Weight::MinSnr { gamma: between(bits, 0.1, 20.0) } }
}

/// The weight on the squared error of `x0_hat`.
fn on_x0(weight: Weight, level: NoiseLevel) -> f64 {
    match weight {
        Weight::MinSnr { gamma } => level.snr().min(gamma),
        _ => level.snr(),
    }
}

#[test]
fn the_weighted_loss_does_not_depend_on_the_prediction() {
    fn law(process: AnyProcess, t: u32, weight: u32, x_0: u32, eps: u32, error: u32) -> bool {
        let (moment, weight) = (moment(&process, t), weight_of(weight));
        let (x_0, eps) = (between(x_0, -2.0, 2.0), between(eps, -3.0, 3.0));
        let x_t = moment.level.alpha * x_0 + moment.level.sigma * eps;
        // An estimate that is off by some error, expressed in every way that a network might.
        let error = between(error, 0.1, 1.0);
        let expected = on_x0(weight, moment.level) * error * error;
        for prediction in ALL {
            let conversion = prediction.from_x0(&moment).unwrap();
            let (output, target) = (conversion.apply(x_t, x_0 + error), conversion.apply(x_t, x_0));
            let loss = weight.factor(prediction, &moment).unwrap() * mean_squared_error(&[output], &[target]);
            let cancelled =
                (target / (output - target)).abs() + (conversion.from_state * x_t / (output - target)).abs();
            assert!(close(loss, expected, 1e-13 * (2.0 + cancelled), expected), "{prediction:?} {weight:?} {moment:?}");
        }
        true
    }
    check(5000, law as fn(AnyProcess, u32, u32, u32, u32, u32) -> bool);
}

#[test]
fn targets_are_regressed_under_those_weights_too() {
    fn law(process: AnyProcess, t: u32, x_0: u32, eps: u32) -> bool {
        // The target written in x_0 and eps is what from_x0 says of the truth.
        let (moment, x_0, eps) = (moment(&process, t), between(x_0, -2.0, 2.0), between(eps, -3.0, 3.0));
        let x_t = moment.level.alpha * x_0 + moment.level.sigma * eps;
        ALL.into_iter().all(|prediction| {
            let (target, conversion) = (prediction.target(&moment).unwrap(), prediction.from_x0(&moment).unwrap());
            let size = (conversion.from_state * x_t).abs() + (conversion.from_output * x_0).abs() + 1.0;
            close(conversion.apply(x_t, x_0), target.from_x0 * x_0 + target.from_eps * eps, 1e-13, size)
        })
    }
    check(5000, law as fn(AnyProcess, u32, u32, u32) -> bool);
}

#[test]
fn known_forms_of_the_weights() {
    fn law(process: AnyProcess, t: u32, gamma: u32) -> bool {
        let (moment, gamma) = (moment(&process, t), between(gamma, 0.1, 20.0));
        let (snr, min) = (moment.level.snr(), Weight::MinSnr { gamma });
        let is = |weight: Weight, prediction, expected: f64| {
            close(weight.factor(prediction, &moment).unwrap(), expected, 1e-12, expected)
        };
        // The SNR weight of noise prediction is the simple loss; Hang et al. give min-SNR for x_0, eps and v.
        ALL.into_iter().all(|prediction| is(Weight::Uniform, prediction, 1.0))
            && is(Weight::Snr, Prediction::Eps, 1.0)
            && is(Weight::Snr, Prediction::X0, snr)
            && is(Weight::Snr, Prediction::Score, moment.level.sigma * moment.level.sigma)
            && is(min, Prediction::X0, snr.min(gamma))
            && is(min, Prediction::Eps, snr.min(gamma) / snr)
            && is(min, Prediction::V, snr.min(gamma) / (snr + 1.0))
    }
    check(5000, law as fn(AnyProcess, u32, u32) -> bool);
}

#[test]
fn weights_are_finite_at_both_ends_or_an_error_says_why() {
    let min = Weight::MinSnr { gamma: 5.0 };
    let schedule = Schedule::FlowMatching;
    let (data, noise) = (Moment::at(&schedule, 0.0).unwrap(), Moment::at(&schedule, 1.0).unwrap());
    let factors = |weight: Weight, moment: &Moment| ALL.map(|prediction| weight.factor(prediction, moment));
    assert_eq!(factors(Weight::Snr, &data), [Err(Error::NoiseVanishes), Ok(1.0), Ok(1.0), Ok(1.0), Ok(0.0)]);
    assert_eq!(factors(Weight::Snr, &noise), [Ok(0.0), Ok(1.0), Ok(0.0), Ok(0.0), Ok(1.0)]);
    assert_eq!(factors(min, &data), [Ok(5.0), Ok(0.0), Ok(0.0), Ok(0.0), Ok(0.0)]);
    assert_eq!(factors(min, &noise), [Ok(0.0), Ok(1.0), Ok(0.0), Ok(0.0), Ok(1.0)]);
    // So close to data that the SNR overflows.
    let level = NoiseLevel::new(1.0, 1e-200).unwrap();
    let moment = Moment { level, velocity: Velocity { alpha: -1.0, sigma: 1.0 } };
    assert_eq!(factors(min, &moment), [Ok(5.0), Ok(0.0), Ok(0.0), Ok(0.0), Ok(0.0)]);
    for gamma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Weight::MinSnr { gamma }.factor(Prediction::Eps, &noise), Err(Error::OutOfRange { .. })));
    }
    // Where the level stands still, a velocity says nothing.
    let still = Moment::at(&Schedule::CosineSquared, 1.0).unwrap();
    assert_eq!(Weight::Snr.factor(Prediction::Velocity, &still), Err(Error::VelocityUninformative));
}

#[test]
fn mean_squared_error_is_the_mean_of_squares() {
    assert_eq!(mean_squared_error(&[1.0, 2.0, -3.0, 0.0], &[1.0, 0.0, 1.0, -2.0]), (4.0 + 16.0 + 4.0) / 4.0);
    assert_eq!(mean_squared_error(&[], &[]), 0.0);
}
