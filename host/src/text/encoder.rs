//! Two towers that meet in one space: a text and a sample that belong together are unit vectors of nearly one direction.
//!
//! ```text
//! text   = unit(W_2 silu(W_1 mean over tokens of table[token]))
//! sample = unit(V_2 silu(V_1 x_0))
//! ```

use super::captions::Captions;
use super::tokens::{BUCKETS, tokens};
use crate::checkpoint::{StoredFile, write};
use crate::data::Scaling;
use crate::data::conditions::{Conditions, Example, VectorDescription, VectorKind};
use crate::error::Error;
use crate::network::Weights;
use crate::network::parameters::FrozenWeights;
use crate::operators::{Activation, linear};
use candle_core::{D, Device, Result, Tensor};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Numbers in a unit vector.
pub const WIDTH: usize = 32;
/// Numbers in a token's row of the table.
const EMBEDDING: usize = 64;
/// Width of the text's hidden layer.
const TEXT_HIDDEN: usize = 128;
/// Width of the sample's hidden layer.
const SAMPLE_HIDDEN: usize = 256;

/// A trained pair of towers.
#[derive(Clone, Debug)]
pub struct Encoder {
    features: usize,
    weights: FrozenWeights,
}

/// What is stored beside the weights.
#[derive(Serialize, Deserialize)]
struct Metadata {
    format: String,
    features: usize,
}

const FORMAT: &str = "text encoder 1";

/// The name and shape of every weight for samples of `features` numbers.
pub(super) fn weights(features: usize) -> Vec<(String, Vec<usize>)> {
    let mut list = vec![("text.token".to_owned(), vec![BUCKETS, EMBEDDING])];
    for (name, inputs, outputs) in [
        ("text.hidden", EMBEDDING, TEXT_HIDDEN),
        ("text.output", TEXT_HIDDEN, WIDTH),
        ("sample.hidden", features, SAMPLE_HIDDEN),
        ("sample.output", SAMPLE_HIDDEN, WIDTH),
    ] {
        list.push((format!("{name}.weight"), vec![outputs, inputs]));
        list.push((format!("{name}.bias"), vec![outputs]));
    }
    // The logarithm of the similarity's scale, from its first value.
    list.push(("similarity.shift".to_owned(), vec![1]));
    list
}

/// The share of each token in each text, `[texts, BUCKETS]`: their product with the table is the mean of its rows.
pub(super) fn shares<'a>(texts: impl ExactSizeIterator<Item = &'a str>) -> Result<Tensor> {
    let count = texts.len();
    let mut shares = vec![0.0_f32; count * BUCKETS];
    for (text, row) in texts.zip(shares.chunks_exact_mut(BUCKETS)) {
        let tokens = tokens(text);
        for &token in &tokens {
            row[token as usize] = 1.0 / tokens.len() as f32;
        }
    }
    Tensor::from_vec(shares, (count, BUCKETS), &Device::Cpu)
}

/// The unit vectors of texts given as their [`shares`], `[texts, WIDTH]`.
pub(super) fn of_texts(weights: &dyn Weights, shares: &Tensor) -> Result<Tensor> {
    tower(weights, "text", &shares.matmul(weights.get("text.token")?)?)
}

/// The unit vectors of samples `[samples, features]`, `[samples, WIDTH]`.
pub(super) fn of_samples(weights: &dyn Weights, samples: &Tensor) -> Result<Tensor> {
    tower(weights, "sample", samples)
}

fn tower(weights: &dyn Weights, name: &str, x: &Tensor) -> Result<Tensor> {
    let layer = |part: &str, x: &Tensor, activation| {
        let weight = |kind: &str| weights.get(&format!("{name}.{part}.{kind}"));
        linear(x, weight("weight")?, weight("bias")?, activation)
    };
    let output = layer("output", &layer("hidden", x, Activation::Silu)?, Activation::None)?;
    let norm = (output.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
    output.broadcast_div(&norm)
}

impl Encoder {
    pub(super) fn new(features: usize, weights: FrozenWeights) -> Self {
        Self { features, weights }
    }

    /// The unit vectors of texts, `[texts.len(), WIDTH]`.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn texts<S: AsRef<str>>(&self, texts: &[S]) -> std::result::Result<Vec<f32>, Error> {
        let shares = shares(texts.iter().map(AsRef::as_ref))?;
        Ok(of_texts(&self.weights, &shares)?.flatten_all()?.to_vec1()?)
    }

    /// The unit vectors of samples, `[samples, WIDTH]`, from `[samples, features]` in the network's range.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn samples(&self, samples: &[f32]) -> std::result::Result<Vec<f32>, Error> {
        let samples = Tensor::from_slice(samples, (samples.len() / self.features, self.features), &Device::Cpu)?;
        Ok(of_samples(&self.weights, &samples)?.flatten_all()?.to_vec1()?)
    }

    /// Prompts with their vectors.
    ///
    /// # Errors
    /// A prompt without a word.
    pub fn examples<S: AsRef<str>>(&self, prompts: &[S]) -> std::result::Result<Vec<Example>, Error> {
        if let Some(prompt) = prompts.iter().find(|prompt| tokens(prompt.as_ref()).is_empty()) {
            return Err(Error::Argument(format!("--prompt {:?}: there is no word in it", prompt.as_ref())));
        }
        let vectors = self.texts(prompts)?;
        let vectors = vectors.chunks_exact(WIDTH).map(<[f32]>::to_vec);
        Ok(prompts
            .iter()
            .zip(vectors)
            .map(|(name, vector)| Example { name: name.as_ref().to_owned(), vector })
            .collect())
    }

    /// What a network is told of samples that captions describe.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn conditions(&self, captions: &Captions) -> std::result::Result<Conditions, Error> {
        let examples: Vec<&str> =
            captions.examples.iter().map(|&text| captions.texts[text as usize].as_str()).collect();
        let description = VectorDescription {
            kind: VectorKind::Text,
            units: vec![Scaling::IDENTITY; WIDTH],
            examples: self.examples(&examples)?,
            by_class: captions.by_class,
        };
        Ok(Conditions { description, vectors: self.texts(&captions.texts)?, choices: captions.choices.clone() })
    }

    /// Writes `text.safetensors`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: &Path) -> std::result::Result<(), Error> {
        let entries: Vec<(String, &Tensor)> = self.weights.iter().map(|(name, t)| (name.to_owned(), t)).collect();
        write(path, &entries, &Metadata { format: FORMAT.to_owned(), features: self.features })
    }

    /// Reads it back.
    ///
    /// # Errors
    /// A file that is missing, damaged, or something else.
    pub fn load(path: &Path) -> std::result::Result<Self, Error> {
        let file = StoredFile::read(path)?;
        let Metadata { format, features } = file.metadata(path)?;
        if format != FORMAT {
            let reason = "it is no text encoder of this version of Tweedie".to_owned();
            return Err(Error::Model { path: path.to_owned(), reason });
        }
        let mut entries = Vec::new();
        for (name, shape) in weights(features) {
            entries.push((name.clone(), file.tensor(path, &name, &shape, &Device::Cpu)?));
        }
        Ok(Self::new(features, FrozenWeights::new(entries)))
    }
}
