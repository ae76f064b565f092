//! Exponential integrators: the diffusion ODE's linear part is solved exactly, the estimate in it is interpolated.
//!
//! With `lambda = ln(alpha / sigma)` the probability flow from `s` to the less noisy `t` reads, `h = lambda_t - lambda_s`,
//!
//! ```text
//! x_t = (sigma_t / sigma_s) x_s + alpha_t  integral_0^h e^(u - h) x0_hat(lambda_s + u) du    (DPM-Solver++, eq. 8)
//! x_t = (alpha_t / alpha_s) x_s - sigma_t  integral_0^h e^(h - u) eps_hat(lambda_s + u) du   (DPM-Solver, eq. 3.4)
//! ```
//!
//! and a solver is a choice of the polynomial in `u` that stands for the estimate: all that it needs are the integrals of powers.

use super::path::lambda_between;
use crate::plan::{MAX_PULLS, Memory};
use crate::{Error, NoiseLevel};
use libm::{exp, expm1, sqrt};

/// What a solver takes to be a polynomial in `lambda` over a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// `x0_hat`, as DPM-Solver++ does: steady under guidance and clamping.
    #[default]
    Data,
    /// `eps_hat`, as DPM-Solver and DEIS do. Such a plan remembers `eps_hat`.
    Noise,
}

impl Form {
    /// What the rows of a solver of this form remember.
    pub(crate) fn memory(self, level: NoiseLevel) -> Result<Option<Memory>, Error> {
        match self {
            Self::Data => Ok(None),
            Self::Noise => Memory::of_noise(level).map(Some),
        }
    }
}

/// The exact part of a step: `x_t = keep x_s + scale sum_j moment_j c_j + kick z`, where the estimate is `sum_j c_j u^j`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition {
    /// `lambda_t - lambda_s`.
    pub(crate) h: f64,
    pub(crate) keep: f64,
    pub(crate) scale: f64,
    pub(crate) moments: [f64; MAX_PULLS],
    pub(crate) kick: f64,
}

impl Transition {
    /// Between two levels. `eta` (0 to 1) mixes the reverse SDE in: at 1 it is the whole SDE, whose noise is `sigma_t sqrt(1 - e^(-2 h))` when
    /// data are extrapolated (DPM-Solver++, eq. 18), and `sigma_t sqrt(e^(2 h) - 1)` for noise (eq. 17).
    ///
    /// # Errors
    /// [`Error::SignalVanishes`] where the form divides by an `alpha` of 0, [`Error::NoiseVanishes`] by a `sigma` of 0.
    pub(crate) fn new(form: Form, from: NoiseLevel, to: NoiseLevel, eta: f64) -> Result<Self, Error> {
        if from.sigma == 0.0 {
            return Err(Error::NoiseVanishes);
        }
        let h = lambda_between(to, from);
        match form {
            Form::Data => {
                let keep = to.sigma / from.sigma * if eta > 0.0 { exp(-eta * h) } else { 1.0 };
                let kick = to.sigma * sqrt(-expm1(-2.0 * eta * h));
                let kick = if eta > 0.0 { kick } else { 0.0 };
                Ok(Self { h, keep, scale: to.alpha, moments: rising_moments(1.0 + eta, h), kick })
            }
            Form::Noise => {
                if from.alpha == 0.0 {
                    return Err(Error::SignalVanishes);
                }
                let keep = to.alpha / from.alpha;
                // sigma_t e^h = keep sigma_s stays finite where sigma_t vanishes.
                let reach = keep * from.sigma;
                let kick = if eta > 0.0 { reach * sqrt(-eta * expm1(-2.0 * h)) } else { 0.0 };
                Ok(Self { h, keep, scale: -(1.0 + eta) * reach, moments: falling_moments(h), kick })
            }
        }
    }
}

/// `integral_0^h rate e^(rate (u - h)) u^j du` for each power `j`; `h` may be infinite for the power 0.
fn rising_moments(rate: f64, h: f64) -> [f64; MAX_PULLS] {
    let mut moments = [0.0; MAX_PULLS];
    let z = rate * h;
    let (mut power, mut factorial) = (1.0, 1.0);
    moments[0] = -expm1(-z);
    for j in 1..MAX_PULLS {
        power *= h;
        factorial *= j as f64;
        // By parts, h^j - (j / rate) times the one before; that cancels where z is small, and there the series does not.
        moments[j] = if z < 2.0 {
            rate * h * power * factorial * phi(j + 1, -z)
        } else {
            power - j as f64 / rate * moments[j - 1]
        };
    }
    moments
}

/// `integral_0^h e^(-u) u^j du` for each power `j`; `h` may be infinite.
fn falling_moments(h: f64) -> [f64; MAX_PULLS] {
    let mut moments = [0.0; MAX_PULLS];
    let decay = exp(-h);
    let (mut power, mut factorial) = (1.0, 1.0);
    moments[0] = -expm1(-h);
    for j in 1..MAX_PULLS {
        power *= h;
        factorial *= j as f64;
        moments[j] = if h < 2.0 {
            decay * h * power * factorial * phi(j + 1, h)
        } else if decay > 0.0 {
            j as f64 * moments[j - 1] - power * decay
        } else {
            factorial
        };
    }
    moments
}

/// `phi_k(z) = sum_i z^i / (i + k)!`, for `|z| < 2`.
fn phi(k: usize, z: f64) -> f64 {
    let mut term = (1..=k).fold(1.0, |product, i| product / i as f64);
    let mut sum = 0.0;
    for i in 1..32 {
        sum += term;
        term *= z / (k + i) as f64;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Simpson's rule.
    fn integral(f: impl Fn(f64) -> f64, h: f64) -> f64 {
        let pieces = 2000;
        let at = |i: usize| f(h * i as f64 / pieces as f64);
        let weight = |i: usize| if i == 0 || i == pieces { 1.0 } else { (2 + 2 * (i % 2)) as f64 };
        (0..=pieces).map(|i| weight(i) * at(i)).sum::<f64>() * h / pieces as f64 / 3.0
    }

    #[test]
    fn moments_are_the_integrals_that_they_are_named_after() {
        for h in [1e-6, 0.01, 0.5, 0.99, 1.01, 1.99, 2.01, 5.0, 12.0] {
            for rate in [1.0, 1.5, 2.0] {
                let moments = rising_moments(rate, h);
                for (j, moment) in moments.into_iter().enumerate() {
                    let expected = integral(|u| rate * (rate * (u - h)).exp() * u.powi(j as i32), h);
                    assert!((moment / expected - 1.0).abs() < 1e-8, "{rate} {h} {j}: {moment} for {expected}");
                }
            }
            for (j, moment) in falling_moments(h).into_iter().enumerate() {
                let expected = integral(|u| (-u).exp() * u.powi(j as i32), h);
                assert!((moment / expected - 1.0).abs() < 1e-8, "{h} {j}: {moment} for {expected}");
            }
        }
        assert_eq!(falling_moments(f64::INFINITY), [1.0, 1.0, 2.0, 6.0]);
    }
}
