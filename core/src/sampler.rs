//! Running a plan: the same few lines for every solver and every tensor.

use crate::plan::{MAX_PULLS, Step, history, is_noisy};
use crate::tensor::{Denoiser, NoiseSource, StepId, Tensor};
use core::fmt;
use heapless::Vec;

/// Buffers that the sampler works in, each of the state's shape; their contents on entry do not matter.
#[derive(Debug)]
pub struct Workspace<'r, 'w, T: ?Sized> {
    /// As many buffers as [`history`] says. Afterwards the first holds the newest estimate: `x0_hat`, or what the step's
    /// [`Memory`](crate::plan::Memory) made of it.
    pub x0_hats: &'r mut [&'w mut T],
    /// A buffer for noise; needed when [`is_noisy`] says so.
    pub noise: Option<&'r mut T>,
}

/// What is done to `x0_hat` before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Clip {
    /// Nothing.
    #[default]
    None,
    /// Clamped to a range, which for images is [-1, 1]. The direction of noise follows from the clamped estimate, and so does
    /// everything that a solver of higher order makes of it.
    Range {
        /// The smallest value of clean data.
        low: f64,
        /// The largest value of clean data.
        high: f64,
    },
}

/// Runs one step of a plan: `x <- keep x + sum_i pull_i e_i + kick z`, the `e_i` being the newest and earlier estimates.
///
/// Public, so that a board can draw each intermediate estimate, `workspace.x0_hats[0]`.
///
/// # Errors
/// A [`SamplerError`]; the state `x` is then unchanged, and so are the earlier estimates: the step can be tried again.
pub fn step<T, D, N>(
    step: &Step<T::Coeff>,
    id: StepId,
    clip: Clip,
    x: &mut T,
    workspace: &mut Workspace<'_, '_, T>,
    denoiser: &mut D,
    noise: &mut N,
) -> SamplerResult<T, D, N>
where
    T: Tensor + ?Sized,
    D: Denoiser<T> + ?Sized,
    N: NoiseSource<T> + ?Sized,
{
    let (need, have) = (step.pull().len(), workspace.x0_hats.len());
    if have < need {
        return Err(SamplerError::History { need, have });
    }
    // The oldest estimate's buffer takes the newest.
    workspace.x0_hats.rotate_right(1);
    let done = advance(step, id, clip, x, workspace, denoiser, noise);
    if done.is_err() {
        // So that the failed step can be tried again: the buffer to be overwritten is the oldest once more.
        workspace.x0_hats.rotate_left(1);
    }
    done
}

/// The step itself, with the buffers in their places.
fn advance<T, D, N>(
    step: &Step<T::Coeff>,
    id: StepId,
    clip: Clip,
    x: &mut T,
    workspace: &mut Workspace<'_, '_, T>,
    denoiser: &mut D,
    noise: &mut N,
) -> SamplerResult<T, D, N>
where
    T: Tensor + ?Sized,
    D: Denoiser<T> + ?Sized,
    N: NoiseSource<T> + ?Sized,
{
    let newest = &mut *workspace.x0_hats[0];
    denoiser.denoise(x, id, newest).map_err(SamplerError::Denoiser)?;
    if let Clip::Range { low, high } = clip {
        newest.clamp(low, high).map_err(SamplerError::Tensor)?;
    }
    if let Some(memory) = step.memory() {
        newest.axpby(memory.from_x0, memory.from_state, x).map_err(SamplerError::Tensor)?;
    }
    let mut terms: Vec<(T::Coeff, &T), { MAX_PULLS + 1 }> = Vec::new();
    for (&pull, x0_hat) in step.pull().iter().zip(workspace.x0_hats.iter()) {
        // At most MAX_PULLS of them, one place more than that is there.
        let _ = terms.push((pull, &**x0_hat));
    }
    if step.is_noisy() {
        let Some(z) = workspace.noise.as_deref_mut() else {
            return Err(SamplerError::NoNoiseBuffer);
        };
        let draw = u32::try_from(id.0).ok().and_then(|id| id.checked_add(1)).ok_or(SamplerError::TooManySteps)?;
        noise.fill_normal(draw, z).map_err(SamplerError::Noise)?;
        let _ = terms.push((step.kick, &*z));
    }
    x.combine(step.keep, &terms).map_err(SamplerError::Tensor)
}

/// Runs a whole plan on the state `x`, which holds the initial noise on entry and the sample at the end.
///
/// After every step `watch` is shown the step, the state after it, and the estimate made in it: `x0_hat`, but for a step with a
/// [`Memory`](crate::plan::Memory) what it remembers.
///
/// # Errors
/// A [`SamplerError`]; `x` then holds the state before the step that failed. Missing buffers are found before the first step.
pub fn run<T, D, N>(
    plan: &[Step<T::Coeff>],
    clip: Clip,
    x: &mut T,
    workspace: &mut Workspace<'_, '_, T>,
    denoiser: &mut D,
    noise: &mut N,
    mut watch: impl FnMut(StepId, &T, &T),
) -> SamplerResult<T, D, N>
where
    T: Tensor + ?Sized,
    D: Denoiser<T> + ?Sized,
    N: NoiseSource<T> + ?Sized,
{
    let (need, have) = (history(plan), workspace.x0_hats.len());
    if have < need {
        return Err(SamplerError::History { need, have });
    }
    if is_noisy(plan) && workspace.noise.is_none() {
        return Err(SamplerError::NoNoiseBuffer);
    }
    if let Some(early) = plan.iter().enumerate().position(|(index, step)| step.pull().len() > index + 1) {
        return Err(SamplerError::TooEarly { step: early });
    }
    for (index, coefficients) in plan.iter().enumerate() {
        step(coefficients, StepId(index), clip, x, workspace, denoiser, noise)?;
        watch(StepId(index), x, workspace.x0_hats[0]);
    }
    Ok(())
}

/// What [`step`] and [`run`] return: nothing, or the error of whichever part failed.
pub type SamplerResult<T, D, N> =
    Result<(), SamplerError<<T as Tensor>::Error, <D as Denoiser<T>>::Error, <N as NoiseSource<T>>::Error>>;

/// Why sampling stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum SamplerError<TensorError, DenoiserError, NoiseError> {
    /// The workspace has too few `x0_hat` buffers for the plan.
    History {
        /// Buffers that the plan reaches back over.
        need: usize,
        /// Buffers in the workspace.
        have: usize,
    },
    /// A step combines more estimates than have been made by then.
    TooEarly {
        /// The step's number.
        step: usize,
    },
    /// The plan adds noise, and the workspace has no buffer for it.
    NoNoiseBuffer,
    /// More steps than noise draws can be numbered.
    TooManySteps,
    /// Combining tensors failed.
    Tensor(TensorError),
    /// The denoiser failed.
    Denoiser(DenoiserError),
    /// The noise source failed.
    Noise(NoiseError),
}

impl<A, B, C> core::error::Error for SamplerError<A, B, C>
where
    A: core::error::Error,
    B: core::error::Error,
    C: core::error::Error,
{
}

impl<A: fmt::Display, B: fmt::Display, C: fmt::Display> fmt::Display for SamplerError<A, B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::History { need, have } => {
                write!(f, "the plan combines {need} estimates, the workspace holds {have}")
            }
            Self::TooEarly { step } => {
                write!(f, "step {step} of the plan combines estimates from before its beginning")
            }
            Self::NoNoiseBuffer => write!(f, "the plan adds noise, the workspace has no buffer for it"),
            Self::TooManySteps => write!(f, "the plan has more steps than noise draws can be numbered"),
            Self::Tensor(error) => error.fmt(f),
            Self::Denoiser(error) => error.fmt(f),
            Self::Noise(error) => error.fmt(f),
        }
    }
}
