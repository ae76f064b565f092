//! Training: Algorithm 3.2 from top to bottom.

use crate::batch::{Batch, Batches};
use crate::checkpoint::{Description, Model, Progress, hexadecimal, load_state, save_state};
use crate::data::Dataset;
use crate::error::Error;
use crate::network::parameters::FrozenWeights;
use crate::network::{Network, Parameters};
use crate::operators::{add_in_place, weighted_mean_squared_error};
use crate::optimiser::{AdamW, OptimiserState};
use crate::preset::{Preset, TrainingSettings};
use crate::process::AnyProcess;
use crate::run_folder::{Metrics, RunFolder};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Instant;

/// A training under way.
pub struct Training<'a> {
    preset: &'a Preset,
    data: &'a Dataset,
    batches: Batches<'a>,
    network: Box<dyn Network>,
    device: Device,
    parameters: Parameters,
    optimiser: OptimiserState,
    progress: Progress,
}

/// One update's outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The mean weighted squared error of the batch.
    pub loss: f64,
    /// The gradient's norm before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
}

impl<'a> Training<'a> {
    /// A training from its beginning.
    ///
    /// # Errors
    /// Settings that do not fit the data.
    pub fn begin(
        preset: &'a Preset,
        data: &'a Dataset,
        process: &'a AnyProcess,
        device: &Device,
    ) -> Result<Self, Error> {
        let network = preset.network.build(data.sample_size(), data.classes);
        let parameters = network.initialise(preset.training.seed, device)?;
        let optimiser = OptimiserState::new(&parameters)?;
        let progress = Progress::new(preset, fingerprint(data))?;
        let batches = Batches::new(data, process, preset)?;
        Ok(Self { preset, data, batches, network, device: device.clone(), parameters, optimiser, progress })
    }

    /// A training from the state that an earlier one saved.
    ///
    /// # Errors
    /// [`Error::ResumeMismatch`] for another preset or other data than the state's; a state that is damaged.
    pub fn resume(
        state: &Path,
        preset: &'a Preset,
        data: &'a Dataset,
        process: &'a AnyProcess,
        device: &Device,
    ) -> Result<Self, Error> {
        let network = preset.network.build(data.sample_size(), data.classes);
        let (parameters, optimiser, progress) = load_state(state, network.as_ref(), device)?;
        let mismatch = |reason: &str| {
            let folder = state.parent().unwrap_or(state).to_owned();
            Err(Error::ResumeMismatch { folder, reason: reason.to_owned() })
        };
        if progress.preset != preset.to_toml()? {
            return mismatch("its checkpoint was trained by other settings than its config.toml says now");
        }
        if progress.fingerprint != fingerprint(data) {
            return mismatch(
                "the data have changed since this training began; restore them, or begin a new run with --out",
            );
        }
        let batches = Batches::new(data, process, preset)?;
        Ok(Self { preset, data, batches, network, device: device.clone(), parameters, optimiser, progress })
    }

    /// Updates made so far.
    pub fn updates(&self) -> u64 {
        self.optimiser.updates
    }

    /// The number of weights.
    pub fn parameter_count(&self) -> usize {
        self.parameters.count()
    }

    /// One update: draw data, times and noise; regress the target; step the weights and their average.
    ///
    /// On the CPU the batch is computed in parts of `training.shard` rows, one thread each, and the gradients are summed in
    /// the order of the parts, so the number of threads does not change a bit.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the loss or the gradient is not a number any more.
    pub fn update(&mut self) -> Result<Update, Error> {
        let (number, training) = (self.optimiser.updates, &self.preset.training);
        let samples = self.batches.samples_of(number);
        let rows = training.batch;
        let part = if self.device.is_cpu() { training.shard } else { rows };
        let scale = 1.0 / (rows * self.data.sample_size()) as f64;

        let parts: Vec<_> = (0..rows).step_by(part).map(|start| start..(start + part).min(rows)).collect();
        let batch = |rows| self.batches.part(number, &samples, rows, &self.device);
        let (loss, gradients) = gradients(self.network.as_ref(), &self.parameters, parts, batch, scale)?;
        let learning_rate = learning_rate(training, number);
        if !loss.is_finite() {
            return Err(Error::Diverged { step: number + 1 });
        }
        let gradient_norm = adamw(training).update(&self.parameters, &gradients, &mut self.optimiser, learning_rate)?;
        if !gradient_norm.is_finite() {
            return Err(Error::Diverged { step: number + 1 });
        }
        Ok(Update { loss, gradient_norm, learning_rate })
    }

    /// Writes the state to resume from, then the model to sample from.
    fn save(&mut self, folder: &RunFolder) -> Result<(), Error> {
        self.progress.updates = self.optimiser.updates;
        save_state(&folder.state(), &self.parameters, &self.optimiser, &self.progress)?;
        self.save_model(folder)
    }

    /// The model as it is now, to sample from without a file; later updates do not change it.
    ///
    /// # Errors
    /// A device that cannot copy weights.
    pub fn model(&self) -> Result<Model, Error> {
        let averages = self.parameters.iter().zip(&self.optimiser.slots);
        let averages = averages.map(|((name, _), slot)| Ok((name.to_owned(), slot.average.copy()?)));
        Ok(Model {
            network: self.preset.network.build(self.data.sample_size(), self.data.classes),
            weights: FrozenWeights::new(averages.collect::<candle_core::Result<_>>()?),
            preset: self.preset.clone(),
            description: Description::new(self.preset, self.data)?,
        })
    }

    fn save_model(&self, folder: &RunFolder) -> Result<(), Error> {
        let averages: Vec<(String, &Tensor)> = self
            .parameters
            .iter()
            .zip(&self.optimiser.slots)
            .map(|((name, _), slot)| (name.to_owned(), &slot.average))
            .collect();
        Model::save(&folder.model(), &averages, &Description::new(self.preset, self.data)?)
    }

    /// Trains to the preset's number of updates into a run folder; `watch` sees every line of metrics.
    ///
    /// # Errors
    /// Divergence, or a file that cannot be written: the checkpoint before it is kept.
    pub fn run(&mut self, folder: &RunFolder, mut watch: impl FnMut(&Metrics)) -> Result<(), Error> {
        let training = &self.preset.training;
        // Wall time is no part of the state, so that the state is a function of the settings alone.
        let before = folder.rewind_metrics(self.optimiser.updates)?.map_or(0.0, |metrics| metrics.seconds);
        let begun = Instant::now();
        let mut loss_sum = f64::from_bits(self.progress.loss_sum_bits);
        while self.optimiser.updates < training.steps {
            let update = self.update()?;
            let step = self.optimiser.updates;
            loss_sum += update.loss;
            if step.is_multiple_of(training.log_every) || step == training.steps {
                let since = match step % training.log_every {
                    0 => training.log_every,
                    rest => rest,
                };
                let metrics = Metrics {
                    step,
                    loss: loss_sum / since as f64,
                    learning_rate: update.learning_rate,
                    gradient_norm: update.gradient_norm,
                    seconds: before + begun.elapsed().as_secs_f64(),
                };
                folder.append_metrics(&metrics)?;
                watch(&metrics);
                loss_sum = 0.0;
            }
            self.progress.loss_sum_bits = loss_sum.to_bits();
            if step.is_multiple_of(training.checkpoint_every) && step < training.steps {
                self.save(folder)?;
            }
        }
        self.save(folder)
    }
}

/// The loss of a batch and its gradient by every weight, in their order. Each part of the batch is made and computed on
/// one thread; `scale` is the loss's factor on the weighted sum of squares over all of them.
pub(crate) fn gradients<Part: Send>(
    network: &dyn Network,
    parameters: &Parameters,
    parts: Vec<Part>,
    batch: impl Fn(Part) -> Result<Batch, Error> + Sync,
    scale: f64,
) -> Result<(f64, Vec<Tensor>), Error> {
    let parts = parts
        .into_par_iter()
        .map(|part| {
            let batch = batch(part)?;
            let output = network.forward(parameters, &batch.inputs)?;
            let loss = weighted_mean_squared_error(&output, &batch.target, &batch.weights, scale)?;
            let gradients = loss.backward()?;
            let gradients = parameters.iter().map(|(_, var)| match gradients.get(var.as_tensor()) {
                Some(gradient) => gradient.contiguous(),
                None => var.zeros_like(),
            });
            Ok((f64::from(loss.to_scalar::<f32>()?), gradients.collect::<candle_core::Result<Vec<Tensor>>>()?))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut parts = parts.into_iter();
    let (mut loss, mut gradients) = parts.next().unwrap_or_default();
    for (more, others) in parts {
        loss += more;
        for (gradient, other) in gradients.iter_mut().zip(&others) {
            add_in_place(gradient, other)?;
        }
    }
    Ok((loss, gradients))
}

/// Linear warm-up, then a cosine down to 0.
fn learning_rate(training: &TrainingSettings, update: u64) -> f64 {
    let warm = ((update + 1) as f64 / training.warmup.max(1) as f64).min(1.0);
    let done = update as f64 / training.steps as f64;
    training.learning_rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

/// The optimiser of a preset.
pub(crate) fn adamw(training: &TrainingSettings) -> AdamW {
    AdamW {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: training.weight_decay,
        gradient_clip: training.gradient_clip,
        ema: training.ema,
    }
}

/// SHA-256 of everything that training sees of the data, in hexadecimal.
pub(crate) fn fingerprint(data: &Dataset) -> String {
    let mut hash = Sha256::new();
    for &length in &data.shape {
        hash.update((length as u64).to_le_bytes());
    }
    for value in &data.samples {
        hash.update(value.to_le_bytes());
    }
    for label in data.labels.iter().flatten() {
        hash.update(label.to_le_bytes());
    }
    hexadecimal(&hash.finalize())
}
