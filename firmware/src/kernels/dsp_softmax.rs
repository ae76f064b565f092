//! Softmax for processors with the DSP instructions: two numbers at a time.

use super::dsp::processor;
use core::arch::asm;

/// `32767 - min(((most - score) multiplier) >> 32, 65535)` for two scores in each word of `out`; the multiplier is less than `2^31`.
///
/// Instructions: 6 for each number.
pub fn distances(scores: &[u32], most: u32, multiplier: u32, out: &mut [u32]) {
    for (out, &[first, second]) in out.iter_mut().zip(scores.as_chunks::<2>().0) {
        let (first, second) = (most.wrapping_sub(first), most.wrapping_sub(second));
        let distance = |below: u32| ((u64::from(below) * u64::from(multiplier)) >> 32) as u32;
        // SAFETY: arithmetic on registers; it sets the saturation flag, which nothing here reads.
        unsafe {
            asm!(
                processor!(),
                "usat {a}, #16, {a}",
                "usat {b}, #16, {b}",
                "pkhbt {a}, {a}, {b}, lsl #16",
                "ssub16 {a}, {top}, {a}",
                a = inout(reg) distance(first) => *out,
                b = inout(reg) distance(second) => _,
                top = in(reg) 0x7fff_7fff_u32,
                options(pure, nomem, nostack)
            );
        }
    }
}

/// The sum of all numbers. Instructions: 2 for each.
pub fn sum(numbers: &[u32]) -> u32 {
    let mut sum = 0;
    for &two in numbers {
        // SAFETY: arithmetic on registers; it sets the saturation flag, which nothing here reads.
        unsafe {
            asm!(processor!(), "smlad {sum}, {two}, {ones}, {sum}", sum = inout(reg) sum, two = in(reg) two, ones = in(reg) 0x0001_0001_u32, options(pure, nomem, nostack))
        };
    }
    sum
}

/// `(number reciprocal + 2^15) >> 16`, for numbers from 0 up whose products are below `2^31`. Instructions: 5 for each number.
pub fn scale(numbers: &mut [u32], reciprocal: u32) {
    for two in numbers {
        // SAFETY: arithmetic on registers.
        unsafe {
            asm!(
                processor!(),
                "lsl {low}, {two}, #16",
                "bfc {two}, #0, #16",
                "smmulr {low}, {low}, {reciprocal}",
                "smmulr {two}, {two}, {reciprocal}",
                "pkhbt {two}, {low}, {two}, lsl #16",
                two = inout(reg) *two,
                low = out(reg) _,
                reciprocal = in(reg) reciprocal,
                options(pure, nomem, nostack)
            );
        }
    }
}
