//! Attention between tokens.

use super::softmax::softmax;
use super::{TooShort, halves};
use core::ops::Range;
use tweedie_core::artifact::Attention;

#[cfg(dsp)]
use super::dsp_attention::scores;

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
    let (scored, shares) = room.split_at_mut_checked(tokens).ok_or(TooShort { what, need, have })?;
    let pitch = PARTS * width;
    for token in 0..tokens {
        for head in 0..heads {
            let from = |part: usize| input.get(part * width + head * pairs..).unwrap_or_default();
            let query = from(0).get(token * pitch..token * pitch + pairs).unwrap_or_default();
            scores(query, from(1), pitch, layer.shift, scored);
            softmax(scored, layer.multiplier, layer.table, shares)?;
            let begin = token * width + head * pairs;
            let output = output.get_mut(begin..begin + pairs).unwrap_or_default();
            weighted(shares, tokens, from(2), pitch, output);
        }
    }
    Ok(())
}

/// `scores[u] <- saturate_i32((query . keys[u]) >> shift)`, where the keys begin `pitch` words apart.
#[cfg(not(dsp))]
fn scores(query: &[u32], keys: &[u32], pitch: usize, shift: u8, scores: &mut [u32]) {
    for (score, key) in scores.iter_mut().zip(keys.chunks(pitch)) {
        let sum = dot(query, key) >> shift;
        *score = sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32 as u32;
    }
}

/// The sum of products, exactly; `b` may be longer.
#[cfg(not(dsp))]
fn dot(a: &[u32], b: &[u32]) -> i64 {
    // Processors without 64-bit products are spared them.
    let product = |a: i16, b: i16| match cfg!(narrow_multiply) {
        true => i64::from(i32::from(a) * i32::from(b)),
        false => i64::from(a) * i64::from(b),
    };
    let ((fours, rest), (others, other_rest)) =
        (halves(a).as_chunks::<4>(), halves(&b[..a.len().min(b.len())]).as_chunks::<4>());
    let mut sum = 0;
    for ([a, b, c, d], [e, f, g, h]) in fours.iter().zip(others) {
        sum += product(*a, *e) + product(*b, *f) + product(*c, *g) + product(*d, *h);
    }
    rest.iter().zip(other_rest).fold(sum, |sum, (&a, &b)| sum + product(a, b))
}

/// `output_c <- saturate_i16((sum_u share_u value_uc + 2^14) >> 15)`, two numbers in a word, where the values begin `pitch` words apart.
fn weighted(shares: &[u32], tokens: usize, values: &[u32], pitch: usize, output: &mut [u32]) {
    #[cfg(dsp)]
    let done = super::dsp_attention::weighted(shares, tokens, values, pitch, output);
    #[cfg(not(dsp))]
    let done = 0;
    let shares = halves(shares).get(..tokens).unwrap_or_default();
    for (place, at) in output.iter_mut().zip(0..).skip(done) {
        let (mut low, mut high) = (1_i32 << 14, 1_i32 << 14);
        for (&value, &share) in values.get(at..).unwrap_or_default().iter().step_by(pitch).zip(shares) {
            low = low.wrapping_add(i32::from(share) * i32::from(value as i16));
            high = high.wrapping_add(i32::from(share) * i32::from((value >> 16) as i16));
        }
        let rounded = |sum: i32| u32::from((sum >> 15).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as u16);
        *place = rounded(low) | rounded(high) << 16;
    }
}
