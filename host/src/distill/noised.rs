//! Real data at the noise levels of a lesson.

use super::Rules;
use crate::error::Error;
use crate::streams;
use candle_core::{Device, Tensor};
use std::ops::Range;
use tweedie_core::NoiseLevel;
use tweedie_core::forward::Noising;
use tweedie_core::noise::NoiseStream;

/// The rows of a batch.
pub struct Noised {
    /// `x_t`: f32, `[rows, features]`.
    pub x: Tensor,
    /// The class of each.
    pub classes: Vec<u32>,
}

/// Draws for each row one of `choices`, every one as often.
pub fn choose(rules: &Rules<'_>, update: u64, rows: Range<usize>, choices: usize) -> Vec<usize> {
    let stream = NoiseStream::new(rules.settings.seed, streams::TRAINING + update);
    rows.map(|row| (streams::unit(stream.bits(row as u32, 0)[2]) * choices as f64) as usize).collect()
}

/// Noises a sample drawn for each row to a level of its own.
///
/// # Errors
/// The tensor library's.
pub fn noised(
    rules: &Rules<'_>,
    update: u64,
    rows: Range<usize>,
    levels: impl Iterator<Item = NoiseLevel>,
    device: &Device,
) -> Result<Noised, Error> {
    let (data, settings) = (rules.data, rules.settings);
    let stream = NoiseStream::new(settings.seed, streams::TRAINING + update);
    let (count, features) = (rows.len(), data.sample_size());
    let (mut x, mut classes) = (Vec::with_capacity(count * features), Vec::with_capacity(count));
    let mut eps = vec![0.0_f32; features];
    for (row, level) in rows.zip(levels) {
        let [sample_bits, label_bits, ..] = stream.bits(row as u32, 0);
        let sample = (streams::unit(sample_bits) * data.len() as f64) as usize;
        stream.fill(row as u32, &mut eps);
        let Noising { signal, noise } = Noising::jump(level);
        x.extend(data.sample(sample).iter().zip(&eps).map(|(x0, eps)| signal as f32 * x0 + noise as f32 * eps));
        classes.push(match &data.labels {
            Some(labels) if streams::unit(label_bits) >= settings.label_dropout => labels[sample],
            _ => data.classes as u32,
        });
    }
    Ok(Noised { x: Tensor::from_vec(x, (count, features), device)?, classes })
}
