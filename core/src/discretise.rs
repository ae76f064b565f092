//! Which times a sampler visits.
//!
//! In continuous time a [`Spacing`] fills times from noise down to data. On a chain, [`ChainSpacing`] picks the
//! *timesteps* of practice (numbered from 0, as diffusers does: timestep `tau` is chain index `tau + 1`).
//! Training steps and sampling steps are independent (Remark 3.1).

use crate::Error;
use crate::error::in_range;
use crate::schedule::Process;
use libm::{expm1, log, pow, rint};

/// A rule for the times between `first` (most noise) and `last` (least noise) in continuous time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Spacing {
    /// Evenly spaced, `T l / L`.
    Uniform,
    /// `C1 (exp(C2 l) - 1)` with `C2 = growth` and `C1` such that the ends are met (3.2.83): ever smaller steps towards data.
    Exponential {
        /// `C2 > 0`, the growth of the step per step; small values approach [`Uniform`](Self::Uniform).
        growth: f64,
    },
    /// Evenly spaced in log-SNR. Both ends need a finite log-SNR.
    LogSnr,
    /// `sigma / alpha` to the power `1 / rho` evenly spaced (Karras et al. 2022, eq. 5; rho = 7 there). Both ends need signal.
    Karras {
        /// The exponent, at least 1; larger values take smaller steps near data.
        rho: f64,
    },
}

impl Spacing {
    /// Fills `times` from `first` down to `last`, both met exactly. `L + 1` times make `L` steps; at least 2.
    ///
    /// [`LogSnr`](Self::LogSnr) cannot end at `t = 0`, where the log-SNR is infinite: end it at a small time, and
    /// append 0 to the times if a last step to clean data is wanted.
    pub fn fill(
        &self,
        process: &(impl Process + ?Sized),
        first: f64,
        last: f64,
        times: &mut [f64],
    ) -> Result<(), Error> {
        if times.len() < 2 {
            return Err(Error::WrongLength { what: "times of a sampler", need: 2, have: times.len() });
        }
        in_range("first time", first, 0.0, process.horizon())?;
        in_range("last time", last, 0.0, first)?;
        if last >= first {
            return Err(Error::OutOfRange { name: "last time", value: last, min: 0.0, max: first });
        }
        let steps = (times.len() - 1) as f64;
        match *self {
            Self::Uniform => {
                interior(times, |l| Ok(last + (first - last) * ((steps - l) / steps)))?;
            }
            Self::Exponential { growth } => {
                in_range("growth", growth, f64::MIN_POSITIVE, 700.0 / steps)?;
                let scale = (first - last) / expm1(growth * steps);
                interior(times, |l| Ok(last + scale * expm1(growth * (steps - l))))?;
            }
            Self::LogSnr => {
                let (from, to) = (process.level(first)?.log_snr(), process.level(last)?.log_snr());
                if !from.is_finite() {
                    return Err(Error::SignalVanishes);
                }
                if !to.is_finite() {
                    return Err(Error::NoiseVanishes);
                }
                interior(times, |l| process.time_of_log_snr(from + (to - from) * (l / steps)))?;
            }
            Self::Karras { rho } => {
                in_range("rho", rho, 1.0, 100.0)?;
                let (from, to) = (process.level(first)?, process.level(last)?);
                if from.alpha == 0.0 {
                    return Err(Error::SignalVanishes);
                }
                let root = |sigma: f64| pow(sigma, 1.0 / rho);
                let (from, to) = (root(from.sigma / from.alpha), root(to.sigma / to.alpha));
                interior(times, |l| {
                    let sigma = pow(from + (to - from) * (l / steps), rho);
                    process.time_of_log_snr(-2.0 * log(sigma))
                })?;
            }
        }
        if let [start, .., end] = times {
            (*start, *end) = (first, last);
        }
        Ok(())
    }
}

/// Sets the times between the two ends; `l` counts steps from the noisy end.
fn interior(times: &mut [f64], time: impl Fn(f64) -> Result<f64, Error>) -> Result<(), Error> {
    let steps = times.len() - 1;
    for (l, entry) in times.iter_mut().enumerate().take(steps).skip(1) {
        *entry = time(l as f64)?;
    }
    Ok(())
}

/// A rule for the timesteps of a chain of `T` steps, as practitioners name them. Results run from noise to data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainSpacing {
    /// `T-1` down to 0, evenly spaced and rounded: both ends are visited.
    Linspace,
    /// Multiples of `T / L` (whole-number division) from 0 up, plus `offset`: the noisy end is left out.
    Leading {
        /// Added to every timestep (`steps_offset`), commonly 0 or 1.
        offset: u32,
    },
    /// `T, T - T/L, ...` rounded, less 1: the noisy end is visited, timestep 0 is not.
    Trailing,
}

impl ChainSpacing {
    /// Fills `timesteps` (`L` of them, in `0..T`) for a chain of `chain_steps = T`; `1 <= L <= T`.
    ///
    /// ```
    /// use tweedie_core::discretise::ChainSpacing;
    /// let mut timesteps = [0; 7];
    /// ChainSpacing::Trailing.fill(1000, &mut timesteps)?;
    /// assert_eq!(timesteps, [999, 856, 713, 570, 428, 285, 142]);
    /// # Ok::<(), tweedie_core::Error>(())
    /// ```
    pub fn fill(&self, chain_steps: usize, timesteps: &mut [u32]) -> Result<(), Error> {
        let (total, count) = (chain_steps as f64, timesteps.len());
        in_range("sampling steps", count as f64, 1.0, total)?;
        for (i, entry) in timesteps.iter_mut().enumerate() {
            let from_data = (count - 1 - i) as f64;
            // The rounded stride of numpy.arange: where T - i T / L ends in a half, its error decides the rounding.
            let stride = (total - total / count as f64) - total;
            let timestep = match *self {
                Self::Linspace if count == 1 => 0.0,
                Self::Linspace => rint(from_data * ((total - 1.0) / (count as f64 - 1.0))),
                Self::Leading { offset } => from_data * (chain_steps / count) as f64 + f64::from(offset),
                Self::Trailing => rint(total + i as f64 * stride) - 1.0,
            };
            in_range("timestep", timestep, 0.0, total - 1.0)?;
            *entry = timestep as u32;
        }
        Ok(())
    }

    /// The timestep that a DDIM step of diffusers goes *to*: `timestep - T / L`, whole-number division, whatever
    /// the spacing; `None` when that is below 0, meaning clean data. (Its DDPM goes to the next timestep it visits.)
    pub fn previous(timestep: u32, chain_steps: usize, count: usize) -> Option<u32> {
        timestep.checked_sub(u32::try_from(chain_steps.checked_div(count)?).ok()?)
    }
}
