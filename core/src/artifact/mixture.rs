//! The denoiser of a mixture of low-rank Gaussians: its arithmetic and its record.

use super::linear::check_rows;
use super::record::{Arena, MAX_TABLES, Tables, high, low, overlap, pair};
use super::{ArtifactError, weight_words};

/// Words of the record.
const RECORD: usize = 12;
/// Words of a [`MixtureLevel`].
const LEVEL_WORDS: usize = 3;
/// Words of [`MixtureTerms`] in front of the gains of the directions.
const TERMS_HEAD: usize = 2;
/// The most inputs, so that sums of squares times a gain fit 64 bits.
const MAX_FEATURES: u32 = 1 << 15;
/// The most components altogether, so that the sum of all chances fits 32 bits.
const MAX_COMPONENTS: usize = 1 << 15;

/// Fractional bits of a logit, which is a logarithm to base 2.
pub const LOGIT_FRACTION: u32 = 10;
/// Fractional bits of a component's posterior chance.
pub const CHANCE_FRACTION: u32 = 15;
/// `2^15 2^(-i / 32)`, rounded, for `i = 0 ..= 32`.
pub const FALLING: [u16; 33] = [
    32768, 32066, 31379, 30706, 30048, 29405, 28774, 28158, 27554, 26964, 26386, 25821, 25268, 24726, 24196, 23678,
    23170, 22674, 22188, 21713, 21247, 20792, 20347, 19911, 19484, 19066, 18658, 18258, 17867, 17484, 17109, 16743,
    16384,
];

/// `output <- E[x_0 | x_t]` of a mixture of low-rank Gaussians, of the class asked for, or of all classes together for none.
///
/// [`LowRankTerms`](crate::exact::LowRankTerms) is the same in real numbers. Every class has a block of `components` components, each of which has
/// `1 + rank` unit rows: its mean's direction, then its own directions. Rows are packed as in [`Linear`](super::Linear), a block at a time.
/// In exact integer arithmetic, for the components of the class's block, or of all blocks in turn:
///
/// 1. for every row `o` of a block, `bias = -high(offsets[o], alpha)`, `acc = bias + sum_i w[o][i] input[i]`, which parsing has proved to fit an
///    `i32`, and `c_o = saturate_i16(high(acc, multipliers[o]))`, where `high(a, m) = (a m + 2^31) >> 32`: the coordinates of `x_t - alpha mu`;
/// 2. for every component, `q_j = excess_gain_j c_j` and
///    `energy = mean_gain c_0 + ((floor_gain sum_i input[i]^2) >> norm_shift) + ((sum_j q_j c_j) >> square_shift)` in 64 bits;
///    `logit = saturate_i32(constant + ((energy sharpness) >> logit_shift))`, with [`LOGIT_FRACTION`];
/// 3. with `d` the largest logit (of all blocks) less this one, `n = d >> 10` and `f = d & 1023`:
///    `e = (t[i] - (((t[i] - t[i + 1]) (f & 31) + 16) >> 5)) >> n` with `i = f >> 5` and `t` = [`FALLING`]; 0 for `n > 15`;
/// 4. chances `w = floor(2^15 e / sum e)`; what they lack of `2^15` goes to the first of the largest logits;
/// 5. `a_0 = (w mean_gain + 2^14) >> 15`, `a_j = saturate_i16(high(q_j, w << gain_shift))`;
/// 6. `z_i = saturate_i16(high(sum_o v[i][o] a_o, output_multipliers[i]))` for each block, with the block's own rows `v` and multipliers; the
///    blocks' are added in turn, saturating;
/// 7. `s = (sum w floor_gain + 2^14) >> 15`, `output[i] = saturate_i16((2^14 z_i + s input[i] + 2^13) >> 14)`.
///
/// Shifts are towards minus infinity. Coordinates and coefficients share their place at `work_at`, which begins with one block's rows, padded to
/// four; a 32-bit logit for every component of all blocks follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mixture<'a> {
    /// Where the input begins in the arena; even.
    pub input_at: u32,
    /// Number of inputs and of outputs, 1 to `2^15`.
    pub features: u32,
    /// Where the output begins in the arena; even.
    pub output_at: u32,
    /// Where [`work_elements`](Self::work_elements) begin in the arena; even.
    pub work_at: u32,
    /// Components of each block, at least 1.
    pub components: u16,
    /// Directions of each component.
    pub rank: u16,
    /// Blocks: the header's classes, 1 without.
    pub blocks: u32,
    /// Packed rows, `[blocks, weight_words(features, rows)]`.
    pub rows: &'a [u32],
    /// One `i32` for each block and row, `[blocks, rows]`: twice what the row is multiplied by the mean, in units of the accumulator.
    pub offsets: &'a [u32],
    /// One for each block and row, from 0 to `2^31 - 1`.
    pub multipliers: &'a [u32],
    /// The same rows, transposed and packed anew, `[blocks, weight_words(rows, features)]`.
    pub columns: &'a [u32],
    /// One for each block and output, from 0 to `2^31 - 1`.
    pub output_multipliers: &'a [u32],
    /// For each step a [`MixtureLevel`], then a [`MixtureTerms`] for each component of each block.
    pub by_step: &'a [u32],
}

/// What a step says to all components; see [`Mixture`] for what is done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MixtureLevel {
    /// `2^31 alpha`, below `2^31`.
    pub alpha: u32,
    /// Multiplies energies, 0 to `2^15 - 1`.
    pub sharpness: u16,
    /// Shift of the product, at most 62.
    pub logit_shift: u8,
    /// Shift of `floor_gain |x|^2`, at most 62; `2^norm_shift` is at least the number of features.
    pub norm_shift: u8,
    /// Shift of `sum q_j c_j`, at most 62; `2^square_shift` is at least the rank.
    pub square_shift: u8,
    /// Shift of a chance, at most 15.
    pub gain_shift: u8,
}

/// What a step says to one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixtureTerms<'a> {
    /// What the logit begins with.
    pub constant: i32,
    /// Gain of the mean's direction.
    pub mean_gain: i16,
    /// Gain of the state, with 14 fractional bits.
    pub floor_gain: i16,
    /// Gains of the directions, two in a word, low half first; the last half 0 for an odd rank.
    pub excess_gains: &'a [u32],
}

impl MixtureLevel {
    fn read(words: &[u32; LEVEL_WORDS]) -> Self {
        let [logit_shift, norm_shift, square_shift, gain_shift] = words[2].to_le_bytes();
        Self { alpha: words[0], sharpness: low(words[1]), logit_shift, norm_shift, square_shift, gain_shift }
    }

    /// The words of a table.
    pub fn to_words(self) -> [u32; LEVEL_WORDS] {
        let shifts = [self.logit_shift, self.norm_shift, self.square_shift, self.gain_shift];
        [self.alpha, u32::from(self.sharpness), u32::from_le_bytes(shifts)]
    }
}

impl<'a> MixtureTerms<'a> {
    fn read(words: &'a [u32]) -> Option<Self> {
        let ([constant, gains], excess_gains) = words.split_first_chunk()?;
        let (mean_gain, floor_gain) = (low(*gains) as i16, high(*gains) as i16);
        Some(Self { constant: *constant as i32, mean_gain, floor_gain, excess_gains })
    }

    /// The words in front of the gains of the directions.
    pub fn head(&self) -> [u32; TERMS_HEAD] {
        [self.constant as u32, pair(self.mean_gain as u16, self.floor_gain as u16)]
    }
}

impl<'a> Mixture<'a> {
    pub(super) const KIND: u16 = 3;
    pub(super) const WORDS: usize = RECORD;

    pub(super) fn read(record: &[u32; RECORD], tables: Tables<'a>) -> Result<Self, ArtifactError> {
        const SIZE: ArtifactError = ArtifactError::Inconsistent("a mixture's size");
        let [head, input_at, features, output_at, work_at, sizes, places @ ..] = *record;
        if high(head) != 0 {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        }
        let blocks = tables.classes.max(1);
        let empty = Self {
            input_at,
            features,
            output_at,
            work_at,
            components: low(sizes),
            rank: high(sizes),
            blocks: blocks as u32,
            rows: &[],
            offsets: &[],
            multipliers: &[],
            columns: &[],
            output_multipliers: &[],
            by_step: &[],
        };
        let (rows, features) = (empty.block_rows(), features as usize);
        let packed = weight_words(features, rows).ok_or(SIZE)?;
        let transposed = weight_words(rows, features).ok_or(SIZE)?;
        let table =
            |at: u32, count: usize, length: usize, what| tables.get(at, count.checked_mul(length).ok_or(SIZE)?, what);
        Ok(Self {
            rows: table(places[0], blocks, packed, "a mixture's rows")?,
            offsets: table(places[1], blocks, rows, "a mixture's offsets")?,
            multipliers: table(places[2], blocks, rows, "a mixture's multipliers")?,
            columns: table(places[3], blocks, transposed, "a mixture's columns")?,
            output_multipliers: table(places[4], blocks, features, "a mixture's multipliers")?,
            by_step: table(places[5], tables.steps, empty.step_words(), "a mixture's terms by step")?,
            ..empty
        })
    }

    pub(super) fn tables(&self) -> [&'a [u32]; MAX_TABLES] {
        [self.rows, self.offsets, self.multipliers, self.columns, self.output_multipliers, self.by_step]
    }

    pub(super) fn write(&self, places: [u32; MAX_TABLES], record: &mut [u32; RECORD]) {
        let (head, sizes) = (pair(Self::KIND, 0), pair(self.components, self.rank));
        let [a, b, c, d, e, f] = places;
        *record = [head, self.input_at, self.features, self.output_at, self.work_at, sizes, a, b, c, d, e, f];
    }

    /// Rows of a block: a mean's direction and `rank` others for each component.
    pub fn block_rows(&self) -> usize {
        usize::from(self.components) * (1 + usize::from(self.rank))
    }

    /// Components of all blocks.
    pub fn all_components(&self) -> usize {
        usize::from(self.components).saturating_mul(self.blocks as usize)
    }

    /// 16-bit elements of the arena at [`work_at`](Self::work_at).
    pub fn work_elements(&self) -> usize {
        self.block_rows().next_multiple_of(4).saturating_add(self.all_components().saturating_mul(2))
    }

    /// Words of one component in [`by_step`](Self::by_step).
    pub fn term_words(&self) -> usize {
        TERMS_HEAD + usize::from(self.rank).div_ceil(2)
    }

    /// Words of one step in [`by_step`](Self::by_step).
    pub fn step_words(&self) -> usize {
        self.all_components().saturating_mul(self.term_words()).saturating_add(LEVEL_WORDS)
    }

    /// What a step says to all components.
    pub fn level(&self, step: usize) -> Option<MixtureLevel> {
        let begin = step.checked_mul(self.step_words())?;
        Some(MixtureLevel::read(self.by_step.get(begin..)?.first_chunk()?))
    }

    /// What a step says to each component of a block.
    pub fn terms(&self, step: usize, block: usize) -> Option<impl Iterator<Item = MixtureTerms<'a>> + use<'a>> {
        let length = usize::from(self.components) * self.term_words();
        let begin = step.checked_mul(self.step_words())?.checked_add(LEVEL_WORDS)?;
        let begin = begin.checked_add(block.checked_mul(length)?)?;
        let words = self.by_step.get(begin..begin.checked_add(length)?)?;
        Some(words.chunks_exact(self.term_words()).filter_map(MixtureTerms::read))
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        use ArtifactError::Inconsistent;
        let (input, output, work, features) = (self.input_at, self.output_at, self.work_at, self.features);
        if features > MAX_FEATURES || self.components == 0 || self.all_components() > MAX_COMPONENTS {
            return Err(Inconsistent("a mixture's size"));
        }
        let work_elements = u32::try_from(self.work_elements()).map_err(|_| Inconsistent("a mixture's size"))?;
        arena.holds(input, features, "a layer's input")?;
        arena.holds(output, features, "a layer's output")?;
        arena.holds(work, work_elements, "a mixture's working memory")?;
        let meet = overlap(input, features, output, features)
            || overlap(input, features, work, work_elements)
            || overlap(output, features, work, work_elements);
        if meet {
            return Err(Inconsistent("a layer whose output overlaps its input"));
        }
        let multipliers = self.multipliers.iter().chain(self.output_multipliers);
        if multipliers.into_iter().any(|&m| m as i32 <= 0 && m != 0) {
            return Err(Inconsistent("a layer's multipliers"));
        }
        let (rows, features) = (self.block_rows(), features as usize);
        let (row_words, column_words) =
            (self.rows.len() / self.blocks as usize, self.columns.len() / self.blocks as usize);
        for (block, (packed, offsets)) in
            self.rows.chunks_exact(row_words).zip(self.offsets.chunks_exact(rows)).enumerate()
        {
            // Half of an offset at most, since alpha is below 2^31; rounding may add 1.
            let bias = |row: usize| u64::from((offsets[row] as i32).unsigned_abs()) / 2 + 1;
            check_rows(packed, features, rows, bias).map_err(|error| numbered(error, block * rows))?;
        }
        for (block, packed) in self.columns.chunks_exact(column_words).enumerate() {
            check_rows(packed, rows, features, |_| 0).map_err(|error| numbered(error, block * features))?;
        }
        self.check_steps()
    }

    fn check_steps(&self) -> Result<(), ArtifactError> {
        let fits = |shift: u8, count: u64| shift <= 62 && 1_u64 << shift >= count;
        for words in self.by_step.chunks_exact(self.step_words()) {
            let Some((level, terms)) = words.split_first_chunk() else { continue };
            let MixtureLevel { alpha, sharpness, logit_shift, norm_shift, square_shift, gain_shift } =
                MixtureLevel::read(level);
            let fits = alpha < 1 << 31
                && sharpness < 1 << 15
                && high(level[1]) == 0
                && logit_shift <= 62
                // Energies are then below 2^47 in magnitude: 2^30, and 2^45 from each of the sums.
                && fits(norm_shift, self.features.into())
                && fits(square_shift, self.rank.into())
                && gain_shift <= 15;
            // The half beyond an odd rank.
            let odd = self.rank % 2 == 1;
            let beyond = |terms: &[u32]| odd && terms.last().is_some_and(|&gains| high(gains) != 0);
            if !fits || terms.chunks_exact(self.term_words()).any(beyond) {
                return Err(ArtifactError::Inconsistent("a mixture's terms by step"));
            }
        }
        Ok(())
    }
}

/// An error of a block with its rows counted over all blocks.
fn numbered(error: ArtifactError, before: usize) -> ArtifactError {
    match error {
        ArtifactError::Overflow { output } => ArtifactError::Overflow { output: before + output },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_falling_table_is_a_power_of_two() {
        for (i, &entry) in FALLING.iter().enumerate() {
            assert_eq!(f64::from(entry), libm::round(32768.0 * libm::exp2(-(i as f64) / 32.0)));
        }
    }

    #[test]
    fn a_level_comes_back_from_its_words() {
        let level = MixtureLevel {
            alpha: 0x7fff_0001,
            sharpness: 0x7ffe,
            logit_shift: 1,
            norm_shift: 62,
            square_shift: 3,
            gain_shift: 15,
        };
        assert_eq!(MixtureLevel::read(&level.to_words()), level);
    }
}
