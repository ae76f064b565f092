//! A power-on test of the source of noise, by the geometry of noise: in `d` dimensions `|z|^2 / d` is 1 with a standard deviation of
//! `sqrt(2 / d)`, so a source that is stuck, dead or scaled betrays itself in one draw.
//!
//! A norm alone would not tell noise from a constant 1, so the mean and the products of neighbours and of two draws, each 0 with a standard
//! deviation of `1 / sqrt(d)`, are tested too. Integer arithmetic only.

use crate::tensor::{FixedTensor, Q12};
use core::fmt;
use tweedie_core::NoiseSource;

/// A good number of standard deviations to allow. Over 256 numbers a sound source is then refused less than once in a million power-ons.
pub const DEVIATIONS: u32 = 6;
/// The fewest numbers that tell a broken source from a sound one: where a draw holds fewer, several draws make them up.
pub const MIN_DIMENSIONS: usize = 128;
/// The most numbers in a draw, so that no sum overflows.
pub const MAX_DIMENSIONS: usize = 1 << 15;

/// What was measured, in units that would be 0 for perfect noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statistic {
    /// `|z|^2 / d - 1`.
    Norm,
    /// The mean.
    Mean,
    /// The mean product of neighbours.
    Neighbours,
    /// The mean product of the same element of two draws.
    Draws,
}

/// Draws from `source` into the halves of `buffer`, and checks what each half has held, `d` numbers, to within a number of standard deviations.
///
/// The two halves are filled once, or, if they hold fewer than [`MIN_DIMENSIONS`] numbers, as often as it takes to see so many: the buffer of a tiny
/// model is enough. The smallest scale error that is sure to be found is a factor of about `1 +- deviations / sqrt(2 d)`: a third for 6 deviations
/// and 256 numbers (a buffer of 512).
///
/// # Errors
/// [`PowerOnError`]: the noise is not normal, the buffer is too small or too large, or the source failed.
pub fn check<N: NoiseSource<FixedTensor>>(
    source: &mut N,
    buffer: &mut [Q12],
    deviations: u32,
) -> Result<(), PowerOnError<N::Error>> {
    let dimensions = buffer.len() / 2;
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(PowerOnError::Dimensions { dimensions });
    }
    let (first, second) = buffer.split_at_mut(dimensions);
    // `split_at_mut` leaves an odd number over.
    let second = &mut second[..dimensions];
    let draws = MIN_DIMENSIONS.div_ceil(dimensions);
    let mut sums = [Sums::default(), Sums::default()];
    let mut across = 0;
    for draw in 0..draws as u32 {
        source.fill_normal(2 * draw, FixedTensor::from_mut(first)).map_err(PowerOnError::Noise)?;
        source.fill_normal(2 * draw + 1, FixedTensor::from_mut(second)).map_err(PowerOnError::Noise)?;
        sums[0].add(first);
        sums[1].add(second);
        across += products(first, second);
    }
    let d = (draws * dimensions) as i64;
    for Sums { squares, numbers, neighbours } in sums {
        within(Statistic::Norm, squares - (d << 24), 2, d, deviations)?;
        within(Statistic::Mean, numbers, 1, d, deviations)?;
        within(Statistic::Neighbours, neighbours, 1, d, deviations)?;
    }
    within(Statistic::Draws, across, 1, d, deviations)
}

/// Sums over the numbers of one half, all with 24 fractional bits.
#[derive(Clone, Copy, Default)]
struct Sums {
    squares: i64,
    numbers: i64,
    neighbours: i64,
}

impl Sums {
    fn add(&mut self, half: &[Q12]) {
        self.squares += products(half, half);
        self.numbers += half.iter().map(|z| i64::from(z.to_bits()) << 12).sum::<i64>();
        self.neighbours += products(half, half.get(1..).unwrap_or_default());
    }
}

fn products(a: &[Q12], b: &[Q12]) -> i64 {
    a.iter().zip(b).map(|(a, b)| i64::from(i32::from(a.to_bits()) * i32::from(b.to_bits()))).sum()
}

/// Whether `sum^2 <= deviations^2 variance d`, where `sum` has 24 fractional bits.
fn within<E>(what: Statistic, sum: i64, variance: u64, d: i64, deviations: u32) -> Result<(), PowerOnError<E>> {
    // 8 fractional bits: at most 2^15 2^30 / 2^16 in magnitude, whose square fits.
    let sum = sum >> 16;
    let square = sum.unsigned_abs().pow(2);
    let allowed =
        u64::from(deviations).saturating_mul(u64::from(deviations)).saturating_mul((variance * d as u64) << 16);
    if square <= allowed {
        return Ok(());
    }
    Err(PowerOnError::NotNormal { what, per_mille: (sum * 1000 / (d << 8)) as i32 })
}

/// Why a source of noise is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PowerOnError<E> {
    /// Normal noise does not look like this.
    NotNormal {
        /// What was measured.
        what: Statistic,
        /// The value, which should be near 0, in thousandths.
        per_mille: i32,
    },
    /// A draw of no numbers, or of too many.
    Dimensions {
        /// Numbers in half the buffer.
        dimensions: usize,
    },
    /// The source failed.
    Noise(E),
}

impl<E: core::error::Error> core::error::Error for PowerOnError<E> {}

impl<E: fmt::Display> fmt::Display for PowerOnError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNormal { what, per_mille } => {
                let what = match what {
                    Statistic::Norm => "squared norm less 1",
                    Statistic::Mean => "mean",
                    Statistic::Neighbours => "correlation of neighbours",
                    Statistic::Draws => "correlation of two draws",
                };
                write!(f, "the source of noise is broken: its {what} is {per_mille} thousandths, and should be near 0")
            }
            Self::Dimensions { dimensions } => {
                write!(f, "{dimensions} numbers were to be tested; 1 to {MAX_DIMENSIONS} can be")
            }
            Self::Noise(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
#[path = "tests/power_on.rs"]
mod tests;
