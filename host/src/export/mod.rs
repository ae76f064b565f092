//! Export: from a trained model to an artifact that a microcontroller runs from flash.
//!
//! | step | module |
//! |---|---|
//! | the plan, normalised, in 14 fractional bits | [`mod@freeze`] |
//! | embeddings become tables of biases, normalisation's scale goes into the next layer | [`mod@fold`], [`folded`] |
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
pub mod folded;
pub mod freeze;
pub mod integer;
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

pub use error::ExportError;
pub use report::Report;

use crate::checkpoint::Model;
use crate::data::Dataset;
use crate::distill::settings::Method;
use crate::preset::SamplingSettings;
use crate::process::AnyProcess;
use crate::query::Query;
use crate::sample::plan_for;
use arena::Arena;
use folded::{Folded, Kind};
use freeze::FrozenPlan;
use quantise::{Quantised, QuantisedNetwork};
use quantise_mixture::QuantisedMixture;
use tweedie_core::artifact::{self, Artifact, ArtifactError, Header, Layer, Linear, Normalise};
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
    let words = write(&header, &plan.fixed, &network, &quantised, &arena)?;
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

/// A linear layer's tables as words.
#[derive(Default)]
struct Tables {
    weights: Vec<u32>,
    bias: Vec<u32>,
    table: Vec<u32>,
    step_bias: Vec<u32>,
    class_bias: Vec<u32>,
}

fn write(
    header: &Header,
    plan: &[artifact::PlanStep],
    network: &Folded,
    quantised: &QuantisedNetwork,
    arena: &Arena,
) -> Result<Vec<u32>, ExportError> {
    let sizes = |index: usize| {
        let layer = &network.layers[index];
        (network.buffers[layer.input].length, network.buffers[layer.output].length)
    };
    let tables = quantised.layers.iter().enumerate().map(|(index, layer)| {
        let Quantised::Linear(linear) = layer else { return Ok(Tables::default()) };
        let (inputs, outputs) = sizes(index);
        let unsigned = |values: &[i32]| values.iter().map(|&value| value as u32).collect();
        let length = artifact::weight_words(inputs, outputs).ok_or(ArtifactError::Inconsistent("a layer's size"))?;
        let mut weights = vec![0; length];
        artifact::pack_weights(&linear.weights, inputs, outputs, &mut weights)?;
        Ok(Tables {
            weights,
            bias: unsigned(&linear.bias),
            table: table::packed(&linear.table),
            step_bias: unsigned(&linear.step_bias),
            class_bias: unsigned(&linear.class_bias),
        })
    });
    let tables = tables.collect::<Result<Vec<_>, ArtifactError>>()?;
    let layers = quantised.layers.iter().zip(&tables).enumerate().map(|(index, (layer, tables))| {
        let (inputs, outputs) = sizes(index);
        let FoldedPlace { input_at, output_at, add } = FoldedPlace::of(network, arena, index);
        match layer {
            Quantised::Linear(linear) => Layer::Linear(Linear {
                input_at,
                inputs: inputs as u32,
                output_at,
                outputs: outputs as u32,
                add,
                weights: &tables.weights,
                bias: &tables.bias,
                multipliers: &linear.multipliers,
                table: &tables.table,
                step_bias: &tables.step_bias,
                class_bias: &tables.class_bias,
            }),
            &Quantised::Normalise { shift, epsilon, gain } => Layer::Normalise(Normalise {
                input_at,
                features: inputs as u32,
                rows: 1,
                output_at,
                shift,
                epsilon,
                gain,
            }),
            Quantised::Mixture(own) => Layer::Mixture(mixture_layer(network, arena, index, own)),
        }
    });
    let layers: Vec<Layer<'_>> = layers.collect();
    let mut words = vec![0; artifact::length(plan, &layers)];
    artifact::write(header, plan, &layers, &mut words)?;
    Ok(words)
}

/// The record of a mixture.
fn mixture_layer<'a>(
    network: &Folded,
    arena: &Arena,
    index: usize,
    own: &'a QuantisedMixture,
) -> artifact::Mixture<'a> {
    let FoldedPlace { input_at, output_at, .. } = FoldedPlace::of(network, arena, index);
    let layer = &network.layers[index];
    let (components, rank, blocks, work) = match &layer.kind {
        Kind::Mixture(folded) => (folded.components, folded.rank, folded.blocks, folded.work),
        _ => (0, 0, 0, layer.output),
    };
    artifact::Mixture {
        input_at,
        features: network.buffers[layer.input].length as u32,
        output_at,
        work_at: arena.offsets[work] as u32,
        components: components as u16,
        rank: rank as u16,
        blocks: blocks as u32,
        rows: &own.rows,
        offsets: &own.offsets,
        multipliers: &own.multipliers,
        columns: &own.columns,
        output_multipliers: &own.output_multipliers,
        by_step: &own.by_step,
    }
}

/// Where a layer reads and writes.
struct FoldedPlace {
    input_at: u32,
    output_at: u32,
    add: bool,
}

impl FoldedPlace {
    fn of(network: &Folded, arena: &Arena, index: usize) -> Self {
        let layer = &network.layers[index];
        Self {
            input_at: arena.offsets[layer.input] as u32,
            output_at: arena.offsets[layer.output] as u32,
            add: matches!(&layer.kind, Kind::Linear(linear) if linear.add),
        }
    }
}
