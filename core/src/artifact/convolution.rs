//! The convolution: its geometry and its record.

use super::record::{Arena, MAX_TABLES, Tables, any_overlap, high, low, pair};
use super::{ArtifactError, Linear};

/// Words of the record.
const RECORD: usize = 16;
/// The widest kernel and the longest stride.
const MAX_KERNEL: u32 = 16;
/// Bits of the record's flags, in this order: add, the first source is doubled, the second is.
const FLAGS: u16 = 7;

/// `output[y, x] <- rows(patch(y, x))`: a convolution, channels last.
///
/// A buffer holds an image `[height, width, channels]` without gaps. The input is one image, or two of the same size, one pixel's channels
/// behind the other's: a concatenation that is never made. A [doubled](Source::doubled) source is `[ceil(height / 2), ceil(width / 2),
/// channels]` and is read at `[y / 2, x / 2]`: up-sampling to the nearest that is never made either.
///
/// The patch of output pixel `[y, x]` are the numbers of input pixels `[stride y + i - padding, stride x + j - padding]` for `i`, `j` in
/// `0..kernel`, in the order `[i, j, channel]`, the first source's channels first; beyond the edges they are 0. [`rows`](Self::rows)
/// make the pixel's numbers of it. There are `(size + 2 padding - kernel) / stride + 1` output pixels in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution<'a> {
    /// Where the input comes from; a second source of 0 channels is none.
    pub sources: [Source; 2],
    /// Rows of the input, before padding.
    pub height: u16,
    /// Columns of the input, before padding.
    pub width: u16,
    /// Rows and columns of the kernel, 1 to 16.
    pub kernel: u8,
    /// Input pixels from one output pixel to the next, 1 to 16.
    pub stride: u8,
    /// Rows and columns of zeros on every side, fewer than `kernel`.
    pub padding: u8,
    /// The fully connected layer that makes an output pixel of its patch. Its `inputs` are `kernel^2` times the channels; its `output_at` is
    /// where the first output pixel begins; its `input_at` is where the arena has [`scratch`](Self::scratch) elements of room, in which
    /// kernels may leave anything. All other layers must know nothing of that room.
    pub rows: Linear<'a>,
}

/// An image that a convolution reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Where it begins in the arena; even.
    pub at: u32,
    /// Channels.
    pub channels: u16,
    /// Whether each of its pixels stands for two by two of the input.
    pub doubled: bool,
}

impl Source {
    /// Rows and columns of the image behind an input of this size.
    pub fn size(&self, height: u16, width: u16) -> (u16, u16) {
        if self.doubled { (height.div_ceil(2), width.div_ceil(2)) } else { (height, width) }
    }

    fn elements(&self, height: u16, width: u16) -> u64 {
        let (height, width) = self.size(height, width);
        u64::from(height) * u64::from(width) * u64::from(self.channels)
    }
}

impl<'a> Convolution<'a> {
    pub(super) const KIND: u16 = 4;
    pub(super) const WORDS: usize = RECORD;

    /// Rows and columns of the output.
    pub fn output_size(&self) -> (u32, u32) {
        let along = |size: u16| {
            let room = u32::from(size) + 2 * u32::from(self.padding);
            room.checked_sub(self.kernel.into())
                .and_then(|room| room.checked_div(self.stride.into()))
                .map_or(0, |n| n + 1)
        };
        (along(self.height), along(self.width))
    }

    /// Elements of the room for two patches, two pixels of output, and constants of each pair of rows.
    pub fn scratch(&self) -> u32 {
        Self::room(self.rows.inputs, self.rows.outputs)
    }

    /// The same for patches of so many numbers and pixels of so many.
    pub fn room(inputs: u32, outputs: u32) -> u32 {
        2 * inputs.next_multiple_of(4) + 7 * outputs.next_multiple_of(4)
    }

    pub(super) fn read(record: &[u32; RECORD], tables: Tables<'a>) -> Result<Self, ArtifactError> {
        let [head, first_at, second_at, channels, size, steps, scratch_at, output_at, outputs, places @ .., 0] =
            *record
        else {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        };
        let [kernel, stride, padding, zero] = steps.to_le_bytes();
        let flags = high(head);
        if flags > FLAGS || zero != 0 {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        }
        let sources = [
            Source { at: first_at, channels: low(channels), doubled: flags & 2 != 0 },
            Source { at: second_at, channels: high(channels), doubled: flags & 4 != 0 },
        ];
        let depth = u32::from(low(channels)) + u32::from(high(channels));
        let inputs =
            u32::from(kernel).pow(2).checked_mul(depth).ok_or(ArtifactError::Inconsistent("a layer's size"))?;
        let rows = Linear::of_tables((scratch_at, inputs), (output_at, outputs), flags & 1 == 1, places, tables)?;
        Ok(Self { sources, height: low(size), width: high(size), kernel, stride, padding, rows })
    }

    pub(super) fn write(&self, places: [u32; MAX_TABLES], record: &mut [u32; RECORD]) {
        let [first, second] = self.sources;
        let flag = |set: bool, bit: u32| u16::from(set) << bit;
        let flags = flag(self.rows.add, 0) | flag(first.doubled, 1) | flag(second.doubled, 2);
        let [a, b, c, d, e, f] = places;
        *record = [
            pair(Self::KIND, flags),
            first.at,
            second.at,
            pair(first.channels, second.channels),
            pair(self.height, self.width),
            u32::from_le_bytes([self.kernel, self.stride, self.padding, 0]),
            self.rows.input_at,
            self.rows.output_at,
            self.rows.outputs,
            a,
            b,
            c,
            d,
            e,
            f,
            0,
        ];
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        use ArtifactError::Inconsistent;
        let (kernel, stride) = (u32::from(self.kernel), u32::from(self.stride));
        let (output_height, output_width) = self.output_size();
        let sizes = 1..=MAX_KERNEL;
        if !sizes.contains(&kernel) || !sizes.contains(&stride) || self.padding >= self.kernel {
            return Err(Inconsistent("a convolution's kernel"));
        }
        let [first, second] = self.sources;
        if output_height == 0 || output_width == 0 || self.height == 0 || self.width == 0 || first.channels == 0 {
            return Err(Inconsistent("a convolution's size"));
        }
        if second.channels == 0 && second != Source::default() {
            return Err(Inconsistent("a convolution's second source"));
        }
        let channels = u32::from(first.channels) + u32::from(second.channels);
        if self.rows.inputs != kernel * kernel * channels {
            return Err(Inconsistent("a convolution's size"));
        }
        // Nothing in the arena is longer than 32 bits count.
        let length = |elements: u64| u32::try_from(elements).map_err(|_| Inconsistent("a convolution's size"));
        let pixels = u64::from(output_height) * u64::from(output_width);
        let outputs = length(pixels.saturating_mul(self.rows.outputs.into()))?;
        let inputs = [first, second].map(|source| length(source.elements(self.height, self.width)));
        let [first_length, second_length] = [inputs[0]?, inputs[1]?];
        arena.holds(self.rows.output_at, outputs, "a layer's output")?;
        arena.holds(first.at, first_length, "a layer's input")?;
        if second.channels > 0 {
            arena.holds(second.at, second_length, "a layer's input")?;
        }
        // The rows have been read with their tables, so neither of their numbers is near 32 bits.
        arena.holds(self.rows.input_at, self.scratch(), "a convolution's room for patches")?;
        let ranges = [
            (first.at, first_length),
            (second.at, second_length),
            (self.rows.output_at, outputs),
            (self.rows.input_at, self.scratch()),
        ];
        if any_overlap(&ranges) {
            return Err(Inconsistent("a layer whose output overlaps its input"));
        }
        self.rows.check_numbers()
    }
}
