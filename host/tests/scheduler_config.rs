//! Diffusers' scheduler configurations: files that the library wrote itself, what is refused of them, and what is written.

#![allow(missing_docs)]

use serde_json::Value;
use std::path::Path;
use tweedie_core::prediction::Prediction;
use tweedie_host::preset::Preset;
use tweedie_host::scheduler_config::{Class, SchedulerConfig};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
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
