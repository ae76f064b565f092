//! Quantiles of the Beta distribution, for the spacing of that name.

use crate::Error;
use crate::error::in_range;
use libm::{exp, lgamma, log, log1p};

/// The value below which a share `p` of the distribution lies; `alpha` and `beta` in [0.01, 100]. By bisection to the last bit.
pub(crate) fn quantile(alpha: f64, beta: f64, p: f64) -> Result<f64, Error> {
    in_range("alpha of the Beta distribution", alpha, 0.01, 100.0)?;
    in_range("beta of the Beta distribution", beta, 0.01, 100.0)?;
    in_range("a share", p, 0.0, 1.0)?;
    if p == 0.0 || p == 1.0 {
        return Ok(p);
    }
    let (mut low, mut high) = (0.0, 1.0);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return Ok(middle);
        }
        if share_below(alpha, beta, middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The regularised incomplete Beta function `I_x(alpha, beta)`, for `x` strictly within (0, 1).
fn share_below(alpha: f64, beta: f64, x: f64) -> f64 {
    let log_front = lgamma(alpha + beta) - lgamma(alpha) - lgamma(beta) + alpha * log(x) + beta * log1p(-x);
    // The fraction converges quickly on one side of the mean, and the distribution is symmetric under exchange.
    if x < (alpha + 1.0) / (alpha + beta + 2.0) {
        exp(log_front) * continued_fraction(alpha, beta, x) / alpha
    } else {
        1.0 - exp(log_front) * continued_fraction(beta, alpha, 1.0 - x) / beta
    }
}

/// The continued fraction of the incomplete Beta function (Abramowitz and Stegun, 26.5.8), by Lentz's method.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_scipy() {
        // scipy.stats.beta.ppf
        let table = [
            (0.6, 0.6, 0.125, 0.05715636362241408),
            (0.6, 0.6, 0.5, 0.5),
            (0.6, 0.6, 0.9, 0.9604155944112192),
            (2.0, 5.0, 0.3, 0.18180347131894917),
            (0.5, 3.0, 0.01, 2.8445523288735243e-05),
            (40.0, 1.5, 0.7, 0.982469625252933),
        ];
        for (alpha, beta, p, expected) in table {
            let value = quantile(alpha, beta, p).unwrap();
            assert!((value / expected - 1.0).abs() < 1e-11, "{alpha} {beta} {p}: {value} for {expected}");
        }
        assert_eq!((quantile(0.6, 0.6, 0.0), quantile(0.6, 0.6, 1.0)), (Ok(0.0), Ok(1.0)));
        assert!(quantile(0.0, 1.0, 0.5).is_err() && quantile(1.0, 1.0, 1.5).is_err());
    }
}
