//! The denoiser of a mixture of low-rank Gaussians.

use super::linear::Rows;
use super::normalise::moments;
use super::requantise::{high, high_by_halves, requantise};
use super::{TooShort, add, first, first_mut, halves, halves_mut, posterior::posterior};
use core::ops::Range;
use tweedie_core::artifact::{CHANCE_FRACTION, COEFF_FRACTION, Mixture, MixtureTerms, weight_words};

#[cfg(dsp)]
use super::dsp::rows;
#[cfg(not(dsp))]
use super::portable::rows;

/// Rows that are worked on at a time.
const BLOCK: usize = 32;

/// `output <- E[x_0 | x_t]`: see [`Mixture`] for the arithmetic.
///
/// `input`, `output` and `work` begin at the layer's places. `class` chooses a block, or all of them if it is beyond the last; their coordinates are
/// then computed twice, so that working memory is one block's. The input's padding to four numbers may hold anything.
///
/// # Errors
/// [`TooShort`]; a layer of a parsed artifact has all it needs.
pub fn mixture(
    layer: &Mixture<'_>,
    step: usize,
    class: usize,
    input: &[u32],
    output: &mut [u32],
    work: &mut [u32],
) -> Result<(), TooShort> {
    let features = layer.features as usize;
    let missing = TooShort { what: "a mixture's terms by step", need: layer.step_words(), have: layer.by_step.len() };
    let level = layer.level(step).ok_or(missing)?;
    let input = first(input, features.div_ceil(4) * 2, "a layer's input")?;
    let output = first_mut(output, features.div_ceil(2), "a layer's output")?;
    let work = first_mut(work, layer.work_elements() / 2, "a mixture's working memory")?;
    let (coordinates, logits) = work.split_at_mut(layer.block_rows().div_ceil(4) * 2);
    let components = usize::from(layer.components).max(1);
    let blocks = if class < layer.blocks as usize { class..class + 1 } else { 0..layer.blocks as usize };
    let logits = first_mut(logits, blocks.len() * components, "a mixture's logits")?;

    let (_, squares) = moments(input, features);
    let each = 1 + usize::from(layer.rank);
    for (block, logits) in blocks.clone().zip(logits.chunks_exact_mut(components)) {
        project(layer, block, level.alpha, input, coordinates)?;
        let own = terms_of(layer, step, block)?;
        let coordinates = halves(coordinates).chunks_exact(each);
        for ((logit, terms), coordinates) in logits.iter_mut().zip(own).zip(coordinates) {
            let energy = energy(&terms, coordinates, squares, level.norm_shift, level.square_shift);
            let scaled = energy.wrapping_mul(i64::from(level.sharpness)) >> (level.logit_shift & 63);
            let logit_wide = scaled + i64::from(terms.constant);
            *logit = logit_wide.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32 as u32;
        }
    }
    posterior(logits);

    let (again, mut added, mut floor_gain) = (blocks.len() > 1, false, 0);
    for (block, chances) in blocks.zip(logits.chunks_exact(components)) {
        if again {
            project(layer, block, level.alpha, input, coordinates)?;
        }
        let own = terms_of(layer, step, block)?;
        for ((&w, terms), coordinates) in chances.iter().zip(own).zip(halves_mut(coordinates).chunks_exact_mut(each)) {
            weigh(&terms, w, level.gain_shift, coordinates);
            floor_gain += w as i32 * i32::from(terms.floor_gain);
        }
        expand(layer, block, coordinates, output, added)?;
        added = true;
    }
    add_state(output, input, features, round(floor_gain, CHANCE_FRACTION) as i16);
    Ok(())
}

/// The terms of a block's components.
fn terms_of<'a>(
    layer: &Mixture<'a>,
    step: usize,
    block: usize,
) -> Result<impl Iterator<Item = MixtureTerms<'a>> + use<'a>, TooShort> {
    let missing = TooShort { what: "a mixture's terms by step", need: layer.step_words(), have: layer.by_step.len() };
    layer.terms(step, block).ok_or(missing)
}

/// Step 1: the coordinates of `x_t - alpha mu`.
fn project(
    layer: &Mixture<'_>,
    block: usize,
    alpha: u32,
    input: &[u32],
    coordinates: &mut [u32],
) -> Result<(), TooShort> {
    let (features, count) = (layer.features as usize, layer.block_rows());
    let all = Rows {
        input,
        weights: of_block(layer.rows, block, weight_words(features, count), "a mixture's rows")?,
        bias: of_block(layer.offsets, block, Some(count), "a mixture's offsets")?,
        multipliers: of_block(layer.multipliers, block, Some(count), "a mixture's multipliers")?,
        step_bias: None,
        class_bias: None,
    };
    for (index, out) in coordinates.chunks_mut(BLOCK / 2).enumerate() {
        let some = all.block(index * BLOCK, BLOCK);
        let mut bias = [0; BLOCK];
        let bias = first_mut(&mut bias, some.bias.len(), "a mixture's offsets")?;
        for (bias, &offset) in bias.iter_mut().zip(some.bias) {
            let shift = if cfg!(narrow_multiply) { high_by_halves } else { high }(offset as i32, alpha);
            *bias = shift.wrapping_neg() as u32;
        }
        rows(&Rows { bias, ..some }, out);
    }
    Ok(())
}

/// Step 2's energy.
fn energy(terms: &MixtureTerms<'_>, coordinates: &[i16], squares: u64, norm_shift: u8, square_shift: u8) -> i64 {
    let Some((&mean, directions)) = coordinates.split_first() else { return 0 };
    let mut sum = 0_i64;
    for (&c, &gain) in directions.iter().zip(halves(terms.excess_gains)) {
        let q = i32::from(c) * i32::from(gain);
        sum = sum.wrapping_add(i64::from(q) * i64::from(c));
    }
    let floor = i64::from(terms.floor_gain).wrapping_mul(squares as i64) >> (norm_shift & 63);
    i64::from(i32::from(terms.mean_gain) * i32::from(mean)) + floor + (sum >> (square_shift & 63))
}

/// Step 5: coordinates become coefficients.
fn weigh(terms: &MixtureTerms<'_>, chance: u32, gain_shift: u8, coordinates: &mut [i16]) {
    let Some((mean, directions)) = coordinates.split_first_mut() else { return };
    *mean = round(chance as i32 * i32::from(terms.mean_gain), CHANCE_FRACTION) as i16;
    let multiplier = chance << (gain_shift & 15);
    for (c, &gain) in directions.iter_mut().zip(halves(terms.excess_gains)) {
        *c = requantise(i32::from(*c) * i32::from(gain), multiplier);
    }
}

/// Step 6: a block's rows times their coefficients, added to what the output holds or not.
fn expand(
    layer: &Mixture<'_>,
    block: usize,
    coefficients: &[u32],
    output: &mut [u32],
    add_to: bool,
) -> Result<(), TooShort> {
    static NO_BIAS: [u32; BLOCK] = [0; BLOCK];
    let (features, count) = (layer.features as usize, layer.block_rows());
    let multipliers = of_block(layer.output_multipliers, block, Some(features), "a mixture's multipliers")?;
    let weights = of_block(layer.columns, block, weight_words(count, features), "a mixture's columns")?;
    // Four rows have twice as many words as the input.
    let each = coefficients.len() * 2 * (BLOCK / 4);
    let parts = weights.chunks(each.max(1)).zip(multipliers.chunks(BLOCK)).zip(output.chunks_mut(BLOCK / 2));
    for ((weights, multipliers), output) in parts {
        let bias = first(&NO_BIAS, multipliers.len(), "a mixture's multipliers")?;
        let some = Rows { input: coefficients, weights, bias, multipliers, step_bias: None, class_bias: None };
        if add_to {
            let mut held = [0; BLOCK / 2];
            rows(&some, &mut held);
            add(output, &held, multipliers.len())?;
        } else {
            rows(&some, output);
        }
    }
    Ok(())
}

/// Step 7: adds the state's share.
fn add_state(output: &mut [u32], input: &[u32], features: usize, gain: i16) {
    let gain = i32::from(gain);
    for (z, &x) in halves_mut(output).iter_mut().zip(halves(input)).take(features) {
        let sum = round((i32::from(*z) << COEFF_FRACTION) + gain * i32::from(x), COEFF_FRACTION);
        *z = sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
    }
}

/// `(value + half) >> fraction`.
const fn round(value: i32, fraction: u32) -> i32 {
    (value + (1 << (fraction - 1))) >> fraction
}

/// A block's part of a table.
fn of_block<'a>(
    table: &'a [u32],
    block: usize,
    length: Option<usize>,
    what: &'static str,
) -> Result<&'a [u32], TooShort> {
    let length = length.unwrap_or(usize::MAX);
    let begin = block.saturating_mul(length);
    let Range { start, end } = begin..begin.saturating_add(length);
    table.get(start..end).ok_or(TooShort { what, need: end, have: table.len() })
}
