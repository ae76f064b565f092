//! An artifact's network run plainly, to compare with the network in floating point.
//!
//! It follows the description of the format word for word and not the firmware, which is another program's; tests compare the two.

use super::integer_images::{PlainAttention, PlainConvolution, rearrange};
use super::integer_mixture::PlainMixture;
use tweedie_core::artifact::{Artifact, Layer, Linear, Normalise, Rearrange, TABLE_ENTRIES, unpack_half};

/// A network with its arena.
pub struct IntegerNetwork {
    layers: Vec<PlainLayer>,
    arena: Vec<i16>,
    input: std::ops::Range<usize>,
    output: std::ops::Range<usize>,
}

enum PlainLayer {
    Linear(Box<PlainLinear>),
    Convolution(Box<PlainConvolution>),
    Normalise(Normalise),
    Mixture(Box<PlainMixture>),
    Rearrange(Rearrange),
    Constants(usize, Vec<i16>),
    Attention(PlainAttention),
}

/// A linear layer with its weights unpacked, `[outputs, inputs]`.
pub(super) struct PlainLinear {
    input: std::ops::Range<usize>,
    output: std::ops::Range<usize>,
    add: bool,
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<u32>,
    table: Vec<i16>,
    step_bias: Vec<i32>,
    class_bias: Vec<i32>,
}

impl IntegerNetwork {
    /// The network of an artifact.
    pub fn new(artifact: &Artifact<'_>) -> Self {
        let header = artifact.header();
        let range = |at: u32| at as usize..at as usize + header.features();
        let layers = artifact.layers().filter_map(|layer| match layer {
            Layer::Linear(linear) => Some(PlainLayer::Linear(Box::new(PlainLinear::new(&linear)))),
            Layer::Normalise(normalise) => Some(PlainLayer::Normalise(normalise)),
            Layer::Mixture(mixture) => {
                Some(PlainLayer::Mixture(Box::new(PlainMixture::new(&mixture, artifact.steps()))))
            }
            Layer::Convolution(convolution) => {
                Some(PlainLayer::Convolution(Box::new(PlainConvolution::new(&convolution))))
            }
            Layer::Rearrange(rearrange) => Some(PlainLayer::Rearrange(rearrange)),
            Layer::Constants(constants) => {
                let mut numbers: Vec<i16> = halves(constants.numbers).collect();
                numbers.truncate(constants.length as usize);
                Some(PlainLayer::Constants(constants.output_at as usize, numbers))
            }
            Layer::Attention(attention) => Some(PlainLayer::Attention(PlainAttention::new(&attention))),
            _ => None,
        });
        Self {
            layers: layers.collect(),
            arena: vec![0; header.arena as usize],
            input: range(header.input_at),
            output: range(header.output_at),
        }
    }

    /// The output for a state, both with 12 fractional bits; `watch` is shown each layer's number and what it left.
    pub fn run(&mut self, state: &[i16], step: usize, class: usize, mut watch: impl FnMut(usize, &[i16])) -> &[i16] {
        self.arena[self.input.clone()].copy_from_slice(state);
        for (index, layer) in self.layers.iter().enumerate() {
            let written = match layer {
                PlainLayer::Linear(linear) => linear.run(&mut self.arena, step, class),
                PlainLayer::Normalise(normalise) => run_normalise(normalise, &mut self.arena),
                PlainLayer::Mixture(mixture) => mixture.run(&mut self.arena, step, class),
                PlainLayer::Convolution(convolution) => convolution.run(&mut self.arena, step, class),
                PlainLayer::Rearrange(rearranged) => rearrange(rearranged, &mut self.arena),
                PlainLayer::Constants(at, numbers) => {
                    self.arena[*at..at + numbers.len()].copy_from_slice(numbers);
                    *at..at + numbers.len()
                }
                PlainLayer::Attention(attention) => attention.run(&mut self.arena),
            };
            watch(index, &self.arena[written]);
        }
        &self.arena[self.output.clone()]
    }
}

/// The two 16-bit numbers of each word, low half first.
pub(crate) fn halves(words: &[u32]) -> impl Iterator<Item = i16> {
    words.iter().flat_map(|&word| [word as i16, (word >> 16) as i16])
}

impl PlainLinear {
    pub(super) fn new(linear: &Linear<'_>) -> Self {
        let (inputs, outputs) = (linear.inputs as usize, linear.outputs as usize);
        let signed = |words: &[u32]| words.iter().map(|&word| word as i32).collect();
        Self {
            input: linear.input_at as usize..linear.input_at as usize + inputs,
            output: linear.output_at as usize..linear.output_at as usize + outputs,
            add: linear.add,
            weights: unpacked(linear.weights, inputs, outputs),
            bias: signed(linear.bias),
            multipliers: linear.multipliers.to_vec(),
            table: halves(linear.table).take(TABLE_ENTRIES).collect(),
            step_bias: signed(linear.step_bias),
            class_bias: signed(linear.class_bias),
        }
    }

    fn run(&self, arena: &mut [i16], step: usize, class: usize) -> std::ops::Range<usize> {
        let input = arena[self.input.clone()].to_vec();
        self.rows(&input, &mut arena[self.output.clone()], step, class);
        self.output.clone()
    }

    /// Every row over an input, into or onto an output.
    pub(super) fn rows(&self, input: &[i16], output: &mut [i16], step: usize, class: usize) {
        let (inputs, outputs) = (self.input.len(), self.output.len());
        for (row, out) in output.iter_mut().enumerate() {
            let of = |table: &[i32], line: usize| table.get(line * outputs + row).copied().unwrap_or(0);
            let weights = self.weights[row * inputs..][..inputs].iter().zip(input);
            let sum: i32 = weights.map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
            let acc = self.bias[row] + of(&self.step_bias, step) + of(&self.class_bias, class) + sum;
            let scaled = (i64::from(acc) * i64::from(self.multipliers[row]) + (1 << 31)) >> 32;
            let mut z = saturated(scaled);
            if !self.table.is_empty() {
                z = interpolate(&self.table, z);
            }
            *out = if self.add { out.saturating_add(z) } else { z };
        }
    }
}

/// Packed weights as they were, `[outputs, inputs]`.
pub(crate) fn unpacked(packed: &[u32], inputs: usize, outputs: usize) -> Vec<i8> {
    let mut weights = vec![0; inputs * outputs];
    for (at, &word) in packed.iter().enumerate() {
        let columns = inputs.div_ceil(4);
        let (group, place) = (at / (4 * columns), at % (4 * columns));
        let (row, column) = (4 * group + place % 2 * 2, place / 4 * 4 + place % 4 / 2 * 2);
        for (column, half) in [(column, word as u16), (column + 1, (word >> 16) as u16)] {
            let (first, second) = unpack_half(half);
            for (row, weight) in [(row, first), (row + 1, second)] {
                if row < outputs && column < inputs {
                    weights[row * inputs + column] = weight;
                }
            }
        }
    }
    weights
}

/// The broken line through a table's entries.
pub fn interpolate(table: &[i16], z: i16) -> i16 {
    let position = i32::from(z) + 32768;
    let (k, share) = ((position >> 8) as usize, position & 255);
    let (here, next) = (i32::from(table[k]), i32::from(table[k + 1]));
    (here + (((next - here) * share + 128) >> 8)) as i16
}

/// Normalises row by row in place of the arena that the layer names; returns where it wrote.
pub(super) fn run_normalise(normalise: &Normalise, arena: &mut [i16]) -> std::ops::Range<usize> {
    let n = normalise.features as usize;
    let (from, to) = (normalise.input_at as usize, normalise.output_at as usize);
    for row in 0..normalise.rows as usize {
        let (input, output) = (from + row * n, to + row * n);
        let sum: i32 = arena[input..input + n].iter().map(|&x| i32::from(x)).sum();
        let deviations: Vec<i32> = arena[input..input + n].iter().map(|&x| n as i32 * i32::from(x) - sum).collect();
        let square = |&d: &i32| u64::from(d.unsigned_abs()) * u64::from(d.unsigned_abs());
        let v = deviations.iter().map(square).fold(normalise.epsilon, u64::saturating_add).max(1);
        let e = v.leading_zeros() & !1;
        let root = (v << e).isqrt();
        let inverse = (normalise.gain / root).saturating_mul(1 << (e / 2)).min((1 << 31) - 1);
        for (out, d) in arena[output..output + n].iter_mut().zip(deviations) {
            *out = saturated(((i64::from(d) << normalise.shift) * inverse as i64 + (1 << 31)) >> 32);
        }
    }
    to..to + n * normalise.rows as usize
}

pub(super) fn saturated(value: i64) -> i16 {
    value.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}
