//! The near-zero share: pixels of the background, as dark areas are in images.

use super::Measure;
use crate::data::{DataLevels, Dataset};

/// Bins of the network's range [-1, 1].
const BINS: usize = 64;

/// The share of numbers in the fullest of 64 bins of the network's range, and that bin's middle. An image's zero is there, wherever the range put it.
pub fn share(samples: &[f32]) -> (f64, f64) {
    let mut counts = [0_u64; BINS];
    for value in samples {
        let bin = (0.5 * (f64::from(*value) + 1.0) * BINS as f64) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    // The first of equals.
    let fullest = (1..BINS).fold(0, |best, bin| if counts[bin] > counts[best] { bin } else { best });
    (counts[fullest] as f64 / samples.len() as f64, (2.0 * fullest as f64 + 1.0) / BINS as f64 - 1.0)
}

/// The measure, beside noise that is uniform over the range or over the data's levels.
pub fn measure(data: &Dataset, levels: Option<&DataLevels>) -> Measure {
    let (share, value) = share(&data.samples);
    let bins = levels.map_or(BINS, |levels| levels.count.min(BINS));
    let advice = if share > 0.8 {
        format!("Nearly all numbers are about {value:.2}: crop what is empty, or most of the loss is spent on it.")
    } else if share > 4.0 / bins as f64 {
        format!(
            "A background of about {value:.2} is learnt at once; clip estimates (sampling.clip) so that it stays even."
        )
    } else {
        "There is no background: every value is about as common; nothing to do.".to_owned()
    };
    Measure::new(["near_zero", "share of background (near-zero)"], share, (1.0 / bins as f64, "uniform noise"), advice)
}
