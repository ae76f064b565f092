//! Sampling that can be watched, and left at any step.

use super::{Job, NetworkDenoiser, Prepared, ROWS, sampler_error};
use crate::checkpoint::Model;
use crate::error::Error;
use crate::preset::SamplingSettings;
use crate::tensor::{BatchNoise, CandleTensor};
use candle_core::Device;
use rayon::prelude::*;
use std::ops::ControlFlow;
use tweedie_core::plan;
use tweedie_core::sampler::{self, Workspace};
use tweedie_core::{Denoiser, StepId};

/// Where samples stand between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Steps that have been taken; 0 is the noise.
    pub step: usize,
    /// Steps of the plan.
    pub steps: usize,
    /// The state's noise level as an angle: 1 is noise, 0 is data.
    pub angle: f64,
    /// The states over the norm of their noise level, `[classes.len(), features]`.
    pub state: Vec<f32>,
    /// The estimates of the data that the last step made, guided, not clamped; none before the first step.
    pub x0_hat: Option<Vec<f32>>,
}

/// Draws samples as [`sample`](super::sample) does, and shows them before the first step and after each. The last state is that function's sample,
/// but for rounding: only as many rows as are asked for go through the network together.
///
/// Ends early, and well, when `show` breaks.
///
/// # Errors
/// As of [`sample`](super::sample).
pub fn follow(
    model: &Model,
    settings: &SamplingSettings,
    classes: &[u32],
    seed: u64,
    device: &Device,
    show: &mut dyn FnMut(Stage) -> ControlFlow<()>,
) -> Result<(), Error> {
    let prepared = Prepared::new(model, settings)?;
    let job = prepared.job(model, seed, device);
    // Each thread has a part of the rows, and they meet after every step.
    let threads = if device.is_cpu() { rayon::current_num_threads().max(1) } else { 1 };
    let rows = classes.len().div_ceil(threads).clamp(1, if device.is_cpu() { ROWS } else { usize::MAX });
    let parts = classes.chunks(rows).enumerate();
    let mut parts =
        parts.map(|(part, classes)| Part::begin(&job, part * rows, classes)).collect::<Result<Vec<_>, _>>()?;
    let steps = job.plan.len();
    for step in 0..=steps {
        let level = job.plan.get(step).map(|step| step.level);
        let (angle, norm) = level.map_or((0.0, 1.0), |level| (level.angle(), level.norm()));
        let state = rows_of(parts.iter().map(|part| &part.x), norm)?;
        let x0_hat = match step {
            0 => None,
            _ => Some(rows_of(parts.iter().map(|part| &part.denoiser.x0_hat), 1.0)?),
        };
        if show(Stage { step, steps, angle, state, x0_hat }).is_break() || step == steps {
            break;
        }
        match &mut parts[..] {
            // A device is given its work by one thread.
            [part] => part.advance(&job, step)?,
            parts => parts.par_iter_mut().try_for_each(|part| part.advance(&job, step))?,
        }
    }
    Ok(())
}

/// The numbers of all parts, over a norm.
fn rows_of<'a>(parts: impl Iterator<Item = &'a CandleTensor>, norm: f64) -> Result<Vec<f32>, Error> {
    let mut rows = Vec::new();
    for part in parts {
        rows.extend((&part.0 / norm)?.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(rows)
}

/// Some of the rows on their way.
struct Part<'a> {
    x: CandleTensor,
    x0_hats: Vec<CandleTensor>,
    noise_buffer: CandleTensor,
    noise: BatchNoise,
    denoiser: Watched<'a>,
}

impl<'a> Part<'a> {
    fn begin(job: &'a Job<'_>, first: usize, classes: &[u32]) -> Result<Self, Error> {
        let (state, noise) = job.begin(first, classes)?;
        let x = CandleTensor(state);
        let network = NetworkDenoiser::new(job, classes)?;
        Ok(Self {
            x0_hats: vec![x.clone(); plan::history(job.plan)],
            noise_buffer: x.clone(),
            noise,
            denoiser: Watched { network, x0_hat: x.clone() },
            x,
        })
    }

    fn advance(&mut self, job: &Job<'_>, step: usize) -> Result<(), Error> {
        // The sampler turns the buffers round before each step; here they are borrowed anew for each, so they are turned for good.
        let mut x0_hats: Vec<&mut CandleTensor> = self.x0_hats.iter_mut().collect();
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: Some(&mut self.noise_buffer) };
        let (row, clip) = (&job.plan[step], job.clip());
        sampler::step(row, StepId(step), clip, &mut self.x, &mut workspace, &mut self.denoiser, &mut self.noise)
            .map_err(sampler_error)?;
        self.x0_hats.rotate_right(1);
        Ok(())
    }
}

/// A denoiser whose last estimate can be looked at: a solver may keep something else of it.
struct Watched<'a> {
    network: NetworkDenoiser<'a>,
    x0_hat: CandleTensor,
}

impl Denoiser<CandleTensor> for Watched<'_> {
    type Error = candle_core::Error;

    fn denoise(&mut self, x_t: &CandleTensor, step: StepId, x0_hat: &mut CandleTensor) -> candle_core::Result<()> {
        self.network.denoise(x_t, step, x0_hat)?;
        // A tensor shares its numbers, and each step makes a new one.
        self.x0_hat = x0_hat.clone();
        Ok(())
    }
}
