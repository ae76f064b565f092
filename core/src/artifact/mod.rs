//! The artifact: a frozen, folded, integer model in one block of memory, read where it lies.
//!
//! Reader and writer stand side by side, record by record, so that they cannot drift. [`Artifact::parse`] checks *everything*: a parsed artifact
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
//! The plan follows, 6 words a step, or 8 with memories; then the layers, each as long as its kind says; then the tables they point at.
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
//! to 65536. Where a step has a memory, `memory_from_state x + memory_from_x0 x0_hat` of the clamped `x0_hat` is remembered in its place.
//! The plan is normalised: the state has unit variance at every level, starts as noise, and has 12 fractional bits, as have `x0_hat` and
//! the network's output.
//!
//! | word | linear layer | normalisation |
//! |---|---|---|
//! | 0 | kind 1, flags (high half: bit 0 add to what the output holds) | kind 2 |
//! | 1, 2 | `input_at`, inputs | `input_at`, features |
//! | 3, 4 | `output_at`, outputs | `output_at`, rows less one |
//! | 5 | `weights_at` | left shift of deviations |
//! | 6 | `bias_at` | low word of epsilon |
//! | 7 | `multipliers_at` | high word of epsilon |
//! | 8 | `table_at`, 0 for none | low word of gain |
//! | 9 | `step_bias_at`, 0 for none | high word of gain |
//! | 10 | `class_bias_at`, 0 for none | 0 |
//! | 11 | 0 | 0 |
//!
//! | word | convolution | rearrangement | constants | attention |
//! |---|---|---|---|---|
//! | 0 | kind 4, flags (high half: bit 0 add to what the output holds, bits 1 and 2 first and second source doubled) | kind 5, flags (bit 0 back) | kind 6 | kind 7 |
//! | 1, 2 | `at` of both sources | `input_at`, `output_at` | `output_at`, length | `input_at`, `output_at` |
//! | 3 | channels of both | rows, columns | `numbers_at` | `scratch_at` |
//! | 4 | height, width | side, channels | | tokens, heads |
//! | 5 | kernel (byte 0), stride (byte 1), padding (byte 2), 0 | 0 | | depth, shift |
//! | 6 | `input_at` of the rows | | | multiplier |
//! | 7, 8 | `output_at`, outputs | | | `table_at` |
//! | 9 to 14 | as words 5 to 10 of a linear layer | | | |
//! | 15 | 0 | | | |
//!
//! A depthwise convolution is of kind 8: `input_at`; height and width; stride; `input_at`, `output_at` and outputs of the rows; words 5 to 10 of a
//! linear layer; 0.
//!
//! | word | mixture of low-rank Gaussians |
//! |---|---|
//! | 0 | kind 3, read with the feature `mixture` alone |
//! | 1 to 4 | `input_at`, features, `output_at`, `work_at` |
//! | 5 | components of each class (low half), their rank (high half) |
//! | 6 to 10 | `rows_at`, `offsets_at`, `multipliers_at`, `columns_at`, `output_multipliers_at` |
//! | 11 | `by_step_at`; for each step 3 words, then for each component of each class 2 and one for every two directions |
//!
//! | word | of a step of a mixture | of a component in it |
//! |---|---|---|
//! | 0 | `alpha` | `constant` |
//! | 1 | `sharpness`, 0 | `mean_gain`, `floor_gain` |
//! | 2 | `logit_shift`, `norm_shift`, `square_shift`, `gain_shift`, a byte each | `excess_gain` of two directions; so on |
//!
//! See [`Linear`], [`Normalise`], [`Mixture`], [`Convolution`], [`Depthwise`], [`Rearrange`], [`Constants`] and [`Attention`] for what the
//! numbers mean and how the arithmetic goes, bit by bit.

#[cfg_attr(not(feature = "attention"), allow(dead_code, reason = "an artifact with such layers is refused"))]
mod attention;
#[cfg_attr(not(feature = "attention"), allow(dead_code, reason = "an artifact with such layers is refused"))]
mod constants;
#[cfg_attr(not(feature = "images"), allow(dead_code, reason = "an artifact with such layers is refused"))]
mod convolution;
#[cfg_attr(not(feature = "depthwise"), allow(dead_code, reason = "an artifact with such layers is refused"))]
mod depthwise;
mod error;
mod layer;
mod linear;
#[cfg_attr(not(feature = "mixture"), allow(dead_code, reason = "an artifact with such layers is refused"))]
mod mixture;
mod normalise;
#[cfg_attr(not(feature = "images"), allow(dead_code, reason = "an artifact with such layers is refused"))]
mod rearrange;
mod record;
mod step;
mod write;

pub use attention::{Attention, MAX_TOKENS};
pub use constants::Constants;
pub use convolution::{Convolution, Source};
pub use depthwise::Depthwise;
pub use error::ArtifactError;
pub use layer::Layer;
pub use linear::{Linear, pack_weights, unpack_half, weight_words};
pub use mixture::{CHANCE_FRACTION, FALLING, LOGIT_FRACTION, Mixture, MixtureLevel, MixtureTerms};
pub use normalise::Normalise;
pub use rearrange::Rearrange;
pub use step::{PlanStep, round_coefficient};
pub use write::{length, write};

use record::{Arena, Tables, high, low};
use step::step_words;

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
const CLIP_FLAG: u8 = 1;
const MEMORY_FLAG: u8 = 2;
const CHECKED_FROM: usize = 5;
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

/// A checked artifact, borrowed from the words that hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Artifact<'a> {
    words: &'a [u32],
    header: Header,
    steps: usize,
    layers: usize,
    step_words: usize,
    /// Where the layers' records end and the tables begin.
    tables: usize,
    history: usize,
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
        let mut artifact = Self {
            words,
            header,
            steps: usize::from(high(words[8])),
            layers: usize::from(low(words[9])),
            step_words: step_words(flags & MEMORY_FLAG != 0),
            tables: 0,
            history: usize::from(history),
        };
        if flags > CLIP_FLAG | MEMORY_FLAG || zero != 0 || high(words[9]) != 0 || words[15] != 0 {
            return Err(ArtifactError::Inconsistent("a field that must be zero"));
        }
        artifact.tables = artifact.records_end()?;
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
        let end = self.records_begin().min(self.words.len());
        self.words[begin..end].chunks_exact(self.step_words).map(PlanStep::read)
    }

    /// One step of the plan, counted from 0 at the noisy end.
    pub fn step(&self, index: usize) -> Option<PlanStep> {
        let at = HEADER_WORDS + index * self.step_words;
        if index < self.steps { self.words.get(at..at + self.step_words).map(PlanStep::read) } else { None }
    }

    /// The layers in their order.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'a>> + use<'a> {
        let artifact = *self;
        let mut at = self.records_begin();
        // Parsing has read every one of them, so none is lost here.
        (0..self.layers).filter_map(move |_| {
            let layer = artifact.layer(at).ok()?;
            at += layer.words();
            Some(layer)
        })
    }

    fn records_begin(&self) -> usize {
        HEADER_WORDS + self.steps * self.step_words
    }

    /// Where the tables begin: the heads of the records say how long they are.
    fn records_end(&self) -> Result<usize, ArtifactError> {
        (0..self.layers).try_fold(self.records_begin(), |at, _| {
            let &head = self.words.get(at).ok_or(ArtifactError::Inconsistent("the list of layers"))?;
            Ok(at + Layer::words_of(head)?)
        })
    }

    fn layer(&self, at: usize) -> Result<Layer<'a>, ArtifactError> {
        let (steps, classes) = (self.steps, usize::from(self.header.classes));
        let tables = Tables { words: self.words, begin: self.tables, steps, classes };
        let records = self.words.get(at..self.tables).ok_or(ArtifactError::Inconsistent("the list of layers"))?;
        Layer::read(records, tables)
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
        let arena = Arena(header.arena);
        arena.holds(header.input_at, size, "the network's input")?;
        arena.holds(header.output_at, size, "the network's output")?;

        if self.steps == 0 || self.layers == 0 {
            return Err(Inconsistent("the number of steps or layers"));
        }
        if self.tables > self.words.len() {
            return Err(Inconsistent("the number of steps or layers"));
        }
        let mut history = 0;
        let records = self.words[HEADER_WORDS..self.records_begin()].chunks_exact(self.step_words);
        for (index, record) in records.enumerate() {
            history = history.max(PlanStep::checked_pulls(index, record)?);
        }
        if history != self.history {
            return Err(Inconsistent("the plan's history"));
        }
        let mut at = self.records_begin();
        for _ in 0..self.layers {
            let layer = self.layer(at)?;
            layer.check(arena)?;
            at += layer.words();
        }
        Ok(())
    }
}

/// The most elements that an arena may have; far beyond any microcontroller.
const MAX_ARENA: u32 = 1 << 24;

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

fn checksum(words: &[u32]) -> u32 {
    // Without a table: a model is checked once, and a kilobyte of flash is worth more.
    static CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
    let mut digest = CRC.digest();
    for word in words.iter().skip(CHECKED_FROM) {
        digest.update(&word.to_le_bytes());
    }
    digest.finalize()
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
