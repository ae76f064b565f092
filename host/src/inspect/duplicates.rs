//! Rows that come more than once.

use super::Measure;
use crate::data::Dataset;
use std::collections::HashSet;

/// How many rows are the same as an earlier one, bit for bit.
pub fn count(data: &Dataset) -> usize {
    let mut seen: HashSet<Vec<u32>> = HashSet::with_capacity(data.len());
    let bits = |row: &[f32]| row.iter().map(|value| value.to_bits()).collect();
    data.samples.chunks_exact(data.sample_size()).filter(|row| !seen.insert(bits(row))).count()
}

/// The measure; noise never repeats a row.
pub fn measure(data: &Dataset) -> Measure {
    let count = count(data);
    let advice = match count {
        0 => "No row comes twice: nothing to do.".to_owned(),
        _ => format!(
            "{count} of {} rows are copies of others: drop them, since what comes twice is memorised first.",
            data.len()
        ),
    };
    Measure::new(["duplicates", "rows that repeat another"], count as f64, (0.0, "noise"), advice)
}
