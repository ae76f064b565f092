//! The linear layer's sums in the instructions that every Cortex-M has: ARMv6-M's, with products of 32 bits.
//!
//! Sums lie in the high registers, where an addition is all that ARMv6-M can do, and all that sums need. For a pair of columns and of rows,
//! with `h` and `l` the halves of the packed word, the four weights are `sxtb(l)`, `(l + 128) >> 8`, `sxtb(h)` and `(h + 128) >> 8`: 16
//! instructions for four multiply-accumulates, unpacking included, and 4 for loads and activations of eight. With the loop that is 4.6 for
//! each.

use core::arch::naked_asm;

/// The sums of a group's four rows.
pub fn sums(group: &[u32], input: &[u32]) -> [i32; 4] {
    let mut sums = [0; 4];
    // Four columns are four words of weights and two of input.
    let blocks = (group.len() / 4).min(input.len() / 2);
    if blocks > 0 {
        // SAFETY: that many blocks are in both slices, and not none.
        unsafe { dot(group.as_ptr(), input.as_ptr(), input.as_ptr().add(blocks * 2), &mut sums) };
    }
    sums
}

/// Sums four rows over the input. Instructions: 74 for each block of four columns, and 33.
///
/// # Safety
/// From `input` to `end` is a multiple of two words and not none; `weights` has twice as many.
#[unsafe(naked)]
unsafe extern "C" fn dot(_weights: *const u32, _input: *const u32, _end: *const u32, _sums: &mut [i32; 4]) {
    naked_asm!(
        "push {{r3-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r4-r7}}",
        "mov lr, r2",
        "movs r4, #0",
        "mov r8, r4",
        "mov r9, r4",
        "mov r10, r4",
        "mov r11, r4",
        "movs r6, #128", // for upper halves
        "lsls r6, r6, #16",
        "1:",
        ".rept 2",
        "ldmia r0!, {{r2, r7}}", // rows 0 and 1, rows 2 and 3
        "ldmia r1!, {{r4}}",
        "sxth r3, r4",
        "asrs r4, r4, #16",
        // First column, first row.
        "sxtb r5, r2",
        "muls r5, r3, r5",
        "add r8, r5",
        // Second column, first row.
        "lsls r5, r2, #8",
        "asrs r5, r5, #24",
        "muls r5, r4, r5",
        "add r8, r5",
        // Second column, second row.
        "adds r5, r2, r6",
        "asrs r5, r5, #24",
        "muls r5, r4, r5",
        "add r9, r5",
        // First column, second row.
        "lsls r2, r2, #16",
        "adds r2, r2, r6",
        "asrs r2, r2, #24",
        "muls r2, r3, r2",
        "add r9, r2",
        // The same for the other two rows.
        "sxtb r5, r7",
        "muls r5, r3, r5",
        "add r10, r5",
        "lsls r5, r7, #8",
        "asrs r5, r5, #24",
        "muls r5, r4, r5",
        "add r10, r5",
        "adds r5, r7, r6",
        "asrs r5, r5, #24",
        "muls r5, r4, r5",
        "add r11, r5",
        "lsls r7, r7, #16",
        "adds r7, r7, r6",
        "asrs r7, r7, #24",
        "muls r7, r3, r7",
        "add r11, r7",
        ".endr",
        "cmp r1, lr",
        "bne 1b",
        "ldr r0, [sp, #16]", // where the sums go
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "stmia r0!, {{r4-r7}}",
        "pop {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r3-r7, pc}}",
    )
}
