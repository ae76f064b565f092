//! Sampling on a GPU that can be watched, and left at any step.

use super::sample::{Chunk, GpuSampler};
use super::tensor::GpuTensor;
use crate::checkpoint::Model;
use crate::error::Error;
use crate::preset::SamplingSettings;
use crate::sample::Prepared;
use crate::sample::follow::Stage;
use std::ops::ControlFlow;

impl GpuSampler {
    /// As [`follow`](crate::sample::follow::follow): draws samples, and shows them before the first step and after each.
    ///
    /// # Errors
    /// Its errors, and those of the device.
    pub fn follow(
        &self,
        model: &Model,
        settings: &SamplingSettings,
        classes: &[u32],
        seed: u64,
        show: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let prepared = Prepared::new(model, settings)?;
        let mut chunks = self.chunks(&prepared, model, classes, seed)?;
        let (plan, steps) = (&prepared.plan, prepared.plan.len());
        for step in 0..=steps {
            let (angle, norm) =
                plan.get(step).map_or((0.0, 1.0), |step| (step.level.angle(), step.level.norm() as f32));
            let state = rows_of(&chunks, |chunk| Some(&chunk.state), norm)?;
            let x0_hat = match step {
                0 => None,
                _ => Some(rows_of(&chunks, Chunk::seen, 1.0)?),
            };
            if show(Stage { step, steps, angle, state, x0_hat }).is_break() || step == steps {
                break;
            }
            for chunk in &mut chunks {
                chunk.advance(step, &prepared)?;
            }
        }
        Ok(())
    }
}

/// The numbers of all chunks, over a norm.
fn rows_of(chunks: &[Chunk], tensor: impl Fn(&Chunk) -> Option<&GpuTensor>, norm: f32) -> Result<Vec<f32>, Error> {
    let mut rows = Vec::new();
    for tensor in chunks.iter().filter_map(tensor) {
        rows.extend(tensor.to_vec()?.iter().map(|x| x / norm));
    }
    Ok(rows)
}
