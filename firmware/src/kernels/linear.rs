//! The fully connected layer.

use super::{TooShort, activate, add, first, first_mut};
use tweedie_core::artifact::{Linear, TABLE_ENTRIES, weight_words};

#[cfg(dsp)]
use super::dsp::rows;
#[cfg(not(dsp))]
use super::portable::rows;

/// Rows that are held back before they are added to what the output holds.
const BLOCK: usize = 32;

/// `output <- table(round((bias + W input) multiplier))`, or added to the output: see [`Linear`] for the arithmetic.
///
/// `input` begins at the layer's input and `output` at its output; `step` and `class` choose rows of the layer's bias tables, where it has
/// them. The input's padding to four numbers may hold anything; the output's is not touched.
///
/// # Errors
/// [`TooShort`]; a layer of a parsed artifact has all it needs.
pub fn linear(
    layer: &Linear<'_>,
    step: usize,
    class: usize,
    input: &[u32],
    output: &mut [u32],
) -> Result<(), TooShort> {
    let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
    let output = first_mut(output, outputs.div_ceil(2), "a layer's output")?;
    let all = Rows {
        input: first(input, inputs.div_ceil(4) * 2, "a layer's input")?,
        weights: first(layer.weights, weight_words(inputs, outputs).unwrap_or(usize::MAX), "a layer's weights")?,
        bias: first(layer.bias, outputs, "a layer's bias")?,
        multipliers: first(layer.multipliers, outputs, "a layer's multipliers")?,
        step_bias: chosen(layer.step_bias, step, outputs, "a layer's biases by step")?,
        class_bias: chosen(layer.class_bias, class, outputs, "a layer's biases by class")?,
    };
    if !layer.table.is_empty() {
        first(layer.table, TABLE_ENTRIES.div_ceil(2), "an activation table")?;
    }
    if !layer.add {
        rows(&all, output);
        return match layer.table {
            [] => Ok(()),
            table => activate(table, output, outputs),
        };
    }
    let mut held = [0; BLOCK / 2];
    for (index, output) in output.chunks_mut(BLOCK / 2).enumerate() {
        let block = all.block(index * BLOCK, BLOCK);
        let count = block.bias.len();
        rows(&block, &mut held);
        if !layer.table.is_empty() {
            activate(layer.table, &mut held, count)?;
        }
        add(output, &held, count)?;
    }
    Ok(())
}

/// A row of a bias table, or nothing where there is no table.
pub(super) fn chosen<'a>(
    table: &'a [u32],
    row: usize,
    outputs: usize,
    what: &'static str,
) -> Result<Option<&'a [u32]>, TooShort> {
    if table.is_empty() {
        return Ok(None);
    }
    let begin = row.saturating_mul(outputs);
    let end = begin.saturating_add(outputs);
    table.get(begin..end).map(Some).ok_or(TooShort { what, need: end, have: table.len() })
}

/// Rows of a layer, the first of them the first of a group of four; as many as there are biases.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Numbers in pairs, padded to four.
    pub input: &'a [u32],
    /// For each group of four rows twice as many words as `input` has.
    pub weights: &'a [u32],
    pub bias: &'a [u32],
    pub multipliers: &'a [u32],
    pub step_bias: Option<&'a [u32]>,
    pub class_bias: Option<&'a [u32]>,
}

impl<'a> Rows<'a> {
    /// Whether all slices are as long as the number of rows and of columns wants, and `output` is too.
    #[cfg_attr(not(dsp), expect(dead_code, reason = "only the assembly relies on it"))]
    pub fn fits(&self, output: &[u32]) -> bool {
        let (rows, columns) = (self.bias.len(), self.input.len());
        let optional = |bias: Option<&[u32]>| bias.is_none_or(|bias| bias.len() == rows);
        // Two words of weights a row for each two words of input.
        let weights = rows.div_ceil(4).checked_mul(columns).and_then(|pairs| pairs.checked_mul(2));
        columns > 0
            && columns % 2 == 0
            && weights.is_some_and(|weights| self.weights.len() >= weights)
            && self.multipliers.len() == rows
            && optional(self.step_bias)
            && optional(self.class_bias)
            && output.len() >= rows.div_ceil(2)
    }

    /// At most `count` of these rows from `begin` on, which is a multiple of four.
    pub fn block(&self, begin: usize, count: usize) -> Self {
        let part = |words: &'a [u32]| {
            let end = words.len().min(begin.saturating_add(count));
            words.get(begin..end).unwrap_or_default()
        };
        let weights = self.weights.get(begin / 4 * 2 * self.input.len()..).unwrap_or_default();
        Self {
            input: self.input,
            weights,
            bias: part(self.bias),
            multipliers: part(self.multipliers),
            step_bias: self.step_bias.map(part),
            class_bias: self.class_bias.map(part),
        }
    }
}
