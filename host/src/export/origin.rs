//! Whether an artifact can have come of a model.

use super::folded::Kind;
use super::{ExportError, fold, freeze};
use crate::checkpoint::Model;
use crate::preset::SamplingSettings;
use crate::process::AnyProcess;
use crate::query::Query;
use crate::sample::plan_for;
use tweedie_core::artifact::{Artifact, Layer};
use tweedie_core::prediction::Prediction;
use tweedie_core::schedule::Process;

/// Whether `artifact` runs the plan of these settings, and layers of the sizes of this model: then the two draw alike from the same noise, but for
/// quantisation.
///
/// # Errors
/// An [`ExportError`] for a model that no device runs by these settings.
pub fn may_come_of(artifact: &Artifact<'_>, model: &Model, settings: &SamplingSettings) -> Result<bool, ExportError> {
    let process = AnyProcess::new(&model.preset.process)?;
    let prediction = Prediction::from(model.preset.training.prediction);
    let plan = plan_for(&model.preset, &process, settings)?;
    let plan = freeze::freeze(plan, process.level(0.0)?, &process, prediction, settings.clip)?;
    if !plan.fixed.iter().copied().eq(artifact.plan()) || artifact.header().clip != settings.clip {
        return Ok(false);
    }
    let queries = Query::along(&plan.steps, &model.preset, &process)?;
    let angles: Vec<Vec<f64>> = queries.into_iter().map(|query| query.angles).collect();
    let network = fold::fold(model, &angles)?;
    let folded = network.layers.iter().filter(|layer| matches!(layer.kind, Kind::Linear(_)));
    let folded = folded.map(|layer| (network.buffers[layer.input].length, network.buffers[layer.output].length));
    let linear = artifact.layers().filter_map(|layer| match layer {
        Layer::Linear(linear) => Some((linear.inputs as usize, linear.outputs as usize)),
        _ => None,
    });
    Ok(folded.eq(linear))
}
