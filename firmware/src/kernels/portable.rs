//! Kernels for any processor.

use super::requantise::requantise;
#[cfg(thumb)]
use super::thumb::sums;
#[cfg(not(dsp))]
use super::{convolution::CONSTANTS, halves_mut, linear::Rows};
use tweedie_core::artifact::TABLE_ENTRIES;

/// The first steps of [`Linear`](tweedie_core::artifact::Linear)'s arithmetic: one 16-bit number for each row.
///
/// Instructions for each row on a Cortex-M0, the sums aside: about 90, half of them for the rounding.
#[cfg(not(dsp))]
pub fn rows(rows: &Rows<'_>, output: &mut [u32]) {
    let groups = rows.weights.chunks_exact((rows.input.len() * 2).max(4));
    for (group, (output, row)) in groups.zip(halves_mut(output).chunks_mut(4).zip((0..rows.bias.len()).step_by(4))) {
        let mut sums = sums(group, rows.input);
        for bias in [Some(rows.bias), rows.step_bias, rows.class_bias].into_iter().flatten() {
            for (sum, &bias) in sums.iter_mut().zip(bias.get(row..).unwrap_or_default()) {
                *sum = sum.wrapping_add(bias as i32);
            }
        }
        let multipliers = rows.multipliers.get(row..).unwrap_or_default();
        for ((z, sum), &multiplier) in output.iter_mut().zip(sums).zip(multipliers) {
            *z = requantise(sum, multiplier);
        }
    }
}

/// Where the sums of a pair of rows begin: at its biases.
#[cfg(not(dsp))]
pub fn start(a: u32, b: u32) -> [u32; 3] {
    [a, b, 0]
}

/// One pixel of a convolution: `constants` are those of pairs of rows, `output` has room for whole groups of four rows.
#[cfg(not(dsp))]
pub fn pixels(weights: &[u32], patch: &[u32], constants: &[u32], outputs: usize, output: &mut [u32]) {
    let groups = weights.chunks_exact((patch.len() * 2).max(4)).take(outputs.div_ceil(4));
    let pairs = constants.as_chunks::<CONSTANTS>().0;
    for ((group, pairs), output) in groups.zip(pairs.chunks(2)).zip(halves_mut(output).chunks_mut(4)) {
        let sums = sums(group, patch);
        let rows = pairs.iter().flat_map(|&[a, b, _, one, two]| [(a, one), (b, two)]);
        for ((z, sum), (bias, multiplier)) in output.iter_mut().zip(sums).zip(rows) {
            *z = requantise(sum.wrapping_add(bias as i32), multiplier);
        }
    }
}

/// The sums of a group's four rows over the input. Each half of a packed word is `first + 256 second`, and `first + 128` lies in 1..=255.
#[cfg(not(any(dsp, thumb)))]
fn sums(group: &[u32], input: &[u32]) -> [i32; 4] {
    let mut sums = [0_i32; 4];
    let pairs = group.chunks_exact(2).zip(input);
    for (weights, &input) in pairs {
        for (sums, &weights) in sums.chunks_exact_mut(2).zip(weights) {
            for (half, x) in [(weights as i16, input as i16), ((weights >> 16) as i16, (input >> 16) as i16)] {
                let (half, x) = (i32::from(half), i32::from(x));
                sums[0] = sums[0].wrapping_add(i32::from(half as i8) * x);
                sums[1] = sums[1].wrapping_add(((half + 128) >> 8) * x);
            }
        }
    }
    sums
}

/// `z <- t[k] + (((t[k + 1] - t[k]) f + 128) >> 8)`.
pub fn activate(entries: &[i16; TABLE_ENTRIES], values: &mut [i16]) {
    for z in values {
        let (k, f) = (usize::from(*z as u16 ^ 0x8000) >> 8, i32::from(*z) & 255);
        let (from, to) = (i32::from(entries[k]), i32::from(entries[k + 1]));
        *z = (from + (((to - from) * f + 128) >> 8)) as i16;
    }
}

/// Saturating sums.
pub fn add(values: &mut [i16], more: &[i16]) {
    for (value, more) in values.iter_mut().zip(more) {
        *value = value.saturating_add(*more);
    }
}

/// The sum and the sum of squares.
pub fn moments(values: &[i16]) -> (i32, u64) {
    let (mut sum, mut squares) = (0_i32, 0_u64);
    for &value in values {
        let value = i32::from(value);
        sum = sum.wrapping_add(value);
        squares += u64::from((value * value) as u32);
    }
    (sum, squares)
}

/// `saturate_i16(((factor x - offset) inverse + 2^31) >> 32)`.
pub fn scale(values: &mut [i16], factor: i32, offset: i32, inverse: u32) {
    for value in values {
        *value = requantise(factor.wrapping_mul(i32::from(*value)).wrapping_sub(offset), inverse);
    }
}
