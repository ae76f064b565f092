//! Diffusers' scheduler configurations: files that the library wrote itself, and its loops over a dummy model (those that core is compared
//! with), followed through the host's reader.

#![allow(missing_docs)]

use serde_json::Value;
use std::convert::Infallible;
use std::path::Path;
use tweedie_core::noise_level::Velocity;
use tweedie_core::plan::history;
use tweedie_core::prediction::{Conversion, Moment, Prediction};
use tweedie_core::sampler::{self, Workspace};
use tweedie_core::{Denoiser, NoiseSource, StepId};
use tweedie_host::preset::Preset;
use tweedie_host::scheduler_config::{Class, Scheduled, SchedulerConfig};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The dummy model `x t / (t + 1)`, where `x` is what the library shows it.
struct Model {
    timesteps: Vec<f64>,
    scales: Vec<f64>,
    conversions: Vec<Conversion>,
}

impl Denoiser<[f64]> for Model {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
        let t = self.timesteps[step.0];
        let share = self.scales[step.0] * t / (t + 1.0);
        x0_hat.iter_mut().zip(x_t).for_each(|(x0_hat, &x)| *x0_hat = self.conversions[step.0].apply(x, share * x));
        Ok(())
    }
}

/// Element 384 of the scripts' noise.
struct ScriptNoise;

impl NoiseSource<[f64]> for ScriptNoise {
    type Error = Infallible;

    fn fill_normal(&mut self, draw: u32, out: &mut [f64]) -> Result<(), Infallible> {
        out.fill((f64::from((7919 * 384 + 104_729 * draw) % 1000) - 499.5) / 288.675);
        Ok(())
    }
}

/// Element 384 after every row.
fn trace(scheduled: &Scheduled, start: f64) -> Vec<f64> {
    let Scheduled { timesteps, plan, prediction, clip, .. } = scheduled;
    let flow = Velocity { alpha: -1.0, sigma: 1.0 };
    let conversion = |level| prediction.to_x0(&Moment { level, velocity: flow }).unwrap();
    let mut model = Model {
        timesteps: timesteps.clone(),
        // The library's models see the variance-preserving state, or that of flow matching.
        scales: plan
            .iter()
            .map(|s| if *prediction == Prediction::Velocity { 1.0 } else { 1.0 / s.level.norm() })
            .collect(),
        conversions: plan.iter().map(|step| conversion(step.level)).collect(),
    };
    let (mut x, mut z, mut states) = ([start], [0.0], vec![]);
    let mut storage = vec![[f64::NAN]; history(plan)];
    let mut x0_hats: Vec<&mut [f64]> = storage.iter_mut().map(|x0_hat| &mut x0_hat[..]).collect();
    let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: Some(&mut z[..]) };
    sampler::run(plan, *clip, &mut x[..], &mut workspace, &mut model, &mut ScriptNoise, |_, x, _| states.push(x[0]))
        .unwrap();
    states
}

#[test]
fn every_configuration_gives_the_librarys_timesteps_and_states() {
    let files = [
        include_str!("../../core/tests/vectors/solvers.json"),
        include_str!("../../core/tests/vectors/more_diffusers.json"),
    ];
    let (mut followed, mut refused) = (0, vec![]);
    for file in files {
        let file: Value = serde_json::from_str(file).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let (name, class) = (&case["name"], case["scheduler"].as_str().unwrap());
            let mut config = case["config"].clone();
            config["_class_name"] = class.into();
            // An order, or a noise, that is an argument of the library's step and no part of the configuration.
            let arguments = case["step_args"].as_object().unwrap();
            if arguments.get("order").is_some() || arguments.get("eta").is_some_and(|eta| eta != 0.0) {
                continue;
            }
            let config = match SchedulerConfig::parse(Path::new("case.json"), &config.to_string()) {
                Ok(config) => config,
                Err(error) => {
                    assert!(error.to_string().contains(class), "{error}");
                    refused.push(class.to_owned());
                    continue;
                }
            };
            // The threshold depends on every element, and here is one; core is compared with these cases.
            if case["config"].get("thresholding") == Some(&true.into()) {
                assert!(config.schedule(8).unwrap().thresholding.is_some());
                continue;
            }
            let steps = case["steps"].as_u64().unwrap() as usize;
            let scheduled = config.schedule(steps).unwrap_or_else(|error| panic!("{name}: {error}"));
            let exploding = scheduled.plan[0].level.alpha == 1.0;
            let most = scheduled.plan[0].level.sigma;
            let leading = case["config"].get("timestep_spacing") == Some(&"leading".into());
            let start = match (exploding, leading) {
                (true, true) => most.hypot(1.0),
                (true, false) => most,
                _ => 1.0,
            };
            let states = trace(&scheduled, start * 0.5);
            let (at, expected) = (numbers(&case["trace_at"]), numbers(&case["trace_384"]));
            let largest = expected.iter().fold(1e-6, |most: f64, x| most.max(x.abs()));
            for (at, expected) in at.iter().zip(expected) {
                let got = states[*at as usize];
                assert!((got - expected).abs() <= 1e-8 * largest, "{name}, step {at}: {got} for {expected}");
            }
            let visited = numbers(&case["timesteps"]);
            if visited.len() == scheduled.timesteps.len() {
                for (got, expected) in scheduled.timesteps.iter().zip(visited) {
                    assert!((got - expected).abs() <= 1e-9 * expected.max(1.0), "{name}: {got} for {expected}");
                }
            }
            followed += 1;
        }
    }
    refused.dedup();
    assert_eq!(
        refused,
        ["DPMSolverSDEScheduler", "IPNDMScheduler", "EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"]
    );
    assert_eq!(followed, 234);
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedulers"))
}

#[test]
fn files_that_the_library_wrote_are_read_and_written_again() {
    let expected: Value = serde_json::from_str(include_str!("schedulers/timesteps.json")).unwrap();
    for (name, timesteps) in expected.as_object().unwrap() {
        let config = SchedulerConfig::read(&folder().join(format!("{name}.json"))).unwrap();
        let scheduled = config.schedule(20).unwrap();
        let timesteps = numbers(timesteps);
        assert_eq!(scheduled.timesteps.len(), timesteps.len(), "{name}");
        for (got, expected) in scheduled.timesteps.iter().zip(timesteps) {
            // The library's are float32.
            assert!((got - expected).abs() < 1e-2, "{name}: {got} for {expected}");
        }
        // In a pipeline's folder it is found too, and means the same.
        let pipeline = tempfile::tempdir().unwrap();
        let inner = pipeline.path().join("scheduler");
        std::fs::create_dir(&inner).unwrap();
        config.write(&inner).unwrap();
        let again = SchedulerConfig::read(pipeline.path()).unwrap();
        assert_eq!((again.schedule(20).unwrap(), again.to_json()), (scheduled, config.to_json()));
    }
    assert_eq!(expected.as_object().unwrap().len(), 8);
}

#[test]
fn what_is_not_done_is_named() {
    let refusal = |text: &str, steps: usize| {
        let config = SchedulerConfig::parse(Path::new("a.json"), text);
        let sentence = config.and_then(|config| config.schedule(steps)).unwrap_err().to_string();
        assert!(sentence.lines().count() == 1, "{sentence}");
        sentence
    };
    for (text, part) in [
        ("{", "a.json: "),
        (r#"{"beta_start": 0.1}"#, "_class_name"),
        (r#"{"_class_name": "AmusedScheduler"}"#, "AmusedScheduler"),
        (r#"{"_class_name": "UniPCMultistepScheduler", "solver_p": {"order": 1}}"#, "solver_p = "),
        (r#"{"_class_name": "DDIMScheduler", "wavelets": 3}"#, "wavelets = 3"),
        (r#"{"_class_name": "DPMSolverMultistepScheduler", "variance_type": "learned_range"}"#, "variance_type"),
        (r#"{"_class_name": "UniPCMultistepScheduler", "disable_corrector": [0]}"#, "disable_corrector = [0]"),
        (r#"{"_class_name": "EulerDiscreteScheduler", "interpolation_type": "log_linear"}"#, "interpolation_type"),
        (r#"{"_class_name": "PNDMScheduler"}"#, "skip_prk_steps"),
        (r#"{"_class_name": "DDIMScheduler", "beta_schedule": "exp"}"#, "one of linear, scaled_linear"),
        (r#"{"_class_name": "DDIMScheduler", "beta_start": "small"}"#, "must be a number"),
        (r#"{"_class_name": "DDIMScheduler", "beta_start": 3}"#, "beta_start = 3"),
        (r#"{"_class_name": "DDIMScheduler", "num_train_timesteps": -5}"#, "whole number"),
        (r#"{"_class_name": "DPMSolverMultistepScheduler", "solver_order": 5}"#, "order = 5"),
        (
            r#"{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++", "solver_order": 3}"#,
            "sde-dpmsolver++",
        ),
    ] {
        let sentence = refusal(text, 10);
        assert!(sentence.contains(part), "{text}: {sentence}");
    }
    assert!(refusal(r#"{"_class_name": "DDIMScheduler"}"#, 0).contains("sampling steps"));
    assert!(
        refusal(r#"{"_class_name": "UniPCMultistepScheduler", "use_karras_sigmas": true}"#, 0)
            .contains("sampling steps")
    );
    let error = SchedulerConfig::read(&folder().join("flow_dynamic.json")).unwrap_err().to_string();
    assert!(error.contains("use_dynamic_shifting = true"), "{error}");
    assert!(SchedulerConfig::read(Path::new("/nowhere.json")).is_err());
    // Another class's keys are heeded by nobody, in the library as here.
    let text =
        r#"{"_class_name": "DDIMScheduler", "use_karras_sigmas": true, "solver_order": 3, "trained_betas": null}"#;
    let plain = SchedulerConfig::parse(Path::new("a.json"), r#"{"_class_name": "DDIMScheduler"}"#).unwrap();
    let config = SchedulerConfig::parse(Path::new("a.json"), text).unwrap();
    assert_eq!(config.schedule(7).unwrap(), plain.schedule(7).unwrap());
    assert_eq!(config.class(), Class::DDIM);
}

#[test]
fn a_presets_sampler_is_written_as_the_library_would_have_it() {
    let preset = |settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Preset::load("digits", &settings).unwrap()
    };
    let chain =
        ["process.schedule=chain", "sampling.spacing=trailing", "process.beta_end=0.015", "sampling.clip=false"];
    for solver in ["ddim", "ddpm"] {
        let preset = preset(&[&chain[..], &[&format!("sampling.solver={solver}")]].concat());
        let config = SchedulerConfig::of(&preset, &preset.sampling).unwrap();
        let again = SchedulerConfig::parse(Path::new("b.json"), &config.to_json()).unwrap();
        let scheduled = again.schedule(10).unwrap();
        assert_eq!((scheduled.timesteps[0], scheduled.prediction), (999.0, Prediction::V));
        assert_eq!(again.class().name().to_lowercase(), format!("{solver}scheduler"));
    }
    for (settings, part) in [
        (&["process.schedule=trigonometric"][..], "process.schedule = trigonometric"),
        (&["process.schedule=chain"], "sampling.spacing = uniform"),
        (&["process.schedule=chain", "sampling.spacing=leading", "sampling.solver=heun"], "sampling.solver = heun"),
        (&["process.schedule=chain", "training.prediction=velocity"], "velocity"),
    ] {
        let preset = preset(settings);
        let error = SchedulerConfig::of(&preset, &preset.sampling).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
