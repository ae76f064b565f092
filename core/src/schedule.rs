//! Noise schedules in continuous time.

use crate::error::in_range;
use crate::noise_level::Velocity;
use crate::{Error, NoiseLevel};
use core::f64::consts::FRAC_PI_2;
use libm::{cos, exp, expm1, log, sin, sqrt, tan};

/// A process that says how much noise there is at each time `t` in `[0, horizon]`; the SNR falls as `t` rises.
///
/// Implemented by [`Schedule`] in continuous time and by [`Chain`](crate::chain::Chain) for DDPM.
pub trait Process {
    /// The largest time; `t = 0` is data.
    fn horizon(&self) -> f64;

    /// `alpha_t` and `sigma_t`; an error outside `[0, horizon]`.
    fn level(&self, t: f64) -> Result<NoiseLevel, Error>;

    /// `d alpha / dt` and `d sigma / dt`. One of them may be infinite at an end of the interval, as `sigma'` of a
    /// variance-preserving chain is at data.
    fn velocity(&self, t: f64) -> Result<Velocity, Error>;

    /// The time at which `log_snr_t` equals `log_snr`, by bisection to the last bit; clamped to the interval.
    fn time_of_log_snr(&self, log_snr: f64) -> Result<f64, Error> {
        if log_snr.is_nan() {
            return Err(Error::OutOfRange {
                name: "log_snr",
                value: log_snr,
                min: f64::NEG_INFINITY,
                max: f64::INFINITY,
            });
        }
        let (mut low, mut high) = (0.0, self.horizon());
        if self.level(high)?.log_snr() >= log_snr {
            return Ok(high);
        }
        loop {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                return Ok(middle);
            }
            if self.level(middle)?.log_snr() > log_snr {
                low = middle;
            } else {
                high = middle;
            }
        }
    }

    /// The time at which the noise level has the given [`angle`](NoiseLevel::angle), from 0 (data) to 1 (noise).
    fn time_of_angle(&self, angle: f64) -> Result<f64, Error> {
        in_range("angle", angle, 0.0, 1.0)?;
        // sigma / alpha is the angle's tangent.
        self.time_of_log_snr(-2.0 * log(tan(angle * FRAC_PI_2)))
    }

    /// [`level`](Self::level) on the opposite clock of flow matching texts, `0` = noise and `horizon` = data.
    fn level_reversed(&self, t: f64) -> Result<NoiseLevel, Error> {
        self.level(self.horizon() - t)
    }
}

/// The schedules of the texts. Every one is monotone and has its derivatives in closed form.
///
/// ```
/// use tweedie_core::schedule::{Process, Schedule};
/// let level = Schedule::FlowMatching.level(0.25)?;
/// assert_eq!((level.alpha, level.sigma), (0.75, 0.25));
/// # Ok::<(), tweedie_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// Variance exploding: `alpha = 1`, `sigma = t` up to `sigma_max` (3.2.1).
    VarianceExploding {
        /// The horizon, for example 80.
        sigma_max: f64,
    },
    /// Variance preserving: `alpha = sqrt(1 - t^2)`, `sigma = t` (3.2.85).
    VariancePreserving,
    /// Trigonometric, variance preserving: `alpha = cos(pi t / 2)`, `sigma = sin(pi t / 2)`.
    Trigonometric,
    /// Cosine-squared interpolation: `alpha = cos^2(pi t / 2)`, `sigma = 1 - alpha`; not variance preserving.
    CosineSquared,
    /// Variance preserving with `beta_t = beta_min + (beta_max - beta_min) t` in continuous time:
    /// `alpha = exp(-1/2 integral_0^t beta)`, `sigma = sqrt(1 - alpha^2)`.
    LinearBeta {
        /// `beta` at data, commonly 0.1.
        beta_min: f64,
        /// `beta` at noise, commonly 20.
        beta_max: f64,
    },
    /// Flow matching, linear interpolation: `alpha = 1 - t`, `sigma = t` (Remark 3.3).
    FlowMatching,
}

impl Schedule {
    fn validate(&self) -> Result<(), Error> {
        match *self {
            Self::VarianceExploding { sigma_max } => in_range("sigma_max", sigma_max, f64::MIN_POSITIVE, f64::MAX),
            Self::LinearBeta { beta_min, beta_max } => {
                in_range("beta_min", beta_min, f64::MIN_POSITIVE, beta_max)?;
                in_range("beta_max", beta_max, beta_min, f64::MAX)
            }
            _ => Ok(()),
        }
    }

    fn check(&self, t: f64) -> Result<(), Error> {
        self.validate()?;
        let horizon = self.horizon();
        if (0.0..=horizon).contains(&t) { Ok(()) } else { Err(Error::TimeOutOfRange { t, horizon }) }
    }

    /// Whether `alpha^2 + sigma^2 = 1` at every time.
    pub fn is_variance_preserving(&self) -> bool {
        matches!(self, Self::VariancePreserving | Self::Trigonometric | Self::LinearBeta { .. })
    }
}

impl Process for Schedule {
    fn horizon(&self) -> f64 {
        match *self {
            Self::VarianceExploding { sigma_max } => sigma_max,
            _ => 1.0,
        }
    }

    fn level(&self, t: f64) -> Result<NoiseLevel, Error> {
        self.check(t)?;
        let (alpha, sigma) = match *self {
            Self::VarianceExploding { .. } => (1.0, t),
            Self::VariancePreserving => (sqrt((1.0 - t) * (1.0 + t)), t),
            Self::Trigonometric => {
                // cos(pi/2) is 6e-17 in floating point; pure noise has no signal at all.
                if t == 1.0 { (0.0, 1.0) } else { (cos(FRAC_PI_2 * t), sin(FRAC_PI_2 * t)) }
            }
            Self::CosineSquared => {
                let (c, s) = if t == 1.0 { (0.0, 1.0) } else { (cos(FRAC_PI_2 * t), sin(FRAC_PI_2 * t)) };
                (c * c, s * s)
            }
            Self::LinearBeta { beta_min, beta_max } => {
                let integral = t * (beta_min + 0.5 * (beta_max - beta_min) * t);
                (exp(-0.5 * integral), sqrt(-expm1(-integral)))
            }
            Self::FlowMatching => (1.0 - t, t),
        };
        Ok(NoiseLevel { alpha, sigma })
    }

    fn velocity(&self, t: f64) -> Result<Velocity, Error> {
        let NoiseLevel { alpha, sigma } = self.level(t)?;
        let (alpha, sigma) = match *self {
            Self::VarianceExploding { .. } => (0.0, 1.0),
            Self::VariancePreserving => (-t / alpha, 1.0),
            Self::Trigonometric => (-FRAC_PI_2 * sigma, FRAC_PI_2 * alpha),
            Self::CosineSquared => {
                let slope = 2.0 * FRAC_PI_2 * sqrt(alpha * sigma);
                (-slope, slope)
            }
            Self::LinearBeta { beta_min, beta_max } => {
                let beta = beta_min + (beta_max - beta_min) * t;
                (-0.5 * beta * alpha, 0.5 * beta * alpha * alpha / sigma)
            }
            Self::FlowMatching => (-1.0, 1.0),
        };
        Ok(Velocity { alpha, sigma })
    }
}
