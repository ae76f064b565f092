//! The convolution for processors with the DSP instructions: two pixels at a time.
//!
//! Packed weights are used as in [`dsp`](super::dsp), and what they cost to load and to take apart is shared by two pixels: two rows by
//! four columns by two pixels take three loads, two `SXTB16` and eight multiplications, 13 instructions for 16 multiply-accumulates and
//! on 14 registers. The sums begin at the biases: `a + 256 b` in 64 bits, `a` in 32.

use super::dsp::processor;
use core::arch::naked_asm;

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
    /// Bytes from the first pixel's output to the second's.
    lane: usize,
    /// What is added to the place of the weights after a pair of rows, and what after the next one.
    hops: [isize; 2],
    count: usize,
}

/// Bytes of the nine registers that [`pairs`] saves below its arguments.
const SAVED: usize = 9 * 4;

/// Pairs of rows over two interleaved patches: a word of output for each and for each patch.
///
/// Instructions: 13 for each block of 4 columns, 3 for each round of 8 blocks, 45 for each pair, 30 for the call.
///
/// # Safety
/// `count` is at least 1. From `patch` to `patch_end` are some multiple of four words, and not none; `weights` has as many for each group of four
/// rows. `constants` has four words for each pair, both pixels' outputs one; the second may lie at any even address. `skip` is what rounds
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
        // A pair of rows.
        "2:",
        "ldr r2, [sp, #{constants}]",
        "ldrd r8, r11, [r2]",
        "ldr r1, [sp, #{patch}]",
        "asr r5, r11, #24",
        "adds r4, r8, r11, lsl #8", // r4, r5: both rows together, first pixel
        "adc r5, r5, r8, asr #31",
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
        "ldr r2, [sp, #{constants}]",
        "ldrd r10, r11, [r2, #8]",
        "adds r2, #16",
        "str r2, [sp, #{constants}]",
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
        "ldrd r2, r3, [sp, #{output}]", // and the lane
        "str r9, [r2, r3]",
        "str r8, [r2], #4",
        "str r2, [sp, #{output}]",
        "ldr r2, [sp, #{count}]",
        "subs r2, r2, #1",
        "str r2, [sp, #{count}]",
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
        output = const SAVED + core::mem::offset_of!(Pairs, output),
        hops = const SAVED + core::mem::offset_of!(Pairs, hops),
        count = const SAVED + core::mem::offset_of!(Pairs, count),
    )
}

/// Two pixels of a convolution, whose patches lie interleaved in `patch`: `constants` hold biases and multipliers pair by pair; each half of `output`
/// has room for whole groups of four rows.
pub fn pixels(weights: &[u32], patch: &[u32], constants: &[u32], outputs: usize, output: &mut [u32]) {
    let (blocks, rest) = (patch.len() / 4, patch.len() % 4);
    let count = outputs.div_ceil(2);
    let fits = weights.len() >= outputs.div_ceil(4).saturating_mul(patch.len())
        && constants.len() / 4 >= count
        && output.len() / 2 >= count;
    if blocks == 0 || rest != 0 || count == 0 || !fits {
        return;
    }
    let range = patch.as_ptr_range();
    // SAFETY: every length has just been checked.
    unsafe {
        pairs(Pairs {
            weights: weights.as_ptr(),
            patch: range.start,
            patch_end: range.end,
            skip: blocks.wrapping_neg() % UNROLLED,
            constants: constants.as_ptr(),
            output: output.as_mut_ptr(),
            lane: output.len() / 2 * 4,
            // The pairs of a group alternate word by word.
            hops: [4 - 16 * blocks as isize, -4],
            count,
        });
    }
}

/// Copies blocks of two words to every second block of `to`.
pub fn spread(from: &[u32], to: &mut [u32]) {
    let blocks = (from.len() / 2).min((to.len() + 2) / 4);
    if blocks > 0 {
        // SAFETY: `from` has two words for each block, and `to` four, but two for the last.
        unsafe { spread_blocks(from.as_ptr(), to.as_mut_ptr(), blocks) };
    }
}

/// Instructions: 7 for 4 blocks of two words, 5 for each that is left, 12 for the call.
///
/// # Safety
/// `blocks` is at least 1; `from` has two words for each, `to` four, but two for the last.
#[unsafe(naked)]
unsafe extern "C" fn spread_blocks(_from: *const u32, _to: *mut u32, _blocks: usize) {
    naked_asm!(
        "subs r2, #4",
        "blo 2f",
        "push {{r4-r10, lr}}",
        "1:",
        "ldm r0!, {{r3-r10}}",
        "strd r3, r4, [r1], #16",
        "strd r5, r6, [r1], #16",
        "strd r7, r8, [r1], #16",
        "strd r9, r10, [r1], #16",
        "subs r2, #4",
        "bhs 1b",
        "pop {{r4-r10, lr}}",
        "2:",
        "adds r2, #4",
        "beq 4f",
        "3:",
        "ldrd r3, r12, [r0], #8",
        "strd r3, r12, [r1], #16",
        "subs r2, #1",
        "bne 3b",
        "4:",
        "bx lr",
    )
}
