//! Sampling: a trained network as a denoiser under core's sampler.

pub mod follow;
pub mod inpaint;
pub mod invert;

use crate::checkpoint::Model;
use crate::error::Error;
use crate::network::{Condition, Inputs};
use crate::preset::{PredictionName, Preset, SamplingSettings, SolverName, SpacingName};
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
/// Rows sampled together on another device, at most: what a network of images makes of them must fit its memory.
const DEVICE_ROWS: usize = 4096;

/// Classes 0, 1, 2, … in turn; without classes, the number of classes, which stands for "none".
pub fn classes_in_turn(count: usize, classes: usize) -> Vec<u32> {
    (0..count).map(|index| index.checked_rem(classes).unwrap_or(0) as u32).collect()
}

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
    let prepared = Prepared::new(model, settings)?;
    prepared.job(model, seed, device).draw_all(classes)
}

/// The states on the way of the same samples: `[steps + 1][classes.len(), features]`, from noise to the samples, each over the norm of its noise
/// level, `sqrt(alpha^2 + sigma^2)`, so that all are of about unit variance.
///
/// # Errors
/// As of [`sample`].
pub fn trajectory(
    model: &Model,
    settings: &SamplingSettings,
    classes: &[u32],
    seed: u64,
    device: &Device,
) -> Result<Vec<Vec<f32>>, Error> {
    let prepared = Prepared::new(model, settings)?;
    let job = prepared.job(model, seed, device);
    let parts = job.in_parts(classes, |first, classes| {
        let (state, noise) = job.begin(first, classes)?;
        // A tensor shares its numbers, and each step makes a new one.
        let mut states = vec![(state.clone(), job.plan[0].level.norm())];
        let samples = job.run(state, noise, classes, &mut |step, state| {
            if let Some(next) = job.plan.get(step + 1) {
                states.push((state.clone(), next.level.norm()));
            }
        })?;
        let normalised = |(state, norm): (Tensor, f64)| (state / norm)?.flatten_all()?.to_vec1();
        let mut states = states.into_iter().map(normalised).collect::<candle_core::Result<Vec<_>>>()?;
        states.push(samples);
        Ok(states)
    })?;
    let mut states: Vec<Vec<f32>> = vec![Vec::new(); job.plan.len() + 1];
    for part in parts {
        states.iter_mut().zip(part).for_each(|(state, part)| state.extend(part));
    }
    let length = classes.len() * model.description.features();
    states.iter_mut().for_each(|state| state.truncate(length));
    Ok(states)
}

/// What is asked of a model: a plan with its questions, and what is done to estimates.
pub(crate) struct Prepared {
    /// The steps.
    pub plan: Vec<Step>,
    /// What the network is asked at each.
    pub queries: Vec<Query>,
    /// Guidance and clamping.
    pub settings: SamplingSettings,
    /// Dynamic thresholding, if any.
    pub thresholding: Option<Thresholding>,
}

impl Prepared {
    /// By settings.
    pub fn new(model: &Model, settings: &SamplingSettings) -> Result<Self, Error> {
        model.accepts(settings)?;
        let process = AnyProcess::new(&model.preset.process)?;
        let plan = plan_for(&model.preset, &process, settings)?;
        let queries = Query::along(&plan, &model.preset, &process)?;
        Ok(Self { plan, queries, settings: settings.clone(), thresholding: thresholding(settings) })
    }

    /// By a scheduler's plan.
    pub fn scheduled(model: &Model, scheduled: &Scheduled, settings: &SamplingSettings) -> Result<Self, Error> {
        model.knows_classes()?;
        if model.description.distilled.is_some() {
            let reason = "a student was taught steps of its own, and follows no scheduler; sample its teacher";
            return Err(Error::Argument(reason.to_owned()));
        }
        let process = AnyProcess::new(&model.preset.process)?;
        let flow = matches!(process, AnyProcess::Continuous(Schedule::FlowMatching));
        if model.preset.training.prediction == PredictionName::Velocity && !(flow && scheduled.is_flow_matching) {
            let reason = "a model that predicts the velocity follows a scheduler only where both are flow matching";
            return Err(Error::Argument(reason.to_owned()));
        }
        let settings = SamplingSettings { clip: scheduled.clip != Clip::None, ..settings.clone() };
        let queries = Query::along(&scheduled.plan, &model.preset, &process)?;
        Ok(Self { plan: scheduled.plan.clone(), queries, settings, thresholding: scheduled.thresholding })
    }

    fn job<'a>(&'a self, model: &'a Model, seed: u64, device: &'a Device) -> Job<'a> {
        Job {
            model,
            settings: &self.settings,
            plan: &self.plan,
            queries: &self.queries,
            thresholding: self.thresholding,
            seed,
            device,
        }
    }
}

/// As [`sample`], but by the plan of a [`SchedulerConfig`](crate::scheduler_config::SchedulerConfig), whatever process the model was trained on: a
/// network is told the ratio of noise and signal alone.
///
/// # Errors
/// A student, or a model that predicts the velocity of another process than flow matching.
pub fn sample_scheduled(
    model: &Model,
    scheduled: &Scheduled,
    settings: &SamplingSettings,
    classes: &[u32],
    seed: u64,
    device: &Device,
) -> Result<Vec<f32>, Error> {
    Prepared::scheduled(model, scheduled, settings)?.job(model, seed, device).draw_all(classes)
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
    let device = model.device();
    let job = Job {
        model,
        settings,
        plan: &plan,
        queries: &queries,
        thresholding: thresholding(settings),
        seed: 0,
        device: &device,
    };
    let states = Tensor::from_vec(states, (classes.len(), model.description.features()), &device)?;
    job.run(states, BatchNoise::new(0, 0), classes, &mut |_, _| {})
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
    let plan_of = |steps: usize| {
        let times = times(preset, process, settings, steps)?;
        solver::plan(settings, process, &times).map_err(|error| {
            Error::Argument(format!(
                "{evaluations} evaluations by {solver} with {spacing} spacing are no way from noise to data: {error}"
            ))
        })
    };
    if solver == SolverName::Heun {
        // From next to noise its first step may need one evaluation alone, which leaves some for a step more.
        let plan = plan_of(evaluations / 2 + 1)?;
        if plan.len() <= evaluations {
            return Ok(plan);
        }
    }
    plan_of(solver::steps(solver, evaluations))
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
                "{name} spacing needs process.schedule = chain; in continuous time there are uniform, exponential, log-snr, soft-log-snr and karras"
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
        SpacingName::SoftLogSnr => to_zero(solver::soft_log_snr(settings.solver)),
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
    /// Samples of all these classes.
    fn draw_all(&self, classes: &[u32]) -> Result<Vec<f32>, Error> {
        let parts = self.in_parts(classes, |first, classes| {
            let (state, noise) = self.begin(first, classes)?;
            self.run(state, noise, classes, &mut |_, _| {})
        })?;
        let length = classes.len() * self.model.description.features();
        Ok(parts.into_iter().flatten().take(length).collect())
    }

    /// What `draw` makes of each part of the samples, which threads share: the number of the part's first sample, and its classes. The last part is
    /// filled up with samples that nobody asked for.
    fn in_parts<T: Send>(
        &self,
        classes: &[u32],
        draw: impl Fn(usize, &[u32]) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let rows = if self.device.is_cpu() { ROWS } else { classes.len().clamp(1, DEVICE_ROWS) };
        let parts: Vec<(usize, &[u32])> = classes.chunks(rows).enumerate().map(|(part, c)| (part * rows, c)).collect();
        let draw = |(first, wanted): (usize, &[u32])| {
            let mut classes = wanted.to_vec();
            classes.resize(rows, 0);
            draw(first, &classes)
        };
        match self.device.is_cpu() {
            true => parts.into_par_iter().map(draw).collect(),
            // A device is given its work by one thread.
            false => parts.into_iter().map(draw).collect(),
        }
    }

    /// The initial states of samples `first ..`, as many as classes, and the source of their noise.
    fn begin(&self, first: usize, classes: &[u32]) -> Result<(Tensor, BatchNoise), Error> {
        let features = self.model.description.features();
        let noise = BatchNoise::new(self.seed, first as u64);
        let start = self.plan[0].level.norm();
        Ok(((noise.normal(0, classes.len(), features, self.device)? * start)?, noise))
    }

    /// The plan from a state on, `[classes.len(), features]`; `watch` sees the state after each step.
    fn run(
        &self,
        state: Tensor,
        mut noise: BatchNoise,
        classes: &[u32],
        watch: &mut dyn FnMut(usize, &Tensor),
    ) -> Result<Vec<f32>, Error> {
        let blank = CandleTensor(state.clone());
        let mut x0_hats = vec![blank.clone(); plan::history(self.plan)];
        let mut x0_hats: Vec<&mut CandleTensor> = x0_hats.iter_mut().collect();
        let mut noise_buffer = blank;
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: Some(&mut noise_buffer) };
        let mut denoiser = NetworkDenoiser::new(self, classes)?;
        let mut x = CandleTensor(state);
        // Candle's coefficients are f64, as a plan's are.
        sampler::run(
            self.plan,
            self.clip(),
            &mut x,
            &mut workspace,
            &mut denoiser,
            &mut noise,
            |StepId(step), state, _| {
                watch(step, &state.0);
            },
        )
        .map_err(sampler_error)?;
        Ok(x.0.flatten_all()?.to_vec1()?)
    }

    fn clip(&self) -> Clip {
        clip(self.settings)
    }
}

/// What is done to each estimate before it is used.
pub(crate) fn clip(settings: &SamplingSettings) -> Clip {
    if settings.clip { Clip::Range { low: -1.0, high: 1.0 } } else { Clip::None }
}

fn sampler_error(error: SamplerError<candle_core::Error, candle_core::Error, candle_core::Error>) -> Error {
    match error {
        SamplerError::Tensor(error) | SamplerError::Noise(error) | SamplerError::Denoiser(error) => {
            Error::Candle(error)
        }
        other => Error::Argument(other.to_string()),
    }
}

/// A network under guidance, as core's denoiser.
struct NetworkDenoiser<'a> {
    job: &'a Job<'a>,
    classes: Condition,
    none: Condition,
    guidance: Guidance,
}

impl<'a> NetworkDenoiser<'a> {
    /// The job's network for rows of these classes.
    fn new(job: &'a Job<'a>, classes: &[u32]) -> candle_core::Result<Self> {
        let none = vec![job.model.description.classes as u32; classes.len()];
        Ok(Self {
            job,
            classes: Condition::of_classes(classes, job.device)?,
            none: Condition::of_classes(&none, job.device)?,
            guidance: Guidance::new(job.settings.guidance),
        })
    }

    fn predict(&self, x_t: &Tensor, query: &Query, condition: &Condition) -> candle_core::Result<Tensor> {
        let model = self.job.model;
        let state = if query.norm == 1.0 { x_t.clone() } else { (x_t / query.norm)? };
        let inputs = Inputs::at_level(state, &query.angles, condition.clone())?;
        model.network.forward(&model.weights, &inputs)
    }
}

impl Denoiser<CandleTensor> for NetworkDenoiser<'_> {
    type Error = candle_core::Error;

    fn denoise(&mut self, x_t: &CandleTensor, step: StepId, x0_hat: &mut CandleTensor) -> candle_core::Result<()> {
        let query = &self.job.queries[step.0];
        let mut output = CandleTensor(self.predict(&x_t.0, query, &self.classes)?);
        if !self.guidance.is_none() {
            let unconditional = CandleTensor(self.predict(&x_t.0, query, &self.none)?);
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

/// The settings' dynamic thresholding; its threshold may be as large as it comes out, as in the paper.
fn thresholding(settings: &SamplingSettings) -> Option<Thresholding> {
    (settings.threshold > 0.0).then_some(Thresholding { ratio: settings.threshold, most: f64::MAX })
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
