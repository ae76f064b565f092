//! The presets draw digits as well as they are said to: each trained once, judged on 2000 samples.

#![allow(missing_docs)]

use candle_core::Device;
use nalgebra::{DMatrix, DVector, RowDVector, SymmetricEigen};
use tweedie_host::checkpoint::Model;
use tweedie_host::data::Dataset;
use tweedie_host::mixture::Fit;
use tweedie_host::preset::Preset;
use tweedie_host::process::AnyProcess;
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::sample;
use tweedie_host::train::Training;

#[test]
fn the_default_preset_draws_good_digits() {
    let (train, held_out) = (Dataset::digits().unwrap(), Dataset::digits_held_out().unwrap());
    let judge = Judge { data: &train };
    let labels = held_out.labels.as_ref().unwrap();
    let right = (0..held_out.len()).filter(|&i| judge.class(held_out.sample(i)) == labels[i]).count();
    let accuracy = right as f64 / held_out.len() as f64;
    let floor = frechet(&rows(&train.samples), &rows(&held_out.samples));
    println!("judge: {accuracy:.4} on held-out rows; Frechet distance of the training rows {floor:.3}");
    assert!(accuracy >= 0.95, "the judge itself errs too often: {accuracy}");
    // As scipy computes it from the same rows.
    assert!((floor - 0.985).abs() < 5e-4, "{floor}");

    let preset = Preset::load("digits", &[]).unwrap();
    let process = AnyProcess::new(&preset.process).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    Training::begin(&preset, &train, &process, &Device::Cpu).unwrap().run(&run, |_| {}).unwrap();
    let model = Model::load(&run.model(), &Device::Cpu).unwrap();
    assert_eq!(preset.sampling.steps, 20);
    let quality = judge.quality(&model, &held_out);
    assert!(quality.distance <= 1.45, "{quality:?}");
    assert!(quality.agreement >= 0.97, "{quality:?}");
    assert!(quality.memorised <= 0.02, "{quality:?}");
}

#[test]
fn the_mixture_draws_digits_better_than_the_network() {
    let (train, held_out) = (Dataset::digits().unwrap(), Dataset::digits_held_out().unwrap());
    let preset = Preset::load("digits-mixture", &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    Fit::begin(&train, &preset.network, preset.training.seed).unwrap().run(&preset, &train, &run, |_| {}).unwrap();
    let model = Model::load(&run.model(), &Device::Cpu).unwrap();
    let quality = Judge { data: &train }.quality(&model, &held_out);
    // The network's figure is 1.257.
    assert!(quality.distance <= 1.2, "{quality:?}");
    assert!(quality.agreement >= 0.99, "{quality:?}");
    assert!(quality.memorised <= 0.005, "{quality:?}");
}

/// How good samples are.
#[derive(Debug)]
struct Quality {
    /// Frechet distance in pixels to the held-out rows.
    distance: f64,
    /// Share of samples that the judge takes for their class.
    agreement: f64,
    /// Share of samples that are copies.
    memorised: f64,
}

/// The nearest training rows.
struct Judge<'a> {
    data: &'a Dataset,
}

impl Judge<'_> {
    /// Draws 2000 samples by the model's own settings, classes in turn, and judges them.
    fn quality(&self, model: &Model, held_out: &Dataset) -> Quality {
        let classes: Vec<u32> = (0..2000).map(|i| i % 10).collect();
        let samples = sample(model, &model.preset.sampling, &classes, 0, &Device::Cpu).unwrap();
        let digits = samples.chunks_exact(64);
        let agreeing = digits.clone().zip(&classes).filter(|(digit, class)| self.class(digit) == **class).count();
        let copies = digits.filter(|digit| self.is_memorised(digit)).count();
        let quality = Quality {
            distance: frechet(&rows(&samples), &rows(&held_out.samples)),
            agreement: agreeing as f64 / 2000.0,
            memorised: copies as f64 / 2000.0,
        };
        let Quality { distance, agreement, memorised } = quality;
        println!("samples: class agreement {agreement:.4}, Frechet distance {distance:.3}, memorised {memorised:.4}");
        quality
    }

    /// The nearest training rows' squared distances and classes, nearest first.
    fn nearest<const COUNT: usize>(&self, digit: &[f32]) -> [(f32, u32); COUNT] {
        let labels = self.data.labels.as_ref().unwrap();
        let mut nearest = [(f32::MAX, 0); COUNT];
        for (row, &label) in self.data.samples.chunks_exact(64).zip(labels) {
            let distance = row.iter().zip(digit).map(|(a, b)| (a - b) * (a - b)).sum();
            let place = nearest.partition_point(|(other, _)| *other <= distance);
            if place < COUNT {
                nearest[place..].rotate_right(1);
                nearest[place] = (distance, label);
            }
        }
        nearest
    }

    /// The class that the three nearest rows have most often, and of several the nearest one's.
    fn class(&self, digit: &[f32]) -> u32 {
        let [a, b, c] = self.nearest(digit).map(|(_, class)| class);
        if b == c { b } else { a }
    }

    /// Whether a sample is a copy: at most a third as far from its nearest training row as from the second.
    fn is_memorised(&self, digit: &[f32]) -> bool {
        let [(first, _), (second, _)] = self.nearest(digit);
        first.sqrt() <= second.sqrt() / 3.0
    }
}

fn rows(samples: &[f32]) -> DMatrix<f64> {
    DMatrix::from_row_iterator(samples.len() / 64, 64, samples.iter().map(|&x| f64::from(x)))
}

/// `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))` of two clouds of points, 1e-6 added to both diagonals under the root.
fn frechet(a: &DMatrix<f64>, b: &DMatrix<f64>) -> f64 {
    let ((mean_a, a), (mean_b, b)) = (moments(a), moments(b));
    let ridge = DMatrix::identity(64, 64) * 1e-6;
    // C_a C_b has the eigenvalues of the symmetric R C_b R with R R = C_a.
    let SymmetricEigen { eigenvalues, eigenvectors } = (&a + &ridge).symmetric_eigen();
    let root = &eigenvectors * DMatrix::from_diagonal(&roots(&eigenvalues)) * eigenvectors.transpose();
    let product = &root * (&b + &ridge) * &root;
    let trace_of_root = roots(&product.symmetric_eigenvalues()).sum();
    (mean_a - mean_b).norm_squared() + a.trace() + b.trace() - 2.0 * trace_of_root
}

fn roots(eigenvalues: &DVector<f64>) -> DVector<f64> {
    eigenvalues.map(|value| value.max(0.0).sqrt())
}

/// Mean and covariance, the latter divided by `n - 1`.
fn moments(points: &DMatrix<f64>) -> (RowDVector<f64>, DMatrix<f64>) {
    let mean = points.row_mean();
    let centred = DMatrix::from_fn(points.nrows(), points.ncols(), |i, j| points[(i, j)] - mean[j]);
    (mean, centred.transpose() * &centred / (points.nrows() - 1) as f64)
}

/// Diagonal covariances in closed form: `sum (m_a - m_b)^2 + (s_a - s_b)^2`.
#[test]
fn the_distance_of_clouds_known_in_closed_form() {
    // Each of the 64 axes has two points of its own, so that covariances are all but diagonal.
    let cloud = |scale: f64, shift: f64| {
        DMatrix::from_fn(128, 64, |i, j| if i / 2 == j { scale * (1.0 - 2.0 * (i % 2) as f64) } else { 0.0 } + shift)
    };
    let deviation = |scale: f64| (2.0 * scale * scale / 127.0).sqrt();
    for (a, b) in [(1.0, 1.0), (1.0, 3.0), (5.0, 2.0)] {
        let expected = 64.0 * (0.25 + (deviation(a) - deviation(b)).powi(2));
        let distance = frechet(&cloud(a, 0.5), &cloud(b, 0.0));
        assert!((distance - expected).abs() < 1e-3, "{distance} instead of {expected}");
    }
}
