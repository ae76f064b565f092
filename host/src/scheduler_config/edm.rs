//! Classes with EDM's preconditioning, and improved PNDM: noise levels of their own, no chain.

use super::plan::Rows;
use super::{Class, SchedulerConfig};
use crate::error::Error;
use tweedie_core::NoiseLevel;
use tweedie_core::discretise::Spacing;
use tweedie_core::plan::Step;
use tweedie_core::preconditioning::Edm;
use tweedie_core::prediction::Prediction;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::solver::euler::{self, Churn};
use tweedie_core::solver::pndm::{self, AtPureNoise};

impl SchedulerConfig {
    pub(super) fn edm(&self, prediction: Prediction) -> Result<Edm, Error> {
        if !matches!(prediction, Prediction::Eps | Prediction::V) {
            return Err(self.fail("prediction_type must be epsilon or v_prediction for EDM".to_owned()));
        }
        let cosine = self.class() == Class::CosineDPMSolverMultistep;
        Ok(Edm { sigma_data: self.number("sigma_data")?.unwrap_or(if cosine { 1.0 } else { 0.5 }) })
    }

    /// The variance-exploding process over EDM's sigmas.
    pub(super) fn over_edms_sigmas(&self, steps: usize) -> Result<Rows, Error> {
        let cosine = self.class() == Class::CosineDPMSolverMultistep;
        let (least, most) = if cosine { (0.3, 500.0) } else { (0.002, 80.0) };
        let (least, most) = (self.number("sigma_min")?.unwrap_or(least), self.number("sigma_max")?.unwrap_or(most));
        let karras = Spacing::Karras { rho: self.number("rho")?.unwrap_or(7.0) };
        let usual = if cosine { Spacing::LogSnr } else { karras };
        let spacing = self.word("sigma_schedule", usual, &[("karras", karras), ("exponential", Spacing::LogSnr)])?;
        let process = Schedule::VarianceExploding { sigma_max: most };
        // A single exponential step starts at the other end, in the library.
        let alone = if spacing == Spacing::LogSnr { least } else { most };
        let mut times = vec![alone; steps];
        if steps > 1 {
            spacing.fill(&process, most, least, &mut times)?;
        }
        let told = |&time: &f64| if cosine { Ok(Edm::angle(time)) } else { Edm::noise(time) };
        let timesteps = times.iter().map(told).collect::<Result<_, _>>()?;
        let end = if self.class() == Class::EDMEuler { times[steps - 1] } else { least };
        times.push(if self.ends_at_data(true)? { 0.0 } else { end });
        let mut plan = vec![Step::EMPTY; steps];
        if self.class() == Class::EDMEuler {
            euler::plan(&process, &times, Churn::NONE, &mut plan)?;
        } else {
            plan = self.solve(&process, &times)?;
        }
        Ok((timesteps, plan))
    }

    /// Improved PNDM, whose `trained_betas` are sigmas of the variance-preserving process, the last of them clean data's.
    pub(super) fn improved_pndm(&self, steps: usize) -> Result<Rows, Error> {
        let process = Schedule::VariancePreserving;
        let times = match self.numbers("trained_betas")? {
            Some(given) if given.len() == steps + 1 => given,
            Some(given) => {
                let reason = format!("trained_betas has {} entries, and {steps} steps need one more", given.len());
                return Err(self.fail(reason));
            }
            None => {
                // sin^2, which is the noise of that interpolation.
                let sigma =
                    |k: usize| Ok::<_, Error>(Schedule::CosineSquared.level((steps - k) as f64 / steps as f64)?.sigma);
                (0..=steps).map(sigma).collect::<Result<_, _>>()?
            }
        };
        let mut plan = vec![Step::EMPTY; steps];
        pndm::improved_plan_from(&process, &times, AtPureNoise::StateIsNoise, &mut plan)?;
        Ok((plan.iter().map(|step| NoiseLevel::angle(&step.level)).collect(), plan))
    }
}
