//! The exact probability flow of a mixture on a line.

use super::diagonal::DiagonalMixture;
use super::gaussian::total;
use super::mixture::{LARGEST, Mixture, wrong_length};
use crate::error::in_range;
use crate::{Error, NoiseLevel};
use core::f64::consts::SQRT_2;
use libm::{erfc, sqrt};

/// In one dimension, where the distribution function is known and the probability flow with it.
impl DiagonalMixture<'_> {
    /// The chances that `x_t` is at most `x`, and that it is larger: two numbers, since the smaller one keeps its digits in a tail.
    ///
    /// # Errors
    /// [`Error::WrongLength`] in more than one dimension; [`Error::OutOfRange`] beyond [`LARGEST`].
    pub fn distribution(&self, x: f64, level: NoiseLevel) -> Result<(f64, f64), Error> {
        wrong_length("coordinates of a distribution function", 1, self.dimension())?;
        in_range("x_t", x, -LARGEST, LARGEST)?;
        let (mut below, mut above) = (0.0, 0.0);
        for k in 0..self.components() {
            let (centre, deviation) = self.noised(k, level);
            let (at_most, more) = if deviation > 0.0 {
                let z = (x - centre) / deviation / SQRT_2;
                (0.5 * erfc(-z), 0.5 * erfc(z))
            } else if x >= centre {
                (1.0, 0.0)
            } else {
                (0.0, 1.0)
            };
            below += self.prior(k) * at_most;
            above += self.prior(k) * more;
        }
        Ok((below, above))
    }

    /// The chance that `x_t` lies between two points, the lower one first; taken from the side that keeps its digits in a tail.
    ///
    /// # Errors
    /// As of [`distribution`](Self::distribution).
    pub fn chance(&self, low: f64, high: f64, level: NoiseLevel) -> Result<f64, Error> {
        let ((below_low, above_low), (below_high, above_high)) =
            (self.distribution(low, level)?, self.distribution(high, level)?);
        Ok(if below_low < 0.5 { below_high - below_low } else { above_low - above_high })
    }

    /// Where the probability flow carries `x_t` on its way between two levels, exactly: trajectories on a line never cross, so it is
    /// the point with the same share of the distribution below it.
    ///
    /// Good to some fourteen digits within 37 deviations, beyond which no share is left to compare. A sampler with many
    /// steps tends to it.
    ///
    /// ```
    /// use tweedie_core::{NoiseLevel, exact::DiagonalMixture};
    /// let points = DiagonalMixture::new(&[1.0, 1.0], &[-1.0, 1.0], &[0.0, 0.0])?;
    /// assert_eq!(points.flow(0.2, NoiseLevel::new(0.0, 1.0)?, NoiseLevel::CLEAN)?, 1.0);
    /// # Ok::<(), tweedie_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As of [`distribution`](Self::distribution), and [`Error::NoiseVanishes`] from points without noise.
    pub fn flow(&self, x_t: f64, from: NoiseLevel, to: NoiseLevel) -> Result<f64, Error> {
        let (below, above) = self.distribution(x_t, from)?;
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for k in 0..self.components() {
            if self.noised(k, from).1 == 0.0 {
                return Err(Error::NoiseVanishes);
            }
            let (centre, deviation) = self.noised(k, to);
            // Beyond 38.5 deviations even the smallest share is 0.
            (low, high) = (low.min((centre - 39.0 * deviation).next_down()), high.max(centre + 39.0 * deviation));
        }
        // Bisection: `high` has at least the share below it, `low` less.
        for _ in 0..200 {
            let middle = low + 0.5 * (high - low);
            let (so_far, left) = self.distribution(middle, to)?;
            let is_enough = if below < above { so_far >= below } else { left <= above };
            if is_enough { high = middle } else { low = middle }
        }
        Ok(high)
    }

    /// Mean and standard deviation of component `k` of `x_t`.
    fn noised(&self, k: usize, level: NoiseLevel) -> (f64, f64) {
        let (mean, variance) = self.component(k);
        (level.alpha * mean[0], sqrt(total(variance[0], level)))
    }
}
