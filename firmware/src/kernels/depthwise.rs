//! The depthwise convolution: a channel's strip is copied out, so that its columns lie side by side, and swept over.

use super::linear::chosen;
use super::requantise::requantise;
use super::{TooShort, activate, first, halves, halves_mut};
use tweedie_core::artifact::{Depthwise, TABLE_ENTRIES, unpack_half, weight_words};

/// Rows and columns of the kernel.
const KERNEL: usize = 3;
/// Columns of the output of a strip.
const STRIP: usize = 16;
/// Channels that are copied out together: two share a word.
const CHANNELS: usize = 2;
/// Columns of a strip with its neighbours on either side.
pub(super) const COLUMNS: usize = STRIP + KERNEL - 1;

/// `output[y, x, c] <- row c over channel c's patch(y, x)`: see [`Depthwise`] for the arithmetic. The layer finds its images and its room in `arena`;
/// `step` and `class` choose rows of its bias tables, where it has them.
///
/// # Errors
/// [`TooShort`]; a layer of a parsed artifact has all it needs.
pub fn depthwise(layer: &Depthwise<'_>, step: usize, class: usize, arena: &mut [u32]) -> Result<(), TooShort> {
    let rows = &layer.rows;
    let channels = rows.outputs as usize;
    let weights = weight_words(KERNEL * KERNEL, channels).unwrap_or(usize::MAX);
    let weights = first(rows.weights, weights, "a layer's weights")?;
    let biases = [
        Some(first(rows.bias, channels, "a layer's bias")?),
        chosen(rows.step_bias, step, channels, "a layer's biases by step")?,
        chosen(rows.class_bias, class, channels, "a layer's biases by class")?,
    ];
    let multipliers = first(rows.multipliers, channels, "a layer's multipliers")?;
    if !rows.table.is_empty() {
        first(rows.table, TABLE_ENTRIES.div_ceil(2), "an activation table")?;
    }

    let (height, width) = (usize::from(layer.height), usize::from(layer.width));
    let (output_height, output_width) = layer.output_size();
    let numbers = output_height as usize * output_width as usize * channels;
    let words = |at: u32, numbers: usize| (at as usize / 2)..(at as usize / 2).saturating_add(numbers.div_ceil(2));
    let ranges = [
        words(layer.input_at, height * width * channels),
        words(rows.input_at, layer.scratch() as usize),
        words(rows.output_at, numbers),
    ];
    let (have, need) = (arena.len(), ranges.iter().map(|range| range.end).max().unwrap_or(0));
    let apart = arena.get_disjoint_mut(ranges);
    let [input, strip, output] = apart.map_err(|_| TooShort { what: "a convolution's arena", need, have })?;

    let sweep = Sweep { height, width, channels, stride: usize::from(layer.stride.max(1)) };
    // In words, of which COLUMNS numbers are half as many.
    let strips = strip.get_mut(..COLUMNS * (height + KERNEL - 1)).unwrap_or_default();
    strips.fill(0);
    for first in (0..channels).step_by(CHANNELS) {
        for begin in (0..width).step_by(STRIP) {
            if width > STRIP {
                strips.fill(0);
            }
            let together = CHANNELS.min(channels - first);
            sweep.copy(input, first, together, begin, strips);
            let half = strips.len() / 2;
            for (channel, strip) in (first..first + together).zip(strips.chunks_exact(half.max(1))) {
                let bias = |table: &[u32]| table.get(channel).copied().unwrap_or(0);
                let bias = biases.into_iter().flatten().fold(0, |sum: u32, table| sum.wrapping_add(bias(table)));
                let multiplier = multipliers.get(channel).copied().unwrap_or(0);
                let row = Row { taps: taps(weights, channel), bias: bias as i32, multiplier };
                sweep.run(&row, strip, channel, begin, output);
            }
        }
    }
    match rows.table {
        [] => Ok(()),
        table => activate(table, output, numbers),
    }
}

/// One channel's numbers.
pub(super) struct Row {
    pub taps: [i8; KERNEL * KERNEL],
    pub bias: i32,
    pub multiplier: u32,
}

/// A channel's weights, out of the group of four that they are packed in.
fn taps(weights: &[u32], channel: usize) -> [i8; KERNEL * KERNEL] {
    let mut taps = [0; KERNEL * KERNEL];
    let group = weights.get(channel / 4 * 12..).unwrap_or_default();
    for (column, tap) in taps.iter_mut().enumerate() {
        let word = group.get(column / 4 * 4 + column % 4 / 2 * 2 + channel % 4 / 2).copied().unwrap_or(0);
        let (first, second) = unpack_half((word >> (column % 2 * 16)) as u16);
        *tap = if channel.is_multiple_of(2) { first } else { second };
    }
    taps
}

/// The sizes of a sweep.
pub(super) struct Sweep {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub stride: usize,
}

impl Sweep {
    /// Copies channels' columns from the one left of `begin` on, and every row, to where they lie in their strips; what lies beyond the image stays 0.
    fn copy(&self, input: &[u32], first: usize, together: usize, begin: usize, strips: &mut [u32]) {
        let from = begin.saturating_sub(1);
        let columns = (begin + STRIP + 1).min(self.width) - from;
        let (number, place) = (from * self.channels + first, COLUMNS + from + 1 - begin);
        #[cfg(dsp)]
        if together == CHANNELS && self.channels.is_multiple_of(2) {
            let pairs = input.get(number / 2..).unwrap_or_default();
            if super::dsp_depthwise::copy(self, pairs, columns, halves_mut(strips), place) {
                return;
            }
        }
        let half = strips.len() / 2;
        for (channel, strip) in strips.chunks_exact_mut(half.max(1)).take(together).enumerate() {
            let strip = halves_mut(strip);
            for y in 0..self.height {
                let begin = y * self.width * self.channels + number + channel;
                let row = halves(input).get(begin..).unwrap_or_default();
                let places = strip.get_mut(y * COLUMNS + place..).unwrap_or_default();
                let row = row.iter().step_by(self.channels).take(columns);
                places.iter_mut().zip(row).for_each(|(place, &number)| *place = number);
            }
        }
    }

    /// The outputs of a strip.
    fn run(&self, row: &Row, strip: &[u32], channel: usize, begin: usize, output: &mut [u32]) {
        let strip = halves(strip);
        let output_width = self.width.div_ceil(self.stride);
        let output = halves_mut(output);
        let end = (begin + STRIP).min(self.width);
        #[cfg(dsp)]
        let begin_here = begin + super::dsp_depthwise::sweep(self, row, strip, channel, begin..end, output);
        #[cfg(not(dsp))]
        let begin_here = begin;
        if begin_here >= end {
            return;
        }
        for y in (0..self.height).step_by(self.stride) {
            for x in (begin_here..end).step_by(self.stride) {
                let mut sum = row.bias;
                for (i, taps) in row.taps.chunks_exact(KERNEL).enumerate() {
                    let numbers = strip.get((y + i) * COLUMNS + x - begin..).unwrap_or_default();
                    for (&tap, &number) in taps.iter().zip(numbers) {
                        sum = sum.wrapping_add(i32::from(tap) * i32::from(number));
                    }
                }
                let place = (y / self.stride * output_width + x / self.stride) * self.channels + channel;
                if let Some(place) = output.get_mut(place) {
                    *place = requantise(sum, row.multiplier);
                }
            }
        }
    }
}
