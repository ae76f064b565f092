//! The fixed-point formats, named here and nowhere else, and core's tensor over them.

use crate::kernels;
use core::convert::Infallible;
use core::ops::{Deref, DerefMut};
use fixed::types::{I4F12, I18F14};
use tweedie_core::artifact::{COEFF_FRACTION, STATE_FRACTION};
use tweedie_core::noise::NoiseStream;
use tweedie_core::normal::{FRACTION_BITS, Normal};
use tweedie_core::tensor::{CoeffRange, LengthMismatch, NoiseSource, Tensor, check_lengths};

/// A number of a tensor: 16 bits, 12 of them fractional, so from -8 to 8 in steps of 1/4096. `to_bits` gives the integer, `f32::from` the
/// value.
pub type Q12 = I4F12;
/// A coefficient of the plan: 32 bits, 14 of them fractional, so steps of 1/16384. Most lie below 2 in magnitude, where 16 bits hold them and
/// products are cheap; solvers that extrapolate need larger ones.
pub type Coeff = I18F14;

const _: () = assert!(STATE_FRACTION == Q12::FRAC_NBITS && COEFF_FRACTION == Coeff::FRAC_NBITS);

/// A slice of numbers that core's sampler can work with.
///
/// ```
/// use tweedie_core::Tensor;
/// use tweedie_firmware::tensor::{Coeff, FixedTensor, Q12};
///
/// let mut numbers = [Q12::from_num(1.5), Q12::from_num(-2)];
/// let x = FixedTensor::from_mut(&mut numbers);
/// // x <- 1/2 x - 1/4 y
/// x.axpby(Coeff::from_num(0.5), Coeff::from_num(-0.25), FixedTensor::new(&[Q12::ONE, Q12::ONE]))?;
/// assert_eq!(numbers, [Q12::from_num(0.5), Q12::from_num(-1.25)]);
/// # Ok::<(), tweedie_core::tensor::LengthMismatch>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct FixedTensor([Q12]);

impl FixedTensor {
    /// A slice as a tensor.
    #[must_use]
    pub fn new(numbers: &[Q12]) -> &Self {
        kernels::tensor(numbers)
    }

    /// A slice as a tensor to write to.
    #[must_use]
    pub fn from_mut(numbers: &mut [Q12]) -> &mut Self {
        kernels::tensor_mut(numbers)
    }
}

impl Deref for FixedTensor {
    type Target = [Q12];

    fn deref(&self) -> &[Q12] {
        &self.0
    }
}

impl DerefMut for FixedTensor {
    fn deref_mut(&mut self) -> &mut [Q12] {
        &mut self.0
    }
}

/// The fixed-point tensor. Sums of products are exact and are rounded once, so a result that fits is within half a step, 1/8192, of the
/// true combination of its operands; one that does not fit is the nearest number that does.
impl Tensor for FixedTensor {
    type Coeff = Coeff;
    type Error = LengthMismatch;

    /// Rounds to the nearest coefficient, so by at most `2^-15`.
    ///
    /// # Errors
    /// [`CoeffRange`] for a number that is not finite or that rounds to one outside [-131072, 131072).
    fn coeff(value: f64) -> Result<Coeff, CoeffRange> {
        let range = || CoeffRange { value, min: Coeff::MIN.into(), max: Coeff::MAX.into() };
        if !value.is_finite() {
            return Err(range());
        }
        Coeff::checked_from_num(value).ok_or_else(range)
    }

    /// `self <- saturate((keep self + sum_i c_i t_i + 2^13) >> 14)` in integers, which cannot overflow.
    ///
    /// # Errors
    /// [`LengthMismatch`]; `self` is then unchanged.
    fn combine(&mut self, keep: Coeff, terms: &[(Coeff, &Self)]) -> Result<(), LengthMismatch> {
        check_lengths(self.len(), terms.iter().map(|(_, term)| term.len()))?;
        if let &[(coeff, term)] = terms
            && let (Some(keep), Some(coeff)) = (narrow(keep), narrow(coeff))
        {
            combine_two(self, keep, coeff, term);
            return Ok(());
        }
        for (index, element) in self.iter_mut().enumerate() {
            let mut sum = product(keep, *element) + i64::from(HALF);
            for &(coeff, term) in terms {
                // As long as `self`, so the element is there.
                sum += term.get(index).map_or(0, |&element| product(coeff, element));
            }
            *element = saturate(sum >> COEFF_FRACTION);
        }
        Ok(())
    }

    /// The bounds are rounded to the nearest number of the format, and saturate.
    ///
    /// # Errors
    /// None.
    fn clamp(&mut self, low: f64, high: f64) -> Result<(), LengthMismatch> {
        clamp(self, Q12::saturating_from_num(low), Q12::saturating_from_num(high));
        Ok(())
    }

    fn copy_from(&mut self, source: &Self) -> Result<(), LengthMismatch> {
        check_lengths(self.len(), [source.len()])?;
        self.copy_from_slice(source);
        Ok(())
    }
}

/// The numbers of core's stream in this format.
impl NoiseSource<FixedTensor> for NoiseStream {
    type Error = Infallible;

    fn fill_normal(&mut self, draw: u32, out: &mut FixedTensor) -> Result<(), Infallible> {
        for (index, chunk) in out.chunks_mut(4).enumerate() {
            for (element, normal) in chunk.iter_mut().zip(self.normals(draw, index as u64)) {
                *element = from_normal(normal);
            }
        }
        Ok(())
    }
}

/// Rounds a normal number to this format, to nearest, halves up.
#[must_use]
pub fn from_normal(normal: Normal) -> Q12 {
    const SHIFT: u32 = FRACTION_BITS - STATE_FRACTION;
    // 32 bits less SHIFT are 16: every result fits.
    Q12::from_bits((normal.to_bits().saturating_add(1 << (SHIFT - 1)) >> SHIFT) as i16)
}

/// Clamps every number to `[low, high]`; without floating point, unlike the tensor's method.
pub fn clamp(tensor: &mut [Q12], low: Q12, high: Q12) {
    for element in tensor {
        *element = (*element).max(low).min(high);
    }
}

/// The integer of a coefficient strictly between -2 and 2.
fn narrow(coeff: Coeff) -> Option<i32> {
    let bits = coeff.to_bits();
    (bits.unsigned_abs() < 1 << 15).then_some(bits)
}

/// The most frequent case. Coefficients within -2 and 2 leave room for two products and the rounding in 32 bits.
fn combine_two(x: &mut [Q12], keep: i32, coeff: i32, term: &[Q12]) {
    for (element, term) in x.iter_mut().zip(term) {
        let sum = keep * i32::from(element.to_bits()) + coeff * i32::from(term.to_bits());
        *element = saturate(i64::from((sum + HALF) >> COEFF_FRACTION));
    }
}

/// At most `2^46` in magnitude, so that any sum that memory has room for fits.
fn product(coeff: Coeff, element: Q12) -> i64 {
    i64::from(coeff.to_bits()) * i64::from(element.to_bits())
}

/// Half a step of the result, in a sum of products.
const HALF: i32 = 1 << (COEFF_FRACTION - 1);

fn saturate(rounded: i64) -> Q12 {
    Q12::from_bits(rounded.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16)
}

#[cfg(test)]
#[path = "tests/tensor.rs"]
mod tests;
