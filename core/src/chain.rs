//! DDPM chains: `T` discrete steps, each adding a little noise with variance `beta_t`.

use crate::error::in_range;
use crate::noise_level::Velocity;
use crate::schedule::Process;
use crate::{Error, NoiseLevel};
use core::f64::consts::FRAC_PI_2;
use libm::{cos, exp, floor, log, sqrt};

/// A rule for the noise variances `beta_1 ..= beta_T` of a chain (2.1).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Betas<'a> {
    /// Evenly spaced from `start` to `end` (Ho et al. 2020: 1e-4 to 0.02 over 1000 steps).
    Linear {
        /// `beta_1`.
        start: f64,
        /// `beta_T`.
        end: f64,
    },
    /// Square roots evenly spaced (latent diffusion).
    ScaledLinear {
        /// `beta_1`.
        start: f64,
        /// `beta_T`.
        end: f64,
    },
    /// `alpha_bar` follows a squared cosine, every `beta` capped at 0.999 (Nichol and Dhariwal 2021; `squaredcos_cap_v2`).
    Cosine,
    /// `alpha_bar` is `exp(-12 t)` over the chain, so every `beta` is the same (`exp` of diffusers).
    Exponential,
    /// The signal-to-noise ratio follows a Laplace distribution's quantiles (Hang et al. 2024), every `beta` capped at 0.999. As diffusers has it:
    /// `sqrt(snr / (1 + snr))` stands where `alpha_bar` should, so that the chain ends with less noise than the paper's.
    Laplace,
    /// A logistic curve from `start` to `end`, its argument running over [-6, 6].
    Sigmoid {
        /// The variance that the curve starts from.
        start: f64,
        /// The variance that the curve ends at.
        end: f64,
    },
    /// Variances given by the user, each in `[0, 1)`; as many as the chain has steps.
    Given(&'a [f64]),
}

impl Betas<'_> {
    /// Writes `beta_1 ..= beta_T`, `T = out.len()`, each in `[0, 1)`.
    ///
    /// # Errors
    /// An empty `out`, a given table of another length, or a variance outside `[0, 1)`.
    pub fn fill(&self, out: &mut [f64]) -> Result<(), Error> {
        let steps = out.len();
        if steps == 0 {
            return Err(Error::WrongLength { what: "a chain's steps", need: 1, have: 0 });
        }
        let line = |i: usize, from: f64, to: f64| {
            if i + 1 == steps && i > 0 { to } else { from + (to - from) * i as f64 / (steps - 1).max(1) as f64 }
        };
        match *self {
            Self::Linear { start, end } => {
                in_range("beta_start", start, 0.0, MAX_BETA)?;
                in_range("beta_end", end, 0.0, MAX_BETA)?;
                out.iter_mut().enumerate().for_each(|(i, b)| *b = line(i, start, end));
            }
            Self::ScaledLinear { start, end } => {
                in_range("beta_start", start, 0.0, MAX_BETA)?;
                in_range("beta_end", end, 0.0, MAX_BETA)?;
                let (from, to) = (sqrt(start), sqrt(end));
                out.iter_mut().enumerate().for_each(|(i, b)| {
                    let root = line(i, from, to);
                    *b = root * root;
                });
            }
            Self::Cosine => capped(out, |share| {
                let c = cos((share + 0.008) / 1.008 * FRAC_PI_2);
                c * c
            }),
            Self::Exponential => capped(out, |share| exp(-12.0 * share)),
            Self::Laplace => capped(out, |share| {
                let side = 0.5 - share;
                let snr = exp(-0.5 * libm::copysign(1.0, side) * log(1.0 - 2.0 * side.abs() + 1e-6));
                sqrt(snr / (1.0 + snr))
            }),
            Self::Sigmoid { start, end } => {
                in_range("beta_start", start, 0.0, MAX_BETA)?;
                in_range("beta_end", end, 0.0, MAX_BETA)?;
                out.iter_mut().enumerate().for_each(|(i, b)| {
                    *b = start + (end - start) / (1.0 + exp(-line(i, -6.0, 6.0)));
                });
            }
            Self::Given(betas) => {
                if betas.len() != steps {
                    return Err(Error::WrongLength { what: "given betas", need: steps, have: betas.len() });
                }
                for &beta in betas {
                    if !(0.0..1.0).contains(&beta) {
                        return Err(Error::OutOfRange { name: "beta", value: beta, min: 0.0, max: 1.0 });
                    }
                }
                out.copy_from_slice(betas);
            }
        }
        Ok(())
    }
}

const MAX_BETA: f64 = 0.999;

/// Variances that take `alpha_bar`, a function of the share of the chain, from each step to the next.
fn capped(betas: &mut [f64], alpha_bar: impl Fn(f64) -> f64) {
    let steps = betas.len() as f64;
    let at = |i: usize| alpha_bar(i as f64 / steps);
    betas.iter_mut().enumerate().for_each(|(i, beta)| *beta = (1.0 - at(i + 1) / at(i)).min(MAX_BETA));
}

/// A chain of `T` steps, as a table of `alpha_bar_t = prod_{i <= t} (1 - beta_i)` in storage of the
/// caller's choice: a borrowed slice, an array, a vector.
///
/// Chain index `i` runs over `0..=T` as in the texts: 0 is data, `i` is the state after `i` noising steps.
/// Libraries such as diffusers number *timesteps* from 0 instead: timestep `tau` is chain index `tau + 1`.
///
/// ```
/// use tweedie_core::chain::{Betas, Chain};
/// let mut storage = [0.0; 1000];
/// let chain = Chain::new(Betas::Linear { start: 1e-4, end: 0.02 }, &mut storage)?;
/// assert!((chain.alpha_bar(1000)? - 4.0358e-5).abs() < 1e-8);
/// assert_eq!(chain.alpha_bar(0)?, 1.0);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chain<S> {
    alpha_bar: S,
}

impl<'a> Chain<&'a [f64]> {
    /// Computes the table; `storage.len()` is the number of steps `T`.
    pub fn new(betas: Betas<'_>, storage: &'a mut [f64]) -> Result<Self, Error> {
        betas.fill(storage)?;
        let mut product = 1.0;
        for entry in storage.iter_mut() {
            product *= 1.0 - *entry;
            *entry = product;
        }
        Ok(Self { alpha_bar: storage })
    }

    /// As [`new`](Self::new), then rescaled so that the last step has no signal at all
    /// (zero terminal SNR; Lin et al. 2023, Algorithm 1): `sqrt(alpha_bar)` is shifted and stretched to end at 0
    /// while its first entry stays.
    pub fn with_zero_terminal_snr(betas: Betas<'_>, storage: &'a mut [f64]) -> Result<Self, Error> {
        Chain::new(betas, &mut *storage)?;
        let (first, last) = (sqrt(storage[0]), sqrt(storage[storage.len() - 1]));
        if storage.len() < 2 || first <= last {
            return Err(Error::WrongLength { what: "a chain with zero terminal SNR", need: 2, have: storage.len() });
        }
        for entry in storage.iter_mut() {
            let root = (sqrt(*entry) - last) * first / (first - last);
            *entry = root * root;
        }
        Ok(Self { alpha_bar: storage })
    }
}

impl<S: AsRef<[f64]>> Chain<S> {
    /// A table of `alpha_bar_1 ..= alpha_bar_T` that already exists: in [0, 1] and never rising.
    pub fn from_alpha_bar(alpha_bar: S) -> Result<Self, Error> {
        let mut previous = 1.0;
        for &entry in alpha_bar.as_ref() {
            in_range("alpha_bar", entry, 0.0, previous)?;
            previous = entry;
        }
        if alpha_bar.as_ref().is_empty() {
            return Err(Error::WrongLength { what: "a chain's steps", need: 1, have: 0 });
        }
        Ok(Self { alpha_bar })
    }

    /// The number of steps `T`.
    pub fn steps(&self) -> usize {
        self.alpha_bar.as_ref().len()
    }

    /// `alpha_bar_i` for chain index `i` in `0..=T`; `alpha_bar_0 = 1`.
    pub fn alpha_bar(&self, i: usize) -> Result<f64, Error> {
        match i {
            0 => Ok(1.0),
            _ => self
                .alpha_bar
                .as_ref()
                .get(i - 1)
                .copied()
                .ok_or(Error::TimeOutOfRange { t: i as f64, horizon: self.steps() as f64 }),
        }
    }

    /// `beta_i = 1 - alpha_bar_i / alpha_bar_{i-1}` for `i` in `1..=T` (2.5).
    pub fn beta(&self, i: usize) -> Result<f64, Error> {
        if i == 0 {
            return Err(Error::OutOfRange { name: "chain index", value: 0.0, min: 1.0, max: self.steps() as f64 });
        }
        let (before, after) = (self.alpha_bar(i - 1)?, self.alpha_bar(i)?);
        if before > 0.0 { Ok(1.0 - after / before) } else { Ok(1.0) }
    }

    /// The noise level at chain index `i` in `0..=T`.
    pub fn level_at(&self, i: usize) -> Result<NoiseLevel, Error> {
        NoiseLevel::from_alpha_bar(self.alpha_bar(i)?)
    }

    /// The level at a real-valued index and the slope of `alpha` per index. In between `ln alpha_bar` is linear, but
    /// on the way to an entry without signal (zero terminal SNR), whose logarithm is infinite, `alpha` is.
    fn between_entries(&self, index: f64) -> Result<(NoiseLevel, f64), Error> {
        let low = (floor(index) as usize).min(self.steps() - 1);
        let part = index - low as f64;
        let (from, to) = (self.alpha_bar(low)?, self.alpha_bar(low + 1)?);
        if to == 0.0 {
            let start = sqrt(from);
            let alpha = start * (1.0 - part);
            return Ok((NoiseLevel { alpha, sigma: sqrt(1.0 - alpha * alpha) }, -start));
        }
        let (from, to) = (-log(from), -log(to));
        let decay = from + part * (to - from);
        let alpha = exp(-0.5 * decay);
        Ok((NoiseLevel { alpha, sigma: sqrt(-libm::expm1(-decay)) }, -0.5 * (to - from) * alpha))
    }
}

/// Continuous time over the chain: `t` in [0, 1] stands for chain index `t T`, with `ln alpha_bar` interpolated linearly
/// (and `alpha` on the way to an entry without signal).
impl<S: AsRef<[f64]>> Process for Chain<S> {
    fn horizon(&self) -> f64 {
        1.0
    }

    fn level(&self, t: f64) -> Result<NoiseLevel, Error> {
        if !(0.0..=1.0).contains(&t) {
            return Err(Error::TimeOutOfRange { t, horizon: 1.0 });
        }
        let index = t * self.steps() as f64;
        let nearest = libm::rint(index);
        // A time that means a whole index, as rounded as i / T times T is, gives that index's own table entry.
        if libm::fabs(index - nearest) <= 4.0 * f64::EPSILON * nearest {
            return self.level_at(nearest as usize);
        }
        Ok(self.between_entries(index)?.0)
    }

    fn velocity(&self, t: f64) -> Result<Velocity, Error> {
        let level = self.level(t)?;
        let (_, slope) = self.between_entries(t * self.steps() as f64)?;
        let alpha = slope * self.steps() as f64;
        // From alpha^2 + sigma^2 = 1; a chain that adds no noise at first stands still there.
        let sigma = if alpha == 0.0 { 0.0 } else { -level.alpha * alpha / level.sigma };
        Ok(Velocity { alpha, sigma })
    }
}
