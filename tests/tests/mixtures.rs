//! Mixtures in fixed point: the same bytes on every chip, those that the format describes, and close to the mixture in floating point.

#![allow(missing_docs)]

mod draws;
mod emulator;
mod random_mixture;

use candle_core::Device;
use draws::{assert_same_everywhere, lines};
use quickcheck::{Arbitrary, Gen};
use random_mixture::RandomMixture;
use tweedie_core::StepId;
use tweedie_core::artifact::Artifact;
use tweedie_core::noise::NoiseStream;
use tweedie_core::{Denoiser, NoiseSource, Tensor};
use tweedie_firmware::model::Network;
use tweedie_firmware::tensor::FixedTensor;
use tweedie_firmware::{Model, Q12};
use tweedie_host::checkpoint;
use tweedie_host::data::{Dataset, Scaling};
use tweedie_host::export::export;
use tweedie_host::export::integer::IntegerNetwork;
use tweedie_host::mixture::Fit;
use tweedie_host::preset::Preset;
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::sample;

/// Mixtures in one run of the emulator.
const MODELS: usize = 48;

fn random_mixtures() -> impl Iterator<Item = RandomMixture> {
    let mut g = Gen::new(100);
    std::iter::repeat_with(move || RandomMixture::arbitrary(&mut g))
}

#[test]
fn random_mixtures_draw_the_same_bytes_on_every_chip() {
    // The room that the board's program has, and a class to ask for.
    let fits = |model: &RandomMixture| {
        let model = Model::parse(&model.words).unwrap();
        model.artifact().bytes() <= 4 * 2048 && model.header().classes > 0
    };
    let models: Vec<RandomMixture> = random_mixtures().filter(fits).take(MODELS).collect();
    let expected: Vec<String> = models.iter().flat_map(|model| lines(&model.words)).collect();
    let varied = expected.iter().flat_map(|line| line.as_bytes().chunks(4)).collect::<std::collections::HashSet<_>>();
    assert!(varied.len() > MODELS, "random mixtures should not all draw the same: {} values", varied.len());
    assert_same_everywhere(&models, &expected);
}

#[test]
fn the_kernel_is_the_arithmetic_that_the_format_describes() {
    let mut sharp = 0;
    for (number, mixture) in random_mixtures().take(400).enumerate() {
        let model = Model::parse(&mixture.words).unwrap();
        let artifact = Artifact::parse(&mixture.words).unwrap();
        let mut plain = IntegerNetwork::new(&artifact);
        let mut state = vec![Q12::ZERO; model.features()];
        let (classes, features) = (model.header().classes, model.features());
        for step in 0..model.steps() {
            for class in (0..=classes).rev() {
                let own = (class < classes).then_some(class);
                let state = FixedTensor::from_mut(&mut state);
                NoiseStream::new(5, number as u64).fill_normal(step as u32, state).unwrap();
                // Some at the ends of the format.
                if number % 5 == 0 {
                    state.iter_mut().for_each(|x| *x = if x.is_negative() { Q12::MIN } else { Q12::MAX });
                }
                let bits: Vec<i16> = state.iter().map(|x| x.to_bits()).collect();
                let described = plain.run(&bits, step, class.into(), |_, _| {}).to_vec();

                let mut arena = vec![0; model.header().arena as usize / 2];
                let mut network = Network::new(&model, &mut arena, own).unwrap();
                let mut x0_hat = vec![Q12::ZERO; features];
                let x0_hat = FixedTensor::from_mut(&mut x0_hat);
                network.denoise(state, StepId(step), x0_hat).unwrap();
                let mut expected: Vec<Q12> = described.into_iter().map(Q12::from_bits).collect();
                let planned = model.step(step).unwrap();
                let expected = FixedTensor::from_mut(&mut expected);
                let coefficient = |bits: i16| tweedie_firmware::tensor::Coeff::from_bits(bits.into());
                expected
                    .combine(coefficient(planned.from_output), &[(coefficient(planned.from_state), state)])
                    .unwrap();
                if model.header().clip {
                    expected.clamp(-1.0, 1.0).unwrap();
                }
                assert_eq!(**x0_hat, **expected, "mixture {number}, step {step}, class {own:?}");
                sharp += usize::from(x0_hat.iter().any(|x| x.abs() > 0.5));
            }
        }
    }
    assert!(sharp > 100, "estimates should not all be next to nothing: {sharp}");
}

/// A data set of clusters in a few coordinates, all within [-1, 1].
fn clusters(seed: u64, features: usize, classes: usize) -> Dataset {
    let count = 240;
    let noise = NoiseStream::new(seed, 0);
    let mut centres = vec![0.0_f32; 3 * classes.max(1) * features];
    noise.fill(0, &mut centres);
    let mut samples = Vec::with_capacity(count * features);
    for i in 0..count {
        let mut z = vec![0.0_f32; features];
        noise.fill(1 + i as u32, &mut z);
        let centre = &centres[(i % (3 * classes.max(1))) * features..][..features];
        samples.extend(centre.iter().zip(&z).enumerate().map(|(at, (c, z))| {
            let spread = if at % 3 == 0 { 0.15 } else { 0.03 };
            (0.4 * c + spread * z).clamp(-1.0, 1.0)
        }));
    }
    let labels = (classes > 0).then(|| (0..count).map(|i| (i % classes) as u32).collect());
    Dataset {
        name: "clusters".into(),
        shape: vec![features],
        samples,
        labels,
        classes,
        conditions: None,
        scaling: Scaling::IDENTITY,
    }
}

fn fitted(data: &Dataset, overrides: &[String]) -> checkpoint::Model {
    let preset = Preset::load("digits-mixture", overrides).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    Fit::begin(data, &preset.network, 0).unwrap().run(&preset, data, &run, |_| {}).unwrap();
    checkpoint::Model::load(&run.model(), &Device::Cpu).unwrap()
}

#[test]
fn exported_mixtures_follow_the_float_mixture() {
    for (seed, features, classes, components, rank, steps) in
        [(0, 2, 0, 3, 1, 10), (1, 5, 3, 2, 2, 10), (2, 16, 2, 3, 0, 6), (3, 33, 2, 2, 5, 20), (4, 3, 0, 1, 2, 40)]
    {
        let data = clusters(seed, features, classes);
        let overrides = [
            format!("network.components={components}"),
            format!("network.rank={rank}"),
            format!("sampling.steps={steps}"),
            "training.steps=10".to_owned(),
        ];
        let model = fitted(&data, &overrides);
        let exported = export(&model, &model.preset.sampling, Some(&data)).unwrap();
        let error = exported.report.output_error;
        assert!(error.signal_to_noise_db > 40.0, "{features} features: {:#?}", exported.report);
        assert!(exported.report.least_margin > 0);

        // Whole samples, of every class in turn and of none.
        let fixed = Model::parse(&exported.words).unwrap();
        let of_class = |index: usize| (classes > 0 && index % (classes + 1) < classes).then_some(index % (classes + 1));
        let asked: Vec<u32> = (0..120).map(|index| of_class(index).unwrap_or(classes) as u32).collect();
        let float = sample(&model, &model.preset.sampling, &asked, 9, &Device::Cpu).unwrap();
        let mut scratch = vec![0; fixed.scratch_words()];
        let mut differences = Vec::new();
        for (index, exact) in float.chunks(features).enumerate() {
            let class = of_class(index).map(|class| class as u16);
            let drawn = tweedie_firmware::sample(&fixed, &mut scratch, 9, index as u64, class, |_| {}).unwrap();
            let squared = drawn.iter().zip(exact).map(|(a, b)| (f32::from(*a) - b).powi(2)).sum::<f32>();
            differences.push((squared / features as f32).sqrt());
        }
        differences.sort_by(f32::total_cmp);
        // A sample on the border between components may fall to either side.
        let (median, ninth) = (differences[60], differences[108]);
        println!("{features} features, {steps} steps: {:.1} dB, {median:.4}, {ninth:.4}", error.signal_to_noise_db);
        assert!(median < 0.006 && ninth < 0.01, "{features} features: {differences:?}");
    }
}

#[test]
fn a_mixture_that_no_format_holds_is_refused_in_one_sentence() {
    let mut data = clusters(0, 2, 0);
    data.samples.iter_mut().for_each(|x| *x *= 1e5);
    let model = fitted(&data, &["network.components=1".to_owned(), "network.rank=1".to_owned()]);
    let refusal = export(&model, &model.preset.sampling, Some(&data)).unwrap_err().to_string();
    assert!(!refusal.contains('\n') && !refusal.contains(". "), "{refusal}");
}
