//! Export: from a trained model to an artifact that a microcontroller runs from flash.
//!
//! | step | module |
//! |---|---|
//! | the plan, normalised, in 14 fractional bits | [`mod@freeze`] |
//! | embeddings become tables of biases, normalisation's scale goes into the next layer | [`mod@fold`], [`folded`], [`folded_convolution`] |
//! | activations measured along the sampler's own trajectories and on noised data | [`mod@calibrate`] |
//! | scales, 8-bit weights, 32-bit biases, multipliers, activation tables | [`mod@quantise`], [`rounding`], [`table`] |
//! | no accumulator can overflow | [`prove`] |
//! | the same of a mixture: levels, gains in formats of their own for each step | [`mixture`], [`quantise_mixture`] |
//! | where buffers lie in the device's memory | [`arena`] |
//! | bytes, and errors against the float network | [`report`], [`integer`], [`integer_mixture`] |
//! | whether an artifact can have come of a model | [`origin`] |
//!
//! The format and the device's arithmetic are core's: [`tweedie_core::artifact`].

pub mod arena;
pub mod calibrate;
mod error;
pub mod fold;
mod fold_images;
pub mod folded;
pub mod folded_convolution;
pub mod freeze;
#[cfg(test)]
mod image_tests;
pub mod integer;
mod integer_images;
pub mod integer_mixture;
pub mod mixture;
pub mod origin;
pub mod prove;
pub mod quantise;
pub mod quantise_mixture;
pub mod report;
pub mod rounding;
pub mod table;
#[cfg(test)]
mod tests;
mod write;

pub use error::ExportError;
pub use report::Report;

use crate::checkpoint::Model;
use crate::data::Dataset;
use crate::distill::settings::Method;
use crate::preset::SamplingSettings;
use crate::process::AnyProcess;
use crate::query::Query;
use crate::sample::plan_for;
use folded::Folded;
use freeze::FrozenPlan;
use tweedie_core::artifact::{Artifact, Header};
use tweedie_core::prediction::Prediction;
use tweedie_core::schedule::Process;

/// An artifact and its figures.
#[derive(Clone, Debug)]
pub struct Export {
    /// The artifact, as [`Artifact::parse`] reads it; a file holds each word's bytes in little-endian order.
    pub words: Vec<u32>,
    /// What it cost and how true it is.
    pub report: Report,
}

impl Export {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// Makes an artifact of a model, whose weights are on the CPU, for the solver and steps of `settings`. Calibration runs the sampler, and
/// with `data` also the network on noised samples of those.
///
/// # Errors
/// An [`ExportError`] for whatever a device cannot run, with a remedy.
pub fn export(model: &Model, settings: &SamplingSettings, data: Option<&Dataset>) -> Result<Export, ExportError> {
    let description = &model.description;
    if settings.guidance != 1.0 {
        return Err(ExportError::Guidance(settings.guidance));
    }
    if settings.threshold > 0.0 {
        return Err(ExportError::Threshold);
    }
    if let Some(data) = data
        && (data.shape != description.shape || data.classes != description.classes || data.is_empty())
    {
        return Err(ExportError::OtherData {
            found: data.shape.clone(),
            found_classes: data.classes,
            expected: description.shape.clone(),
            expected_classes: description.classes,
        });
    }
    let (plan, network) = frozen(model, settings)?;
    // A student of whole trajectories meets its own states alone; noised data are none of them.
    let data = data.filter(|_| description.distilled != Some(Method::Trajectory));
    let calibration = calibrate::calibrate(&network, &plan, settings.clip, description.classes, data)?;
    let quantised = quantise::quantise(&network, &calibration)?;
    let arena = arena::plan(&network);

    let mut dims = [1; 4];
    for (dim, &length) in dims.iter_mut().zip(&description.shape) {
        *dim = length as u16;
    }
    let header = Header {
        dims,
        rank: description.shape.len() as u8,
        classes: description.classes as u16,
        clip: settings.clip,
        arena: arena.elements as u32,
        input_at: arena.offsets[network.input] as u32,
        output_at: arena.offsets[network.output] as u32,
        offset: description.offset,
        scale: description.scale,
    };
    let words = write::write(&header, &plan.fixed, &network, &quantised, &arena)?;
    let report =
        report::measure(&Artifact::parse(&words)?, &description.class_names, &network, &quantised, &calibration)?;
    Ok(Export { words, report })
}

/// The plan of these settings as a device runs it, and the model's network folded for it.
fn frozen(model: &Model, settings: &SamplingSettings) -> Result<(FrozenPlan, Folded), ExportError> {
    model.accepts(settings)?;
    let process = AnyProcess::new(&model.preset.process)?;
    let prediction = Prediction::from(model.preset.training.prediction);
    let plan = plan_for(&model.preset, &process, settings)?;
    // Plans end at time 0.
    let plan = freeze::freeze(plan, process.level(0.0)?, &process, prediction, settings.clip)?;
    let queries = Query::along(&plan.steps, &model.preset, &process)?;
    let angles: Vec<Vec<f64>> = queries.into_iter().map(|query| query.angles).collect();
    let network = fold::fold(model, &angles)?;
    Ok((plan, network))
}
