//! Squared norms: noise lives on a thin shell of radius `sqrt(d)`, data live inside it, and less evenly.

use super::Measure;
use crate::data::Dataset;
use tweedie_core::shell;

/// Squared norms over the number of dimensions, of all rows, rising.
pub fn squared(data: &Dataset) -> Vec<f64> {
    let mut squared = by_row(data);
    squared.sort_unstable_by(f64::total_cmp);
    squared
}

fn by_row(data: &Dataset) -> Vec<f64> {
    let size = data.sample_size();
    let square = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    data.samples.chunks_exact(size).map(|row| square(row) / shell::expected_squared_norm(size)).collect()
}

/// Mean of the squared norm over that of noise, and its standard deviation over its mean.
pub fn measures(data: &Dataset) -> [Measure; 2] {
    let (size, squared) = (data.sample_size(), by_row(data));
    let count = squared.len() as f64;
    let mean = squared.iter().sum::<f64>() / count;
    let deviation = (squared.iter().map(|square| (square - mean).powi(2)).sum::<f64>() / count).sqrt();
    let power = if mean < 0.1 {
        format!(
            "Data are faint beside noise: most of the schedule drowns them; train in times = \"log-snr\", or scale them by {:.1}.",
            (0.5 / mean).sqrt()
        )
    } else {
        "Data and noise are of like size: a schedule that ends in unit noise, such as trigonometric, needs no scaling."
            .to_owned()
    };
    let (spread, law) = (deviation / mean, shell::spread_gaussian(size));
    let extreme = |greater: fn(f64, f64) -> bool| {
        (1..squared.len()).fold(0, |best, row| if greater(squared[row], squared[best]) { row } else { best })
    };
    let evenness = if spread > 1.2 * law {
        format!(
            "Lengths vary more than noise's: look at the shortest row ({}) and the longest ({}), which may be blank or broken.",
            extreme(|a, b| a < b),
            extreme(|a, b| a > b)
        )
    } else {
        "Lengths are as even as noise's: no row is blank or broken; nothing to do.".to_owned()
    };
    [
        Measure::new(["squared_norm", "squared norm / dimensions, mean"], mean, (1.0, "unit noise"), power),
        Measure::new(
            ["squared_norm_spread", "squared norm, deviation / mean"],
            spread,
            (law, "unit noise: sqrt(2/d)"),
            evenness,
        ),
    ]
}
