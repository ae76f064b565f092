//! Attention for processors with the DSP instructions: scores by `SMLALD`, weighted sums of eight channels at once by `SMLAxy`, which takes either half
//! of a share and of a value.

use super::dsp::processor;
use core::arch::naked_asm;

/// Words of a value that [`fours`] sums at once.
const FOUR: usize = 4;

/// `scores[u] <- saturate_i32((query . keys[u]) >> shift)`, where the keys begin `pitch` words apart; nothing where they are fewer than the scores.
pub fn scores(query: &[u32], keys: &[u32], pitch: usize, shift: u8, scores: &mut [u32]) {
    let words = query.len();
    let Some(between) = scores.len().checked_sub(1) else { return };
    if words == 0 || words > pitch || shift > 31 || keys.len() < between.saturating_mul(pitch).saturating_add(words) {
        return;
    }
    let range = scores.as_mut_ptr_range();
    let more = Scores {
        query: query.as_ptr(),
        blocks: words / 4,
        rest: words % 4,
        gap: 4 * (pitch - words),
        shift: u32::from(shift),
        unshift: 32 - u32::from(shift),
        end: range.end,
    };
    // SAFETY: nothing is empty, and the keys' length has just been checked.
    unsafe { products(&more, keys.as_ptr(), range.start) };
}

/// What [`products`] works on.
#[repr(C)]
struct Scores {
    query: *const u32,
    /// Blocks of four words of a key, and words that are left.
    blocks: usize,
    rest: usize,
    /// Bytes from the end of a key to the next one.
    gap: usize,
    shift: u32,
    /// 32 less the shift.
    unshift: u32,
    /// Behind the last score.
    end: *const u32,
}

/// Instructions: 8 for each block of 8 numbers, 5 for each 2 that are left, 19 for each key, 8 for the call.
///
/// # Safety
/// There are at least one score and one word of the query; keys are as many as scores, each as long as the query says.
#[unsafe(naked)]
unsafe extern "C" fn products(_more: &Scores, _keys: *const u32, _scores: *mut u32) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "ldm r0, {{r3, r4, r5, r6, r7, r8, r9}}",
        "push {{r3, r4, r5, r6, r7, r8, r9}}",
        // A key.
        "2:",
        "ldrd r0, r3, [sp]", // the query, and the blocks
        "movs r4, #0",
        "movs r5, #0",
        "cbz r3, 3f",
        "1:",
        "ldm r0!, {{r6-r9}}",
        "ldm.w r1!, {{r10, r11, r12, lr}}",
        "smlald r4, r5, r6, r10",
        "smlald r4, r5, r7, r11",
        "smlald r4, r5, r8, r12",
        "smlald r4, r5, r9, lr",
        "subs r3, #1",
        "bne 1b",
        "3:",
        "ldr r3, [sp, #{rest}]",
        "cbz r3, 5f",
        "4:",
        "ldr r6, [r0], #4",
        "ldr r10, [r1], #4",
        "smlald r4, r5, r6, r10",
        "subs r3, #1",
        "bne 4b",
        "5:",
        "add r6, sp, #{gap}",
        "ldm r6, {{r6-r9}}", // the gap, both shifts, the end
        "add r1, r6",
        // A shift by 32 leaves nothing.
        "lsrs r4, r7",
        "lsl r8, r5, r8",
        "orrs r4, r4, r8",
        "asrs r5, r7",
        "cmp.w r5, r4, asr #31",
        "bne 7f",
        "6:",
        "str r4, [r2], #4",
        "cmp r2, r9",
        "bne 2b",
        "add sp, #28",
        "pop {{r4-r11, pc}}",
        // Beyond 32 bits: the largest number there is, or the least.
        "7:",
        "mvn r4, #0x80000000",
        "eor r4, r4, r5, asr #31",
        "b 6b",
        rest = const core::mem::offset_of!(Scores, rest),
        gap = const core::mem::offset_of!(Scores, gap),
    )
}

/// Of each word of the output its two numbers `saturate_i16((sum_u share_u value_u + 2^14) >> 15)`, where the values begin `pitch` words apart; returns how
/// many words it has done, which leaves fewer than four.
pub fn weighted(shares: &[u32], tokens: usize, values: &[u32], pitch: usize, output: &mut [u32]) -> usize {
    let Some(between) = tokens.checked_sub(1) else { return 0 };
    let mut done = 0;
    for output in output.as_chunks_mut::<FOUR>().0 {
        let values = values.get(done..).unwrap_or_default();
        if shares.len() < tokens.div_ceil(2) || values.len() < between.saturating_mul(pitch).saturating_add(FOUR) {
            return done;
        }
        let shares = shares[..tokens / 2].as_ptr_range();
        // SAFETY: there is a token, and both lengths have just been checked.
        unsafe { fours(values.as_ptr(), shares.start, 4 * pitch, shares.end, tokens % 2, output.as_mut_ptr()) };
        done += FOUR;
    }
    done
}

/// Eight numbers of a value, weighted. Instructions: 23 for each two tokens, 3 for each four, 45 for the call.
///
/// # Safety
/// From `shares` to their end are two shares a word, and one more behind it if `odd` is 1; there is a value of four words for each, `pitch` bytes apart, and
/// `output` has four words.
#[unsafe(naked)]
unsafe extern "C" fn fours(
    _values: *const u32,
    _shares: *const u32,
    _pitch: usize,
    _shares_end: *const u32,
    _odd: usize,
    _output: *mut u32,
) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "push {{r3}}",
        "mov.w r4, #0x4000",
        "mov r5, r4",
        "mov r6, r4",
        "mov r7, r4",
        "mov r8, r4",
        "mov r9, r4",
        "mov r10, r4",
        "mov r11, r4",
        "subs r3, r3, r1",
        "beq.w 3f",
        // An odd number of words begins in the middle of the loop.
        "tst r3, #4",
        "bne.w 2f",
        ".macro token half",
        "ldrd r3, r12, [r0]",
        "smla\\half\\()b r4, lr, r3, r4",
        "smla\\half\\()t r5, lr, r3, r5",
        "smla\\half\\()b r6, lr, r12, r6",
        "smla\\half\\()t r7, lr, r12, r7",
        "ldrd r3, r12, [r0, #8]",
        "smla\\half\\()b r8, lr, r3, r8",
        "smla\\half\\()t r9, lr, r3, r9",
        "smla\\half\\()b r10, lr, r12, r10",
        "smla\\half\\()t r11, lr, r12, r11",
        "add r0, r2",
        ".endm",
        "1:",
        "ldr lr, [r1], #4",
        "token b",
        "token t",
        "2:",
        "ldr lr, [r1], #4",
        "token b",
        "token t",
        "ldr r3, [sp]",
        "cmp r1, r3",
        "bne.w 1b",
        "3:",
        "ldr r3, [sp, #40]",
        "cmp r3, #0",
        "beq 4f",
        "ldrh lr, [r1]",
        "token b",
        "4:",
        ".purgem token",
        "ssat r4, #16, r4, asr #15",
        "ssat r5, #16, r5, asr #15",
        "ssat r6, #16, r6, asr #15",
        "ssat r7, #16, r7, asr #15",
        "ssat r8, #16, r8, asr #15",
        "ssat r9, #16, r9, asr #15",
        "ssat r10, #16, r10, asr #15",
        "ssat r11, #16, r11, asr #15",
        "pkhbt r4, r4, r5, lsl #16",
        "pkhbt r6, r6, r7, lsl #16",
        "pkhbt r8, r8, r9, lsl #16",
        "pkhbt r10, r10, r11, lsl #16",
        "ldr r0, [sp, #44]",
        "stm.w r0, {{r4, r6, r8, r10}}",
        "add sp, #4",
        "pop {{r4-r11, pc}}",
    )
}
