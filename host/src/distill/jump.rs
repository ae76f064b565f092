//! One step of a sampler for every row of a batch, each from a time of its own, through which gradients pass.

use crate::error::Error;
use crate::network::{Inputs, Network, Weights, features_of};
use crate::operators::combine_rows;
use crate::preset::Preset;
use crate::process::AnyProcess;
use crate::query::Query;
use candle_core::Tensor;
use std::sync::Arc;
use tweedie_core::guidance::Guidance;
use tweedie_core::schedule::Process;
use tweedie_core::{NoiseLevel, ddim};

/// A deterministic step that rows may take: what the network is asked, and where its estimate leads.
#[derive(Clone, Debug)]
pub struct Jump {
    /// The level that the step starts from.
    pub from: NoiseLevel,
    /// The step's plan.
    pub step: tweedie_core::plan::Step,
    /// What the network is asked.
    pub query: Query,
}

impl Jump {
    /// The DDIM step from time `t` to `end` for the network of a preset.
    ///
    /// # Errors
    /// Times or a prediction that core refuses.
    pub fn new(t: f64, end: f64, preset: &Preset, process: &AnyProcess) -> Result<Self, Error> {
        let from = process.level(t)?;
        let step = ddim::step(t, from, process.level(end)?, 0.0)?;
        Ok(Self { from, step, query: Query::at(t, end, preset, process)? })
    }

    /// The steps between neighbouring times.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn along(times: &[f64], preset: &Preset, process: &AnyProcess) -> Result<Vec<Self>, Error> {
        times.windows(2).map(|pair| Self::new(pair[0], pair[1], preset, process)).collect()
    }
}

/// The jumps that the rows of a batch take.
pub struct Rows {
    inverse_norm: Arc<[f32]>,
    angles: Vec<f32>,
    from_state: Arc<[f32]>,
    from_output: Arc<[f32]>,
    keep: Arc<[f32]>,
    pull: Arc<[f32]>,
    zeros: Arc<[f32]>,
}

impl Rows {
    /// The jump of each row.
    pub fn new<'j>(jumps: impl Iterator<Item = &'j Jump> + Clone) -> Self {
        let column =
            |number: &dyn Fn(&Jump) -> f64| -> Arc<[f32]> { jumps.clone().map(|j| number(j) as f32).collect() };
        Self {
            inverse_norm: column(&|jump| 1.0 / jump.query.norm),
            angles: jumps.clone().flat_map(|jump| features_of(&jump.query.angles)).collect(),
            from_state: column(&|jump| jump.query.to_x0.from_state),
            from_output: column(&|jump| jump.query.to_x0.from_output),
            keep: column(&|jump| jump.step.keep),
            // A DDIM step has one.
            pull: column(&|jump| jump.step.pull()[0]),
            zeros: column(&|_| 0.0),
        }
    }

    /// The network's output for states `x`, `[rows, features]`.
    pub fn output(
        &self,
        network: &dyn Network,
        weights: &dyn Weights,
        x: &Tensor,
        classes: &[u32],
    ) -> Result<Tensor, Error> {
        let state = match self.inverse_norm.iter().all(|&factor| factor == 1.0) {
            true => x.clone(),
            false => combine_rows(&self.inverse_norm, x, &self.zeros, x)?,
        };
        Ok(network.forward(weights, &Inputs::of_states(state, self.angles.clone(), classes)?)?)
    }

    /// `x0_hat` from states and outputs.
    pub fn x0_hat(&self, x: &Tensor, output: &Tensor) -> Result<Tensor, Error> {
        Ok(combine_rows(&self.from_state, x, &self.from_output, output)?)
    }

    /// Where the estimates lead: `keep x + pull x0_hat`.
    pub fn land(&self, x: &Tensor, x0_hat: &Tensor) -> Result<Tensor, Error> {
        Ok(combine_rows(&self.keep, x, &self.pull, x0_hat)?)
    }
}

/// A network with its weights, as whoever teaches asks it.
#[derive(Clone, Copy)]
pub struct Teacher<'a> {
    /// The network.
    pub network: &'a dyn Network,
    /// Its weights.
    pub weights: &'a dyn Weights,
    /// Its guidance.
    pub guidance: f64,
    /// The class that stands for none.
    pub none: u32,
    /// Whether its estimates are clamped to [-1, 1].
    pub clip: bool,
}

impl Teacher<'_> {
    /// Its estimates, `[rows, features]`, without gradients.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn x0_hat(&self, rows: &Rows, x: &Tensor, classes: &[u32]) -> Result<Tensor, Error> {
        use crate::tensor::CandleTensor;
        let mut output = CandleTensor(rows.output(self.network, self.weights, x, classes)?);
        let guidance = Guidance::new(self.guidance);
        if !guidance.is_none() {
            let none = vec![self.none; classes.len()];
            let unconditional = CandleTensor(rows.output(self.network, self.weights, x, &none)?);
            guidance.apply(&mut output, &unconditional).map_err(|error| Error::Argument(error.to_string()))?;
        }
        let x0_hat = rows.x0_hat(x, &output.0)?.detach();
        Ok(if self.clip { x0_hat.clamp(-1.0, 1.0)? } else { x0_hat })
    }

    /// Where its estimates lead.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn land(&self, rows: &Rows, x: &Tensor, classes: &[u32]) -> Result<Tensor, Error> {
        rows.land(x, &self.x0_hat(rows, x, classes)?)
    }
}
