//! The fully connected layer: its arithmetic, its packed weights, its record.

use super::record::{Arena, MAX_TABLES, Tables, high, low, overlap, pair};
use super::{ArtifactError, TABLE_WORDS};

/// Words of the record.
const RECORD: usize = 12;

/// `output <- table(round((bias + W input) * multiplier))`, a fully connected layer.
///
/// For output row `o`, in exact integer arithmetic:
///
/// 1. `acc = bias[o] + step_bias[step][o] + class_bias[class][o] + sum_i w[o][i] input[i]`, which parsing has proved to fit an `i32` for
///    any activations;
/// 2. `z = saturate_i16((acc * multiplier[o] + 2^31) >> 32)`, one rounding, the shift towards minus infinity;
/// 3. with a table, `k = (z + 32768) >> 8`, `f = z & 255`, `z = t[k] + (((t[k + 1] - t[k]) * f + 128) >> 8)`;
/// 4. `output[o] = z`, or `saturate_i16(output[o] + z)` with `add`.
///
/// Weights are packed for `SMLALD`: rows in groups of four (0, 1, 2, 3), columns in fours, both padded with zeros. A group and four columns
/// `c` are four words, `(0,1; c, c+1) (2,3; c, c+1) (0,1; c+2, c+3) (2,3; c+2, c+3)`; each holds for its two rows `r, r+1` and two
/// columns the halves `w[r][c] + 256 w[r+1][c]` modulo `2^16`. So one half multiplied by an activation sums both rows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear<'a> {
    /// Where the input begins in the arena; even.
    pub input_at: u32,
    /// Number of inputs, at least 1.
    pub inputs: u32,
    /// Where the output begins in the arena; even.
    pub output_at: u32,
    /// Number of outputs, at least 1.
    pub outputs: u32,
    /// Whether the result is added to what the output holds.
    pub add: bool,
    /// Packed weights, [`weight_words`] of them.
    pub weights: &'a [u32],
    /// One `i32` for each output.
    pub bias: &'a [u32],
    /// One for each output, from 0 to `2^31 - 1`.
    pub multipliers: &'a [u32],
    /// The activation, [`TABLE_ENTRIES`](super::TABLE_ENTRIES) 16-bit numbers and a 0; empty for none.
    pub table: &'a [u32],
    /// One `i32` for each step and output, `[steps, outputs]`; empty for none.
    pub step_bias: &'a [u32],
    /// One `i32` for each class and output, `[classes + 1, outputs]`, the last row for "no class"; empty for none.
    pub class_bias: &'a [u32],
}

impl<'a> Linear<'a> {
    pub(super) const KIND: u16 = 1;
    pub(super) const WORDS: usize = RECORD;

    pub(super) fn read(record: &[u32; RECORD], tables: Tables<'a>) -> Result<Self, ArtifactError> {
        let [head, input_at, inputs, output_at, outputs, places @ .., zero] = *record;
        if high(head) > 1 || zero != 0 {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        }
        Self::of_tables((input_at, inputs), (output_at, outputs), high(head) == 1, places, tables)
    }

    /// Input and output as place and length, and the places of the tables.
    pub(super) fn of_tables(
        (input_at, inputs): (u32, u32),
        (output_at, outputs): (u32, u32),
        add: bool,
        places: [u32; MAX_TABLES],
        tables: Tables<'a>,
    ) -> Result<Self, ArtifactError> {
        let weights =
            weight_words(inputs as usize, outputs as usize).ok_or(ArtifactError::Inconsistent("a layer's size"))?;
        let rows = outputs as usize;
        Ok(Self {
            input_at,
            inputs,
            output_at,
            outputs,
            add,
            weights: tables.get(places[0], weights, "a layer's weights")?,
            bias: tables.get(places[1], rows, "a layer's bias")?,
            multipliers: tables.get(places[2], rows, "a layer's multipliers")?,
            table: tables.optional(places[3], 1, TABLE_WORDS, "an activation table")?,
            step_bias: tables.optional(places[4], tables.steps, rows, "a layer's biases by step")?,
            class_bias: tables.optional(places[5], tables.classes + 1, rows, "a layer's biases by class")?,
        })
    }

    pub(super) fn tables(&self) -> [&'a [u32]; MAX_TABLES] {
        [self.weights, self.bias, self.multipliers, self.table, self.step_bias, self.class_bias]
    }

    pub(super) fn write(&self, places: [u32; MAX_TABLES], record: &mut [u32; RECORD]) {
        let head = pair(Self::KIND, u16::from(self.add));
        let [a, b, c, d, e, f] = places;
        *record = [head, self.input_at, self.inputs, self.output_at, self.outputs, a, b, c, d, e, f, 0];
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        arena.holds(self.input_at, self.inputs, "a layer's input")?;
        arena.holds(self.output_at, self.outputs, "a layer's output")?;
        if overlap(self.input_at, self.inputs, self.output_at, self.outputs) {
            return Err(ArtifactError::Inconsistent("a layer whose output overlaps its input"));
        }
        self.check_numbers()
    }

    /// What the arithmetic relies on, wherever the numbers lie: no accumulator overflows.
    pub(super) fn check_numbers(&self) -> Result<(), ArtifactError> {
        use ArtifactError::Inconsistent;
        if self.multipliers.iter().any(|&m| m as i32 <= 0 && m != 0) {
            return Err(Inconsistent("a layer's multipliers"));
        }
        let (inputs, outputs) = (self.inputs as usize, self.outputs as usize);
        let largest = |table: &[u32], output: usize| {
            let entries = table.iter().skip(output).step_by(outputs.max(1));
            entries.map(|&bias| u64::from((bias as i32).unsigned_abs())).max().unwrap_or(0)
        };
        check_rows(self.weights, inputs, outputs, |output| {
            largest(self.bias, output) + largest(self.step_bias, output) + largest(self.class_bias, output)
        })?;
        if self.table.last().is_some_and(|&word| high(word) != 0) {
            return Err(Inconsistent("an activation table"));
        }
        Ok(())
    }
}

/// Whether packed weights are padded with zeros, and no row's sum can leave an `i32` whatever the activations, given how large its bias may be.
pub(super) fn check_rows(
    weights: &[u32],
    inputs: usize,
    outputs: usize,
    largest_bias: impl Fn(usize) -> u64,
) -> Result<(), ArtifactError> {
    let group_words = inputs.div_ceil(4) * 4;
    for (group, words) in weights.chunks_exact(group_words).enumerate() {
        // Sums of the four rows' magnitudes.
        let mut sums = [0_u64; 4];
        for (place, &word) in words.iter().enumerate() {
            let pair = (place % 2) * 2;
            for (column, half) in [low(word), high(word)].into_iter().enumerate() {
                let (first, second) = unpack_half(half);
                let beyond = place / 4 * 4 + (place % 4) / 2 * 2 + column >= inputs;
                for (row, weight) in [(pair, first), (pair + 1, second)] {
                    if weight == i8::MIN || (weight != 0 && (beyond || group * 4 + row >= outputs)) {
                        return Err(ArtifactError::Inconsistent("a layer's weights"));
                    }
                    sums[row] += u64::from(weight.unsigned_abs());
                }
            }
        }
        for (row, sum) in sums.into_iter().enumerate() {
            let output = group * 4 + row;
            // Activations are at most 2^15 in magnitude.
            if output < outputs && largest_bias(output) + (sum << 15) >= 1 << 31 {
                return Err(ArtifactError::Overflow { output });
            }
        }
    }
    Ok(())
}

/// Words of packed weights of a linear layer.
pub fn weight_words(inputs: usize, outputs: usize) -> Option<usize> {
    outputs.div_ceil(4).checked_mul(inputs.div_ceil(4))?.checked_mul(4)
}

/// Packs weights `[outputs, inputs]`, each in -127..=127, as [`Linear`] wants them; `packed` has [`weight_words`] words.
///
/// # Errors
/// [`ArtifactError::Inconsistent`] for lengths that do not fit, or a weight of -128.
pub fn pack_weights(weights: &[i8], inputs: usize, outputs: usize, packed: &mut [u32]) -> Result<(), ArtifactError> {
    let fits =
        inputs.checked_mul(outputs) == Some(weights.len()) && weight_words(inputs, outputs) == Some(packed.len());
    if !fits || weights.contains(&i8::MIN) {
        return Err(ArtifactError::Inconsistent("weights to pack"));
    }
    let weight = |row: usize, column: usize| match row < outputs && column < inputs {
        true => i32::from(weights[row * inputs + column]),
        false => 0,
    };
    let mut words = packed.iter_mut();
    for group in (0..outputs).step_by(4) {
        for column in (0..inputs).step_by(4) {
            for (pair, half) in [(0, 0), (2, 0), (0, 2), (2, 2)] {
                let packed = |c: usize| (weight(group + pair, c) + 256 * weight(group + pair + 1, c)) as u16;
                if let Some(word) = words.next() {
                    *word = u32::from(packed(column + half)) | u32::from(packed(column + half + 1)) << 16;
                }
            }
        }
    }
    Ok(())
}

/// The two rows' weights in one half of a packed word.
pub fn unpack_half(half: u16) -> (i8, i8) {
    let first = half as i8;
    let second = (i32::from(half as i16) - i32::from(first)) >> 8;
    (first, second as i8)
}
