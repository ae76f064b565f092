//! Whether an artifact can have come of a model.

use super::folded::Kind;
use super::{ExportError, frozen};
use crate::checkpoint::Model;
use crate::preset::SamplingSettings;
use tweedie_core::artifact::{Artifact, Layer};

/// Whether `artifact` runs the plan of these settings, and classes and layers of the sizes of this model: then the two draw alike from the same noise, but for
/// quantisation.
///
/// # Errors
/// An [`ExportError`] for a model that no device runs by these settings.
pub fn may_come_of(artifact: &Artifact<'_>, model: &Model, settings: &SamplingSettings) -> Result<bool, ExportError> {
    let (plan, network) = frozen(model, settings)?;
    if usize::from(artifact.header().classes) != model.description.classes {
        return Ok(false);
    }
    if !plan.fixed.iter().copied().eq(artifact.plan()) || artifact.header().clip != settings.clip {
        return Ok(false);
    }
    let folded = network.layers.iter().filter(|layer| matches!(layer.kind, Kind::Linear(_)));
    let folded = folded.map(|layer| (network.buffers[layer.input].length, network.buffers[layer.output].length));
    let linear = artifact.layers().filter_map(|layer| match layer {
        Layer::Linear(linear) => Some((linear.inputs as usize, linear.outputs as usize)),
        _ => None,
    });
    Ok(folded.eq(linear))
}
