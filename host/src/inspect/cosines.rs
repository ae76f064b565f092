//! Angles between rows: draws of noise are nearly orthogonal, data are not.

use super::Measure;
use super::rows::Rows;
use crate::streams;
use tweedie_core::noise::NoiseStream;
use tweedie_core::shell;

/// Pairs that are drawn.
const PAIRS: u64 = 20_000;

/// Mean and standard deviation of the cosine between two rows less a centre, over random pairs of rows that differ from it.
pub fn mean_and_deviation(rows: &Rows, centre: &[f64]) -> (f64, f64) {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    let stream = NoiseStream::new(0, streams::STUDY);
    let number = rows.count() as u64;
    let row = |index: u64| &rows.values[index as usize * rows.width..][..rows.width];
    for pair in 0..PAIRS {
        let bits = stream.bits(0, pair);
        let first = u64::from(bits[0]) % number;
        // Another one.
        let second = (first + 1 + u64::from(bits[1]) % (number - 1)) % number;
        let product = |a: &[f32], b: &[f32]| {
            let pairs = a.iter().zip(b).zip(centre);
            pairs.map(|((&a, &b), centre)| (f64::from(a) - centre) * (f64::from(b) - centre)).sum::<f64>()
        };
        let (u, v) = (row(first), row(second));
        let cosine = product(u, v) / (product(u, u) * product(v, v)).sqrt();
        if cosine.is_finite() {
            count += 1.0;
            sum += cosine;
            squares += cosine * cosine;
        }
    }
    let mean = sum / count;
    (mean, (squares / count - mean * mean).max(0.0).sqrt())
}

/// The mean cosine, and how cosines spread when the mean row is taken away, which would hide it; beside noise's.
pub fn measures(rows: &Rows) -> [Measure; 2] {
    let (mean, _) = mean_and_deviation(rows, &vec![0.0; rows.width]);
    let (_, deviation) = mean_and_deviation(rows, &rows.means());
    let pixel = (rows.mean, rows.deviation);
    let limit = shell::cosine_limit(pixel, pixel);
    let law = shell::cosine_deviation(rows.width);
    let leaning = if mean > 0.25 {
        "Rows lean one way, and pure noise does not: start sampling with enough noise to hide their mean, as the max_time below does."
    } else {
        "Rows have hardly a direction in common: pure noise is a fair start."
    };
    let alike = if deviation > 1.5 * law {
        format!(
            "Angles spread like noise's in {:.0} dimensions: rows come in kinds; train with their classes if there are any.",
            1.0 / (deviation * deviation)
        )
    } else {
        "Angles spread as noise's do: rows come in no kinds; classes would help little.".to_owned()
    };
    [
        Measure::new(
            ["cosine", "cosine of two rows, mean"],
            mean,
            (limit, "independent pixels: mu^2/(mu^2+s^2)"),
            leaning,
        ),
        Measure::new(
            ["cosine_deviation", "cosine less the mean row, deviation"],
            deviation,
            (law, "unit noise: 1/sqrt(d)"),
            alike,
        ),
    ]
}
