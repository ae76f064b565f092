//! Why a model cannot be exported, each as one sentence with a remedy.

use crate::error::Error;
use tweedie_core::artifact::ArtifactError;

/// What export refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The network predicts noise.
    #[error(
        "the model predicts the noise, and a device would have to divide by a vanishing alpha to get x0_hat; train with --set training.prediction=v (or x0)"
    )]
    PredictsNoise,
    /// A number of a mixture that no format of the device holds.
    #[error("{what} of the mixture is {value:.3e}{}, and a device does not hold it; choose fewer --steps, or bring the data into [-1, 1]", at_step(*step))]
    Mixture {
        /// What it is.
        what: &'static str,
        /// The step, counted from 1 at the noisy end; 0 for all of them.
        step: usize,
        /// Its value.
        value: f64,
    },
    /// Channels of a pixel, or a token's numbers in a head, that share a word with the next one's.
    #[error(
        "the network works on {0} numbers at a time, and a device on pairs; train with an even --set network.hidden"
    )]
    Odd(usize),
    /// A coefficient that an artifact cannot hold.
    #[error(
        "step {step} of {steps} needs {name} = {value:.3}, and a device holds such coefficients from -{most} up to {most}; {remedy}"
    )]
    Coefficient {
        /// The step, counted from 1 at the noisy end.
        step: usize,
        /// Steps of the plan.
        steps: usize,
        /// The coefficient's name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The magnitude that it must stay below.
        most: u32,
        /// What to do instead.
        remedy: &'static str,
    },
    /// Guidance evaluates the network twice a step.
    #[error(
        "guidance {0} would evaluate the network twice a step, which a device does not; distil it into the model, or sample on the host"
    )]
    Guidance(f64),
    /// Dynamic thresholding sorts each estimate.
    #[error(
        "dynamic thresholding sorts every estimate, which a device does not; set sampling.threshold to 0 in config.toml; --clip true clamps instead"
    )]
    Threshold,
    /// A multistep solver reaches back too far.
    #[error("step {step} combines {need} estimates, and a device keeps {most}; use a solver of lower order")]
    History {
        /// The step, counted from 1 at the noisy end.
        step: usize,
        /// Estimates that it combines.
        need: usize,
        /// The most that an artifact names.
        most: usize,
    },
    /// The plan ends with noise left in the sample.
    #[error(
        "the plan ends with noise left (sigma = {sigma:.4}), and a device's state must end as clean data; let its last time be 0"
    )]
    NotClean {
        /// Noise at the plan's end.
        sigma: f64,
    },
    /// More of something than an artifact can number or a kernel can take.
    #[error("the model has {have} {what}, and an artifact holds at most {most}; {remedy}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        have: usize,
        /// How many there may be.
        most: usize,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The network's output leaves the device's range.
    #[error(
        "the network's output reaches {reach:.2}, and a device holds values below 8; train longer, or with --set training.prediction=v"
    )]
    OutputRange {
        /// The largest magnitude seen in calibration.
        reach: f32,
    },
    /// A layer whose numbers cannot be brought into 32 bits.
    #[error(
        "row {row} of layer {layer} has weights or biases too far apart for 32-bit arithmetic; train with more weight decay"
    )]
    Row {
        /// The layer's name.
        layer: String,
        /// The output row.
        row: usize,
    },
    /// Calibration met a value that is not a number.
    #[error("the network's {0} are not numbers; was the training stopped when its loss diverged?")]
    NotFinite(String),
    /// Data to calibrate on that the model was not made for.
    #[error(
        "the data to calibrate on have samples of shape {found:?} and {found_classes} classes, the model {expected:?} and {expected_classes}; give the data it was trained on"
    )]
    OtherData {
        /// The data's shape.
        found: Vec<usize>,
        /// The data's classes.
        found_classes: usize,
        /// The model's shape.
        expected: Vec<usize>,
        /// The model's classes.
        expected_classes: usize,
    },
    /// The artifact's own check failed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A failure elsewhere in the host.
    #[error(transparent)]
    Host(#[from] Error),
}

fn at_step(step: usize) -> String {
    if step == 0 { String::new() } else { format!(" at step {step}") }
}

impl From<candle_core::Error> for ExportError {
    fn from(error: candle_core::Error) -> Self {
        Self::Host(error.into())
    }
}

impl From<tweedie_core::Error> for ExportError {
    fn from(error: tweedie_core::Error) -> Self {
        Self::Host(error.into())
    }
}
