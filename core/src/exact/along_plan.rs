//! Mixtures under the sampler.

use super::mixture::Mixture;
use crate::plan::Step;
use crate::tensor::{Denoiser, StepId};
use crate::{Error, NoiseLevel};

/// A mixture as the [`Denoiser`] of a plan: at each step it is asked at that step's noise level.
#[derive(Debug)]
pub struct AlongPlan<'a, M> {
    /// The data's distribution.
    pub data: M,
    /// The plan that the sampler runs.
    pub plan: &'a [Step],
    /// At least [`Mixture::scratch_len`] numbers.
    pub scratch: &'a mut [f64],
}

impl<M: Mixture> Denoiser<[f64]> for AlongPlan<'_, M> {
    type Error = Error;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Error> {
        let level: Option<NoiseLevel> = self.plan.get(step.0).map(|step| step.level);
        let level =
            level.ok_or(Error::WrongLength { what: "steps of a plan", need: step.0 + 1, have: self.plan.len() })?;
        self.data.denoise(x_t, level, self.scratch, x0_hat)
    }
}
