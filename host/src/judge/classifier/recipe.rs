//! How large a judge is, and how it learns: a small one of anything, and the one of images of 28x28 that MNIST's figures are quoted by.

use crate::optimiser::AdamW;

/// Sizes and training of a judge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Width of the first layer; 0: features come straight from the sample, and copies are not sought by their cosine.
    pub details: usize,
    /// Width of the last hidden layer.
    pub features: usize,
    /// What hidden layers do, and what the outputs are about.
    pub kind: Kind,
    /// Standard deviation of the strongest noise that it learns under.
    pub most_noise: f64,
    /// Weight updates.
    pub updates: u64,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The optimiser.
    pub optimiser: AdamW,
}

/// Activation and loss of a judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SiLU; outputs are about one-hot vectors, by the squared error.
    Brier,
    /// ReLU, over pixels from 0 to 1; outputs are unnormalised logarithms of probabilities, by the cross-entropy.
    CrossEntropy,
}

impl Recipe {
    /// The recipe for samples of a shape.
    pub fn of(shape: &[usize]) -> Self {
        match shape {
            [28, 28] | [1, 28, 28] => Self::IMAGES,
            _ => Self::SMALL,
        }
    }

    /// Anything: two hidden layers, taught under noise.
    const SMALL: Self = Self {
        details: 512,
        features: 64,
        kind: Kind::Brier,
        most_noise: 0.8,
        updates: 1500,
        learning_rate: 2e-3,
        optimiser: OPTIMISER,
    };

    /// MNIST and its kin: 784-128-10, one hidden layer, taught without noise until it names 97 % of MNIST's test images. Distances grow with the
    /// features, so the recipe is a part of their meaning: by this one 1000 training images, 100 of each class, are about 2.2 from the test images.
    const IMAGES: Self = Self {
        details: 0,
        features: 128,
        kind: Kind::CrossEntropy,
        most_noise: 0.0,
        updates: 2400,
        learning_rate: 0.7,
        // Gradients are far smaller than such an epsilon, so that this is plain descent with momentum.
        optimiser: AdamW { epsilon: 1.0, weight_decay: 0.0, ..OPTIMISER },
    };
}

const OPTIMISER: AdamW =
    AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.05, gradient_clip: 1.0, ema: 0.995 };
