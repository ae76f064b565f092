//! What sampling promises: samples that do not depend on their company, solvers that agree where they must, and every combination
//! of settings either working or refused.

#![allow(missing_docs)]

use candle_core::Device;
use std::path::Path;
use std::sync::OnceLock;
use tweedie_host::Error;
use tweedie_host::checkpoint::Model;
use tweedie_host::data::Dataset;
use tweedie_host::preset::{Preset, SamplingSettings, SolverName, SpacingName, VarianceName};
use tweedie_host::process::AnyProcess;
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::{plan_for, sample, sample_scheduled, trajectory};
use tweedie_host::scheduler_config::SchedulerConfig;
use tweedie_host::train::Training;

const SCHEDULES: [&str; 7] = [
    "trigonometric",
    "variance-preserving",
    "variance-exploding",
    "cosine-squared",
    "linear-beta",
    "flow-matching",
    "chain",
];

/// Trains a small network on the digits.
fn trained(folder: &Path, settings: &[&str]) -> Result<Model, Error> {
    let small = ["network.hidden=32", "network.blocks=1", "training.batch=64", "training.learning_rate=0.005"];
    let settings: Vec<String> = small.iter().chain(settings).map(|setting| (*setting).to_owned()).collect();
    let preset = Preset::load("digits", &settings)?;
    let data = Dataset::digits()?;
    let process = AnyProcess::new(&preset.process)?;
    let mut training = Training::begin(&preset, &data, &process, &Device::Cpu)?;
    let run = RunFolder::create(folder, &preset.to_toml()?)?;
    training.run(&run, |_| {})?;
    Model::load(&run.model(), &Device::Cpu)
}

/// One model for the tests that need any.
fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        trained(&folder.path().join("run"), &["training.steps=400"]).unwrap()
    })
}

/// Samples of classes 0, 1, 2, … in turn.
fn draw(model: &Model, settings: &SamplingSettings, count: u32, seed: u64) -> Result<Vec<f32>, Error> {
    let classes: Vec<u32> = (0..count).map(|i| i % 10).collect();
    sample(model, settings, &classes, seed, &Device::Cpu)
}

/// A noisy sampler, so that every draw of noise matters.
fn noisy() -> SamplingSettings {
    SamplingSettings { eta: 0.7, steps: 6, ..model().preset.sampling.clone() }
}

#[test]
fn a_sample_does_not_depend_on_its_company() {
    let many = draw(model(), &noisy(), 300, 4).unwrap();
    for count in [1, 3, 127, 129] {
        let few = draw(model(), &noisy(), count, 4).unwrap();
        assert!(few == many[..few.len()], "{count} samples differ from the first {count} of 300");
    }
    let classes: Vec<u32> = (0..300).map(|i| if i == 200 { 3 } else { i % 10 }).collect();
    let others = sample(model(), &noisy(), &classes, 4, &Device::Cpu).unwrap();
    let differing: Vec<usize> = (0..300).filter(|i| others[i * 64..][..64] != many[i * 64..][..64]).collect();
    assert_eq!(differing, [200], "a class of one sample changed others");
    assert_ne!(draw(model(), &noisy(), 1, 5).unwrap(), many[..64]);
}

#[test]
fn a_trajectory_goes_from_noise_to_the_samples() {
    let classes: Vec<u32> = (0..130).map(|i| i % 10).collect();
    let states = trajectory(model(), &noisy(), &classes, 4, &Device::Cpu).unwrap();
    assert_eq!(states.len(), 7);
    assert_eq!(states[6], draw(model(), &noisy(), 130, 4).unwrap());
    let mut noise = [0.0_f32; 64];
    tweedie_core::noise::NoiseStream::new(4, 129).fill(0, &mut noise);
    for (z, expected) in states[0][129 * 64..].iter().zip(&noise) {
        assert!((z - expected).abs() < 1e-6, "{z} instead of {expected}");
    }
    // Less noise after every step: neighbouring states are alike, the ends are not.
    let apart = |a: usize, b: usize| -> f32 { states[a].iter().zip(&states[b]).map(|(a, b)| (a - b).powi(2)).sum() };
    assert!((0..6).all(|step| apart(step, step + 1) < 0.8 * apart(0, 6)));
}

#[test]
fn a_sample_does_not_depend_on_the_number_of_threads() {
    let with = |threads: usize, count: u32| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| draw(model(), &noisy(), count, 4)).unwrap()
    };
    for count in [50, 300] {
        let one = with(1, count);
        for threads in [2, 3] {
            assert!(with(threads, count) == one, "{threads} threads draw {count} others than one");
        }
        assert!(draw(model(), &noisy(), count, 4).unwrap() == one, "outside of a pool");
    }
}

#[test]
fn guidance_of_one_is_none() {
    let settings = |guidance: f64| SamplingSettings { guidance, ..model().preset.sampling.clone() };
    let plain = draw(model(), &settings(1.0), 20, 0).unwrap();
    let distance = |guidance: f64| {
        let guided = draw(model(), &settings(guidance), 20, 0).unwrap();
        guided.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    // Both estimates are computed here, and the unconditional one cancels but for rounding.
    assert!(distance(1.0 + 1e-9) < 1e-3, "{}", distance(1.0 + 1e-9));
    assert!(distance(3.0) > 0.1);
    // Guidance 0 is the model without a class.
    let none = sample(model(), &settings(1.0), &[10; 20], 0, &Device::Cpu).unwrap();
    let zero = draw(model(), &settings(0.0), 20, 0).unwrap();
    assert!(none.iter().zip(&zero).all(|(a, b)| (a - b).abs() < 1e-3));
}

#[test]
fn ddim_at_eta_one_is_ddpm_with_the_posterior_variance() {
    let base = SamplingSettings { steps: 30, ..model().preset.sampling.clone() };
    let ddim = SamplingSettings { solver: SolverName::Ddim, eta: 1.0, ..base.clone() };
    let ddpm = SamplingSettings { solver: SolverName::Ddpm, variance: VarianceName::Posterior, ..base.clone() };
    let wide = SamplingSettings { solver: SolverName::Ddpm, variance: VarianceName::Beta, ..base.clone() };
    let [ddim, ddpm, wide, still] = [ddim, ddpm, wide, base].map(|settings| draw(model(), &settings, 20, 1).unwrap());
    let farthest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(farthest(&ddim, &ddpm) < 1e-3, "{}", farthest(&ddim, &ddpm));
    assert!(farthest(&ddim, &wide) > 0.05);
    assert!(farthest(&ddim, &still) > 0.05);
}

#[test]
fn churn_is_noise_of_euler_and_heun_alone() {
    let settings = |solver, churn| SamplingSettings { solver, churn, ..model().preset.sampling.clone() };
    for (solver, differs) in [(SolverName::Heun, true), (SolverName::Euler, true), (SolverName::Ddim, false)] {
        let [none, some] = [0.0, 8.0].map(|churn| draw(model(), &settings(solver, churn), 10, 0).unwrap());
        assert_eq!(none != some, differs, "{solver}");
        assert!(some.iter().all(|x| x.abs() <= 1.5), "{solver}");
    }
}

#[test]
fn every_schedule_trains_and_samples_with_every_prediction() {
    let folder = tempfile::tempdir().unwrap();
    for schedule in SCHEDULES {
        for prediction in ["v", "x0", "eps", "velocity"] {
            let name = format!("{schedule} {prediction}");
            let settings = [
                &format!("process.schedule={schedule}"),
                &format!("training.prediction={prediction}"),
                "training.steps=50",
            ];
            let model = trained(&folder.path().join(&name), &settings).unwrap_or_else(|e| panic!("{name}: {e}"));
            let process = AnyProcess::new(&model.preset.process).unwrap();
            for spacing in
                ["uniform", "exponential", "log-snr", "soft-log-snr", "karras", "leading", "trailing", "linspace"]
            {
                // Every solver meets every schedule and spacing once.
                let solvers = if prediction == "v" { SolverName::ALL } else { &[SolverName::Ddim, SolverName::Ddpm] };
                for &solver in solvers {
                    let name = format!("{name} {spacing} {solver}");
                    let spacing: SpacingName = spacing.parse().unwrap();
                    let settings = SamplingSettings { spacing, solver, steps: 5, ..model.preset.sampling.clone() };
                    let of_chains =
                        matches!(spacing, SpacingName::Leading | SpacingName::Trailing | SpacingName::Linspace);
                    match draw(&model, &settings, 4, 0) {
                        Ok(samples) => {
                            assert!(!of_chains || process.chain_steps().is_some(), "{name} should be refused");
                            assert_eq!(samples.len(), 4 * 64);
                            // The last step of most solvers lands on a clamped estimate, within the data's range; others extrapolate.
                            let extrapolates = matches!(
                                solver,
                                SolverName::FlowEuler
                                    | SolverName::FlowHeun
                                    | SolverName::ReverseSde
                                    | SolverName::Lms
                                    | SolverName::Pndm
                                    | SolverName::Ipndm
                            );
                            let most = if extrapolates { f32::MAX } else { 1.0 + 1e-4 };
                            assert!(samples.iter().all(|x| x.abs() <= most), "{name}: {samples:?}");
                            let spread = samples.iter().fold(0.0_f32, |most, x| most.max((x - samples[0]).abs()));
                            assert!(spread > 0.01, "{name}: every pixel is the same");
                        }
                        Err(error) => {
                            let text = error.to_string();
                            assert!(of_chains && process.chain_steps().is_none(), "{name}: {text}");
                            assert!(text.contains("process.schedule = chain") && text.lines().count() == 1, "{text}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn weights_and_time_distributions_train() {
    let folder = tempfile::tempdir().unwrap();
    for weight in ["uniform", "snr", "min-snr"] {
        for times in ["uniform", "angle", "log-snr"] {
            let name = format!("{weight} {times}");
            let settings =
                [&format!("training.weight={weight}"), &format!("training.times={times}"), "training.steps=30"];
            let model = trained(&folder.path().join(&name), &settings).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(draw(&model, &model.preset.sampling, 2, 0).unwrap().iter().all(|x| x.is_finite()), "{name}");
        }
    }
}

#[test]
fn one_step_is_enough_for_every_spacing() {
    for spacing in ["uniform", "exponential", "log-snr", "soft-log-snr", "karras"] {
        for steps in [1, 2] {
            let spacing: SpacingName = spacing.parse().unwrap();
            let settings = SamplingSettings { spacing, steps, ..model().preset.sampling.clone() };
            assert!(draw(model(), &settings, 2, 0).unwrap().iter().all(|x| x.is_finite()), "{spacing} {steps}");
        }
    }
}

#[test]
fn solvers_ask_the_network_as_often_as_they_are_allowed_to() {
    let (preset, process) = (&model().preset, AnyProcess::new(&model().preset.process).unwrap());
    for &solver in SolverName::ALL {
        for steps in [1, 2, 3, 7, 10] {
            let settings = SamplingSettings { solver, steps, ..preset.sampling.clone() };
            let rows = plan_for(preset, &process, &settings).unwrap().len();
            // PNDM needs three, those of two evaluations a step an odd number; Heun's first step, from next to noise, is Euler's.
            let expected = match solver {
                SolverName::Pndm => steps.max(3),
                SolverName::Heun => steps - steps % 2,
                SolverName::FlowHeun | SolverName::DpmPlusPlusSde => steps - (steps + 1) % 2,
                _ => steps,
            };
            assert_eq!(rows, expected.max(1), "{solver}, {steps} evaluations");
        }
    }
}

#[test]
fn ten_evaluations_of_higher_order_come_as_close_to_the_flow_as_fifty_of_ddim() {
    let sample = |solver, steps, spacing| {
        let settings = SamplingSettings { solver, steps, spacing, clip: false, ..model().preset.sampling.clone() };
        draw(model(), &settings, 40, 2).unwrap()
    };
    let exact = sample(SolverName::FlowHeun, 1001, SpacingName::Uniform);
    let distance = |samples: Vec<f32>| {
        let squares: f32 = samples.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum();
        (squares / exact.len() as f32).sqrt()
    };
    let ddim = distance(sample(SolverName::Ddim, 50, SpacingName::Uniform));
    // EDM's Heun is not among them: it walks in sigma / alpha, of which half lies in the first step from time 0.999.
    let limits = [
        (SolverName::UniPc, 1.0),
        (SolverName::DpmPlusPlus2MHeun, 1.0),
        (SolverName::Ipndm, 1.0),
        (SolverName::DpmPlusPlus2M, 1.2),
        (SolverName::FlowHeun, 1.4),
        (SolverName::Deis, 1.8),
    ];
    for (solver, limit) in limits {
        let own = distance(sample(solver, 10, SpacingName::Uniform));
        assert!(own < limit * ddim, "{solver} in 10 evaluations: {own}, DDIM in 50: {ddim}");
    }
}

#[test]
fn a_scheduler_of_diffusers_draws_with_any_model() {
    let scheduled = |text: &str| SchedulerConfig::parse(Path::new("a.json"), text).unwrap().schedule(20).unwrap();
    let classes: Vec<u32> = (0..20).map(|i| i % 10).collect();
    let settings = &model().preset.sampling;
    let draw_by = |text: &str| sample_scheduled(model(), &scheduled(text), settings, &classes, 1, &Device::Cpu);
    // Euler walks in the variance-exploding process, from the same noise to the same pictures as DDIM.
    let draw_by = |text: &str| draw_by(&format!(r#"{{"timestep_spacing": "trailing", {text}}}"#)).unwrap();
    let ddim = draw_by(r#""_class_name": "DDIMScheduler", "clip_sample": false"#);
    let mean = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32;
    let euler = draw_by(r#""_class_name": "EulerDiscreteScheduler""#);
    assert!(mean(&ddim, &euler) < 1e-3, "{}", mean(&ddim, &euler));
    let clamped = draw_by(r#""_class_name": "DDIMScheduler""#);
    assert!(mean(&ddim, &clamped) > 0.01 && clamped.iter().all(|x| x.abs() < 1.0001), "{}", mean(&ddim, &clamped));
    let threshold = draw_by(r#""_class_name": "DDIMScheduler", "thresholding": true, "sample_max_value": 2.0"#);
    assert!(mean(&clamped, &threshold) > 1e-3 && threshold.iter().all(|x| x.abs() < 1.0001));
    let preset = Preset::load("digits", &["training.prediction=velocity".to_owned()]).unwrap();
    let velocity = Model { preset, ..trained_copy() };
    let refused = sample_scheduled(
        &velocity,
        &scheduled(r#"{"_class_name": "DDIMScheduler"}"#),
        settings,
        &classes,
        1,
        &Device::Cpu,
    );
    assert!(refused.unwrap_err().to_string().contains("flow matching"));
}

/// A model of its own, to be changed.
fn trained_copy() -> Model {
    let folder = tempfile::tempdir().unwrap();
    trained(&folder.path().join("run"), &["training.steps=1"]).unwrap()
}
