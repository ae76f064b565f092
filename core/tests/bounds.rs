//! The variational bound against closed forms: (4.15), the entropy of a Gaussian, and probabilities that sum to 1.

use tweedie_core::bound::{Levels, StepTerm, bits_per_dimension, prior, reconstruction};
use tweedie_core::chain::{Betas, Chain};
use tweedie_core::ddpm::Variance;
use tweedie_core::exact::Gaussian;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Error, NoiseLevel};

const PROCESSES: [Schedule; 5] = [
    Schedule::Trigonometric,
    Schedule::VariancePreserving,
    Schedule::VarianceExploding { sigma_max: 80.0 },
    Schedule::CosineSquared,
    Schedule::FlowMatching,
];

#[track_caller]
fn assert_close(actual: f64, expected: f64, tolerance: f64) {
    assert!((actual - expected).abs() <= tolerance * (1.0 + expected.abs()), "{actual} instead of {expected}");
}

#[test]
fn the_posterior_variance_weighs_by_the_gain_in_snr() {
    for process in PROCESSES {
        for (s, t) in [(0.001, 0.002), (0.1, 0.3), (0.5, 0.9)] {
            let at = |t: f64| process.level(t * process.horizon()).unwrap();
            let term = StepTerm::new(at(t), at(s), Variance::Posterior).unwrap();
            assert_close(term.weight, 0.5 * (at(s).snr() - at(t).snr()), 1e-9);
            assert_eq!(term.constant, 0.0);
            assert_close(term.nats(0.1), 0.01 * term.weight, 1e-12);
        }
    }
}

#[test]
fn beta_as_variance_gives_4_15() {
    let mut storage = [0.0; 1000];
    let chain = Chain::new(Betas::Linear { start: 1e-4, end: 0.02 }, &mut storage).unwrap();
    for index in [2, 3, 100, 500, 1000] {
        let (before, after) = (chain.alpha_bar(index - 1).unwrap(), chain.alpha_bar(index).unwrap());
        let level = |alpha_bar| NoiseLevel::from_alpha_bar(alpha_bar).unwrap();
        let term = StepTerm::new(level(after), level(before), Variance::Beta).unwrap();
        let beta = 1.0 - after / before;
        // x_0 - x0_hat = (sigma / alpha) (eps_hat - eps).
        let eps_weight = term.weight * (1.0 - after) / after;
        assert_close(eps_weight, beta / (2.0 * (1.0 - after) * (1.0 - beta)), 1e-9);
        // The wrong variance costs a little, and least where the chain is fine.
        assert!(term.constant > 0.0 && term.constant < 0.2, "{term:?}");
    }
}

/// The bound of N(0, lambda) with its exact denoiser over `steps` steps, every expectation in closed form: all terms are quadratic in the data or
/// in the estimate's error, so each may be taken at the root of the mean square.
fn gaussian_bound(process: Schedule, lambda: f64, steps: usize) -> f64 {
    let levels = Levels { low: -1e3, spacing: 1e-6, count: 2_000_000_001 };
    let (first, last) = (1e-3_f64, 0.999 * process.horizon());
    // Evenly in the logarithm of time, which suits every process here.
    let time = |k: usize| first * (last / first).powf(k as f64 / steps as f64);
    let error = |level: NoiseLevel| lambda - Gaussian::gain(lambda, level) * level.alpha * lambda;
    let mut bound = prior(lambda.sqrt(), process.level(last).unwrap()).unwrap();
    for k in 0..steps {
        let (to, from) = (process.level(time(k)).unwrap(), process.level(time(k + 1)).unwrap());
        bound += StepTerm::new(from, to, Variance::Posterior).unwrap().nats(error(from).sqrt());
    }
    let level = process.level(first).unwrap();
    bound + reconstruction(0.0, error(level).sqrt(), level, &levels).unwrap() + levels.spacing.ln()
}

#[test]
fn an_exact_denoiser_tends_to_the_entropy() {
    for process in [Schedule::Trigonometric, Schedule::VariancePreserving, Schedule::FlowMatching] {
        for lambda in [0.3_f64, 1.0] {
            let entropy = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E * lambda).ln();
            let gap = |steps| gaussian_bound(process, lambda, steps) - entropy;
            let (coarse, fine) = (gap(500), gap(8000));
            assert!(fine > 0.0 && fine < 8e-3, "{process:?}: {fine}");
            assert!(coarse > 5.0 * fine, "{process:?}: {coarse} and {fine}");
        }
    }
}

#[test]
fn the_prior_costs_nothing_where_nothing_is_left_of_the_data() {
    assert_eq!(prior(3.0, NoiseLevel::new(0.0, 1.0).unwrap()), Ok(0.0));
    // KL(N(0.6, 0.64) || N(0, 1)).
    assert_close(
        prior(1.0, NoiseLevel::new(0.6, 0.8).unwrap()).unwrap(),
        0.5 * (0.64 + 0.36 - 1.0 - 0.64_f64.ln()),
        1e-12,
    );
    // The same SNR at another scale.
    assert_close(prior(1.0, NoiseLevel::new(6.0, 8.0).unwrap()).unwrap(), -0.5 * 0.64_f64.ln(), 1e-12);
}

#[test]
fn levels_share_out_all_probability() {
    let levels = Levels { low: -1.0, spacing: 0.125, count: 17 };
    for (x0_hat, sigma) in [(0.0, 0.05), (-1.3, 0.2), (0.97, 2.0), (0.31, 1e-3)] {
        let level = NoiseLevel::new(1.0, sigma).unwrap();
        let share = |k: usize| (-reconstruction(-1.0 + 0.125 * k as f64, x0_hat, level, &levels).unwrap()).exp();
        assert_close((0..17).map(share).sum(), 1.0, 1e-9);
    }
}

#[test]
fn estimates_far_off_cost_much_but_no_infinity() {
    let levels = Levels { low: -1.0, spacing: 0.125, count: 17 };
    let cost =
        |x0_hat: f64, sigma: f64| reconstruction(-0.5, x0_hat, NoiseLevel::new(1.0, sigma).unwrap(), &levels).unwrap();
    let costs: Vec<f64> = (0..400).map(|k| cost(-0.5 + 0.004 * f64::from(k), 0.01)).collect();
    assert!(
        costs.windows(2).all(|pair| pair[1] > pair[0] || pair[1] < 1e-9),
        "rises with the error, across the change of formula"
    );
    // The nearest edge is 0.4375 away: half its square in units of sigma, less what the tail's formula adds.
    assert_close(cost(0.0, 1e-3), 0.5 * 437.5_f64.powi(2), 1e-4);
    // On the other side as well.
    assert_close(cost(-1.0, 1e-3), cost(0.0, 1e-3), 1e-9);
}

#[test]
fn what_has_no_bound_is_refused() {
    let (clean, noisy) = (NoiseLevel::CLEAN, NoiseLevel::new(0.6, 0.8).unwrap());
    let levels = Levels { low: -1.0, spacing: 0.125, count: 17 };
    assert_eq!(prior(0.0, clean), Err(Error::NoiseVanishes));
    assert_eq!(StepTerm::new(noisy, clean, Variance::Posterior), Err(Error::NoiseVanishes));
    assert!(matches!(StepTerm::new(noisy, noisy, Variance::Posterior), Err(Error::NotDenoising { .. })));
    assert!(matches!(
        StepTerm::new(NoiseLevel::new(0.8, 0.6).unwrap(), noisy, Variance::Beta),
        Err(Error::NotDenoising { .. })
    ));
    assert_eq!(reconstruction(0.0, 0.0, clean, &levels), Err(Error::NoiseVanishes));
    for (x_0, levels) in
        [(1.2, levels), (0.0, Levels { spacing: 0.0, ..levels }), (-1.0, Levels { count: 1, ..levels })]
    {
        assert!(matches!(reconstruction(x_0, 0.0, noisy, &levels), Err(Error::OutOfRange { .. })));
    }
}

#[test]
fn eight_bits_are_eight_bits() {
    assert_close(bits_per_dimension(64.0 * 256.0_f64.ln(), 64), 8.0, 1e-12);
}
