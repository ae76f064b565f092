//! Kernels for processors with the DSP instructions: Cortex-M4, Cortex-M7, and ARMv8-M ones with the extension.
//!
//! # The linear layer
//!
//! A half of a packed word is `a + 256 b`, the weights of two rows. `SMLALD` multiplies both halves of the word with two activations and
//! sums `A + 256 B` in 64 bits; `SXTB16` leaves the two `a` alone, and `SMLAD` sums `A` in 32 bits; at the end `B = (sum - A) >> 8`. That
//! is three instructions for four multiply-accumulates. Four rows by four columns take two loads and twelve of these: 14 instructions for
//! 16, on 14 registers, so the function is naked. Eight such blocks are unrolled; a group of rows starts within them where its number of
//! columns says.
//!
//! All functions are called with lengths checked, and nothing else is asked of the numbers: sums wrap, as they cannot for a parsed
//! artifact.

use super::linear::Rows;
use core::arch::{asm, naked_asm};
use core::ptr::null;
use tweedie_core::artifact::TABLE_ENTRIES;

/// ARMv8-M has the instructions as an option, which its target leaves out.
#[cfg(dsp_extension)]
macro_rules! processor {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(not(dsp_extension))]
macro_rules! processor {
    () => {
        ""
    };
}
pub(super) use processor;

/// Blocks of four columns in one round of the loop.
const UNROLLED: usize = 8;

/// What [`groups`] works on, in the order in which it finds it on the stack.
#[repr(C)]
struct Groups {
    weights: *const u32,
    input: *const u32,
    input_end: *const u32,
    /// Blocks of the first round to leave out; then the address to start at.
    skip: usize,
    bias: *const u32,
    /// Null for none.
    step_bias: *const u32,
    /// Null for none.
    class_bias: *const u32,
    multipliers: *const u32,
    output: *mut u32,
    count: usize,
}

/// Groups of four rows: two words of output for each.
///
/// Instructions: 14 for each block of 4 columns, 3 for each round of 8 blocks, 47 for each group and 7 more for each bias table, 35 for the
/// call.
///
/// # Safety
/// `count` is at least 1. From `input` to `input_end` are some multiple of two words, and not none; `weights` has twice as many for each
/// group. The biases that are not null and the multipliers have four words for each group, `output` two. `skip` is what rounds the number
/// of blocks up to a multiple of [`UNROLLED`].
#[unsafe(naked)]
unsafe extern "C" fn groups(_: Groups) {
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
        // A group of four rows.
        "2:",
        "ldr r1, [sp, #{input}]",
        "movs r4, #0", // r4, r5: rows 0 and 1 together
        "movs r5, #0",
        "movs r6, #0", // r6, r7: rows 2 and 3 together
        "movs r7, #0",
        "mov r8, r4", // row 0
        "mov r9, r4", // row 2
        "ldr pc, [sp, #{skip}]",
        ".p2align 2",
        "1:",
        ".rept {unrolled}",
        "ldm.w r1!, {{r2, r3}}",
        "ldm.w r0!, {{r10, r11, r12, lr}}",
        "smlald r4, r5, r10, r2",
        "sxtb16 r10, r10",
        "smlad r8, r10, r2, r8",
        "smlald r6, r7, r11, r2",
        "sxtb16 r11, r11",
        "smlad r9, r11, r2, r9",
        "smlald r4, r5, r12, r3",
        "sxtb16 r12, r12",
        "smlad r8, r12, r3, r8",
        "smlald r6, r7, lr, r3",
        "sxtb16 lr, lr",
        "smlad r9, lr, r3, r9",
        ".endr",
        "ldr r2, [sp, #{input_end}]",
        "cmp r1, r2",
        "bne.w 1b",
        // Rows 0 to 3 in r8, r4, r9, r6.
        "subs r4, r4, r8",
        "sbc r5, r5, r8, asr #31",
        "lsrs r4, r4, #8",
        "orr r4, r4, r5, lsl #24",
        "subs r6, r6, r9",
        "sbc r7, r7, r9, asr #31",
        "lsrs r6, r6, #8",
        "orr r6, r6, r7, lsl #24",
        "ldr r2, [sp, #{bias}]",
        "ldm r2!, {{r10, r11, r12, lr}}",
        "str r2, [sp, #{bias}]",
        "add r8, r10",
        "add r4, r11",
        "add r9, r12",
        "add r6, lr",
        "ldr r2, [sp, #{step_bias}]",
        "cbz r2, 3f",
        "ldm r2!, {{r10, r11, r12, lr}}",
        "str r2, [sp, #{step_bias}]",
        "add r8, r10",
        "add r4, r11",
        "add r9, r12",
        "add r6, lr",
        "3:",
        "ldr r2, [sp, #{class_bias}]",
        "cbz r2, 4f",
        "ldm r2!, {{r10, r11, r12, lr}}",
        "str r2, [sp, #{class_bias}]",
        "add r8, r10",
        "add r4, r11",
        "add r9, r12",
        "add r6, lr",
        "4:",
        "ldr r2, [sp, #{multipliers}]",
        "ldm r2!, {{r10, r11, r12, lr}}",
        "str r2, [sp, #{multipliers}]",
        "smmulr r8, r8, r10",
        "smmulr r4, r4, r11",
        "smmulr r9, r9, r12",
        "smmulr r6, r6, lr",
        "ssat r8, #16, r8",
        "ssat r4, #16, r4",
        "ssat r9, #16, r9",
        "ssat r6, #16, r6",
        "pkhbt r8, r8, r4, lsl #16",
        "pkhbt r9, r9, r6, lsl #16",
        "ldr r2, [sp, #{output}]",
        "stm r2!, {{r8, r9}}",
        "str r2, [sp, #{output}]",
        "ldr r2, [sp, #{count}]",
        "subs r2, r2, #1",
        "str r2, [sp, #{count}]",
        "bne.w 2b",
        "pop {{r4-r11, lr}}",
        "add sp, #16",
        "bx lr",
        unrolled = const UNROLLED,
        block_bytes = const 14 * 4,
        input = const SAVED + core::mem::offset_of!(Groups, input),
        input_end = const SAVED + core::mem::offset_of!(Groups, input_end),
        skip = const SAVED + core::mem::offset_of!(Groups, skip),
        bias = const SAVED + core::mem::offset_of!(Groups, bias),
        step_bias = const SAVED + core::mem::offset_of!(Groups, step_bias),
        class_bias = const SAVED + core::mem::offset_of!(Groups, class_bias),
        multipliers = const SAVED + core::mem::offset_of!(Groups, multipliers),
        output = const SAVED + core::mem::offset_of!(Groups, output),
        count = const SAVED + core::mem::offset_of!(Groups, count),
    )
}

/// Bytes of the nine registers that [`groups`] saves below its arguments.
const SAVED: usize = 9 * 4;

/// The first steps of [`Linear`](tweedie_core::artifact::Linear)'s arithmetic: one 16-bit number for each row.
pub fn rows(rows: &Rows<'_>, output: &mut [u32]) {
    if !rows.fits(output) {
        return;
    }
    let blocks = rows.input.len() / 2;
    let (full, rest) = (rows.bias.len() / 4, rows.bias.len() % 4);
    let skip = blocks.wrapping_neg() % UNROLLED;
    let input = rows.input.as_ptr_range();
    let start = |words: Option<&[u32]>| words.map_or(null(), <[u32]>::as_ptr);
    if full > 0 {
        // SAFETY: `fits` has checked every length, for more groups than these.
        unsafe {
            groups(Groups {
                weights: rows.weights.as_ptr(),
                input: input.start,
                input_end: input.end,
                skip,
                bias: rows.bias.as_ptr(),
                step_bias: start(rows.step_bias),
                class_bias: start(rows.class_bias),
                multipliers: rows.multipliers.as_ptr(),
                output: output.as_mut_ptr(),
                count: full,
            });
        }
    }
    if rest > 0 {
        // The last group's tables end with the rows that there are.
        let padded = |words: &[u32]| {
            let mut four = [0; 4];
            four.iter_mut().zip(words.iter().skip(full * 4)).for_each(|(place, &word)| *place = word);
            four
        };
        let (bias, multipliers) = (padded(rows.bias), padded(rows.multipliers));
        let (step_bias, class_bias) = (rows.step_bias.map(padded), rows.class_bias.map(padded));
        let weights = rows.weights.get(full * 4 * blocks..).unwrap_or_default();
        let mut two = [0; 2];
        // SAFETY: `fits` has checked the weights, all else has been padded to one group.
        unsafe {
            groups(Groups {
                weights: weights.as_ptr(),
                input: input.start,
                input_end: input.end,
                skip,
                bias: bias.as_ptr(),
                step_bias: start(step_bias.as_ref().map(<[u32; 4]>::as_slice)),
                class_bias: start(class_bias.as_ref().map(<[u32; 4]>::as_slice)),
                multipliers: multipliers.as_ptr(),
                output: two.as_mut_ptr(),
                count: 1,
            });
        }
        let output = super::halves_mut(output).iter_mut().skip(full * 4).take(rest);
        output.zip(super::halves(&two)).for_each(|(place, &z)| *place = z);
    }
}

/// `low(a) low(b) + high(a) high(b) + c`.
#[inline(always)]
fn smlad(a: u32, b: u32, c: u32) -> u32 {
    let sum;
    // SAFETY: arithmetic on registers; it sets the saturation flag, which nothing here reads.
    unsafe {
        asm!(processor!(), "smlad {}, {}, {}, {}", out(reg) sum, in(reg) a, in(reg) b, in(reg) c, options(pure, nomem, nostack))
    };
    sum
}

/// Two entries at once: `t0 + (((t1 - t0) f + 128) >> 8)` is `((256 - f) t0 + f t1 + 128) >> 8`, one `SMLAD`.
///
/// Instructions: 8 for each number.
pub fn activate(entries: &[i16; TABLE_ENTRIES], values: &mut [u32]) {
    let middle = entries[128..].as_ptr();
    // `k` is the number's high byte with its sign, `f` its low byte.
    let interpolate = |k: i32, f: u32| {
        // SAFETY: the shift leaves k from -128 to 127, so both entries are there; these processors load words from any address.
        let two = unsafe { middle.offset(k as isize).cast::<u32>().read_unaligned() };
        // The low half is 256 - f, the high half is f.
        smlad(two, (f << 16) + 256 - f, 128)
    };
    for value in values {
        let z = *value;
        let low = interpolate(i32::from(z as i16) >> 8, z & 255);
        let high = interpolate(z as i32 >> 24, z >> 16 & 255);
        *value = (low as i32 >> 8) as u32 & 0xffff | (high << 8) & 0xffff_0000;
    }
}

/// Saturating sums of two numbers at once. Instructions: 3 for each number.
pub fn add(values: &mut [u32], more: &[u32]) {
    for (value, more) in values.iter_mut().zip(more) {
        // SAFETY: arithmetic on registers.
        unsafe {
            asm!(processor!(), "qadd16 {0}, {0}, {1}", inout(reg) *value, in(reg) *more, options(pure, nomem, nostack))
        };
    }
}

/// The sum and the sum of squares. Instructions: 3 for each number.
pub fn moments(values: &[u32]) -> (i32, u64) {
    let (mut sum, mut low, mut high) = (0, 0_u32, 0_u32);
    for &value in values {
        sum = smlad(value, 0x0001_0001, sum);
        // SAFETY: arithmetic on registers.
        unsafe {
            asm!(processor!(), "smlald {}, {}, {2}, {2}", inout(reg) low, inout(reg) high, in(reg) value, options(pure, nomem, nostack))
        };
    }
    (sum as i32, u64::from(low) | u64::from(high) << 32)
}

/// Two numbers at once: `saturate_i16(((factor x - offset) inverse + 2^31) >> 32)`, where the factor is less than `2^15`.
///
/// Instructions: 5 for each number.
pub fn scale(values: &mut [u32], factor: i32, offset: i32, inverse: u32) {
    for value in values {
        let (low, high): (u32, u32);
        // SAFETY: arithmetic on registers; it sets the saturation flag, which nothing here reads.
        unsafe {
            asm!(
                processor!(),
                "smlabb {low}, {x}, {factor}, {offset}",
                "smlatb {high}, {x}, {factor}, {offset}",
                "smmulr {low}, {low}, {inverse}",
                "smmulr {high}, {high}, {inverse}",
                "ssat {low}, #16, {low}",
                "ssat {high}, #16, {high}",
                "pkhbt {low}, {low}, {high}, lsl #16",
                low = out(reg) low,
                high = out(reg) high,
                x = in(reg) *value,
                factor = in(reg) factor,
                offset = in(reg) offset.wrapping_neg(),
                inverse = in(reg) inverse,
                options(pure, nomem, nostack)
            );
        }
        let _ = high;
        *value = low;
    }
}
