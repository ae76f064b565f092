//! Attention with integer softmax: its arithmetic and its record.

use super::record::{Arena, MAX_TABLES, Tables, any_overlap, high, low, pair};
use super::{ArtifactError, TABLE_WORDS};

/// Words of the record.
const RECORD: usize = 8;

/// The most tokens, so that a weighted sum of values fits 32 bits.
pub const MAX_TOKENS: usize = 4096;

/// `output[t, h] <- sum_u softmax(q[t, h] . k[u, h]) v[u, h]`: attention between tokens, head by head.
///
/// The input is `[tokens, 3, heads, depth]`: queries, keys and values of each token; the output `[tokens, heads, depth]`. For each head and
/// each token, in exact integer arithmetic:
///
/// 1. `s_u = saturate_i32((sum_c q_c k_uc) >> shift)`, the sum in 64 bits;
/// 2. `x_u = min(((max_u s_u - s_u) multiplier) >> 32, 65535)` and `z_u = 32767 - x_u`;
/// 3. `e_u = t[k] + (((t[k + 1] - t[k]) f + 128) >> 8)` with `k = (z_u + 32768) >> 8`, `f = z_u & 255`: the exponential by a table without
///    negative entries;
/// 4. `r = floor((2^31 - 2^16) / max(sum_u e_u, 1))`, `p_u = (e_u r + 2^15) >> 16`;
/// 5. `output_c = saturate_i16((sum_u p_u v_uc + 2^14) >> 15)`.
///
/// No `e_u` exceeds their sum, so `e_u r` is at most `2^31 - 2^16`, and `p_u` less than `2^15`; all `p_u` together are at most `2^15 + tokens / 2`, so the sum in step 5 fits an `i32` for
/// [`MAX_TOKENS`] tokens and any activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention<'a> {
    /// Where the input begins in the arena; even.
    pub input_at: u32,
    /// Where the output begins in the arena; even.
    pub output_at: u32,
    /// Where the arena has [`scratch`](Self::scratch) elements of room, in which kernels may leave anything; even.
    pub scratch_at: u32,
    /// Tokens, 1 to [`MAX_TOKENS`].
    pub tokens: u16,
    /// Heads, at least 1.
    pub heads: u16,
    /// Numbers of a token in a head; even.
    pub depth: u16,
    /// Right shift of scores, 0 to 31.
    pub shift: u8,
    /// From shifted scores to units of the table, times `2^32`; less than `2^31`.
    pub multiplier: u32,
    /// The exponential, [`TABLE_ENTRIES`](super::TABLE_ENTRIES) 16-bit numbers from 0 up and a 0.
    pub table: &'a [u32],
}

impl<'a> Attention<'a> {
    pub(super) const KIND: u16 = 7;
    pub(super) const WORDS: usize = RECORD;

    /// Elements of the room for one token's scores, in 32 bits and in 16.
    pub fn scratch(&self) -> u32 {
        Self::room(self.tokens)
    }

    /// The same for so many tokens.
    pub fn room(tokens: u16) -> u32 {
        3 * u32::from(tokens).next_multiple_of(4)
    }

    pub(super) fn read(record: &[u32; RECORD], tables: Tables<'a>) -> Result<Self, ArtifactError> {
        let [head, input_at, output_at, scratch_at, size, depth, multiplier, table_at] = *record;
        let shift = high(depth);
        if high(head) != 0 || shift > 31 {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        }
        Ok(Self {
            input_at,
            output_at,
            scratch_at,
            tokens: low(size),
            heads: high(size),
            depth: low(depth),
            shift: shift as u8,
            multiplier,
            table: tables.get(table_at, TABLE_WORDS, "a table of exponentials")?,
        })
    }

    pub(super) fn tables(&self) -> [&'a [u32]; MAX_TABLES] {
        [self.table, &[], &[], &[], &[], &[]]
    }

    pub(super) fn write(&self, places: [u32; MAX_TABLES], record: &mut [u32; RECORD]) {
        *record = [
            pair(Self::KIND, 0),
            self.input_at,
            self.output_at,
            self.scratch_at,
            pair(self.tokens, self.heads),
            pair(self.depth, self.shift.into()),
            self.multiplier,
            places[0],
        ];
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        use ArtifactError::Inconsistent;
        let tokens = usize::from(self.tokens);
        if self.multiplier > i32::MAX as u32 {
            return Err(Inconsistent("an attention"));
        }
        if tokens == 0 || tokens > MAX_TOKENS || self.heads == 0 || self.depth == 0 || !self.depth.is_multiple_of(2) {
            return Err(Inconsistent("an attention"));
        }
        let outputs = u64::from(self.tokens) * u64::from(self.heads) * u64::from(self.depth);
        let length = |elements: u64| u32::try_from(elements).map_err(|_| Inconsistent("an attention"));
        let (inputs, outputs) = (length(3 * outputs)?, length(outputs)?);
        arena.holds(self.input_at, inputs, "a layer's input")?;
        arena.holds(self.output_at, outputs, "a layer's output")?;
        arena.holds(self.scratch_at, self.scratch(), "an attention's room for scores")?;
        if any_overlap(&[(self.input_at, inputs), (self.output_at, outputs), (self.scratch_at, self.scratch())]) {
            return Err(Inconsistent("a layer whose output overlaps its input"));
        }
        let negative = |word: &u32| (low(*word) | high(*word)) >> 15 != 0;
        if self.table.iter().any(negative) || self.table.last().is_some_and(|&word| high(word) != 0) {
            return Err(Inconsistent("a table of exponentials"));
        }
        Ok(())
    }
}
