//! Classes that count noise by `sigma / alpha`, at or between a chain's entries.

use super::plan::Rows;
use super::{Class, SchedulerConfig};
use crate::error::Error;
use tweedie_core::chain::Chain;
use tweedie_core::discretise::{ChainSpacing, Spacing, even, shifted};
use tweedie_core::plan::Step;
use tweedie_core::preconditioning::Edm;
use tweedie_core::prediction::Prediction;
use tweedie_core::schedule::Schedule;
use tweedie_core::sigma_clock::{SigmaClock, sigma_at, timestep_of};
use tweedie_core::solver::euler::{self, Churn};
use tweedie_core::solver::{dpm_solver_2, dpm_solver_sde, heun, lms};

/// Where a chain's sigmas are put.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Respaced {
    Karras,
    Exponential,
    Beta,
    Lu,
}

impl Respaced {
    /// Sigmas between two ends.
    pub(super) fn times(self, steps: usize, first: f64, last: f64) -> Result<Vec<f64>, Error> {
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

impl SchedulerConfig {
    pub(super) fn respaced(&self) -> Result<Option<Respaced>, Error> {
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

    /// Euler, Heun, LMS, DPM-Solver-2 and DPM-Solver++ SDE: the variance-exploding process, over sigmas between a chain's entries.
    pub(super) fn over_sigma(&self, steps: usize, prediction: Prediction) -> Result<Rows, Error> {
        let (chain, class) = (self.chain()?, self.class());
        let total = chain.steps() as f64;
        let mut timesteps = vec![0.0; steps];
        self.spacing(ChainSpacing::Linspace)?.fill_between(chain.steps(), &mut timesteps)?;
        let mut times = timesteps.iter().map(|&timestep| sigma_at(&chain, timestep)).collect::<Result<Vec<_>, _>>()?;
        let even = self.word("interpolation_type", false, &[("linear", false), ("log_linear", true)])?;
        if even {
            // The library counts one more, so that the last step ends at the chain's least sigma and none goes to data.
            times = Respaced::Exponential.times(steps + 1, sigma_at(&chain, total - 1.0)?, sigma_at(&chain, 0.0)?)?;
        }
        if let Some(respaced) = self.respaced()? {
            let first = self.number("sigma_max")?.unwrap_or(times[0]);
            let last = self.number("sigma_min")?.unwrap_or(times[times.len() - 1]);
            times = respaced.times(steps, first, last)?;
            timesteps = times.iter().map(|&time| timestep_of(&chain, time)).collect::<Result<_, _>>()?;
            let of_second_order = matches!(class, Class::KDPM2Discrete | Class::KDPM2AncestralDiscrete);
            if of_second_order && respaced == Respaced::Karras {
                timesteps.iter_mut().for_each(|timestep| *timestep = timestep.round_ties_even());
            }
        }
        if times.len() == steps {
            times.push(if self.ends_at_data(true)? { 0.0 } else { sigma_at(&chain, 0.0)? });
        }
        let continuous = self.word("timestep_type", false, &[("discrete", false), ("continuous", true)])?;
        if continuous && prediction == Prediction::V {
            timesteps = times[..steps].iter().map(|&time| Edm::noise(time)).collect::<Result<_, _>>()?;
        }
        let process = Schedule::VarianceExploding { sigma_max: times[0] };
        let mut plan = vec![Step::EMPTY; steps];
        match class {
            Class::EulerDiscrete => euler::plan(&process, &times, Churn::NONE, &mut plan)?,
            Class::EulerAncestralDiscrete => euler::ancestral_plan(&process, &times, 1.0, &mut plan)?,
            Class::LMSDiscrete => lms::plan(&process, &times, 4, &mut plan)?,
            Class::HeunDiscrete => {
                plan.resize(heun::evaluations(&process, &times)?, Step::EMPTY);
                heun::plan(&process, &times, &mut plan)?;
                // Every time but the first is come by twice.
                timesteps = (0..plan.len()).map(|row| timesteps[row.div_ceil(2)]).collect();
            }
            _ => {
                plan.resize(dpm_solver_2::evaluations(&process, &times)?, Step::EMPTY);
                match class {
                    Class::DPMSolverSDE => dpm_solver_sde::plan(&process, &times, &mut plan)?,
                    Class::KDPM2AncestralDiscrete => dpm_solver_2::plan(&process, &times, 1.0, &mut plan)?,
                    _ => dpm_solver_2::plan(&process, &times, 0.0, &mut plan)?,
                }
                // Every second row is halfway between two times.
                let at = |row: usize| match row % 2 {
                    0 => Ok(timesteps[row / 2]),
                    _ => timestep_of(&chain, plan[row].level.sigma),
                };
                timesteps = (0..plan.len()).map(at).collect::<Result<_, _>>()?;
            }
        }
        Ok((timesteps, plan))
    }

    /// DPM-Solver, DEIS and UniPC: the variance-preserving state, or flow matching's, over sigmas as times.
    pub(super) fn over_half_log_snr(&self, steps: usize) -> Result<Rows, Error> {
        let (chain, class) = (self.chain()?, self.class());
        let (flow, respaced) = (self.flag("use_flow_sigmas", false)?, self.respaced()?);
        let (timesteps, mut times) = match (flow, respaced) {
            (true, None) => self.flow_sigmas(steps, chain.steps() as f64)?,
            (true, Some(Respaced::Karras)) if class == Class::UniPCMultistep => {
                // What the library calls flow sigmas here is sigma / (1 + sigma).
                let times = self.between_ends(&chain, Respaced::Karras, steps)?;
                let times: Vec<f64> = times.iter().map(|time| time / (1.0 + time)).collect();
                (times.iter().map(|time| (time * chain.steps() as f64).floor()).collect(), times)
            }
            (true, Some(_)) => {
                return Err(self.fail("use_flow_sigmas together with other sigmas is not done here".into()));
            }
            (false, Some(respaced)) => {
                let times = self.between_ends(&chain, respaced, steps)?;
                let cosine = self.word("beta_schedule", false, &[("squaredcos_cap_v2", true)]).unwrap_or(false);
                let rounded = matches!(respaced, Respaced::Karras | Respaced::Lu)
                    && !(cosine && class == Class::DPMSolverMultistep);
                // Those that are not rounded lose their fraction when they become whole numbers.
                let whole = |timestep: f64| if rounded { timestep.round_ties_even() } else { timestep.floor() };
                let timesteps =
                    times.iter().map(|&time| timestep_of(&chain, time).map(whole)).collect::<Result<Vec<_>, _>>()?;
                (timesteps, times)
            }
            (false, None) => self.at_entries(&chain, steps)?,
        };
        let repeats_its_end = matches!(class, Class::DEISMultistep | Class::UniPCMultistep);
        times.push(if self.ends_at_data(class != Class::DEISMultistep)? {
            0.0
        } else if repeats_its_end && (flow || respaced.is_some()) {
            times[times.len() - 1]
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

    /// Sigmas between the chain's ends, or those that the configuration names.
    fn between_ends(&self, chain: &Chain<Vec<f64>>, respaced: Respaced, steps: usize) -> Result<Vec<f64>, Error> {
        let end = |given: Option<f64>, timestep: f64| given.map_or_else(|| sigma_at(chain, timestep), Ok);
        // The library heeds these two in its formula of Karras and of exponential sigmas, and for UniPC alone has them.
        let first = end(self.number("sigma_max")?, chain.steps() as f64 - 1.0)?;
        respaced.times(steps, first, end(self.number("sigma_min")?, 0.0)?)
    }

    fn at_entries(&self, chain: &Chain<Vec<f64>>, steps: usize) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let noisiest = self.number("lambda_min_clipped")?.unwrap_or(f64::NEG_INFINITY);
        let mut used = chain.steps();
        while used > 1 && chain.level_at(used)?.log_snr() < 2.0 * noisiest {
            used -= 1;
        }
        let mut timesteps = vec![0; steps];
        self.spacing(ChainSpacing::Linspace)?.fill_before_data(used, &mut timesteps)?;
        let timesteps: Vec<f64> = timesteps.into_iter().map(f64::from).collect();
        let times = timesteps.iter().map(|&timestep| sigma_at(chain, timestep)).collect::<Result<_, _>>()?;
        Ok((timesteps, times))
    }

    /// Flow matching's times as DPM-Solver, DEIS and UniPC count them, each with its timestep.
    fn flow_sigmas(&self, steps: usize, total: f64) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let (shift, least) = (self.number("flow_shift")?.unwrap_or(1.0), 1.0 / total);
        let mut times = vec![0.0; steps + 1];
        even(1.0, least, &mut times);
        if self.class() != Class::UniPCMultistep {
            // The other classes count from data.
            times.reverse();
            times.iter_mut().for_each(|time| *time = 1.0 - *time);
        }
        times.truncate(steps);
        for time in &mut times {
            *time = shifted(*time, shift)?;
        }
        self.stretch(&mut times)?;
        // UniPC of the library keeps this much away from pure noise.
        times.iter_mut().for_each(|time| *time = time.min(1.0 - 1e-6));
        Ok((times.iter().map(|time| (time * total).floor()).collect(), times))
    }
}
