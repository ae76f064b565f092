//! A mixture of low-rank Gaussians as a network: its prediction, `x0`, is core's closed form.

use super::{ANGLE_FEATURES, Inputs, Network, Parameters, Weights, angle_of};
#[cfg(feature = "wgpu")]
use crate::error::Error;
#[cfg(feature = "wgpu")]
use crate::gpu::recorder::Recorder;
use crate::mixture::Tables;
use candle_core::{Device, Result, Tensor};
#[cfg(feature = "wgpu")]
use tweedie_core::exact::CentredTerms;
use tweedie_core::exact::{LowRankMixture, Mixture as _};
use tweedie_core::schedule::{Process, Schedule};

/// The sizes of a mixture for each class, which [`Fit`](crate::mixture::Fit) learns; gradients are not taken of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixture {
    /// Numbers in a sample.
    pub features: usize,
    /// Classes; "no class" is the mixture of all of them.
    pub classes: usize,
    /// Components for each class.
    pub components: usize,
    /// Directions in which a component varies.
    pub rank: usize,
}

/// A mixture's tables from a model's weights.
///
/// # Errors
/// A weight that is not there.
pub fn tables(weights: &dyn Weights) -> Result<Tables> {
    let table = |name: &str| -> Result<Vec<f64>> {
        Ok(weights.get(name)?.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
    };
    Ok(Tables {
        weights: table("weights")?,
        means: table("means")?,
        bases: table("bases")?,
        eigenvalues: table("eigenvalues")?,
        floors: table("floors")?,
    })
}

impl Mixture {
    /// The mixtures of all classes, and last that of everything together.
    fn mixtures<'a>(&self, tables: &'a Tables) -> Result<Vec<LowRankMixture<'a>>> {
        let classes = (0..self.classes).map(|class| class * self.components..(class + 1) * self.components);
        let all = std::iter::once(0..tables.components());
        classes.chain(all).map(|range| tables.mixture(range).map_err(candle_core::Error::wrap)).collect()
    }
}

impl Network for Mixture {
    fn weights(&self) -> Vec<(String, Vec<usize>)> {
        let count = self.classes.max(1) * self.components;
        let shapes = [
            ("weights", vec![count]),
            ("means", vec![count, self.features]),
            ("bases", vec![count, self.rank, self.features]),
            ("eigenvalues", vec![count, self.rank]),
            ("floors", vec![count]),
        ];
        shapes.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect()
    }

    /// # Errors
    /// Always: a mixture is fitted to data, and nothing stands before that.
    fn initialise(&self, _seed: u64, _device: &Device) -> Result<Parameters> {
        candle_core::bail!("a mixture is fitted by expectation maximisation, not trained by gradients")
    }

    fn forward(&self, weights: &dyn Weights, inputs: &Inputs) -> Result<Tensor> {
        let tables = tables(weights)?;
        let mixtures = self.mixtures(&tables)?;
        let states = inputs.state.flatten_all()?.to_vec1::<f32>()?;
        let (angles, classes) = (inputs.angle.flatten_all()?.to_vec1::<f32>()?, inputs.condition.classes()?);
        let (mut scratch, mut x0_hat) = (vec![0.0; self.rank], vec![0.0; self.features]);
        let mut output = Vec::with_capacity(states.len());
        let rows = states.chunks_exact(self.features).zip(angles.chunks_exact(ANGLE_FEATURES)).zip(classes);
        for ((state, angle), class) in rows {
            let Some(mixture) = mixtures.get(class as usize) else {
                candle_core::bail!("the mixture has {} classes, and no class {class}", self.classes);
            };
            // Rounding may bring an angle just out of its range.
            let level =
                Schedule::Trigonometric.level(angle_of(angle).clamp(0.0, 1.0)).map_err(candle_core::Error::wrap)?;
            let state: Vec<f64> = state.iter().map(|&x| x.into()).collect();
            mixture.denoise(&state, level, &mut scratch, &mut x0_hat).map_err(candle_core::Error::wrap)?;
            output.extend(x0_hat.iter().map(|&x| x as f32));
        }
        Tensor::from_vec(output, inputs.state.shape(), inputs.state.device())
    }

    #[cfg(feature = "wgpu")]
    fn record(&self, recorder: &mut Recorder<'_, '_>) -> std::result::Result<(), Error> {
        let tables = tables(recorder.weights())?;
        // A class's components compare as they do among all: their priors have a factor in common.
        let mixture = tables.mixture(0..tables.components())?;
        let (mut terms, mut alphas) = (Vec::new(), Vec::new());
        for query in recorder.queries() {
            let angle = query.angles.first().copied().unwrap_or(0.0);
            let level = Schedule::Trigonometric.level(angle.clamp(0.0, 1.0))?;
            alphas.push(level.alpha as f32);
            for k in 0..tables.components() {
                let CentredTerms { log_constant, rest_precision, rest_gain } = mixture.centred_terms(k, level);
                let directions: Vec<(f64, f64)> = mixture.centred_directions(k, level).collect();
                terms.extend([log_constant, rest_precision, rest_gain].map(|term| term as f32));
                terms.extend(directions.iter().map(|(precision, _)| *precision as f32));
                terms.extend(directions.iter().map(|(_, gain)| *gain as f32));
            }
        }
        let x = recorder.input(self.features, None)?;
        let estimate = recorder.mixture(&x, [tables.components(), self.rank], terms, alphas)?;
        recorder.output(&estimate, None)
    }
}
