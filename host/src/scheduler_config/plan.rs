//! From a configuration to timesteps and a plan, as the library's class makes them.

use super::{Class, SchedulerConfig};
use crate::error::Error;
use tweedie_core::chain::{Betas, Chain};
use tweedie_core::discretise::{ChainSpacing, Spacing, shifted};
use tweedie_core::plan::Step;
use tweedie_core::prediction::Prediction;
use tweedie_core::sampler::Clip;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::sigma_clock::{SigmaClock, sigma_at, timestep_of};
use tweedie_core::solver::deis::Deis;
use tweedie_core::solver::dpm_solver::{Correction, DpmSolver};
use tweedie_core::solver::euler::{self, Churn};
use tweedie_core::solver::singlestep::Singlestep;
use tweedie_core::solver::unipc::{B, UniPc};
use tweedie_core::solver::{Ending, Form, heun, lms, pndm, probability_flow};
use tweedie_core::thresholding::Thresholding;
use tweedie_core::{NoiseLevel, ddim, ddpm};

/// What a configuration makes of a number of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    /// The timestep that the library tells the model, at each row of the plan.
    pub timesteps: Vec<f64>,
    /// The plan. Its levels are variance-preserving, flow matching's, or, for Euler, Heun and LMS, variance-exploding; the library's state has
    /// the same scale.
    pub plan: Vec<Step>,
    /// What the model is taken to predict.
    pub prediction: Prediction,
    /// What is done to estimates.
    pub clip: Clip,
    /// The range that follows each estimate, in place of a fixed one.
    pub thresholding: Option<Thresholding>,
    /// Whether the levels are flow matching's.
    pub is_flow_matching: bool,
}

type Result<T, E = tweedie_core::Error> = std::result::Result<T, E>;

/// What the library puts in place of an `alpha_bar` of 0 where it divides by it: `2^-24`.
const LEAST_ALPHA_BAR: f64 = 1.0 / 16_777_216.0;

/// Where a chain's sigmas are put.
#[derive(Clone, Copy)]
enum Respaced {
    Karras,
    Exponential,
    Beta,
    Lu,
}

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
        let default = if of_flow { Prediction::Velocity } else { Prediction::Eps };
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
        let clip_by_default = matches!(self.class(), Class::DDIM | Class::DDPM);
        let thresholding = self.flag("thresholding", false)?.then_some(Thresholding {
            ratio: self.number("dynamic_thresholding_ratio")?.unwrap_or(0.995),
            most: self.number("sample_max_value")?.unwrap_or(1.0),
        });
        // A threshold takes the place of the range.
        let clip = if thresholding.is_none() && self.flag("clip_sample", clip_by_default)? {
            let high = self.number("clip_sample_range")?.unwrap_or(1.0);
            Clip::Range { low: -high, high }
        } else {
            Clip::None
        };
        let (timesteps, plan) = match self.class() {
            Class::DDIM | Class::DDPM | Class::PNDM => self.on_the_chain(steps, prediction)?,
            Class::EulerDiscrete | Class::EulerAncestralDiscrete | Class::HeunDiscrete | Class::LMSDiscrete => {
                self.over_sigma(steps)?
            }
            Class::FlowMatchEulerDiscrete | Class::FlowMatchHeunDiscrete => self.flow_matching(steps)?,
            _ => self.over_half_log_snr(steps)?,
        };
        let is_flow_matching = of_flow || self.flag("use_flow_sigmas", false)?;
        Ok(Scheduled { timesteps, plan, prediction, clip, thresholding, is_flow_matching })
    }

    /// The chain. `floor`: an entry without signal becomes `2^-24`, as in the library's classes that divide by it.
    fn chain(&self, floor: bool) -> Result<Chain<Vec<f64>>, Error> {
        let heun = self.class() == Class::HeunDiscrete;
        let start = self.number("beta_start")?.unwrap_or(if heun { 0.00085 } else { 1e-4 });
        let end = self.number("beta_end")?.unwrap_or(if heun { 0.012 } else { 0.02 });
        let given = self.numbers("trained_betas")?;
        let linear = Betas::Linear { start, end };
        let rules = [
            ("linear", linear),
            ("scaled_linear", Betas::ScaledLinear { start, end }),
            ("squaredcos_cap_v2", Betas::Cosine),
            ("sigmoid", Betas::Sigmoid { start, end }),
        ];
        let rule = self.word("beta_schedule", linear, &rules)?;
        let (betas, total) = match &given {
            Some(given) => (Betas::Given(given), given.len()),
            None => (rule, self.count("num_train_timesteps", 1000)?),
        };
        let mut table = vec![0.0; total];
        if self.flag("rescale_betas_zero_snr", false)? {
            Chain::with_zero_terminal_snr(betas, &mut table)?;
            table.last_mut().into_iter().filter(|_| floor).for_each(|last| *last = LEAST_ALPHA_BAR);
        } else {
            Chain::new(betas, &mut table)?;
        }
        Ok(Chain::from_alpha_bar(table)?)
    }

    fn spacing(&self, default: ChainSpacing) -> Result<ChainSpacing, Error> {
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

    /// DDIM, DDPM and PNDM: a chain's own entries.
    fn on_the_chain(&self, steps: usize, prediction: Prediction) -> Result<(Vec<f64>, Vec<Step>), Error> {
        let chain = self.chain(false)?;
        let spacing = self.spacing(ChainSpacing::Leading { offset: 0 })?;
        let mut timesteps = vec![0; steps];
        spacing.fill(chain.steps(), &mut timesteps)?;
        let times = |end: u32| -> Vec<f64> {
            let indices = timesteps.iter().map(|&timestep| timestep + 1).chain([end]);
            indices.map(|index| f64::from(index) / chain.steps() as f64).collect()
        };
        let mut plan = vec![Step::EMPTY; steps];
        match self.class() {
            Class::DDIM => {
                let to_data = self.flag("set_alpha_to_one", true)?;
                let last = if to_data { NoiseLevel::CLEAN } else { chain.level_at(1)? };
                ddim::chain_plan(&chain, &timesteps, last, 0.0, &mut plan)?;
            }
            Class::PNDM => {
                if !self.flag("skip_prk_steps", false)? {
                    return Err(
                        self.fail("skip_prk_steps = false asks for Runge-Kutta steps, which are not done here".into())
                    );
                }
                if prediction != Prediction::Eps {
                    return Err(self.fail("prediction_type must be epsilon for PNDM".into()));
                }
                if !matches!(spacing, ChainSpacing::Leading { .. }) {
                    return Err(self.fail("timestep_spacing must be leading for PNDM".into()));
                }
                let end = u32::from(!self.flag("set_alpha_to_one", false)?);
                plan.push(Step::EMPTY);
                pndm::plan(&chain, &times(end), &mut plan)?;
                timesteps.insert(1, timesteps[1]);
            }
            _ => {
                let variance = self.word(
                    "variance_type",
                    ddpm::Variance::Posterior,
                    &[("fixed_small", ddpm::Variance::Posterior), ("fixed_large", ddpm::Variance::Beta)],
                )?;
                ddpm::plan(&chain, &times(0), variance, &mut plan)?;
            }
        }
        Ok((timesteps.into_iter().map(f64::from).collect(), plan))
    }

    fn respaced(&self) -> Result<Option<Respaced>, Error> {
        for (key, respaced) in [
            ("use_karras_sigmas", Respaced::Karras),
            ("use_exponential_sigmas", Respaced::Exponential),
            ("use_beta_sigmas", Respaced::Beta),
            ("use_lu_lambdas", Respaced::Lu),
        ] {
            if self.flag(key, false)? {
                return Ok(Some(respaced));
            }
        }
        Ok(None)
    }

    /// Euler, Heun and LMS: the variance-exploding process, over sigmas between a chain's entries.
    fn over_sigma(&self, steps: usize) -> Result<(Vec<f64>, Vec<Step>), Error> {
        let chain = self.chain(true)?;
        let mut timesteps = vec![0.0; steps];
        self.spacing(ChainSpacing::Linspace)?.fill_between(chain.steps(), &mut timesteps)?;
        let mut times = timesteps.iter().map(|&timestep| sigma_at(&chain, timestep)).collect::<Result<Vec<_>>>()?;
        if let Some(respaced) = self.respaced()? {
            let first = self.number("sigma_max")?.unwrap_or(times[0]);
            let last = self.number("sigma_min")?.unwrap_or(times[steps - 1]);
            times = respaced.times(steps, first, last)?;
            timesteps = times.iter().map(|&time| timestep_of(&chain, time)).collect::<Result<_>>()?;
        }
        times.push(if self.ends_at_data(true)? { 0.0 } else { sigma_at(&chain, 0.0)? });
        let process = Schedule::VarianceExploding { sigma_max: times[0] };
        let mut plan = vec![Step::EMPTY; steps];
        match self.class() {
            Class::EulerDiscrete => euler::plan(&process, &times, Churn::NONE, &mut plan)?,
            Class::EulerAncestralDiscrete => euler::ancestral_plan(&process, &times, 1.0, &mut plan)?,
            Class::LMSDiscrete => lms::plan(&process, &times, 4, &mut plan)?,
            _ => {
                plan.resize(heun::evaluations(&process, &times)?, Step::EMPTY);
                heun::plan(&process, &times, &mut plan)?;
                // Every time but the first is come by twice.
                timesteps = (0..plan.len()).map(|row| timesteps[row.div_ceil(2)]).collect();
            }
        }
        Ok((timesteps, plan))
    }

    fn ends_at_data(&self, default: bool) -> Result<bool, Error> {
        self.word("final_sigmas_type", default, &[("zero", true), ("sigma_min", false)])
    }

    /// DPM-Solver, DEIS and UniPC: the variance-preserving state, or flow matching's, over sigmas as times.
    fn over_half_log_snr(&self, steps: usize) -> Result<(Vec<f64>, Vec<Step>), Error> {
        let chain = self.chain(true)?;
        let (total, class) = (chain.steps(), self.class());
        let flow = self.flag("use_flow_sigmas", false)?;
        let respaced = self.respaced()?;
        let (timesteps, mut times): (Vec<f64>, Vec<f64>) = if flow {
            if respaced.is_some() {
                return Err(self.fail("use_flow_sigmas together with other sigmas is not done here".into()));
            }
            let (shift, least) = (self.number("flow_shift")?.unwrap_or(1.0), 1.0 / total as f64);
            let (first, last) = if class == Class::UniPCMultistep { (1.0, least) } else { (1.0 - least, 0.0) };
            let mut times = vec![0.0; steps + 1];
            Spacing::Uniform.fill(&Schedule::FlowMatching, first, last, &mut times)?;
            times.truncate(steps);
            for time in &mut times {
                // UniPC of the library keeps this much away from pure noise.
                *time = shifted(*time, shift)?.min(1.0 - 1e-6);
            }
            (times.iter().map(|time| (time * total as f64).floor()).collect(), times)
        } else if let Some(respaced) = respaced {
            let first = self.number("sigma_max")?.map_or_else(|| sigma_at(&chain, total as f64 - 1.0), Ok)?;
            let last = self.number("sigma_min")?.map_or_else(|| sigma_at(&chain, 0.0), Ok)?;
            let times = respaced.times(steps, first, last)?;
            let rounded = matches!(respaced, Respaced::Karras | Respaced::Lu);
            // Those that are not rounded lose their fraction when they become whole numbers.
            let whole = |timestep: f64| if rounded { timestep.round_ties_even() } else { timestep.floor() };
            let timesteps =
                times.iter().map(|&time| timestep_of(&chain, time).map(whole)).collect::<Result<Vec<_>>>()?;
            (timesteps, times)
        } else {
            let noisiest = self.number("lambda_min_clipped")?.unwrap_or(f64::NEG_INFINITY);
            let mut used = total;
            while used > 1 && chain.level_at(used)?.log_snr() < 2.0 * noisiest {
                used -= 1;
            }
            let mut timesteps = vec![0; steps];
            self.spacing(ChainSpacing::Linspace)?.fill_before_data(used, &mut timesteps)?;
            let timesteps: Vec<f64> = timesteps.into_iter().map(f64::from).collect();
            let times = timesteps.iter().map(|&timestep| sigma_at(&chain, timestep)).collect::<Result<_>>()?;
            (timesteps, times)
        };
        let repeats_its_end = matches!(class, Class::DEISMultistep | Class::UniPCMultistep);
        times.push(if self.ends_at_data(class != Class::DEISMultistep)? {
            0.0
        } else if repeats_its_end && (flow || respaced.is_some()) {
            times[steps - 1]
        } else {
            sigma_at(&chain, 0.0)?
        });
        let plan = if flow {
            self.solve(&Schedule::FlowMatching, &times)?
        } else {
            self.solve(&SigmaClock { sigma_max: times[0] }, &times)?
        };
        Ok((timesteps, plan))
    }

    /// The plan of a solver in half the log-SNR.
    fn solve(&self, process: &impl Process, times: &[f64]) -> Result<Vec<Step>, Error> {
        let mut plan = vec![Step::EMPTY; times.len() - 1];
        let (order, few) = (self.count("solver_order", 2)?, plan.len() < 15);
        let singlestep = self.class() == Class::DPMSolverSinglestep;
        let lower = self.flag("lower_order_final", !singlestep)?;
        let ending = |lower: bool, euler: bool| match (lower, euler) {
            (true, _) => Ending::Falling,
            (_, true) => Ending::Euler,
            _ => Ending::Full,
        };
        // A name of another class's solver is taken for the class's usual one, as in the library.
        let kind =
            self.word("solver_type", "", &["midpoint", "heun", "logrho", "bh1", "bh2"].map(|word| (word, word)))?;
        let correction = if kind == "heun" { Correction::Heun } else { Correction::Midpoint };
        let algorithms = [
            ("dpmsolver++", (Form::Data, 0.0)),
            ("sde-dpmsolver++", (Form::Data, 1.0)),
            ("dpmsolver", (Form::Noise, 0.0)),
            ("deis", (Form::Data, 0.0)),
        ];
        let (form, eta) = self.word("algorithm_type", (Form::Data, 0.0), &algorithms)?;
        if eta > 0.0 && (singlestep || order > 2) {
            let reason = "algorithm_type = sde-dpmsolver++ is done here by the multistep scheduler, to order 2";
            return Err(self.fail(reason.to_owned()));
        }
        match self.class() {
            Class::DPMSolverSinglestep => {
                let uneven = order > 0 && plan.len() % order != 0;
                let ending = ending(lower || uneven || self.ends_at_data(true)?, false);
                Singlestep { order, form, correction, ending }.plan(process, times, &mut plan)?;
            }
            Class::DEISMultistep => {
                Deis { ending: ending(lower && few, false), ..Deis::new(order) }.plan(process, times, &mut plan)?;
            }
            Class::UniPCMultistep => {
                let b = if kind == "bh1" { B::B1 } else { B::B2 };
                let form = if self.flag("predict_x0", true)? { Form::Data } else { Form::Noise };
                let ending = ending(lower, false);
                UniPc { order, b, form, corrector: true, ending }.plan(process, times, &mut plan)?;
            }
            _ => {
                let ending = ending(lower && few, self.flag("euler_at_final", false)?);
                DpmSolver { order, form, correction, eta, ending }.plan(process, times, &mut plan)?;
            }
        }
        Ok(plan)
    }

    fn flow_matching(&self, steps: usize) -> Result<(Vec<f64>, Vec<Step>), Error> {
        let (shift, total) = (self.number("shift")?.unwrap_or(1.0), self.count("num_train_timesteps", 1000)? as f64);
        let process = Schedule::FlowMatching;
        let mut times = vec![1.0; steps];
        if steps > 1 {
            // The library shifts its least time when it is made, and all of them again here.
            Spacing::Uniform.fill(&process, 1.0, shifted(1.0 / total, shift)?, &mut times)?;
        }
        for time in &mut times {
            *time = shifted(*time, shift)?;
        }
        if let Some(respaced) = self.respaced()? {
            times = respaced.times(steps, times[0], times[steps - 1])?;
        }
        times.push(0.0);
        let mut plan = vec![Step::EMPTY; steps];
        if self.class() == Class::FlowMatchHeunDiscrete {
            plan.resize(probability_flow::heun_evaluations(&process, &times)?, Step::EMPTY);
            probability_flow::heun_plan(&process, &times, &mut plan)?;
        } else {
            probability_flow::plan(&process, &times, &mut plan)?;
        }
        Ok((plan.iter().map(|step| step.t * total).collect(), plan))
    }
}

impl Respaced {
    /// Times of `SigmaClock` between two ends.
    fn times(self, steps: usize, first: f64, last: f64) -> Result<Vec<f64>> {
        let spacing = match self {
            Self::Karras => Spacing::Karras { rho: 7.0 },
            Self::Exponential | Self::Lu => Spacing::LogSnr,
            Self::Beta => Spacing::Beta { alpha: 0.6, beta: 0.6 },
        };
        let mut times = vec![first; steps];
        if steps > 1 {
            spacing.fill(&SigmaClock { sigma_max: first }, first, last, &mut times)?;
        }
        Ok(times)
    }
}
