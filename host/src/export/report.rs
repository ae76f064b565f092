//! What an export cost and how true it is.

use super::ExportError;
use super::calibrate::Calibration;
use super::folded::{Folded, Kind};
use super::integer::IntegerNetwork;
use super::prove;
use super::quantise::{Quantised, QuantisedNetwork};
use candle_core::{Device, Tensor};
use serde::Serialize;
use tweedie_core::artifact::{Artifact, Layer, STATE_FRACTION};

/// The figures of an export.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Shape of a sample.
    pub shape: Vec<usize>,
    /// Classes; 0 without.
    pub classes: usize,
    /// What each class stands for, where it is a frozen prompt or vector; else empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// Steps of the plan.
    pub steps: usize,
    /// Multiply-accumulates of all layers for one sample (of one class), every step counted.
    pub multiply_accumulates: usize,
    /// The file, in bytes.
    pub bytes: Bytes,
    /// Memory that the network's activations need, in bytes.
    pub arena_bytes: usize,
    /// Rows of calibration that the network was evaluated for.
    pub calibration_evaluations: usize,
    /// `2^31` less the largest magnitude that any accumulator can reach.
    pub least_margin: u64,
    /// The integer network's output against the float network's.
    pub output_error: OutputError,
    /// The layers in their order.
    pub layers: Vec<LayerReport>,
}

/// Where a file's bytes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// Header, plan and list of layers.
    pub head: usize,
    /// Packed weights.
    pub weights: usize,
    /// Biases and multipliers, four bytes each for every output, and constants.
    pub biases: usize,
    /// Biases for each step and each class, a mixture's terms for each step.
    pub step_and_class_biases: usize,
    /// Activation tables.
    pub tables: usize,
    /// All of them.
    pub total: usize,
}

/// Errors at points of calibration, in the network's units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OutputError {
    /// Evaluations compared.
    pub points: usize,
    /// Root of the mean square.
    pub root_mean_square: f64,
    /// Largest magnitude.
    pub largest: f64,
    /// Mean square of the output over that of the error, in dB.
    pub signal_to_noise_db: f64,
}

/// A layer's figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// Inputs; of a convolution the numbers of a patch.
    pub inputs: usize,
    /// Outputs; of a convolution those of a pixel, of a mixture the rows of one class.
    pub outputs: usize,
    /// Pixels of a convolution's output, 1 for other layers.
    pub times: usize,
    /// What 1 stands for in the 16-bit numbers of its output.
    pub unit: f64,
    /// The same before the activation, of a mixture's coordinates; none for normalisation.
    pub pre_activation_unit: Option<f64>,
    /// The exact output's variance over that of the error made by rounding this layer's weights alone, in dB; none for normalisation.
    pub weights_db: Option<f64>,
    /// What the integer network leaves in this layer's output against the float network, all earlier errors included, in dB.
    pub cumulative_db: f64,
    /// `2^31` less the largest magnitude that an accumulator of this layer can reach; none for normalisation.
    pub least_margin: Option<u64>,
}

/// What quantisation knows of a layer.
#[derive(Default)]
struct Figures {
    pre_activation_unit: Option<f64>,
    weights_db: Option<f64>,
    least_margin: Option<u64>,
}

impl Figures {
    fn of(layer: &Quantised) -> Self {
        match layer {
            Quantised::Linear(linear) => Self {
                pre_activation_unit: Some(linear.pre_activation_unit),
                weights_db: Some(decibels(linear.weights_signal_to_noise)),
                least_margin: prove::least_margin(linear),
            },
            Quantised::Mixture(mixture) => Self {
                pre_activation_unit: Some(mixture.unit),
                weights_db: Some(decibels(mixture.weights_signal_to_noise)),
                least_margin: Some(mixture.least_margin),
            },
            Quantised::Normalise { .. } | Quantised::Moved | Quantised::Constants(_) | Quantised::Attention { .. } => {
                Self::default()
            }
        }
    }
}

/// Sums of squares of a signal and of its error.
#[derive(Clone, Copy, Debug, Default)]
struct Compared {
    signal: f64,
    noise: f64,
    largest: f64,
    count: f64,
}

impl Compared {
    fn add(&mut self, exact: &[f32], fixed: &[i16], scale: f64) {
        for (&exact, &fixed) in exact.iter().zip(fixed) {
            let error = f64::from(fixed) * scale - f64::from(exact);
            self.signal += f64::from(exact) * f64::from(exact);
            self.noise += error * error;
            self.largest = self.largest.max(error.abs());
            self.count += 1.0;
        }
    }

    fn decibels(&self) -> f64 {
        decibels(self.signal / self.noise)
    }
}

fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

/// Measures an artifact against the network that it was made from, whose classes stand for `class_names`.
pub(super) fn measure(
    artifact: &Artifact<'_>,
    class_names: &[String],
    network: &Folded,
    quantised: &QuantisedNetwork,
    calibration: &Calibration,
) -> Result<Report, ExportError> {
    let header = artifact.header();
    let mut integer = IntegerNetwork::new(artifact);
    let mut compared = vec![Compared::default(); network.layers.len()];
    let mut output_compared = Compared::default();
    let one = f64::from(1 << STATE_FRACTION);
    for point in &calibration.points {
        let states = Tensor::from_slice(&point.state, (1, point.state.len()), &Device::Cpu)?;
        let class = Tensor::from_slice(&[point.class], 1, &Device::Cpu)?;
        let mut exact: Vec<Vec<f32>> = Vec::with_capacity(network.layers.len());
        let output = network.forward(&states, point.step, &class, |seen| {
            exact.push(seen.output.flatten_all()?.to_vec1()?);
            Ok(())
        })?;
        // The cast saturates, as the device's state does.
        let state: Vec<i16> = point.state.iter().map(|&x| (f64::from(x) * one).round() as i16).collect();
        let fixed = integer.run(&state, point.step, point.class as usize, |index, fixed| {
            compared[index].add(&exact[index], fixed, quantised.scales[network.layers[index].output]);
        });
        output_compared.add(&output.flatten_all()?.to_vec1::<f32>()?, fixed, 1.0 / one);
    }

    let layers: Vec<LayerReport> = network
        .layers
        .iter()
        .zip(&quantised.layers)
        .zip(&compared)
        .map(|((layer, own), compared)| {
            let figures = Figures::of(own);
            LayerReport {
                name: layer.name.clone(),
                inputs: match &layer.kind {
                    Kind::Convolution(convolution) => convolution.inputs(),
                    _ => network.buffers[layer.input].length,
                },
                outputs: match &layer.kind {
                    Kind::Mixture(mixture) => mixture.block_rows(),
                    _ => network.buffers[layer.output].length / layer.kind.times(),
                },
                times: layer.kind.times(),
                unit: quantised.scales[layer.output],
                pre_activation_unit: figures.pre_activation_unit,
                weights_db: figures.weights_db,
                cumulative_db: compared.decibels(),
                least_margin: figures.least_margin,
            }
        })
        .collect();
    let products: u64 = artifact.layers().map(|layer| layer.multiply_accumulates()).sum();
    Ok(Report {
        shape: header.dims.iter().take(usize::from(header.rank)).map(|&n| usize::from(n)).collect(),
        classes: usize::from(header.classes),
        class_names: class_names.to_vec(),
        steps: artifact.steps(),
        multiply_accumulates: products as usize * artifact.steps(),
        bytes: bytes(artifact),
        arena_bytes: 2 * header.arena as usize,
        calibration_evaluations: calibration.evaluations,
        least_margin: layers.iter().filter_map(|layer| layer.least_margin).min().unwrap_or(0),
        output_error: OutputError {
            points: calibration.points.len(),
            root_mean_square: (output_compared.noise / output_compared.count.max(1.0)).sqrt(),
            largest: output_compared.largest,
            signal_to_noise_db: output_compared.decibels(),
        },
        layers,
    })
}

fn bytes(artifact: &Artifact<'_>) -> Bytes {
    let mut bytes = Bytes { total: artifact.bytes(), ..Bytes::default() };
    for layer in artifact.layers() {
        let linear = match layer {
            Layer::Linear(linear) => linear,
            Layer::Convolution(convolution) => convolution.rows,
            Layer::Constants(constants) => {
                bytes.biases += 4 * constants.numbers.len();
                continue;
            }
            Layer::Attention(attention) => {
                bytes.tables += 4 * attention.table.len();
                continue;
            }
            Layer::Mixture(mixture) => {
                let multipliers = mixture.multipliers.len() + mixture.output_multipliers.len();
                bytes.weights += 4 * (mixture.rows.len() + mixture.columns.len());
                bytes.biases += 4 * (mixture.offsets.len() + multipliers);
                bytes.step_and_class_biases += 4 * mixture.by_step.len();
                continue;
            }
            _ => continue,
        };
        bytes.weights += 4 * linear.weights.len();
        bytes.biases += 4 * (linear.bias.len() + linear.multipliers.len());
        bytes.step_and_class_biases += 4 * (linear.step_bias.len() + linear.class_bias.len());
        bytes.tables += 4 * linear.table.len();
    }
    bytes.head = bytes.total - bytes.weights - bytes.biases - bytes.step_and_class_biases - bytes.tables;
    bytes
}
