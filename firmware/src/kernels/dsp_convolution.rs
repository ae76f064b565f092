//! The convolution for processors with the DSP instructions: two pixels at a time.
//!
//! Packed weights are used as in [`dsp`](super::dsp), and what they cost to load and to take apart is shared by two pixels: two rows by
//! four columns by two pixels take three loads, two `SXTB16` and eight multiplications, 13 instructions for 16 multiply-accumulates and
//! on 14 registers. The sums begin at the biases: `a + 256 b` in 64 bits, `a` in 32.

use super::convolution::{CONSTANTS, LANES};
use super::dsp::processor;
use core::arch::naked_asm;
use core::ops::Range;
use tweedie_core::artifact::Convolution;

/// Blocks of four columns in one round of the loop.
const UNROLLED: usize = 8;
/// Bytes of the loop's code for a block.
const BLOCK_BYTES: usize = 13 * 4;

/// What [`pairs`] works on, in the order in which it finds it on the stack.
#[repr(C)]
struct Pairs {
    weights: *const u32,
    patch: *const u32,
    patch_end: *const u32,
    /// Blocks of the first round to leave out; then the address to start at.
    skip: usize,
    constants: *const u32,
    output: *mut u32,
    constants_end: *const u32,
    /// Bytes from the first pixel's output to the second's.
    lane: usize,
    /// What is added to the place of the weights after a pair of rows, and what after the next one.
    hops: [isize; 2],
}

/// Bytes of the nine registers that [`pairs`] saves below its arguments.
const SAVED: usize = 9 * 4;

/// Pairs of rows over two interleaved patches: a word of output for each and for each patch.
///
/// Instructions: 13 for each block of 4 columns, 3 for each round of 8 blocks, 38 for each pair, 30 for the call.
///
/// # Safety
/// From `patch` to `patch_end` are some multiple of four words, and not none; `weights` has as many for each group of four rows. From `constants` to
/// its end are five words for each pair, and at least one pair; both pixels' outputs have one; the second may lie at any even address. `skip` is what rounds
/// the number of blocks up to a multiple of [`UNROLLED`].
#[unsafe(naked)]
unsafe extern "C" fn pairs(_: Pairs) {
    naked_asm!(
        processor!(),
        // The first four words came in registers, the others lie on the stack already.
        "push {{r0-r3}}",
        "push {{r4-r11, lr}}",
        "adr.w r2, 1f",
        "movs r1, #{block_bytes}",
        "mla r2, r3, r1, r2",
        "orr r2, r2, #1",
        "str r2, [sp, #{skip}]",
        "ldr r2, [sp, #{constants}]",
        // A pair of rows.
        "2:",
        "ldm r2, {{r4, r5, r8}}", // r4, r5: both rows together, first pixel
        "ldr r1, [sp, #{patch}]",
        "mov r6, r4", // r6, r7: second pixel
        "mov r7, r5",
        "mov r9, r8", // r8, r9: the first row alone
        "ldr pc, [sp, #{skip}]",
        ".p2align 2",
        "1:",
        ".rept {unrolled}",
        "ldm.w r1!, {{r2, r3, r10, r11}}",
        "ldr.w r12, [r0], #8",
        "ldr.w lr, [r0], #8",
        "smlald r4, r5, r12, r2",
        "smlald r6, r7, r12, r10",
        "sxtb16 r12, r12",
        "smlad r8, r12, r2, r8",
        "smlad r9, r12, r10, r9",
        "smlald r4, r5, lr, r3",
        "smlald r6, r7, lr, r11",
        "sxtb16 lr, lr",
        "smlad r8, lr, r3, r8",
        "smlad r9, lr, r11, r9",
        ".endr",
        "ldr r2, [sp, #{patch_end}]",
        "cmp r1, r2",
        "bne.w 1b",
        // The next pair's weights.
        "ldrd r2, r3, [sp, #{hops}]",
        "add r0, r2",
        "strd r3, r2, [sp, #{hops}]",
        // The second row is what is left: r4 and r6.
        "subs r4, r4, r8",
        "sbc r5, r5, r8, asr #31",
        "lsrs r4, r4, #8",
        "orr r4, r4, r5, lsl #24",
        "subs r6, r6, r9",
        "sbc r7, r7, r9, asr #31",
        "lsrs r6, r6, #8",
        "orr r6, r6, r7, lsl #24",
        "ldrd r2, r3, [sp, #{constants}]", // and the output
        "ldrd r10, r11, [r2, #12]",
        "adds r2, #20",
        "smmulr r8, r8, r10",
        "smmulr r9, r9, r10",
        "smmulr r4, r4, r11",
        "smmulr r6, r6, r11",
        "ssat r8, #16, r8",
        "ssat r9, #16, r9",
        "ssat r4, #16, r4",
        "ssat r6, #16, r6",
        "pkhbt r8, r8, r4, lsl #16",
        "pkhbt r9, r9, r6, lsl #16",
        "ldrd r10, r11, [sp, #{constants_end}]", // and the lane
        "str r9, [r3, r11]",
        "str r8, [r3], #4",
        "strd r2, r3, [sp, #{constants}]",
        "cmp r2, r10",
        "bne.w 2b",
        "pop {{r4-r11, lr}}",
        "add sp, #16",
        "bx lr",
        unrolled = const UNROLLED,
        block_bytes = const BLOCK_BYTES,
        patch = const SAVED + core::mem::offset_of!(Pairs, patch),
        patch_end = const SAVED + core::mem::offset_of!(Pairs, patch_end),
        skip = const SAVED + core::mem::offset_of!(Pairs, skip),
        constants = const SAVED + core::mem::offset_of!(Pairs, constants),
        constants_end = const SAVED + core::mem::offset_of!(Pairs, constants_end),
        hops = const SAVED + core::mem::offset_of!(Pairs, hops),
    )
}

/// Where the sums of a pair of rows begin, for biases `a` and `b`: `a + 256 b` in 64 bits, and `a`.
pub fn start(a: u32, b: u32) -> [u32; 3] {
    let both = i64::from(a as i32) + 256 * i64::from(b as i32);
    [both as u32, (both >> 32) as u32, a]
}

/// Two pixels of a convolution, whose patches lie interleaved in `patch`: `constants` hold biases and multipliers pair by pair; each half of `output`
/// has room for whole groups of four rows.
pub fn pixels(weights: &[u32], patch: &[u32], constants: &[u32], outputs: usize, output: &mut [u32]) {
    let (blocks, rest) = (patch.len() / 4, patch.len() % 4);
    let count = outputs.div_ceil(2);
    let fits = weights.len() >= outputs.div_ceil(4).saturating_mul(patch.len()) && output.len() / 2 >= count;
    let Some(constants) = constants.get(..CONSTANTS * count).filter(|_| fits) else { return };
    if blocks == 0 || rest != 0 || count == 0 {
        return;
    }
    let (range, constants) = (patch.as_ptr_range(), constants.as_ptr_range());
    // SAFETY: every length has just been checked.
    unsafe {
        pairs(Pairs {
            weights: weights.as_ptr(),
            patch: range.start,
            patch_end: range.end,
            skip: blocks.wrapping_neg() % UNROLLED,
            constants: constants.start,
            output: output.as_mut_ptr(),
            constants_end: constants.end,
            lane: output.len() / 2 * 4,
            // The pairs of a group alternate word by word.
            hops: [4 - 16 * blocks as isize, -4],
        });
    }
}

/// Two neighbouring patches that lie on the image from left to right, of one image in pairs of channels: most patches of most layers.
pub struct Runs {
    /// Columns of the output whose patches are such.
    columns: Range<usize>,
    /// Rows of the image.
    height: usize,
    kernel: usize,
    padding: usize,
    stride: usize,
    /// Words of a pixel, and of a row of the image.
    pixel: usize,
    row: usize,
    lanes: Lanes,
}

impl Runs {
    /// Those of a layer.
    pub fn new(layer: &Convolution<'_>) -> Self {
        let [first, second] = layer.sources;
        let width = usize::from(layer.width);
        let (kernel, stride) = (usize::from(layer.kernel), usize::from(layer.stride));
        let (padding, channels) = (usize::from(layer.padding), usize::from(first.channels));
        let (pixel, row) = (channels / 2, width * channels / 2);
        let run = kernel * pixel;
        let fits = second.channels == 0 && !first.doubled && channels % 2 == 0 && row >= run;
        let end = (width + padding).saturating_sub(kernel).checked_div(stride).map_or(0, |last| last + 1);
        let begin = padding.checked_add(stride.saturating_sub(1)).and_then(|n| n.checked_div(stride)).unwrap_or(end);
        Self {
            columns: if fits { begin..end } else { 0..0 },
            height: usize::from(layer.height),
            kernel,
            padding,
            stride,
            pixel,
            row,
            lanes: Lanes { run, count: LANES, gap: row.saturating_sub(run), pitch: run, step: stride * pixel },
        }
    }

    /// Lays out the patches of output pixels `[y, x]` and `[y, x + 1]`, if they are such.
    pub fn lay_out(&self, y: usize, x: usize, image: &[u32], patch: &mut [u32]) -> bool {
        if x < self.columns.start || x + 1 >= self.columns.end {
            return false;
        }
        // What lies above the image and below it is 0.
        let y = y * self.stride;
        let top = self.padding.saturating_sub(y);
        let y = y + top - self.padding;
        let rows = (self.kernel - top).min(self.height.saturating_sub(y));
        if rows < self.kernel {
            patch.fill(0);
        }
        let from = y * self.row + (x * self.stride - self.padding) * self.pixel;
        let place = top * self.kernel * self.pixel;
        self.lanes.spread(image.get(from..).unwrap_or_default(), patch, place, rows);
        true
    }
}

/// How rows of an image go to patches, in words: of each lane every second block of two is its own.
#[repr(C)]
pub struct Lanes {
    /// Words of a row; at least 1.
    pub run: usize,
    /// Patches.
    pub count: usize,
    /// Behind a row of the image, up to the next one.
    pub gap: usize,
    /// From the beginning of a row in a patch to the next one's, as if each patch lay alone.
    pub pitch: usize,
    /// From one patch's beginning in the image to the next one's.
    pub step: usize,
}

impl Lanes {
    /// Copies `rows` rows for each patch; the first row begins at a patch's word `place`.
    pub fn spread(&self, from: &[u32], to: &mut [u32], place: usize, rows: usize) {
        let (Some(between), Some(others)) = (rows.checked_sub(1), self.count.checked_sub(1)) else { return };
        let from_end = between * (self.run + self.gap) + self.run + others * self.step;
        let last = place + between * self.pitch + self.run.saturating_sub(1);
        let to_end = last / 2 * 2 * LANES + last % 2 + 2 * others + 1;
        if self.run > 0 && from.len() >= from_end && to.len() >= to_end {
            // SAFETY: nothing is empty, and both lengths have just been checked.
            unsafe { spread_lanes(from.as_ptr(), to.as_mut_ptr(), rows, self, place) };
        }
    }
}

/// Instructions: 7 for 8 words, 4 for each 2 that are left, 4 for an odd word at either end, 15 for a row, 10 for a patch, 8 for the call.
///
/// # Safety
/// There are at least one row, one word and one patch; `from` and `to` are as long as [`Lanes::spread`] checks.
#[unsafe(naked)]
unsafe extern "C" fn spread_lanes(_from: *const u32, _to: *mut u32, _rows: usize, _lanes: &Lanes, _place: usize) {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "ldr r4, [sp, #36]",
        "ldr r12, [r3, #{count}]",
        "push {{r0, r1, r2, r4, r12}}",
        // A patch.
        "6:",
        "ldr lr, [sp, #8]",
        "ldr r2, [sp, #12]",
        // A row; its words in r12.
        "5:",
        "ldr r1, [sp, #4]",
        "ldr r12, [r3, #{run}]",
        "lsrs r4, r2, #1",
        "add r1, r1, r4, lsl #4",
        "bcc 7f",
        // It begins with the second word of a block.
        "ldr r4, [r0], #4",
        "str r4, [r1, #4]",
        "adds r1, #16",
        "subs r12, #1",
        "7:",
        "subs r12, #8",
        "blo 2f",
        "1:",
        "ldm r0!, {{r4-r11}}",
        "strd r4, r5, [r1], #16",
        "strd r6, r7, [r1], #16",
        "strd r8, r9, [r1], #16",
        "strd r10, r11, [r1], #16",
        "subs r12, #8",
        "bhs 1b",
        "2:",
        "adds r12, #8",
        "beq 8f",
        "subs r12, #2",
        "blo 4f",
        "3:",
        "ldrd r4, r5, [r0], #8",
        "strd r4, r5, [r1], #16",
        "subs r12, #2",
        "bhs 3b",
        "4:",
        "adds r12, #2",
        "beq 8f",
        "ldr r4, [r0], #4",
        "str r4, [r1]",
        "8:",
        "ldrd r4, r5, [r3, #{gap}]", // and the pitch
        "add r0, r0, r4, lsl #2",
        "add r2, r5",
        "subs lr, #1",
        "bne 5b",
        "ldrd r0, r1, [sp]",
        "ldr r5, [r3, #{step}]",
        "ldr r4, [sp, #16]",
        "add r0, r0, r5, lsl #2",
        "adds r1, #8",
        "strd r0, r1, [sp]",
        "subs r4, #1",
        "str r4, [sp, #16]",
        "bne 6b",
        "add sp, #20",
        "pop {{r4-r11, pc}}",
        run = const core::mem::offset_of!(Lanes, run),
        count = const core::mem::offset_of!(Lanes, count),
        gap = const core::mem::offset_of!(Lanes, gap),
        step = const core::mem::offset_of!(Lanes, step),
    )
}
