//! The judge: a small classifier of real data, whose opinion and whose features the scores use.
//!
//! ```text
//! detail  = silu(W_1 x)          close to the pixels: tells copies from mere likeness
//! feature = silu(W_2 detail)     what classes differ in: for Frechet distances, precision and recall
//! output  = W_3 feature          about the class's one-hot vector
//! ```
//!
//! It learns from real training rows under noise of every strength up to [`MOST_NOISE`], by the squared error to one-hot vectors (the Brier
//! score, a proper one). It never sees a sample, and no training or distillation sees it; `tests/tests/walls.rs` holds the latter.
//! The same rows give the same bits on one machine, whatever its number of threads.

pub mod cache;

use crate::data::Dataset;
use crate::error::Error;
use crate::network::parameters::FrozenWeights;
use crate::network::{Parameters, Weights};
use crate::operators::{Activation, add_in_place, linear, weighted_mean_squared_error};
use crate::optimiser::{AdamW, OptimiserState};
use crate::streams;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use tweedie_core::noise::NoiseStream;

/// Width of the first layer.
pub const DETAILS: usize = 512;
/// Width of the last hidden layer.
pub const FEATURES: usize = 64;
/// Standard deviation of the strongest noise that it learns under.
pub const MOST_NOISE: f64 = 0.8;
/// Weight updates of its training.
pub const UPDATES: u64 = 1500;

const BATCH: usize = 256;
const LEARNING_RATE: f64 = 2e-3;
const WARM_UP: f64 = 100.0;
const SEED: u64 = 0x6a_7564_6765;
const OPTIMISER: AdamW =
    AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.05, gradient_clip: 1.0, ema: 0.995 };
/// Rows of a batch that one thread works on, and of a judgement: always so many, so that sums are made in one order.
const ROWS: usize = 128;

/// A trained judge.
#[derive(Clone, Debug)]
pub struct Classifier {
    weights: FrozenWeights,
    classes: usize,
    key: String,
}

/// What the judge makes of rows, all in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opinions {
    /// The likeliest class of each, `[n]`.
    pub classes: Vec<u32>,
    /// `[n, FEATURES]`.
    pub features: Vec<f32>,
    /// `[n, DETAILS]`.
    pub details: Vec<f32>,
}

/// Name and shape of every weight of a judge of rows of `width` numbers.
fn weights(width: usize, classes: usize) -> Vec<(String, Vec<usize>)> {
    let layers = [("detail", width, DETAILS), ("feature", DETAILS, FEATURES), ("output", FEATURES, classes)];
    let of_layer = |(name, inputs, outputs): (&str, usize, usize)| {
        [(format!("{name}.weight"), vec![outputs, inputs]), (format!("{name}.bias"), vec![outputs])]
    };
    layers.into_iter().flat_map(of_layer).collect()
}

/// Details, features and outputs of a batch of rows.
fn forward(weights: &dyn Weights, rows: &Tensor) -> candle_core::Result<[Tensor; 3]> {
    let layer = |name: &str, x: &Tensor, activation| {
        linear(x, weights.get(&format!("{name}.weight"))?, weights.get(&format!("{name}.bias"))?, activation)
    };
    let details = layer("detail", rows, Activation::Silu)?;
    let features = layer("feature", &details, Activation::Silu)?;
    let outputs = layer("output", &features, Activation::None)?;
    Ok([details, features, outputs])
}

impl Classifier {
    /// Trains a judge of `data`; `watch` is told of the updates made, out of [`UPDATES`].
    ///
    /// # Errors
    /// [`Error::Argument`] for data without classes.
    pub fn train(data: &Dataset, mut watch: impl FnMut(u64)) -> Result<Self, Error> {
        let Some(labels) = &data.labels else {
            return Err(Error::Argument(format!("{}: a judge needs data with classes", data.name)));
        };
        let parameters = Parameters::initialise(&weights(data.sample_size(), data.classes), SEED, &Device::Cpu)?;
        let mut state = OptimiserState::new(&parameters)?;
        for update in 0..UPDATES {
            let parts: Vec<usize> = (0..BATCH).step_by(ROWS).collect();
            let gradients = parts.into_par_iter().map(|first| gradients(&parameters, data, labels, update, first));
            let mut gradients = gradients.collect::<Result<Vec<_>, Error>>()?.into_iter();
            let mut sum = gradients.next().unwrap_or_default();
            for part in gradients {
                sum.iter_mut().zip(&part).try_for_each(|(sum, part)| add_in_place(sum, part))?;
            }
            let falling = 0.5 * (1.0 + (std::f64::consts::PI * update as f64 / UPDATES as f64).cos());
            let rate = LEARNING_RATE * ((update + 1) as f64 / WARM_UP).min(1.0) * falling;
            OPTIMISER.update(&parameters, &sum, &mut state, rate)?;
            watch(update + 1);
        }
        let averages = parameters.iter().zip(state.slots).map(|((name, _), slot)| (name.to_owned(), slot.average));
        Ok(Self { weights: FrozenWeights::new(averages.collect()), classes: data.classes, key: cache::key(data) })
    }

    /// SHA-256 of the training rows and the recipe, in hexadecimal.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The number of weights.
    pub fn parameters(&self) -> usize {
        self.weights.iter().map(|(_, weight)| weight.elem_count()).sum()
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What the judge makes of rows `[n, width]`, in the network's range.
    ///
    /// # Errors
    /// Rows of another width than those it was trained on.
    pub fn opinions(&self, rows: &[f32], width: usize) -> Result<Opinions, Error> {
        let parts = rows.par_chunks(ROWS * width).map(|part| -> Result<Opinions, Error> {
            let batch = Tensor::from_slice(part, (part.len() / width, width), &Device::Cpu)?;
            let [details, features, outputs] = forward(&self.weights, &batch)?;
            Ok(Opinions {
                classes: outputs.argmax(1)?.to_vec1()?,
                features: features.flatten_all()?.to_vec1()?,
                details: details.flatten_all()?.to_vec1()?,
            })
        });
        let mut all = Opinions::default();
        for part in parts.collect::<Result<Vec<_>, Error>>()? {
            all.classes.extend(part.classes);
            all.features.extend(part.features);
            all.details.extend(part.details);
        }
        Ok(all)
    }
}

/// The gradient from rows `first ..` of an update's batch, by every weight. A row is drawn with replacement; its noise has a strength of its own.
fn gradients(
    parameters: &Parameters,
    data: &Dataset,
    labels: &[u32],
    update: u64,
    first: usize,
) -> Result<Vec<Tensor>, Error> {
    let (width, classes) = (data.sample_size(), data.classes);
    let stream = NoiseStream::new(SEED, streams::TRAINING + update);
    let mut noise = vec![0.0_f32; width];
    let (mut rows, mut targets) = (Vec::with_capacity(ROWS * width), vec![0.0_f32; ROWS * classes]);
    for (row, target) in (first..first + ROWS).zip(targets.chunks_exact_mut(classes)) {
        let [which, strength, ..] = stream.bits(0, row as u64).map(streams::unit);
        let index = (which * data.len() as f64) as usize;
        // Bits and normal numbers of one draw are apart; each row has a draw of its own.
        stream.fill(row as u32, &mut noise);
        let strength = (MOST_NOISE * strength) as f32;
        rows.extend(data.sample(index).iter().zip(&noise).map(|(x, z)| x + strength * z));
        target[labels[index] as usize] = 1.0;
    }
    let rows = Tensor::from_vec(rows, (ROWS, width), &Device::Cpu)?;
    let targets = Tensor::from_vec(targets, (ROWS, classes), &Device::Cpu)?;
    let weights = Tensor::ones(ROWS, candle_core::DType::F32, &Device::Cpu)?;
    let [_, _, outputs] = forward(parameters, &rows)?;
    let loss = weighted_mean_squared_error(&outputs, &targets, &weights, 1.0 / (BATCH * classes) as f64)?;
    let gradients = loss.backward()?;
    let of = |(_, var): (&str, &candle_core::Var)| match gradients.get(var.as_tensor()) {
        Some(gradient) => gradient.contiguous(),
        None => var.zeros_like(),
    };
    Ok(parameters.iter().map(of).collect::<candle_core::Result<_>>()?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::OnceLock;

    /// The digits' judge, trained once for all tests.
    pub(in crate::judge) fn judge() -> &'static Classifier {
        static JUDGE: OnceLock<Classifier> = OnceLock::new();
        JUDGE.get_or_init(|| Classifier::train(&Dataset::digits().unwrap(), |_| {}).unwrap())
    }

    #[test]
    fn held_out_digits_are_named_rightly() {
        let held_out = Dataset::digits_held_out().unwrap();
        let opinions = judge().opinions(&held_out.samples, 64).unwrap();
        let labels = held_out.labels.unwrap();
        let right = opinions.classes.iter().zip(&labels).filter(|(a, b)| a == b).count();
        assert!(right as f64 >= 0.96 * labels.len() as f64, "{right} of {}", labels.len());
        assert_eq!(opinions.features.len(), 450 * FEATURES);
        assert_eq!(opinions.details.len(), 450 * DETAILS);
    }

    #[test]
    fn threads_change_no_bit() {
        let mut data = Dataset::digits().unwrap();
        data.samples.truncate(64 * 200);
        data.labels.as_mut().unwrap().truncate(200);
        let parameters = Parameters::initialise(&weights(64, 10), SEED, &Device::Cpu).unwrap();
        let labels = data.labels.clone().unwrap();
        let by = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let gradients = pool.install(|| gradients(&parameters, &data, &labels, 7, 128)).unwrap();
            let opinions = pool.install(|| judge().opinions(&data.samples, 64)).unwrap();
            let bits = gradients.iter().flat_map(|g| g.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            (bits.map(f32::to_bits).collect::<Vec<_>>(), opinions)
        };
        assert!(by(1) == by(3));
    }

    #[test]
    fn data_without_classes_are_refused() {
        let mut data = Dataset::digits().unwrap();
        (data.labels, data.classes) = (None, 0);
        let sentence = Classifier::train(&data, |_| {}).unwrap_err().to_string();
        assert_eq!(sentence, "digits: a judge needs data with classes");
    }
}
