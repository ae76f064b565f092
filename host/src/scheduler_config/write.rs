//! A preset's sampler as a configuration that diffusers reads.

use super::{Class, SchedulerConfig};
use crate::error::Error;
use crate::preset::{BetaRule, PredictionName, Preset, SamplingSettings, ScheduleName, SolverName, SpacingName};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

impl SchedulerConfig {
    /// The configuration under which diffusers samples as these settings do: the chain, the solver, and the spacing of timesteps. The number
    /// of steps is no part of it.
    ///
    /// # Errors
    /// A process, a solver or a spacing that diffusers does not have, or has otherwise.
    pub fn of(preset: &Preset, settings: &SamplingSettings) -> Result<Self, Error> {
        let refuse = |what: String| Error::Argument(format!("{what} cannot be written for diffusers"));
        let process = &preset.process;
        if process.schedule != ScheduleName::Chain {
            return Err(refuse(format!("process.schedule = {}", process.schedule)));
        }
        if settings.threshold > 0.0 {
            return Err(refuse("sampling.threshold without a largest threshold".to_owned()));
        }
        let betas = match process.betas {
            BetaRule::Linear => "linear",
            BetaRule::ScaledLinear => "scaled_linear",
            BetaRule::Cosine => "squaredcos_cap_v2",
            BetaRule::Sigmoid => "sigmoid",
        };
        let prediction = match preset.training.prediction {
            PredictionName::Eps => "epsilon",
            PredictionName::V => "v_prediction",
            PredictionName::X0 => "sample",
            PredictionName::Velocity => return Err(refuse("training.prediction = velocity".to_owned())),
        };
        let class = match settings.solver {
            SolverName::Ddim if settings.eta == 0.0 => Class::DDIM,
            SolverName::Ddpm => Class::DDPM,
            other => return Err(refuse(format!("sampling.solver = {other}"))),
        };
        let spacing = match settings.spacing {
            SpacingName::Leading => "leading",
            SpacingName::Trailing => "trailing",
            SpacingName::Linspace => "linspace",
            other => return Err(refuse(format!("sampling.spacing = {other}"))),
        };
        let mut values = Map::new();
        let mut put = |key: &str, value: Value| values.insert(key.to_owned(), value);
        put("num_train_timesteps", json!(process.chain_steps));
        put("beta_schedule", json!(betas));
        put("beta_start", json!(process.beta_start));
        put("beta_end", json!(process.beta_end));
        if process.zero_terminal_snr {
            put("rescale_betas_zero_snr", json!(true));
        }
        put("prediction_type", json!(prediction));
        put("timestep_spacing", json!(spacing));
        put("clip_sample", json!(settings.clip));
        if class == Class::DDPM {
            let small = settings.variance == crate::preset::VarianceName::Posterior;
            put("variance_type", json!(if small { "fixed_small" } else { "fixed_large" }));
        }
        Ok(Self { class, values, name: PathBuf::from("scheduler_config.json") })
    }
}
