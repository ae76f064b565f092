//! From a configuration to timesteps and a plan, as the library's class makes them.

use super::{Class, SchedulerConfig};
use crate::error::Error;
use tweedie_core::chain::{Betas, Chain};
use tweedie_core::discretise::ChainSpacing;
use tweedie_core::plan::Step;
use tweedie_core::preconditioning::Edm;
use tweedie_core::prediction::Prediction;
use tweedie_core::sampler::Clip;
use tweedie_core::solver::pndm::{self, Extrapolated};
use tweedie_core::thresholding::Thresholding;
use tweedie_core::{NoiseLevel, ddim, ddpm};

/// What a configuration makes of a number of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    /// The timestep that the library tells the model, at each row of the plan.
    pub timesteps: Vec<f64>,
    /// The plan. Its levels are variance-preserving, flow matching's, or, for Euler, Heun, LMS, DPM-Solver-2 and EDM's classes,
    /// variance-exploding; the library's state has the same scale.
    pub plan: Vec<Step>,
    /// What the model is taken to predict. For EDM's classes see [`preconditioning`](Self::preconditioning).
    pub prediction: Prediction,
    /// EDM's classes: what their model sees, and what its output means. With [`Prediction::V`] the output has the other sign.
    pub preconditioning: Option<Edm>,
    /// What is done to estimates.
    pub clip: Clip,
    /// The range that follows each estimate, in place of a fixed one.
    pub thresholding: Option<Thresholding>,
    /// Whether the levels are flow matching's.
    pub is_flow_matching: bool,
}

/// Timesteps and a plan.
pub(super) type Rows = (Vec<f64>, Vec<Step>);

impl SchedulerConfig {
    /// The timesteps and the plan for `steps` steps: what `set_timesteps(steps)` and as many calls of `step` do.
    ///
    /// # Errors
    /// A value of the wrong type or outside its range; a number of steps that the chain or the solver cannot take.
    pub fn schedule(&self, steps: usize) -> Result<Scheduled, Error> {
        if steps == 0 {
            return Err(tweedie_core::Error::OutOfRange {
                name: "sampling steps",
                value: 0.0,
                min: 1.0,
                max: self.count("num_train_timesteps", 1000)? as f64,
            }
            .into());
        }
        let of_flow = matches!(self.class(), Class::FlowMatchEulerDiscrete | Class::FlowMatchHeunDiscrete);
        let default = match self.class() {
            _ if of_flow => Prediction::Velocity,
            Class::IPNDM | Class::CosineDPMSolverMultistep => Prediction::V,
            _ => Prediction::Eps,
        };
        let prediction = self.word(
            "prediction_type",
            default,
            &[
                ("epsilon", Prediction::Eps),
                ("v_prediction", Prediction::V),
                ("sample", Prediction::X0),
                ("flow_prediction", Prediction::Velocity),
            ],
        )?;
        let clip_by_default =
            matches!(self.class(), Class::DDIM | Class::DDPM | Class::DDIMParallel | Class::DDPMParallel);
        let thresholding = self.flag("thresholding", false)?.then_some(Thresholding {
            ratio: self.number("dynamic_thresholding_ratio")?.unwrap_or(0.995),
            most: self.number("sample_max_value")?.unwrap_or(1.0),
        });
        // A threshold takes the place of the range; between 1 and 1 it is one.
        let (thresholding, fixed) = match thresholding {
            Some(Thresholding { most: 1.0, .. }) => (None, true),
            other => (other, false),
        };
        let clip = if fixed {
            Clip::Range { low: -1.0, high: 1.0 }
        } else if thresholding.is_none() && self.flag("clip_sample", clip_by_default)? {
            let high = self.number("clip_sample_range")?.unwrap_or(1.0);
            Clip::Range { low: -high, high }
        } else {
            Clip::None
        };
        let mut preconditioning = None;
        let (timesteps, plan) = match self.class() {
            Class::DDIM | Class::DDIMParallel | Class::DDPM | Class::DDPMParallel | Class::PNDM => {
                self.on_the_chain(steps, prediction)?
            }
            Class::IPNDM => self.improved_pndm(steps)?,
            Class::EulerDiscrete
            | Class::EulerAncestralDiscrete
            | Class::HeunDiscrete
            | Class::LMSDiscrete
            | Class::KDPM2Discrete
            | Class::KDPM2AncestralDiscrete
            | Class::DPMSolverSDE => self.over_sigma(steps, prediction)?,
            Class::FlowMatchEulerDiscrete | Class::FlowMatchHeunDiscrete => self.flow_matching(steps)?,
            Class::EDMEuler | Class::EDMDPMSolverMultistep | Class::CosineDPMSolverMultistep => {
                preconditioning = Some(self.edm(prediction)?);
                self.over_edms_sigmas(steps)?
            }
            _ => self.over_half_log_snr(steps)?,
        };
        let is_flow_matching = of_flow || self.flag("use_flow_sigmas", false)?;
        Ok(Scheduled { timesteps, plan, prediction, preconditioning, clip, thresholding, is_flow_matching })
    }

    pub(super) fn chain(&self) -> Result<Chain<Vec<f64>>, Error> {
        let latent = matches!(
            self.class(),
            Class::HeunDiscrete | Class::KDPM2Discrete | Class::KDPM2AncestralDiscrete | Class::DPMSolverSDE
        );
        let start = self.number("beta_start")?.unwrap_or(if latent { 0.00085 } else { 1e-4 });
        let end = self.number("beta_end")?.unwrap_or(if latent { 0.012 } else { 0.02 });
        let given = self.numbers("trained_betas")?;
        let linear = Betas::Linear { start, end };
        let mut rules = vec![
            ("linear", linear),
            ("scaled_linear", Betas::ScaledLinear { start, end }),
            ("squaredcos_cap_v2", Betas::Cosine),
            ("sigmoid", Betas::Sigmoid { start, end }),
        ];
        match self.class() {
            Class::HeunDiscrete => rules.push(("exp", Betas::Exponential)),
            Class::DDPM | Class::DDPMParallel => rules.push(("laplace", Betas::Laplace)),
            _ => {}
        }
        let rule = self.word("beta_schedule", linear, &rules)?;
        let (betas, total) = match &given {
            Some(given) => (Betas::Given(given), given.len()),
            None => (rule, self.count("num_train_timesteps", 1000)?),
        };
        let mut table = vec![0.0; total];
        if self.flag("rescale_betas_zero_snr", false)? {
            Chain::with_zero_terminal_snr(betas, &mut table)?;
        } else {
            Chain::new(betas, &mut table)?;
        }
        Ok(Chain::from_alpha_bar(table)?)
    }

    pub(super) fn spacing(&self, default: ChainSpacing) -> Result<ChainSpacing, Error> {
        let offset = self.count("steps_offset", 0)? as u32;
        let default =
            if let ChainSpacing::Leading { .. } = default { ChainSpacing::Leading { offset } } else { default };
        self.word(
            "timestep_spacing",
            default,
            &[
                ("leading", ChainSpacing::Leading { offset }),
                ("trailing", ChainSpacing::Trailing),
                ("linspace", ChainSpacing::Linspace),
            ],
        )
    }

    pub(super) fn ends_at_data(&self, default: bool) -> Result<bool, Error> {
        self.word("final_sigmas_type", default, &[("zero", true), ("sigma_min", false)])
    }

    /// DDIM, DDPM and PNDM: a chain's own entries.
    fn on_the_chain(&self, steps: usize, prediction: Prediction) -> Result<Rows, Error> {
        let chain = self.chain()?;
        let spacing = self.spacing(ChainSpacing::Leading { offset: 0 })?;
        let mut timesteps = vec![0; steps];
        spacing.fill(chain.steps(), &mut timesteps)?;
        let last = |to_data: bool| if to_data { Ok(NoiseLevel::CLEAN) } else { chain.level_at(1) };
        let mut plan = vec![Step::EMPTY; steps];
        match self.class() {
            Class::DDIM | Class::DDIMParallel => {
                let last = last(self.flag("set_alpha_to_one", true)?)?;
                ddim::chain_plan(&chain, &timesteps, last, 0.0, &mut plan)?;
            }
            Class::PNDM => {
                if !self.flag("skip_prk_steps", false)? {
                    let reason = "skip_prk_steps = false asks for Runge-Kutta steps, whose estimates are remembered for longer than a plan's four rows";
                    return Err(self.fail(reason.to_owned()));
                }
                let extrapolated = match prediction {
                    Prediction::Eps => Extrapolated::Noise,
                    Prediction::V => Extrapolated::V,
                    _ => return Err(self.fail("prediction_type must be epsilon or v_prediction for PNDM".into())),
                };
                let last = last(self.flag("set_alpha_to_one", false)?)?;
                if steps > 1 {
                    plan.push(Step::EMPTY);
                }
                pndm::chain_plan(&chain, &timesteps, last, extrapolated, &mut plan)?;
                if steps > 1 {
                    timesteps.insert(1, timesteps[1]);
                }
            }
            _ => {
                let variance = self.word(
                    "variance_type",
                    ddpm::Variance::Posterior,
                    &[("fixed_small", ddpm::Variance::Posterior), ("fixed_large", ddpm::Variance::Beta)],
                )?;
                let indices = timesteps.iter().map(|&timestep| timestep + 1).chain([0]);
                let times: Vec<f64> = indices.map(|index| f64::from(index) / chain.steps() as f64).collect();
                ddpm::plan(&chain, &times, variance, &mut plan)?;
            }
        }
        Ok((timesteps.into_iter().map(f64::from).collect(), plan))
    }
}
