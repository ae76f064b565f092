//! The layers of images of an artifact, run plainly: see [`integer`](super::integer).

use super::integer::{PlainLinear, halves, interpolate, saturated};
use std::ops::Range;
use tweedie_core::artifact::{Attention, Convolution, Rearrange, Source, TABLE_ENTRIES};

/// A convolution with its weights unpacked.
pub(super) struct PlainConvolution {
    sources: [Source; 2],
    size: [u16; 2],
    output_size: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
    output_at: usize,
    outputs: usize,
    rows: PlainLinear,
}

impl PlainConvolution {
    pub(super) fn new(layer: &Convolution<'_>) -> Self {
        let (height, width) = layer.output_size();
        Self {
            sources: layer.sources,
            size: [layer.height, layer.width],
            output_size: [height as usize, width as usize],
            kernel: layer.kernel.into(),
            stride: layer.stride.into(),
            padding: layer.padding.into(),
            output_at: layer.rows.output_at as usize,
            outputs: layer.rows.outputs as usize,
            rows: PlainLinear::new(&layer.rows),
        }
    }

    pub(super) fn run(&self, arena: &mut [i16], step: usize, class: usize) -> Range<usize> {
        let [rows, columns] = self.output_size;
        for pixel in 0..rows * columns {
            let (top, left) = (pixel / columns * self.stride, pixel % columns * self.stride);
            let mut patch = Vec::new();
            for tap in 0..self.kernel * self.kernel {
                let (y, x) = (top + tap / self.kernel, left + tap % self.kernel);
                self.pixel(arena, y.checked_sub(self.padding), x.checked_sub(self.padding), &mut patch);
            }
            let output = &mut arena[self.output_at + pixel * self.outputs..][..self.outputs];
            self.rows.rows(&patch, output, step, class);
        }
        self.output_at..self.output_at + rows * columns * self.outputs
    }

    /// The channels of an input pixel, zeros beyond the edges.
    fn pixel(&self, arena: &[i16], y: Option<usize>, x: Option<usize>, patch: &mut Vec<i16>) {
        let [height, width] = self.size;
        let (y, x) = (y.filter(|&y| y < height.into()), x.filter(|&x| x < width.into()));
        for source in &self.sources {
            let channels = usize::from(source.channels);
            let (Some(y), Some(x)) = (y, x) else {
                patch.extend(std::iter::repeat_n(0, channels));
                continue;
            };
            let of = |at: usize| if source.doubled { at / 2 } else { at };
            let pixel = of(y) * usize::from(source.size(height, width).1) + of(x);
            patch.extend_from_slice(&arena[source.at as usize + pixel * channels..][..channels]);
        }
    }
}

/// Moves a sample's numbers; returns where to.
pub(super) fn rearrange(layer: &Rearrange, arena: &mut [i16]) -> Range<usize> {
    let [rows, columns, side, channels] = [layer.rows, layer.columns, layer.side, layer.channels].map(usize::from);
    let elements = rows * columns * side * side * channels;
    let input = arena[layer.input_at as usize..][..elements].to_vec();
    let output = layer.output_at as usize..layer.output_at as usize + elements;
    for of_sample in 0..elements {
        let (channel, y, x) = (
            of_sample / (rows * side * columns * side),
            of_sample / (columns * side) % (rows * side),
            of_sample % (columns * side),
        );
        let of_image =
            ((y / side * columns + x / side) * side * side + y % side * side + x % side) * channels + channel;
        let (from, to) = if layer.back { (of_image, of_sample) } else { (of_sample, of_image) };
        arena[output.start + to] = input[from];
    }
    output
}

/// An attention with its table unpacked.
pub(super) struct PlainAttention {
    input_at: usize,
    output_at: usize,
    tokens: usize,
    heads: usize,
    depth: usize,
    shift: u8,
    multiplier: u32,
    table: Vec<i16>,
}

impl PlainAttention {
    pub(super) fn new(layer: &Attention<'_>) -> Self {
        Self {
            input_at: layer.input_at as usize,
            output_at: layer.output_at as usize,
            tokens: layer.tokens.into(),
            heads: layer.heads.into(),
            depth: layer.depth.into(),
            shift: layer.shift,
            multiplier: layer.multiplier,
            table: halves(layer.table).take(TABLE_ENTRIES).collect(),
        }
    }

    pub(super) fn run(&self, arena: &mut [i16]) -> Range<usize> {
        let width = self.heads * self.depth;
        let input = arena[self.input_at..][..3 * self.tokens * width].to_vec();
        let part = |token: usize, part: usize, head: usize| {
            &input[(token * 3 + part) * width + head * self.depth..][..self.depth]
        };
        let output = self.output_at..self.output_at + self.tokens * width;
        for (place, out) in arena[output.clone()].iter_mut().enumerate() {
            let (token, head, number) = (place / width, place % width / self.depth, place % self.depth);
            let shares = self.shares(part(token, 0, head), (0..self.tokens).map(|other| part(other, 1, head)));
            let values = (0..self.tokens).map(|other| i64::from(part(other, 2, head)[number]));
            let sum: i64 = shares.iter().zip(values).map(|(share, value)| share * value).sum();
            *out = saturated((sum + (1 << 14)) >> 15);
        }
        output
    }

    fn shares<'a>(&self, query: &[i16], keys: impl Iterator<Item = &'a [i16]>) -> Vec<i64> {
        let score = |key: &[i16]| {
            let sum: i64 = query.iter().zip(key).map(|(&q, &k)| i64::from(q) * i64::from(k)).sum();
            (sum >> self.shift).clamp(i32::MIN.into(), i32::MAX.into())
        };
        let scores: Vec<i64> = keys.map(score).collect();
        let most = scores.iter().copied().max().unwrap_or(0);
        let exponential = |score: &i64| {
            let steps = ((most - score) as u64 * u64::from(self.multiplier)) >> 32;
            i64::from(interpolate(&self.table, (32_767 - steps.min(65_535) as i32) as i16))
        };
        let exponentials: Vec<i64> = scores.iter().map(exponential).collect();
        let reciprocal = ((1 << 31) - (1 << 16)) / exponentials.iter().sum::<i64>().max(1);
        exponentials.iter().map(|e| (e * reciprocal + (1 << 15)) >> 16).collect()
    }
}
