//! Sampling loops of the Python library diffusers, run by core: the dummy model, the scripts' noise, and the comparison with a case.

mod translate;

pub use translate::{chain_spacing, translate, with_chain};

use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use tweedie_core::plan::{Step, history};
use tweedie_core::prediction::Conversion;
use tweedie_core::sampler::{self, Clip, Workspace};
use tweedie_core::thresholding::Thresholding;
use tweedie_core::{Denoiser, NoiseSource, StepId, Tensor};

pub const SIZE: usize = 768;
pub const COLUMNS: usize = 32;

pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// A sampling loop of the library, translated: what is asked of the model, and what is done with its answer.
#[derive(Default)]
pub struct Loop {
    /// What the model is told of the time, at each row.
    pub timesteps: Vec<f64>,
    pub plan: Vec<Step>,
    /// From the model's output to `x0_hat`.
    pub conversions: Vec<Conversion>,
    /// What the state is multiplied by before the model sees it.
    pub input_scales: Vec<f64>,
    /// What the sample is multiplied by to make the initial state.
    pub start_scale: f64,
    pub clip: Clip,
    pub thresholding: Option<Thresholding>,
}

/// The dummy model `x t / (t + 1)`, converted.
impl Denoiser<[f64]> for Loop {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
        let (t, scale) = (self.timesteps[step.0], self.input_scales[step.0]);
        let conversion = self.conversions[step.0];
        for (estimate, &x) in x0_hat.iter_mut().zip(x_t) {
            // Conversions are linear in the state that core holds, whatever scale the model's input has.
            *estimate = conversion.apply(x, scale * x * t / (t + 1.0));
        }
        if let Some(thresholding) = self.thresholding {
            thresholding.apply(x0_hat, &mut vec![0.0; x_t.len()]).unwrap();
        }
        Ok(())
    }
}

impl Denoiser<[f32]> for Loop {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f32], step: StepId, x0_hat: &mut [f32]) -> Result<(), Infallible> {
        let x_t: Vec<f64> = x_t.iter().map(|&x| x.into()).collect();
        let mut wide = vec![0.0; x_t.len()];
        Denoiser::<[f64]>::denoise(self, &x_t, step, &mut wide)?;
        x0_hat.iter_mut().zip(wide).for_each(|(narrow, wide)| *narrow = wide as f32);
        Ok(())
    }
}

/// The noise of `more_cases.py`: draw `k + 1` belongs to step `k`.
pub struct ScriptNoise;

impl NoiseSource<[f64]> for ScriptNoise {
    type Error = Infallible;

    fn fill_normal(&mut self, draw: u32, out: &mut [f64]) -> Result<(), Infallible> {
        for (i, z) in out.iter_mut().enumerate() {
            *z = (((7919 * i + 104_729 * draw as usize) % 1000) as f64 - 499.5) / 288.675;
        }
        Ok(())
    }
}

impl NoiseSource<[f32]> for ScriptNoise {
    type Error = Infallible;

    fn fill_normal(&mut self, _: u32, _: &mut [f32]) -> Result<(), Infallible> {
        unreachable!("the float32 file has deterministic cases alone")
    }
}

/// The sample at the end, and element 384 after every step.
pub fn sample<F: Copy>(run: &mut Loop, narrow: fn(f64) -> F) -> (Vec<f64>, Vec<f64>)
where
    f64: From<F>,
    [F]: Tensor<Coeff = f64>,
    Loop: Denoiser<[F], Error = Infallible>,
    ScriptNoise: NoiseSource<[F], Error = Infallible>,
{
    let mut x: Vec<F> = (0..SIZE).map(|i| narrow(run.start_scale * i as f64 / SIZE as f64)).collect();
    let mut storage = vec![x.clone(); history(&run.plan)];
    let (mut x0_hats, mut z) = (storage.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>(), x.clone());
    let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: Some(z.as_mut_slice()) };
    let (plan, clip, mut trace) = (run.plan.clone(), run.clip, vec![]);
    sampler::run(&plan, clip, &mut x[..], &mut workspace, run, &mut ScriptNoise, |_, x, _| trace.push(x[384].into()))
        .unwrap();
    (x.into_iter().map(f64::from).collect(), trace)
}

/// Compares with a case, relative to its largest probe, or for the trace to its largest entry; says what differs.
pub fn compare(case: &Value, run: &Loop, (x, trace): &(Vec<f64>, Vec<f64>), tolerance: f64) -> Result<(), String> {
    let near = |what: &str, got: f64, expected: f64, tolerance: f64| {
        let close = (got - expected).abs() <= tolerance;
        if close { Ok(()) } else { Err(format!("{}: {what} is {got}, not {expected}", case["name"])) }
    };
    let probes: BTreeMap<usize, f64> = case["probes"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(at, value)| (at.parse().unwrap(), value.as_f64().unwrap()))
        .collect();
    assert_eq!(probes.len(), 5);
    let visited = numbers(&case["timesteps"]);
    let expected = numbers(&case["trace_384"]);
    let at: Vec<usize> = match case.get("trace_at") {
        Some(at) => numbers(at).into_iter().map(|at| at as usize).collect(),
        None => (0..expected.len()).collect(),
    };
    assert!(!at.is_empty() && at.len() == expected.len());
    // Long runs list the timesteps of the trace alone.
    let all: Vec<usize> = if visited.len() == at.len() { at.clone() } else { (0..run.timesteps.len()).collect() };
    assert_eq!(all.len(), visited.len(), "{}", case["name"]);
    for (&k, expected) in all.iter().zip(&visited) {
        near(&format!("timestep {k}"), run.timesteps[k], *expected, 1e-9 * expected.abs().max(1.0))?;
    }
    let largest = expected.iter().fold(0.0, |m: f64, p| m.max(p.abs()));
    for (&k, expected) in at.iter().zip(&expected) {
        near(&format!("step {k}"), trace[k], *expected, tolerance * largest)?;
    }
    let largest = probes.values().fold(0.0, |m: f64, p| m.max(p.abs()));
    for (&at, &expected) in &probes {
        near(&format!("element {at}"), x[at], expected, tolerance * largest.max(1e-6))?;
    }
    let (sum, expected) = (x.iter().map(|x| x.abs()).sum::<f64>(), case["sum_abs"].as_f64().unwrap());
    // Where the exact sum is 0, the library's is all rounding.
    near("the sum", sum, expected, tolerance * expected.max(1e-3))
}
