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
    let length = |buffer: usize| network.buffers[buffer].length;
    let folded = network.layers.iter().filter_map(|layer| match &layer.kind {
        Kind::Linear(_) => Some([length(layer.input), length(layer.output), 0]),
        Kind::Normalise(_) => None,
        Kind::Mixture(mixture) => Some([length(layer.input), mixture.components, mixture.rank]),
    });
    let found = artifact.layers().filter_map(|layer| match layer {
        Layer::Linear(linear) => Some([linear.inputs as usize, linear.outputs as usize, 0]),
        Layer::Mixture(mixture) => Some([mixture.features as usize, mixture.components.into(), mixture.rank.into()]),
        _ => None,
    });
    Ok(folded.eq(found))
}
