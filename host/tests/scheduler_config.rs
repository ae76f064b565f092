//! Diffusers' scheduler configurations: files that the library wrote itself, what is refused of them, and what is written.

#![allow(missing_docs)]

use serde_json::Value;
use std::path::Path;
use tweedie_core::sampler::Clip;
use tweedie_host::preset::Preset;
use tweedie_host::process::AnyProcess;
use tweedie_host::sample::plan_for;
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
        (r#"{"_class_name": "UniPCMultistepScheduler", "disable_corrector": [-1]}"#, "disable_corrector = [-1]"),
        (r#"{"_class_name": "EulerDiscreteScheduler", "interpolation_type": "cubic"}"#, "interpolation_type"),
        (r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": true}"#, "invert_sigmas = true"),
        (r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift_terminal": 1.5}"#, "shift_terminal = 1.5"),
        (r#"{"_class_name": "DPMSolverSDEScheduler", "noise_sampler_seed": 5}"#, "noise_sampler_seed = 5"),
        (r#"{"_class_name": "EDMEulerScheduler", "prediction_type": "sample"}"#, "prediction_type"),
        (r#"{"_class_name": "IPNDMScheduler", "trained_betas": [1.0, 0.5, 0.0]}"#, "10 steps need one more"),
        (r#"{"_class_name": "PNDMScheduler"}"#, "skip_prk_steps"),
        (r#"{"_class_name": "DDIMScheduler", "beta_schedule": "exp"}"#, "one of linear, scaled_linear"),
        (r#"{"_class_name": "DDIMScheduler", "beta_start": "small"}"#, "must be a number"),
        (r#"{"_class_name": "DDIMScheduler", "beta_start": 3}"#, "beta_start = 3"),
        (r#"{"_class_name": "DDIMScheduler", "num_train_timesteps": -5}"#, "whole number"),
        (r#"{"_class_name": "DPMSolverMultistepScheduler", "solver_order": 5}"#, "order = 5"),
        (
            r#"{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver", "solver_order": 3}"#,
            "sde-dpmsolver",
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

/// A preset with these changes.
fn preset(changes: &[&str]) -> Preset {
    let changes: Vec<String> = changes.iter().flat_map(|change| change.split(' ')).map(str::to_owned).collect();
    Preset::load("digits", &changes).unwrap()
}

const CHAIN: &str = "process.schedule=chain process.beta_end=0.015 sampling.steps=10";
const FLOW: &str = "process.schedule=flow-matching process.max_time=1.0 training.prediction=velocity sampling.clip=false sampling.steps=10";
const EXPLODING: &str = "process.schedule=variance-exploding sampling.steps=12";
const UNCLIPPED: &str = "sampling.clip=false sampling.spacing=leading";

#[test]
fn a_sampler_that_is_written_and_read_again_has_the_same_plan_bit_for_bit() {
    let trailing = "sampling.spacing=trailing";
    let karras = "sampling.spacing=karras sampling.clip=false sampling.rho=7";
    for (changes, class) in [
        (&[CHAIN, trailing, "sampling.solver=ddim"][..], Class::DDIM),
        (&[CHAIN, UNCLIPPED, "sampling.solver=ddim sampling.steps=7"], Class::DDIM),
        (&[CHAIN, trailing, "sampling.solver=ddpm process.betas=cosine"], Class::DDPM),
        (&[CHAIN, UNCLIPPED, "sampling.solver=ddpm sampling.variance=beta"], Class::DDPM),
        (&[CHAIN, UNCLIPPED, "sampling.solver=euler training.prediction=eps"], Class::EulerDiscrete),
        (&[CHAIN, karras, "sampling.solver=euler"], Class::EulerDiscrete),
        (&[CHAIN, UNCLIPPED, "sampling.solver=euler-a"], Class::EulerAncestralDiscrete),
        (&[CHAIN, trailing, "sampling.solver=heun sampling.steps=39"], Class::HeunDiscrete),
        (&[CHAIN, trailing, "sampling.solver=dpm++2m"], Class::DPMSolverMultistep),
        (&[CHAIN, trailing, "sampling.solver=dpm++2m-heun sampling.steps=20"], Class::DPMSolverMultistep),
        (&[CHAIN, trailing, "sampling.solver=dpm++2m-sde training.prediction=x0"], Class::DPMSolverMultistep),
        (&[CHAIN, karras, "sampling.solver=dpm++2s process.max_time=1.0"], Class::DPMSolverSinglestep),
        (&[CHAIN, UNCLIPPED, "sampling.solver=dpm++sde"], Class::DPMSolverSDE),
        (&[CHAIN, trailing, "sampling.solver=unipc process.betas=scaled-linear"], Class::UniPCMultistep),
        (&[CHAIN, "sampling.spacing=log-snr sampling.solver=unipc"], Class::UniPCMultistep),
        (&[CHAIN, UNCLIPPED, "sampling.solver=lms"], Class::LMSDiscrete),
        (&[CHAIN, UNCLIPPED, "sampling.solver=pndm training.prediction=eps"], Class::PNDM),
        (&[CHAIN, UNCLIPPED, "sampling.solver=ipndm"], Class::IPNDM),
        (&[FLOW, "sampling.solver=flow-euler"], Class::FlowMatchEulerDiscrete),
        (&[FLOW, "sampling.solver=consistency sampling.steps=1"], Class::FlowMatchEulerDiscrete),
        (&[FLOW, "sampling.solver=consistency"], Class::FlowMatchEulerDiscrete),
        (&[EXPLODING, karras, "sampling.solver=euler"], Class::EDMEuler),
        (&[EXPLODING, "sampling.spacing=karras sampling.solver=dpm++2m"], Class::EDMDPMSolverMultistep),
        (&[EXPLODING, "sampling.spacing=log-snr sampling.solver=dpm++2m-sde"], Class::EDMDPMSolverMultistep),
    ] {
        let preset = preset(changes);
        let process = AnyProcess::new(&preset.process).unwrap();
        let own = plan_for(&preset, &process, &preset.sampling).unwrap();
        let config =
            SchedulerConfig::of(&preset, &preset.sampling).unwrap_or_else(|error| panic!("{changes:?}: {error}"));
        assert_eq!(config.class(), class);
        let folder = tempfile::tempdir().unwrap();
        config.write(folder.path()).unwrap();
        let again = SchedulerConfig::read(folder.path()).unwrap();
        let steps = match class {
            Class::HeunDiscrete | Class::DPMSolverSDE => own.len().div_ceil(2),
            Class::PNDM => own.len() - 1,
            _ => own.len(),
        };
        let (written, read) = (config.schedule(steps).unwrap(), again.schedule(steps).unwrap());
        // Equality of floating-point numbers, which are neither NaN nor zeros of two signs, is that of bits.
        assert_eq!(written, read, "{changes:?}");
        // And it is the plan that is sampled with.
        assert_eq!(read.plan.len(), own.len());
        for (read, own) in read.plan.iter().zip(&own) {
            assert!((read.level.angle() - own.level.angle()).abs() < 1e-9, "{changes:?}: {read:?} {own:?}");
            assert_eq!((read.pull().len(), read.is_noisy()), (own.pull().len(), own.is_noisy()));
        }
        assert_eq!(read.clip != Clip::None, preset.sampling.clip, "{changes:?}");
        assert_eq!(again.to_json(), config.to_json());
    }
}

#[test]
fn what_diffusers_has_not_or_has_otherwise_is_not_written() {
    for (changes, part) in [
        (&["process.schedule=trigonometric"][..], "process.schedule = trigonometric"),
        (&[CHAIN], "sampling.spacing = uniform"),
        (&[CHAIN, UNCLIPPED, "sampling.solver=reverse-sde"], "sampling.solver = reverse-sde"),
        (&[CHAIN, UNCLIPPED, "sampling.solver=deis"], "does not lead to clean data"),
        (&[CHAIN, UNCLIPPED, "sampling.solver=dpm2m"], "does not lead to clean data"),
        (&[CHAIN, UNCLIPPED, "sampling.solver=dpm++3m"], "half its weight"),
        (&[CHAIN, UNCLIPPED, "sampling.solver=ipndm training.prediction=x0"], "predicts v"),
        // The library extrapolates v, where it is predicted, and not the noise.
        (&[CHAIN, UNCLIPPED, "sampling.solver=pndm"], "PNDMScheduler takes other steps"),
        (&[CHAIN, UNCLIPPED, "sampling.solver=heun-pec"], "sampling.solver = heun-pec"),
        (&[CHAIN, UNCLIPPED, "sampling.eta=0.5"], "sampling.eta"),
        (&[CHAIN, UNCLIPPED, "sampling.solver=euler sampling.churn=2"], "sampling.churn"),
        (&[CHAIN, UNCLIPPED, "sampling.solver=dpm++2s"], "DPMSolverSinglestepScheduler takes other steps"),
        (&[CHAIN, UNCLIPPED, "sampling.spacing=linspace sampling.solver=ddim"], "DDIMScheduler takes other steps"),
        (&[CHAIN, UNCLIPPED, "training.prediction=velocity"], "velocity"),
        (&[CHAIN, "sampling.spacing=karras sampling.rho=3 sampling.solver=unipc"], "sampling.rho = 3"),
        (&[CHAIN, "sampling.spacing=leading sampling.solver=euler"], "sampling.clip = true"),
        (&[CHAIN, UNCLIPPED, "sampling.threshold=0.9"], "sampling.threshold"),
        (&[FLOW, "sampling.solver=flow-heun"], "FlowMatchHeunDiscreteScheduler takes other steps"),
        (&[FLOW, "sampling.solver=unipc"], "sampling.solver = unipc of flow matching"),
        (&[FLOW, "process.max_time=0.99"], "takes other steps"),
        (&[FLOW, "training.prediction=x0"], "training.prediction = x0"),
        (&[EXPLODING, "sampling.solver=dpm++2m"], "sampling.spacing = uniform"),
        (&[EXPLODING, "sampling.spacing=karras sampling.solver=unipc"], "sampling.solver = unipc"),
    ] {
        let preset = preset(changes);
        let error = SchedulerConfig::of(&preset, &preset.sampling).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("cannot be written for diffusers"), "{changes:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
