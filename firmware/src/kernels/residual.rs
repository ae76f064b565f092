//! The sum of two buffers.

use super::{TooShort, first, first_mut, halves, halves_mut, pairs, portable};

/// `values[i] <- saturate_i16(values[i] + more[i])` for the first `count` 16-bit numbers.
///
/// # Errors
/// [`TooShort`] when either holds fewer.
pub fn add(values: &mut [u32], more: &[u32], count: usize) -> Result<(), TooShort> {
    let words = count.div_ceil(2);
    let values = first_mut(values, words, "values to add to")?;
    let more = first(more, words, "values to add")?;
    let done = pairs(count);
    #[cfg(dsp)]
    super::dsp::add(values.get_mut(..done / 2).unwrap_or_default(), more);
    let values = halves_mut(values).get_mut(done..count).unwrap_or_default();
    portable::add(values, halves(more).get(done..).unwrap_or_default());
    Ok(())
}
