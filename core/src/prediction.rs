//! What a network predicts, and how each prediction converts to every other.
//!
//! All of them are linear in `x_0` and `eps`, and so is `x_t`; two of the three therefore determine the third. The
//! conversion to `x0_hat` and back is the hub; any prediction reaches any other through it.

use crate::noise_level::Velocity;
use crate::schedule::Process;
use crate::{Error, NoiseLevel};

/// A network's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Prediction {
    /// The data, `x_0`.
    X0,
    /// The noise, `eps`.
    Eps,
    /// `v = (alpha eps - sigma x_0) / sqrt(alpha^2 + sigma^2)` (Salimans and Ho 2022). The root is 1 when
    /// variance-preserving; with it, `v` has the same meaning, and the same size, in every process.
    V,
    /// The velocity of flow matching, `u = alpha' x_0 + sigma' eps` (Remark 3.3).
    Velocity,
    /// The score `grad log p_t(x_t)`; given `x_0` it is `-eps / sigma`.
    Score,
}

/// `x_t` and an output combined: `from_state x_t + from_output output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    /// Multiplies the state `x_t`.
    pub from_state: f64,
    /// Multiplies the network's output.
    pub from_output: f64,
}

impl Conversion {
    /// The conversion of one number.
    pub fn apply(&self, x_t: f64, output: f64) -> f64 {
        self.from_state * x_t + self.from_output * output
    }
}

/// A regression target: `from_x0 x_0 + from_eps eps`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Multiplies the data.
    pub from_x0: f64,
    /// Multiplies the noise.
    pub from_eps: f64,
}

/// A point in time with everything that conversions need: the noise level and how fast it changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// `alpha` and `sigma`.
    pub level: NoiseLevel,
    /// `alpha'` and `sigma'`.
    pub velocity: Velocity,
}

impl Moment {
    /// The moment at time `t` of a process.
    pub fn at(process: &(impl Process + ?Sized), t: f64) -> Result<Self, Error> {
        Ok(Self { level: process.level(t)?, velocity: process.velocity(t)? })
    }

    /// `alpha sigma' - alpha' sigma`, positive wherever the SNR strictly falls.
    pub(crate) fn wronskian(&self) -> f64 {
        self.level.alpha * self.velocity.sigma - self.velocity.alpha * self.level.sigma
    }
}

impl Prediction {
    /// What the network is trained to output, as a combination of `x_0` and `eps`.
    ///
    /// # Errors
    /// [`Error::NoiseVanishes`] for the score at `sigma = 0`; [`Error::VelocityUninformative`] where a velocity is
    /// infinite.
    pub fn target(self, moment: &Moment) -> Result<Target, Error> {
        let NoiseLevel { alpha, sigma } = moment.level;
        let (from_x0, from_eps) = match self {
            Self::X0 => (1.0, 0.0),
            Self::Eps => (0.0, 1.0),
            Self::V => {
                let norm = moment.level.norm();
                (-sigma / norm, alpha / norm)
            }
            Self::Velocity => {
                let Velocity { alpha, sigma } = moment.velocity;
                if !(alpha.is_finite() && sigma.is_finite()) {
                    return Err(Error::VelocityUninformative);
                }
                (alpha, sigma)
            }
            Self::Score if sigma == 0.0 => return Err(Error::NoiseVanishes),
            Self::Score => (0.0, -1.0 / sigma),
        };
        // 1 / sigma overflows for the smallest of floating-point numbers.
        if from_eps.is_finite() { Ok(Target { from_x0, from_eps }) } else { Err(Error::NoiseVanishes) }
    }

    /// How `x_t` and this prediction give `x0_hat`.
    ///
    /// | prediction | `x0_hat` |
    /// |---|---|
    /// | `x_0` | the output itself |
    /// | `eps` | `(x_t - sigma eps_hat) / alpha` |
    /// | `v` | `alpha x_t / (alpha^2 + sigma^2) - sigma v_hat / sqrt(alpha^2 + sigma^2)`, both roots being 1 when variance-preserving |
    /// | velocity | `(sigma' x_t - sigma u_hat) / (alpha sigma' - alpha' sigma)` |
    /// | score | `(x_t + sigma^2 score) / alpha`, Tweedie's formula (3.2.86) |
    ///
    /// # Errors
    /// [`Error::SignalVanishes`] where `eps` or the score would be divided by `alpha = 0`;
    /// [`Error::VelocityUninformative`] where the velocity's denominator is 0 or not finite.
    pub fn to_x0(self, moment: &Moment) -> Result<Conversion, Error> {
        let NoiseLevel { alpha, sigma } = moment.level;
        let (from_state, from_output) = match self {
            Self::X0 => (0.0, 1.0),
            Self::Eps | Self::Score if alpha == 0.0 => return Err(Error::SignalVanishes),
            Self::Eps => (1.0 / alpha, -sigma / alpha),
            Self::Score => (1.0 / alpha, sigma * sigma / alpha),
            Self::V => {
                let norm = moment.level.norm();
                (alpha / norm / norm, -sigma / norm)
            }
            Self::Velocity => {
                let wronskian = moment.wronskian();
                if !(wronskian.is_finite() && wronskian > 0.0) {
                    return Err(Error::VelocityUninformative);
                }
                (moment.velocity.sigma / wronskian, -sigma / wronskian)
            }
        };
        let conversion = Conversion { from_state, from_output };
        if conversion.from_state.is_finite() && conversion.from_output.is_finite() {
            Ok(conversion)
        } else {
            Err(Error::SignalVanishes)
        }
    }

    /// How `x_t` and `x0_hat` give this prediction: the inverse of [`to_x0`](Self::to_x0).
    ///
    /// # Errors
    /// [`Error::NoiseVanishes`] at `sigma = 0` for everything but `x_0`, because the noise cannot be told from `x_t` there.
    pub fn from_x0(self, moment: &Moment) -> Result<Conversion, Error> {
        if self == Self::X0 {
            return Ok(Conversion { from_state: 0.0, from_output: 1.0 });
        }
        let NoiseLevel { alpha, sigma } = moment.level;
        if sigma == 0.0 {
            return Err(Error::NoiseVanishes);
        }
        // With eps_hat = (x_t - alpha x0_hat) / sigma put into the target.
        let Target { from_x0, from_eps } = self.target(moment)?;
        let conversion = Conversion { from_state: from_eps / sigma, from_output: from_x0 - from_eps * alpha / sigma };
        if conversion.from_state.is_finite() && conversion.from_output.is_finite() {
            Ok(conversion)
        } else {
            Err(Error::NoiseVanishes)
        }
    }

    /// How `x_t` and this prediction give `other`.
    ///
    /// # Errors
    /// Those of [`to_x0`](Self::to_x0) and [`from_x0`](Self::from_x0); converting a prediction to itself never fails.
    pub fn convert(self, other: Self, moment: &Moment) -> Result<Conversion, Error> {
        if self == other {
            return Ok(Conversion { from_state: 0.0, from_output: 1.0 });
        }
        let (to, from) = (self.to_x0(moment)?, other.from_x0(moment)?);
        let conversion = Conversion {
            from_state: from.from_state + from.from_output * to.from_state,
            from_output: from.from_output * to.from_output,
        };
        if conversion.from_state.is_finite() && conversion.from_output.is_finite() {
            Ok(conversion)
        } else if moment.level.alpha < moment.level.sigma {
            Err(Error::SignalVanishes)
        } else {
            Err(Error::NoiseVanishes)
        }
    }
}
