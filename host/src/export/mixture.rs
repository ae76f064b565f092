//! A mixture as one layer of a folded network: what it knows at each step, and its estimate in floating point.

use super::ExportError;
use super::folded::{Buffer, Folded, FoldedLayer, Kind};
use crate::checkpoint::Model;
use crate::mixture::Tables;
use crate::network;
use candle_core::{Device, Tensor};
use std::ops::Range;
use tweedie_core::NoiseLevel;
use tweedie_core::exact::{LowRankMixture, Mixture as _};
use tweedie_core::schedule::{Process, Schedule};

/// The most rows of one class, and the most components of all classes, that an artifact's mixture has.
const MOST: usize = 1 << 15;

/// `E[x_0 | x_t]` of the class asked for, or of all classes together for none.
#[derive(Clone, Debug)]
pub struct FoldedMixture {
    /// What was learnt.
    pub tables: Tables,
    /// Classes, at least 1.
    pub blocks: usize,
    /// Components of each class.
    pub components: usize,
    /// Directions of each component.
    pub rank: usize,
    /// The noise level of each step.
    pub levels: Vec<NoiseLevel>,
    /// The buffer that it works in.
    pub work: usize,
}

/// The network of a mixture for a plan, given as the angles of its steps.
///
/// # Errors
/// Sizes that an artifact cannot hold, tables that make no mixture.
pub fn fold(model: &Model, angles: &[Vec<f64>]) -> Result<Folded, ExportError> {
    let (features, settings) = (model.description.features(), &model.preset.network);
    let blocks = model.description.classes.max(1);
    let (rows, all) = (settings.components * (1 + settings.rank), blocks * settings.components);
    let remedy = "train with smaller --set network.components and network.rank";
    for (what, have) in [("directions in a class", rows), ("components", all)] {
        if have > MOST {
            return Err(ExportError::TooMany { what, have, most: MOST, remedy });
        }
    }
    let levels = angles.iter().filter_map(|told| told.first()).map(|&angle| Schedule::Trigonometric.level(angle));
    let mixture = FoldedMixture {
        tables: network::mixture::tables(&model.weights)?,
        blocks,
        components: settings.components,
        rank: settings.rank,
        levels: levels.collect::<Result<_, _>>()?,
        work: WORK,
    };
    if mixture.tables.entries().iter().any(|(_, values)| values.iter().any(|value| !value.is_finite())) {
        return Err(ExportError::NotFinite("weights in the mixture".to_owned()));
    }
    let work = rows.next_multiple_of(4) + 2 * all;
    let buffers = [("state", features), ("working memory", work), ("output", features)];
    let buffers = buffers.map(|(name, length)| Buffer { name: name.to_owned(), length }).into();
    let layer = FoldedLayer { name: "mixture".to_owned(), input: STATE, output: OUTPUT, kind: Kind::Mixture(mixture) };
    Ok(Folded { buffers, layers: vec![layer], input: STATE, output: OUTPUT })
}

/// The places of a mixture.
const STATE: usize = 0;
const WORK: usize = 1;
const OUTPUT: usize = 2;

impl FoldedMixture {
    /// Rows of a class: the mean's direction and `rank` others for each component.
    pub fn block_rows(&self) -> usize {
        self.components * (1 + self.rank)
    }

    /// The components of a class, or of none.
    fn range(&self, class: u32) -> Range<usize> {
        match class as usize {
            class if class < self.blocks => class * self.components..(class + 1) * self.components,
            _ => 0..self.blocks * self.components,
        }
    }

    /// For states `[batch, features]` at a step, each of a class (u32): the estimates `[batch, features]`, and before them the largest magnitude of
    /// a coordinate or coefficient on the way, `[batch, 1]`.
    ///
    /// # Errors
    /// States beyond core's range.
    pub fn forward(&self, states: &Tensor, step: usize, classes: &Tensor) -> Result<(Tensor, Tensor), ExportError> {
        let states: Vec<Vec<f32>> = states.to_vec2()?;
        let classes = classes.to_vec1::<u32>()?;
        let level = self.levels[step];
        let (mut scratch, mut reaches, mut output) = (vec![0.0; self.rank], Vec::new(), Vec::new());
        for (state, class) in states.iter().zip(classes) {
            let mixture = self.tables.mixture(self.range(class))?;
            let state: Vec<f64> = state.iter().map(|&x| x.into()).collect();
            let mut x0_hat = vec![0.0; state.len()];
            mixture.denoise(&state, level, &mut scratch, &mut x0_hat)?;
            output.extend(x0_hat.iter().map(|&x| x as f32));
            reaches.push(reach(&mixture, &state, level, &mut scratch)? as f32);
        }
        let batch = states.len();
        let features = output.len() / batch.max(1);
        let reaches = Tensor::from_vec(reaches, (batch, 1), &Device::Cpu)?;
        Ok((reaches, Tensor::from_vec(output, (batch, features), &Device::Cpu)?))
    }
}

/// The largest magnitude of a coordinate of the state, or of a coefficient of the estimate.
fn reach(
    mixture: &LowRankMixture<'_>,
    x: &[f64],
    level: NoiseLevel,
    scratch: &mut [f64],
) -> Result<f64, tweedie_core::Error> {
    let mut chances = vec![0.0; mixture.components()];
    mixture.posterior(x, level, scratch, &mut chances)?;
    let mut most = 0.0_f64;
    for (k, chance) in chances.into_iter().enumerate() {
        let mean = mixture.mean(k);
        let along = |row: &[f64]| row.iter().zip(x).zip(mean).map(|((u, x), m)| u * (x - level.alpha * m)).sum::<f64>();
        let length = norm(mean);
        if length > 0.0 {
            most = most.max(along(mean).abs() / length);
        }
        for (row, gain) in mixture.basis(k).zip(mixture.excess_gains(k, level)) {
            let c = along(row).abs();
            most = most.max(c).max(chance * gain.abs() * c);
        }
    }
    Ok(most)
}

/// The length of a vector.
pub(super) fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}
