//! Activation functions as tables of 257 entries with linear interpolation.

use super::{TooShort, first, first_mut, halves, halves_mut, pairs, portable};
use tweedie_core::artifact::TABLE_ENTRIES;

/// Replaces the first `count` 16-bit numbers `z` of `values` by `t[k] + (((t[k + 1] - t[k]) f + 128) >> 8)`, with `k = (z + 32768) >> 8`
/// and `f = z & 255`. The result lies between the two entries, so nothing can overflow.
///
/// # Errors
/// [`TooShort`] for a table of fewer than 257 entries, or fewer than `count` values.
pub fn activate(table: &[u32], values: &mut [u32], count: usize) -> Result<(), TooShort> {
    let (need, have) = (TABLE_ENTRIES.div_ceil(2), table.len());
    let table = halves(first(table, need, "an activation table")?);
    let entries = table.first_chunk().ok_or(TooShort { what: "an activation table", need, have })?;
    let values = first_mut(values, count.div_ceil(2), "values to activate")?;
    let done = pairs(count);
    #[cfg(dsp)]
    super::dsp::activate(entries, values.get_mut(..done / 2).unwrap_or_default());
    portable::activate(entries, halves_mut(values).get_mut(done..count).unwrap_or_default());
    Ok(())
}
