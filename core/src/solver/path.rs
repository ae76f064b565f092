//! The way of a sampler: its times and the noise levels there.

use crate::schedule::Process;
use crate::{Error, NoiseLevel};

/// A process along falling times.
pub(crate) struct Path<'a, P: ?Sized> {
    pub(crate) process: &'a P,
    times: &'a [f64],
}

impl<'a, P: Process + ?Sized> Path<'a, P> {
    /// At least two times, the levels at which never lose log-SNR.
    pub(crate) fn new(process: &'a P, times: &'a [f64]) -> Result<Self, Error> {
        if times.len() < 2 {
            return Err(Error::WrongLength { what: "times of a plan", need: 2, have: times.len() });
        }
        let path = Self { process, times };
        for k in 0..path.steps() {
            let (from, to) = (path.level(k)?, path.level(k + 1)?);
            if from.sigma == 0.0 {
                return Err(Error::NoiseVanishes);
            }
            if to.alpha == 0.0 && from.alpha > 0.0 || lambda_between(to, from) < 0.0 {
                return Err(Error::NotDenoising { from: from.log_snr(), to: to.log_snr() });
            }
        }
        Ok(path)
    }

    /// As [`new`](Self::new), for a plan with one row a step.
    pub(crate) fn with_rows(process: &'a P, times: &'a [f64], rows: usize) -> Result<Self, Error> {
        if rows == 0 || times.len() != rows + 1 {
            return Err(Error::WrongLength { what: "times of a plan", need: rows.max(1) + 1, have: times.len() });
        }
        Self::new(process, times)
    }

    pub(crate) fn steps(&self) -> usize {
        self.times.len() - 1
    }

    pub(crate) fn time(&self, k: usize) -> f64 {
        self.times[k]
    }

    pub(crate) fn level(&self, k: usize) -> Result<NoiseLevel, Error> {
        self.process.level(self.times[k])
    }

    /// The first time with signal: 0, but 1 when the path starts at pure noise.
    pub(crate) fn first_with_signal(&self) -> Result<usize, Error> {
        Ok(usize::from(self.level(0)?.alpha == 0.0))
    }
}

/// `lambda_a - lambda_b`, with `lambda = ln(alpha / sigma)` half the log-SNR.
pub(crate) fn lambda_between(a: NoiseLevel, b: NoiseLevel) -> f64 {
    if a == b { 0.0 } else { 0.5 * (a.log_snr() - b.log_snr()) }
}

/// `sigma / alpha`, the noise level of `x / alpha`.
pub(crate) fn ratio(level: NoiseLevel) -> f64 {
    level.sigma / level.alpha
}
