use super::maximise::{Component, LEAST_VARIANCE};
use super::{Fit, Tables, seeding};
use crate::checkpoint::Model;
use crate::data::{Dataset, Scaling};
use crate::error::Error;
use crate::network::Inputs;
use crate::preset::{NetworkKind, NetworkSettings, Preset};
use crate::run_folder::RunFolder;
use candle_core::{Device, Tensor};
use quickcheck::quickcheck;
use tweedie_core::NoiseLevel;
use tweedie_core::exact::Mixture as _;
use tweedie_core::noise::NoiseStream;

fn settings(components: usize, rank: usize) -> NetworkSettings {
    let unused = Preset::load("digits", &[]).unwrap().network;
    NetworkSettings { kind: NetworkKind::Mixture, components, rank, ..unused }
}

fn data(shape: usize, samples: Vec<f32>, labels: Option<Vec<u32>>) -> Dataset {
    let classes = labels.iter().flatten().max().map_or(0, |most| *most as usize + 1);
    Dataset {
        name: "made".into(),
        shape: vec![shape],
        samples,
        labels,
        classes,
        conditions: None,
        scaling: Scaling::IDENTITY,
    }
}

/// Two flat clouds in three dimensions: around (-0.5, 0, 0) along y, three times as many around (0.5, 0, 0) along z.
fn two_clouds() -> Dataset {
    let stream = NoiseStream::new(8, 0);
    let sample = |i: u32| {
        let mut z = [0.0_f32; 4];
        stream.fill(i, &mut z);
        let thin = z.map(|z| 0.03 * z);
        if i.is_multiple_of(4) { [thin[0] - 0.5, 0.15 * z[3], thin[1]] } else { [thin[0] + 0.5, thin[1], 0.15 * z[3]] }
    };
    data(3, (0..2000).flat_map(sample).collect(), None)
}

#[test]
fn one_component_is_the_pca_of_the_digits() {
    // As scikit-learn's PCA(12) has it of the same rows, `explained_variance_` and `noise_variance_` over n instead of n - 1.
    const EIGENVALUES: [f64; 12] = [
        2.71392911, 2.53447687, 2.24639816, 1.65983722, 1.12540785, 0.93558059, 0.78003742, 0.68723046, 0.63049111,
        0.57618687, 0.46554231, 0.44365112,
    ];
    const NOISE: f64 = 0.07664763148014107;
    // Its `score`, with these variances.
    const LIKELIHOOD: f64 = -24.07143635139228;
    let (mut digits, settings) = (Dataset::digits().unwrap(), settings(1, 12));
    (digits.labels, digits.classes) = (None, 0);
    let mut fit = Fit::begin(&digits, &settings, 0).unwrap();
    let likelihood = fit.pass().unwrap();
    let tables = fit.tables();
    assert!(tables.eigenvalues.iter().zip(EIGENVALUES).all(|(a, b)| (a / b - 1.0).abs() < 1e-7), "{tables:?}");
    assert!((tables.floors[0] / NOISE - 1.0).abs() < 1e-9, "{:?}", tables.floors);
    assert!((likelihood - LIKELIHOOD).abs() < 1e-9, "{likelihood}");
    // Another pass has nothing to improve.
    assert!((fit.pass().unwrap() - likelihood).abs() < 1e-9);
}

#[test]
fn a_component_has_the_axes_that_its_rows_were_made_of() {
    // Rows of both signs along orthogonal axes; lambda = 2 / n times the squared length.
    let axes = [[0.6, 0.8, 0.0, 0.0], [-0.8, 0.6, 0.0, 0.0], [0.0, 0.0, 0.6, 0.8], [0.0, 0.0, -0.8, 0.6]];
    let lengths = [0.5, 2.0, 0.25, 1.0];
    let mean = [1.0, -2.0, 0.5, 0.0];
    let row = |axis: usize, sign: f64| (0..4).map(move |i| mean[i] + sign * lengths[axis] * axes[axis][i]);
    let rows: Vec<f64> = (0..4).flat_map(|axis| row(axis, 1.0).chain(row(axis, -1.0))).collect();
    let component = Component::most_likely(&rows, 4, &[0.5; 8], 2);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert_eq!(component.weight, 0.5);
    assert!(component.mean.iter().zip(mean).all(|(&a, b)| near(a, b)));
    assert!(near(component.eigenvalues[0], 1.0) && near(component.eigenvalues[1], 0.25));
    assert!(near(component.floor, (0.0625 + 0.015625) / 2.0));
    for (row, axis) in component.basis.chunks(4).zip([axes[1], axes[3]]) {
        let along: f64 = row.iter().zip(axis).map(|(a, b)| a * b).sum();
        assert!(near(along.abs(), 1.0), "{row:?}");
    }
}

#[test]
fn the_likelihood_never_falls() {
    fn law(seed: u64, classes: u8, components: u8, rank: u8, copies: bool) -> bool {
        let (classes, components, rank) = (1 + classes % 3, 1 + usize::from(components % 4), usize::from(rank % 5));
        let mut samples = vec![0.0_f32; 60 * 5];
        NoiseStream::new(seed, 0).fill(0, &mut samples);
        // Copies of few rows drive variances down to their bound.
        for i in 0..if copies { 40 } else { 0 } {
            samples.copy_within(5 * (i % 3)..5 * (i % 3) + 5, 5 * (59 - i));
        }
        let labels = (0..60).map(|i| i % u32::from(classes)).collect();
        let data = data(5, samples.iter().map(|z| (z / 4.0).clamp(-1.0, 1.0)).collect(), Some(labels));
        let mut fit = Fit::begin(&data, &settings(components, rank), seed).unwrap();
        let passes: Vec<f64> = (0..15).map(|_| fit.pass().unwrap()).collect();
        assert!(passes.iter().all(|likelihood| likelihood.is_finite()));
        passes.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9)
    }
    quickcheck(law as fn(u64, u8, u8, u8, bool) -> bool);
}

#[test]
fn a_fit_finds_what_the_data_were_drawn_from() {
    let mut fit = Fit::begin(&two_clouds(), &settings(2, 1), 3).unwrap();
    let passes: Vec<f64> = (0..10).map(|_| fit.pass().unwrap()).collect();
    assert!(passes[9] >= passes[0] && (passes[9] - passes[8]).abs() < 1e-6, "{passes:?}");
    let tables = fit.tables();
    let rare = usize::from(tables.weights[1] < tables.weights[0]);
    for (k, weight, x, axis) in [(rare, 0.25, -0.5, 1), (1 - rare, 0.75, 0.5, 2)] {
        assert!((tables.weights[k] - weight).abs() < 1e-6, "{tables:?}");
        assert!((tables.means[3 * k] - x).abs() < 0.01);
        assert!(tables.bases[3 * k + axis].abs() > 0.99);
        assert!((tables.eigenvalues[k].sqrt() - 0.15).abs() < 0.01);
        assert!((tables.floors[k].sqrt() - 0.03).abs() < 0.003);
    }
}

#[test]
fn a_fit_is_a_function_of_data_sizes_and_seed() {
    let digits = Dataset::digits().unwrap();
    let tables = |seed: u64, threads: usize| -> Tables {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut fit = Fit::begin(&digits, &settings(3, 4), seed).unwrap();
            fit.pass().unwrap();
            fit.pass().unwrap();
            fit.tables()
        })
    };
    assert_eq!(tables(5, 1), tables(5, 3));
    assert_ne!(tables(5, 2), tables(6, 2));
}

#[test]
fn rows_that_are_all_alike_make_components_at_the_bound() {
    let same = data(2, [0.25, -0.5].repeat(9), None);
    let mut fit = Fit::begin(&same, &settings(3, 1), 0).unwrap();
    let likelihood = fit.pass().unwrap();
    // One round Gaussian of the least variance, at its mean.
    let expected = -(2.0 * std::f64::consts::PI * LEAST_VARIANCE).ln();
    assert!((likelihood - expected).abs() < 1e-9 && (fit.pass().unwrap() - expected).abs() < 1e-9, "{likelihood}");
    assert_eq!(seeding::clusters(&[1.0; 6], 2, 2, &NoiseStream::new(0, 0)), [0; 3]);
}

#[test]
fn clusters_are_the_nearest_centres() {
    // Three far groups of unequal sizes are told apart from any start of k-means++.
    let groups: Vec<f64> = (0..30).map(|i| f64::from([0, 0, 0, 10, 10, 50][i % 6]) + 0.01 * i as f64).collect();
    for seed in 0..20 {
        let found = seeding::clusters(&groups, 1, 3, &NoiseStream::new(seed, 0));
        for i in 0..30 {
            for j in 0..30 {
                assert_eq!(found[i] == found[j], (groups[i] - groups[j]).abs() < 5.0, "{seed}: {found:?}");
            }
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused_in_one_sentence() {
    let refused = |data: &Dataset, components, rank| match Fit::begin(data, &settings(components, rank), 0).err() {
        Some(Error::Argument(sentence)) => sentence,
        other => panic!("{other:?}"),
    };
    let few = data(2, vec![0.0, 0.5, 0.1, 0.2, 0.3, 0.4], Some(vec![0, 0, 1]));
    assert!(
        refused(&few, 2, 1).starts_with("network.components = 2 must be at most 1, the number of samples of class 1")
    );
    assert!(refused(&few, 1, 2).starts_with("network.rank = 2 must be below 2"));
    assert!(refused(&data(1025, vec![0.0; 1025], None), 1, 1).contains("at most 1024 values"));
    let preset = Preset::load("digits-mixture", &["training.prediction=v".to_owned()]).err().unwrap();
    assert!(preset.to_string().contains("training.prediction = v must be x0 for a mixture"), "{preset}");
}

/// A model of few passes, saved and loaded.
pub(crate) fn model(data: &Dataset, overrides: &[&str]) -> Model {
    let overrides: Vec<String> = overrides.iter().map(|&set| set.to_owned()).collect();
    let preset = Preset::load("digits-mixture", &overrides).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    let mut steps = Vec::new();
    let mut fit = Fit::begin(data, &preset.network, preset.training.seed).unwrap();
    fit.run(&preset, data, &run, |metrics| steps.push(metrics.step)).unwrap();
    assert_eq!(steps, (1..=preset.training.steps).collect::<Vec<_>>());
    assert_eq!(run.read_metrics(u64::MAX).unwrap().len(), steps.len());
    Model::load(&run.model(), &Device::Cpu).unwrap()
}

#[test]
fn the_network_is_the_mixtures_denoiser() {
    let digits = Dataset::digits().unwrap();
    let model = model(&digits, &["training.steps=2", "network.rank=5"]);
    let mut fit = Fit::begin(&digits, &model.preset.network, 0).unwrap();
    fit.pass().unwrap();
    fit.pass().unwrap();
    let tables = fit.tables();
    let mut states = vec![0.0_f32; 3 * 64];
    NoiseStream::new(1, 0).fill(0, &mut states);
    // A class, another at another noise, and none.
    let (angles, classes) = ([0.4, 0.02, 0.9], [7, 2, 10]);
    let inputs = Inputs::from_rows(states.clone(), &angles, &classes, &Device::Cpu).unwrap();
    let output = model.network.forward(&model.weights, &inputs).unwrap().to_vec2::<f32>().unwrap();
    for (row, range) in [28..32, 8..12, 0..40].into_iter().enumerate() {
        let state: Vec<f64> = states[64 * row..64 * (row + 1)].iter().map(|&x| x.into()).collect();
        let (sine, cosine) = (angles[row] * std::f64::consts::FRAC_PI_2).sin_cos();
        let level = NoiseLevel::new(cosine, sine).unwrap();
        let (mut scratch, mut x0_hat) = ([0.0; 5], [0.0; 64]);
        tables.mixture(range).unwrap().denoise(&state, level, &mut scratch, &mut x0_hat).unwrap();
        for (found, expected) in output[row].iter().zip(x0_hat) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "row {row}: {found} for {expected}");
        }
    }
    let states = Tensor::zeros((1, 64), candle_core::DType::F32, &Device::Cpu).unwrap();
    let beyond = Inputs::at_angles(states, &[0.5], &[11]);
    assert!(model.network.forward(&model.weights, &beyond.unwrap()).is_err());
    assert!(model.network.initialise(0, &Device::Cpu).is_err());
}
