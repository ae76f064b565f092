//! Freezing: vectors become classes.

use crate::checkpoint::{Description, Model};
use crate::data::conditions::Example;
use crate::error::Error;
use crate::network::condition::TABLE;
use crate::network::parameters::FrozenWeights;
use crate::network::{Condition, Weights};

/// The model that knows `examples` as its classes, in their order: each row of its table is the embedding of one vector, and the last stays that
/// of "none". Without examples it is unconditional. A device then needs no encoder, and nothing of it changes with the number of vectors but
/// the table.
///
/// # Errors
/// A model that is told no vectors, or vectors of another width.
pub fn freeze(model: Model, examples: &[Example]) -> Result<Model, Error> {
    let Some(vectors) = &model.description.vectors else {
        return Err(Error::Argument("this model was trained without captions or vectors".to_owned()));
    };
    let width = vectors.width();
    if let Some(example) = examples.iter().find(|example| example.vector.len() != width) {
        let has = example.vector.len();
        return Err(Error::Argument(format!("{}: {has} numbers, where the model is told {width}", example.name)));
    }
    let rows = examples.iter().map(|example| Some(example.vector.as_slice()));
    let rows: Vec<_> = rows.chain([None]).collect();
    let device = model.weights.get(TABLE)?.device();
    let table = Condition::of_vectors(rows.into_iter(), width, device)?.embed(&model.weights)?;
    let weights = model.weights.iter().map(|(name, weight)| {
        let weight = if name == TABLE { &table } else { weight };
        (name.to_owned(), weight.clone())
    });
    let weights = FrozenWeights::new(weights.collect());
    let description = Description {
        classes: examples.len(),
        class_names: examples.iter().map(|example| example.name.clone()).collect(),
        vectors: None,
        ..model.description
    };
    let network = model.preset.network.build(description.features(), description.classes);
    Ok(Model { network, weights, preset: model.preset, description })
}
