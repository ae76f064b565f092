//! The depthwise convolution for processors with the DSP instructions: two outputs of a channel at a time.
//!
//! Two words hold four neighbouring numbers of a strip, and with pairs of taps `(0, 1)` and `(1, 2)` two multiplications give three products for
//! either output: 15 instructions for 18 multiply-accumulates, loads included, and 12 to round and store them.

use super::depthwise::{COLUMNS, Row, Sweep};
use super::dsp::processor;
use core::arch::naked_asm;
use core::ops::Range;

/// Bytes of a row of a strip.
const PITCH: usize = 2 * COLUMNS;

/// Copies a channel of every row to the strip, if both are long enough.
pub fn copy(sweep: &Sweep, from: Option<&[i16]>, columns: usize, to: Option<&mut [i16]>) -> bool {
    let (Some(from), Some(to), Some(others)) = (from, to, sweep.height.checked_sub(1)) else { return false };
    let row = sweep.width * sweep.channels;
    let reach = others * row + columns.saturating_sub(1) * sweep.channels + 1;
    if columns == 0 || columns > COLUMNS || from.len() < reach || to.len() < others * COLUMNS + columns {
        return false;
    }
    let numbers = [
        2 * sweep.channels,
        columns,
        sweep.height,
        2 * row.wrapping_sub(columns * sweep.channels),
        PITCH - 2 * columns,
    ];
    // SAFETY: nothing is empty, and both lengths have just been checked.
    unsafe { copy_rows(from.as_ptr(), to.as_mut_ptr(), &numbers) };
    true
}

/// Copies rows of every so manieth number. Instructions: 3 for each number, 8 for a row, 15 for the call.
///
/// # Safety
/// `numbers` are the bytes from one number to the next, the columns, the rows, the bytes from the end of a row to the next in the one and in the other;
/// there is at least one row of one column, and all of them lie in memory that may be read and written.
#[unsafe(naked)]
unsafe extern "C" fn copy_rows(_from: *const i16, _to: *mut i16, _numbers: &[usize; 5]) {
    naked_asm!(
        "push {{r4-r10, lr}}",
        "ldm r2, {{r3, r4, r5, r6, r12}}",
        "5:",
        "subs r7, r4, #4",
        "blo 2f",
        "1:",
        "ldrh r8, [r0]",
        "ldrh r9, [r0, r3]",
        "add r0, r0, r3, lsl #1",
        "orr r8, r8, r9, lsl #16",
        "str r8, [r1], #4",
        "ldrh r8, [r0]",
        "ldrh r9, [r0, r3]",
        "add r0, r0, r3, lsl #1",
        "orr r8, r8, r9, lsl #16",
        "str r8, [r1], #4",
        "subs r7, #4",
        "bhs 1b",
        "2:",
        "adds r7, #4",
        "beq 4f",
        "3:",
        "ldrh r8, [r0]",
        "add r0, r3",
        "strh r8, [r1], #2",
        "subs r7, #1",
        "bne 3b",
        "4:",
        "add r0, r6",
        "add r1, r12",
        "subs r5, #1",
        "bne 5b",
        "pop {{r4-r10, pc}}",
    )
}

/// What [`sweep_rows`] takes from memory.
#[repr(C)]
struct Numbers {
    bias: i32,
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
        bias: row.bias,
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

/// Instructions: 27 for two outputs, 11 for a row, 30 for the call.
///
/// # Safety
/// There is at least one row of one pair; a strip has two more rows of [`PITCH`] bytes than that, and the outputs lie in memory that may be written.
#[unsafe(naked)]
unsafe extern "C" fn sweep_rows(_strip: *const i16, _taps: &[u32; 6], _output: *mut i16, _numbers: &Numbers) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, #20",
        "ldm r3, {{r4-r9}}",
        "strd r4, r5, [sp]", // bias and multiplier
        "strd r7, r8, [sp, #8]", // bytes and rows
        "str r9, [sp, #16]", // skip
        "mov lr, r6",
        "mov r12, r2",
        "ldm r1, {{r4-r9}}",
        // A row.
        "2:",
        "ldr r3, [sp, #8]",
        "add r3, r0",
        // Two outputs.
        "1:",
        "ldr r10, [sp]",
        "ldrd r1, r2, [r0, #{second}]",
        "mov r11, r10",
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
        "ldr r1, [sp, #4]",
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
        "add sp, #20",
        "pop {{r4-r11, pc}}",
        second = const PITCH,
        third = const 2 * PITCH,
    )
}
