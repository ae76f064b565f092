//! Contrastive training: in a batch of pairs every caption has to find its sample among all, and every sample its caption (InfoNCE in both
//! directions; van den Oord et al. 2018; CLIP, Radford et al. 2021).
//!
//! ```text
//! logits = scale samples texts^T                                      [batch, batch]
//! loss   = (mean_i -ln softmax(row i)[i] + mean_i -ln softmax(column i)[i]) / 2
//! ```
//!
//! At its least the similarity of a text and a sample is `ln p(text, sample) / (p(text) p(sample))` and a constant: captions that are said of the
//! same samples become the same vector, however they are worded.

use super::captions::Captions;
use super::encoder::{Encoder, of_samples, of_texts, shares, weights};
use crate::data::Dataset;
use crate::error::Error;
use crate::network::parameters::FrozenWeights;
use crate::network::{Parameters, Weights};
use crate::optimiser::{AdamW, OptimiserState};
use crate::streams;
use crate::train::gradients;
use candle_core::{Device, Result, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use tweedie_core::noise::NoiseStream;

/// Weight updates.
pub const UPDATES: u64 = 500;

const BATCH: usize = 256;
const LEARNING_RATE: f64 = 2e-3;
const WARM_UP: f64 = 50.0;
const OPTIMISER: AdamW =
    AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.05, gradient_clip: 1.0, ema: 0.99 };
/// Standard deviation of the strongest noise on samples, without which the towers would learn the training's samples by heart.
const MOST_NOISE: f64 = 0.5;
/// The similarity's first scale and its largest, as in CLIP: the inverse of the temperature.
const FIRST_SCALE: f64 = 1.0 / 0.07;
const MOST_SCALE: f64 = 100.0;

/// Trains the towers on samples with their captions; `watch` is told of the updates made, out of `updates`. The same seed gives the same bits on
/// one machine.
///
/// # Errors
/// The tensor library's.
pub fn train(
    data: &Dataset,
    captions: &Captions,
    seed: u64,
    updates: u64,
    mut watch: impl FnMut(u64),
) -> std::result::Result<Encoder, Error> {
    // Apart from the weights of the network that is trained by the same seed.
    let parameters = Parameters::initialise(&weights(data.sample_size()), seed ^ streams::CAPTIONS, &Device::Cpu)?;
    let mut state = OptimiserState::new(&parameters)?;
    for update in 0..updates {
        let Pairs { samples, texts, text_of } = Pairs::of(data, captions, seed, update)?;
        let (loss, gradients) = gradients(&parameters, vec![()], None, |()| {
            let texts = of_texts(&parameters, &texts)?.index_select(&text_of, 0)?;
            Ok(loss(&of_samples(&parameters, &samples)?, &texts, parameters.get("similarity.shift")?)?)
        })?;
        if loss.is_known_lost() {
            return Err(Error::Diverged { step: update + 1 });
        }
        let falling = 0.5 * (1.0 + (std::f64::consts::PI * update as f64 / updates as f64).cos());
        let rate = LEARNING_RATE * ((update + 1) as f64 / WARM_UP).min(1.0) * falling;
        OPTIMISER.update(&parameters, &gradients, &mut state, rate)?;
        watch(update + 1);
    }
    let averages = parameters.iter().zip(state.slots).map(|((name, _), slot)| (name.to_owned(), slot.average));
    Ok(Encoder::new(data.sample_size(), FrozenWeights::new(averages.collect())))
}

/// A batch: samples drawn with replacement, under noise of a strength of their own, and one caption for each.
struct Pairs {
    /// `[batch, features]`.
    samples: Tensor,
    /// The shares of the distinct captions' tokens, `[captions, BUCKETS]`.
    texts: Tensor,
    /// Which of them is said of each sample: u32, `[batch]`.
    text_of: Tensor,
}

impl Pairs {
    fn of(data: &Dataset, captions: &Captions, seed: u64, update: u64) -> Result<Self> {
        let stream = NoiseStream::new(seed, streams::CAPTIONS + update);
        let mut noise = vec![0.0_f32; data.sample_size()];
        let (mut samples, mut said) = (Vec::with_capacity(BATCH * noise.len()), Vec::with_capacity(BATCH));
        for row in 0..BATCH {
            let [which, choice, strength, _] = stream.bits(row as u32, 0).map(streams::unit);
            let sample = (which * data.len() as f64) as usize;
            let choices = &captions.choices[sample];
            said.push(choices[(choice * choices.len() as f64) as usize]);
            stream.fill(row as u32, &mut noise);
            let strength = (MOST_NOISE * strength) as f32;
            samples.extend(data.sample(sample).iter().zip(&noise).map(|(x, z)| x + strength * z));
        }
        let distinct: BTreeSet<u32> = said.iter().copied().collect();
        let places: BTreeMap<u32, u32> = distinct.iter().copied().zip(0..).collect();
        let text_of: Vec<u32> = said.iter().map(|text| places[text]).collect();
        let texts: Vec<&str> = distinct.iter().map(|&text| captions.texts[text as usize].as_str()).collect();
        Ok(Self {
            samples: Tensor::from_vec(samples, (BATCH, noise.len()), &Device::Cpu)?,
            texts: shares(texts.into_iter())?,
            text_of: Tensor::from_vec(text_of, BATCH, &Device::Cpu)?,
        })
    }
}

/// The loss of unit vectors `[batch, WIDTH]`, row `i` of one belonging to row `i` of the other.
fn loss(samples: &Tensor, texts: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let scale = (shift + FIRST_SCALE.ln())?.exp()?.minimum(MOST_SCALE)?;
    let logits = samples.matmul(&texts.t()?)?.broadcast_mul(&scale)?;
    let paired = (samples * texts)?.sum(1)?.broadcast_mul(&scale)?;
    let missed = (logits.log_sum_exp(1)? + logits.log_sum_exp(0)?)?;
    ((missed * 0.5)? - paired)?.mean_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(rows: &[[f32; 2]; 2]) -> Tensor {
        Tensor::new(rows, &Device::Cpu).unwrap()
    }

    #[test]
    fn the_loss_is_the_mean_of_both_directions() {
        let (samples, texts) = (tensor(&[[1.0, 0.0], [0.0, 1.0]]), tensor(&[[0.6, 0.8], [0.0, 1.0]]));
        let shift = Tensor::new(&[-FIRST_SCALE.ln() as f32 + 2.0_f32.ln()], &Device::Cpu).unwrap();
        // Similarities times 2: rows (1.2, 0), (1.6, 2).
        let cross = |own: f64, other: f64| (own.exp() + other.exp()).ln() - own;
        let by_sample = (cross(1.2, 0.0) + cross(2.0, 1.6)) / 2.0;
        let by_text = (cross(1.2, 1.6) + cross(2.0, 0.0)) / 2.0;
        let own = f64::from(loss(&samples, &texts, &shift).unwrap().to_scalar::<f32>().unwrap());
        assert!((own - (by_sample + by_text) / 2.0).abs() < 1e-6, "{own}");
    }

    #[test]
    fn the_scale_has_a_limit() {
        let rows = tensor(&[[1.0, 0.0], [0.0, 1.0]]);
        let of = |shift: f32| {
            let shift = Tensor::new(&[shift], &Device::Cpu).unwrap();
            loss(&rows, &tensor(&[[0.0, 1.0], [1.0, 0.0]]), &shift).unwrap().to_scalar::<f32>().unwrap()
        };
        // All pairs are wrong: each costs the scale.
        assert!((of(50.0) - 100.0).abs() < 1e-3 && (of(0.0) - FIRST_SCALE as f32).abs() < 1e-3);
    }

    #[test]
    fn threads_change_no_bit() {
        let data = Dataset::digits().unwrap();
        let captions = Captions::of(&crate::condition::Source::Templates, &data).unwrap().unwrap();
        let by = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let encoder = pool.install(|| train(&data, &captions, 3, 3, |_| {})).unwrap();
            encoder.texts(&["seven"]).unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(by(1), by(3));
    }
}
