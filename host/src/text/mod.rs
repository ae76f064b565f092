//! Captions as conditions: a small text encoder learns with the samples what captions mean, and the network is then told its vectors.
//!
//! | step | module |
//! |---|---|
//! | captions, from a file or made up from digits' labels | [`captions`] |
//! | text as hashed n-grams | [`tokens`] |
//! | two towers, for texts and for samples | [`encoder`] |
//! | learnt together | [`contrastive`] |
//! | do they find each other? | [`retrieval`] |

pub mod captions;
pub mod contrastive;
pub mod encoder;
pub mod retrieval;
pub mod tokens;

pub use captions::Captions;
pub use encoder::Encoder;
pub use retrieval::Retrieval;

use crate::data::Dataset;
use crate::error::Error;
use crate::preset::Preset;
use std::path::Path;

/// Gives data their captions' vectors, if the preset's conditions are captions, by the encoder in the file `stored` if it exists, else by one that
/// is trained now; `watch` is told of the updates made. The encoder is returned, to be kept with the model.
///
/// # Errors
/// Captions that do not fit the data; an encoder that is damaged.
pub fn describe(
    data: &mut Dataset,
    preset: &Preset,
    stored: Option<&Path>,
    watch: impl FnMut(u64),
) -> Result<Option<Encoder>, Error> {
    let Some(captions) = Captions::of(&preset.data.conditions_source()?, data)? else { return Ok(None) };
    let encoder = match stored.filter(|file| file.is_file()) {
        Some(file) => Encoder::load(file)?,
        None => contrastive::train(data, &captions, preset.training.seed, contrastive::UPDATES, watch)?,
    };
    data.conditions = Some(encoder.conditions(&captions)?);
    Ok(Some(encoder))
}
