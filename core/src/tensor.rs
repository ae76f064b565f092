//! The traits that a sampler runs on: tensors, denoisers, sources of noise.
//!
//! Everything is in place and nothing allocates, so that a device's slices need no pool. A reference-counted tensor
//! implements the same contract by replacing its handle.

use core::fmt;

/// A buffer of numbers that a sampler can combine linearly.
///
/// Implemented here for `[f32]` and `[f64]`, the reference; elsewhere by candle tensors, GPU buffers and fixed-point slices.
pub trait Tensor {
    /// A coefficient in the precision that this tensor multiplies by.
    type Coeff: Copy;
    /// What can go wrong, such as operands of different shapes.
    type Error: core::error::Error;

    /// Converts a coefficient once, when a plan is made.
    fn coeff(value: f64) -> Result<Self::Coeff, CoeffRange>;

    /// `self <- keep self + sum_i c_i t_i`, rounded once per element; `self` is unchanged on error.
    fn combine(&mut self, keep: Self::Coeff, terms: &[(Self::Coeff, &Self)]) -> Result<(), Self::Error>;

    /// Clamps every element to `[low, high]`, where `low <= high`; what is not a number stays so. `self` is unchanged on error.
    fn clamp(&mut self, low: f64, high: f64) -> Result<(), Self::Error>;

    /// `self <- source`; `self` is unchanged on error.
    fn copy_from(&mut self, source: &Self) -> Result<(), Self::Error>;

    /// `self <- a self + b rhs`; `self` is unchanged on error.
    fn axpby(&mut self, a: Self::Coeff, b: Self::Coeff, rhs: &Self) -> Result<(), Self::Error> {
        self.combine(a, &[(b, rhs)])
    }
}

/// Which step of a plan is running, counted from 0 at the noisy end. A device finds its folded tables by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// Estimates clean data: `x0_hat = E[x_0 | x_t]`.
pub trait Denoiser<T: Tensor + ?Sized> {
    /// What can go wrong.
    type Error: core::error::Error;

    /// Writes the estimate for the state `x_t` at a step of the plan into `x0_hat`, whose former content is free to use.
    fn denoise(&mut self, x_t: &T, step: StepId, x0_hat: &mut T) -> Result<(), Self::Error>;
}

impl<T: Tensor + ?Sized, D: Denoiser<T> + ?Sized> Denoiser<T> for &mut D {
    type Error = D::Error;

    fn denoise(&mut self, x_t: &T, step: StepId, x0_hat: &mut T) -> Result<(), Self::Error> {
        (**self).denoise(x_t, step, x0_hat)
    }
}

/// Fills tensors with independent standard normal numbers.
pub trait NoiseSource<T: Tensor + ?Sized> {
    /// What can go wrong.
    type Error: core::error::Error;

    /// Fills `out` with draw number `draw`. The same draw gives the same numbers, whatever was drawn before:
    /// draw 0 is the initial noise, draw `k + 1` the noise after step `k`.
    fn fill_normal(&mut self, draw: u32, out: &mut T) -> Result<(), Self::Error>;
}

impl<T: Tensor + ?Sized, N: NoiseSource<T> + ?Sized> NoiseSource<T> for &mut N {
    type Error = N::Error;

    fn fill_normal(&mut self, draw: u32, out: &mut T) -> Result<(), Self::Error> {
        (**self).fill_normal(draw, out)
    }
}

/// A coefficient that a tensor's format cannot hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoeffRange {
    /// The coefficient.
    pub value: f64,
    /// The smallest that the format holds.
    pub min: f64,
    /// The largest that the format holds.
    pub max: f64,
}

impl core::error::Error for CoeffRange {}

impl fmt::Display for CoeffRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, min, max } = self;
        write!(f, "coefficient {value} lies outside this tensor's range [{min}, {max}]")
    }
}

/// Why tensors could not be combined with coefficients given in `f64`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum CombineError<E> {
    /// A coefficient does not fit the tensor's format.
    Coeff(CoeffRange),
    /// The tensor refused.
    Tensor(E),
}

impl<E: core::error::Error> core::error::Error for CombineError<E> {}

impl<E: fmt::Display> fmt::Display for CombineError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coeff(error) => error.fmt(f),
            Self::Tensor(error) => error.fmt(f),
        }
    }
}

/// Operands of different lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthMismatch {
    /// The number of elements of the tensor written to.
    pub expected: usize,
    /// The number of elements of the operand.
    pub found: usize,
}

impl core::error::Error for LengthMismatch {}

impl fmt::Display for LengthMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a tensor of {} elements met one of {}", self.expected, self.found)
    }
}

/// `Ok` when every operand is as long as the tensor written to.
pub fn check_lengths(expected: usize, operands: impl IntoIterator<Item = usize>) -> Result<(), LengthMismatch> {
    match operands.into_iter().find(|&found| found != expected) {
        None => Ok(()),
        Some(found) => Err(LengthMismatch { expected, found }),
    }
}

macro_rules! reference_tensor {
    ($float:ty) => {
        /// The reference tensor: sums in `f64`, left to right, and rounds once.
        impl Tensor for [$float] {
            type Coeff = f64;
            type Error = LengthMismatch;

            fn coeff(value: f64) -> Result<f64, CoeffRange> {
                let max = f64::from(<$float>::MAX);
                if value.is_finite() && (-max..=max).contains(&value) {
                    Ok(value)
                } else {
                    Err(CoeffRange { value, min: -max, max })
                }
            }

            fn combine(&mut self, keep: f64, terms: &[(f64, &Self)]) -> Result<(), LengthMismatch> {
                check_lengths(self.len(), terms.iter().map(|(_, t)| t.len()))?;
                for (i, element) in self.iter_mut().enumerate() {
                    let mut sum = keep * f64::from(*element);
                    for (coeff, term) in terms {
                        sum += coeff * f64::from(term[i]);
                    }
                    *element = sum as $float;
                }
                Ok(())
            }

            fn clamp(&mut self, low: f64, high: f64) -> Result<(), LengthMismatch> {
                for element in self {
                    if *element < low as $float {
                        *element = low as $float;
                    } else if *element > high as $float {
                        *element = high as $float;
                    }
                }
                Ok(())
            }

            fn copy_from(&mut self, source: &Self) -> Result<(), LengthMismatch> {
                check_lengths(self.len(), [source.len()])?;
                self.copy_from_slice(source);
                Ok(())
            }
        }
    };
}

reference_tensor!(f32);
reference_tensor!(f64);
