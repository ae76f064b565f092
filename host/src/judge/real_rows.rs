//! The real rows that a model is judged by: those it has seen, and those it has not.

use super::evaluation::DataSummary;
use crate::data::Dataset;
use crate::error::Error;
use crate::preset::DataSettings;
use std::path::{Path, PathBuf};

/// Real rows in their parts.
#[derive(Clone, Debug)]
pub struct RealRows {
    /// What the judge learns from, and what stands for real rows against the held-out ones.
    pub training: Dataset,
    /// What samples are compared with; the judge has not seen them.
    pub held_out: Dataset,
    /// All that the model has seen, which it might have memorised: `training`, unless the held-out rows had to be taken from it.
    pub seen: Dataset,
    /// Where the held-out rows come from, a clause.
    pub held_out_from: String,
    /// Whether they were taken from what the model has seen.
    pub held_out_seen: bool,
}

/// Every so manyth row is held out where there is nothing else.
const EVERY: usize = 4;

impl RealRows {
    /// The rows of `source`, as of [`data::load`](crate::data::load), and the held-out rows of another source, or those that belong to it: the embedded digits' own,
    /// or MNIST's `t10k` files. Without any, every fourth row is held out from the judge, though the model has seen it.
    ///
    /// # Errors
    /// Files that cannot be read; sources of different shapes or classes; fewer than eight rows.
    pub fn load(source: &str, held_out: Option<&str>) -> Result<Self, Error> {
        Self::of(&DataSettings::samples_of(source), held_out)
    }

    /// The same of a preset's data: held-out series are cut into the same windows.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub fn of(settings: &DataSettings, held_out: Option<&str>) -> Result<Self, Error> {
        let settings = settings.of_classes();
        let (source, seen) = (settings.source.as_str(), settings.load()?);
        let load = |path: &str| DataSettings { source: path.to_owned(), ..settings.clone() }.load();
        let (other, from) = match held_out {
            Some(path) => (Some(load(path)?), format!("the rows of {path}")),
            None if source == "digits" => (Some(Dataset::digits_held_out()?), "rows that no training sees".to_owned()),
            None => match test_images_beside(Path::new(source)) {
                Some(path) => {
                    let path = path.display().to_string();
                    (Some(load(&path)?), format!("the rows of {path}"))
                }
                None => (None, format!("every {EVERY}th row of the training data, which the model has seen")),
            },
        };
        if let Some(other) = &other
            && (other.shape != seen.shape || other.classes != seen.classes)
        {
            return Err(Error::Argument(format!(
                "the held-out rows are of shape {:?} in {} classes, the training rows of {:?} in {}; give others with --held-out",
                other.shape, other.classes, seen.shape, seen.classes
            )));
        }
        if seen.len() < 2 * EVERY || other.as_ref().is_some_and(|other| other.len() < 2 * EVERY) {
            return Err(Error::Argument(format!("{source}: a judgement needs at least {} rows", 2 * EVERY)));
        }
        let held_out_seen = other.is_none();
        let (training, held_out) = match other {
            Some(other) => (seen.clone(), other),
            None => (part(&seen, |index| index % EVERY != EVERY - 1), part(&seen, |index| index % EVERY == EVERY - 1)),
        };
        Ok(Self { training, held_out, seen, held_out_from: from, held_out_seen })
    }

    /// Whether the rows are of a model's shape and classes.
    ///
    /// # Errors
    /// One sentence if they are not.
    pub fn check(&self, model_shape: &[usize], model_classes: usize) -> Result<(), Error> {
        let Dataset { name, shape, classes, .. } = &self.seen;
        if shape == model_shape && *classes == model_classes {
            return Ok(());
        }
        Err(Error::Argument(format!(
            "{name} holds samples of shape {shape:?} in {classes} classes, the model draws {model_shape:?} in {model_classes}; give the data it was trained on with --data"
        )))
    }

    /// What `eval.json` says of the rows.
    pub fn summary(&self) -> DataSummary {
        DataSummary {
            name: self.seen.name.clone(),
            shape: self.seen.shape.clone(),
            classes: self.seen.classes,
            training_rows: self.training.len(),
            held_out_rows: self.held_out.len(),
            held_out_from: self.held_out_from.clone(),
            held_out_seen_in_training: self.held_out_seen,
        }
    }
}

/// MNIST's second half, in the folder of the first.
fn test_images_beside(source: &Path) -> Option<PathBuf> {
    let folder = if source.is_dir() { source } else { source.parent()? };
    if !source.is_dir() && !source.file_name()?.to_string_lossy().starts_with("train-images") {
        return None;
    }
    let names = ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"];
    let files = names.iter().flat_map(|name| [folder.join(name), folder.join(format!("{name}.gz"))]);
    files.into_iter().find(|path| path.is_file())
}

/// The rows that a rule takes.
fn part(data: &Dataset, takes: impl Fn(usize) -> bool) -> Dataset {
    let indices = || (0..data.len()).filter(|&index| takes(index));
    Dataset {
        samples: indices().flat_map(|index| data.sample(index)).copied().collect(),
        labels: data.labels.as_ref().map(|labels| indices().map(|index| labels[index]).collect()),
        ..data.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy;

    #[test]
    fn the_digits_come_with_rows_held_out() {
        let rows = RealRows::load("digits", None).unwrap();
        assert_eq!((rows.training.len(), rows.held_out.len(), rows.seen.len()), (1347, 450, 1347));
        assert!(!rows.held_out_seen);
        assert_eq!(rows.summary().held_out_from, "rows that no training sees");
    }

    #[test]
    fn without_held_out_rows_every_fourth_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("line.npy"), folder.path().join("other.npy"));
        let values: Vec<f32> = (0..10).map(|i| i as f32 / 10.0).collect();
        npy::write_f32(&path, &[10, 1], &values).unwrap();
        npy::write_f32(&other, &[5, 2], &values).unwrap();
        let path = path.display().to_string();
        let rows = RealRows::load(&path, None).unwrap();
        assert_eq!(rows.held_out.samples, [0.3, 0.7]);
        assert_eq!((rows.training.len(), rows.seen.len(), rows.held_out_seen), (8, 10, true));

        let refusal = RealRows::load(&path, Some(&other.display().to_string())).unwrap_err().to_string();
        assert!(refusal.contains("[2]") && refusal.contains("--held-out"), "{refusal}");
        npy::write_f32(&other, &[5, 1], &values[..5]).unwrap();
        let refusal = RealRows::load(&path, Some(&other.display().to_string())).unwrap_err().to_string();
        assert!(refusal.ends_with("at least 8 rows"), "{refusal}");
    }
}
