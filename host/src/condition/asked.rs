//! What a person asks a model to draw: prompts, or numbers.

use super::freeze::freeze;
use crate::checkpoint::Model;
use crate::data::conditions::{self, Example, VectorDescription, VectorKind};
use crate::error::Error;
use crate::run_folder::RunFolder;
use crate::text::Encoder;
use candle_core::Device;
use clap::Args;
use std::path::{Path, PathBuf};

/// Conditions on the command line; each becomes a class of the model, in the order given.
#[derive(Args, Clone, Debug, Default)]
pub struct Asked {
    /// What to draw, in words; may be given several times (models trained with captions)
    #[arg(long, value_name = "TEXT")]
    pub prompt: Vec<String>,
    /// What to draw, in numbers in the units of the training's conditions; may be given several times (models trained with vectors)
    #[arg(long, value_name = "V1,V2,...", allow_hyphen_values = true)]
    pub condition: Vec<Numbers>,
    /// The same from the rows of an array [k, c]
    #[arg(long, value_name = "FILE.npy")]
    pub conditions: Option<PathBuf>,
}

/// Numbers with commas between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers(pub Vec<f32>);

impl std::str::FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
        match numbers {
            Ok(numbers) if numbers.iter().all(|number| number.is_finite()) => Ok(Self(numbers)),
            _ => Err("write numbers with commas between them, as in 0.5,-1".to_owned()),
        }
    }
}

impl Asked {
    /// Whether nothing in particular is asked for.
    pub fn is_empty(&self) -> bool {
        self.prompt.is_empty() && self.condition.is_empty() && self.conditions.is_none()
    }

    /// The model of a run folder. One that is told vectors is frozen to those asked for, or to its own examples.
    ///
    /// # Errors
    /// A folder without a model; prompts or numbers that the model does not take.
    pub fn load(&self, run: &Path, device: &Device) -> Result<Model, Error> {
        let model = Model::load(&RunFolder::trained_model(run)?, device)?;
        let Some(vectors) = &model.description.vectors else {
            let refuse = |flag: &str| {
                Err(Error::Argument(format!("{flag}: this model was trained without captions or vectors")))
            };
            return match (self.prompt.is_empty(), self.condition.is_empty(), &self.conditions) {
                (false, ..) => refuse("--prompt"),
                (_, false, _) => refuse("--condition"),
                (.., Some(_)) => refuse("--conditions"),
                _ => Ok(model),
            };
        };
        let examples = if self.is_empty() { vectors.examples.clone() } else { self.examples(vectors, run)? };
        freeze(model, &examples)
    }

    /// The model of a run folder as it is compared with its data: frozen to its examples where they stand for the data's classes, else
    /// unconditional.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub fn load_for_judging(run: &Path, device: &Device) -> Result<Model, Error> {
        let model = Model::load(&RunFolder::trained_model(run)?, device)?;
        let Some(vectors) = &model.description.vectors else { return Ok(model) };
        let examples = if vectors.by_class { vectors.examples.clone() } else { Vec::new() };
        freeze(model, &examples)
    }

    fn examples(&self, vectors: &VectorDescription, run: &Path) -> Result<Vec<Example>, Error> {
        let width = vectors.width();
        let fits = |flag: &str, numbers: usize| match numbers == width {
            true => Ok(()),
            false => Err(Error::Argument(format!("{flag}: {numbers} numbers, where the model is told {width}"))),
        };
        match vectors.kind {
            VectorKind::Text if !self.condition.is_empty() || self.conditions.is_some() => {
                Err(Error::Argument("this model was trained with captions: say what to draw with --prompt".to_owned()))
            }
            VectorKind::Text => Encoder::load(&RunFolder::text_in(run))?.examples(&self.prompt),
            VectorKind::Numbers if !self.prompt.is_empty() => Err(Error::Argument(
                "--prompt: this model was trained with vectors: say what to draw with --condition".to_owned(),
            )),
            VectorKind::Numbers => {
                let mut examples = Vec::new();
                for Numbers(numbers) in &self.condition {
                    fits("--condition", numbers.len())?;
                    examples.push(vectors.example(numbers));
                }
                if let Some(file) = &self.conditions {
                    let (own, numbers) = conditions::rows(file)?;
                    fits("--conditions", own)?;
                    examples.extend(numbers.chunks_exact(width).map(|row| vectors.example(row)));
                }
                Ok(examples)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_between_commas() {
        assert_eq!("0.5, -1,2e3".parse::<Numbers>().unwrap(), Numbers(vec![0.5, -1.0, 2000.0]));
        for text in ["", "1,", "a", "nan", "1;2"] {
            assert!(text.parse::<Numbers>().is_err(), "{text}");
        }
    }
}
