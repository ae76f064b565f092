//! One point of the curve: a training on a subset, and its judgement.

use super::{Exhibit, Point, Settings, subset};
use crate::batch::Batches;
use crate::checkpoint::Model;
use crate::data::Dataset;
use crate::error::Error;
use crate::judge::classifier::Classifier;
use crate::judge::evaluation::Memorised;
use crate::judge::memorisation::{CopyFinder, distance_ratio, is_copy};
use crate::neighbours::nearest;
use crate::operators::weighted_mean_squared_error;
use crate::preset::Preset;
use crate::process::AnyProcess;
use crate::sample::sample;
use crate::train::Training;
use candle_core::Device;
use std::time::Instant;

/// Batches that a loss is averaged over: its standard error is then a few thousandths on the digits.
const LOSS_BATCHES: u64 = 32;
/// Samples that a point keeps to be looked at.
const EXHIBITS: usize = 10;

/// Measures the points of a curve.
pub struct Measurer<'a> {
    settings: &'a Settings,
    preset: &'a Preset,
    data: &'a Dataset,
    held_out: &'a Dataset,
    device: &'a Device,
    /// With a judge, it and its finder of copies of any row of `data`.
    judge: Option<(&'a Classifier, CopyFinder)>,
    /// Rows of `data` in the order in which subsets take them.
    order: Vec<u32>,
}

/// Rows with the classes that they are of, or were asked for.
#[derive(Clone, Copy)]
struct Labelled<'a> {
    rows: &'a [f32],
    classes: &'a [u32],
}

impl<'a> Measurer<'a> {
    /// A measurer of a curve of `settings`: `preset` trained on subsets of `data`. Without a `judge` copies are found by distance alone.
    ///
    /// # Errors
    /// Data of another size than the judge's; sampling settings that do not fit the preset's process.
    pub fn new(
        settings: &'a Settings,
        preset: &'a Preset,
        data: &'a Dataset,
        held_out: &'a Dataset,
        judge: Option<&'a Classifier>,
        device: &'a Device,
    ) -> Result<Self, Error> {
        crate::sample::check(preset, &AnyProcess::new(&preset.process)?, &preset.sampling)?;
        let finder = |judge: &'a Classifier| -> Result<_, Error> {
            let details = judge.opinions(&data.samples, data.sample_size())?.details;
            let width = details.len() / data.len().max(1);
            let labels = data.labels.as_deref().unwrap_or_default();
            Ok((judge, CopyFinder::new(&details, labels, data.classes, width)?))
        };
        let judge = judge.filter(|judge| judge.details() > 0).map(finder).transpose()?;
        Ok(Self { settings, preset, data, held_out, device, judge, order: subset::order(data, settings.seed) })
    }

    /// Trains a network of `width` on the first `rows` rows of the order and judges it; `watch` is told the updates made.
    ///
    /// # Errors
    /// As of [`Training`] and [`sample`].
    pub fn measure(&self, width: usize, rows: usize, mut watch: impl FnMut(u64)) -> Result<Point, Error> {
        let begun = Instant::now();
        let preset = self.preset_of(width);
        let process = AnyProcess::new(&preset.process)?;
        let numbers = &self.order[..rows];
        let part = subset::of_rows(self.data, numbers);
        let filled = subset::repeated(&part, preset.training.batch);
        let mut training = Training::begin(&preset, &filled, &process, self.device)?;
        while training.updates() < preset.training.steps {
            training.update()?;
            watch(training.updates());
        }
        let model = training.model()?;

        // A class that the subset lacks was never learnt, and would be drawn as noise.
        let mut learnt = part.labels.clone().unwrap_or_else(|| vec![0]);
        learnt.sort_unstable();
        learnt.dedup();
        let asked: Vec<u32> = learnt.iter().copied().cycle().take(self.settings.samples).collect();
        let samples = sample(&model, &preset.sampling, &asked, self.settings.seed, self.device)?;
        let strangers =
            Labelled { rows: &self.held_out.samples, classes: self.held_out.labels.as_deref().unwrap_or_default() };
        let kept = samples.chunks_exact(self.data.sample_size()).take(EXHIBITS);
        Ok(Point {
            width,
            parameters: training.parameter_count(),
            rows,
            memorised: self.memorised(Labelled { rows: &samples, classes: &asked }, numbers)?,
            strangers: self.memorised(strangers, numbers)?,
            training_loss: self.loss(&model, &process, &part)?,
            held_out_loss: self.loss(&model, &process, self.held_out)?,
            exhibits: kept.filter_map(|sample| self.exhibit(sample, &part, numbers)).collect(),
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    /// The preset of one width, which learns as long as the curve says.
    fn preset_of(&self, width: usize) -> Preset {
        let mut preset = self.preset.clone();
        preset.network.hidden = width;
        preset.training.steps = self.settings.updates;
        preset.training.seed = self.settings.seed;
        preset
    }

    /// The preset's loss of a model on `data`, the mean over noise drawn by the numbers of updates that training did not come to.
    fn loss(&self, model: &Model, process: &AnyProcess, data: &Dataset) -> Result<f64, Error> {
        let rows = model.preset.training.batch;
        let data = subset::repeated(data, rows);
        let scale = 1.0 / (rows * data.sample_size()) as f64;
        let mut batches = Batches::new(&data, process, &model.preset)?;
        let mut sum = 0.0;
        for update in self.settings.updates..self.settings.updates + LOSS_BATCHES {
            let samples = batches.samples_of(update);
            let batch = batches.part(update, &samples, 0..rows, self.device)?;
            let output = model.network.forward(&model.weights, &batch.inputs)?;
            let loss = weighted_mean_squared_error(&output, &batch.target, &batch.weights, scale)?;
            sum += f64::from(loss.to_scalar::<f32>()?);
        }
        Ok(sum / LOSS_BATCHES as f64)
    }

    /// The shares of `rows` that are copies of the rows `numbers` of the data.
    fn memorised(&self, of: Labelled, numbers: &[u32]) -> Result<Memorised<f64>, Error> {
        let size = self.data.sample_size();
        let part = subset::of_rows(self.data, numbers);
        let nearest = nearest::<2>(&part.samples, of.rows, size);
        let copies = nearest.iter().filter(|near| is_copy(distance_ratio(**near))).count();
        let by_cosine = |(judge, finder): &(&Classifier, CopyFinder)| {
            finder.among(numbers)?.share_of_copies(&judge.opinions(of.rows, size)?.details, of.classes)
        };
        Ok(Memorised {
            by_distance: copies as f64 / nearest.len().max(1) as f64,
            by_cosine: self.judge.as_ref().map(by_cosine).transpose()?,
        })
    }

    /// A sample with the row of `part`, whose numbers in the data are `numbers`, that is nearest to it.
    fn exhibit(&self, sample: &[f32], part: &Dataset, numbers: &[u32]) -> Option<Exhibit> {
        let near = *nearest::<2>(&part.samples, sample, self.data.sample_size()).first()?;
        let row = numbers[near[0].row as usize] as usize;
        Some(Exhibit { sample: sample.to_vec(), row, ratio: distance_ratio(near) })
    }
}
