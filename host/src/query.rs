//! What a network is asked at a step of a plan.

use crate::error::Error;
use crate::preset::Preset;
use crate::process::AnyProcess;
use tweedie_core::plan::Step;
use tweedie_core::prediction::{Conversion, Moment, Prediction};
use tweedie_core::schedule::Process;

/// One question: what the network is told of the noise, and how its output becomes `x0_hat`.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `x0_hat` from the state and the output.
    pub to_x0: Conversion,
    /// The network sees the state over this, `sqrt(alpha^2 + sigma^2)`.
    pub norm: f64,
    /// The angle of the noise level; behind it that of the level where the step ends, if the network is told of it.
    pub angles: Vec<f64>,
}

impl Query {
    /// The question at time `t` to the network of a preset; the step leads to time `end`.
    ///
    /// # Errors
    /// A prediction that does not determine `x0_hat` there.
    pub fn at(t: f64, end: f64, preset: &Preset, process: &AnyProcess) -> Result<Self, Error> {
        let ask = || {
            let moment = Moment::at(process, t)?;
            let mut angles = vec![moment.level.angle()];
            if preset.network.end_level {
                angles.push(process.level(end)?.angle());
            }
            let to_x0 = Prediction::from(preset.training.prediction).to_x0(&moment)?;
            Ok(Self { to_x0, norm: moment.level.norm(), angles })
        };
        ask().map_err(|error: tweedie_core::Error| {
            let (prediction, share) = (preset.training.prediction, t / process.horizon());
            Error::Argument(format!(
                "prediction {prediction} cannot be sampled from at {share} of the longest time: {error}; set process.max_time below it"
            ))
        })
    }

    /// The questions of a whole plan, which ends at time 0.
    ///
    /// # Errors
    /// As of [`at`](Self::at).
    pub fn along(plan: &[Step], preset: &Preset, process: &AnyProcess) -> Result<Vec<Self>, Error> {
        let ends = plan.iter().skip(1).map(|step| step.t).chain([0.0]);
        plan.iter().zip(ends).map(|(step, end)| Self::at(step.t, end, preset, process)).collect()
    }
}
