//! What a network is asked at a step of a plan.

use crate::error::Error;
use crate::preset::{PredictionName, Preset};
use crate::process::AnyProcess;
use tweedie_core::NoiseLevel;
use tweedie_core::noise_level::Velocity;
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
    /// Times that core refuses, or a prediction that does not determine `x0_hat` there.
    pub fn at(t: f64, end: f64, preset: &Preset, process: &AnyProcess) -> Result<Self, Error> {
        Self::new(t, process.level(t)?, process.level(end)?, preset, process)
    }

    /// The questions of a whole plan, which ends at data.
    ///
    /// # Errors
    /// As of [`at`](Self::at).
    pub fn along(plan: &[Step], preset: &Preset, process: &AnyProcess) -> Result<Vec<Self>, Error> {
        let ends = plan.iter().skip(1).map(|step| step.level).chain([NoiseLevel::CLEAN]);
        plan.iter().zip(ends).map(|(step, end)| Self::new(step.t, step.level, end, preset, process)).collect()
    }

    fn new(t: f64, level: NoiseLevel, end: NoiseLevel, preset: &Preset, process: &AnyProcess) -> Result<Self, Error> {
        let prediction = preset.training.prediction;
        let ask = || {
            let moment = match prediction {
                PredictionName::Velocity => Moment::at(process, t)?,
                // The others do not look at the level's slope, and a plan may walk along another process.
                _ => Moment { level, velocity: Velocity { alpha: 0.0, sigma: 0.0 } },
            };
            Prediction::from(prediction).to_x0(&moment)
        };
        let to_x0 = ask().map_err(|error: tweedie_core::Error| {
            let share = t / process.horizon();
            Error::Argument(format!(
                "prediction {prediction} cannot be sampled from at process.max_time = {share}: {error}; set it lower"
            ))
        })?;
        let mut angles = vec![level.angle()];
        if preset.network.end_level {
            angles.push(end.angle());
        }
        Ok(Self { to_x0, norm: level.norm(), angles })
    }
}
