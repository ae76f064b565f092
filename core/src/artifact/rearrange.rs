//! Samples as images of patches, and back: a record without arithmetic.

use super::ArtifactError;
use super::record::{Arena, any_overlap, high, low, pair};

/// A sample `[channels, rows side, columns side]` as an image `[rows, columns, side side channels]`, or the way back.
///
/// Number `(i side + j) channels + c` of pixel `[y, x]` of the image is number `[c, y side + i, x side + j]` of the sample. With a `side` of 1 channels
/// go last, or first again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rearrange {
    /// Where the input begins in the arena; even.
    pub input_at: u32,
    /// Where the output begins in the arena; even.
    pub output_at: u32,
    /// Patches from top to bottom, at least 1.
    pub rows: u16,
    /// Patches from left to right, at least 1.
    pub columns: u16,
    /// Pixels along a patch, at least 1.
    pub side: u16,
    /// Channels of the sample, at least 1.
    pub channels: u16,
    /// Whether the input is the image, and the output the sample.
    pub back: bool,
}

impl Rearrange {
    pub(super) const KIND: u16 = 5;
    pub(super) const WORDS: usize = 6;

    /// Numbers of the sample, and of the image.
    pub fn elements(&self) -> u64 {
        let [rows, columns, side, channels] = [self.rows, self.columns, self.side, self.channels].map(u64::from);
        // Four 16-bit numbers: the fifth factor may take it beyond 64 bits.
        (rows * columns * channels).saturating_mul(side * side)
    }

    pub(super) fn read(record: &[u32; Self::WORDS]) -> Result<Self, ArtifactError> {
        let [head, input_at, output_at, size, patch, 0] = *record else {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        };
        if high(head) > 1 {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        }
        let (rows, columns, side, channels) = (low(size), high(size), low(patch), high(patch));
        Ok(Self { input_at, output_at, rows, columns, side, channels, back: high(head) == 1 })
    }

    pub(super) fn write(&self, record: &mut [u32; Self::WORDS]) {
        let (size, patch) = (pair(self.rows, self.columns), pair(self.side, self.channels));
        *record = [pair(Self::KIND, self.back.into()), self.input_at, self.output_at, size, patch, 0];
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        let elements = u32::try_from(self.elements()).map_err(|_| ArtifactError::Inconsistent("a rearrangement"))?;
        arena.holds(self.input_at, elements, "a layer's input")?;
        arena.holds(self.output_at, elements, "a layer's output")?;
        if any_overlap(&[(self.input_at, elements), (self.output_at, elements)]) {
            return Err(ArtifactError::Inconsistent("a layer whose output overlaps its input"));
        }
        Ok(())
    }
}
