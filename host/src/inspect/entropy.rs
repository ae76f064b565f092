//! Entropy of a pixel, `-sum_v p(v) log2 p(v)`: 8 bits for uniform noise of bytes.

use super::Measure;
use crate::data::{DataLevels, Dataset};

/// Names of the measure.
const NAMES: [&str; 2] = ["entropy_bits", "entropy of a pixel, bits"];

/// Bits that a pixel takes when all are coded alike and each by itself, which is additive over independent pixels.
pub fn bits(samples: &[f32], levels: &DataLevels) -> f64 {
    let mut counts = vec![0_u64; levels.count];
    for value in samples {
        let level = ((value - levels.low) / levels.spacing).round() as usize;
        counts[level.min(levels.count - 1)] += 1;
    }
    let total = samples.len() as f64;
    let shares = counts.into_iter().filter(|&count| count > 0).map(|count| count as f64 / total);
    // `max` for a single level, whose entropy comes out as -0.
    shares.map(|share| -share * share.log2()).sum::<f64>().max(0.0)
}

/// The measure, beside noise that takes every level equally often.
pub fn measure(data: &Dataset, levels: Option<&DataLevels>) -> Measure {
    let Some(levels) = levels else {
        return Measure {
            name: NAMES[0],
            label: NAMES[1],
            value: None,
            noise: None,
            reference: "uniform noise",
            advice: "Values are continuous, so there are no bits to count; `eval` will give no bound in bits either."
                .to_owned(),
        };
    };
    let (own, most) = (bits(&data.samples, levels), (levels.count as f64).log2());
    let advice = if own > 0.97 * most {
        format!("All {} levels are as common as in noise: check that the file holds what it should.", levels.count)
    } else {
        format!(
            "A model that learnt anything needs fewer than {own:.2} bits per dimension: compare the bound of `eval`."
        )
    };
    Measure::new(NAMES, own, (most, "uniform noise: log2(levels)"), advice)
}
