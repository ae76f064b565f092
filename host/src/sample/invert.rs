//! Inversion: the noise that DDIM turns into given data, and the data that it makes of that noise again.

use super::{Job, times};
use crate::checkpoint::Model;
use crate::error::Error;
use crate::preset::{SamplingSettings, SolverName};
use crate::process::AnyProcess;
use crate::query::Query;
use crate::tensor::BatchNoise;
use candle_core::{Device, Tensor};
use tweedie_core::plan::Step;
use tweedie_core::schedule::Process;
use tweedie_core::{ddim, inversion};

/// What inversion leads to; arrays are `[n, features]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Inverted {
    /// The noise, over the norm of its noise level, so of about unit variance.
    pub noise: Vec<f32>,
    /// What DDIM makes of the noise, in the network's range.
    pub reconstruction: Vec<f32>,
}

impl Inverted {
    /// Root of the mean squared difference of the reconstruction and `data`, in the network's range.
    pub fn error(&self, data: &[f32]) -> f64 {
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        (self.reconstruction.iter().zip(data).map(square).sum::<f64>() / data.len().max(1) as f64).sqrt()
    }
}

/// Walks `data`, `[classes.len(), features]`, from the process's least noise to its most and back, with the settings' steps and spacing each way.
/// Estimates are guided as the settings say, and neither clamped nor thresholded: that cannot be walked back.
///
/// # Errors
/// A solver other than DDIM without noise, a student, and as of [`sample`](super::sample).
pub fn invert(
    model: &Model,
    settings: &SamplingSettings,
    data: &[f32],
    classes: &[u32],
    device: &Device,
) -> Result<Inverted, Error> {
    if settings.solver != SolverName::Ddim || settings.eta != 0.0 {
        let reason = "inversion walks DDIM's steps both ways; use --solver ddim and --eta 0";
        return Err(Error::Argument(reason.to_owned()));
    }
    if model.description.distilled.is_some() {
        let reason = "a student was taught to walk towards data alone; invert by its teacher";
        return Err(Error::Argument(reason.to_owned()));
    }
    let settings = SamplingSettings { clip: false, ..settings.clone() };
    model.accepts(&settings)?;
    let process = AnyProcess::new(&model.preset.process)?;
    let (there, back) = plans(model, &process, &settings)?;
    let walk = |plan: &[Step], states: Vec<f32>| {
        let queries = Query::along(plan, &model.preset, &process)?;
        let job = Job { model, settings: &settings, plan, queries: &queries, thresholding: None, seed: 0, device };
        let states = Tensor::from_vec(states, (classes.len(), model.description.features()), device)?;
        job.run(states, BatchNoise::new(0, 0), classes, &mut |_, _| {})
    };
    // At the least noise the data themselves are taken for the state.
    let signal = there[0].level.alpha as f32;
    let noised = walk(&there, data.iter().map(|&x| signal * x).collect())?;
    let norm = back[0].level.norm() as f32;
    let reconstruction = walk(&back, noised.clone())?;
    Ok(Inverted { noise: noised.into_iter().map(|x| x / norm).collect(), reconstruction })
}

/// The plan from data to noise, and the one back through the same times and on to clean data.
fn plans(model: &Model, process: &AnyProcess, settings: &SamplingSettings) -> Result<(Vec<Step>, Vec<Step>), Error> {
    settings.validate().map_err(Error::Argument)?;
    let falling = times(&model.preset, process, settings, settings.steps)?;
    let mut rising: Vec<f64> = falling.iter().rev().copied().collect();
    // The direction of noise is unknown at clean data; the walk begins at the least noise of training, or halfway to the next time.
    let least = model.preset.process.min_time * process.horizon();
    rising[0] = if least > 0.0 { least.min(0.5 * rising[1]) } else { 0.5 * rising[1] };
    let mut falling: Vec<f64> = rising.iter().rev().copied().collect();
    falling.push(0.0);
    let (mut there, mut back) = (vec![Step::EMPTY; rising.len() - 1], vec![Step::EMPTY; falling.len() - 1]);
    inversion::plan(process, &rising, &mut there)?;
    ddim::plan(process, &falling, 0.0, &mut back)?;
    Ok((there, back))
}
