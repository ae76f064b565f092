//! Softmax by a table of exponentials.

use super::{TooShort, activate, first_mut, halves, halves_mut, pairs};

/// What shares are made of: a little less than `2^31`, so that none of them reaches `2^15`.
const WHOLE: u32 = (1 << 31) - (1 << 16);

/// The last three steps of [`Attention`](tweedie_core::artifact::Attention)'s softmax: from `scores`, 32 bits each, to as many shares of 15
/// fractional bits, two in a word of `shares`. The multiplier is less than `2^31`.
///
/// # Errors
/// [`TooShort`] for a table of fewer than 257 entries, or fewer shares than scores.
pub fn softmax(scores: &[u32], multiplier: u32, table: &[u32], shares: &mut [u32]) -> Result<(), TooShort> {
    let count = scores.len();
    let shares = first_mut(shares, count.div_ceil(2), "shares")?;
    let most = largest(scores);
    let done = pairs(count);
    #[cfg(dsp)]
    super::dsp_softmax::distances(&scores[..done], most as u32, multiplier, &mut shares[..done / 2]);
    let rest = halves_mut(shares).get_mut(done..).unwrap_or_default();
    for (share, &score) in rest.iter_mut().zip(scores.get(done..).unwrap_or_default()) {
        // The difference fits 32 bits without a sign.
        let below = (most as u32).wrapping_sub(score);
        *share = (32_767 - high(below, multiplier).min(65_535) as i32) as i16;
    }
    activate(table, shares, count)?;
    #[cfg(dsp)]
    let sum = super::dsp_softmax::sum(&shares[..done / 2]);
    #[cfg(not(dsp))]
    let sum = 0;
    let rest = halves(shares).get(done..count).unwrap_or_default();
    let sum = rest.iter().fold(sum, |sum: u32, &share| sum.wrapping_add(share as u32));
    let reciprocal = WHOLE / sum.max(1);
    #[cfg(dsp)]
    super::dsp_softmax::scale(&mut shares[..done / 2], reciprocal);
    for share in halves_mut(shares).get_mut(done..count).unwrap_or_default() {
        *share = ((*share as u32).wrapping_mul(reciprocal).wrapping_add(1 << 15) >> 16) as i16;
    }
    Ok(())
}

/// Four at a time, for a loop costs as much as a comparison.
fn largest(scores: &[u32]) -> i32 {
    let (fours, rest) = scores.as_chunks::<4>();
    let most = fours.iter().fold(i32::MIN, |most, &[a, b, c, d]| {
        let (a, b, c, d) = (a as i32, b as i32, c as i32, d as i32);
        most.max(a).max(b).max(c).max(d)
    });
    rest.iter().fold(most, |most, &score| most.max(score as i32))
}

/// The upper half of a product of 64 bits.
#[inline(always)]
fn high(a: u32, b: u32) -> u32 {
    if cfg!(narrow_multiply) { high_by_halves(a, b) } else { ((u64::from(a) * u64::from(b)) >> 32) as u32 }
}

/// The same by four multiplications of 16 bits, for processors whose products have 32 bits.
#[inline(always)]
fn high_by_halves(a: u32, b: u32) -> u32 {
    let (a_high, a_low, b_high, b_low) = (a >> 16, a & 0xffff, b >> 16, b & 0xffff);
    let cross = a_high * b_low + ((a_low * b_low) >> 16);
    let other = a_low * b_high + (cross & 0xffff);
    a_high * b_high + (cross >> 16) + (other >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::vec::Vec;

    quickcheck! {
        /// Word for word as the format describes it.
        fn shares_are_those_described(scores: Vec<i32>, multiplier: u32, narrow: bool) -> bool {
            let multiplier = multiplier >> 1;
            let scores: Vec<i32> = scores.into_iter().map(|score| if narrow { score >> 16 } else { score }).collect();
            let entry = |k: i32| (32_767.0 * (-(256.0 - f64::from(k)) / 16.0).exp()).round() as i64;
            let entries: Vec<i64> = (0..257).map(entry).collect();
            let table = super::super::tests::words(&entries.iter().map(|&entry| entry as i16).collect::<Vec<_>>());
            let mut shares = std::vec![0; scores.len().div_ceil(2)];
            let words: Vec<u32> = scores.iter().map(|&score| score as u32).collect();
            softmax(&words, multiplier, &table, &mut shares).unwrap();
            let most = scores.iter().copied().max().map_or(0, i64::from);
            let exponential = |&score: &i32| {
                let x = ((i128::from(most - i64::from(score)) * i128::from(multiplier)) >> 32).min(65_535) as usize;
                let (k, f) = ((65_535 - x) >> 8, (65_535 - x) as i64 & 255);
                entries[k] + (((entries[k + 1] - entries[k]) * f + 128) >> 8)
            };
            let exponentials: Vec<i64> = scores.iter().map(exponential).collect();
            let reciprocal = ((1 << 31) - (1 << 16)) / exponentials.iter().sum::<i64>().max(1);
            let expected = exponentials.iter().map(|e| (e * reciprocal + (1 << 15)) >> 16);
            halves(&shares).iter().take(scores.len()).map(|&share| i64::from(share)).eq(expected)
        }

        fn the_upper_half_is_exact(a: u32, b: u32) -> bool {
            let exact = (u64::from(a) * u64::from(b)) >> 32;
            u64::from(high(a, b)) == exact && u64::from(high_by_halves(a, b)) == exact
        }
    }
}
