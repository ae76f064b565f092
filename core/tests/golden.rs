//! Values worked out by hand: schedules and exact denoisers against their closed forms.

use std::f64::consts::FRAC_PI_4;
use tweedie_core::NoiseLevel;
use tweedie_core::chain::{Betas, Chain};
use tweedie_core::exact::{Gaussian, two_point};
use tweedie_core::schedule::{Process, Schedule};

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 2e-15 * expected.abs().max(1.0)
}

#[test]
fn schedules_at_times_known_by_hand() {
    let linear = Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 };
    let table = [
        (Schedule::VarianceExploding { sigma_max: 80.0 }, 37.5, 1.0, 37.5, 0.0, 1.0),
        (Schedule::VariancePreserving, 0.6, 0.8, 0.6, -0.75, 1.0),
        (Schedule::Trigonometric, 1.0 / 3.0, 0.75_f64.sqrt(), 0.5, -FRAC_PI_4, 1.360_349_523_175_663_3),
        (Schedule::CosineSquared, 1.0 / 3.0, 0.75, 0.25, -1.360_349_523_175_663_3, 1.360_349_523_175_663_3),
        (Schedule::FlowMatching, 0.75, 0.25, 0.75, -1.0, 1.0),
        // The integral of beta over [0, 1] is 0.1 + 19.9 / 2 = 10.05, over [0, 1/2] 0.05 + 19.9 / 8 = 2.5375.
        (
            linear,
            1.0,
            0.006_571_586_494_929_615,
            0.999_978_406_892_338_7,
            -0.065_715_864_949_296_15,
            4.318_668_159_500_652e-4,
        ),
        (
            linear,
            0.5,
            0.281_182_880_796_752_4,
            0.959_654_202_068_036_2,
            -1.412_943_976_003_680_7,
            0.413_998_768_223_978_84,
        ),
    ];
    for (schedule, t, alpha, sigma, alpha_slope, sigma_slope) in table {
        let (level, velocity) = (schedule.level(t).unwrap(), schedule.velocity(t).unwrap());
        assert!(close(level.alpha, alpha) && close(level.sigma, sigma), "{schedule:?}: {level:?}");
        assert!(close(velocity.alpha, alpha_slope) && close(velocity.sigma, sigma_slope), "{schedule:?}: {velocity:?}");
    }
}

#[test]
fn ratios_of_signal_to_noise() {
    let level = NoiseLevel::new(3.0, 4.0).unwrap();
    assert!(close(level.snr(), 9.0 / 16.0) && close(level.log_snr(), (9.0_f64 / 16.0).ln()) && level.norm() == 5.0);
    assert!(close(level.normalised().alpha, 0.6) && close(level.normalised().sigma, 0.8));
    assert_eq!((NoiseLevel::CLEAN.snr(), NoiseLevel::CLEAN.log_snr()), (f64::INFINITY, f64::INFINITY));
    assert_eq!(NoiseLevel::new(0.0, 2.0).unwrap().log_snr(), f64::NEG_INFINITY);
    // The angle is the clock of the trigonometric schedule, whatever the scale.
    let level = Schedule::Trigonometric.level(0.3).unwrap();
    assert!(close(level.angle(), 0.3));
    assert!(close(NoiseLevel::new(level.alpha * 7.0, level.sigma * 7.0).unwrap().angle(), 0.3));
    assert_eq!(NoiseLevel::from_alpha_bar(0.36), NoiseLevel::new(0.6, 0.8));
}

#[test]
fn chains_by_hand() {
    let mut storage = [0.0; 3];
    let chain = Chain::new(Betas::Linear { start: 0.1, end: 0.5 }, &mut storage).unwrap();
    assert!(close(chain.alpha_bar(1).unwrap(), 0.9));
    assert!(close(chain.alpha_bar(2).unwrap(), 0.9 * 0.7));
    assert!(close(chain.alpha_bar(3).unwrap(), 0.9 * 0.7 * 0.5));
    assert!(close(chain.beta(2).unwrap(), 0.3) && chain.steps() == 3);
    // Halfway between two entries the logarithm of alpha_bar is halfway.
    let halfway = chain.level(1.5 / 3.0).unwrap();
    assert!(close(halfway.alpha * halfway.alpha, (0.9_f64 * 0.63).sqrt()));
    let mut betas = [0.0; 3];
    Betas::ScaledLinear { start: 0.04, end: 0.36 }.fill(&mut betas).unwrap();
    assert!(close(betas[0], 0.04) && close(betas[1], 0.16) && close(betas[2], 0.36));
    // At the middle of the logistic curve, and its ends 1 / (1 + e^6) from start and end.
    Betas::Sigmoid { start: 0.0, end: 0.5 }.fill(&mut betas).unwrap();
    assert!(
        close(betas[1], 0.25) && close(betas[0], 0.5 * 0.002_472_623_156_634_774_3) && close(betas[0] + betas[2], 0.5)
    );
    // The cosine's alpha_bar is cos^2 relative to its start; the last step is capped.
    Betas::Cosine.fill(&mut betas).unwrap();
    let f = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
    assert!(close(1.0 - betas[0], f(1.0 / 3.0) / f(0.0)) && betas[2] == 0.999);
    // A chain without signal at its end still runs smoothly there, alpha straight down.
    let mut storage = [0.0; 4];
    let chain = Chain::with_zero_terminal_snr(Betas::Linear { start: 0.1, end: 0.5 }, &mut storage).unwrap();
    let (before, middle) = (chain.level_at(3).unwrap(), chain.level(3.5 / 4.0).unwrap());
    assert!(close(middle.alpha, 0.5 * before.alpha) && close(middle.norm(), 1.0));
    let velocity = chain.velocity(3.5 / 4.0).unwrap();
    assert!(close(velocity.alpha, -4.0 * before.alpha));
    assert!(close(velocity.sigma, 4.0 * before.alpha * middle.alpha / middle.sigma));
    assert_eq!(chain.velocity(1.0).map(|v| v.sigma), Ok(0.0));
}

#[test]
fn the_denoiser_of_a_gaussian() {
    // Variance-exploding, eigenvalue lambda: the factor lambda / (lambda + t^2).
    let level = NoiseLevel::new(1.0, 2.0).unwrap();
    assert_eq!(Gaussian::gain(4.0, level), 0.5);
    let data = Gaussian { mean: &[1.0, -1.0, 5.0], variance: &[4.0, 12.0, 0.0] };
    let mut x0_hat = [0.0; 3];
    data.denoise(&[3.0, 3.0, 9.0], level, &mut x0_hat).unwrap();
    assert_eq!(x0_hat, [2.0, 2.0, 5.0]);
    // Of clean data the estimate is the data; of pure noise, the mean.
    data.denoise(&[3.0, 3.0, 5.0], NoiseLevel::CLEAN, &mut x0_hat).unwrap();
    assert_eq!(x0_hat, [3.0, 3.0, 5.0]);
    data.denoise(&[3.0, 3.0, 9.0], NoiseLevel::new(0.0, 1.0).unwrap(), &mut x0_hat).unwrap();
    assert_eq!(x0_hat, [1.0, -1.0, 5.0]);
    assert!(data.denoise(&[3.0; 2], level, &mut x0_hat).is_err() && x0_hat == [1.0, -1.0, 5.0]);
    assert!(data.denoise(&[3.0; 3], level, &mut [0.0; 2]).is_err());
    // Total deviations sqrt(4 + 4) and sqrt(4): the flow shrinks by their ratio.
    assert!(close(Gaussian::flow(4.0, level, NoiseLevel::CLEAN), 0.5_f64.sqrt()));
    assert!(close(Gaussian::flow(0.0, level, NoiseLevel::new(1.0, 0.5).unwrap()), 0.25));
}

#[test]
fn the_denoiser_of_two_points() {
    let level = NoiseLevel::new(0.6, 0.8).unwrap();
    // The posterior of +1 against -1 by Bayes' rule.
    for x in [-2.0, -0.1, 0.0, 0.4, 3.0_f64] {
        let likelihood = |point: f64| (-(x - 0.6 * point).powi(2) / (2.0 * 0.64)).exp();
        let expected = (likelihood(1.0) - likelihood(-1.0)) / (likelihood(1.0) + likelihood(-1.0));
        assert!((two_point(x, level) - expected).abs() < 1e-14, "{x}");
    }
    assert_eq!([-0.1, 0.0, 0.1].map(|x| two_point(x, NoiseLevel::CLEAN)), [-1.0, 0.0, 1.0]);
    assert_eq!(two_point(5.0, NoiseLevel::new(0.0, 1.0).unwrap()), 0.0);
}
