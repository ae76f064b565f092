//! What fixed point costs: an artifact's samples beside its float model's, from the same noise.

use super::evaluation::{Interval, Quantisation};
use super::series::Series;
use std::path::Path;

impl Quantisation {
    /// The cost of `fixed` over `float`, which drew the same classes from the same seeds in as many steps; `run` is the float model's folder.
    pub fn between(fixed: &Series, float: Series, run: &Path) -> Self {
        let pairs = || fixed.by_seed.iter().zip(&float.by_seed);
        let ratios = pairs().map(|(fixed, float)| fixed.pixels.frechet / float.pixels.frechet);
        let of_features = pairs()
            .filter_map(|(fixed, float)| Some(fixed.features.as_ref()?.frechet / float.features.as_ref()?.frechet));
        let agreements = pairs()
            .filter_map(|(fixed, float)| Some(fixed.agreement.as_ref()?.judge - float.agreement.as_ref()?.judge));
        let over_seeds = |values: Vec<f64>| (!values.is_empty()).then(|| Interval::of(values));
        let differences = fixed.first.iter().zip(&float.first).map(|(a, b)| f64::from((a - b).abs()));
        Self {
            run: run.to_owned(),
            frechet_pixels: Interval::of(ratios.collect()),
            frechet_features: over_seeds(of_features.collect()),
            agreement: over_seeds(agreements.collect()),
            mean_difference: differences.sum::<f64>() / fixed.first.len().max(1) as f64,
            float: float.scores,
        }
    }
}
