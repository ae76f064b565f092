//! Sampling: a trained network as a denoiser under core's sampler.

use crate::checkpoint::Model;
use crate::error::Error;
use crate::network::Inputs;
use crate::preset::{PredictionName, Preset, SamplingSettings, SpacingName};
use crate::process::AnyProcess;
use crate::query::Query;
use crate::scheduler_config::Scheduled;
use crate::solver;
use crate::tensor::{BatchNoise, CandleTensor};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use tweedie_core::guidance::Guidance;
use tweedie_core::plan::{self, Step};
use tweedie_core::prediction::Conversion;
use tweedie_core::sampler::{self, Clip, SamplerError, Workspace};
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::thresholding::Thresholding;
use tweedie_core::{Denoiser, StepId, discretise};

/// Rows sampled together by one thread: always so many, since a matrix product of fewer rows is rounded otherwise.
const ROWS: usize = 128;

/// Draws samples: `[classes.len(), features]` in the network's range, sample `i` of class `classes[i]` (the number of classes
/// meaning "none") from noise stream `i`, whatever is drawn beside it.
///
/// # Errors
/// Settings that do not fit the model's process or prediction.
pub fn sample(
    model: &Model,
    settings: &SamplingSettings,
    classes: &[u32],
    seed: u64,
    device: &Device,
) -> Result<Vec<f32>, Error> {
    model.accepts(settings)?;
    let process = AnyProcess::new(&model.preset.process)?;
    let plan = plan_for(&model.preset, &process, settings)?;
    let queries = Query::along(&plan, &model.preset, &process)?;
    let job = Job { model, settings, plan: &plan, queries: &queries, thresholding: None, seed, device };
    job.draw_all(classes)
}

/// As [`sample`], but by the plan of a [`SchedulerConfig`](crate::scheduler_config::SchedulerConfig), whatever process the model was trained on: a
/// network is told the ratio of noise and signal alone.
///
/// # Errors
/// A model that predicts the velocity of another process than flow matching.
pub fn sample_scheduled(
    model: &Model,
    scheduled: &Scheduled,
    settings: &SamplingSettings,
    classes: &[u32],
    seed: u64,
    device: &Device,
) -> Result<Vec<f32>, Error> {
    let process = AnyProcess::new(&model.preset.process)?;
    let flow = matches!(process, AnyProcess::Continuous(Schedule::FlowMatching));
    if model.preset.training.prediction == PredictionName::Velocity && !(flow && scheduled.is_flow_matching) {
        let reason = "a model that predicts the velocity follows a scheduler only where both are flow matching";
        return Err(Error::Argument(reason.to_owned()));
    }
    let clip = scheduled.clip != Clip::None;
    let settings = SamplingSettings { clip, ..settings.clone() };
    let (plan, thresholding) = (&scheduled.plan, scheduled.thresholding);
    let queries = Query::along(plan, &model.preset, &process)?;
    Job { model, settings: &settings, plan, queries: &queries, thresholding, seed, device }.draw_all(classes)
}

/// The model's `x0_hat` of states at time `t`, as its sampler makes it: guided and clipped as the settings say. States and estimates are
/// `[classes.len(), features]`; the former as the process makes them, not normalised.
///
/// # Errors
/// A time at which the model's prediction does not determine the data.
pub fn estimate(
    model: &Model,
    process: &AnyProcess,
    settings: &SamplingSettings,
    t: f64,
    states: Vec<f32>,
    classes: &[u32],
) -> Result<Vec<f32>, Error> {
    // A plan of one step that lands on the estimate.
    let plan = [Step::new(t, process.level(t)?, 0.0, &[1.0], 0.0)?];
    let queries = Query::along(&plan, &model.preset, process)?;
    let job =
        Job { model, settings, plan: &plan, queries: &queries, thresholding: None, seed: 0, device: &Device::Cpu };
    let states = Tensor::from_vec(states, (classes.len(), model.description.features()), &Device::Cpu)?;
    job.run(states, BatchNoise::new(0, 0), classes)
}

/// Whether a model of this preset can be sampled by these settings, before time is spent on training it.
///
/// # Errors
/// As of [`sample`].
pub fn check(preset: &Preset, process: &AnyProcess, settings: &SamplingSettings) -> Result<(), Error> {
    Query::along(&plan_for(preset, process, settings)?, preset, process).map(|_| ())
}

/// The plan of a solver over a preset's process.
///
/// # Errors
/// A spacing that the process does not have, or numbers that core refuses.
pub fn plan_for(preset: &Preset, process: &AnyProcess, settings: &SamplingSettings) -> Result<Vec<Step>, Error> {
    settings.validate().map_err(Error::Argument)?;
    let (solver, spacing, evaluations) = (settings.solver, settings.spacing, settings.steps);
    let times = times(preset, process, settings, solver::steps(solver, evaluations))?;
    solver::plan(settings, process, &times).map_err(|error| {
        Error::Argument(format!(
            "{evaluations} evaluations by {solver} with {spacing} spacing are no way from noise to data: {error}"
        ))
    })
}

/// Times from noise to data, one more than steps; the last is 0.
fn times(preset: &Preset, process: &AnyProcess, settings: &SamplingSettings, steps: usize) -> Result<Vec<f64>, Error> {
    use discretise::{ChainSpacing, Spacing};
    let name = settings.spacing;
    let refuse = |error: tweedie_core::Error| Error::Argument(format!("{name} spacing: {error}"));
    let (first, least) = (preset.process.max_time * process.horizon(), preset.process.min_time * process.horizon());
    let chain = |spacing: ChainSpacing| {
        let Some(total) = process.chain_steps() else {
            return Err(Error::Argument(format!(
                "{name} spacing needs process.schedule = chain; in continuous time there are uniform, exponential, log-snr and karras"
            )));
        };
        let mut timesteps = vec![0; steps];
        spacing.fill(total, &mut timesteps).map_err(refuse)?;
        // Timestep 0 is the chain's first noised index.
        Ok(timesteps.iter().map(|&t| f64::from(t + 1) / total as f64).chain([0.0]).collect())
    };
    let to_zero = |spacing: Spacing| {
        let mut times = vec![0.0; steps + 1];
        spacing.fill(process, first, 0.0, &mut times).map_err(refuse)?;
        Ok(times)
    };
    // These end at the least noise of training, and take one more step from there to data.
    let to_least = |spacing: Spacing| {
        let mut times = vec![first; steps + 1];
        if steps > 1 {
            spacing.fill(process, first, least, &mut times[..steps]).map_err(refuse)?;
        }
        times[steps] = 0.0;
        Ok(times)
    };
    match settings.spacing {
        SpacingName::Uniform => to_zero(Spacing::Uniform),
        SpacingName::Exponential => to_zero(Spacing::Exponential { growth: settings.growth }),
        SpacingName::LogSnr => to_least(Spacing::LogSnr),
        SpacingName::Karras => to_least(Spacing::Karras { rho: settings.rho }),
        SpacingName::Leading => chain(ChainSpacing::Leading { offset: 0 }),
        SpacingName::Trailing => chain(ChainSpacing::Trailing),
        SpacingName::Linspace => chain(ChainSpacing::Linspace),
    }
}

struct Job<'a> {
    model: &'a Model,
    settings: &'a SamplingSettings,
    plan: &'a [Step],
    queries: &'a [Query],
    thresholding: Option<Thresholding>,
    seed: u64,
    device: &'a Device,
}

impl Job<'_> {
    /// Samples of all these classes, in parts that threads share.
    fn draw_all(&self, classes: &[u32]) -> Result<Vec<f32>, Error> {
        let rows = if self.device.is_cpu() { ROWS } else { classes.len().max(1) };
        let parts: Vec<(usize, &[u32])> = classes.chunks(rows).enumerate().map(|(part, c)| (part * rows, c)).collect();
        let features = self.model.description.features();
        let draw = |(first, wanted): (usize, &[u32])| {
            let mut classes = wanted.to_vec();
            classes.resize(rows, 0);
            let mut samples = self.draw(first, &classes)?;
            samples.truncate(wanted.len() * features);
            Ok(samples)
        };
        Ok(parts.into_par_iter().map(draw).collect::<Result<Vec<_>, Error>>()?.concat())
    }

    /// Samples `first ..`, of the given classes.
    fn draw(&self, first: usize, classes: &[u32]) -> Result<Vec<f32>, Error> {
        let features = self.model.description.features();
        let noise = BatchNoise::new(self.seed, first as u64);
        let start = self.plan[0].level.norm();
        let state = (noise.normal(0, classes.len(), features, self.device)? * start)?;
        self.run(state, noise, classes)
    }

    /// The plan from a state on, `[classes.len(), features]`.
    fn run(&self, state: Tensor, mut noise: BatchNoise, classes: &[u32]) -> Result<Vec<f32>, Error> {
        let blank = CandleTensor(state.clone());
        let mut x0_hats = vec![blank.clone(); plan::history(self.plan)];
        let mut x0_hats: Vec<&mut CandleTensor> = x0_hats.iter_mut().collect();
        let mut noise_buffer = blank;
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: Some(&mut noise_buffer) };
        let none = vec![self.model.description.classes as u32; classes.len()];
        let mut denoiser =
            NetworkDenoiser { job: self, classes, none: &none, guidance: Guidance::new(self.settings.guidance) };
        let clip = if self.settings.clip { Clip::Range { low: -1.0, high: 1.0 } } else { Clip::None };
        let mut x = CandleTensor(state);
        // Candle's coefficients are f64, as a plan's are.
        sampler::run(self.plan, clip, &mut x, &mut workspace, &mut denoiser, &mut noise, |_, _, _| {}).map_err(
            |error| match error {
                SamplerError::Tensor(error) | SamplerError::Noise(error) | SamplerError::Denoiser(error) => {
                    Error::Candle(error)
                }
                other => Error::Argument(other.to_string()),
            },
        )?;
        Ok(x.0.flatten_all()?.to_vec1()?)
    }
}

/// A network under guidance, as core's denoiser.
struct NetworkDenoiser<'a> {
    job: &'a Job<'a>,
    classes: &'a [u32],
    none: &'a [u32],
    guidance: Guidance,
}

impl NetworkDenoiser<'_> {
    fn predict(&self, x_t: &Tensor, query: &Query, classes: &[u32]) -> candle_core::Result<Tensor> {
        let model = self.job.model;
        let state = if query.norm == 1.0 { x_t.clone() } else { (x_t / query.norm)? };
        let inputs = Inputs::at_angles(state, &query.angles, classes)?;
        model.network.forward(&model.weights, &inputs)
    }
}

impl Denoiser<CandleTensor> for NetworkDenoiser<'_> {
    type Error = candle_core::Error;

    fn denoise(&mut self, x_t: &CandleTensor, step: StepId, x0_hat: &mut CandleTensor) -> candle_core::Result<()> {
        let query = &self.job.queries[step.0];
        let mut output = CandleTensor(self.predict(&x_t.0, query, self.classes)?);
        if !self.guidance.is_none() {
            let unconditional = CandleTensor(self.predict(&x_t.0, query, self.none)?);
            self.guidance
                .apply(&mut output, &unconditional)
                .map_err(|error| candle_core::Error::Msg(error.to_string()))?;
        }
        let Conversion { from_state, from_output } = query.to_x0;
        tweedie_core::Tensor::axpby(&mut output, from_output, from_state, x_t)?;
        if let Some(thresholding) = self.job.thresholding {
            output = CandleTensor(threshold_rows(thresholding, &output.0)?);
        }
        *x0_hat = output;
        Ok(())
    }
}

/// Dynamic thresholding of each row by itself.
fn threshold_rows(thresholding: Thresholding, x0_hat: &Tensor) -> candle_core::Result<Tensor> {
    let mut rows: Vec<Vec<f64>> = x0_hat.to_dtype(DType::F64)?.to_vec2()?;
    let mut buffer = vec![0.0; rows.first().map_or(0, Vec::len)];
    for row in &mut rows {
        thresholding.apply(row, &mut buffer).map_err(|error| candle_core::Error::Msg(error.to_string()))?;
    }
    Tensor::new(rows, x0_hat.device())?.to_dtype(x0_hat.dtype())
}
