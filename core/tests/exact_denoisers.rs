//! Laws of denoisers in closed form: against integrals, draws and each other, and at both ends of time.

mod generators;

use generators::{between, check, close};
use std::f64::consts::PI;
use tweedie_core::exact::{
    AlongPlan, CentredTerms, DiagonalMixture, Empirical, Gaussian, LARGEST, LowRankMixture, LowRankTables,
    LowRankTerms, Mixture, entropy, inverse_temperature, two_point,
};
use tweedie_core::noise::NoiseStream;
use tweedie_core::plan::Step;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Denoiser, Error, NoiseLevel, StepId, tweedie};

fn level(alpha: f64, sigma: f64) -> NoiseLevel {
    NoiseLevel::new(alpha, sigma).unwrap()
}

fn denoise(data: &impl Mixture, x_t: &[f64], level: NoiseLevel) -> Vec<f64> {
    let (mut scratch, mut x0_hat) = (vec![f64::NAN; data.scratch_len()], vec![f64::NAN; x_t.len()]);
    data.denoise(x_t, level, &mut scratch, &mut x0_hat).unwrap();
    x0_hat
}

fn score(data: &impl Mixture, x_t: &[f64], level: NoiseLevel) -> Vec<f64> {
    let (mut scratch, mut score) = (vec![f64::NAN; data.scratch_len()], vec![f64::NAN; x_t.len()]);
    data.score(x_t, level, &mut scratch, &mut score).unwrap();
    score
}

fn log_density(data: &impl Mixture, x_t: &[f64], level: NoiseLevel) -> f64 {
    data.log_density(x_t, level, &mut vec![f64::NAN; data.scratch_len()]).unwrap()
}

fn density(x: f64, mean: f64, variance: f64) -> f64 {
    (-(x - mean) * (x - mean) / (2.0 * variance)).exp() / (2.0 * PI * variance).sqrt()
}

const LEVELS: [(f64, f64); 5] = [(1.0, 0.3), (1.0, 3.0), (0.8, 0.6), (0.1, 0.995), (0.25, 0.75)];

const WEIGHTS: [f64; 3] = [1.0, 3.0, 4.0];
const MEANS: [f64; 3] = [-1.5, 0.25, 2.0];
const VARIANCES: [f64; 3] = [0.25, 1.0, 0.09];

fn on_a_line() -> DiagonalMixture<'static> {
    DiagonalMixture::new(&WEIGHTS, &MEANS, &VARIANCES).unwrap()
}

/// Checks estimate, density and score of a mixture against moments of `p(x_0) N(x_t; alpha x_0, sigma^2)`: the zeroth, and the first of each coordinate.
fn agrees_with(data: &impl Mixture, x_t: &[f64], level: NoiseLevel, moments: &[f64], tolerance: f64) {
    let (x0_hat, score) = (denoise(data, x_t, level), score(data, x_t, level));
    assert!(close(log_density(data, x_t, level), moments[0].ln(), tolerance, 1.0), "density at {x_t:?} {level:?}");
    for i in 0..x_t.len() {
        let expected = moments[i + 1] / moments[0];
        assert!(close(x0_hat[i], expected, tolerance, 1.0), "{} for {expected} at {x_t:?} {level:?}", x0_hat[i]);
        let expected = tweedie::score(x_t[i], expected, level).unwrap();
        assert!(close(score[i], expected, 10.0 * tolerance, 1.0), "score at {x_t:?} {level:?}");
    }
}

#[test]
fn a_mixture_on_a_line_agrees_with_integration() {
    for (alpha, sigma) in LEVELS {
        for x_t in [-3.0, -0.9, 0.0, 0.4, 1.7, 6.0] {
            let mut moments = [0.0; 2];
            const STEP: f64 = 1e-3;
            for i in -12_000..=12_000 {
                let x_0 = f64::from(i) * STEP;
                let prior: f64 = (0..3).map(|k| WEIGHTS[k] / 8.0 * density(x_0, MEANS[k], VARIANCES[k])).sum();
                let joint = STEP * prior * density(x_t, alpha * x_0, sigma * sigma);
                moments[0] += joint;
                moments[1] += joint * x_0;
            }
            agrees_with(&on_a_line(), &[x_t], level(alpha, sigma), &moments, 1e-9);
        }
    }
}

/// Two components of rank 1 in the plane, with floors.
const PLANE: LowRankTables<'static> = LowRankTables {
    weights: &[0.4, 0.6],
    means: &[0.5, -0.5, -1.0, 1.0],
    bases: &[0.6, 0.8, -0.8, 0.6],
    eigenvalues: &[2.0, 0.7],
    floors: &[0.3, 0.5],
};

#[test]
fn a_low_rank_mixture_in_the_plane_agrees_with_integration() {
    let data = LowRankMixture::new(PLANE).unwrap();
    // S = lambda u u^T + floor (1 - u u^T), and the density by its inverse and determinant.
    let prior = |x: [f64; 2]| -> f64 {
        let one = |k: usize| {
            let (u, m) = (&PLANE.bases[2 * k..2 * k + 2], &PLANE.means[2 * k..2 * k + 2]);
            let (lambda, floor) = (PLANE.eigenvalues[k], PLANE.floors[k]);
            let s = |i: usize, j: usize| (lambda - floor) * u[i] * u[j] + if i == j { floor } else { 0.0 };
            let determinant = s(0, 0) * s(1, 1) - s(0, 1) * s(1, 0);
            let d = [x[0] - m[0], x[1] - m[1]];
            let form = (s(1, 1) * d[0] * d[0] - 2.0 * s(0, 1) * d[0] * d[1] + s(0, 0) * d[1] * d[1]) / determinant;
            PLANE.weights[k] * (-form / 2.0).exp() / (2.0 * PI * determinant.sqrt())
        };
        one(0) + one(1)
    };
    for ((alpha, sigma), x_t) in LEVELS.into_iter().zip([[1.0, 1.0], [-2.0, 0.5], [0.0, 0.0], [3.0, -1.0], [0.3, -0.7]])
    {
        let mut moments = [0.0; 3];
        const STEP: f64 = 0.05;
        for i in -180..=180 {
            for j in -180..=180 {
                let x_0 = [f64::from(i) * STEP, f64::from(j) * STEP];
                let noise = |i: usize| density(x_t[i], alpha * x_0[i], sigma * sigma);
                let joint = STEP * STEP * prior(x_0) * noise(0) * noise(1);
                for (moment, factor) in moments.iter_mut().zip([1.0, x_0[0], x_0[1]]) {
                    *moment += joint * factor;
                }
            }
        }
        agrees_with(&data, &x_t, level(alpha, sigma), &moments, 1e-9);
    }
}

#[test]
fn gaussians_on_lines_agree_with_integration_along_them() {
    let bases = [0.6, 0.8, 0.0, 0.0, 0.6, -0.8];
    let tables = LowRankTables {
        weights: &[1.0; 2],
        means: &[0.0; 6],
        bases: &bases,
        eigenvalues: &[1.0; 2],
        floors: &[0.0; 2],
    };
    let data = LowRankMixture::new(tables).unwrap();
    for (alpha, sigma) in LEVELS {
        for x_t in [[0.5, 1.0, 0.2], [-1.0, 2.0, -2.0], [0.0, 0.7, 0.6]] {
            let mut moments = [0.0; 4];
            const STEP: f64 = 0.005;
            for u in bases.chunks_exact(3) {
                for i in -2000..=2000 {
                    let along = f64::from(i) * STEP;
                    let noise: f64 = (0..3).map(|i| density(x_t[i], alpha * along * u[i], sigma * sigma)).product();
                    let joint = 0.5 * STEP * density(along, 0.0, 1.0) * noise;
                    for (moment, factor) in moments.iter_mut().zip([1.0, along * u[0], along * u[1], along * u[2]]) {
                        *moment += joint * factor;
                    }
                }
            }
            agrees_with(&data, &x_t, level(alpha, sigma), &moments, 1e-9);
        }
    }
}

#[test]
fn the_terms_of_a_low_rank_mixture_are_its_denoiser_and_its_posterior() {
    fn law(seed: u64, level_bits: u32) -> bool {
        const D: usize = 5;
        let mut z = [0.0_f32; 64];
        NoiseStream::new(seed, 0).fill(0, &mut z);
        let z: Vec<f64> = z.into_iter().map(f64::from).collect();
        // Two directions in planes of their own are orthonormal.
        let turn = |angle: f64| [angle.cos(), angle.sin(), 0.0, 0.0, 0.0, 0.0, 0.0, angle.sin(), angle.cos(), 0.0];
        let bases: Vec<f64> = (0..3).flat_map(|k| turn(z[k])).collect();
        let spread: Vec<f64> = z[3..12].iter().map(|z| z.exp()).collect();
        let weights: Vec<f64> = z[12..15].iter().map(|z| z.exp()).collect();
        // An eigenvalue may also lie below its floor.
        let (eigenvalues, floors) = (&spread[..6], &spread[6..]);
        let means: Vec<f64> = z[15..30].to_vec();
        let tables = LowRankTables { weights: &weights, means: &means, bases: &bases, eigenvalues, floors };
        let data = LowRankMixture::new(tables).unwrap();
        let angle = between(level_bits, 1e-3, 1.5);
        let level = level(angle.cos(), angle.sin());
        let x: Vec<f64> = z[30..30 + D].to_vec();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();

        let beta = inverse_temperature(level).unwrap();
        let (mut plain, mut about_means) = (Vec::new(), Vec::new());
        for k in 0..3 {
            let LowRankTerms { log_constant, mean_gain, floor_gain } = data.terms(k, level);
            let centred: Vec<f64> = x.iter().zip(data.mean(k)).map(|(x, m)| x - level.alpha * m).collect();
            let mut energy = mean_gain * dot(data.mean(k), &centred) + 0.5 * floor_gain * dot(&x, &x);
            let mut estimate: Vec<f64> =
                x.iter().zip(data.mean(k)).map(|(x, m)| floor_gain * x + mean_gain * m).collect();
            for (row, gain) in data.basis(k).zip(data.excess_gains(k, level)) {
                let c = dot(row, &centred);
                energy += 0.5 * gain * c * c;
                estimate.iter_mut().zip(row).for_each(|(e, u)| *e += gain * c * u);
            }
            plain.push((log_constant + beta * energy, estimate));

            let CentredTerms { log_constant, rest_precision, rest_gain } = data.centred_terms(k, level);
            let (mut energy, mut rest, mut estimate) = (0.0, centred.clone(), data.mean(k).to_vec());
            for (row, (precision, gain)) in data.basis(k).zip(data.centred_directions(k, level)) {
                let c = dot(row, &centred);
                energy += precision * c * c;
                rest.iter_mut().zip(row).for_each(|(r, u)| *r -= c * u);
                estimate.iter_mut().zip(row).for_each(|(e, u)| *e += gain * c * u);
            }
            estimate.iter_mut().zip(&rest).for_each(|(e, r)| *e += rest_gain * r);
            about_means.push((log_constant - 0.5 * (energy + rest_precision * dot(&rest, &rest)), estimate));
        }
        let mut expected = [0.0; 3];
        data.posterior(&x, level, &mut [0.0; 2], &mut expected).unwrap();
        let x0_hat = denoise(&data, &x, level);
        let agrees = |components: &[(f64, Vec<f64>)]| {
            let most = components.iter().map(|(log, _)| *log).fold(f64::NEG_INFINITY, f64::max);
            let chances: Vec<f64> = components.iter().map(|(log, _)| (log - most).exp()).collect();
            let total: f64 = chances.iter().sum();
            let of = |i: usize| (0..3).map(|k| chances[k] / total * components[k].1[i]).sum::<f64>();
            (0..3).all(|k| close(chances[k] / total, expected[k], 1e-6, 1.0))
                && (0..D).all(|i| close(of(i), x0_hat[i], 1e-6, 1.0))
        };
        agrees(&plain) && agrees(&about_means)
    }
    check(500, law as fn(u64, u32) -> bool);
    assert_eq!(inverse_temperature(NoiseLevel::CLEAN), Err(Error::NoiseVanishes));
    assert_eq!(inverse_temperature(level(0.0, 2.0)), Ok(0.0));
}

#[test]
fn low_rank_mixtures_are_the_attention_of_the_text() {
    // (3.2.80): rank 2 in four dimensions, three components, the variance-exploding process.
    let bases = [
        [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 1.0],
        [0.5, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, -0.5],
    ];
    let tables = LowRankTables {
        weights: &[1.0; 3],
        means: &[0.0; 12],
        bases: bases.as_flattened(),
        eigenvalues: &[1.0; 6],
        floors: &[0.0; 3],
    };
    let (data, x) = (LowRankMixture::new(tables).unwrap(), [0.9, -0.4, 1.3, 0.1]);
    for t in [0.05, 0.3, 1.0, 7.0] {
        let coordinates = bases.map(|u| [0, 4].map(|j| (0..4).map(|i| u[j + i] * x[i]).sum::<f64>()));
        let logits = coordinates.map(|c| (c[0] * c[0] + c[1] * c[1]) / (2.0 * t * t * (1.0 + t * t)));
        let most = logits.into_iter().fold(f64::MIN, f64::max);
        let weights = logits.map(|l| (l - most).exp());
        let total: f64 = weights.iter().sum();
        let x0_hat = denoise(&data, &x, level(1.0, t));
        for i in 0..4 {
            let expected: f64 = (0..3)
                .map(|k| weights[k] / total * (coordinates[k][0] * bases[k][i] + coordinates[k][1] * bases[k][4 + i]))
                .sum();
            assert!(close(x0_hat[i], expected / (1.0 + t * t), 1e-13, 1.0), "t = {t}: {x0_hat:?}");
        }
    }
}

#[test]
fn one_component_is_the_gaussian() {
    fn law(mean: (u32, u32), variance: (u32, u32), angle: u32, x: (u32, u32), time: u32) -> bool {
        let pair = |(a, b): (u32, u32), low, high| [between(a, low, high), between(b, low, high)];
        let (mean, variance, x) = (pair(mean, -2.0, 2.0), pair(variance, 0.0, 3.0), pair(x, -4.0, 4.0));
        let level = Schedule::Trigonometric.level(between(time, 0.01, 1.0)).unwrap();
        let (s, c) = between(angle, 0.0, 6.3).sin_cos();
        // The Gaussian in its eigenbasis, turned: x = R y. Full rank, then rank 1 with the other variance as floor.
        let turn = |[a, b]: [f64; 2]| [c * a - s * b, s * a + c * b];
        let gaussian = Gaussian { mean: &mean, variance: &variance };
        let mut expected = [0.0; 2];
        gaussian.denoise(&x, level, &mut expected).unwrap();
        let full = LowRankTables {
            weights: &[2.5],
            means: &turn(mean),
            bases: &[c, s, -s, c],
            eigenvalues: &variance,
            floors: &[0.0],
        };
        let one = LowRankTables { bases: &[c, s], eigenvalues: &variance[..1], floors: &variance[1..], ..full };
        let diagonal = DiagonalMixture::new(&[1.0], &mean, &variance).unwrap();
        let near = |found: &[f64], expected: [f64; 2]| (0..2).all(|i| close(found[i], expected[i], 1e-12, 10.0));
        let slope = |i: usize| (level.alpha * expected[i] - x[i]) / (level.sigma * level.sigma);
        let slopes = score(&diagonal, &x, level);
        let log = log_density(&diagonal, &x, level);
        assert!((0..2).all(|i| close(slopes[i], slope(i), 1e-9, 1.0 + slope(i).abs())));
        near(&denoise(&diagonal, &x, level), expected)
            && [full, one].into_iter().all(|tables| {
                let data = LowRankMixture::new(tables).unwrap();
                near(&denoise(&data, &turn(x), level), turn(expected))
                    && close(log_density(&data, &turn(x), level), log, 1e-11, log.abs())
            })
    }
    check(3000, law as fn((u32, u32), (u32, u32), u32, (u32, u32), u32) -> bool);
}

#[test]
fn the_training_set_is_a_mixture_of_points() {
    fn law(points: Vec<(i8, i8)>, x: (u32, u32), time: u32, variance_exploding: bool) -> bool {
        let samples: Vec<f32> = points.iter().flat_map(|&(a, b)| [f32::from(a) / 32.0, f32::from(b) / 32.0]).collect();
        let Ok(data) = Empirical::new(&samples, 2) else { return samples.is_empty() };
        let x = [between(x.0, -3.0, 3.0), between(x.1, -3.0, 3.0)];
        let t = between(time, 0.0, 1.0);
        let level = if variance_exploding { level(1.0, 5.0 * t) } else { Schedule::FlowMatching.level(t).unwrap() };
        let means: Vec<f64> = samples.iter().map(|&v| v.into()).collect();
        let (weights, variances) = (vec![1.0; points.len()], vec![0.0; means.len()]);
        let mixture = DiagonalMixture::new(&weights, &means, &variances).unwrap();
        let (a, b) = (denoise(&data, &x, level), denoise(&mixture, &x, level));
        let (c, d) = (log_density(&data, &x, level), log_density(&mixture, &x, level));
        // And by the formula itself, (3.3.3).
        let distance = |p: &[f64]| (0..2).map(|i| (x[i] - level.alpha * p[i]).powi(2)).sum::<f64>();
        let least = means.chunks(2).map(distance).fold(f64::MAX, f64::min);
        let weight = |p: &[f64]| (-(distance(p) - least) / (2.0 * level.sigma * level.sigma)).exp();
        let total: f64 = means.chunks(2).map(weight).sum();
        (0..2).all(|i| {
            let formula = means.chunks(2).map(|p| weight(p) * p[i]).sum::<f64>() / total;
            close(a[i], b[i], 1e-12, 4.0) && close(a[i], formula, 1e-10, 4.0)
        }) && close(c, d, 1e-12, 1.0 + c.abs())
            && close(score(&data, &x, level)[0], score(&mixture, &x, level)[0], 1e-12, 1.0 / level.sigma.powi(2))
    }
    check(2000, law as fn(Vec<(i8, i8)>, (u32, u32), u32, bool) -> bool);
}

#[test]
fn estimates_agree_with_weighted_draws() {
    let data = LowRankMixture::new(PLANE).unwrap();
    let (level, x_t) = (level(0.6, 0.8), [0.4, -0.9]);
    let stream = NoiseStream::new(3, 0);
    const DRAWS: u32 = 200_000;
    let (mut z, mut x_0) = ([0.0; 2], [0.0; 2]);
    let (mut total, mut first, mut second) = (0.0, [0.0; 2], [0.0; 2]);
    for draw in 0..DRAWS {
        // 40% of the first component, as its prior says.
        let k = usize::from(draw % 5 >= 2);
        stream.fill(draw, &mut z);
        data.draw(k, &z, &mut x_0);
        let weight: f64 = (0..2).map(|i| density(x_t[i], level.alpha * x_0[i], level.sigma * level.sigma)).product();
        total += weight;
        for i in 0..2 {
            first[i] += weight * x_0[i];
            second[i] += weight * weight * x_0[i] * x_0[i];
        }
    }
    let x0_hat = denoise(&data, &x_t, level);
    for i in 0..2 {
        let error = 5.0 * second[i].sqrt() / total;
        assert!(
            error < 0.03 && (x0_hat[i] - first[i] / total).abs() < error,
            "{} {} {error}",
            x0_hat[i],
            first[i] / total
        );
    }
    assert!(close(log_density(&data, &x_t, level), (total / f64::from(DRAWS)).ln(), 0.02, 1.0));
}

#[test]
fn scores_are_the_slopes_of_log_densities() {
    fn law(x: (u32, u32), time: u32) -> bool {
        let data = LowRankMixture::new(PLANE).unwrap();
        let x = [between(x.0, -4.0, 4.0), between(x.1, -4.0, 4.0)];
        let level = Schedule::CosineSquared.level(between(time, 0.0, 1.0)).unwrap();
        let slopes = score(&data, &x, level);
        (0..2).all(|i| {
            let moved = |by: f64| {
                let mut x = x;
                x[i] += by;
                log_density(&data, &x, level)
            };
            close((moved(1e-5) - moved(-1e-5)) / 2e-5, slopes[i], 1e-7, 1.0 + slopes[i].abs())
        })
    }
    check(2000, law as fn((u32, u32), u32) -> bool);
}

#[test]
fn posteriors_are_bayes_rule() {
    let (data, level, x) = (on_a_line(), level(0.8, 0.6), 0.3);
    let joint = |k: usize| WEIGHTS[k] / 8.0 * density(x, 0.8 * MEANS[k], 0.64 * VARIANCES[k] + 0.36);
    let total = joint(0) + joint(1) + joint(2);
    let mut chances = [f64::NAN; 3];
    let log = data.posterior(&[x], level, &mut [], &mut chances).unwrap();
    assert!(close(log, total.ln(), 1e-14, 1.0));
    assert!((0..3).all(|k| close(chances[k], joint(k) / total, 1e-14, 1.0)), "{chances:?}");
}

#[test]
fn without_signal_the_estimate_is_the_mean_of_the_data() {
    let nothing = level(0.0, 1.0);
    let mean: f64 = (0..3).map(|k| WEIGHTS[k] / 8.0 * MEANS[k]).sum();
    for x in [-5.0, 0.0, 1e6] {
        assert!(close(denoise(&on_a_line(), &[x], nothing)[0], mean, 1e-15, 1.0));
    }
    // Where alpha^2 underflows.
    for alpha in [1e-160, 1e-170] {
        assert!(close(denoise(&on_a_line(), &[-5.0], level(alpha, 1.0))[0], mean, 1e-14, 1.0));
    }
    let plane = denoise(&LowRankMixture::new(PLANE).unwrap(), &[3.0, -2.0], nothing);
    assert!(close(plane[0], 0.4 * 0.5 - 0.6, 1e-15, 1.0) && close(plane[1], -0.4 * 0.5 + 0.6, 1e-15, 1.0));
    assert_eq!(denoise(&Empirical::new(&[1.0, 2.0, 6.0], 1).unwrap(), &[9.0], nothing), [3.0]);
    assert_eq!(two_point(1e300, nothing), 0.0);
}

#[test]
fn without_noise_data_of_full_rank_are_their_own_estimate() {
    fn law(x: u32, alpha: u32, small: u8) -> bool {
        let x = between(x, -3.0, 3.0);
        // From nothing at all over what squares to 0 to what is merely small.
        let level = level(between(alpha, 0.5, 1.0), [0.0, 1e-308, 1e-170, 1e-100, 1e-12][usize::from(small % 5)]);
        let data = LowRankMixture::new(PLANE).unwrap();
        let plane = denoise(&data, &[x, 0.5], level);
        close(denoise(&on_a_line(), &[x], level)[0], x / level.alpha, 1e-12, 10.0)
            && close(plane[0], x / level.alpha, 1e-12, 10.0)
            && close(plane[1], 0.5 / level.alpha, 1e-12, 10.0)
    }
    check(1000, law as fn(u32, u32, u8) -> bool);
}

#[test]
fn without_noise_data_on_flats_are_denoised_to_the_nearest() {
    // A plane and two points in space, as one mixture: rank 2 with eigenvalues that may be 0.
    let bases = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let tables = LowRankTables {
        weights: &[1.0, 1.0, 2.0],
        means: &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0],
        bases: &[bases; 3].concat(),
        eigenvalues: &[1.0, 4.0, 0.0, 0.0, 0.0, 0.0],
        floors: &[0.0; 3],
    };
    let data = LowRankMixture::new(tables).unwrap();
    for sigma in [0.0, 1e-300, 1e-160, 1e-9] {
        let level = level(1.0, sigma);
        let near = |found: Vec<f64>, expected: [f64; 3]| (0..3).all(|i| close(found[i], expected[i], 1e-12, 1.0));
        // 0.2 above the plane; close to one point; and on the plane where the other point lies, which wins with fewer dimensions.
        assert!(near(denoise(&data, &[0.3, -0.7, 0.2], level), [0.3, -0.7, 0.0]), "{sigma}");
        assert!(near(denoise(&data, &[0.9, 1.0, 0.8], level), [1.0; 3]), "{sigma}");
        assert!(near(denoise(&data, &[0.5, 0.0, 0.0], level), [0.5, 0.0, 0.0]), "{sigma}");
        if sigma == 0.0 {
            let x = [0.5, 0.0, 0.0];
            assert_eq!(data.log_density(&x, level, &mut [0.0; 2]), Err(Error::NoiseVanishes));
            assert_eq!(data.score(&x, level, &mut [0.0; 2], &mut [0.0; 3]), Err(Error::NoiseVanishes));
        }
    }
    // Equally near points share the estimate, as at any noise.
    let points = Empirical::new(&[-1.0_f32, 1.0], 1).unwrap();
    assert_eq!(denoise(&points, &[0.0], NoiseLevel::CLEAN), [0.0]);
}

#[test]
fn the_distance_from_a_subspace_keeps_its_digits_beside_it() {
    // Two almost parallel lines: x is 1e-9 off the first and 3e-9 off the second, 1000 away from the origin.
    let tilt = 4e-12_f64;
    let tables = LowRankTables {
        weights: &[1.0; 2],
        means: &[0.0; 4],
        bases: &[1.0, 0.0, tilt.cos(), tilt.sin()],
        eigenvalues: &[1e6; 2],
        floors: &[0.0; 2],
    };
    let data = LowRankMixture::new(tables).unwrap();
    let mut chances = [0.0; 2];
    data.posterior(&[1000.0, 1e-9], level(1.0, 2e-9), &mut [0.0], &mut chances).unwrap();
    let expected = 1.0 / (1.0 + (-(9.0 - 1.0) / 8.0_f64).exp());
    assert!(close(chances[0], expected, 1e-6, 1.0), "{chances:?}");
}

/// Numbers from 0 over what underflows to what is as large as allowed.
fn wild(bits: u32) -> f64 {
    let size = [0.0, 5e-324, 1e-310, 1e-200, 1e-150, 1e-80, 1e-20, 0.1, 1.0, 30.0, 1e20, LARGEST][bits as usize % 12];
    if size == LARGEST { size } else { size * between(bits, 0.5, 1.0) }
}

#[test]
fn no_closed_form_ever_produces_what_is_not_a_number() {
    type Component = (u32, u32, u32, u32);
    fn finite(data: &impl Mixture, x: &[f64], level: NoiseLevel) {
        let mut scratch = vec![0.0; data.scratch_len()];
        let (mut out, mut chances) = (vec![f64::NAN; x.len()], vec![f64::NAN; data.components()]);
        match data.denoise(x, level, &mut scratch, &mut out) {
            Ok(()) => assert!(out.iter().all(|v| v.is_finite()), "{out:?} {x:?} {level:?}"),
            Err(Error::OutOfRange { .. }) => {
                assert!(level.norm() > LARGEST || level.norm() < 1.0 / LARGEST);
                return;
            }
            Err(error) => panic!("{error}"),
        }
        match data.score(x, level, &mut scratch, &mut out) {
            Ok(()) => assert!(out.iter().all(|v| v.is_finite())),
            error => assert_eq!(error, Err(Error::NoiseVanishes)),
        }
        match data.posterior(x, level, &mut scratch, &mut chances) {
            Ok(log) => assert!(log.is_finite()),
            error => assert_eq!(error, Err(Error::NoiseVanishes)),
        }
        let sum: f64 = chances.iter().sum();
        assert!(close(sum, 1.0, 1e-12, 1.0), "{chances:?} {level:?}");
    }
    fn law(components: Vec<Component>, x: (u32, u32), negative: bool, alpha: u32, sigma: u32) -> bool {
        let Ok(level) = NoiseLevel::new(wild(alpha), wild(sigma)) else { return true };
        let x = [if negative { -wild(x.0) } else { wild(x.0) }, wild(x.1)];
        let column = |f: fn(&Component) -> Vec<f64>| components.iter().flat_map(f).collect::<Vec<_>>();
        let weights = column(|c| vec![between(c.0, 1e-9, 1.0)]);
        let means = column(|c| vec![wild(c.0), -wild(c.1)]);
        let variances = column(|c| vec![wild(c.2), wild(c.3)]);
        let bases = column(|c| vec![f64::from(c.0).cos(), f64::from(c.0).sin()]);
        let Ok(diagonal) = DiagonalMixture::new(&weights, &means, &variances) else { return components.is_empty() };
        finite(&diagonal, &x, level);
        finite(&Empirical::new(&means, 2).unwrap(), &x, level);
        let tables = LowRankTables {
            weights: &weights,
            means: &means,
            bases: &bases,
            eigenvalues: &column(|c| vec![wild(c.2)]),
            floors: &column(|c| vec![wild(c.3)]),
        };
        finite(&LowRankMixture::new(tables).unwrap(), &x, level);
        let flow = Gaussian::flow(wild(alpha), level, NoiseLevel::CLEAN);
        two_point(x[0], level).abs() <= 1.0 && flow.is_finite()
    }
    check(20_000, law as fn(Vec<Component>, (u32, u32), bool, u32, u32) -> bool);
}

#[test]
fn the_flow_from_a_point_without_noise_is_a_number() {
    let noisy = level(1.0, 0.5);
    assert_eq!(Gaussian::flow(0.0, NoiseLevel::CLEAN, noisy), 0.0);
    assert_eq!(Gaussian::flow(0.0, NoiseLevel::CLEAN, NoiseLevel::CLEAN), 0.0);
    assert_eq!(Gaussian::flow(0.0, level(1.0, 1e-200), level(1.0, 5e-201)), 0.5);
}

#[test]
fn the_flow_on_a_line_is_that_of_a_gaussian_and_of_the_field() {
    let gaussian = DiagonalMixture::new(&[1.0], &[0.5], &[2.0]).unwrap();
    let (from, to) = (level(0.1, 0.995), level(0.9, 0.43));
    for deviation in [-20.0, -3.0, 0.0, 1.0, 9.0] {
        let x = from.alpha * 0.5 + deviation;
        let expected = to.alpha * 0.5 + Gaussian::flow(2.0, from, to) * deviation;
        assert!(close(gaussian.flow(x, from, to).unwrap(), expected, 1e-13, 1.0 + expected.abs()), "{deviation}");
    }
    // dx/dt = -t score in the variance-exploding process, by Runge and Kutta.
    let field = |x: f64, t: f64| -t * score(&on_a_line(), &[x], level(1.0, t))[0];
    for start in [-4.0, -0.3, 0.2, 3.0] {
        const STEPS: i32 = 2000;
        let (mut x, h) = (start, -1.9 / f64::from(STEPS));
        for i in 0..STEPS {
            let t = 2.0 + h * f64::from(i);
            let a = field(x, t);
            let b = field(x + 0.5 * h * a, t + 0.5 * h);
            let c = field(x + 0.5 * h * b, t + 0.5 * h);
            x += h / 6.0 * (a + 2.0 * b + 2.0 * c + field(x + h * c, t + h));
        }
        let exact = on_a_line().flow(start, level(1.0, 2.0), level(1.0, 0.1)).unwrap();
        assert!(close(x, exact, 1e-9, 1.0), "{x} for {exact}");
    }
    let points = DiagonalMixture::new(&[1.0, 3.0], &[-0.3, 0.7], &[0.0; 2]).unwrap();
    let noise = level(0.0, 1.0);
    assert_eq!(
        [-9.0, -0.7, -0.6, 5.0].map(|x| points.flow(x, noise, NoiseLevel::CLEAN).unwrap()),
        [-0.3, -0.3, 0.7, 0.7]
    );
    assert_eq!(points.flow(-0.3, NoiseLevel::CLEAN, noise), Err(Error::NoiseVanishes));
}

#[test]
fn entropy_rises_along_the_forward_process() {
    // Theorem 3.1, in the variance-exploding process: by the integral of -p ln p, and by draws.
    let (times, stream) = ([0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0], NoiseStream::new(1, 0));
    let integrals = times.map(|t| {
        const STEP: f64 = 0.005;
        let log = |i: i32| log_density(&on_a_line(), &[f64::from(i) * STEP], level(1.0, t));
        (-16_000..=16_000).map(log).map(|log| -STEP * log.exp() * log).sum::<f64>()
    });
    assert!(integrals.windows(2).all(|pair| pair[0] < pair[1]), "{integrals:?}");
    for (t, integral) in times.into_iter().zip(integrals) {
        let estimate = entropy(&on_a_line(), level(1.0, t), &stream, 20_000, &mut [0.0; 2]).unwrap();
        assert!(close(estimate, integral, 0.03, 1.0), "{estimate} for {integral} at {t}");
    }
    let plane = LowRankMixture::new(PLANE).unwrap();
    let curve = [0.0, 0.3, 1.0, 3.0].map(|t| entropy(&plane, level(1.0, t), &stream, 20_000, &mut [0.0; 5]).unwrap());
    assert!(curve.windows(2).all(|pair| pair[0] < pair[1]), "{curve:?}");
    // And of one Gaussian in closed form.
    let (mean, variance) = ([0.5, 1.0], [2.0, 0.1]);
    let one = DiagonalMixture::new(&[1.0], &mean, &variance).unwrap();
    let estimate = entropy(&one, level(0.6, 0.8), &stream, 20_000, &mut [0.0; 4]).unwrap();
    let exact = Gaussian { mean: &mean, variance: &variance }.entropy(level(0.6, 0.8));
    assert!(close(estimate, exact, 0.03, 1.0), "{estimate} for {exact}");
    assert!(entropy(&one, level(0.6, 0.8), &stream, 5, &mut [0.0; 3]).is_err());
    assert!(entropy(&one, level(0.6, 0.8), &stream, 0, &mut [0.0; 4]).is_err());
}

#[test]
fn tables_that_make_no_mixture_are_typed_errors() {
    let wrong = |result: Result<DiagonalMixture<'_>, Error>| matches!(result, Err(Error::WrongLength { .. }));
    let range = |result: Result<DiagonalMixture<'_>, Error>| matches!(result, Err(Error::OutOfRange { .. }));
    assert!(wrong(DiagonalMixture::new(&[], &[], &[])));
    assert!(wrong(DiagonalMixture::new(&[1.0; 2], &[0.0; 3], &[0.0; 3])));
    assert!(wrong(DiagonalMixture::new(&[1.0; 2], &[0.0; 4], &[0.0; 3])));
    assert!(wrong(DiagonalMixture::new(&[1.0; 2], &[], &[])));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(range(DiagonalMixture::new(&[1.0, bad], &[0.0; 2], &[0.0; 2])), "{bad}");
    }
    assert!(range(DiagonalMixture::new(&[1.0], &[f64::NAN], &[0.0])));
    assert!(range(DiagonalMixture::new(&[1.0], &[0.0], &[-1e-9])));
    for tables in [
        LowRankTables { weights: &[1.0], ..PLANE },
        LowRankTables { means: &[0.0; 3], ..PLANE },
        LowRankTables { bases: &[1.0, 0.0], ..PLANE },
        LowRankTables { eigenvalues: &[1.0], ..PLANE },
        LowRankTables { floors: &[1.0], ..PLANE },
    ] {
        assert!(matches!(LowRankMixture::new(tables), Err(Error::WrongLength { .. })), "{tables:?}");
    }
    for tables in [
        LowRankTables { bases: &[0.6, 0.8, 0.6, 0.7], ..PLANE },
        LowRankTables { bases: &[0.6, 0.8, f64::NAN, 0.7], ..PLANE },
        LowRankTables { eigenvalues: &[1.0, -1.0], ..PLANE },
        LowRankTables { floors: &[-1.0, 1.0], ..PLANE },
        // A basis may not repeat a direction.
        LowRankTables {
            weights: &[1.0],
            means: &[0.0; 2],
            bases: &[1.0, 0.0, 1.0, 0.0],
            eigenvalues: &[1.0; 2],
            floors: &[0.0],
        },
    ] {
        assert!(matches!(LowRankMixture::new(tables), Err(Error::OutOfRange { .. })), "{tables:?}");
    }
    for (samples, dimension) in [(&[][..], 2), (&[1.0][..], 2), (&[1.0][..], 0)] {
        assert!(matches!(Empirical::new(samples, dimension), Err(Error::WrongLength { .. })));
    }
    assert!(matches!(Empirical::new(&[f32::NAN], 1), Err(Error::OutOfRange { .. })));
}

#[test]
fn states_that_do_not_fit_change_nothing() {
    let (data, level, mut out) = (LowRankMixture::new(PLANE).unwrap(), level(0.6, 0.8), [7.0; 2]);
    assert!(data.denoise(&[0.0; 3], level, &mut [0.0], &mut out).is_err());
    assert!(data.denoise(&[0.0; 2], level, &mut [], &mut out).is_err());
    assert!(data.denoise(&[0.0; 2], level, &mut [0.0], &mut [7.0; 3]).is_err());
    assert!(data.score(&[0.0; 2], level, &mut [0.0], &mut [7.0; 3]).is_err());
    assert!(data.posterior(&[0.0; 2], level, &mut [0.0], &mut [7.0; 3]).is_err());
    for x in [f64::NAN, f64::INFINITY, 2.0 * LARGEST] {
        assert!(matches!(data.denoise(&[0.0, x], level, &mut [0.0], &mut out), Err(Error::OutOfRange { .. })));
    }
    assert_eq!(out, [7.0; 2]);
    let plan = [Step::new(0.5, level, 0.5, &[0.5], 0.0).unwrap()];
    let mut along = AlongPlan { data, plan: &plan, scratch: &mut [0.0] };
    along.denoise(&[0.4, 0.1][..], StepId(0), &mut out[..]).unwrap();
    assert_eq!(out.to_vec(), denoise(&data, &[0.4, 0.1], level));
    let past = along.denoise(&[0.4, 0.1][..], StepId(1), &mut out[..]);
    assert!(matches!(past, Err(Error::WrongLength { need: 2, have: 1, .. })));
}
