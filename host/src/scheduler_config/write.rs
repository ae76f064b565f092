//! A preset's sampler as a configuration that diffusers reads.

use super::{Class, SchedulerConfig};
use crate::error::Error;
use crate::preset::{
    BetaRule, PredictionName, Preset, SamplingSettings, ScheduleName, SolverName, SpacingName, VarianceName,
};
use crate::process::AnyProcess;
use crate::sample::plan_for;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use tweedie_core::plan::{self, Step};
use tweedie_core::schedule::Process;

/// How far coefficients may be apart, relative to 1 or themselves, and still be the same: diffusers' classes come by them through sigmas.
const ROUNDING: f64 = 1e-9;

impl SchedulerConfig {
    /// The configuration under which diffusers samples as these settings do, in as many steps: a chain's solvers, flow matching by Euler, and the
    /// variance-exploding process over EDM's sigmas. Its plan is compared with the settings' own before it is returned.
    ///
    /// # Errors
    /// A process, a solver, a spacing or a clipping that diffusers does not have, or has otherwise.
    pub fn of(preset: &Preset, settings: &SamplingSettings) -> Result<Self, Error> {
        if settings.threshold > 0.0 {
            return Err(refuse("sampling.threshold without a largest threshold"));
        }
        let process = AnyProcess::new(&preset.process)?;
        let own = plan_for(preset, &process, settings)?;
        let written = Written { preset, settings, process: &process, plan: &own };
        let (class, mut values) = match preset.process.schedule {
            ScheduleName::Chain => written.on_the_chain()?,
            ScheduleName::FlowMatching => written.flow_matching()?,
            ScheduleName::VarianceExploding => written.edm()?,
            other => return Err(refuse(&format!("process.schedule = {other}"))),
        };
        written.clipping(class, &mut values)?;
        let config = Self { class, values, name: PathBuf::from("scheduler_config.json") };
        let same = |theirs: Vec<Step>| same(&own, theirs);
        if !config.schedule(written.steps(class)).is_ok_and(|scheduled| same(scheduled.plan)) {
            let (solver, spacing, class) = (settings.solver, settings.spacing, class.name());
            return Err(refuse(&format!(
                "{solver} with {spacing} spacing in {} evaluations, where its {class} takes other steps,",
                settings.steps
            )));
        }
        Ok(config)
    }
}

fn refuse(what: &str) -> Error {
    Error::Argument(format!("{what} cannot be written for diffusers"))
}

/// Whether two plans are the same but for rounding, in coordinates of unit variance.
fn same(own: &[Step], mut theirs: Vec<Step>) -> bool {
    let mut own = own.to_vec();
    plan::normalise(&mut own);
    plan::normalise(&mut theirs);
    let numbers = |step: &Step| {
        let memory = step.memory().map_or([0.0; 2], |memory| [memory.from_state, memory.from_x0]);
        let scalars = [step.level.angle(), step.keep, step.kick];
        scalars.iter().chain(&memory).chain(step.pull()).copied().collect::<Vec<f64>>()
    };
    let near = |(a, b): (f64, f64)| (a - b).abs() <= ROUNDING * a.abs().max(1.0);
    own.len() == theirs.len()
        && own.iter().zip(&theirs).all(|(own, theirs)| {
            let (own, theirs) = (numbers(own), numbers(theirs));
            own.len() == theirs.len() && own.into_iter().zip(theirs).all(near)
        })
}

type Keys = (Class, Map<String, Value>);

/// What is written.
struct Written<'a> {
    preset: &'a Preset,
    settings: &'a SamplingSettings,
    process: &'a AnyProcess,
    plan: &'a [Step],
}

impl Written<'_> {
    /// What the library counts as steps.
    fn steps(&self, class: Class) -> usize {
        match class {
            Class::HeunDiscrete | Class::FlowMatchHeunDiscrete | Class::DPMSolverSDE => self.plan.len().div_ceil(2),
            Class::PNDM => self.plan.len() - 1,
            _ => self.plan.len(),
        }
    }

    fn no_solver(&self, reason: &str) -> Error {
        refuse(&format!("sampling.solver = {}{reason}", self.settings.solver))
    }

    /// `sigma / alpha` of the first and the last state with noise.
    fn ends(&self) -> (f64, f64) {
        let first = self.plan.first().map_or(f64::INFINITY, |step| step.level.ratio());
        let least = self.preset.process.min_time * self.process.horizon();
        (first, self.process.level(least).map_or(0.0, |level| level.ratio()))
    }

    fn on_the_chain(&self) -> Result<Keys, Error> {
        let (settings, chain) = (self.settings, &self.preset.process);
        let prediction = match self.preset.training.prediction {
            PredictionName::Eps => "epsilon",
            PredictionName::V => "v_prediction",
            PredictionName::X0 => "sample",
            PredictionName::Velocity => return Err(refuse("training.prediction = velocity on a chain")),
        };
        if settings.churn > 0.0 {
            return Err(refuse("sampling.churn, which is an argument of a step there,"));
        }
        let mut values = Map::new();
        let mut put = |key: &str, value: Value| values.insert(key.to_owned(), value);
        let class = match settings.solver {
            SolverName::Ddim if settings.eta > 0.0 => {
                return Err(refuse("sampling.eta, which is an argument of a step there,"));
            }
            SolverName::Ddim => Class::DDIM,
            SolverName::Ddpm => {
                let small = settings.variance == VarianceName::Posterior;
                put("variance_type", json!(if small { "fixed_small" } else { "fixed_large" }));
                Class::DDPM
            }
            SolverName::Euler => Class::EulerDiscrete,
            SolverName::EulerAncestral => Class::EulerAncestralDiscrete,
            SolverName::Heun => Class::HeunDiscrete,
            SolverName::DpmPlusPlus2M | SolverName::DpmPlusPlus2MHeun | SolverName::DpmPlusPlus2MSde => {
                self.multistep(&mut put);
                Class::DPMSolverMultistep
            }
            SolverName::DpmPlusPlus2S => {
                put("lower_order_final", json!(true));
                Class::DPMSolverSinglestep
            }
            SolverName::DpmPlusPlusSde => Class::DPMSolverSDE,
            SolverName::UniPc => Class::UniPCMultistep,
            SolverName::Lms => Class::LMSDiscrete,
            SolverName::Pndm => {
                put("skip_prk_steps", json!(true));
                put("set_alpha_to_one", json!(true));
                Class::PNDM
            }
            SolverName::Ipndm if prediction == "v_prediction" => return Ok(self.improved_pndm()),
            SolverName::Ipndm => return Err(self.no_solver(", which predicts v there,")),
            SolverName::DpmPlusPlus3M => {
                return Err(self.no_solver(", whose third order gives the curvature half its weight there,"));
            }
            SolverName::Dpm2M | SolverName::Deis => {
                return Err(self.no_solver(", which does not lead to clean data there,"));
            }
            _ => return Err(self.no_solver("")),
        };
        put("num_train_timesteps", json!(chain.chain_steps));
        put(
            "beta_schedule",
            json!(match chain.betas {
                BetaRule::Linear => "linear",
                BetaRule::ScaledLinear => "scaled_linear",
                BetaRule::Cosine => "squaredcos_cap_v2",
                BetaRule::Sigmoid => "sigmoid",
            }),
        );
        put("beta_start", json!(chain.beta_start));
        put("beta_end", json!(chain.beta_end));
        if chain.zero_terminal_snr {
            put("rescale_betas_zero_snr", json!(true));
        }
        put("prediction_type", json!(prediction));
        let (first, last) = self.ends();
        match settings.spacing {
            SpacingName::Leading => put("timestep_spacing", json!("leading")),
            SpacingName::Trailing => put("timestep_spacing", json!("trailing")),
            SpacingName::Linspace => put("timestep_spacing", json!("linspace")),
            SpacingName::Karras | SpacingName::LogSnr => {
                let karras = settings.spacing == SpacingName::Karras;
                if karras && settings.rho != 7.0 {
                    return Err(refuse(&format!("sampling.rho = {}, which is 7 there,", settings.rho)));
                }
                put("sigma_max", json!(first));
                put("sigma_min", json!(last));
                put(if karras { "use_karras_sigmas" } else { "use_exponential_sigmas" }, json!(true))
            }
            other => return Err(refuse(&format!("sampling.spacing = {other}"))),
        };
        Ok((class, values))
    }

    /// Keys of DPM-Solver++ of second order.
    fn multistep(&self, put: &mut impl FnMut(&str, Value) -> Option<Value>) {
        let solver = self.settings.solver;
        put("solver_order", json!(2));
        put("solver_type", json!(if solver == SolverName::DpmPlusPlus2MHeun { "heun" } else { "midpoint" }));
        let stochastic = solver == SolverName::DpmPlusPlus2MSde;
        put("algorithm_type", json!(if stochastic { "sde-dpmsolver++" } else { "dpmsolver++" }));
    }

    fn improved_pndm(&self) -> Keys {
        let sigmas = self.plan.iter().map(|step| step.level.normalised().sigma).chain([0.0]);
        (Class::IPNDM, Map::from_iter([("trained_betas".to_owned(), sigmas.collect())]))
    }

    fn flow_matching(&self) -> Result<Keys, Error> {
        if self.preset.training.prediction != PredictionName::Velocity {
            return Err(refuse(&format!("training.prediction = {} of flow matching", self.preset.training.prediction)));
        }
        if self.settings.spacing != SpacingName::Uniform {
            return Err(refuse(&format!("sampling.spacing = {} of flow matching", self.settings.spacing)));
        }
        let mut values = Map::from_iter([("shift".to_owned(), json!(1.0))]);
        let class = match self.settings.solver {
            SolverName::Ddim | SolverName::Euler | SolverName::FlowEuler => Class::FlowMatchEulerDiscrete,
            SolverName::Consistency => {
                values.insert("stochastic_sampling".to_owned(), json!(true));
                Class::FlowMatchEulerDiscrete
            }
            SolverName::FlowHeun => Class::FlowMatchHeunDiscrete,
            _ => return Err(self.no_solver(" of flow matching")),
        };
        // Even times from pure noise to the last before clean data.
        if let [_, .., last] = self.plan
            && class == Class::FlowMatchEulerDiscrete
        {
            values.insert("shift_terminal".to_owned(), json!(last.t));
        }
        Ok((class, values))
    }

    fn edm(&self) -> Result<Keys, Error> {
        let settings = self.settings;
        if self.preset.training.prediction != PredictionName::V {
            let name = self.preset.training.prediction;
            return Err(refuse(&format!("training.prediction = {name} of the variance-exploding process")));
        }
        let schedule = match settings.spacing {
            SpacingName::Karras => "karras",
            SpacingName::LogSnr => "exponential",
            other => return Err(refuse(&format!("sampling.spacing = {other} of the variance-exploding process"))),
        };
        let (most, least) = self.ends();
        let mut values = Map::new();
        let mut put = |key: &str, value: Value| values.insert(key.to_owned(), value);
        let class = match settings.solver {
            SolverName::Ddim | SolverName::Euler => Class::EDMEuler,
            SolverName::DpmPlusPlus2M | SolverName::DpmPlusPlus2MHeun | SolverName::DpmPlusPlus2MSde => {
                self.multistep(&mut put);
                Class::EDMDPMSolverMultistep
            }
            _ => return Err(self.no_solver(" of the variance-exploding process")),
        };
        put("sigma_min", json!(least));
        put("sigma_max", json!(most));
        // Networks here are made for data of about unit size, and what they predict is EDM's output of such data.
        put("sigma_data", json!(1.0));
        put("sigma_schedule", json!(schedule));
        put("rho", json!(settings.rho));
        put("prediction_type", json!("v_prediction"));
        Ok((class, values))
    }

    fn clipping(&self, class: Class, values: &mut Map<String, Value>) -> Result<(), Error> {
        let clip = self.settings.clip;
        let mut put = |key: &str, value: Value| values.insert(key.to_owned(), value);
        if class.heeds("clip_sample") {
            put("clip_sample", json!(clip));
        } else if clip && class.heeds("thresholding") {
            // A threshold between 1 and 1 is the range.
            put("thresholding", json!(true));
            put("sample_max_value", json!(1.0));
        } else if clip {
            return Err(refuse(&format!("sampling.clip = true, which its {} does not do,", class.name())));
        }
        Ok(())
    }
}
