//! The depthwise convolution: every channel by itself.

use super::record::{Arena, MAX_TABLES, Tables, any_overlap, high, low, pair};
use super::{ArtifactError, Linear};

/// Words of the record.
const RECORD: usize = 14;
/// Rows and columns of the kernel.
const KERNEL: u32 = 3;
/// Columns of the output that are computed together.
const STRIP: u32 = 16;

/// `output[y, x, c] <- row c of rows over channel c's patch(y, x)`: a depthwise convolution of 3x3, channels last, with a row of zeros on every side.
///
/// Buffers and patches are those of a [`Convolution`](super::Convolution) of one source, but a patch is of one channel alone, nine numbers, and
/// each of [`rows`](Self::rows) is over another channel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depthwise<'a> {
    /// Where the input begins in the arena; even.
    pub input_at: u32,
    /// Rows of the input.
    pub height: u16,
    /// Columns of the input.
    pub width: u16,
    /// Input pixels from one output pixel to the next, 1 or 2.
    pub stride: u8,
    /// The rows, packed as those of nine inputs, one for each channel; they do not add. `input_at` is where the arena has [`scratch`](Self::scratch)
    /// elements of room, in which kernels may leave anything.
    pub rows: Linear<'a>,
}

impl<'a> Depthwise<'a> {
    pub(super) const KIND: u16 = 8;
    pub(super) const WORDS: usize = RECORD;

    /// Rows and columns of the output.
    pub fn output_size(&self) -> (u32, u32) {
        let stride = u32::from(self.stride).max(1);
        (u32::from(self.height).div_ceil(stride), u32::from(self.width).div_ceil(stride))
    }

    /// Elements of the room for a strip of two channels, with zeros around it.
    pub fn scratch(&self) -> u32 {
        2 * (STRIP + KERNEL - 1) * (u32::from(self.height) + KERNEL - 1)
    }

    pub(super) fn read(record: &[u32; RECORD], tables: Tables<'a>) -> Result<Self, ArtifactError> {
        let [head, input_at, size, stride, scratch_at, output_at, channels, places @ .., 0] = *record else {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        };
        if high(head) != 0 || !(1..=2).contains(&stride) {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        }
        let taps = KERNEL * KERNEL;
        let rows = Linear::of_tables((scratch_at, taps), (output_at, channels), false, places, tables)?;
        Ok(Self { input_at, height: low(size), width: high(size), stride: stride as u8, rows })
    }

    pub(super) fn write(&self, places: [u32; MAX_TABLES], record: &mut [u32; RECORD]) {
        let [a, b, c, d, e, f] = places;
        let size = pair(self.height, self.width);
        let Linear { input_at, output_at, outputs, .. } = self.rows;
        let head = pair(Self::KIND, 0);
        *record = [head, self.input_at, size, self.stride.into(), input_at, output_at, outputs, a, b, c, d, e, f, 0];
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        use ArtifactError::Inconsistent;
        let channels = u64::from(self.rows.outputs);
        let elements = |height: u32, width: u32| {
            let elements = u64::from(height) * u64::from(width);
            u32::try_from(elements.saturating_mul(channels)).map_err(|_| Inconsistent("a convolution's size"))
        };
        let (height, width) = self.output_size();
        let (inputs, outputs) = (elements(self.height.into(), self.width.into())?, elements(height, width)?);
        arena.holds(self.input_at, inputs, "a layer's input")?;
        arena.holds(self.rows.output_at, outputs, "a layer's output")?;
        arena.holds(self.rows.input_at, self.scratch(), "a convolution's room for patches")?;
        let ranges = [(self.input_at, inputs), (self.rows.output_at, outputs), (self.rows.input_at, self.scratch())];
        if any_overlap(&ranges) {
            return Err(Inconsistent("a layer whose output overlaps its input"));
        }
        self.rows.check_numbers()
    }
}
