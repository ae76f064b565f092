//! The forward process: adding noise.

use crate::error::in_range;
use crate::prediction::Moment;
use crate::schedule::Process;
use crate::tensor::{CombineError, Tensor};
use crate::{Error, NoiseLevel};
use libm::sqrt;

/// The coefficients of one noising step, `x_t = a x_s + b eps`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noising {
    /// Multiplies the earlier state.
    pub signal: f64,
    /// Multiplies fresh unit noise.
    pub noise: f64,
}

impl Noising {
    /// One step of a chain: `x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) eps` (2.1), `beta` in [0, 1].
    pub fn one_step(beta: f64) -> Result<Self, Error> {
        in_range("beta", beta, 0.0, 1.0)?;
        Ok(Self { signal: sqrt(1.0 - beta), noise: sqrt(beta) })
    }

    /// From clean data in one jump: `x_t = alpha x_0 + sigma eps` (2.6), (3.2.85).
    pub fn jump(to: NoiseLevel) -> Self {
        Self { signal: to.alpha, noise: to.sigma }
    }

    /// From one level to a noisier one: the conditional `x_t | x_s` of the Markov chain through both,
    /// `signal = alpha_t / alpha_s`, `noise^2 = sigma_t^2 - signal^2 sigma_s^2`.
    ///
    /// # Errors
    /// [`Error::SignalVanishes`] when `from` has no signal but `to` claims some, [`Error::NotDenoising`] when `to` is
    /// not noisier.
    pub fn between(from: NoiseLevel, to: NoiseLevel) -> Result<Self, Error> {
        let signal = match (from.alpha, to.alpha) {
            (_, 0.0) => 0.0,
            (0.0, _) => return Err(Error::SignalVanishes),
            (before, after) => after / before,
        };
        let carried = signal * from.sigma;
        let variance = (to.sigma - carried) * (to.sigma + carried);
        if variance < 0.0 {
            return Err(Error::NotDenoising { from: to.log_snr(), to: from.log_snr() });
        }
        Ok(Self { signal, noise: sqrt(variance) })
    }

    /// One step of Euler and Maruyama along the forward SDE `dx = f x dt + g dw`, with `f = alpha' / alpha` and
    /// `g^2 = 2 sigma sigma' - 2 f sigma^2` (Song et al. 2021), whose reverse is [`reverse_sde`](crate::solver::reverse_sde):
    ///
    /// ```text
    /// x_to = (1 + f dt) x_from + g sqrt(dt) eps,      dt = to - from
    /// ```
    ///
    /// Composed over ever smaller steps it is the [`jump`](Self::jump), with an error of the order of `dt`.
    ///
    /// # Errors
    /// [`Error::SignalVanishes`] when there is no signal at `from`, [`Error::NotDenoising`] when `to` lies before it; the process's own.
    pub fn euler_maruyama(process: &(impl Process + ?Sized), from: f64, to: f64) -> Result<Self, Error> {
        let (moment, end) = (Moment::at(process, from)?, process.level(to)?);
        let level = moment.level;
        if to < from {
            return Err(Error::NotDenoising { from: end.log_snr(), to: level.log_snr() });
        }
        if level.alpha == 0.0 {
            return Err(Error::SignalVanishes);
        }
        let (span, drift) = (to - from, moment.velocity.alpha / level.alpha);
        let diffusion = 2.0 * level.sigma * moment.wronskian() / level.alpha;
        Ok(Self { signal: 1.0 + drift * span, noise: sqrt(diffusion.max(0.0) * span) })
    }

    /// This step followed by `next`, with independent noises: again one step.
    pub fn then(self, next: Self) -> Self {
        let carried = next.signal * self.noise;
        Self { signal: next.signal * self.signal, noise: sqrt(carried * carried + next.noise * next.noise) }
    }

    /// Applies the step in place: `x <- signal x + noise eps`.
    ///
    /// # Errors
    /// The tensor's own, for operands of different shapes; `x` is then unchanged.
    pub fn apply<T: Tensor + ?Sized>(&self, x: &mut T, eps: &T) -> Result<(), CombineError<T::Error>> {
        let signal = T::coeff(self.signal).map_err(CombineError::Coeff)?;
        let noise = T::coeff(self.noise).map_err(CombineError::Coeff)?;
        x.axpby(signal, noise, eps).map_err(CombineError::Tensor)
    }
}
