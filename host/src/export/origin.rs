//! Whether an artifact can have come of a model.

use super::folded::Kind;
use super::{ExportError, frozen};
use crate::checkpoint::Model;
use crate::preset::SamplingSettings;
use tweedie_core::artifact::{Artifact, Convolution, Layer};

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
    let folded = network.layers.iter().filter_map(|layer| {
        let inputs = network.buffers[layer.input].length;
        let outputs = network.buffers[layer.output].length / layer.kind.times();
        match &layer.kind {
            Kind::Linear(_) => Some([inputs, outputs, 0]),
            Kind::Convolution(convolution) => Some([convolution.inputs(), outputs, 0]),
            Kind::Mixture(mixture) => Some([inputs, mixture.components, mixture.rank]),
            _ => None,
        }
    });
    let found = artifact.layers().filter_map(|layer| match layer {
        Layer::Linear(rows) | Layer::Convolution(Convolution { rows, .. }) => {
            Some([rows.inputs as usize, rows.outputs as usize, 0])
        }
        Layer::Mixture(mixture) => Some([mixture.features as usize, mixture.components.into(), mixture.rank.into()]),
        _ => None,
    });
    Ok(folded.eq(found))
}
