//! `sigma / alpha` as the time, which is how k-diffusion and most schedulers of diffusers count it.
//!
//! A solver sees noise levels alone, so a list of such sigmas is all that it needs of a chain: give it to [`SigmaClock`] as times.
//! [`sigma_at`] and [`timestep_of`] convert between sigmas and a chain's timesteps, interpolating as those libraries do, which is
//! not quite as a [`Chain`] interpolates as a process of its own.

use crate::chain::Chain;
use crate::error::in_range;
use crate::noise_level::Velocity;
use crate::schedule::Process;
use crate::{Error, NoiseLevel};
use libm::{floor, hypot, log, sqrt};

/// The variance-preserving process whose time is `sigma / alpha`: `alpha = 1 / sqrt(1 + t^2)`, `sigma = t alpha`. It is the
/// [variance-exploding](crate::schedule::Schedule::VarianceExploding) process with the state divided by `sqrt(1 + t^2)`.
///
/// ```
/// use tweedie_core::{schedule::Process, sigma_clock::SigmaClock};
/// let level = SigmaClock { sigma_max: 80.0 }.level(0.75)?;
/// assert!((level.alpha - 0.8).abs() < 1e-15 && (level.sigma - 0.6).abs() < 1e-15);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SigmaClock {
    /// The horizon, above 0.
    pub sigma_max: f64,
}

impl Process for SigmaClock {
    fn horizon(&self) -> f64 {
        self.sigma_max
    }

    fn level(&self, t: f64) -> Result<NoiseLevel, Error> {
        in_range("sigma_max", self.sigma_max, f64::MIN_POSITIVE, f64::MAX)?;
        if !(0.0..=self.sigma_max).contains(&t) {
            return Err(Error::TimeOutOfRange { t, horizon: self.sigma_max });
        }
        let alpha = 1.0 / hypot(1.0, t);
        Ok(NoiseLevel { alpha, sigma: t * alpha })
    }

    fn velocity(&self, t: f64) -> Result<Velocity, Error> {
        let NoiseLevel { alpha, sigma } = self.level(t)?;
        Ok(Velocity { alpha: -sigma * alpha * alpha, sigma: alpha * alpha * alpha })
    }
}

/// What counts in place of an `alpha_bar` of 0, as in those libraries: `2^-24`. With many steps the entry before may have less signal.
const LEAST_ALPHA_BAR: f64 = 1.0 / 16_777_216.0;

/// `sqrt((1 - alpha_bar) / alpha_bar)` of the entry for a whole timestep `tau`, chain index `tau + 1`.
fn entry<S: AsRef<[f64]>>(chain: &Chain<S>, timestep: usize) -> Result<f64, Error> {
    let alpha_bar = chain.alpha_bar(timestep + 1)?;
    let alpha_bar = if alpha_bar == 0.0 { LEAST_ALPHA_BAR } else { alpha_bar };
    Ok(sqrt((1.0 - alpha_bar) / alpha_bar))
}

/// `sigma / alpha` at a real-valued timestep in `[0, T - 1]`, linear between a chain's entries. An entry without signal (zero terminal SNR)
/// counts as `alpha_bar = 2^-24`, as in those libraries.
///
/// # Errors
/// [`Error::TimeOutOfRange`].
pub fn sigma_at<S: AsRef<[f64]>>(chain: &Chain<S>, timestep: f64) -> Result<f64, Error> {
    let last = chain.steps() - 1;
    if !(0.0..=last as f64).contains(&timestep) {
        return Err(Error::TimeOutOfRange { t: timestep, horizon: last as f64 });
    }
    let low = floor(timestep) as usize;
    let (part, sigma) = (timestep - low as f64, entry(chain, low)?);
    if part == 0.0 { Ok(sigma) } else { Ok(sigma + part * (entry(chain, low + 1)? - sigma)) }
}

/// The real-valued timestep with that `sigma / alpha`, linear in its logarithm between a chain's entries and clamped to its ends.
///
/// # Errors
/// [`Error::OutOfRange`] for a sigma that is not positive.
pub fn timestep_of<S: AsRef<[f64]>>(chain: &Chain<S>, sigma: f64) -> Result<f64, Error> {
    in_range("sigma", sigma, f64::MIN_POSITIVE, f64::MAX)?;
    let (mut low, mut high) = (0, chain.steps() - 1);
    if high == 0 || sigma <= entry(chain, low)? {
        return Ok(0.0);
    }
    if sigma >= entry(chain, high)? {
        return Ok(high as f64);
    }
    while high - low > 1 {
        let middle = (low + high) / 2;
        if entry(chain, middle)? <= sigma {
            low = middle;
        } else {
            high = middle;
        }
    }
    let (below, above) = (log(entry(chain, low)?), log(entry(chain, high)?));
    Ok(low as f64 + (log(sigma) - below) / (above - below))
}
