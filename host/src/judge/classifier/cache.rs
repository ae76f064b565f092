//! Judges on disk, so that each is trained once: one file for a key, which is a hash of its data and recipe.

use super::recipe::Recipe;
use super::{Classifier, weights};
use crate::checkpoint::{StoredFile, hexadecimal, write};
use crate::data::Dataset;
use crate::error::Error;
use crate::network::parameters::FrozenWeights;
use crate::train::fingerprint;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Rises whenever training changes in a way that the recipe does not tell.
const VERSION: u32 = 2;

/// What is stored beside the weights.
#[derive(Serialize, Deserialize)]
struct Metadata {
    format: String,
    key: String,
}

/// What judges of equal bits have in common: SHA-256 of their training rows and their recipe, in hexadecimal.
pub fn key(data: &Dataset) -> String {
    let recipe = format!("judge {VERSION} {:?} {}", Recipe::of(&data.shape), fingerprint(data));
    hexadecimal(&Sha256::digest(recipe))
}

/// Where judges are kept: the folder `TWEEDIE_CACHE` names, else the person's cache folder, else the system's for temporary files.
pub fn folder() -> PathBuf {
    let from = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("TWEEDIE_CACHE").unwrap_or_else(|| {
        let home = || Some(from("HOME")?.join(".cache"));
        let personal = from("XDG_CACHE_HOME").or_else(|| from("LOCALAPPDATA")).or_else(home);
        personal.unwrap_or_else(std::env::temp_dir).join("tweedie")
    })
}

impl Classifier {
    /// The judge of `data` from a folder, or trained and left there. A file that is damaged, or of other data, is made anew; a folder that
    /// cannot be written costs the next call its time, nothing else.
    ///
    /// # Errors
    /// As of [`Classifier::train`].
    pub fn obtain(data: &Dataset, folder: &Path, watch: impl FnMut(u64)) -> Result<Self, Error> {
        let key = key(data);
        let path = folder.join(format!("judge-{}.safetensors", &key[..16]));
        if let Ok(found) = load(&path, data, &key) {
            return Ok(found);
        }
        let judge = Self::train(data, watch)?;
        let entries: Vec<(String, &Tensor)> = judge.weights.iter().map(|(name, t)| (name.to_owned(), t)).collect();
        let metadata = Metadata { format: "judge".to_owned(), key };
        if std::fs::create_dir_all(folder).is_ok() {
            // Without it the judge is as good, only not kept.
            let _ = write(&path, &entries, &metadata);
        }
        Ok(judge)
    }
}

fn load(path: &Path, data: &Dataset, key: &str) -> Result<Classifier, Error> {
    let file = StoredFile::read(path)?;
    let metadata: Metadata = file.metadata(path)?;
    if metadata.format != "judge" || metadata.key != key {
        return Err(Error::Model { path: path.to_owned(), reason: "it is the judge of other data".to_owned() });
    }
    let recipe = Recipe::of(&data.shape);
    let tensors = weights(&recipe, data.sample_size(), data.classes).into_iter().map(|(name, shape)| {
        let tensor = file.tensor(path, &name, &shape, &Device::Cpu)?;
        Ok((name, tensor))
    });
    let weights = FrozenWeights::new(tensors.collect::<Result<_, Error>>()?);
    Ok(Classifier { recipe, weights, classes: data.classes, key: key.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes of four numbers: quick to judge.
    fn toy() -> Dataset {
        let labels: Vec<u32> = (0..40).map(|i| i % 2).collect();
        Dataset {
            name: "toy".to_owned(),
            shape: vec![4],
            samples: labels.iter().flat_map(|&label| [label as f32 - 0.5; 4]).collect(),
            labels: Some(labels),
            classes: 2,
            scaling: crate::data::Scaling::IDENTITY,
        }
    }

    #[test]
    fn a_judge_is_trained_once_and_a_damaged_one_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        let data = toy();
        let obtain = || {
            let mut updates = 0;
            let judge = Classifier::obtain(&data, &folder, |_| updates += 1).unwrap();
            let path = folder.join(format!("judge-{}.safetensors", &judge.key()[..16]));
            (judge.opinions(&data.samples, 4).unwrap(), updates, path)
        };
        let (first, updates, path) = obtain();
        assert_eq!(updates, Recipe::of(&data.shape).updates);
        assert_eq!(first.classes, *data.labels.as_ref().unwrap());
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((obtain().0, obtain().1), (first.clone(), 0));

        let mut damaged = bytes.clone();
        *damaged.last_mut().unwrap() ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert_eq!((obtain().0, std::fs::read(&path).unwrap()), (first, bytes));
    }

    #[test]
    fn a_key_belongs_to_its_data() {
        let mut other = toy();
        other.samples[3] += 0.01;
        assert_eq!(key(&toy()), key(&toy()));
        assert_ne!(key(&toy()), key(&other));
    }

    #[test]
    fn a_folder_that_cannot_be_written_does_no_harm() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Classifier::obtain(&toy(), file.path(), |_| {}).unwrap().classes(), 2);
    }
}
