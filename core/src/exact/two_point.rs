//! Two points on a line: the smallest mixture (Example 3.4).

use crate::NoiseLevel;
use libm::tanh;

/// Data `-1` or `+1` with equal chances: `x0_hat = tanh(alpha x_t / sigma^2)` (Example 3.4); the sign of `x_t` without noise.
///
/// ```
/// use tweedie_core::{NoiseLevel, exact::two_point};
/// // The variance-exploding form of the texts, tanh(x / t^2).
/// assert_eq!(two_point(0.3, NoiseLevel::new(1.0, 0.5)?), libm::tanh(0.3 / 0.25));
/// # Ok::<(), tweedie_core::Error>(())
/// ```
pub fn two_point(x_t: f64, level: NoiseLevel) -> f64 {
    if x_t == 0.0 || level.alpha == 0.0 {
        return 0.0;
    }
    // Two quotients, since the product alpha x_t and the square of sigma may both underflow.
    tanh((level.alpha / level.sigma) * (x_t / level.sigma))
}
