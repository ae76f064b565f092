//! Layer normalisation.

use super::{TooShort, first_mut, halves, halves_mut, pairs, portable};
use tweedie_core::artifact::Normalise;

/// `output <- (input - mean) / sqrt(variance + epsilon)`: see [`Normalise`] for the arithmetic. `values` begins with the input, and then
/// with the output.
///
/// # Errors
/// [`TooShort`] for fewer values than the rows have.
pub fn normalise(layer: &Normalise, values: &mut [u32]) -> Result<(), TooShort> {
    let features = layer.features as usize;
    // Of several rows each fills its words.
    let rows = layer.rows as usize;
    let values = first_mut(values, features.saturating_mul(rows).div_ceil(2), "values to normalise")?;
    for row in values.chunks_mut(features.div_ceil(2).max(1)) {
        normalise_row(layer, row);
    }
    Ok(())
}

fn normalise_row(layer: &Normalise, values: &mut [u32]) {
    let features = layer.features as usize;
    let (sum, squares) = moments(values, features);
    // sum d^2 = n (n sum x^2 - (sum x)^2), exactly; below 2^60 for 1024 features.
    let n = u64::from(layer.features);
    let spread = n.wrapping_mul(squares).wrapping_sub(u64::from(sum.unsigned_abs()).pow(2)).wrapping_mul(n);
    let inverse = inverse(spread.saturating_add(layer.epsilon), layer.gain);
    // d << shift = (n << shift) x - (sum << shift), where n << shift is at most 2^15.
    scale(values, features, layer.features.wrapping_shl(layer.shift) as i32, sum.wrapping_shl(layer.shift), inverse);
}

/// The sum and the sum of squares of the first `count` numbers.
pub(super) fn moments(values: &[u32], count: usize) -> (i32, u64) {
    let done = pairs(count);
    let moments = portable::moments(halves(values).get(done..count).unwrap_or_default());
    #[cfg(dsp)]
    let moments = {
        let (sum, squares) = super::dsp::moments(values.get(..done / 2).unwrap_or_default());
        (sum.wrapping_add(moments.0), squares + moments.1)
    };
    moments
}

/// `saturate_i16(((factor x - offset) inverse + 2^31) >> 32)` for the first `count` numbers.
fn scale(values: &mut [u32], count: usize, factor: i32, offset: i32, inverse: u32) {
    // A factor of 2^15 itself, of a power of two of features, is no 16-bit number, as those who work on two at a time need it.
    let done = pairs(count) * usize::from(factor >> 15 == 0);
    #[cfg(dsp)]
    super::dsp::scale(values.get_mut(..done / 2).unwrap_or_default(), factor, offset, inverse);
    portable::scale(halves_mut(values).get_mut(done..count).unwrap_or_default(), factor, offset, inverse);
}

/// `min(floor(gain / root) 2^(e/2), 2^31 - 1)` with `root = floor(sqrt(v 2^e))`, `v` at least 1.
fn inverse(v: u64, gain: u64) -> u32 {
    const MAX: u64 = i32::MAX as u64;
    let even = v.leading_zeros() & !1;
    let root = (v << (even & 63)).isqrt();
    let Some(quotient) = gain.checked_div(root) else { return MAX as u32 };
    // As large as the shift allows without reaching 2^31, or the largest.
    match quotient > MAX >> (even / 2) {
        true => MAX as u32,
        false => (quotient << (even / 2)) as u32,
    }
}
