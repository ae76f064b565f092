//! Integer kernels: exactly the arithmetic that [`tweedie_core::artifact`] documents, the same bits on every processor.
//!
//! The only module with unsafe code: `view` looks at words as 16-bit numbers, `dsp` and the files named after it hold the assembly of processors with
//! `SMLALD` (Cortex-M4, M7, and M33 with the feature `dsp`), and `thumb` that of all the other Cortex-M. Everything here is safe to call: lengths
//! are checked once a layer, not once a word.
//!
//! Activations are 16-bit numbers, two in a word, low half first, so a buffer is a `[u32]` and always aligned.
//!
//! # What they cost
//!
//! Instructions, all overhead included, under QEMU's `-icount shift=0`, compiled for size (`opt-level = "s"`). The emulated board's program
//! `kernels` prints them and checks that every machine leaves the same bits. They are not cycles: silicon adds wait states of its flash,
//! and a word more for each that a load brings.
//!
//! | kernel | for each | M0 | M3 | M4, M7 | M33 with `dsp` |
//! |---|---|---|---|---|---|
//! | [`linear`] 256 -> 256 | multiply-accumulate | 5.00 | 4.86 | 0.95 | 0.95 |
//! | 128 -> 128 | | 5.39 | 5.10 | 1.00 | 1.00 |
//! | 64 -> 128 | | 6.15 | 5.57 | 1.11 | 1.11 |
//! | 128 -> 64 | | 5.41 | 5.11 | 1.02 | 1.02 |
//! | 128 -> 128, table, two bias tables, added | | 5.90 | 5.45 | 1.19 | 1.19 |
//! | [`mixture`] of 4 components of rank 12 in 64, one class | | 8.64 | 6.52 | 1.92 | 1.92 |
//! | the same for none of two classes, projected twice | | 7.83 | 6.19 | 1.64 | 1.64 |
//! | [`normalise`] 128 | number | 68 | 25 | 16 | 16 |
//! | [`activate`] 128 | number | 19 | 14 | 9.4 | 9.4 |
//! | [`add`] 128 | number | 15 | 9.1 | 4.1 | 4.1 |
//! | [`FixedTensor`](crate::tensor::FixedTensor)'s `combine`, 1 term | number | 24 | 10 | 10 | 10 |
//! | with 2 terms | number | 86 | 57 | 56 | 57 |
//! | normal noise | number | 691 | 187 | 186 | 185 |
//! | [`convolution`] 3x3, 16x16, 16 -> 16 | multiply-accumulate | | 5.90 | 1.05 | 1.05 |
//! | 3x3, 8x8, 32 -> 32 | | | 5.21 | 0.95 | 0.95 |
//! | 1x1, 16x16, 32 -> 32 | | | 7.46 | 1.28 | 1.28 |
//! | 3x3, 14x14, 18 -> 18 | | | 6.34 | 1.05 | 1.05 |
//! | 3x3, 14x14, 36 doubled and 18 -> 18 | | | 6.02 | 1.19 | 1.19 |
//! | 3x3, 8x8, 8 -> 8 | | 8.91 | 7.37 | 1.67 | 1.67 |
//! | [`depthwise`] 3x3, 16x16, 32 channels | | | 20 | 1.99 | 1.98 |
//! | [`attention`] 49 tokens, 4 heads of 16 | | | 10 | 2.9 | 2.9 |
//! | [`softmax`] 64 | number | 99 | 41 | 28 | 28 |
//! | [`normalise`] 32 rows of 24 | number | 113 | 37 | 28 | 28 |
//! | [`rearrange`] 28x28 in patches of 2x2 | number | 46 | 36 | 36 | 37 |
//! | parsing an artifact, once | byte | 135 | 97 | 98 | 101 |

#![allow(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("two 16-bit numbers in a word stand low half first: there is no big-endian version");

mod attention;
mod convolution;
mod depthwise;
#[cfg(dsp)]
mod dsp;
#[cfg(dsp)]
mod dsp_attention;
#[cfg(dsp)]
mod dsp_convolution;
#[cfg(dsp)]
mod dsp_depthwise;
#[cfg(dsp)]
mod dsp_softmax;
mod linear;
mod mixture;
mod normalise;
mod patch;
mod portable;
mod posterior;
mod rearrange;
mod requantise;
mod residual;
mod softmax;
mod table;
#[cfg(thumb)]
mod thumb;
mod view;

pub use attention::attention;
pub use convolution::convolution;
pub use depthwise::depthwise;
pub use linear::linear;
pub use mixture::mixture;
pub use normalise::normalise;
pub use rearrange::rearrange;
pub use residual::add;
pub use softmax::softmax;
pub use table::activate;
pub use view::{halves, halves_mut, numbers, numbers_mut};
pub(crate) use view::{tensor, tensor_mut};

use core::fmt;

/// A slice that is too short for what a kernel has been asked; no kernel has then written anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooShort {
    /// Which slice.
    pub what: &'static str,
    /// Words needed.
    pub need: usize,
    /// Words there.
    pub have: usize,
}

impl core::error::Error for TooShort {}

impl fmt::Display for TooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, need, have } = self;
        write!(f, "{what}: {need} words are needed, {have} are there")
    }
}

/// How many of `count` numbers are worked on two at a time.
const fn pairs(count: usize) -> usize {
    if cfg!(dsp) { count & !1 } else { 0 }
}

/// The first `need` words.
fn first<'a>(words: &'a [u32], need: usize, what: &'static str) -> Result<&'a [u32], TooShort> {
    words.get(..need).ok_or(TooShort { what, need, have: words.len() })
}

/// The first `need` words, to write to.
fn first_mut<'a>(words: &'a mut [u32], need: usize, what: &'static str) -> Result<&'a mut [u32], TooShort> {
    let have = words.len();
    words.get_mut(..need).ok_or(TooShort { what, need, have })
}

#[cfg(test)]
mod tests;
