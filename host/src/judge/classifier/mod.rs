//! The judge: a small classifier of real data, whose opinion and whose features the scores use.
//!
//! ```text
//! detail  = silu(W_1 x)          close to the pixels: tells copies from mere likeness
//! feature = silu(W_2 detail)     what classes differ in: for Frechet distances, precision and recall
//! output  = W_3 feature          about the class's one-hot vector
//! ```
//!
//! It learns from real training rows under noise of every strength up to a limit, by the squared error to one-hot vectors (the Brier
//! score, a proper one). Of images of 28x28 it is another, by which figures of MNIST are quoted: one hidden layer of 128, ReLU, learnt by
//! cross-entropy and without noise ([`Recipe`]). It never sees a sample, and no training or distillation sees it; `tests/tests/walls.rs` holds the latter.
//! The same rows give the same bits on one machine, whatever its number of threads.

pub mod cache;
pub mod recipe;

use crate::data::Dataset;
use crate::error::Error;
use crate::network::parameters::FrozenWeights;
use crate::network::{Parameters, Weights};
use crate::operators::{Activation, add_in_place, linear, weighted_mean_squared_error};
use crate::optimiser::OptimiserState;
use crate::streams;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use recipe::{Kind, Recipe};
use tweedie_core::noise::NoiseStream;

const BATCH: usize = 256;
const WARM_UP: f64 = 100.0;
const SEED: u64 = 0x6a_7564_6765;
/// Rows of a batch that one thread works on, and of a judgement: always so many, so that sums are made in one order.
const ROWS: usize = 128;

/// A trained judge.
#[derive(Clone, Debug)]
pub struct Classifier {
    recipe: Recipe,
    weights: FrozenWeights,
    classes: usize,
    key: String,
}

/// What the judge makes of rows, all in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opinions {
    /// The likeliest class of each, `[n]`.
    pub classes: Vec<u32>,
    /// The last hidden layer, `[n, Classifier::features]`.
    pub features: Vec<f32>,
    /// The first layer, `[n, Classifier::details]`; empty without one.
    pub details: Vec<f32>,
}

/// Name and shape of every weight of a judge of rows of `width` numbers.
fn weights(recipe: &Recipe, width: usize, classes: usize) -> Vec<(String, Vec<usize>)> {
    let Recipe { details, features, .. } = *recipe;
    let mut layers = vec![("feature", width, features), ("output", features, classes)];
    if details > 0 {
        layers[0].1 = details;
        layers.insert(0, ("detail", width, details));
    }
    let of_layer = |(name, inputs, outputs): (&str, usize, usize)| {
        [(format!("{name}.weight"), vec![outputs, inputs]), (format!("{name}.bias"), vec![outputs])]
    };
    layers.into_iter().flat_map(of_layer).collect()
}

/// Details, if there are any, features and outputs of a batch of rows.
fn forward(
    recipe: &Recipe,
    weights: &dyn Weights,
    rows: &Tensor,
) -> candle_core::Result<(Option<Tensor>, Tensor, Tensor)> {
    let layer = |name: &str, x: &Tensor, activation| {
        linear(x, weights.get(&format!("{name}.weight"))?, weights.get(&format!("{name}.bias"))?, activation)
    };
    let pixels = match recipe.kind {
        Kind::Brier => rows.clone(),
        Kind::CrossEntropy => rows.affine(0.5, 0.5)?,
    };
    let hidden = |name: &str, x: &Tensor| match recipe.kind {
        Kind::Brier => layer(name, x, Activation::Silu),
        Kind::CrossEntropy => layer(name, x, Activation::None)?.relu(),
    };
    let details = (recipe.details > 0).then(|| hidden("detail", &pixels)).transpose()?;
    let features = hidden("feature", details.as_ref().unwrap_or(&pixels))?;
    let outputs = layer("output", &features, Activation::None)?;
    Ok((details, features, outputs))
}

/// A part's share of the batch's loss; `targets` are one-hot, `[rows, classes]`.
fn loss(kind: Kind, outputs: &Tensor, targets: &Tensor) -> candle_core::Result<Tensor> {
    let (rows, classes) = targets.dims2()?;
    match kind {
        Kind::Brier => {
            let weights = Tensor::ones(rows, candle_core::DType::F32, &Device::Cpu)?;
            weighted_mean_squared_error(outputs, targets, &weights, 1.0 / (BATCH * classes) as f64)
        }
        Kind::CrossEntropy => {
            let surprise = (outputs.log_sum_exp(1)?.sum_all()? - (outputs * targets)?.sum_all()?)?;
            surprise.affine(1.0 / BATCH as f64, 0.0)
        }
    }
}

impl Classifier {
    /// Trains a judge of `data`; `watch` is told of the updates made, out of [`Recipe::updates`].
    ///
    /// # Errors
    /// [`Error::Argument`] for data without classes.
    pub fn train(data: &Dataset, mut watch: impl FnMut(u64)) -> Result<Self, Error> {
        let Some(labels) = &data.labels else {
            return Err(Error::Argument(format!("{}: a judge needs data with classes", data.name)));
        };
        let recipe = Recipe::of(&data.shape);
        let list = weights(&recipe, data.sample_size(), data.classes);
        let parameters = Parameters::initialise(&list, SEED, &Device::Cpu)?;
        let mut state = OptimiserState::new(&parameters)?;
        for update in 0..recipe.updates {
            let parts: Vec<usize> = (0..BATCH).step_by(ROWS).collect();
            let gradients =
                parts.into_par_iter().map(|first| gradients(&recipe, &parameters, data, labels, update, first));
            let mut gradients = gradients.collect::<Result<Vec<_>, Error>>()?.into_iter();
            let mut sum = gradients.next().unwrap_or_default();
            for part in gradients {
                sum.iter_mut().zip(&part).try_for_each(|(sum, part)| add_in_place(sum, part))?;
            }
            let falling = 0.5 * (1.0 + (std::f64::consts::PI * update as f64 / recipe.updates as f64).cos());
            let rate = recipe.learning_rate * ((update + 1) as f64 / WARM_UP).min(1.0) * falling;
            recipe.optimiser.update(&parameters, &sum, &mut state, rate)?;
            watch(update + 1);
        }
        let averages = parameters.iter().zip(state.slots).map(|((name, _), slot)| (name.to_owned(), slot.average));
        let weights = FrozenWeights::new(averages.collect());
        Ok(Self { recipe, weights, classes: data.classes, key: cache::key(data) })
    }

    /// SHA-256 of the training rows and the recipe, in hexadecimal.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The number of weights.
    pub fn parameters(&self) -> usize {
        self.weights.iter().map(|(_, weight)| weight.elem_count()).sum()
    }

    /// Width of the last hidden layer.
    pub fn features(&self) -> usize {
        self.recipe.features
    }

    /// Width of the first layer, which tells copies from mere likeness; 0 without one.
    pub fn details(&self) -> usize {
        self.recipe.details
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
            let (details, features, outputs) = forward(&self.recipe, &self.weights, &batch)?;
            Ok(Opinions {
                classes: outputs.argmax(1)?.to_vec1()?,
                features: features.flatten_all()?.to_vec1()?,
                details: details.map_or(Ok(Vec::new()), |details| details.flatten_all()?.to_vec1())?,
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
    recipe: &Recipe,
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
        let strength = (recipe.most_noise * strength) as f32;
        rows.extend(data.sample(index).iter().zip(&noise).map(|(x, z)| x + strength * z));
        target[labels[index] as usize] = 1.0;
    }
    let rows = Tensor::from_vec(rows, (ROWS, width), &Device::Cpu)?;
    let targets = Tensor::from_vec(targets, (ROWS, classes), &Device::Cpu)?;
    let (_, _, outputs) = forward(recipe, parameters, &rows)?;
    let gradients = loss(recipe.kind, &outputs, &targets)?.backward()?;
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
        assert_eq!(opinions.features.len(), 450 * judge().features());
        assert_eq!(opinions.details.len(), 450 * judge().details());
    }

    #[test]
    fn threads_change_no_bit() {
        let mut data = Dataset::digits().unwrap();
        data.samples.truncate(64 * 200);
        data.labels.as_mut().unwrap().truncate(200);
        let parameters = Parameters::initialise(&weights(&judge().recipe, 64, 10), SEED, &Device::Cpu).unwrap();
        let labels = data.labels.clone().unwrap();
        let by = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let gradients = pool.install(|| gradients(&judge().recipe, &parameters, &data, &labels, 7, 128)).unwrap();
            let opinions = pool.install(|| judge().opinions(&data.samples, 64)).unwrap();
            let bits = gradients.iter().flat_map(|g| g.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            (bits.map(f32::to_bits).collect::<Vec<_>>(), opinions)
        };
        assert!(by(1) == by(3));
    }

    /// Images of 28x28 whose class says which half is bright: learnt by the judge of one hidden layer.
    #[test]
    fn images_have_a_judge_of_their_own() {
        let labels: Vec<u32> = (0..60).map(|i| i % 2).collect();
        let mut samples = vec![0.0_f32; 60 * 784];
        NoiseStream::new(1, 0).fill(0, &mut samples);
        for (image, &label) in samples.chunks_exact_mut(784).zip(&labels) {
            image.iter_mut().for_each(|x| *x = (0.1_f32 * *x).clamp(-0.5, 0.5));
            image[392 * label as usize..][..392].iter_mut().for_each(|x| *x += 0.5);
        }
        let shape = vec![28, 28];
        let scaling = crate::data::Scaling::IDENTITY;
        let data = Dataset {
            name: "halves".into(),
            shape,
            samples,
            labels: Some(labels.clone()),
            classes: 2,
            conditions: None,
            scaling,
        };
        let judge = Classifier::train(&data, |_| {}).unwrap();
        assert_eq!((judge.features(), judge.details(), judge.parameters()), (128, 0, 785 * 128 + 129 * 2));
        let opinions = judge.opinions(&data.samples, 784).unwrap();
        assert_eq!(opinions.classes, labels);
        assert!(opinions.features.iter().all(|&feature| feature >= 0.0) && opinions.details.is_empty());
    }

    /// `log(e^1 + e^2 + e^3) - 3` and its gradient, the softmax less one for the class.
    #[test]
    fn cross_entropy_of_numbers_worked_by_hand() {
        let outputs = candle_core::Var::from_slice(&[1.0_f32, 2.0, 3.0], (1, 3), &Device::Cpu).unwrap();
        let targets = Tensor::new(&[[0.0_f32, 0.0, 1.0]], &Device::Cpu).unwrap();
        let loss = loss(Kind::CrossEntropy, &outputs, &targets).unwrap();
        assert!((loss.to_scalar::<f32>().unwrap() * BATCH as f32 - 0.407_605_96).abs() < 1e-5);
        let gradient = loss.backward().unwrap().get(outputs.as_tensor()).unwrap().to_vec2::<f32>().unwrap();
        for (own, expected) in gradient[0].iter().zip([0.090_030_57, 0.244_728_47, -0.334_759_04]) {
            assert!((own * BATCH as f32 - expected).abs() < 1e-5, "{gradient:?}");
        }
    }

    #[test]
    fn data_without_classes_are_refused() {
        let mut data = Dataset::digits().unwrap();
        (data.labels, data.classes) = (None, 0);
        let sentence = Classifier::train(&data, |_| {}).unwrap_err().to_string();
        assert_eq!(sentence, "digits: a judge needs data with classes");
    }
}
