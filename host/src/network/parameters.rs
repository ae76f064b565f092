//! Named weights, in a fixed order.

use crate::streams;
use candle_core::{Device, Result, Tensor, Var};
use tweedie_core::noise::NoiseStream;

/// Where a network finds its weights by name.
pub trait Weights: Send + Sync {
    /// The weight of that name.
    fn get(&self, name: &str) -> Result<&Tensor>;
}

/// Trainable weights: each a candle variable, in the order of their creation.
#[derive(Debug, Default)]
pub struct Parameters {
    entries: Vec<(String, Var)>,
}

impl Parameters {
    /// The variables with their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Var)> {
        self.entries.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// How many numbers all weights hold together.
    pub fn count(&self) -> usize {
        self.entries.iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// Draws initial weights, the same for a seed on every machine, by the last part of each name: `weight` and `bias`
    /// uniform in `+-1/sqrt(inputs)`, `scale` one, `shift` zero, everything else (tables) standard normal.
    pub fn initialise(list: &[(String, Vec<usize>)], seed: u64, device: &Device) -> Result<Self> {
        let mut parameters = Self::default();
        // A bias follows its weight, whose second dimension counts the inputs.
        let mut bound = 0.0;
        for (index, (name, shape)) in list.iter().enumerate() {
            let noise = NoiseStream::new(seed, streams::WEIGHTS + index as u64);
            let mut values = vec![0.0_f32; shape.iter().product()];
            match name.rsplit('.').next() {
                Some(kind @ ("weight" | "bias")) => {
                    if kind == "weight" {
                        bound = 1.0 / (shape[1..].iter().product::<usize>() as f64).sqrt();
                    }
                    for (block, chunk) in values.chunks_mut(4).enumerate() {
                        for (value, bits) in chunk.iter_mut().zip(noise.bits(0, block as u64)) {
                            *value = ((2.0 * streams::unit(bits) - 1.0) * bound) as f32;
                        }
                    }
                }
                Some("scale") => values.fill(1.0),
                Some("shift") => {}
                _ => noise.fill(0, &mut values),
            }
            parameters.insert(name, Tensor::from_vec(values, shape.as_slice(), device)?)?;
        }
        Ok(parameters)
    }

    /// Adds a variable with given contents.
    pub fn insert(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        self.entries.push((name.to_owned(), Var::from_tensor(&tensor)?));
        Ok(())
    }
}

impl Weights for Parameters {
    fn get(&self, name: &str) -> Result<&Tensor> {
        match self.entries.iter().find(|(own, _)| own == name) {
            Some((_, var)) => Ok(var.as_tensor()),
            None => candle_core::bail!("the network has no weight called {name}"),
        }
    }
}

/// Weights that are only read, as after loading a model.
#[derive(Clone, Debug, Default)]
pub struct FrozenWeights {
    entries: Vec<(String, Tensor)>,
}

impl FrozenWeights {
    /// Weights with their names.
    pub fn new(entries: Vec<(String, Tensor)>) -> Self {
        Self { entries }
    }

    /// The weights with their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

impl Weights for FrozenWeights {
    fn get(&self, name: &str) -> Result<&Tensor> {
        match self.entries.iter().find(|(own, _)| own == name) {
            Some((_, tensor)) => Ok(tensor),
            None => candle_core::bail!("the model has no weight called {name}"),
        }
    }
}
