//! Samples of an artifact by the firmware library, on every core of this machine.

use crate::board::ModelError;
use crate::error::Error;
use rayon::prelude::*;
use std::path::Path;
use tweedie_firmware::{Model, Q12, sample};

/// The model in an artifact's words; `path` is what messages call it.
///
/// # Errors
/// [`ModelError::Artifact`] for words that are none.
pub fn model<'a>(path: &Path, words: &'a [u32]) -> Result<Model<'a>, ModelError> {
    Model::parse(words).map_err(|error| ModelError::Artifact(path.to_owned(), error))
}

/// Samples `[classes.len(), features]`: sample `i` of class `classes[i]` from noise stream `i`, bit for bit as a microcontroller draws it.
pub fn draw(model: &Model<'_>, classes: &[Option<u16>], seed: u64) -> Result<Vec<Q12>, Error> {
    let samples = classes.par_iter().enumerate().map_init(
        || vec![0; model.scratch_words()],
        |scratch, (index, &class)| -> Result<Vec<Q12>, Error> {
            Ok(sample(model, scratch, seed, index as u64, class, |_| {})?.to_vec())
        },
    );
    Ok(samples.collect::<Result<Vec<_>, _>>()?.concat())
}

/// The classes 0, 1, 2, … in turn; none for a model without classes.
pub fn classes_in_turn(count: usize, classes: u16) -> Vec<Option<u16>> {
    (0..count).map(|index| (classes > 0).then(|| (index % usize::from(classes.max(1))) as u16)).collect()
}
