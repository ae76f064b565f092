//! Inpainting: samples of which a part is given.

use super::{Job, NetworkDenoiser, Prepared};
use crate::checkpoint::Model;
use crate::error::Error;
use crate::preset::SamplingSettings;
use crate::tensor::{BatchNoise, CandleTensor};
use candle_core::{Device, Tensor};
use tweedie_core::forward::Noising;
use tweedie_core::guidance::Guidance;
use tweedie_core::inpainting::Known;
use tweedie_core::plan;
use tweedie_core::sampler::{self, Workspace};
use tweedie_core::tensor::CombineError;
use tweedie_core::{NoiseLevel, NoiseSource, StepId};

/// What is known of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Given<'a> {
    /// Data in the network's range, `[m, features]`; sample `i` is like row `i` modulo `m`.
    pub data: &'a [f32],
    /// Which elements of a sample are known, `[features]`.
    pub mask: &'a [bool],
    /// How many times each step is taken, at least 1: between them its noise is added again (Lugmayr et al. 2022, Algorithm 1), so that the
    /// rest adapts to what is known.
    pub repeats: usize,
}

/// Samples as [`sample`](super::sample) draws them, but that agree with what is [`Given`]: known elements come out as they are.
///
/// # Errors
/// A solver that combines several estimates, and as of [`sample`](super::sample).
pub fn inpaint(
    model: &Model,
    settings: &SamplingSettings,
    given: &Given<'_>,
    classes: &[u32],
    seed: u64,
    device: &Device,
) -> Result<Vec<f32>, Error> {
    let prepared = Prepared::new(model, settings)?;
    if plan::history(&prepared.plan) > 1 {
        let solver = settings.solver;
        return Err(Error::Argument(format!(
            "inpainting changes the state between steps, and {solver} combines estimates of several; use the solver ddim, ddpm, euler or euler-a"
        )));
    }
    let job = prepared.job(model, seed, device);
    let features = model.description.features();
    let parts = job.in_parts(classes, |first, classes| job.inpaint(given, first, classes))?;
    Ok(parts.into_iter().flatten().take(classes.len() * features).collect())
}

/// Noise of the sampler in pass after pass: the same draw has other numbers in each.
struct Pass {
    noise: BatchNoise,
    first: u32,
}

impl NoiseSource<CandleTensor> for Pass {
    type Error = candle_core::Error;

    fn fill_normal(&mut self, draw: u32, out: &mut CandleTensor) -> candle_core::Result<()> {
        self.noise.fill_normal(self.first + draw, out)
    }
}

impl Job<'_> {
    /// Samples `first ..` that agree with what is given.
    fn inpaint(&self, given: &Given<'_>, first: usize, classes: &[u32]) -> Result<Vec<f32>, Error> {
        let (rows, features) = (classes.len(), self.model.description.features());
        let none = vec![self.model.description.classes as u32; rows];
        let mut denoiser =
            NetworkDenoiser { job: self, classes, none: &none, guidance: Guidance::new(self.settings.guidance) };
        let (state, noise) = self.begin(first, classes)?;
        let blank = CandleTensor(state.clone());
        let (mut x, mut x0_hat, mut noise_buffer) = (CandleTensor(state), blank.clone(), blank);

        let count = given.data.len() / features.max(1);
        let data: Vec<f32> =
            (first..first + rows).flat_map(|i| &given.data[i % count * features..][..features]).copied().collect();
        let mask = given.mask.repeat(rows);
        let known = Known { x0: &data, mask: &mask };
        // Draws of the sampler's own noise are counted upwards, those for what is known and for repeats downwards from the last.
        let mut last = u32::MAX;
        let mut fresh = || {
            last -= 1;
            noise.normal(last, rows, features, self.device)
        };
        for (index, step) in self.plan.iter().enumerate() {
            let end = self.plan.get(index + 1).map_or(NoiseLevel::CLEAN, |next| next.level);
            for pass in 0..given.repeats {
                replace(&known, &mut x, step.level, &fresh()?)?;
                let mut workspace = Workspace { x0_hats: &mut [&mut x0_hat], noise: Some(&mut noise_buffer) };
                let mut noise = Pass { noise, first: (pass * self.plan.len()) as u32 };
                sampler::step(step, StepId(index), self.clip(), &mut x, &mut workspace, &mut denoiser, &mut noise)
                    .map_err(super::sampler_error)?;
                if pass + 1 < given.repeats {
                    let back = Noising::between(end, step.level)?;
                    back.apply(&mut x, &CandleTensor(fresh()?)).map_err(|error| match error {
                        CombineError::Tensor(error) => Error::Candle(error),
                        other => Error::Argument(other.to_string()),
                    })?;
                }
            }
        }
        let still = Tensor::zeros((rows, features), candle_core::DType::F32, self.device)?;
        replace(&known, &mut x, NoiseLevel::CLEAN, &still)?;
        Ok(x.0.flatten_all()?.to_vec1()?)
    }
}

/// Puts what is known into the state, noised to its level.
fn replace(known: &Known<'_, f32>, x: &mut CandleTensor, level: NoiseLevel, eps: &Tensor) -> Result<(), Error> {
    let mut state: Vec<f32> = x.0.flatten_all()?.to_vec1()?;
    let eps: Vec<f32> = eps.flatten_all()?.to_vec1()?;
    known.replace(&mut state, level, &eps).map_err(|error| Error::Argument(error.to_string()))?;
    x.0 = Tensor::from_vec(state, x.0.shape(), x.0.device())?;
    Ok(())
}
