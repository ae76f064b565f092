//! The convolution: patches of two pixels at a time (one without the DSP instructions), and the rows of a linear layer over them.

use super::linear::chosen;
use super::patch::Patches;
use super::{TooShort, activate, add, first, halves, halves_mut, portable};
use core::ops::Range;
use tweedie_core::artifact::{Convolution, TABLE_ENTRIES, weight_words};

#[cfg(dsp)]
use super::dsp_convolution::{pixels, start};
#[cfg(not(dsp))]
use super::portable::{pixels, start};

/// Pixels whose patches are laid out, and multiplied by the rows, together.
pub(super) const LANES: usize = if cfg!(dsp) { 2 } else { 1 };

/// `output[y, x] <- rows(patch(y, x))`, or added to the output: see [`Convolution`] for the arithmetic. The layer finds its images and its room for
/// patches in `arena`; `step` and `class` choose rows of its bias tables, where it has them.
///
/// # Errors
/// [`TooShort`]; a layer of a parsed artifact has all it needs.
pub fn convolution(layer: &Convolution<'_>, step: usize, class: usize, arena: &mut [u32]) -> Result<(), TooShort> {
    let rows = &layer.rows;
    let (inputs, outputs) = (rows.inputs as usize, rows.outputs as usize);
    let (height, width) = layer.output_size();
    let pixels_there = height as usize * width as usize;
    let weights = first(rows.weights, weight_words(inputs, outputs).unwrap_or(usize::MAX), "a layer's weights")?;
    let biases = [
        Some(first(rows.bias, outputs, "a layer's bias")?),
        chosen(rows.step_bias, step, outputs, "a layer's biases by step")?,
        chosen(rows.class_bias, class, outputs, "a layer's biases by class")?,
    ];
    let multipliers = first(rows.multipliers, outputs, "a layer's multipliers")?;
    if !rows.table.is_empty() {
        first(rows.table, TABLE_ENTRIES.div_ceil(2), "an activation table")?;
    }

    let have = arena.len();
    let images = layer.sources.map(|source| {
        let (height, width) = source.size(layer.height, layer.width);
        words(source.at, usize::from(height) * usize::from(width) * usize::from(source.channels))
    });
    let [first_image, second_image] = images;
    let (room, output) =
        (words(rows.input_at, layer.scratch() as usize), words(rows.output_at, pixels_there * outputs));
    let need = [&first_image, &second_image, &room, &output].map(|range| range.end).into_iter().max().unwrap_or(0);
    let apart = arena.get_disjoint_mut([first_image, second_image, room, output]);
    let [first_image, second_image, room, output] =
        apart.map_err(|_| TooShort { what: "a convolution's arena", need, have })?;

    let padded = outputs.next_multiple_of(4);
    let (constants, room) = room.split_at_mut(CONSTANTS * padded / 2);
    let (patch, held) = room.split_at_mut(LANES * inputs.next_multiple_of(4) / 2);
    let held = held.get_mut(..LANES * padded / 2).unwrap_or_default();
    fill(constants, biases, multipliers);

    let mut patches = Patches::new(layer, [first_image, second_image], width as usize);
    let mut at = 0;
    while at < pixels_there {
        let lanes = LANES.min(pixels_there - at);
        patches.lay_out(lanes, patch);
        let whole = outputs.is_multiple_of(2) && lanes == LANES;
        let begin = at * outputs;
        at += lanes;
        if whole {
            let output = output.get_mut(begin / 2..(begin + LANES * outputs) / 2).unwrap_or_default();
            if !rows.add {
                pixels(weights, patch, constants, outputs, output);
                continue;
            }
            let held = held.get_mut(..LANES * outputs / 2).unwrap_or_default();
            pixels(weights, patch, constants, outputs, held);
            if !rows.table.is_empty() {
                activate(rows.table, held, LANES * outputs)?;
            }
            add(output, held, LANES * outputs)?;
            continue;
        }
        pixels(weights, patch, constants, outputs, held);
        for (lane, held) in held.chunks_exact_mut(padded / 2).take(lanes).enumerate() {
            let output = halves_mut(output).get_mut(begin + lane * outputs..).unwrap_or_default();
            if rows.add {
                if !rows.table.is_empty() {
                    activate(rows.table, held, outputs)?;
                }
                portable::add(output, halves(held).get(..outputs).unwrap_or_default());
            } else {
                output.iter_mut().zip(halves(held)).take(outputs).for_each(|(place, &z)| *place = z);
            }
        }
    }
    match rows.table {
        [] => Ok(()),
        _ if rows.add => Ok(()),
        table => activate(table, output, pixels_there * outputs),
    }
}

/// The words that hold so many numbers of the arena.
fn words(at: u32, numbers: usize) -> Range<usize> {
    let at = at as usize / 2;
    at..at.saturating_add(numbers.div_ceil(2))
}

/// Words for a pair of rows: where its sums start, and its multipliers.
pub(super) const CONSTANTS: usize = 5;

/// The constants of each pair of rows, all bias tables summed; rows that there are not have 0.
fn fill(constants: &mut [u32], biases: [Option<&[u32]>; 3], multipliers: &[u32]) {
    for (pair, constants) in constants.as_chunks_mut::<CONSTANTS>().0.iter_mut().enumerate() {
        let of = |table: &[u32], row: usize| table.get(row).copied().unwrap_or(0);
        let bias = |row: usize| biases.into_iter().flatten().fold(0_u32, |sum, table| sum.wrapping_add(of(table, row)));
        let [one, two, three] = start(bias(2 * pair), bias(2 * pair + 1));
        *constants = [one, two, three, of(multipliers, 2 * pair), of(multipliers, 2 * pair + 1)];
    }
}
