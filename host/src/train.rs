//! Training: Algorithm 3.2 from top to bottom.

use crate::batch::Batches;
use crate::checkpoint::{Description, Model, Progress, State, hexadecimal, load_state, save_state};
use crate::data::Dataset;
use crate::error::Error;
use crate::lesson::{Learner, Lesson};
use crate::loss_scale::LossScale;
use crate::mixture::denoising;
use crate::network::parameters::FrozenWeights;
use crate::network::{HalfPrecision, Network, Parameters};
use crate::operators::add_in_place;
use crate::optimiser::{AdamW, OptimiserState};
use crate::preset::{NetworkKind, Precision, Preset, TrainingSettings};
use crate::process::AnyProcess;
use crate::run_folder::{Metrics, RunFolder};
use crate::scalar::Scalar;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

/// A training under way: of a network, by a lesson.
pub struct Training<'a> {
    preset: &'a Preset,
    description: Description,
    lesson: Box<dyn Lesson + 'a>,
    network: Box<dyn Network>,
    device: Device,
    parameters: Parameters,
    optimiser: OptimiserState,
    progress: Progress,
}

/// What a training is about, beside its lesson.
pub struct Subject<'a> {
    /// The preset of the network that is trained.
    pub preset: &'a Preset,
    /// What its model files say.
    pub description: Description,
    /// Everything that fixes the training, as its `config.toml` says it.
    pub config: String,
    /// SHA-256 of what is learnt from, so that a run is not continued on anything else.
    pub fingerprint: String,
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

/// The same while its numbers may still be on the device.
pub(crate) struct Advance {
    loss: Scalar,
    gradient_norm: Scalar,
    learning_rate: f64,
}

impl<'a> Training<'a> {
    /// The training of a preset on data, from its beginning.
    ///
    /// # Errors
    /// Settings that do not fit the data.
    pub fn begin(
        preset: &'a Preset,
        data: &'a Dataset,
        process: &'a AnyProcess,
        device: &Device,
    ) -> Result<Self, Error> {
        let subject = subject(preset, data)?;
        let parameters = match preset.network.kind {
            NetworkKind::Mixture => denoising::first_weights(preset, data, device)?,
            NetworkKind::ResidualMlp | NetworkKind::Unet | NetworkKind::Transformer => {
                build(preset, &subject.description)?.initialise(preset.training.seed, device)?
            }
        };
        Self::of_lesson(subject, lesson(preset, data, process)?, parameters, device)
    }

    /// The same from the state that an earlier one saved.
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
        Self::resume_lesson(state, subject(preset, data)?, device, || lesson(preset, data, process))
    }

    /// A training of any lesson from its beginning, from given weights.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn of_lesson(
        subject: Subject<'a>,
        lesson: Box<dyn Lesson + 'a>,
        parameters: Parameters,
        device: &Device,
    ) -> Result<Self, Error> {
        let mut optimiser = OptimiserState::new(&parameters)?;
        if subject.preset.training.precision == Precision::F16 {
            optimiser.loss_scale = Some(LossScale::new(device)?);
        }
        let progress = Progress::new(subject.config, subject.fingerprint);
        Self::assemble(subject.preset, subject.description, lesson, parameters, optimiser, progress, device)
    }

    /// A training of any lesson from the state that an earlier one saved. The lesson, which may be costly, is made once the state is known
    /// to fit.
    ///
    /// # Errors
    /// As of [`resume`](Self::resume), or those of `lesson`.
    pub fn resume_lesson(
        state: &Path,
        subject: Subject<'a>,
        device: &Device,
        lesson: impl FnOnce() -> Result<Box<dyn Lesson + 'a>, Error>,
    ) -> Result<Self, Error> {
        let network = learner(subject.preset, &subject.description)?;
        let State { parameters, optimiser, progress, memory } = load_state(state, network.as_ref(), device)?;
        let mismatch = |reason: &str| {
            let folder = state.parent().unwrap_or(state).to_owned();
            Err(Error::ResumeMismatch { folder, reason: reason.to_owned() })
        };
        if progress.preset != subject.config {
            return mismatch("its checkpoint was trained by other settings than its config.toml says now");
        }
        if progress.fingerprint != subject.fingerprint {
            let changed = match subject.description.distilled {
                None => "the data have changed since this training began",
                Some(_) => "the teacher or its data have changed since this distillation began",
            };
            return mismatch(&format!("{changed}; restore them, or begin a new run with --out"));
        }
        let mut lesson = lesson()?;
        lesson.recall(progress.updates, memory);
        Self::assemble(subject.preset, subject.description, lesson, parameters, optimiser, progress, device)
    }

    fn assemble(
        preset: &'a Preset,
        description: Description,
        lesson: Box<dyn Lesson + 'a>,
        parameters: Parameters,
        optimiser: OptimiserState,
        progress: Progress,
        device: &Device,
    ) -> Result<Self, Error> {
        let network = learner(preset, &description)?;
        let device = device.clone();
        Ok(Self { preset, description, lesson, network, device, parameters, optimiser, progress })
    }

    /// What is trained, and how.
    pub fn preset(&self) -> &Preset {
        self.preset
    }

    /// Updates made so far.
    pub fn updates(&self) -> u64 {
        self.optimiser.updates
    }

    /// The number of weights.
    pub fn parameter_count(&self) -> usize {
        self.parameters.count()
    }

    /// One update: what the lesson says of a batch; step the weights and their average.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the loss or the gradient is not a number any more.
    pub fn update(&mut self) -> Result<Update, Error> {
        let Advance { loss, gradient_norm, learning_rate } = self.advance()?;
        let (loss, gradient_norm) = self.take_stock(&loss, &gradient_norm)?;
        Ok(Update { loss, gradient_norm, learning_rate })
    }

    /// One update without waiting for it; on the CPU it is done at once.
    ///
    /// On the CPU the batch is computed in parts of `training.shard` rows, one thread each, and the gradients are summed in
    /// the order of the parts, so the number of threads does not change a bit. On a device it is one part, and nothing is read back.
    pub(crate) fn advance(&mut self) -> Result<Advance, Error> {
        let (number, training) = (self.optimiser.updates, &self.preset.training);
        let rows = training.batch;
        let part = if self.device.is_cpu() { training.shard } else { rows };
        let scale = 1.0 / (rows * self.description.features()) as f64;
        let learner = Learner {
            network: self.network.as_ref(),
            weights: &self.parameters,
            optimiser: &self.optimiser,
            device: &self.device,
        };
        self.lesson.prepare(number, &learner)?;

        let parts: Vec<_> = (0..rows).step_by(part).map(|start| start..(start + part).min(rows)).collect();
        let (loss, gradients) = gradients(&self.parameters, parts, self.optimiser.loss_scale.as_ref(), |rows| {
            self.lesson.loss(&learner, number, rows, scale)
        })?;
        let learning_rate = learning_rate(training, number, self.lesson.stage(number, training.steps));
        if loss.is_known_lost() {
            return Err(Error::Diverged { step: number + 1 });
        }
        let gradient_norm = adamw(training).update(&self.parameters, &gradients, &mut self.optimiser, learning_rate)?;
        if gradient_norm.is_known_lost() && self.optimiser.loss_scale.is_none() {
            return Err(Error::Diverged { step: number + 1 });
        }
        Ok(Advance { loss, gradient_norm, learning_rate })
    }

    /// Reads what a training has come to, which on a device waits for it: the sum of losses and the last gradient's norm.
    fn take_stock(&self, loss_sum: &Scalar, gradient_norm: &Scalar) -> Result<(f64, f64), Error> {
        let (loss_sum, gradient_norm) = (loss_sum.read()?, gradient_norm.read()?);
        let is_lost = match &self.optimiser.loss_scale {
            None => !gradient_norm.is_finite(),
            // One that is out of range has been left out.
            Some(scale) => scale.is_exhausted()?,
        };
        if is_lost || !loss_sum.is_finite() {
            return Err(Error::Diverged { step: self.optimiser.updates });
        }
        Ok((loss_sum, gradient_norm))
    }

    /// Writes the state to resume from, then the model to sample from.
    fn save(&mut self, folder: &RunFolder) -> Result<(), Error> {
        self.progress.updates = self.optimiser.updates;
        self.progress.loss_scale = self.optimiser.loss_scale.as_ref().map(LossScale::read).transpose()?;
        save_state(&folder.state(), &self.parameters, &self.optimiser, &self.progress, &self.lesson.memory())?;
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
            network: build(self.preset, &self.description)?,
            weights: self.network.harvest(FrozenWeights::new(averages.collect::<candle_core::Result<_>>()?))?,
            preset: self.preset.clone(),
            description: self.description.clone(),
        })
    }

    fn save_model(&self, folder: &RunFolder) -> Result<(), Error> {
        let averages = self.parameters.iter().zip(&self.optimiser.slots);
        let averages = averages.map(|((name, _), slot)| (name.to_owned(), slot.average.clone())).collect();
        let kept = self.network.harvest(FrozenWeights::new(averages))?;
        let kept: Vec<(String, &Tensor)> = kept.iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
        Model::save(&folder.model(), &kept, &self.description)
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
        let mut loss_sum = Scalar::Host(f64::from_bits(self.progress.loss_sum_bits));
        while self.optimiser.updates < training.steps {
            let update = self.advance()?;
            let step = self.optimiser.updates;
            loss_sum = loss_sum.plus(&update.loss)?;
            if step.is_multiple_of(training.log_every) || step == training.steps {
                let since = match step % training.log_every {
                    0 => training.log_every,
                    rest => rest,
                };
                let (sum, gradient_norm) = self.take_stock(&loss_sum, &update.gradient_norm)?;
                let metrics = Metrics {
                    step,
                    loss: sum / since as f64,
                    learning_rate: update.learning_rate,
                    gradient_norm,
                    seconds: before + begun.elapsed().as_secs_f64(),
                };
                folder.append_metrics(&metrics)?;
                watch(&metrics);
                loss_sum = Scalar::Host(0.0);
            }
            if step.is_multiple_of(training.checkpoint_every) && step < training.steps {
                // Also, so that no checkpoint of weights that are no numbers replaces a good one.
                self.progress.loss_sum_bits = self.take_stock(&loss_sum, &update.gradient_norm)?.0.to_bits();
                self.save(folder)?;
            }
        }
        self.progress.loss_sum_bits = loss_sum.read()?.to_bits();
        self.save(folder)
    }
}

/// The lesson of an ordinary training: the regression of Algorithm 3.2.
struct Regression<'a> {
    batches: Batches<'a>,
    /// The samples of the update at hand.
    samples: Vec<u32>,
}

impl<'a> Regression<'a> {
    fn new(preset: &'a Preset, data: &'a Dataset, process: &'a AnyProcess) -> Result<Self, Error> {
        if preset.network.end_level {
            let reason = "network.end_level = true is for students of average velocity: make one with cargo xtask distill RUN --method average-velocity";
            return Err(Error::Argument(reason.to_owned()));
        }
        if data.conditions.is_none() && preset.data.conditions_source()?.is_text() {
            let reason = "captions must become vectors first: train this preset by cargo xtask train";
            return Err(Error::Argument(reason.to_owned()));
        }
        Ok(Self { batches: Batches::new(data, process, preset)?, samples: Vec::new() })
    }
}

impl Lesson for Regression<'_> {
    fn prepare(&mut self, update: u64, _learner: &Learner<'_>) -> Result<(), Error> {
        self.samples = self.batches.samples_of(update);
        Ok(())
    }

    fn loss(&self, learner: &Learner<'_>, update: u64, rows: Range<usize>, scale: f64) -> Result<Tensor, Error> {
        let batch = self.batches.part(update, &self.samples, rows, learner.device)?;
        batch.loss(learner.network, learner.weights, scale)
    }
}

pub(crate) fn subject<'a>(preset: &'a Preset, data: &Dataset) -> Result<Subject<'a>, Error> {
    let (description, config) = (Description::new(preset, data)?, preset.to_toml()?);
    Ok(Subject { preset, description, config, fingerprint: fingerprint(data) })
}

/// The lesson of a preset.
pub(crate) fn lesson<'a>(
    preset: &'a Preset,
    data: &'a Dataset,
    process: &'a AnyProcess,
) -> Result<Box<dyn Lesson + 'a>, Error> {
    let regression = Regression::new(preset, data, process)?;
    Ok(match preset.network.kind {
        NetworkKind::Mixture => Box::new(denoising::OnStiefel(regression)),
        NetworkKind::ResidualMlp | NetworkKind::Unet | NetworkKind::Transformer => Box::new(regression),
    })
}

/// The network that gradients flow through: of a mixture, one of free weights; in half precision, one that computes so.
fn learner(preset: &Preset, description: &Description) -> Result<Box<dyn Network>, Error> {
    let network = match preset.network.kind {
        NetworkKind::Mixture => Box::new(denoising::network(preset, description.features(), description.classes)),
        NetworkKind::ResidualMlp | NetworkKind::Unet | NetworkKind::Transformer => build(preset, description)?,
    };
    Ok(match preset.training.precision.half() {
        None => network,
        Some(dtype) => Box::new(HalfPrecision::new(network, dtype)),
    })
}

fn build(preset: &Preset, description: &Description) -> Result<Box<dyn Network>, Error> {
    preset.network.build(&description.shape, description.condition_width())
}

/// The loss of a batch and its gradient by every weight, in their order. Each part of the batch is computed on one thread;
/// `loss` gives its share of the loss. With a scale the gradients are of so many times the loss.
pub(crate) fn gradients<Part: Send>(
    parameters: &Parameters,
    parts: Vec<Part>,
    loss_scale: Option<&LossScale>,
    loss: impl Fn(Part) -> Result<Tensor, Error> + Sync,
) -> Result<(Scalar, Vec<Tensor>), Error> {
    let of_part = |part| {
        let loss = loss(part)?;
        let gradients = match loss_scale {
            None => loss.backward()?,
            Some(scale) => (&loss * scale.scale()?)?.backward()?,
        };
        let gradients = parameters.iter().map(|(_, var)| match gradients.get(var.as_tensor()) {
            Some(gradient) => gradient.contiguous(),
            None => var.zeros_like(),
        });
        Ok((Scalar::of(loss)?, gradients.collect::<candle_core::Result<Vec<Tensor>>>()?))
    };
    let is_here = parameters.iter().all(|(_, var)| var.device().is_cpu());
    // A device is given its work by one thread.
    let parts: Result<Vec<_>, Error> =
        if is_here { parts.into_par_iter().map(of_part).collect() } else { parts.into_iter().map(of_part).collect() };
    let mut parts = parts?.into_iter();
    let (mut loss, mut gradients) = parts.next().unwrap_or((Scalar::Host(0.0), Vec::new()));
    for (more, others) in parts {
        loss = loss.plus(&more)?;
        for (gradient, other) in gradients.iter_mut().zip(&others) {
            add_in_place(gradient, other)?;
        }
    }
    Ok((loss, gradients))
}

/// Linear warm-up, then a cosine down to 0, over a stage of the training.
fn learning_rate(training: &TrainingSettings, update: u64, stage: Range<u64>) -> f64 {
    let since = update - stage.start;
    let warm = ((since + 1) as f64 / training.warmup.max(1) as f64).min(1.0);
    let done = since as f64 / (stage.end - stage.start) as f64;
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
    if let Some(conditions) = &data.conditions {
        for value in &conditions.vectors {
            hash.update(value.to_le_bytes());
        }
        for row in conditions.choices.iter().flat_map(|choices| choices.iter().chain([&u32::MAX])) {
            hash.update(row.to_le_bytes());
        }
    }
    hexadecimal(&hash.finalize())
}

#[cfg(test)]
mod tests;
