//! Words seen as the 16-bit numbers in them.

use crate::tensor::{FixedTensor, Q12};
use core::ptr::{from_mut, from_ref};
use core::slice::{from_raw_parts, from_raw_parts_mut};

/// The two 16-bit numbers of each word, low half first.
#[must_use]
pub fn halves(words: &[u32]) -> &[i16] {
    // SAFETY: a word is two i16, for which every bit pattern is valid; its alignment is stricter, and the lifetime is the same.
    unsafe { from_raw_parts(words.as_ptr().cast(), words.len() * 2) }
}

/// See [`halves`].
#[must_use]
pub fn halves_mut(words: &mut [u32]) -> &mut [i16] {
    // SAFETY: as in `halves`, and the exclusive borrow is passed on.
    unsafe { from_raw_parts_mut(words.as_mut_ptr().cast(), words.len() * 2) }
}

/// The two numbers of each word, low half first, in the state's format.
#[must_use]
pub fn numbers(words: &[u32]) -> &[Q12] {
    // SAFETY: as in `halves`: `Q12` is `FixedI16`, which is transparent over i16.
    unsafe { from_raw_parts(words.as_ptr().cast(), words.len() * 2) }
}

/// See [`numbers`].
#[must_use]
pub fn numbers_mut(words: &mut [u32]) -> &mut [Q12] {
    // SAFETY: as in `numbers`, and the exclusive borrow is passed on.
    unsafe { from_raw_parts_mut(words.as_mut_ptr().cast(), words.len() * 2) }
}

pub(crate) fn tensor(numbers: &[Q12]) -> &FixedTensor {
    // SAFETY: `FixedTensor` is transparent over the slice, and the lifetime is the same.
    unsafe { &*(from_ref(numbers) as *const FixedTensor) }
}

pub(crate) fn tensor_mut(numbers: &mut [Q12]) -> &mut FixedTensor {
    // SAFETY: as in `tensor`, and the exclusive borrow is passed on.
    unsafe { &mut *(from_mut(numbers) as *mut FixedTensor) }
}
