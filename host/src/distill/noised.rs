//! Real data at the noise levels of a lesson.

use super::Rules;
use crate::data::Dataset;
use crate::error::Error;
use crate::noise::NoiseRows;
use crate::resident::{Mix, Resident};
use crate::streams;
use candle_core::{Device, Tensor};
use std::ops::Range;
use std::sync::OnceLock;
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

/// Noises a sample drawn for each row to a level of its own. On a device other than the CPU the data are there already, in `resident`.
///
/// # Errors
/// The tensor library's.
pub fn noised(
    rules: &Rules<'_>,
    resident: &OnceLock<Resident>,
    update: u64,
    rows: Range<usize>,
    levels: impl Iterator<Item = NoiseLevel>,
    device: &Device,
) -> Result<Noised, Error> {
    let (data, settings) = (rules.data, rules.settings);
    let stream = NoiseStream::new(settings.seed, streams::TRAINING + update);
    let (mut samples, mut classes) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows.clone() {
        let [sample_bits, label_bits, ..] = stream.bits(row as u32, 0);
        let sample = (streams::unit(sample_bits) * data.len() as f64) as usize;
        samples.push(sample as u32);
        classes.push(match &data.labels {
            Some(labels) if streams::unit(label_bits) >= settings.label_dropout => labels[sample],
            _ => data.classes as u32,
        });
    }
    let factors: Vec<(f32, f32)> = levels
        .map(|level| {
            let Noising { signal, noise } = Noising::jump(level);
            (signal as f32, noise as f32)
        })
        .collect();
    let x = match device.is_cpu() {
        true => here(data, &stream, rows, &samples, &factors)?,
        false => {
            let noise = NoiseRows::of_draws(settings.seed, streams::TRAINING + update, rows.start as u32);
            there(Resident::once(resident, data, device)?, noise, &samples, &factors)?
        }
    };
    Ok(Noised { x, classes })
}

/// `signal x_0 + noise eps` of every row, on the CPU.
fn here(
    data: &Dataset,
    stream: &NoiseStream,
    rows: Range<usize>,
    samples: &[u32],
    factors: &[(f32, f32)],
) -> Result<Tensor, Error> {
    let (count, features) = (rows.len(), data.sample_size());
    let mut x = Vec::with_capacity(count * features);
    let mut eps = vec![0.0_f32; features];
    for ((row, &sample), (signal, noise)) in rows.zip(samples).zip(factors) {
        stream.fill(row as u32, &mut eps);
        x.extend(data.sample(sample as usize).iter().zip(&eps).map(|(x0, eps)| signal * x0 + noise * eps));
    }
    Ok(Tensor::from_vec(x, (count, features), &Device::Cpu)?)
}

/// The same where the data are.
fn there(resident: &Resident, noise: NoiseRows, samples: &[u32], factors: &[(f32, f32)]) -> Result<Tensor, Error> {
    let mix = Mix {
        signal: factors.iter().map(|(signal, _)| *signal).collect(),
        noise: factors.iter().map(|(_, noise)| *noise).collect(),
    };
    let mut mixed = resident.noised(samples, noise, &[mix])?;
    Ok(mixed.swap_remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_on_a_device_give_the_same_bits() {
        let data = Dataset::digits().unwrap();
        let (samples, factors) = ([3, 700, 3], [(0.6, 0.8), (1.0, 0.0), (0.1, 2.5)]);
        let here = here(&data, &NoiseStream::new(4, 9), 5..8, &samples, &factors).unwrap();
        let resident = Resident::new(&data, &Device::Cpu).unwrap();
        let there = there(&resident, NoiseRows::of_draws(4, 9, 5), &samples, &factors).unwrap();
        assert_eq!(here.to_vec2::<f32>().unwrap(), there.to_vec2::<f32>().unwrap());
    }
}
