//! The artifact: a frozen, folded, integer model in one block of memory, read where it lies.
//!
//! Reader and writer stand side by side in this file, so that they cannot drift. [`Artifact::parse`] checks *everything*: a parsed artifact
//! cannot make whoever runs it panic, overflow an accumulator, or leave the arena. Nothing is copied; a microcontroller reads its flash.
//!
//! # Format, version 1
//!
//! Little-endian 32-bit words; every offset (`*_at`) into the file counts words, every offset into the arena counts 16-bit elements.
//! Two 16-bit numbers in a word stand low half first.
//!
//! | word | header |
//! |---|---|
//! | 0, 1 | the bytes `TWEEDIE` and 0 |
//! | 2 | version (low half), header length in words = 16 (high half) |
//! | 3 | length of the whole file in words |
//! | 4 | CRC-32 (ISO-HDLC) of all bytes from word 5 on |
//! | 5 | rank of a sample 1..=4 (byte 0), buffers of `x0_hat` (byte 1), flags (byte 2: bit 0 clamp `x0_hat` to [-1, 1], bit 1 steps have memories), 0 |
//! | 6, 7 | the sample's dimensions, four 16-bit numbers, 1 beyond the rank |
//! | 8 | classes (low half), steps of the plan (high half) |
//! | 9 | layers (low half), 0 |
//! | 10 | elements of the arena |
//! | 11, 12 | where in the arena the state is put in, and where the output is taken |
//! | 13, 14 | offset and scale, f32: a value `v` of the network's range is `offset + scale v` in the data's units |
//! | 15 | 0 |
//!
//! The plan follows, 6 words a step, or 8 with memories; then the layers, 12 words each; then the tables they point at.
//!
//! | word | step |
//! |---|---|
//! | 0 | `keep`, `kick` |
//! | 1 | `from_state`, `from_output`: `x0_hat = from_state x + from_output output` |
//! | 2, 3 | `pull[0] ..= pull[3]`, newest estimate first |
//! | 4 | number of pulls 1..=4 (byte 0), then six shifts of 4 bits each, lowest first: of `keep`, `kick`, `pull[0] ..= pull[3]` |
//! | 5 | the noise level's angle, f32 in [0, 1], for whoever shows progress |
//! | 6 | `memory_from_state`, `memory_from_x0`; both 0 for a step that remembers `x0_hat` itself |
//! | 7 | the shifts of these two, 4 bits each, 0 |
//!
//! A coefficient is its 16 bits, shifted left by its shift, with 14 fractional bits: full precision below 2 in magnitude, 16 bits of it up
//! to 65536. Where a step has a memory, `memory_from_state x + memory_from_x0 x0_hat` of the clamped `x0_hat` is remembered in its place. The plan is normalised: the state has unit variance at every level, starts as noise, and
//! has 12 fractional bits, as have `x0_hat` and the network's output.
//!
//! | word | linear layer | normalisation |
//! |---|---|---|
//! | 0 | kind 1, flags (high half: bit 0 add to what the output holds) | kind 2 |
//! | 1, 2 | `input_at`, inputs | `input_at`, features |
//! | 3, 4 | `output_at`, outputs | `output_at`, 0 |
//! | 5 | `weights_at` | left shift of deviations |
//! | 6 | `bias_at` | low word of epsilon |
//! | 7 | `multipliers_at` | high word of epsilon |
//! | 8 | `table_at`, 0 for none | low word of gain |
//! | 9 | `step_bias_at`, 0 for none | high word of gain |
//! | 10 | `class_bias_at`, 0 for none | 0 |
//! | 11 | 0 | 0 |
//!
//! See [`Linear`] and [`Normalise`] for what the numbers mean and how the arithmetic goes, bit by bit.

use crate::plan::Memory;
use core::fmt;
use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// The version that this code writes, and the newest that it reads.
pub const VERSION: u16 = 1;
/// Fractional bits of the state, of `x0_hat` and of the network's output.
pub const STATE_FRACTION: u32 = 12;
/// Fractional bits of a plan's coefficients.
pub const COEFF_FRACTION: u32 = 14;
/// Entries of an activation table.
pub const TABLE_ENTRIES: usize = 257;
/// The most features that a normalisation takes, so that its sums fit 64 bits.
pub const MAX_NORMALISED: usize = 1024;

const MAGIC: [u32; 2] = [u32::from_le_bytes(*b"TWEE"), u32::from_le_bytes(*b"DIE\0")];
const HEADER_WORDS: usize = 16;
const STEP_WORDS: usize = 6;
const REMEMBERING_STEP_WORDS: usize = 8;
const CLIP_FLAG: u8 = 1;
const MEMORY_FLAG: u8 = 2;
const LAYER_WORDS: usize = 12;
const CHECKED_FROM: usize = 5;
/// The widest shift of a coefficient, which fills four bits.
const MAX_SHIFT: u32 = 15;
const TABLE_WORDS: usize = TABLE_ENTRIES.div_ceil(2);

/// What a model is, apart from its plan and layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    /// Dimensions of one sample; `rank` of them count.
    pub dims: [u16; 4],
    /// Number of dimensions, 1 to 4.
    pub rank: u8,
    /// Number of classes; 0 without.
    pub classes: u16,
    /// Whether `x0_hat` is clamped to [-1, 1].
    pub clip: bool,
    /// 16-bit elements of the arena, even.
    pub arena: u32,
    /// Where in the arena the state is put in; even.
    pub input_at: u32,
    /// Where in the arena the output is taken; even.
    pub output_at: u32,
    /// From the network's range to the data's units: `offset + scale * value`.
    pub offset: f32,
    /// See `offset`.
    pub scale: f32,
}

impl Header {
    /// The number of values in a sample.
    pub fn features(&self) -> usize {
        self.dims.iter().take(usize::from(self.rank)).map(|&n| usize::from(n)).product()
    }
}

/// One step of the plan in fixed point: coefficients times `2^14`, of which [`round_coefficient`] makes those that an artifact can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlanStep {
    /// Multiplies the state.
    pub keep: i32,
    /// Multiplies fresh noise, not negative.
    pub kick: i32,
    /// Multiplies the state in `x0_hat`.
    pub from_state: i16,
    /// Multiplies the network's output in `x0_hat`.
    pub from_output: i16,
    /// Multiply the newest estimates, newest first.
    pub pulls: [i32; 4],
    /// How many pulls count, 1 to 4.
    pub pull_count: u8,
    /// What is remembered instead of `x0_hat`; not both coefficients are 0.
    pub memory: Option<Memory<i32>>,
    /// The noise level's angle in [0, 1].
    pub angle: f32,
}

/// The coefficient nearest to `value` that a step can hold, times `2^14`: a number of 16 bits, shifted left no further than it must be;
/// `None` beyond the widest shift, near 65536 in magnitude.
pub fn round_coefficient(value: f64) -> Option<i32> {
    (0..=MAX_SHIFT).find_map(|shift| {
        let scaled = libm::round(value * f64::from(1_u32 << COEFF_FRACTION) / f64::from(1_u32 << shift));
        (f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&scaled).then(|| i32::from(scaled as i16) << shift)
    })
}

/// A coefficient's 16 bits and its shift, the least that holds it; what is lost is for [`write()`] to find.
fn to_parts(coefficient: i32) -> (u16, u32) {
    let magnitude = if coefficient < 0 { !coefficient } else { coefficient };
    let shift = 17_u32.saturating_sub(magnitude.leading_zeros()).min(MAX_SHIFT);
    ((coefficient >> shift) as u16, shift)
}

/// The inverse, with the shift in the lowest bits of `shifts`.
fn from_parts(bits: u16, shifts: u32) -> i32 {
    i32::from(bits as i16) << (shifts & MAX_SHIFT)
}

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
    /// The activation, [`TABLE_ENTRIES`] 16-bit numbers and a 0; empty for none.
    pub table: &'a [u32],
    /// One `i32` for each step and output, `[steps, outputs]`; empty for none.
    pub step_bias: &'a [u32],
    /// One `i32` for each class and output, `[classes + 1, outputs]`, the last row for "no class"; empty for none.
    pub class_bias: &'a [u32],
}

/// `output <- (input - mean) / sqrt(variance + epsilon)`: layer normalisation, whose scale and shift are folded into the next layer.
///
/// In exact integer arithmetic, for `n` features:
///
/// 1. `d_i = n input_i - sum_j input_j`, an `i32`;
/// 2. `v = sum_i d_i^2 + epsilon`, a `u64` (saturating), and `v >= 1`;
/// 3. `e = leading_zeros(v) & !1`, `root = floor(sqrt(v << e))`, so that `2^31 <= root < 2^32`;
/// 4. `inverse = min(floor(gain / root) * 2^(e/2), 2^31 - 1)`, where the product saturates;
/// 5. `output_i = saturate_i16(((d_i << shift) * inverse + 2^31) >> 32)`.
///
/// With `gain = sqrt(n) 2^(fraction + 32 - shift)` the output has `fraction` fractional bits, up to the precision of the floor in 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalise {
    /// Where the input begins in the arena; even.
    pub input_at: u32,
    /// Number of features, 1 to [`MAX_NORMALISED`].
    pub features: u32,
    /// Where the output begins in the arena; even. It may be the input's own place.
    pub output_at: u32,
    /// Left shift of the deviations `d`, such that `n 65535 2^shift < 2^31`.
    pub shift: u32,
    /// Added to the sum of squared deviations: `n^3` times the epsilon of the variance in the input's units.
    pub epsilon: u64,
    /// See the type's description.
    pub gain: u64,
}

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer<'a> {
    /// Fully connected.
    Linear(Linear<'a>),
    /// Layer normalisation.
    Normalise(Normalise),
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

/// A checked artifact, borrowed from the words that hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Artifact<'a> {
    words: &'a [u32],
    header: Header,
    steps: usize,
    layers: usize,
    history: usize,
    step_words: usize,
}

impl<'a> Artifact<'a> {
    /// Checks `words` from first to last; words beyond the file's own length are ignored, so flash may be read to its end.
    ///
    /// # Errors
    /// An [`ArtifactError`] that says what is wrong.
    pub fn parse(words: &'a [u32]) -> Result<Self, ArtifactError> {
        if words.len() < HEADER_WORDS {
            return Err(if words.first().is_none_or(|&w| w == MAGIC[0]) {
                ArtifactError::Truncated { need: HEADER_WORDS, have: words.len() }
            } else {
                ArtifactError::NotAnArtifact
            });
        }
        if words[..2] != MAGIC {
            return Err(ArtifactError::NotAnArtifact);
        }
        let (version, header_words) = (low(words[2]), high(words[2]));
        if version == 0 || version > VERSION {
            return Err(ArtifactError::Version(version));
        }
        let length = words[3] as usize;
        if length > words.len() {
            return Err(ArtifactError::Truncated { need: length, have: words.len() });
        }
        if usize::from(header_words) != HEADER_WORDS || length < HEADER_WORDS {
            return Err(ArtifactError::Inconsistent("the header's length"));
        }
        let words = &words[..length];
        if checksum(words) != words[4] {
            return Err(ArtifactError::Checksum);
        }
        let [rank, history, flags, zero] = words[5].to_le_bytes();
        let header = Header {
            dims: [low(words[6]), high(words[6]), low(words[7]), high(words[7])],
            rank,
            classes: low(words[8]),
            clip: flags & CLIP_FLAG != 0,
            arena: words[10],
            input_at: words[11],
            output_at: words[12],
            offset: f32::from_bits(words[13]),
            scale: f32::from_bits(words[14]),
        };
        let artifact = Self {
            words,
            header,
            steps: usize::from(high(words[8])),
            layers: usize::from(low(words[9])),
            history: usize::from(history),
            step_words: if flags & MEMORY_FLAG == 0 { STEP_WORDS } else { REMEMBERING_STEP_WORDS },
        };
        if flags > CLIP_FLAG | MEMORY_FLAG || zero != 0 || high(words[9]) != 0 || words[15] != 0 {
            return Err(ArtifactError::Inconsistent("a field that must be zero"));
        }
        artifact.check()?;
        Ok(artifact)
    }

    /// What the model is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Steps of the plan.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Buffers of `x0_hat` that the plan needs.
    pub fn history(&self) -> usize {
        self.history
    }

    /// Whether any step adds noise.
    pub fn is_noisy(&self) -> bool {
        self.plan().any(|step| step.kick != 0)
    }

    /// The whole file's length in bytes.
    pub fn bytes(&self) -> usize {
        self.words.len() * 4
    }

    /// The plan, from noise to data.
    pub fn plan(&self) -> impl ExactSizeIterator<Item = PlanStep> + use<'a> {
        let begin = HEADER_WORDS.min(self.words.len());
        let end = self.plan_end().min(self.words.len());
        self.words[begin..end].chunks_exact(self.step_words).map(read_step)
    }

    /// One step of the plan, counted from 0 at the noisy end.
    pub fn step(&self, index: usize) -> Option<PlanStep> {
        let at = HEADER_WORDS + index * self.step_words;
        if index < self.steps { self.words.get(at..at + self.step_words).map(read_step) } else { None }
    }

    fn plan_end(&self) -> usize {
        HEADER_WORDS + self.steps * self.step_words
    }

    /// The layers in their order.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'a>> + use<'a> {
        let artifact = *self;
        // Parsing has read every one of them, so none is lost here.
        (0..self.layers).filter_map(move |index| artifact.layer(index).ok())
    }

    fn table(&self, at: u32, length: usize, what: &'static str) -> Result<&'a [u32], ArtifactError> {
        let at = at as usize;
        let tables = self.plan_end() + self.layers * LAYER_WORDS;
        if at < tables {
            return Err(ArtifactError::Inconsistent(what));
        }
        let end = at.checked_add(length).ok_or(ArtifactError::Inconsistent(what))?;
        self.words.get(at..end).ok_or(ArtifactError::Inconsistent(what))
    }

    fn layer(&self, index: usize) -> Result<Layer<'a>, ArtifactError> {
        let at = self.plan_end() + index * LAYER_WORDS;
        let record = self.words.get(at..at + LAYER_WORDS).ok_or(ArtifactError::Inconsistent("the list of layers"))?;
        let wide = |at: usize| u64::from(record[at]) | u64::from(record[at + 1]) << 32;
        match (low(record[0]), high(record[0])) {
            (1, flags @ (0 | 1)) if record[11] == 0 => {
                let (inputs, outputs) = (record[2] as usize, record[4] as usize);
                let weights = weight_words(inputs, outputs).ok_or(ArtifactError::Inconsistent("a layer's size"))?;
                let optional = |at: u32, rows: usize, what| match at {
                    0 => Ok(&[][..]),
                    at => {
                        let length = rows.checked_mul(outputs).ok_or(ArtifactError::Inconsistent(what))?;
                        self.table(at, length, what)
                    }
                };
                Ok(Layer::Linear(Linear {
                    input_at: record[1],
                    inputs: record[2],
                    output_at: record[3],
                    outputs: record[4],
                    add: flags == 1,
                    weights: self.table(record[5], weights, "a layer's weights")?,
                    bias: self.table(record[6], outputs, "a layer's bias")?,
                    multipliers: self.table(record[7], outputs, "a layer's multipliers")?,
                    table: match record[8] {
                        0 => &[],
                        at => self.table(at, TABLE_WORDS, "an activation table")?,
                    },
                    step_bias: optional(record[9], self.steps, "a layer's biases by step")?,
                    class_bias: optional(
                        record[10],
                        usize::from(self.header.classes) + 1,
                        "a layer's biases by class",
                    )?,
                }))
            }
            (2, 0) if record[4] == 0 && record[10] == 0 && record[11] == 0 => Ok(Layer::Normalise(Normalise {
                input_at: record[1],
                features: record[2],
                output_at: record[3],
                shift: record[5],
                epsilon: wide(6),
                gain: wide(8),
            })),
            _ => Err(ArtifactError::Inconsistent("a layer's kind")),
        }
    }

    /// Everything that running relies on.
    fn check(&self) -> Result<(), ArtifactError> {
        use ArtifactError::Inconsistent;
        let header = &self.header;
        let dims = header.dims.iter().enumerate();
        let mut size = 1_usize;
        for (axis, &length) in dims {
            let counts = axis < usize::from(header.rank);
            if length == 0 || (!counts && length != 1) {
                return Err(Inconsistent("the sample's shape"));
            }
            size = size.checked_mul(usize::from(length)).ok_or(Inconsistent("the sample's shape"))?;
        }
        if !(1..=4).contains(&header.rank) {
            return Err(Inconsistent("the sample's shape"));
        }
        let size = u32::try_from(size).map_err(|_| Inconsistent("the sample's shape"))?;
        if !header.offset.is_finite() || !header.scale.is_finite() {
            return Err(Inconsistent("the data's units"));
        }
        if !header.arena.is_multiple_of(2) || header.arena > MAX_ARENA {
            return Err(Inconsistent("the arena's size"));
        }
        self.check_range(header.input_at, size, "the network's input")?;
        self.check_range(header.output_at, size, "the network's output")?;

        if self.steps == 0 || self.layers == 0 {
            return Err(Inconsistent("the number of steps or layers"));
        }
        if self.plan_end() + self.layers * LAYER_WORDS > self.words.len() {
            return Err(Inconsistent("the number of steps or layers"));
        }
        let mut history = 0;
        for (index, step) in self.plan().enumerate() {
            let pulls = usize::from(step.pull_count);
            let mut unused = step.pulls.iter().skip(pulls).any(|&pull| pull != 0);
            if self.step_words == REMEMBERING_STEP_WORDS {
                let word = self.words.get(HEADER_WORDS + index * self.step_words + 7);
                unused |= word.is_none_or(|&shifts| shifts >> 8 != 0);
            }
            if !(1..=4).contains(&pulls) || unused || step.kick < 0 || !(0.0..=1.0).contains(&step.angle) {
                return Err(Inconsistent("a step of the plan"));
            }
            // An estimate cannot be older than the plan.
            if pulls > index + 1 {
                return Err(Inconsistent("a step's history"));
            }
            history = history.max(pulls);
        }
        if history != self.history {
            return Err(Inconsistent("the plan's history"));
        }
        for index in 0..self.layers {
            match self.layer(index)? {
                Layer::Linear(linear) => self.check_linear(&linear)?,
                Layer::Normalise(normalise) => self.check_normalise(&normalise)?,
            }
        }
        Ok(())
    }

    /// A range of the arena, padded to four elements as the kernels read it.
    fn check_range(&self, at: u32, length: u32, what: &'static str) -> Result<(), ArtifactError> {
        let end = length.checked_next_multiple_of(4).and_then(|padded| at.checked_add(padded));
        if length == 0 || !at.is_multiple_of(2) || end.is_none_or(|end| end > self.header.arena) {
            return Err(ArtifactError::Inconsistent(what));
        }
        Ok(())
    }

    fn check_linear(&self, linear: &Linear<'_>) -> Result<(), ArtifactError> {
        use ArtifactError::Inconsistent;
        self.check_range(linear.input_at, linear.inputs, "a layer's input")?;
        self.check_range(linear.output_at, linear.outputs, "a layer's output")?;
        if overlap(linear.input_at, linear.inputs, linear.output_at, linear.outputs) {
            return Err(Inconsistent("a layer whose output overlaps its input"));
        }
        if linear.multipliers.iter().any(|&m| m as i32 <= 0 && m != 0) {
            return Err(Inconsistent("a layer's multipliers"));
        }
        let (inputs, outputs) = (linear.inputs as usize, linear.outputs as usize);
        let group_words = inputs.div_ceil(4) * 4;
        let largest = |table: &[u32], output: usize| {
            let entries = table.iter().skip(output).step_by(outputs.max(1));
            entries.map(|&bias| u64::from((bias as i32).unsigned_abs())).max().unwrap_or(0)
        };
        for (group, words) in linear.weights.chunks_exact(group_words).enumerate() {
            // Sums of the four rows' magnitudes.
            let mut sums = [0_u64; 4];
            for (place, &word) in words.iter().enumerate() {
                let pair = (place % 2) * 2;
                for (column, half) in [low(word), high(word)].into_iter().enumerate() {
                    let (first, second) = unpack_half(half);
                    let beyond = place / 4 * 4 + (place % 4) / 2 * 2 + column >= inputs;
                    for (row, weight) in [(pair, first), (pair + 1, second)] {
                        if weight == i8::MIN || (weight != 0 && (beyond || group * 4 + row >= outputs)) {
                            return Err(Inconsistent("a layer's weights"));
                        }
                        sums[row] += u64::from(weight.unsigned_abs());
                    }
                }
            }
            for (row, sum) in sums.into_iter().enumerate() {
                let output = group * 4 + row;
                if output >= outputs {
                    continue;
                }
                let bias = largest(linear.bias, output)
                    + largest(linear.step_bias, output)
                    + largest(linear.class_bias, output);
                // Activations are at most 2^15 in magnitude.
                if bias + (sum << 15) >= 1 << 31 {
                    return Err(ArtifactError::Overflow { output });
                }
            }
        }
        if linear.table.last().is_some_and(|&word| high(word) != 0) {
            return Err(Inconsistent("an activation table"));
        }
        Ok(())
    }

    fn check_normalise(&self, normalise: &Normalise) -> Result<(), ArtifactError> {
        use ArtifactError::Inconsistent;
        let (input, output, features) = (normalise.input_at, normalise.output_at, normalise.features);
        self.check_range(input, features, "a layer's input")?;
        self.check_range(output, features, "a layer's output")?;
        if input != output && overlap(input, features, output, features) {
            return Err(Inconsistent("a layer whose output overlaps its input"));
        }
        let widest = u64::from(features) * 65_535;
        let fits = normalise.shift < 31 && widest << normalise.shift < 1 << 31;
        if features as usize > MAX_NORMALISED || !fits || normalise.epsilon == 0 {
            return Err(Inconsistent("a normalisation"));
        }
        Ok(())
    }
}

/// The most elements that an arena may have; far beyond any microcontroller.
const MAX_ARENA: u32 = 1 << 24;

fn overlap(a: u32, a_length: u32, b: u32, b_length: u32) -> bool {
    let padded = |length: u32| u64::from(length).next_multiple_of(4);
    u64::from(a) < u64::from(b) + padded(b_length) && u64::from(b) < u64::from(a) + padded(a_length)
}

/// A step from its record, of either length.
fn read_step(record: &[u32]) -> PlanStep {
    let shifts = record[4] >> 8;
    let memory = record.get(6..8).map(|memory| Memory {
        from_state: from_parts(low(memory[0]), memory[1]),
        from_x0: from_parts(high(memory[0]), memory[1] >> 4),
    });
    PlanStep {
        keep: from_parts(low(record[0]), shifts),
        kick: from_parts(high(record[0]), shifts >> 4),
        from_state: low(record[1]) as i16,
        from_output: high(record[1]) as i16,
        pulls: [
            from_parts(low(record[2]), shifts >> 8),
            from_parts(high(record[2]), shifts >> 12),
            from_parts(low(record[3]), shifts >> 16),
            from_parts(high(record[3]), shifts >> 20),
        ],
        pull_count: record[4] as u8,
        memory: memory.filter(|memory| *memory != Memory { from_state: 0, from_x0: 0 }),
        angle: f32::from_bits(record[5]),
    }
}

fn write_step(step: &PlanStep, record: &mut [u32]) {
    let [keep, kick] = [step.keep, step.kick].map(to_parts);
    let pulls = step.pulls.map(to_parts);
    let shifts = [keep, kick].iter().chain(&pulls).rev().fold(0, |shifts, (_, shift)| shifts << 4 | shift);
    record[..6].copy_from_slice(&[
        pair(keep.0, kick.0),
        pair(step.from_state as u16, step.from_output as u16),
        pair(pulls[0].0, pulls[1].0),
        pair(pulls[2].0, pulls[3].0),
        u32::from(step.pull_count) | shifts << 8,
        step.angle.to_bits(),
    ]);
    if let Some(out) = record.get_mut(6..8) {
        let memory = step.memory.unwrap_or(Memory { from_state: 0, from_x0: 0 });
        let (from_state, from_x0) = (to_parts(memory.from_state), to_parts(memory.from_x0));
        out.copy_from_slice(&[pair(from_state.0, from_x0.0), from_state.1 | from_x0.1 << 4]);
    }
}

/// Words of a step's record in this plan.
fn step_words(plan: &[PlanStep]) -> usize {
    if plan.iter().any(|step| step.memory.is_some()) { REMEMBERING_STEP_WORDS } else { STEP_WORDS }
}

/// How many words [`write()`] needs.
pub fn length(plan: &[PlanStep], layers: &[Layer<'_>]) -> usize {
    let tables = |layer: &Layer<'_>| tables(layer).iter().map(|table| table.len()).sum::<usize>();
    HEADER_WORDS + plan.len() * step_words(plan) + layers.len() * LAYER_WORDS + layers.iter().map(tables).sum::<usize>()
}

/// Writes an artifact into `out` and returns its length in words; what is written has been parsed, so it can be.
///
/// # Errors
/// [`ArtifactError::Truncated`] when `out` is too short, otherwise whatever [`Artifact::parse`] finds wrong with the result.
pub fn write(
    header: &Header,
    plan: &[PlanStep],
    layers: &[Layer<'_>],
    out: &mut [u32],
) -> Result<usize, ArtifactError> {
    let length = length(plan, layers);
    let have = out.len();
    let out = out.get_mut(..length).ok_or(ArtifactError::Truncated { need: length, have })?;
    let count = |n: usize, what| u16::try_from(n).map(u32::from).map_err(|_| ArtifactError::Inconsistent(what));
    let (steps, layer_count) =
        (count(plan.len(), "the number of steps")?, count(layers.len(), "the number of layers")?);
    let words = u32::try_from(length).map_err(|_| ArtifactError::Inconsistent("the file's length"))?;
    let history = plan.iter().map(|step| step.pull_count).max().unwrap_or(0);
    let step_words = step_words(plan);
    let flags = u8::from(header.clip) * CLIP_FLAG + u8::from(step_words > STEP_WORDS) * MEMORY_FLAG;
    let head = [
        MAGIC[0],
        MAGIC[1],
        pair(VERSION, HEADER_WORDS as u16),
        words,
        0,
        u32::from_le_bytes([header.rank, history, flags, 0]),
        pair(header.dims[0], header.dims[1]),
        pair(header.dims[2], header.dims[3]),
        u32::from(header.classes) | steps << 16,
        layer_count,
        header.arena,
        header.input_at,
        header.output_at,
        header.offset.to_bits(),
        header.scale.to_bits(),
        0,
    ];
    let (head_out, rest) = out.split_at_mut(HEADER_WORDS);
    head_out.copy_from_slice(&head);
    let (plan_out, rest) = rest.split_at_mut(plan.len() * step_words);
    for (step, out) in plan.iter().zip(plan_out.chunks_exact_mut(step_words)) {
        write_step(step, out);
    }
    let (layers_out, mut tables_out) = rest.split_at_mut(layers.len() * LAYER_WORDS);
    let mut at = HEADER_WORDS + plan.len() * step_words + layers.len() * LAYER_WORDS;
    for (layer, record) in layers.iter().zip(layers_out.chunks_exact_mut(LAYER_WORDS)) {
        let mut places = [0; 6];
        for (place, table) in places.iter_mut().zip(tables(layer)) {
            if !table.is_empty() {
                *place = at as u32;
            }
            let (own, others) = tables_out.split_at_mut(table.len());
            own.copy_from_slice(table);
            tables_out = others;
            at += table.len();
        }
        record.copy_from_slice(&match layer {
            Layer::Linear(l) => [
                pair(1, u16::from(l.add)),
                l.input_at,
                l.inputs,
                l.output_at,
                l.outputs,
                places[0],
                places[1],
                places[2],
                places[3],
                places[4],
                places[5],
                0,
            ],
            Layer::Normalise(n) => [
                pair(2, 0),
                n.input_at,
                n.features,
                n.output_at,
                0,
                n.shift,
                n.epsilon as u32,
                (n.epsilon >> 32) as u32,
                n.gain as u32,
                (n.gain >> 32) as u32,
                0,
                0,
            ],
        });
    }
    out[4] = checksum(out);
    let parsed = Artifact::parse(out)?;
    // Lengths that do not fit each other would be read back as other tables.
    if parsed.layers().eq(layers.iter().copied()) && parsed.plan().eq(plan.iter().copied()) {
        Ok(length)
    } else {
        Err(ArtifactError::Inconsistent("a table's length, or a coefficient of more than 16 bits"))
    }
}

/// Writes the magic, version, length and checksum that make edited words a file again; whatever else was edited is for [`Artifact::parse`] to
/// judge. Fuzzers and tests need it to get past the checksum.
pub fn seal(words: &mut [u32]) {
    if words.len() >= HEADER_WORDS {
        words[..2].copy_from_slice(&MAGIC);
        words[2] = u32::from(VERSION) | (HEADER_WORDS as u32) << 16;
        words[3] = words.len() as u32;
        words[4] = checksum(words);
    }
}

fn tables<'a>(layer: &Layer<'a>) -> [&'a [u32]; 6] {
    match layer {
        Layer::Linear(l) => [l.weights, l.bias, l.multipliers, l.table, l.step_bias, l.class_bias],
        Layer::Normalise(_) => [&[]; 6],
    }
}

fn checksum(words: &[u32]) -> u32 {
    // Without a table: a model is checked once, and a kilobyte of flash is worth more.
    static CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
    let mut digest = CRC.digest();
    for word in words.iter().skip(CHECKED_FROM) {
        digest.update(&word.to_le_bytes());
    }
    digest.finalize()
}

fn low(word: u32) -> u16 {
    word as u16
}

fn high(word: u32) -> u16 {
    (word >> 16) as u16
}

fn pair(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

/// Turns a file's bytes into the words that [`Artifact::parse`] reads, at compile time if need be:
///
/// ```
/// # const BYTES: &[u8] = &[1, 0, 0, 0, 0, 0, 0, 128];
/// // static MODEL: [u32; MODEL_BYTES.len() / 4] = words(include_bytes!("digits.tweedie"));
/// static MODEL: [u32; BYTES.len() / 4] = tweedie_core::artifact::words(BYTES);
/// assert_eq!(MODEL, [1, 1 << 31]);
/// ```
///
/// Bytes beyond `4 N` are left out; missing ones are zero.
pub const fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    let mut at = 0;
    while at < N && at * 4 + 3 < bytes.len() {
        words[at] = u32::from_le_bytes([bytes[at * 4], bytes[at * 4 + 1], bytes[at * 4 + 2], bytes[at * 4 + 3]]);
        at += 1;
    }
    words
}

/// Why words are no artifact that could be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The first bytes are not `TWEEDIE`.
    NotAnArtifact,
    /// Written by a newer version.
    Version(u16),
    /// The file has been cut short, or a buffer is too small; lengths in words.
    Truncated {
        /// Words needed.
        need: usize,
        /// Words there.
        have: usize,
    },
    /// Bits have changed since it was written.
    Checksum,
    /// A field contradicts another, or lies outside its range.
    Inconsistent(&'static str),
    /// An accumulator of this output row could overflow 32 bits.
    Overflow {
        /// The output row.
        output: usize,
    },
}

impl core::error::Error for ArtifactError {}

impl fmt::Display for ArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAnArtifact => write!(f, "this is not a Tweedie artifact"),
            Self::Version(version) => {
                write!(f, "this artifact has version {version}, this program reads up to {VERSION}")
            }
            Self::Truncated { need, have } => {
                write!(f, "the artifact is cut short: {} bytes are needed, {} are there", 4 * need, 4 * have)
            }
            Self::Checksum => write!(f, "the artifact is damaged: its checksum does not fit"),
            Self::Inconsistent(what) => write!(f, "the artifact contradicts itself: {what}"),
            Self::Overflow { output } => {
                write!(f, "the artifact's output row {output} could overflow its accumulator")
            }
        }
    }
}
