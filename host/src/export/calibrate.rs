//! Calibration: what the network's activations look like where the device will meet them.
//!
//! Half of what is measured are trajectories of the sampler itself, the other half data noised to the plan's levels; each with and
//! without a class.

use super::ExportError;
use super::folded::{Folded, FoldedLayer, Kind, Observation};
use super::freeze::FrozenPlan;
use crate::data::Dataset;
use crate::tensor::{BatchNoise, CandleTensor};
use candle_core::{Device, Tensor};
use tweedie_core::forward::Noising;
use tweedie_core::noise::NoiseStream;
use tweedie_core::plan;
use tweedie_core::sampler::{self, Clip, SamplerError, Workspace};
use tweedie_core::{Denoiser, StepId};

/// The seed of calibration's noise: of none of the samples that people draw first.
const SEED: u64 = 0x5477_6565_6469_6521;
/// Evaluations of the network that calibration aims at, and the bounds of its rows.
const EVALUATIONS: usize = 1 << 14;
const ROWS: std::ops::RangeInclusive<usize> = 32..=512;
/// Numbers that the patches of a batch may have: a quarter of a gigabyte.
const MOST_NUMBERS: usize = 1 << 26;
/// Patches of a batch whose covariance is measured.
const MOST_PATCHES: usize = 1 << 13;
/// Rows of each step that are kept to compare the integer network with.
const KEPT_ROWS: usize = 8;

/// What has been measured.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The largest magnitude that each buffer held or was given to add.
    pub reach: Vec<f32>,
    /// For each layer.
    pub layers: Vec<LayerStatistics>,
    /// A few inputs to compare the integer network with.
    pub points: Vec<Point>,
    /// Evaluations of the network, by rows.
    pub evaluations: usize,
}

/// What one layer's numbers look like.
#[derive(Clone, Debug)]
pub struct LayerStatistics {
    /// The largest magnitude before the activation.
    pub pre_activation: f32,
    /// The least standard deviation over a row of the input: what normalisation divides by.
    pub least_deviation: f32,
    /// Mean of each input.
    pub mean: Vec<f64>,
    /// Covariance of the inputs, `[inputs, inputs]`.
    pub covariance: Vec<f64>,
}

/// One evaluation of the network, kept.
#[derive(Clone, Debug)]
pub struct Point {
    /// The step of the plan.
    pub step: usize,
    /// The class, the number of classes for none.
    pub class: u32,
    /// The normalised state.
    pub state: Vec<f32>,
}

/// Measures `network` along `plan`, with estimates clamped to [-1, 1] if `clip`.
///
/// # Errors
/// Activations that are not numbers.
pub fn calibrate(
    network: &Folded,
    plan: &FrozenPlan,
    clip: bool,
    classes: usize,
    data: Option<&Dataset>,
) -> Result<Calibration, ExportError> {
    let patches = network.layers.iter().map(|layer| layer.kind.times() * inputs(network, layer)).max().unwrap_or(0);
    let most = (MOST_NUMBERS / patches.max(1)).clamp(*ROWS.start(), *ROWS.end());
    let rows = (EVALUATIONS / plan.steps.len().max(1)).clamp(*ROWS.start(), most);
    let mut recorder = Recorder::new(network);
    // Every fourth row has no class.
    let class_of =
        |row: usize, class: usize| if row % 4 == 3 || classes == 0 { classes } else { class % classes } as u32;

    let drawn: Vec<u32> = (0..rows).map(|row| class_of(row, row / 4 * 3 + row % 4)).collect();
    recorder.trajectories(plan, clip, &drawn)?;
    if let Some(data) = data {
        recorder.noised_data(plan, data, rows, class_of)?;
    }
    recorder.finish()
}

/// Numbers that a layer's weights meet at a time, or that are normalised together; none for other layers.
fn inputs(network: &Folded, layer: &FoldedLayer) -> usize {
    match &layer.kind {
        Kind::Linear(_) | Kind::Mixture(_) => network.buffers[layer.input].length,
        Kind::Convolution(convolution) => convolution.inputs(),
        Kind::Normalise { features, .. } => *features,
        Kind::Rearrange { .. } | Kind::Constants(_) | Kind::Attention { .. } => 0,
    }
}

/// Sums while the network runs.
struct Recorder<'a> {
    network: &'a Folded,
    reach: Vec<f32>,
    sums: Vec<Sums>,
    points: Vec<Point>,
    evaluations: usize,
}

struct Sums {
    pre_activation: f32,
    least_variance: f32,
    count: f64,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl<'a> Recorder<'a> {
    fn new(network: &'a Folded) -> Self {
        let sums = network.layers.iter().map(|layer| {
            let has_weights = layer.kind.linear().is_some() || matches!(layer.kind, Kind::Mixture(_));
            let inputs = if has_weights { inputs(network, layer) } else { 0 };
            let (first, second) = (vec![0.0; inputs], vec![0.0; inputs * inputs]);
            Sums { pre_activation: 0.0, least_variance: f32::INFINITY, count: 0.0, first, second }
        });
        let reach = vec![0.0; network.buffers.len()];
        Self { network, reach, sums: sums.collect(), points: Vec::new(), evaluations: 0 }
    }

    /// One evaluation of the network for a batch.
    fn evaluate(&mut self, states: &Tensor, step: usize, classes: &[u32]) -> Result<Tensor, ExportError> {
        for (row, &class) in classes.iter().enumerate().take(KEPT_ROWS) {
            self.points.push(Point { step, class, state: states.get(row)?.to_vec1()? });
        }
        self.evaluations += classes.len();
        let classes = Tensor::from_slice(classes, classes.len(), &Device::Cpu)?;
        self.network.forward(states, step, &classes, |seen| self.observe(&seen))
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), ExportError> {
        let layer = &self.network.layers[seen.layer];
        let sums = &mut self.sums[seen.layer];
        let largest = |tensor: &Tensor| -> Result<f32, ExportError> {
            let largest = tensor.abs()?.max_all()?.to_scalar::<f32>()?;
            // A maximum may pass over what is not a number, a sum does not.
            let finite = largest.is_finite() && tensor.sum_all()?.to_scalar::<f32>()?.is_finite();
            if finite {
                Ok(largest)
            } else {
                Err(ExportError::NotFinite(format!("activations in layer {}", layer.name)))
            }
        };
        sums.pre_activation = sums.pre_activation.max(largest(seen.pre_activation)?);
        let written = largest(seen.output)?;
        let added = layer.kind.linear().filter(|linear| linear.add).map_or(0.0, |_| sums.pre_activation);
        self.reach[layer.output] = self.reach[layer.output].max(written).max(added);
        match layer.kind {
            Kind::Linear(_) | Kind::Convolution(_) | Kind::Mixture(_) => {
                // Neighbours tell little new.
                let apart = seen.input.dim(0)?.div_ceil(MOST_PATCHES);
                let chosen: Vec<u32> = (0..seen.input.dim(0)? as u32).step_by(apart).collect();
                let rows = chosen.len();
                let input = match apart {
                    1 => seen.input.clone(),
                    _ => seen.input.index_select(&Tensor::from_vec(chosen, rows, &Device::Cpu)?, 0)?,
                };
                let mean: Vec<f32> = input.sum(0)?.to_vec1()?;
                let product: Vec<f32> = input.t()?.matmul(&input)?.flatten_all()?.to_vec1()?;
                sums.count += rows as f64;
                sums.first.iter_mut().zip(mean).for_each(|(sum, x)| *sum += f64::from(x));
                sums.second.iter_mut().zip(product).for_each(|(sum, x)| *sum += f64::from(x));
            }
            Kind::Normalise { .. } => {
                let centred = seen.input.broadcast_sub(&seen.input.mean_keepdim(1)?)?;
                let least = centred.sqr()?.mean(1)?.min_all()?.to_scalar::<f32>()?;
                sums.least_variance = sums.least_variance.min(least);
            }
            Kind::Rearrange { .. } | Kind::Constants(_) | Kind::Attention { .. } => {}
        }
        Ok(())
    }

    /// Whole samples, as the sampler draws them.
    fn trajectories(&mut self, plan: &FrozenPlan, clip: bool, classes: &[u32]) -> Result<(), ExportError> {
        let features = self.network.buffers[self.network.input].length;
        let mut noise = BatchNoise::new(SEED, 0);
        let state = CandleTensor(noise.normal(0, classes.len(), features, &Device::Cpu)?);
        let mut x0_hats = vec![state.clone(); plan::history(&plan.steps)];
        let mut x0_hats: Vec<&mut CandleTensor> = x0_hats.iter_mut().collect();
        let mut noise_buffer = state.clone();
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: Some(&mut noise_buffer) };
        let clip = if clip { Clip::Range { low: -1.0, high: 1.0 } } else { Clip::None };
        let mut denoiser = Recording { recorder: self, plan, classes };
        let mut x = state;
        let done = sampler::run(&plan.steps, clip, &mut x, &mut workspace, &mut denoiser, &mut noise, |_, _, _| {});
        done.map_err(|error| match error {
            SamplerError::Denoiser(error) => error,
            SamplerError::Tensor(error) | SamplerError::Noise(error) => error.into(),
            other => crate::Error::Argument(other.to_string()).into(),
        })
    }

    /// Data noised to each level of the plan.
    fn noised_data(
        &mut self,
        plan: &FrozenPlan,
        data: &Dataset,
        rows: usize,
        class_of: impl Fn(usize, usize) -> u32,
    ) -> Result<(), ExportError> {
        let features = data.sample_size();
        let mut eps = vec![0.0_f32; features];
        for (step, at) in plan.steps.iter().enumerate() {
            let Noising { signal, noise } = Noising::jump(at.level);
            let (mut states, mut classes) = (Vec::with_capacity(rows * features), Vec::with_capacity(rows));
            for row in 0..rows {
                // Spread over the whole set, and others at each step.
                let sample = (row * data.len() / rows + step) % data.len();
                NoiseStream::new(SEED, (rows + row) as u64).fill(step as u32, &mut eps);
                let noised = data.sample(sample).iter().zip(&eps);
                states.extend(noised.map(|(&x0, &eps)| signal as f32 * x0 + noise as f32 * eps));
                classes.push(class_of(row, data.labels.as_ref().map_or(0, |labels| labels[sample] as usize)));
            }
            self.evaluate(&Tensor::from_vec(states, (rows, features), &Device::Cpu)?, step, &classes)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Calibration, ExportError> {
        let layers = self.sums.into_iter().map(|sums| {
            let inputs = sums.first.len();
            let mean: Vec<f64> = sums.first.iter().map(|sum| sum / sums.count.max(1.0)).collect();
            let mut covariance = sums.second;
            for (row, line) in covariance.chunks_exact_mut(inputs.max(1)).enumerate() {
                for (column, sum) in line.iter_mut().enumerate() {
                    *sum = *sum / sums.count.max(1.0) - mean[row] * mean[column];
                }
            }
            let least_deviation = sums.least_variance.sqrt();
            LayerStatistics { pre_activation: sums.pre_activation, least_deviation, mean, covariance }
        });
        let layers = layers.collect();
        Ok(Calibration { reach: self.reach, layers, points: self.points, evaluations: self.evaluations })
    }
}

/// The folded network as core's denoiser, recording as it goes.
struct Recording<'r, 'a> {
    recorder: &'r mut Recorder<'a>,
    plan: &'r FrozenPlan,
    classes: &'r [u32],
}

impl Denoiser<CandleTensor> for Recording<'_, '_> {
    type Error = ExportError;

    fn denoise(&mut self, x_t: &CandleTensor, step: StepId, x0_hat: &mut CandleTensor) -> Result<(), ExportError> {
        let mut output = CandleTensor(self.recorder.evaluate(&x_t.0, step.0, self.classes)?);
        let to_x0 = self.plan.to_x0[step.0];
        tweedie_core::Tensor::axpby(&mut output, to_x0.from_output, to_x0.from_state, x_t)?;
        *x0_hat = output;
        Ok(())
    }
}
