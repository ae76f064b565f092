//! Attention between tokens.

use super::softmax::softmax;
use super::{TooShort, halves};
use core::ops::Range;
use tweedie_core::artifact::Attention;

/// Queries, keys and values of a token, one behind the other.
const PARTS: usize = 3;

/// `output[t, h] <- sum_u softmax(q[t, h] . k[u, h]) v[u, h]`: see [`Attention`] for the arithmetic. The layer finds its input, its output and its room
/// in `arena`.
///
/// # Errors
/// [`TooShort`]; a layer of a parsed artifact has all it needs.
pub fn attention(layer: &Attention<'_>, arena: &mut [u32]) -> Result<(), TooShort> {
    let [tokens, heads, depth] = [layer.tokens, layer.heads, layer.depth].map(usize::from);
    // In words from here on: two numbers each.
    let (pairs, width) = (depth / 2, heads * depth / 2);
    let words = |at: u32, count: usize| -> Range<usize> { at as usize / 2..(at as usize / 2).saturating_add(count) };
    let ranges = [
        words(layer.input_at, PARTS * tokens * width),
        words(layer.output_at, tokens * width),
        words(layer.scratch_at, layer.scratch() as usize / 2),
    ];
    let (have, need) = (arena.len(), ranges.iter().map(|range| range.end).max().unwrap_or(0));
    let what = "an attention's arena";
    let [input, output, room] = arena.get_disjoint_mut(ranges).map_err(|_| TooShort { what, need, have })?;
    let input = &*input;
    let (scores, shares) = room.split_at_mut_checked(tokens).ok_or(TooShort { what, need, have })?;
    for token in 0..tokens {
        for head in 0..heads {
            let part = |token: usize, part: usize| {
                let begin = (token * PARTS + part) * width + head * pairs;
                input.get(begin..begin + pairs).unwrap_or_default()
            };
            let query = part(token, 0);
            for (other, score) in scores.iter_mut().enumerate() {
                let sum = dot(query, part(other, 1)) >> layer.shift;
                *score = sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32 as u32;
            }
            softmax(scores, layer.multiplier, layer.table, shares)?;
            let begin = token * width + head * pairs;
            let output = output.get_mut(begin..begin + pairs).unwrap_or_default();
            for (pair, place) in output.iter_mut().enumerate() {
                let values = input.iter().skip(2 * width + head * pairs + pair).step_by(PARTS * width);
                *place = weighted(halves(shares), values);
            }
        }
    }
    Ok(())
}

/// Two numbers of the output: `saturate_i16((sum_u share_u value_u + 2^14) >> 15)`.
fn weighted<'a>(shares: &[i16], values: impl Iterator<Item = &'a u32>) -> u32 {
    let (mut low, mut high) = (1_i32 << 14, 1_i32 << 14);
    for (&value, &share) in values.zip(shares) {
        low = low.wrapping_add(i32::from(share) * i32::from(value as i16));
        high = high.wrapping_add(i32::from(share) * i32::from((value >> 16) as i16));
    }
    let rounded = |sum: i32| u32::from((sum >> 15).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as u16);
    rounded(low) | rounded(high) << 16
}

#[cfg(dsp)]
use super::dsp::dot;

/// The sum of products, exactly.
#[cfg(not(dsp))]
fn dot(a: &[u32], b: &[u32]) -> i64 {
    let products = halves(a).iter().zip(halves(b)).map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b)));
    products.sum()
}
