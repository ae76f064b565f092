//! Sampling: core's sampler over a model's plan, in memory that the caller lends.

use crate::kernels::numbers_mut;
use crate::model::{Model, Network, NetworkError};
use crate::tensor::{Coeff, FixedTensor, Q12};
use core::convert::Infallible;
use core::fmt;
use heapless::Vec;
use tweedie_core::artifact::PlanStep;
use tweedie_core::noise::NoiseStream;
use tweedie_core::plan::{MAX_PULLS, Memory, Step};
use tweedie_core::sampler::{Clip, SamplerError, Workspace, step};
use tweedie_core::tensor::LengthMismatch;
use tweedie_core::{Error, NoiseLevel, NoiseSource, StepId};

/// Where sampling stands after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The step that has been done, from 0.
    pub step: usize,
    /// Steps of the plan.
    pub steps: usize,
    /// The noise level that the step began at, as an angle: 1 is noise, 0 is data.
    pub angle: f32,
    /// The step's estimate of the clean sample; with a solver that remembers something else (DEIS: the noise), that.
    pub x0_hat: &'a [Q12],
    /// The state after the step; after the last step it is the sample.
    pub state: &'a [Q12],
}

/// Draws sample number `sample` under a seed, and returns its numbers, which lie in `scratch`.
///
/// `scratch` has at least [`Model::scratch_words`] words, whose contents do not matter. `watch` is called after every step, to draw a
/// preview. The same seed, number and class give the same bits on every machine.
///
/// # Errors
/// A [`SampleError`] for a class that the model lacks, or too little memory.
pub fn sample<'s>(
    model: &Model<'_>,
    scratch: &'s mut [u32],
    seed: u64,
    sample: u64,
    class: Option<u16>,
    watch: impl FnMut(Progress<'_>),
) -> Result<&'s [Q12], SampleError> {
    sample_from(model, scratch, &mut NoiseStream::new(seed, sample), class, watch)
}

/// The same with another source of noise, whose draw 0 is the initial state and whose draw `k + 1` is the noise after step `k`.
/// [`power_on::check`](crate::power_on::check) tells a broken one.
///
/// # Errors
/// See [`sample`]; and [`SampleError::Sampler`] when the source fails.
pub fn sample_from<'s, N: NoiseSource<FixedTensor>>(
    model: &Model<'_>,
    scratch: &'s mut [u32],
    noise: &mut N,
    class: Option<u16>,
    mut watch: impl FnMut(Progress<'_>),
) -> Result<&'s [Q12], SampleError<N::Error>> {
    // One copy of the sampler, however many ways there are to watch it.
    run(model, scratch, noise, class, &mut watch)
}

fn run<'s, N: NoiseSource<FixedTensor>>(
    model: &Model<'_>,
    scratch: &'s mut [u32],
    noise: &mut N,
    class: Option<u16>,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<&'s [Q12], SampleError<N::Error>> {
    let (need, have) = (model.scratch_words(), scratch.len());
    let missing = SampleError::Scratch { need, have };
    let mut rest = scratch.get_mut(..need).ok_or(missing)?;
    let arena = rest.split_off_mut(..model.arena_words()).ok_or(SampleError::Scratch { need, have })?;
    let mut network = Network::new(model, arena, class).map_err(SampleError::Network)?;

    let (words, features) = (model.tensor_words(), model.features());
    let mut tensors = rest
        .chunks_exact_mut(words)
        .filter_map(|words| numbers_mut(words).get_mut(..features).map(FixedTensor::from_mut));
    let state = tensors.next().ok_or(SampleError::Scratch { need, have })?;
    let mut x0_hats: Vec<&mut FixedTensor, MAX_PULLS> = tensors.by_ref().take(model.artifact().history()).collect();
    let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: tensors.next() };

    noise.fill_normal(0, state).map_err(|error| SampleError::Sampler(SamplerError::Noise(error)))?;
    for (index, planned) in model.artifact().plan().enumerate() {
        let coefficients = coefficients(&planned).map_err(|_| SampleError::Plan { step: index })?;
        // The network clamps its estimate itself, in integers.
        step(&coefficients, StepId(index), Clip::None, state, &mut workspace, &mut network, noise)
            .map_err(SampleError::Sampler)?;
        watch(Progress {
            step: index,
            steps: model.steps(),
            angle: planned.angle,
            x0_hat: workspace.x0_hats.first().map_or(&[], |x0_hat| &***x0_hat),
            state,
        });
    }
    Ok(state)
}

/// A planned step as core's sampler takes it. The level is not filled in: whatever depends on it was folded into tables by number of step.
fn coefficients(planned: &PlanStep) -> Result<Step<Coeff>, Error> {
    let pulls = planned.pulls.map(Coeff::from_bits);
    let pulls = pulls.get(..usize::from(planned.pull_count)).unwrap_or_default();
    let (keep, kick) = (Coeff::from_bits(planned.keep), Coeff::from_bits(planned.kick));
    let memory = planned.memory.map(|Memory { from_state, from_x0 }| Memory {
        from_state: Coeff::from_bits(from_state),
        from_x0: Coeff::from_bits(from_x0),
    });
    let step = Step::from_coefficients(0.0, NoiseLevel::CLEAN, keep, pulls, kick, planned.kick != 0)?;
    Ok(step.with_memory(memory))
}

/// Why there is no sample.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum SampleError<NoiseError = Infallible> {
    /// Too little memory, in words: see [`Model::scratch_words`].
    Scratch {
        /// Words needed.
        need: usize,
        /// Words given.
        have: usize,
    },
    /// The network cannot be run; most often [`NetworkError::Class`].
    Network(NetworkError),
    /// A step that is none. Parsing refuses such an artifact, so this does not happen.
    Plan {
        /// The step's number.
        step: usize,
    },
    /// A step failed; with a source of noise that cannot fail, this does not happen.
    Sampler(SamplerError<LengthMismatch, NetworkError, NoiseError>),
}

impl<E: core::error::Error> core::error::Error for SampleError<E> {}

impl<E: fmt::Display> fmt::Display for SampleError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scratch { need, have } => {
                write!(f, "sampling needs {} bytes of memory, {} are there", 4 * need, 4 * have)
            }
            Self::Network(error) => error.fmt(f),
            Self::Plan { step } => write!(f, "step {step} of the plan combines no estimate, or too many"),
            Self::Sampler(error) => error.fmt(f),
        }
    }
}
