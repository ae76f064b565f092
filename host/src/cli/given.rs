//! Data that `sample` is given to begin with.

use crate::checkpoint::Model;
use crate::data::{self, Dataset};
use crate::error::Error;
use std::path::Path;

/// The samples of a file in a model's own range, `[n, features]`, and their labels if they have any. A file of one sample need not say so
/// in its shape.
pub fn samples(file: &Path, model: &Model) -> Result<(Vec<f32>, Option<Vec<u32>>), Error> {
    let given = load(file, &model.description.shape)?;
    let scaling = model.scaling();
    let own = |&value: &f32| (given.scaling.to_units(value) - scaling.offset) / scaling.scale;
    Ok((given.samples.iter().map(own).collect(), given.labels))
}

/// Which elements of a sample are known, by a file of two values of which the larger says so.
pub fn mask(file: &Path, model: &Model) -> Result<Vec<bool>, Error> {
    let features = model.description.features();
    let given = load(file, &model.description.shape)?;
    let most = given.samples.iter().copied().fold(f32::MIN, f32::max);
    let mask: Vec<bool> = given.samples.iter().map(|&value| value == most).collect();
    let mut others = given.samples.iter().filter(|&&value| value != most);
    let two = others.next().is_some_and(|least| others.all(|value| value == least));
    if mask.len() != features || !two {
        return Err(Error::Argument(format!(
            "{}: a mask is one array of the sample's shape, of two values: the larger where the sample is known",
            file.display()
        )));
    }
    Ok(mask)
}

/// The file's numbers as samples of a shape.
fn load(file: &Path, shape: &[usize]) -> Result<Dataset, Error> {
    let given = data::load(&file.to_string_lossy())?;
    let features: usize = shape.iter().product();
    if given.shape != shape && given.samples.len() != features {
        return Err(Error::Argument(format!(
            "{}: it holds samples of shape {:?}, and the model's are of shape {shape:?}",
            file.display(),
            given.shape
        )));
    }
    Ok(given)
}
