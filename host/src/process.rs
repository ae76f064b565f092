//! The noise process that a preset names, in continuous time or as a chain.

use crate::preset::{BetaRule, ProcessSettings, ScheduleName};
use tweedie_core::chain::{Betas, Chain};
use tweedie_core::noise_level::Velocity;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Error, NoiseLevel};

/// Any process of core, chosen at run time.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyProcess {
    /// A schedule in continuous time.
    Continuous(Schedule),
    /// A chain.
    Chain(Chain<Vec<f64>>),
}

impl AnyProcess {
    /// The process that a preset describes.
    ///
    /// # Errors
    /// Parameters outside their ranges.
    pub fn new(settings: &ProcessSettings) -> Result<Self, Error> {
        let continuous = |schedule: Schedule| {
            schedule.level(0.5 * schedule.horizon())?;
            Ok(Self::Continuous(schedule))
        };
        match settings.schedule {
            ScheduleName::Trigonometric => continuous(Schedule::Trigonometric),
            ScheduleName::VariancePreserving => continuous(Schedule::VariancePreserving),
            ScheduleName::VarianceExploding => {
                continuous(Schedule::VarianceExploding { sigma_max: settings.sigma_max })
            }
            ScheduleName::CosineSquared => continuous(Schedule::CosineSquared),
            ScheduleName::LinearBeta => {
                continuous(Schedule::LinearBeta { beta_min: settings.beta_min, beta_max: settings.beta_max })
            }
            ScheduleName::FlowMatching => continuous(Schedule::FlowMatching),
            ScheduleName::Chain => {
                let (start, end) = (settings.beta_start, settings.beta_end);
                let betas = match settings.betas {
                    BetaRule::Linear => Betas::Linear { start, end },
                    BetaRule::ScaledLinear => Betas::ScaledLinear { start, end },
                    BetaRule::Cosine => Betas::Cosine,
                    BetaRule::Sigmoid => Betas::Sigmoid { start, end },
                };
                let mut alpha_bar = vec![0.0; settings.chain_steps];
                match settings.zero_terminal_snr {
                    true => Chain::with_zero_terminal_snr(betas, &mut alpha_bar)?,
                    false => Chain::new(betas, &mut alpha_bar)?,
                };
                Ok(Self::Chain(Chain::from_alpha_bar(alpha_bar)?))
            }
        }
    }

    /// Steps of the chain; `None` in continuous time.
    pub fn chain_steps(&self) -> Option<usize> {
        match self {
            Self::Continuous(_) => None,
            Self::Chain(chain) => Some(chain.steps()),
        }
    }
}

impl Process for AnyProcess {
    fn horizon(&self) -> f64 {
        match self {
            Self::Continuous(schedule) => schedule.horizon(),
            Self::Chain(_) => 1.0,
        }
    }

    fn level(&self, t: f64) -> Result<NoiseLevel, Error> {
        match self {
            Self::Continuous(schedule) => schedule.level(t),
            Self::Chain(chain) => chain.level(t),
        }
    }

    fn velocity(&self, t: f64) -> Result<Velocity, Error> {
        match self {
            Self::Continuous(schedule) => schedule.velocity(t),
            Self::Chain(chain) => chain.velocity(t),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Preset;

    #[test]
    fn a_chain_may_end_without_signal() {
        let end = |zero_terminal_snr: bool| {
            let set = ["process.schedule=chain".to_owned(), format!("process.zero_terminal_snr={zero_terminal_snr}")];
            let process = AnyProcess::new(&Preset::parse("test", "", &set).unwrap().process).unwrap();
            (process.level(1.0).unwrap().alpha, process.level(0.001).unwrap().alpha)
        };
        let ((rescaled, first), (plain, same)) = (end(true), end(false));
        // The first step stays as it is (Lin et al. 2023).
        assert!(rescaled == 0.0 && plain > 0.006 && (first - same).abs() < 1e-12, "{rescaled} {plain} {first} {same}");
    }
}
