//! Diffusers' loops over a dummy model, followed through the host's reader of configurations: those that core is compared with, and
//! `wider.json`, whose options were drawn at random (`core/tests/vectors/wider_cases.py`).
//!
//! `TWEEDIE_CASES=FILE` has another draw of that script compared in place of all these.

#![allow(missing_docs)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use tweedie_core::noise_level::Velocity;
use tweedie_core::plan::history;
use tweedie_core::prediction::{Conversion, Moment, Prediction};
use tweedie_core::sampler::{self, Workspace};
use tweedie_core::thresholding::Thresholding;
use tweedie_core::{Denoiser, NoiseSource, StepId};
use tweedie_host::scheduler_config::{Scheduled, SchedulerConfig};

const SIZE: usize = 768;
/// Tolerance against the float64 numbers of wild combinations, in some of which the library subtracts what is nearly equal.
const WIDER: f64 = 1e-6;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The dummy model `x t / (t + 1)`, where `x` is what the library shows it.
struct Model {
    timesteps: Vec<f64>,
    scales: Vec<f64>,
    conversions: Vec<Conversion>,
    thresholding: Option<Thresholding>,
}

impl Denoiser<[f64]> for Model {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
        let t = self.timesteps[step.0];
        let share = self.scales[step.0] * t / (t + 1.0);
        x0_hat.iter_mut().zip(x_t).for_each(|(x0_hat, &x)| *x0_hat = self.conversions[step.0].apply(x, share * x));
        if let Some(thresholding) = self.thresholding {
            thresholding.apply(x0_hat, &mut [0.0; SIZE]).unwrap();
        }
        Ok(())
    }
}

/// The scripts' noise.
struct ScriptNoise;

impl NoiseSource<[f64]> for ScriptNoise {
    type Error = Infallible;

    fn fill_normal(&mut self, draw: u32, out: &mut [f64]) -> Result<(), Infallible> {
        let whole = |i: usize| (7919 * i + 104_729 * draw as usize) % 1000;
        out.iter_mut().enumerate().for_each(|(i, z)| *z = (whole(i) as f64 - 499.5) / 288.675);
        Ok(())
    }
}

/// The sample at the end, and element 384 after every row.
fn run(scheduled: &Scheduled, start: f64) -> (Vec<f64>, Vec<f64>) {
    let Scheduled { timesteps, plan, prediction, clip, thresholding, preconditioning, .. } = scheduled;
    let flow = Velocity { alpha: -1.0, sigma: 1.0 };
    let conversions = plan.iter().map(|step| match preconditioning {
        Some(edm) => {
            let conversion = edm.to_x0(step.level.sigma).unwrap();
            let sign = if *prediction == Prediction::V { -1.0 } else { 1.0 };
            Conversion { from_output: sign * conversion.from_output, ..conversion }
        }
        None => prediction.to_x0(&Moment { level: step.level, velocity: flow }).unwrap(),
    });
    // The library's models see the variance-preserving state, or that of flow matching.
    let scales = plan.iter().map(|step| match preconditioning {
        Some(edm) => edm.input(step.level.sigma).unwrap(),
        None if *prediction == Prediction::Velocity => 1.0,
        None => 1.0 / step.level.norm(),
    });
    let mut model = Model {
        timesteps: timesteps.clone(),
        scales: scales.collect(),
        conversions: conversions.collect(),
        thresholding: *thresholding,
    };
    let mut x: Vec<f64> = (0..SIZE).map(|i| start * i as f64 / SIZE as f64).collect();
    let (mut z, mut states) = (vec![0.0; SIZE], vec![]);
    let mut storage = vec![[f64::NAN; SIZE]; history(plan)];
    let mut x0_hats: Vec<&mut [f64]> = storage.iter_mut().map(|x0_hat| &mut x0_hat[..]).collect();
    let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: Some(&mut z[..]) };
    let watch = |_, x: &[f64], _: &[f64]| states.push(x[384]);
    sampler::run(plan, *clip, &mut x[..], &mut workspace, &mut model, &mut ScriptNoise, watch).unwrap();
    (x, states)
}

/// What the library multiplies unit noise by.
fn start(scheduled: &Scheduled, config: &Value) -> f64 {
    let level = scheduled.plan[0].level;
    let leading = config.get("timestep_spacing") == Some(&"leading".into());
    match level.alpha == 1.0 {
        _ if scheduled.preconditioning.is_some() => {
            let usual = if config["_class_name"] == "CosineDPMSolverMultistepScheduler" { 500.0 } else { 80.0 };
            config.get("sigma_max").map_or(usual, |most| most.as_f64().unwrap()).hypot(1.0)
        }
        true if leading => level.sigma.hypot(1.0),
        true => level.sigma,
        false => 1.0,
    }
}

/// Says how a case differs from the library by more than `tolerance`, relative to the largest number of its kind, or that the reader refuses it.
fn follow(case: &Value, tolerance: f64) -> Result<(), String> {
    let mut config = case["config"].clone();
    config["_class_name"] = case["scheduler"].clone();
    let steps = case["steps"].as_u64().unwrap() as usize;
    let read = SchedulerConfig::parse(Path::new("case.json"), &config.to_string());
    let scheduled = read.and_then(|read| read.schedule(steps)).map_err(|error| format!("refused: {error}"))?;
    let near = |what: String, got: f64, expected: f64, size: f64| {
        let close = (got - expected).abs() <= size;
        if close { Ok(()) } else { Err(format!("{what} is {got}, not {expected}")) }
    };
    let (at, visited) = (numbers(&case["trace_at"]), numbers(&case["timesteps"]));
    if visited.len() == scheduled.timesteps.len() {
        for (row, (&got, expected)) in scheduled.timesteps.iter().zip(visited).enumerate() {
            near(format!("timestep {row}"), got, expected, 1e-7 * expected.abs().max(1.0))?;
        }
    } else if visited.len() != at.len() {
        return Err(format!("{} timesteps for {}", scheduled.timesteps.len(), visited.len()));
    }
    let (x, states) = run(&scheduled, start(&scheduled, &config));
    let expected = numbers(&case["trace_384"]);
    let largest = expected.iter().fold(1e-3, |most: f64, x| most.max(x.abs()));
    for (at, expected) in at.iter().zip(expected) {
        near(format!("step {at}"), states[*at as usize], expected, tolerance * largest)?;
    }
    let probes = case["probes"].as_object().unwrap();
    let largest = probes.values().fold(1e-3, |most: f64, x| most.max(x.as_f64().unwrap().abs()));
    for (at, expected) in probes {
        near(
            format!("element {at}"),
            x[at.parse::<usize>().unwrap()],
            expected.as_f64().unwrap(),
            tolerance * largest,
        )?;
    }
    Ok(())
}

#[test]
fn every_configuration_gives_the_librarys_timesteps_and_states() {
    let vectors = |name: &str| format!("{}/../core/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![(vectors("solvers"), 1e-8), (vectors("more_diffusers"), 1e-10), (vectors("wider"), WIDER)];
    if let Ok(other) = std::env::var("TWEEDIE_CASES") {
        files = vec![(other, WIDER)];
    }
    let (mut followed, mut different) = (BTreeMap::<String, usize>::new(), vec![]);
    for (file, tolerance) in &files {
        let file: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            // An order, or a noise, that is an argument of the library's step and no part of the configuration.
            let arguments = case["step_args"].as_object().unwrap();
            let others = arguments.get("order").is_some() || arguments.get("eta").is_some_and(|eta| eta != 0.0);
            // The seed of the library's own noise.
            if others || case["config"].get("noise_sampler_seed").is_some() {
                continue;
            }
            if let Err(how) = follow(case, *tolerance) {
                different.push(format!("{}\n    {}: {how}", case["name"], case["scheduler"]));
            }
            *followed.entry(case["scheduler"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    println!("{followed:#?}");
    assert!(different.is_empty(), "{} of them\n{}", different.len(), different.join("\n"));
}
