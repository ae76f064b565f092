//! The geometry of noise: in many dimensions its norm hardly varies, so Gaussian noise lives on a thin shell.
//!
//! ```
//! use tweedie_core::shell;
//! // 32 x 32 standard normal noise: expected squared norm 1024, so a norm of 32.
//! assert_eq!(shell::expected_squared_norm(32 * 32), 1024.0);
//! assert_eq!(libm::sqrt(shell::expected_squared_norm(32 * 32)), 32.0);
//! ```

use libm::sqrt;

/// `E |eps|^2 = d` for standard normal noise in `d` dimensions.
pub fn expected_squared_norm(dimensions: usize) -> f64 {
    dimensions as f64
}

/// Standard deviation over mean of the squared norm of Gaussian noise: `sqrt(2 / d)`.
pub fn spread_gaussian(dimensions: usize) -> f64 {
    sqrt(2.0 / dimensions as f64)
}

/// Standard deviation over mean of the squared norm of noise uniform in [0, 1]: `2 / sqrt(5 d)`.
pub fn spread_uniform(dimensions: usize) -> f64 {
    2.0 / sqrt(5.0 * dimensions as f64)
}
