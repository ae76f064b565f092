//! An artifact's tables in the order that kernels read them, one behind the other in one buffer.

use crate::export::integer::{halves, unpacked};
use tweedie_core::artifact::{FALLING, Linear, TABLE_ENTRIES};
use tweedie_core::normal::PIECES;

/// Rows whose weights lie together.
pub const ROWS: usize = 8;

/// The tables so far.
pub struct Tables {
    words: Vec<u32>,
}

/// Where the tables of a linear layer begin, in words; 0 for none.
#[derive(Clone, Copy, Debug)]
pub struct LinearTables {
    /// Of [`Tables::weights`], or of a depthwise convolution's [`Tables::taps`].
    pub weights: u32,
    /// One for each row.
    pub bias: u32,
    /// One for each row.
    pub multipliers: u32,
    /// Of [`Tables::activation`].
    pub table: u32,
    /// `[steps, rows]`.
    pub step_bias: u32,
    /// `[classes + 1, rows]`.
    pub class_bias: u32,
}

impl Tables {
    /// The tables that do not depend on the artifact: the pieces of the Gaussian transform, which begin at 0, so that nothing optional does.
    pub fn new() -> Self {
        Self { words: PIECES.as_flattened().iter().map(|&word| word as u32).collect() }
    }

    /// All of them.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Adds words as they are; returns where they begin.
    pub fn push(&mut self, words: impl IntoIterator<Item = u32>) -> u32 {
        let at = self.words.len() as u32;
        self.words.extend(words);
        at
    }

    fn optional(&mut self, words: &[u32]) -> u32 {
        if words.is_empty() { 0 } else { self.push(words.iter().copied()) }
    }

    /// The table of a mixture's posterior.
    pub fn falling(&mut self) -> u32 {
        self.push(FALLING.map(u32::from))
    }

    /// Weights of blocks, each packed as a linear layer's: for every block, every eight rows and every column two words of four bytes.
    pub fn weights(&mut self, packed: &[u32], blocks: usize, inputs: usize, outputs: usize) -> u32 {
        let at = self.words.len() as u32;
        for block in packed.chunks_exact((packed.len() / blocks.max(1)).max(1)) {
            let weights = unpacked(block, inputs, outputs);
            for first in (0..outputs).step_by(ROWS) {
                for column in 0..inputs {
                    let byte = |row: usize| weights.get(row * inputs + column).map_or(0, |&weight| weight as u8);
                    let rows: [u8; ROWS] = std::array::from_fn(|row| byte(first + row));
                    self.words.extend(rows.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)));
                }
            }
        }
        at
    }

    /// Weights of a depthwise convolution, a word each: `[channels, taps]`.
    fn taps(&mut self, rows: &Linear<'_>) -> u32 {
        let weights = unpacked(rows.weights, rows.inputs as usize, rows.outputs as usize);
        self.push(weights.into_iter().map(|weight| i32::from(weight) as u32))
    }

    /// An activation table: each entry beside the next one, so that a number needs one word.
    pub fn activation(&mut self, table: &[u32]) -> u32 {
        let entries: Vec<i16> = halves(table).take(TABLE_ENTRIES).collect();
        let pairs = entries.windows(2).map(|pair| u32::from(pair[0] as u16) | u32::from(pair[1] as u16) << 16);
        if table.is_empty() { 0 } else { self.push(pairs) }
    }

    /// A linear layer's, or those of a convolution's rows.
    pub fn linear(&mut self, rows: &Linear<'_>) -> LinearTables {
        let weights = self.weights(rows.weights, 1, rows.inputs as usize, rows.outputs as usize);
        self.others(rows, weights)
    }

    /// Those of a depthwise convolution's rows.
    pub fn depthwise(&mut self, rows: &Linear<'_>) -> LinearTables {
        let weights = self.taps(rows);
        self.others(rows, weights)
    }

    fn others(&mut self, rows: &Linear<'_>, weights: u32) -> LinearTables {
        LinearTables {
            weights,
            bias: self.push(rows.bias.iter().copied()),
            multipliers: self.push(rows.multipliers.iter().copied()),
            table: self.activation(rows.table),
            step_bias: self.optional(rows.step_bias),
            class_bias: self.optional(rows.class_bias),
        }
    }
}
