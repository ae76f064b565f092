//! Samples on a GPU are candle's, for every network and solver.

use super::shared;
use candle_core::{Device, Tensor};
use std::ops::ControlFlow;
use std::path::Path;
use tweedie_core::noise::NoiseStream;
use tweedie_host::checkpoint::{Description, Model};
use tweedie_host::data::Dataset;
use tweedie_host::gpu::GpuSampler;
use tweedie_host::network::parameters::FrozenWeights;
use tweedie_host::preset::{Preset, SamplingSettings, SolverName};
use tweedie_host::sample::follow::{Stage, follow};
use tweedie_host::sample::{sample, sample_scheduled, trajectory};
use tweedie_host::scheduler_config::SchedulerConfig;

/// The most by which a number may differ from candle's.
const TOLERANCE: f32 = 1e-4;

/// A model of random weights: settings over the preset `digits`, the shape of a sample, the number of classes.
fn model(settings: &[&str], shape: &[usize], classes: usize) -> Model {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    let preset = Preset::load("digits", &settings).unwrap();
    let mut description = Description::new(&preset, &Dataset::digits().unwrap()).unwrap();
    (description.shape, description.classes) = (shape.to_vec(), classes);
    let network = preset.network.build(shape, classes).unwrap();
    let list = network.weights();
    let weights = if preset.network.kind == tweedie_host::preset::NetworkKind::Mixture {
        list.into_iter().map(|(name, shape)| (name.clone(), mixture_table(&name, &shape))).collect()
    } else {
        let parameters = network.initialise(7, &Device::Cpu).unwrap();
        parameters.iter().map(|(name, var)| (name.to_owned(), var.as_tensor().clone())).collect()
    };
    Model { network, weights: FrozenWeights::new(weights), preset, description }
}

/// A random table of a mixture: priors, means, orthonormal bases, variances.
fn mixture_table(name: &str, shape: &[usize]) -> Tensor {
    let mut values = vec![0.0_f32; shape.iter().product()];
    NoiseStream::new(11, name.len() as u64).fill(0, &mut values);
    match name {
        "means" => values.iter_mut().for_each(|value| *value *= 0.5),
        "bases" => {
            let (rank, features) = (shape[1], shape[2]);
            for component in values.chunks_exact_mut((rank * features).max(1)) {
                orthonormalise(component, features);
            }
        }
        _ => values.iter_mut().for_each(|value| *value = 0.05 + value.abs()),
    }
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Rows of `features` numbers, by Gram and Schmidt.
fn orthonormalise(rows: &mut [f32], features: usize) {
    let mut done: Vec<Vec<f64>> = Vec::new();
    for row in rows.chunks_exact_mut(features) {
        let mut own: Vec<f64> = row.iter().map(|&x| x.into()).collect();
        // Twice is enough.
        for other in done.iter().chain(&done) {
            let product: f64 = own.iter().zip(other).map(|(a, b)| a * b).sum();
            own.iter_mut().zip(other).for_each(|(a, b)| *a -= product * b);
        }
        let norm = own.iter().map(|x| x * x).sum::<f64>().sqrt();
        own.iter_mut().for_each(|x| *x /= norm);
        row.iter_mut().zip(&own).for_each(|(x, own)| *x = *own as f32);
        done.push(own);
    }
}

/// The largest difference, which says so if it is not a number.
fn apart(own: &[f32], candle: &[f32]) -> f32 {
    assert_eq!(own.len(), candle.len());
    own.iter().zip(candle).fold(0.0, |most, (a, b)| if (a - b).abs() <= most { most } else { (a - b).abs() })
}

/// Draws by both, in chunks and in classes of all kinds, and says how far they are apart.
fn compare(model: &Model, settings: &SamplingSettings, what: &str) -> Option<f32> {
    let sampler = GpuSampler::new(shared()?.clone(), Some(5));
    let known = model.description.classes as u32 + 1;
    let classes: Vec<u32> = (0..13).map(|i| i % known).collect();
    let own = sampler.sample(model, settings, &classes, 3).unwrap();
    let candle = sample(model, settings, &classes, 3, &Device::Cpu).unwrap();
    let most = apart(&own, &candle);
    println!("{what}: {most:e}");
    assert!(most <= TOLERANCE, "{what}: {most} from candle's");
    // And they are something: no constant, no noise left over.
    let mean = candle.iter().sum::<f32>() / candle.len() as f32;
    assert!(candle.iter().any(|x| (x - mean).abs() > 0.01), "{what}: nothing to compare");
    Some(most)
}

const IMAGES: &[(&str, &[&str], &[usize])] = &[
    ("residual-mlp", &["network.hidden=40", "network.blocks=3"], &[8, 8]),
    ("residual-mlp of both levels", &["network.hidden=33", "network.end_level=true"], &[5]),
    ("unet", &["network.kind=unet", "network.hidden=6", "network.blocks=1"], &[8, 8]),
    (
        "unet of three levels in colour",
        &["network.kind=unet", "network.hidden=5", "network.levels=3", "network.patch=1", "network.blocks=2"],
        &[3, 8, 12],
    ),
    ("wide unet", &["network.kind=unet", "network.hidden=40", "network.blocks=1", "network.end_level=true"], &[8, 8]),
    ("transformer", &["network.kind=transformer", "network.hidden=16", "network.heads=2"], &[8, 8]),
    (
        "transformer of many tokens",
        &[
            "network.kind=transformer",
            "network.hidden=36",
            "network.heads=3",
            "network.patch=1",
            "network.end_level=true",
        ],
        &[1, 8, 10],
    ),
    ("mixture", &["network.kind=mixture", "network.components=3", "network.rank=4", "training.prediction=x0"], &[8, 8]),
    ("round mixture", &["network.kind=mixture", "network.rank=0", "training.prediction=x0"], &[3]),
    ("full mixture", &["network.kind=mixture", "network.rank=3", "training.prediction=x0"], &[3]),
];

#[test]
fn every_network_draws_what_candle_draws() {
    for (name, settings, shape) in IMAGES {
        for classes in [0, 1, 4] {
            let model = model(settings, shape, classes);
            for (guidance, clip) in [(1.0, false), (2.5, true)] {
                // Of one class guidance sees as much as of several.
                if guidance != 1.0 && classes < 4 {
                    continue;
                }
                let settings = SamplingSettings { guidance, clip, steps: 4, ..model.preset.sampling.clone() };
                let what = format!("{name}, {classes} classes, guidance {guidance}, clip {clip}");
                if compare(&model, &settings, &what).is_none() {
                    return;
                }
            }
        }
    }
}

#[test]
fn every_solver_draws_what_candle_draws() {
    for (name, settings, shape) in [&IMAGES[0], &IMAGES[7]] {
        for &solver in SolverName::ALL {
            let settings = match solver {
                // See the next test.
                SolverName::Pndm => [settings, &["process.max_time=0.9"][..]].concat(),
                _ => settings.to_vec(),
            };
            let model = model(&settings, shape, 3);
            for (clip, steps, eta) in [(true, 6, 0.0), (false, 9, 0.7)] {
                let settings = SamplingSettings { solver, clip, steps, eta, ..model.preset.sampling.clone() };
                let what = format!("{name}, {solver}, clip {clip}, {steps} steps");
                if compare(&model, &settings, &what).is_none() {
                    return;
                }
            }
        }
    }
}

/// From next to pure noise PNDM amplifies a rounding: candle's own samples move by more than the tolerance when the last bit of the weights does.
/// Other solvers' do not.
#[test]
fn one_solver_alone_needs_a_start_with_some_signal() {
    let settings = ["network.hidden=40", "network.blocks=3"];
    let (model, mut nudged) = (model(&settings, &[8, 8], 3), model(&settings, &[8, 8], 3));
    let weights = nudged.weights.iter().map(|(name, weight)| (name.to_owned(), (weight * (1.0 + 2e-7)).unwrap()));
    nudged.weights = FrozenWeights::new(weights.collect());
    for &solver in SolverName::ALL {
        let settings = SamplingSettings { solver, steps: 6, ..model.preset.sampling.clone() };
        let draw = |model: &Model| sample(model, &settings, &[0, 1, 2, 3], 3, &Device::Cpu).unwrap();
        let moved = apart(&draw(&model), &draw(&nudged));
        assert_eq!(moved > TOLERANCE, solver == SolverName::Pndm, "{solver}: {moved}");
    }
}

#[test]
fn every_process_draws_what_candle_draws() {
    for schedule in
        ["variance-preserving", "variance-exploding", "cosine-squared", "linear-beta", "flow-matching", "chain"]
    {
        for prediction in ["v", "x0", "eps"] {
            let (process, learnt) =
                (format!("process.schedule={schedule}"), format!("training.prediction={prediction}"));
            let spacing =
                if schedule == "chain" { "sampling.spacing=trailing" } else { "sampling.spacing=soft-log-snr" };
            // Next to pure noise the data are a small difference of state and noise.
            let settings = ["network.hidden=24", "process.max_time=0.99", &process, &learnt, spacing];
            let model = model(&settings, &[8, 8], 2);
            for solver in [SolverName::Ddpm, SolverName::UniPc] {
                let settings = SamplingSettings { solver, steps: 8, ..model.preset.sampling.clone() };
                if compare(&model, &settings, &format!("{schedule}, {prediction}, {solver}")).is_none() {
                    return;
                }
            }
        }
    }
}

#[test]
fn thresholds_schedulers_and_states_on_the_way_are_candle_s() {
    let Some(gpu) = shared() else { return };
    let model = model(&["network.hidden=24"], &[8, 8], 2);
    let thresholded = SamplingSettings { threshold: 0.9, steps: 7, ..model.preset.sampling.clone() };
    compare(&model, &thresholded, "dynamic thresholding");
    let (settings, classes) = (&model.preset.sampling, [0, 1, 2, 1, 0, 0]);
    let text = r#"{"_class_name": "DPMSolverMultistepScheduler", "timestep_spacing": "trailing"}"#;
    let scheduled = SchedulerConfig::parse(Path::new("a.json"), text).unwrap().schedule(8).unwrap();
    let sampler = GpuSampler::new(gpu.clone(), None);
    let own = sampler.sample_scheduled(&model, &scheduled, settings, &classes, 1).unwrap();
    let candle = sample_scheduled(&model, &scheduled, settings, &classes, 1, &Device::Cpu).unwrap();
    assert!(apart(&own, &candle) <= TOLERANCE, "{}", apart(&own, &candle));
    let noisy = SamplingSettings { eta: 1.0, steps: 4, ..settings.clone() };
    let own = GpuSampler::new(gpu.clone(), Some(4)).trajectory(&model, &noisy, &classes, 1).unwrap();
    let candle = trajectory(&model, &noisy, &classes, 1, &Device::Cpu).unwrap();
    assert_eq!(own.len(), 5);
    for (own, candle) in own.iter().zip(&candle) {
        assert!(apart(own, candle) <= TOLERANCE, "{}", apart(own, candle));
    }
}

/// Whoever is shown each stage.
type Show<'a> = dyn FnMut(Stage) -> ControlFlow<()> + 'a;

#[test]
fn whoever_watches_sees_what_candle_shows() {
    let Some(gpu) = shared() else { return };
    let model = model(&["network.hidden=24"], &[8, 8], 2);
    let classes = [0, 1, 2, 1, 0];
    for solver in ["ddim", "deis", "heun", "unipc"] {
        let solver = solver.parse().unwrap();
        let settings = SamplingSettings { solver, steps: 6, guidance: 1.5, ..model.preset.sampling.clone() };
        let stages = |follow: &dyn Fn(&mut Show)| {
            let mut stages = Vec::new();
            follow(&mut |stage| {
                stages.push(stage);
                ControlFlow::Continue(())
            });
            stages
        };
        let own = stages(&|show| {
            GpuSampler::new(gpu.clone(), Some(2)).follow(&model, &settings, &classes, 3, show).unwrap();
        });
        let candle = stages(&|show| follow(&model, &settings, &classes, 3, &Device::Cpu, show).unwrap());
        assert!(own.len() == candle.len() && own.len() > 5, "{} stages", own.len());
        for (own, candle) in own.iter().zip(&candle) {
            assert_eq!((own.step, own.steps, own.angle), (candle.step, candle.steps, candle.angle));
            assert!(apart(&own.state, &candle.state) <= TOLERANCE, "{solver}, step {}", own.step);
            match (&own.x0_hat, &candle.x0_hat) {
                (Some(own_hat), Some(candle_hat)) => {
                    assert!(apart(own_hat, candle_hat) <= TOLERANCE, "{solver}, estimate of step {}", own.step);
                }
                (own_hat, candle_hat) => assert!(own_hat.is_none() && candle_hat.is_none() && own.step == 0),
            }
        }
        let mut seen = 0;
        let stop = &mut |_| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        GpuSampler::new(gpu.clone(), None).follow(&model, &settings, &classes, 3, stop).unwrap();
        assert_eq!(seen, 3);
    }
}

#[test]
fn a_sample_does_not_depend_on_its_company() {
    let Some(gpu) = shared() else { return };
    for (_, settings, shape) in [&IMAGES[0], &IMAGES[2], &IMAGES[5], &IMAGES[7]] {
        let model = model(settings, shape, 3);
        let noisy = SamplingSettings { eta: 0.7, steps: 3, ..model.preset.sampling.clone() };
        let classes: Vec<u32> = (0..70).map(|i| i % 4).collect();
        let draw = |batch: Option<usize>, classes: &[u32]| {
            GpuSampler::new(gpu.clone(), batch).sample(&model, &noisy, classes, 4).unwrap()
        };
        let all = draw(None, &classes);
        for (batch, count) in [(Some(1), 3), (Some(33), 70), (Some(64), 69), (None, 2)] {
            let some = draw(batch, &classes[..count]);
            assert!(some == all[..some.len()], "{count} samples, {batch:?} at a time");
        }
    }
}

#[test]
fn a_step_is_one_submission() {
    let Some(gpu) = super::own().map(std::sync::Arc::new) else { return };
    let model = model(&["network.kind=unet", "network.hidden=6"], &[8, 8], 3);
    let submissions = |steps: usize| {
        let settings = SamplingSettings { steps, guidance: 2.0, ..model.preset.sampling.clone() };
        let before = gpu.submissions();
        GpuSampler::new(gpu.clone(), None).sample(&model, &settings, &[0; 40], 0).unwrap();
        gpu.submissions() - before
    };
    let (few, many) = (submissions(4), submissions(24));
    assert_eq!(many - few, 20, "{few} submissions for 4 steps, {many} for 24");
}

#[test]
fn four_thousand_digits_are_drawn() {
    let Some(gpu) = shared() else { return };
    let model = model(&["network.hidden=32", "network.blocks=1"], &[8, 8], 10);
    let settings = SamplingSettings { steps: 4, ..model.preset.sampling.clone() };
    let classes: Vec<u32> = (0..4096).map(|i| i % 10).collect();
    let own = GpuSampler::new(gpu.clone(), None).sample(&model, &settings, &classes, 0).unwrap();
    let candle = sample(&model, &settings, &classes, 0, &Device::Cpu).unwrap();
    assert!(apart(&own, &candle) <= TOLERANCE, "{}", apart(&own, &candle));
}
