//! A model: an artifact that has been checked, and its network.

use crate::kernels::{self, TooShort, numbers, numbers_mut};
use crate::tensor::{Coeff, FixedTensor, Q12, clamp};
use core::fmt;
use tweedie_core::artifact::{Artifact, ArtifactError, COEFF_FRACTION, Header, Layer, PlanStep};
use tweedie_core::tensor::LengthMismatch;
use tweedie_core::{Denoiser, StepId, Tensor};

/// A model, borrowed from the words that hold it; they may lie in flash.
///
/// What has been parsed can be run: no sum overflows, no layer leaves the arena, nothing panics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model<'a> {
    artifact: Artifact<'a>,
}

impl<'a> Model<'a> {
    /// Checks the words of an artifact from first to last. [`tweedie_core::artifact::words`] makes words of a file's bytes.
    ///
    /// # Errors
    /// An [`ArtifactError`] that says what is wrong.
    pub fn parse(words: &'a [u32]) -> Result<Self, ArtifactError> {
        Ok(Self { artifact: Artifact::parse(words)? })
    }

    /// What the model is: shape of a sample, classes, units.
    pub fn header(&self) -> &Header {
        self.artifact.header()
    }

    /// The artifact: its plan, its layers, its size.
    pub fn artifact(&self) -> &Artifact<'a> {
        &self.artifact
    }

    /// Numbers in a sample.
    pub fn features(&self) -> usize {
        self.header().features()
    }

    /// Steps of the plan.
    pub fn steps(&self) -> usize {
        self.artifact.steps()
    }

    /// One step of the plan, counted from 0 at the noisy end.
    pub fn step(&self, step: usize) -> Option<PlanStep> {
        self.artifact.step(step)
    }

    /// Words of memory that sampling needs, exactly: the state, the estimates that the plan names, noise if the plan adds any, and the
    /// network's arena.
    pub fn scratch_words(&self) -> usize {
        let tensors = 1 + self.artifact.history() + usize::from(self.artifact.is_noisy());
        tensors * self.tensor_words() + self.arena_words()
    }

    /// Words of a tensor of a sample's shape.
    pub(crate) fn tensor_words(&self) -> usize {
        self.features().div_ceil(2)
    }

    /// Words of the network's arena.
    pub(crate) fn arena_words(&self) -> usize {
        self.header().arena as usize / 2
    }
}

/// A model's network with the memory that its layers work in: a [`Denoiser`].
#[derive(Debug)]
pub struct Network<'m, 'a, 's> {
    model: &'m Model<'a>,
    arena: &'s mut [u32],
    class: usize,
}

impl<'m, 'a, 's> Network<'m, 'a, 's> {
    /// The network for samples of a class, or of none. The arena is cleared.
    ///
    /// # Errors
    /// [`NetworkError::Class`] for a class that the model lacks, [`NetworkError::Arena`] for too little memory.
    pub fn new(model: &'m Model<'a>, arena: &'s mut [u32], class: Option<u16>) -> Result<Self, NetworkError> {
        let classes = model.header().classes;
        let class = match class {
            // The last row of the bias tables.
            None => classes,
            Some(class) if class < classes => class,
            Some(class) => return Err(NetworkError::Class { class, classes }),
        };
        let (need, have) = (model.arena_words(), arena.len());
        let arena = arena.get_mut(..need).ok_or(NetworkError::Arena { need, have })?;
        // A layer may read what none has written; it must be the same everywhere.
        arena.fill(0);
        Ok(Self { model, arena, class: usize::from(class) })
    }

    /// What begins at a layer's input, and what begins at its output. The two do not overlap, so a cut between them gives both.
    fn apart(&mut self, input_at: u32, output_at: u32) -> Option<(&[u32], &mut [u32])> {
        let (input_at, output_at) = (input_at as usize / 2, output_at as usize / 2);
        if input_at < output_at {
            let (low, high) = self.arena.split_at_mut_checked(output_at)?;
            Some((low.get(input_at..)?, high))
        } else {
            let (low, high) = self.arena.split_at_mut_checked(input_at)?;
            Some((&*high, low.get_mut(output_at..)?))
        }
    }

    /// The network's output for what the arena holds at the input, in place.
    fn run(&mut self, step: usize) -> Result<(), NetworkError> {
        let class = self.class;
        for (index, layer) in self.model.artifact.layers().enumerate() {
            let outside = NetworkError::Layer { layer: index };
            let done = match layer {
                Layer::Linear(linear) => {
                    let (input, output) = self.apart(linear.input_at, linear.output_at).ok_or(outside)?;
                    kernels::linear(&linear, step, class, input, output)
                }
                #[cfg(feature = "images")]
                Layer::Convolution(convolution) => kernels::convolution(&convolution, step, class, self.arena),
                #[cfg(feature = "depthwise")]
                Layer::Depthwise(depthwise) => kernels::depthwise(&depthwise, step, class, self.arena),
                #[cfg(feature = "attention")]
                Layer::Attention(attention) => kernels::attention(&attention, self.arena),
                #[cfg(feature = "images")]
                Layer::Rearrange(rearrange) => {
                    let (input, output) = self.apart(rearrange.input_at, rearrange.output_at).ok_or(outside)?;
                    kernels::rearrange(&rearrange, input, output)
                }
                #[cfg(feature = "attention")]
                Layer::Constants(constants) => {
                    let output = self.arena.get_mut(constants.output_at as usize / 2..).ok_or(outside)?;
                    let output = output.get_mut(..constants.numbers.len()).ok_or(outside)?;
                    output.copy_from_slice(constants.numbers);
                    Ok(())
                }
                Layer::Normalise(normalise) => {
                    let (input_at, output_at) = (normalise.input_at as usize / 2, normalise.output_at as usize / 2);
                    if input_at != output_at {
                        let features = (normalise.features as usize).saturating_mul(normalise.rows as usize);
                        let (from, to) = (2 * input_at, 2 * output_at);
                        let numbers = numbers_mut(self.arena);
                        if from.max(to).saturating_add(features) > numbers.len() {
                            return Err(outside);
                        }
                        numbers.copy_within(from..from + features, to);
                    }
                    kernels::normalise(&normalise, self.arena.get_mut(output_at..).ok_or(outside)?)
                }
                #[cfg(feature = "mixture")]
                Layer::Mixture(mixture) => {
                    let places = [
                        (mixture.input_at, mixture.features as usize),
                        (mixture.output_at, mixture.features as usize),
                        (mixture.work_at, mixture.work_elements()),
                    ];
                    let places = places.map(|(at, length)| at as usize / 2..at as usize / 2 + length.div_ceil(4) * 2);
                    let [input, output, work] = self.arena.get_disjoint_mut(places).map_err(|_| outside)?;
                    kernels::mixture(&mixture, step, self.class, input, output, work)
                }
                _ => return Err(outside),
            };
            done.map_err(|error| NetworkError::Kernel { layer: index, error })?;
        }
        Ok(())
    }
}

/// `x0_hat = from_state x_t + from_output network(x_t)`, clamped to [-1, 1] if the model says so.
impl Denoiser<FixedTensor> for Network<'_, '_, '_> {
    type Error = NetworkError;

    fn denoise(&mut self, x_t: &FixedTensor, step: StepId, x0_hat: &mut FixedTensor) -> Result<(), NetworkError> {
        let header = self.model.header();
        let StepId(index) = step;
        let Some(step) = self.model.step(index) else {
            return Err(NetworkError::Step { step: index, steps: self.model.steps() });
        };
        let features = self.model.features();
        let outside = NetworkError::Shape(LengthMismatch { expected: features, found: x_t.len() });
        let input = self.arena.get_mut(header.input_at as usize / 2..).ok_or(outside)?;
        FixedTensor::from_mut(numbers_mut(input).get_mut(..features).ok_or(outside)?).copy_from(x_t)?;
        self.run(index)?;
        let output = self.arena.get(header.output_at as usize / 2..).ok_or(outside)?;
        x0_hat.copy_from(FixedTensor::new(numbers(output).get(..features).ok_or(outside)?))?;
        // A prediction of x0 is the estimate.
        if (step.from_output, step.from_state) != (1 << COEFF_FRACTION, 0) {
            let [from_output, from_state] =
                [step.from_output, step.from_state].map(|bits| Coeff::from_bits(bits.into()));
            x0_hat.combine(from_output, &[(from_state, x_t)])?;
        }
        if header.clip {
            clamp(x0_hat, Q12::NEG_ONE, Q12::ONE);
        }
        Ok(())
    }
}

/// Why a network cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkError {
    /// A class that the model lacks.
    Class {
        /// The class asked for.
        class: u16,
        /// How many there are, counted from 0.
        classes: u16,
    },
    /// Too little memory for the arena, in words.
    Arena {
        /// Words needed.
        need: usize,
        /// Words given.
        have: usize,
    },
    /// A step that the plan lacks.
    Step {
        /// The step asked for.
        step: usize,
        /// How many there are.
        steps: usize,
    },
    /// A tensor that is not of the sample's shape.
    Shape(LengthMismatch),
    /// A layer that reaches outside the arena. Parsing refuses such an artifact, so this does not happen.
    Layer {
        /// The layer's number.
        layer: usize,
    },
    /// A layer without all its weights. Parsing refuses such an artifact, so this does not happen.
    Kernel {
        /// The layer's number.
        layer: usize,
        /// What is missing.
        error: TooShort,
    },
}

impl core::error::Error for NetworkError {}

impl From<LengthMismatch> for NetworkError {
    fn from(error: LengthMismatch) -> Self {
        Self::Shape(error)
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class { class, classes: 0 } => {
                write!(f, "class {class} was asked for, and this model has no classes")
            }
            Self::Class { class, classes } => {
                write!(f, "class {class} was asked for, and this model has classes 0 to {}", classes - 1)
            }
            Self::Arena { need, have } => {
                write!(f, "the network needs {} bytes of memory, {} are there", 4 * need, 4 * have)
            }
            Self::Step { step, steps } => write!(f, "step {step} was asked for, and the plan has {steps}"),
            Self::Shape(error) => error.fmt(f),
            Self::Layer { layer } => write!(f, "layer {layer} reaches outside the arena"),
            Self::Kernel { layer, error } => write!(f, "layer {layer}: {error}"),
        }
    }
}

#[cfg(test)]
#[path = "tests/model.rs"]
mod tests;
