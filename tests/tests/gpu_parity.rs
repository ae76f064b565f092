//! Artifacts on a GPU draw the firmware library's samples, byte for byte: whatever the network, the plan, the seed and the class.
//!
//! On whichever adapter is there, at the least the driver in software that continuous integration installs. The host reads the format's description
//! and never the firmware, so this compares two programs.

#![allow(missing_docs)]

mod random_layers;
mod random_mixture;
mod random_network;

use candle_core::{Device, Tensor};
use quickcheck::{Arbitrary, Gen};
use random_layers::{KINDS, RandomLayers};
use random_mixture::RandomMixture;
use random_network::{Numbers, RandomModel};
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tweedie_core::artifact::{self, Artifact, Header, PlanStep};
use tweedie_core::noise::NoiseStream;
use tweedie_firmware::{Model, sample};
use tweedie_host::checkpoint::{Description, Model as Checkpoint};
use tweedie_host::export::export;
use tweedie_host::gpu::{Gpu, GpuError, IntegerSampler, Wanted};
use tweedie_host::network::parameters::FrozenWeights;
use tweedie_host::preset::{Preset, SolverName};

/// The adapter; without one, nothing is compared, unless this is continuous integration, which has one.
fn gpu() -> Option<Arc<Gpu>> {
    static GPU: OnceLock<Option<Arc<Gpu>>> = OnceLock::new();
    let opened = GPU.get_or_init(|| match Gpu::open(None) {
        Ok(gpu) => Some(Arc::new(gpu)),
        Err(error @ GpuError::NoAdapter { .. }) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    });
    opened.clone()
}

/// Samples of every class and of none, from streams that are no neighbours.
fn wanted(classes: u16, count: usize) -> Vec<Wanted> {
    let of = |index: usize| {
        let class = index % (usize::from(classes) + 1);
        let stream = index as u64 + if index.is_multiple_of(3) { 5 << 32 } else { 0 };
        Wanted { stream, class: (class < usize::from(classes)).then_some(class as u16) }
    };
    (0..count).map(of).collect()
}

/// What the firmware library draws.
fn expected(words: &[u32], seed: u64, wanted: &[Wanted]) -> Vec<i16> {
    let model = Model::parse(words).unwrap();
    let draw = |scratch: &mut Vec<u32>, wanted: &Wanted| {
        let drawn = sample(&model, scratch, seed, wanted.stream, wanted.class, |_| {}).unwrap();
        drawn.iter().map(|value| value.to_bits()).collect::<Vec<i16>>()
    };
    wanted.par_iter().map_init(|| vec![0; model.scratch_words()], draw).flatten().collect()
}

/// Draws `count` samples, `most` at a time or somewhat more, on both; returns them, or nothing without an adapter.
fn assert_same(what: &str, words: &[u32], seed: u64, count: usize, most: usize) -> Option<Vec<i16>> {
    let gpu = gpu()?;
    let artifact = Artifact::parse(words).unwrap();
    let wanted = wanted(artifact.header().classes, count);
    let sampler = IntegerSampler::new(&gpu, &artifact, most).unwrap();
    let drawn = sampler.draw(seed, &wanted).unwrap();
    let expected = expected(words, seed, &wanted);
    let first = drawn.iter().zip(&expected).position(|(ours, theirs)| ours != theirs);
    if let Some(at) = first {
        let features = artifact.header().features();
        let (sample, number) = (at / features, at % features);
        panic!("{what}: number {number} of sample {sample} is {} instead of {}", drawn[at], expected[at]);
    }
    assert_eq!(drawn.len(), expected.len());
    Some(drawn)
}

/// Samples that are all the same would agree whatever draws them.
fn assert_varied(drawn: &[Vec<i16>]) {
    let varied: HashSet<i16> = drawn.iter().flatten().copied().collect();
    assert!(drawn.is_empty() || varied.len() > 2 * drawn.len(), "{} values of {}", varied.len(), drawn.len());
}

#[test]
fn random_networks_under_every_solver() {
    let mut g = Gen::new(100);
    let solvers = SolverName::ALL.iter().copied().map(Some).chain(std::iter::repeat(None));
    let made = |solver| std::iter::repeat_with(|| RandomModel::new(&mut g, solver)).flatten().next().unwrap();
    let models: Vec<RandomModel> = solvers.take(SolverName::ALL.len() + 24).map(made).collect();
    let drawn = models.iter().enumerate().filter_map(|(number, model)| {
        assert_same(&format!("network {number}"), &model.words, number as u64 * 0x1_0000_0001, 9, 9)
    });
    assert_varied(&drawn.collect::<Vec<_>>());
}

#[test]
fn random_layers_of_every_kind() {
    let mut g = Gen::new(100);
    let mut kinds = [0; KINDS.len()];
    let mut all = Vec::new();
    for number in 0..100 {
        let layers = RandomLayers::arbitrary(&mut g);
        kinds.iter_mut().zip(layers.kinds).for_each(|(sum, count)| *sum += count);
        all.extend(assert_same(&format!("layers {number}: {:?}", layers.kinds), &layers.words, number, 7, 7));
    }
    assert!(kinds.iter().all(|&count| count > 10), "{KINDS:?}: {kinds:?}");
    assert_varied(&all);
}

#[test]
fn random_mixtures() {
    let mut g = Gen::new(100);
    let drawn = (0..80).filter_map(|number| {
        let mixture = RandomMixture::arbitrary(&mut g);
        assert_same(&format!("mixture {number}"), &mixture.words, number, 8, 8)
    });
    assert_varied(&drawn.collect::<Vec<_>>());
}

/// A network that has not been trained, as an artifact; its zeros and ones are none.
fn untrained(kind: &str, classes: usize, overrides: &[&str]) -> Vec<u32> {
    const SHAPE: [usize; 3] = [2, 8, 8];
    let kind = format!("network.kind={kind}");
    let small = [&kind, "network.hidden=12", "network.heads=2", "sampling.steps=3"];
    let overrides: Vec<String> = small.iter().chain(overrides).map(|&set| set.to_owned()).collect();
    let preset = Preset::parse("test", "", &overrides).unwrap();
    let description = Description {
        format: "model".to_owned(),
        version: 1,
        preset: preset.to_toml().unwrap(),
        data: "test".to_owned(),
        shape: SHAPE.to_vec(),
        classes,
        offset: 0.0,
        scale: 1.0,
        distilled: None,
        class_names: Vec::new(),
        vectors: None,
    };
    let network = preset.network.build(&SHAPE, classes).unwrap();
    let parameters = network.initialise(3, &Device::Cpu).unwrap();
    let weights = parameters.iter().enumerate().map(|(index, (name, var))| {
        let mut noise = vec![0.0_f32; var.elem_count()];
        NoiseStream::new(9, index as u64).fill(0, &mut noise);
        let noise = Tensor::from_vec(noise, var.shape(), &Device::Cpu).unwrap();
        (name.to_owned(), (var.as_tensor() + (noise * 0.05).unwrap()).unwrap())
    });
    let weights = FrozenWeights::new(weights.collect());
    let model = Checkpoint { network, weights, preset, description };
    export(&model, &model.preset.sampling, None).unwrap().words
}

#[test]
fn networks_of_images() {
    let drawn = [
        ("residual-mlp", 0, &[][..]),
        ("unet", 0, &["sampling.solver=ddpm"]),
        ("unet", 3, &["network.levels=3", "network.patch=1", "network.blocks=2"]),
        ("transformer", 3, &["sampling.solver=unipc"]),
        ("transformer", 0, &["network.end_level=true", "sampling.steps=1"]),
    ]
    .into_iter()
    .filter_map(|(kind, classes, overrides)| {
        let words = untrained(kind, classes, overrides);
        assert_same(&format!("{kind} {overrides:?}"), &words, 11, 150, 10)
    });
    assert_varied(&drawn.collect::<Vec<_>>());
}

fn example(name: &str) -> Vec<u32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/examples").join(name);
    let bytes = std::fs::read(path).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

#[test]
fn the_digits() {
    for (name, count) in [("digits-2-steps.tweedie", 4096), ("digits.tweedie", 600), ("digits-mixture.tweedie", 600)] {
        assert_same(name, &example(name), 0, count, 1000);
    }
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let Some(gpu) = gpu() else { return };
    let words = example("digits-2-steps.tweedie");
    let artifact = Artifact::parse(&words).unwrap();
    let wanted = wanted(10, 700);
    let draw = |most: usize| {
        let sampler = IntegerSampler::new(&gpu, &artifact, most).unwrap();
        (sampler.batch(), sampler.draw(3, &wanted).unwrap())
    };
    let ((few, one), (many, other)) = (draw(1), draw(700));
    assert!(few < many && one == other, "{few} and {many} samples at a time");
}

#[test]
fn a_class_that_is_not_there_is_one_sentence() {
    let Some(gpu) = gpu() else { return };
    let words = example("digits-2-steps.tweedie");
    let sampler = IntegerSampler::new(&gpu, &Artifact::parse(&words).unwrap(), 1).unwrap();
    let sentence = sampler.draw(0, &[Wanted { stream: 0, class: Some(10) }]).unwrap_err().to_string();
    assert!(sentence.contains("class 10") && !sentence.contains('\n') && !sentence.contains(". "), "{sentence}");
}

#[test]
fn a_network_that_no_buffer_holds_is_one_sentence() {
    let Some(gpu) = gpu() else { return };
    let numbers = Numbers::new(&mut Gen::new(100), 4, 4, [1, 0]);
    let layers = [numbers.layer((0, 4), (4, 4), false)];
    let header = Header {
        dims: [4, 1, 1, 1],
        rank: 1,
        classes: 0,
        clip: false,
        // The largest that parses: with a workgroup's samples more bytes than shaders can count.
        arena: 1 << 24,
        input_at: 0,
        output_at: 4,
        offset: 0.0,
        scale: 1.0,
    };
    let step = PlanStep { from_output: 1 << 14, pulls: [1 << 14, 0, 0, 0], pull_count: 1, ..PlanStep::default() };
    let mut words = vec![0; artifact::length(&[step], &layers)];
    artifact::write(&header, &[step], &layers, &mut words).unwrap();
    let sentence = IntegerSampler::new(&gpu, &Artifact::parse(&words).unwrap(), 1).unwrap_err().to_string();
    assert!(
        sentence.starts_with("a network that works on 128 samples needs a buffer of 4294967296 bytes"),
        "{sentence}"
    );
}
