//! The folded, quantised and placed network as an artifact's words.

use super::ExportError;
use super::arena::Arena;
use super::folded::{Folded, Kind};
use super::folded_convolution::FoldedConvolution;
use super::mixture::FoldedMixture;
use super::quantise::{Quantised, QuantisedNetwork};
use super::quantise_mixture::QuantisedMixture;
use super::table;
use tweedie_core::artifact::{
    self, ArtifactError, Attention, Constants, Convolution, Header, Layer, Linear, Mixture, Normalise, PlanStep,
    Rearrange, Source,
};

/// A layer's tables as words.
#[derive(Default)]
struct Tables {
    /// Weights, or constants.
    weights: Vec<u32>,
    bias: Vec<u32>,
    multipliers: Vec<u32>,
    table: Vec<u32>,
    step_bias: Vec<u32>,
    class_bias: Vec<u32>,
}

impl Tables {
    fn new(layer: &Quantised, outputs: usize) -> Result<Self, ArtifactError> {
        let unsigned = |values: &[i32]| values.iter().map(|&value| value as u32).collect();
        match layer {
            Quantised::Linear(linear) => {
                let inputs = linear.weights.len() / outputs;
                let length =
                    artifact::weight_words(inputs, outputs).ok_or(ArtifactError::Inconsistent("a layer's size"))?;
                let mut weights = vec![0; length];
                artifact::pack_weights(&linear.weights, inputs, outputs, &mut weights)?;
                Ok(Self {
                    weights,
                    bias: unsigned(&linear.bias),
                    multipliers: linear.multipliers.clone(),
                    table: table::packed(&linear.table),
                    step_bias: unsigned(&linear.step_bias),
                    class_bias: unsigned(&linear.class_bias),
                })
            }
            Quantised::Constants(numbers) => Ok(Self { weights: table::packed(numbers), ..Self::default() }),
            Quantised::Attention { .. } => Ok(Self { table: table::packed(&table::exponentials()), ..Self::default() }),
            Quantised::Moved | Quantised::Normalise { .. } | Quantised::Mixture(_) => Ok(Self::default()),
        }
    }
}

/// The artifact of these parts.
///
/// # Errors
/// Whatever the artifact's own check finds.
pub(super) fn write(
    header: &Header,
    plan: &[PlanStep],
    network: &Folded,
    quantised: &QuantisedNetwork,
    arena: &Arena,
) -> Result<Vec<u32>, ExportError> {
    let outputs = network.layers.iter().map(|layer| network.buffers[layer.output].length / layer.kind.times());
    let tables = quantised.layers.iter().zip(outputs).map(|(layer, outputs)| Tables::new(layer, outputs));
    let tables = tables.collect::<Result<Vec<_>, ArtifactError>>()?;
    let layers = quantised.layers.iter().zip(&tables).enumerate();
    let layers: Vec<Layer<'_>> =
        layers.map(|(index, (layer, tables))| record(network, arena, index, layer, tables)).collect();
    let mut words = vec![0; artifact::length(plan, &layers)];
    artifact::write(header, plan, &layers, &mut words)?;
    Ok(words)
}

/// One layer's record. Sizes fit their fields: samples and channels are limited when the network is folded.
fn record<'a>(
    network: &Folded,
    arena: &Arena,
    index: usize,
    quantised: &'a Quantised,
    tables: &'a Tables,
) -> Layer<'a> {
    let layer = &network.layers[index];
    let at = |buffer: usize| arena.offsets[buffer] as u32;
    let (input_at, output_at) = (at(layer.input), at(layer.output));
    let length = network.buffers[layer.output].length;
    let rows = |input_at: u32, inputs: usize, outputs: usize, add: bool| Linear {
        input_at,
        inputs: inputs as u32,
        output_at,
        outputs: outputs as u32,
        add,
        weights: &tables.weights,
        bias: &tables.bias,
        multipliers: &tables.multipliers,
        table: &tables.table,
        step_bias: &tables.step_bias,
        class_bias: &tables.class_bias,
    };
    let scratch_at = arena.rooms[index] as u32;
    match (&layer.kind, quantised) {
        (Kind::Convolution(convolution), _) => {
            let outputs = length / convolution.pixels();
            let rows = rows(scratch_at, convolution.inputs(), outputs, convolution.linear.add);
            Layer::Convolution(geometry(convolution, [input_at, convolution.second.map_or(0, at)], rows))
        }
        (&Kind::Normalise { features, .. }, &Quantised::Normalise { shift, epsilon, gain }) => {
            let (features, rows) = (features as u32, (length / features) as u32);
            Layer::Normalise(Normalise { input_at, features, rows, output_at, shift, epsilon, gain })
        }
        (&Kind::Attention { tokens, heads }, &Quantised::Attention { shift, multiplier }) => {
            Layer::Attention(Attention {
                input_at,
                output_at,
                scratch_at,
                tokens: tokens as u16,
                heads: heads as u16,
                depth: (length / tokens / heads) as u16,
                shift: shift as u8,
                multiplier,
                table: &tables.table,
            })
        }
        (Kind::Rearrange { patches, back }, _) => Layer::Rearrange(Rearrange {
            input_at,
            output_at,
            rows: patches.rows as u16,
            columns: patches.columns as u16,
            side: patches.side as u16,
            channels: (patches.channels / (patches.side * patches.side)) as u16,
            back: *back,
        }),
        (Kind::Mixture(mixture), Quantised::Mixture(own)) => {
            let features = network.buffers[layer.input].length;
            Layer::Mixture(mixture_record(mixture, own, [input_at, output_at, at(mixture.work)], features))
        }
        (Kind::Linear(linear), _) => {
            Layer::Linear(rows(input_at, network.buffers[layer.input].length, length, linear.add))
        }
        _ => Layer::Constants(Constants { output_at, length: length as u32, numbers: &tables.weights }),
    }
}

fn mixture_record<'a>(
    folded: &FoldedMixture,
    own: &'a QuantisedMixture,
    [input_at, output_at, work_at]: [u32; 3],
    features: usize,
) -> Mixture<'a> {
    Mixture {
        input_at,
        features: features as u32,
        output_at,
        work_at,
        components: folded.components as u16,
        rank: folded.rank as u16,
        blocks: folded.blocks as u32,
        rows: &own.rows,
        offsets: &own.offsets,
        multipliers: &own.multipliers,
        columns: &own.columns,
        output_multipliers: &own.output_multipliers,
        by_step: &own.by_step,
    }
}

fn geometry<'a>(convolution: &FoldedConvolution, at: [u32; 2], rows: Linear<'a>) -> Convolution<'a> {
    let source = |which: usize| Source {
        at: at[which],
        channels: convolution.channels[which] as u16,
        doubled: convolution.doubled[which],
    };
    let [height, width] = convolution.size;
    Convolution {
        sources: [source(0), source(1)],
        height: height as u16,
        width: width as u16,
        kernel: convolution.kernel as u8,
        stride: convolution.stride as u8,
        padding: convolution.padding as u8,
        rows,
    }
}
