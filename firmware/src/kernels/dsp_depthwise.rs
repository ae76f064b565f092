//! The depthwise convolution for processors with the DSP instructions: two outputs of a channel at a time.
//!
//! Two words hold four neighbouring numbers of a strip, and with pairs of taps `(0, 1)` and `(1, 2)` two multiplications give three products for
//! either output: 15 instructions for 18 multiply-accumulates, loads included, and 11 to begin, round and store them.

use super::depthwise::{COLUMNS, Row, Sweep};
use super::dsp::processor;
use core::arch::naked_asm;
use core::ops::Range;

/// Bytes of a row of a strip.
const PITCH: usize = 2 * COLUMNS;

/// Copies two neighbouring channels of every row, each to a strip of its own, if all are long enough: `from` begins at the first pixel's two numbers,
/// and half of `to` is each strip's.
pub fn copy(sweep: &Sweep, from: &[u32], columns: usize, to: &mut [i16], place: usize) -> bool {
    let (pixel, second) = (sweep.channels / 2, to.len() / 2);
    let Some(others) = sweep.height.checked_sub(1) else { return false };
    let reach = others * sweep.width * pixel + columns.saturating_sub(1) * pixel + 1;
    let fits = columns > 0 && columns <= COLUMNS && columns <= sweep.width;
    if !fits || from.len() < reach || second < place + others * COLUMNS + columns {
        return false;
    }
    let numbers =
        [4 * pixel, columns, sweep.height, 4 * (sweep.width - columns) * pixel, PITCH - 2 * columns, 2 * second];
    // SAFETY: nothing is empty, and all lengths have just been checked.
    unsafe { copy_rows(from.as_ptr(), to.as_mut_ptr().add(place), &numbers) };
    true
}

/// Copies rows of pairs of numbers apart. Instructions: 2 for each number, 8 for a row, 15 for the call.
///
/// # Safety
/// `numbers` are the bytes from one pair to the next, the columns, the rows, the bytes from the end of a row to the next in the one and in the other,
/// and the bytes from the first numbers' place to the second ones'; there is at least one row of one column, and all of them lie in memory that
/// may be read and written.
#[unsafe(naked)]
unsafe extern "C" fn copy_rows(_from: *const u32, _to: *mut i16, _numbers: &[usize; 6]) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "ldm r2, {{r3, r4, r5, r6, r11, r12}}",
        "5:",
        "subs r7, r4, #4",
        "blo 2f",
        "1:",
        ".rept 2",
        "ldr r8, [r0]",
        "ldr r9, [r0, r3]",
        "add r0, r0, r3, lsl #1",
        "pkhbt r10, r8, r9, lsl #16",
        "pkhtb r9, r9, r8, asr #16",
        "str r9, [r1, r12]",
        "str r10, [r1], #4",
        ".endr",
        "subs r7, #4",
        "bhs 1b",
        "2:",
        "adds r7, #4",
        "beq 4f",
        "3:",
        "ldr r8, [r0]",
        "add r0, r3",
        "lsr r9, r8, #16",
        "strh r9, [r1, r12]",
        "strh r8, [r1], #2",
        "subs r7, #1",
        "bne 3b",
        "4:",
        "add r0, r6",
        "add r1, r11",
        "subs r5, #1",
        "bne 5b",
        "pop {{r4-r11, pc}}",
    )
}

/// What [`sweep_rows`] takes from memory.
#[repr(C)]
struct Numbers {
    /// Twice the same, for two outputs.
    biases: [i32; 2],
    multiplier: u32,
    /// Bytes from one output to the next.
    step: usize,
    /// Bytes of the strip that a row's pairs of outputs begin in.
    bytes: usize,
    rows: usize,
    /// Bytes from behind a row's last output to the next row's first.
    skip: usize,
}

/// Pairs of outputs in these columns, which begin the strip; how many columns they were. A stride of 1 only.
pub fn sweep(
    sweep: &Sweep,
    row: &Row,
    strip: &[i16],
    channel: usize,
    columns: Range<usize>,
    output: &mut [i16],
) -> usize {
    let count = columns.len() & !1;
    let line = sweep.width * sweep.channels;
    let Some(others) = sweep.height.checked_sub(1) else { return 0 };
    let first = columns.start * sweep.channels + channel;
    let Some(output) = output.get_mut(first..) else { return 0 };
    let reach = others * line + count.saturating_sub(1) * sweep.channels + 1;
    let fits = output.len() >= reach && strip.len() >= (sweep.height + 2) * COLUMNS && count + 2 <= COLUMNS;
    if sweep.stride != 1 || count == 0 || !fits {
        return 0;
    }
    let pair = |low: i8, high: i8| u32::from(i16::from(low) as u16) | u32::from(i16::from(high) as u16) << 16;
    let [a, b, c, d, e, f, g, h, i] = row.taps;
    let taps = [pair(a, b), pair(b, c), pair(d, e), pair(e, f), pair(g, h), pair(h, i)];
    let numbers = Numbers {
        biases: [row.bias; 2],
        multiplier: row.multiplier,
        step: 2 * sweep.channels,
        bytes: 2 * count,
        rows: sweep.height,
        skip: 2 * (line - count * sweep.channels),
    };
    // SAFETY: nothing is empty, and both lengths have just been checked; a strip's words are aligned.
    unsafe { sweep_rows(strip.as_ptr(), &taps, output.as_mut_ptr(), &numbers) };
    count
}

/// Instructions: 26 for two outputs, 11 for a row, 30 for the call.
///
/// # Safety
/// There is at least one row of one pair; a strip has two more rows of [`PITCH`] bytes than that, and the outputs lie in memory that may be written.
#[unsafe(naked)]
unsafe extern "C" fn sweep_rows(_strip: *const i16, _taps: &[u32; 6], _output: *mut i16, _numbers: &Numbers) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, #24",
        "ldm r3, {{r4-r10}}",
        "strd r4, r5, [sp]",  // biases
        "str r6, [sp, #20]", // multiplier
        "strd r8, r9, [sp, #8]", // bytes and rows
        "str r10, [sp, #16]", // skip
        "mov lr, r7",
        "mov r12, r2",
        "ldm r1, {{r4-r9}}",
        // A row.
        "2:",
        "ldr r3, [sp, #8]",
        "add r3, r0",
        // Two outputs.
        "1:",
        "ldrd r10, r11, [sp]",
        "ldrd r1, r2, [r0, #{second}]",
        "smlad r10, r1, r6, r10",
        "smlatb r11, r1, r6, r11",
        "smlabt r10, r2, r7, r10",
        "smlad r11, r2, r7, r11",
        "ldrd r1, r2, [r0, #{third}]",
        "smlad r10, r1, r8, r10",
        "smlatb r11, r1, r8, r11",
        "smlabt r10, r2, r9, r10",
        "smlad r11, r2, r9, r11",
        "ldrd r1, r2, [r0], #4",
        "smlad r10, r1, r4, r10",
        "smlatb r11, r1, r4, r11",
        "smlabt r10, r2, r5, r10",
        "smlad r11, r2, r5, r11",
        "ldr r1, [sp, #20]",
        "smmulr r10, r10, r1",
        "smmulr r11, r11, r1",
        "ssat r10, #16, r10",
        "ssat r11, #16, r11",
        "strh r10, [r12]",
        "strh r11, [r12, lr]",
        "add r12, r12, lr, lsl #1",
        "cmp r0, r3",
        "bne 1b",
        "ldrd r1, r2, [sp, #8]",
        "sub r0, r1",
        "add r0, #{second}",
        "ldr r1, [sp, #16]",
        "add r12, r1",
        "subs r2, #1",
        "str r2, [sp, #12]",
        "bne 2b",
        "add sp, #24",
        "pop {{r4-r11, pc}}",
        second = const PITCH,
        third = const 2 * PITCH,
    )
}
