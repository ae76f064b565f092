//! The geometry of noise: in many dimensions its norm hardly varies, so Gaussian noise lives on a thin shell.
//!
//! ```
//! use tweedie_core::shell;
//! // 32 x 32 standard normal noise: expected squared norm 1024, so a norm of 32.
//! assert_eq!(shell::expected_squared_norm(32 * 32), 1024.0);
//! assert_eq!(libm::sqrt(shell::expected_squared_norm(32 * 32)), 32.0);
//! ```

use libm::{exp, lgamma, log, sqrt};

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

/// The density of `|eps|^2 / d` at a positive number, for standard normal noise: a chi-squared distribution over its mean.
///
/// ```
/// use tweedie_core::shell;
/// // In 200 dimensions nearly a Gaussian about 1, of standard deviation sqrt(2 / 200) = 0.1.
/// assert!((shell::density(1.0, 200) - 3.99).abs() < 0.01);
/// assert!(shell::density(0.6, 200) < 1e-3 && shell::density(1.5, 200) < 1e-3);
/// ```
pub fn density(squared_norm_over_d: f64, dimensions: usize) -> f64 {
    let half = 0.5 * dimensions as f64;
    half * exp((half - 1.0) * log(half * squared_norm_over_d) - half * squared_norm_over_d - lgamma(half))
}

/// Where the cosine `<u, v> / (|u| |v|)` of two vectors of independent entries tends in many dimensions:
/// `mu_u mu_v / sqrt((s_u^2 + mu_u^2) (s_v^2 + mu_v^2))`, each given as `(mean, standard deviation)` of its entries.
///
/// 0 when either mean is 0: draws of noise are nearly orthogonal to each other and to everything else. Not a number for entries that
/// are all 0, which have no direction.
///
/// ```
/// use tweedie_core::shell;
/// assert_eq!(shell::cosine_limit((0.0, 1.0), (0.3, 2.0)), 0.0);
/// assert_eq!(shell::cosine_limit((3.0, 4.0), (3.0, 4.0)), 9.0 / 25.0);
/// ```
pub fn cosine_limit((mean_u, deviation_u): (f64, f64), (mean_v, deviation_v): (f64, f64)) -> f64 {
    let square = |mean: f64, deviation: f64| deviation * deviation + mean * mean;
    mean_u * mean_v / sqrt(square(mean_u, deviation_u) * square(mean_v, deviation_v))
}

/// Standard deviation of the cosine between two draws of Gaussian noise: `1 / sqrt(d)`, exactly.
pub fn cosine_deviation(dimensions: usize) -> f64 {
    1.0 / sqrt(dimensions as f64)
}
