//! Which times a sampler visits.
//!
//! In continuous time a [`Spacing`] fills times from noise down to data. On a chain, [`ChainSpacing`] picks the
//! *timesteps* of practice (numbered from 0, as diffusers does: timestep `tau` is chain index `tau + 1`).
//! Training steps and sampling steps are independent (Remark 3.1).

use crate::error::in_range;
use crate::schedule::Process;
use crate::{Error, beta_distribution};
use core::f64::consts::FRAC_2_PI;
use libm::{asin, atan, exp, expm1, hypot, log, pow, rint};

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
    /// `log((sigma + noise_floor) / (alpha + signal_floor))` evenly spaced, `alpha` and `sigma` being those of the
    /// [normalised](crate::NoiseLevel::normalised) level: [`LogSnr`](Self::LogSnr) between the floors, and below either of them even steps in
    /// the level itself. So both ends are reached, pure noise and clean data, without a least time of somebody's choosing, and steps are spent
    /// where estimates change: see [`SOFT_LOG_SNR`](Self::SOFT_LOG_SNR).
    SoftLogSnr {
        /// Noise below which there is little left to decide, above 0.
        noise_floor: f64,
        /// Signal below which there is little yet to tell, above 0.
        signal_floor: f64,
    },
    /// `sigma / alpha` at evenly spaced quantiles of a Beta distribution between its ends (Lee et al. 2024; both parameters 0.6 in
    /// practice): smaller steps at both ends. Both ends need signal.
    Beta {
        /// The first parameter, above 0; smaller values crowd the times at data.
        alpha: f64,
        /// The second parameter, above 0; smaller values crowd the times at noise.
        beta: f64,
    },
}

impl Spacing {
    /// The floors that serve solvers of higher order in about ten evaluations, on Gaussian mixtures and on trained networks alike: with these
    /// times 2M and UniPC come nearer to the exact flow in 10 evaluations than DDIM does in 50 (`core/tests/few_evaluations.rs`).
    pub const SOFT_LOG_SNR: Self = Self::SoftLogSnr { noise_floor: 0.05, signal_floor: 0.3 };
    /// The same for [`heun_pec`](crate::solver::heun_pec), whose first step is Euler's and so wants to be shorter.
    pub const SOFT_LOG_SNR_OF_HEUN: Self = Self::SoftLogSnr { noise_floor: 0.05, signal_floor: 0.7 };

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
            Self::SoftLogSnr { noise_floor, signal_floor } => {
                in_range("noise floor", noise_floor, f64::MIN_POSITIVE, 1e6)?;
                in_range("signal floor", signal_floor, f64::MIN_POSITIVE, 1e6)?;
                let softened = |t: f64| {
                    let level = process.level(t)?.normalised();
                    Ok::<_, Error>(log((level.sigma + noise_floor) / (level.alpha + signal_floor)))
                };
                let (from, to) = (softened(first)?, softened(last)?);
                interior(times, |l| {
                    // sigma + noise_floor = e (alpha + signal_floor), solved for the angle of sigma / alpha.
                    let e = exp(from + (to - from) * (l / steps));
                    let angle = atan(e) + asin((e * signal_floor - noise_floor) / hypot(1.0, e));
                    process.time_of_angle(angle * FRAC_2_PI)
                })?;
            }
            Self::Beta { alpha, beta } => {
                let (from, to) = (process.level(first)?, process.level(last)?);
                if from.alpha == 0.0 {
                    return Err(Error::SignalVanishes);
                }
                let (from, to) = (from.sigma / from.alpha, to.sigma / to.alpha);
                interior(times, |l| {
                    let sigma = to + (from - to) * beta_distribution::quantile(alpha, beta, 1.0 - l / steps)?;
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
        self.fill_some(chain_steps, timesteps.len(), timesteps)
    }

    /// Fills `timesteps` with `L` of `L + 1`: [`Linspace`](Self::Linspace) and [`Leading`](Self::Leading) leave the one nearest to data
    /// out, because the last step goes from there to data or to a noise level of its own. DPM-Solver, DEIS and UniPC of diffusers do so.
    ///
    /// # Errors
    /// `L` outside `1..=T - 1`, or of `1..=T` for [`Trailing`](Self::Trailing); a timestep beyond the chain.
    pub fn fill_before_data(&self, chain_steps: usize, timesteps: &mut [u32]) -> Result<(), Error> {
        let more = usize::from(*self != Self::Trailing);
        self.fill_some(chain_steps, timesteps.len() + more, timesteps)
    }

    /// The first of `count` timesteps.
    fn fill_some(&self, chain_steps: usize, count: usize, timesteps: &mut [u32]) -> Result<(), Error> {
        in_range("sampling steps", timesteps.len() as f64, 1.0, chain_steps as f64)?;
        for (i, entry) in timesteps.iter_mut().enumerate() {
            *entry = rint(self.timestep(chain_steps, count, i)?) as u32;
        }
        Ok(())
    }

    /// Fills `timesteps` as [`fill`](Self::fill) does, but without rounding [`Linspace`](Self::Linspace): Euler, Heun and LMS of diffusers
    /// and k-diffusion visit a chain between its entries ([`sigma_clock`](crate::sigma_clock)).
    ///
    /// # Errors
    /// As of [`fill`](Self::fill).
    pub fn fill_between(&self, chain_steps: usize, timesteps: &mut [f64]) -> Result<(), Error> {
        let count = timesteps.len();
        in_range("sampling steps", count as f64, 1.0, chain_steps as f64)?;
        for (i, entry) in timesteps.iter_mut().enumerate() {
            *entry = self.timestep(chain_steps, count, i)?;
        }
        Ok(())
    }

    /// Timestep `i` of `count`, whole but for [`Linspace`](Self::Linspace).
    fn timestep(&self, chain_steps: usize, count: usize, i: usize) -> Result<f64, Error> {
        let (total, from_data) = (chain_steps as f64, (count - 1 - i) as f64);
        in_range("sampling steps", count as f64, 1.0, total)?;
        // The rounded stride of numpy.arange: where T - i T / L ends in a half, its error decides the rounding.
        let stride = (total - total / count as f64) - total;
        let timestep = match *self {
            Self::Linspace if count == 1 => 0.0,
            Self::Linspace if i == 0 => total - 1.0,
            Self::Linspace => from_data * ((total - 1.0) / (count as f64 - 1.0)),
            Self::Leading { offset } => from_data * (chain_steps / count) as f64 + f64::from(offset),
            Self::Trailing => rint(total + i as f64 * stride) - 1.0,
        };
        in_range("timestep", timestep, 0.0, total - 1.0)?;
        Ok(timestep)
    }

    /// The timestep that a DDIM step of diffusers goes *to*: `timestep - T / L`, whole-number division, whatever
    /// the spacing; `None` when that is below 0, meaning clean data. (Its DDPM goes to the next timestep it visits.)
    pub fn previous(timestep: u32, chain_steps: usize, count: usize) -> Option<u32> {
        timestep.checked_sub(u32::try_from(chain_steps.checked_div(count)?).ok()?)
    }
}

/// Even numbers from `first` to `last`, rounded as `numpy.linspace` rounds them: what libraries make of them later can depend on the last bit.
///
/// ```
/// let mut times = [0.0; 5];
/// tweedie_core::discretise::even(1.0, 0.5, &mut times);
/// assert_eq!(times, [1.0, 0.875, 0.75, 0.625, 0.5]);
/// ```
pub fn even(first: f64, last: f64, out: &mut [f64]) {
    let step = (last - first) / out.len().saturating_sub(1).max(1) as f64;
    out.iter_mut().enumerate().for_each(|(i, value)| *value = i as f64 * step + first);
    if let [_, .., end] = out {
        *end = last;
    }
}

/// A time of flow matching moved towards noise, `shift t / (1 + (shift - 1) t)` (Esser et al. 2024, eq. 23): what larger pictures need, in
/// which the same noise hides less. `shift` above 0; 1 moves nothing. "Dynamic shifting" by `mu` is a shift of `exp(mu)`.
///
/// # Errors
/// `t` outside [0, 1], `shift` not above 0.
///
/// ```
/// use tweedie_core::discretise::shifted;
/// assert_eq!((shifted(0.5, 3.0)?, shifted(1.0, 3.0)?, shifted(0.0, 3.0)?), (0.75, 1.0, 0.0));
/// # Ok::<(), tweedie_core::Error>(())
/// ```
pub fn shifted(t: f64, shift: f64) -> Result<f64, Error> {
    in_range("time of flow matching", t, 0.0, 1.0)?;
    in_range("shift", shift, f64::MIN_POSITIVE, 1e9)?;
    Ok(shift * t / (1.0 + (shift - 1.0) * t))
}
