//! EDM's preconditioning (Karras et al. 2022, Table 1): what a network sees and what is made of its output, in the variance-exploding process.

use crate::error::in_range;
use crate::prediction::Conversion;
use crate::{Error, NoiseLevel};
use libm::{hypot, log};

/// A network `F` whose estimate is `x0_hat = c_skip x + c_out F(c_in x, c_noise)`.
///
/// For data of unit variance `F` is `-v`; for others it is the `-v` of the data over their standard deviation.
///
/// ```
/// use tweedie_core::{NoiseLevel, noise_level::Velocity, preconditioning::Edm, prediction::{Moment, Prediction}};
/// let level = NoiseLevel { alpha: 1.0, sigma: 0.75 };
/// let edm = Edm { sigma_data: 1.0 }.to_x0(level.sigma)?;
/// let v = Prediction::V.to_x0(&Moment { level, velocity: Velocity { alpha: 0.0, sigma: 1.0 } })?;
/// assert!((edm.from_state - v.from_state).abs() < 1e-15 && (edm.from_output + v.from_output).abs() < 1e-15);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edm {
    /// The standard deviation of the data, above 0.
    pub sigma_data: f64,
}

impl Edm {
    /// `c_in = 1 / sqrt(sigma^2 + sigma_data^2)`, by which the state is multiplied.
    ///
    /// # Errors
    /// A `sigma_data` that is not above 0.
    pub fn input(&self, sigma: f64) -> Result<f64, Error> {
        Ok(1.0 / self.norm(sigma)?)
    }

    /// `c_noise = ln(sigma) / 4`, what the network is told.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a `sigma` that is not above 0.
    pub fn noise(sigma: f64) -> Result<f64, Error> {
        in_range("sigma", sigma, f64::MIN_POSITIVE, f64::MAX)?;
        Ok(0.25 * log(sigma))
    }

    /// What the network is told by Stable Audio (Evans et al. 2024), the angle of the noise level: `2 / pi atan(sigma)`.
    pub fn angle(sigma: f64) -> f64 {
        NoiseLevel { alpha: 1.0, sigma }.angle()
    }

    /// `c_skip = sigma_data^2 / (sigma^2 + sigma_data^2)` and `c_out = sigma sigma_data / sqrt(sigma^2 + sigma_data^2)`.
    ///
    /// # Errors
    /// A `sigma_data` that is not above 0.
    pub fn to_x0(&self, sigma: f64) -> Result<Conversion, Error> {
        let share = self.sigma_data / self.norm(sigma)?;
        Ok(Conversion { from_state: share * share, from_output: sigma * share })
    }

    fn norm(&self, sigma: f64) -> Result<f64, Error> {
        in_range("sigma_data", self.sigma_data, f64::MIN_POSITIVE, f64::MAX)?;
        Ok(hypot(sigma, self.sigma_data))
    }
}
