//! What a deterministic sampler makes of a distribution on a line.

use super::diagonal::DiagonalMixture;
use super::mixture::wrong_length;
use crate::error::in_range;
use crate::{Error, NoiseLevel};
use libm::log;

/// An increasing map of the line, known at points: `to[i]` is where `from[i]` is carried, and between two points it is straight.
///
/// A deterministic sampler is one, if its steps do not overshoot. So the distribution that it draws from is known exactly: the
/// chance of an interval is that of the noise which the map carries there.
///
/// ```
/// use tweedie_core::{NoiseLevel, exact::{DiagonalMixture, IncreasingMap}};
/// let unit = DiagonalMixture::new(&[1.0], &[0.0], &[1.0])?;
/// let (from, to) = ([-9.0, 0.0, 9.0], [-18.0, 0.0, 18.0]);
/// let doubled = IncreasingMap::new(&from, &to)?;
/// assert!((doubled.entropy_gained(&unit, NoiseLevel::CLEAN)? - core::f64::consts::LN_2).abs() < 1e-12);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IncreasingMap<'a> {
    from: &'a [f64],
    to: &'a [f64],
}

impl<'a> IncreasingMap<'a> {
    /// A map from at least two points and where they are carried; both rise.
    ///
    /// # Errors
    /// [`Error::WrongLength`] for fewer points, or not as many in `to`; [`Error::OutOfRange`] where one of them does not rise.
    pub fn new(from: &'a [f64], to: &'a [f64]) -> Result<Self, Error> {
        if from.len() < 2 {
            return Err(Error::WrongLength { what: "points of a map", need: 2, have: from.len() });
        }
        wrong_length("points of a map", from.len(), to.len())?;
        for (name, points) in [("point of a map", from), ("image of a map", to)] {
            points.windows(2).try_for_each(|pair| in_range(name, pair[1], pair[0].next_up(), f64::MAX))?;
        }
        Ok(Self { from, to })
    }

    /// By how much the entropy of `x_t` grows when it is carried, in nats: `E ln (d to / d from)`, over the mapped part of the line.
    ///
    /// For the steps of DDIM in the variance-exploding process, whose map is `E[x_s | x_t]`, it is negative (Theorem 3.3).
    ///
    /// # Errors
    /// Those of [`DiagonalMixture::chance`].
    pub fn entropy_gained(&self, data: &DiagonalMixture<'_>, level: NoiseLevel) -> Result<f64, Error> {
        let mut gained = 0.0;
        for (from, to) in self.from.windows(2).zip(self.to.windows(2)) {
            let chance = data.chance(from[0], from[1], level)?;
            if chance > 0.0 {
                gained += chance * log((to[1] - to[0]) / (from[1] - from[0]));
            }
        }
        Ok(gained)
    }

    /// The total variation between what the map makes of `x_t` at one level and `x_s` at another: half the sum, over intervals, of
    /// differences in chance, which tends to the whole as points grow dense. Theorem 3.4 bounds it by `O(D / L)` for `L` steps of DDIM.
    ///
    /// # Errors
    /// Those of [`DiagonalMixture::chance`].
    pub fn total_variation(
        &self,
        data: &DiagonalMixture<'_>,
        level: NoiseLevel,
        end: NoiseLevel,
    ) -> Result<f64, Error> {
        let (mut inside, mut reached) = (0.0, 0.0);
        for (from, to) in self.from.windows(2).zip(self.to.windows(2)) {
            let (drawn, due) = (data.chance(from[0], from[1], level)?, data.chance(to[0], to[1], end)?);
            inside += (drawn - due).abs();
            reached += due;
        }
        // What lies beyond the outermost points is missed.
        Ok(0.5 * (inside + (1.0 - reached).max(0.0)))
    }
}
