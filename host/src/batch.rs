//! What one training update sees: rows of data, noised, with their targets (Algorithm 3.2).

use crate::data::Dataset;
use crate::error::Error;
use crate::network::{Condition, Inputs, Network, Weights};
use crate::noise::NoiseRows;
use crate::operators::weighted_mean_squared_error;
use crate::preset::{Preset, ProcessSettings, TimeDistribution, TrainingSettings};
use crate::process::AnyProcess;
use crate::resident::{Mix, Resident};
use crate::streams;
use candle_core::{Device, Tensor};
use std::ops::Range;
use std::sync::OnceLock;
use tweedie_core::noise::NoiseStream;
use tweedie_core::prediction::{Moment, Prediction};
use tweedie_core::schedule::Process;

/// A part of a batch, on one device; a clone shares the tensors.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What the network sees.
    pub inputs: Inputs,
    /// What it should predict: f32, `[rows, features]`.
    pub target: Tensor,
    /// The weight of each row's squared error: f32, `[rows]`.
    pub weights: Tensor,
}

impl Batch {
    /// `scale` times the weighted sum of squared errors of a network, a scalar that gradients flow from.
    pub fn loss(&self, network: &dyn Network, weights: &dyn Weights, scale: f64) -> Result<Tensor, Error> {
        let output = network.forward(weights, &self.inputs)?;
        Ok(weighted_mean_squared_error(&output, &self.target, &self.weights, scale)?)
    }
}

/// Makes batches; every one is a function of the seed and the update's number alone, so a resumed run sees the same.
pub struct Batches<'a> {
    data: &'a Dataset,
    process: &'a AnyProcess,
    preset: &'a Preset,
    seed: u64,
    /// The order of the data in a pass, with the pass's number.
    orders: [(u64, Vec<u32>); 2],
    /// The data on a device other than the CPU.
    resident: OnceLock<Resident>,
}

impl<'a> Batches<'a> {
    /// Batches of `data` as the preset says.
    ///
    /// # Errors
    /// A batch larger than the data; training times at which the preset's prediction or weight does not work.
    pub fn new(data: &'a Dataset, process: &'a AnyProcess, preset: &'a Preset) -> Result<Self, Error> {
        let (batch, samples) = (preset.training.batch, data.len());
        if batch > samples {
            return Err(Error::BatchTooLarge { batch, samples });
        }
        let batches = Self {
            data,
            process,
            preset,
            seed: preset.training.seed,
            orders: [(u64::MAX, Vec::new()), (u64::MAX, Vec::new())],
            resident: OnceLock::new(),
        };
        let ProcessSettings { min_time, max_time, .. } = preset.process;
        for (share, end) in
            [(0.0, format!("process.min_time = {min_time}")), (1.0, format!("process.max_time = {max_time}"))]
        {
            batches.try_moment(share).map_err(|error| {
                let TrainingSettings { prediction, weight, times, .. } = preset.training;
                Error::Argument(format!(
                    "prediction {prediction}, weight {weight} and times {times} do not go together with {end}: {error}; move it inwards or choose others"
                ))
            })?;
        }
        Ok(batches)
    }

    /// Whether there is a target, with a weight, at a share of the way from the least noise to the most.
    fn try_moment(&self, share: f64) -> Result<(), tweedie_core::Error> {
        let moment = Moment::at(self.process, self.time(share)?)?;
        let prediction = Prediction::from(self.preset.training.prediction);
        prediction.target(&moment)?;
        self.preset.training.weight().factor(prediction, &moment).map(|_| ())
    }

    /// Looks up which samples update number `update` uses: each pass over the data visits every sample once, in a fresh order.
    pub fn samples_of(&mut self, update: u64) -> Vec<u32> {
        let (batch, count) = (self.preset.training.batch as u64, self.data.len() as u64);
        (0..batch)
            .map(|row| {
                let position = update * batch + row;
                let (pass, place) = (position / count, (position % count) as usize);
                let slot = (pass % 2) as usize;
                if self.orders[slot].0 != pass {
                    self.orders[slot] = (pass, shuffled(self.data.len() as u32, self.seed, pass));
                }
                self.orders[slot].1[place]
            })
            .collect()
    }

    /// The training time for a share in [0, 1] of the way from the least noise to the most.
    fn time(&self, share: f64) -> Result<f64, tweedie_core::Error> {
        let horizon = self.process.horizon();
        let (first, last) = (self.preset.process.min_time * horizon, self.preset.process.max_time * horizon);
        let between = |a: f64, b: f64| a + (b - a) * share;
        let (least, most) = (self.process.level(first)?, self.process.level(last)?);
        let t = match self.preset.training.times {
            TimeDistribution::Uniform => between(first, last),
            TimeDistribution::Angle => {
                let angle = between(least.angle(), most.angle());
                self.process.time_of_angle(angle)?
            }
            TimeDistribution::LogSnr => self.process.time_of_log_snr(between(least.log_snr(), most.log_snr()))?,
        };
        // A chain is trained at its own indices, 1 ..= T.
        Ok(match self.process.chain_steps() {
            Some(steps) => (t * steps as f64).ceil().clamp(1.0, steps as f64) / steps as f64,
            None => t,
        })
    }

    /// Rows `rows` of update number `update`, whose samples are `samples`. On a device other than the CPU the samples are there already, and only
    /// numbers of rows and factors are sent.
    pub fn part(&self, update: u64, samples: &[u32], rows: Range<usize>, device: &Device) -> Result<Batch, Error> {
        let plan = self.plan(update, samples, rows.clone())?;
        if device.is_cpu() { self.here(update, rows, &plan) } else { self.there(update, rows, &plan, device) }
    }

    /// What the rows are made of.
    fn plan(&self, update: u64, samples: &[u32], rows: Range<usize>) -> Result<Vec<Row>, Error> {
        let training = &self.preset.training;
        let (prediction, weight) = (Prediction::from(training.prediction), training.weight());
        let stream = NoiseStream::new(self.seed, streams::TRAINING + update);
        let of_row = |row: usize| {
            let [time_bits, label_bits, choice_bits, _] = stream.bits(row as u32, 0);
            // One time in each of `batch` equal shares: less variance than independent times.
            let share = (row as f64 + streams::unit(time_bits)) / training.batch as f64;
            let moment = Moment::at(self.process, self.time(share)?)?;
            let norm = moment.level.norm();
            let target = prediction.target(&moment)?;
            let is_told = streams::unit(label_bits) >= training.label_dropout;
            Ok(Row {
                sample: samples[row],
                state: [(moment.level.alpha / norm) as f32, (moment.level.sigma / norm) as f32],
                target: [target.from_x0 as f32, target.from_eps as f32],
                angle: moment.level.angle(),
                told: is_told.then_some(streams::unit(choice_bits)),
                weight: weight.factor(prediction, &moment)? as f32,
            })
        };
        rows.map(of_row).collect()
    }

    /// The rows on the CPU.
    fn here(&self, update: u64, rows: Range<usize>, plan: &[Row]) -> Result<Batch, Error> {
        let (count, features) = (rows.len(), self.data.sample_size());
        let stream = NoiseStream::new(self.seed, streams::TRAINING + update);
        let (mut states, mut targets) = (Vec::with_capacity(count * features), Vec::with_capacity(count * features));
        let mut eps = vec![0.0_f32; features];
        for (number, row) in rows.zip(plan) {
            stream.fill(number as u32, &mut eps);
            let ([signal, noise], [from_x0, from_eps]) = (row.state, row.target);
            for (&x0, &eps) in self.data.sample(row.sample as usize).iter().zip(&eps) {
                states.push(signal * x0 + noise * eps);
                targets.push(from_x0 * x0 + from_eps * eps);
            }
        }
        let device = &Device::Cpu;
        let condition = match &self.data.conditions {
            Some(conditions) => {
                let of_row = |row: &Row| row.told.map(|choice| conditions.of_sample(row.sample as usize, choice));
                Condition::of_vectors(plan.iter().map(of_row), conditions.description.width(), device)?
            }
            None => self.classes(plan, device)?,
        };
        let state = Tensor::from_vec(states, (count, features), device)?;
        Self::assemble(state, Tensor::from_vec(targets, (count, features), device)?, condition, plan)
    }

    /// The rows on a device that holds the data.
    fn there(&self, update: u64, rows: Range<usize>, plan: &[Row], device: &Device) -> Result<Batch, Error> {
        let resident = Resident::once(&self.resident, self.data, device)?;
        let column = |of_row: fn(&Row) -> f32| plan.iter().map(of_row).collect();
        let mixes = [
            Mix { signal: column(|row| row.state[0]), noise: column(|row| row.state[1]) },
            Mix { signal: column(|row| row.target[0]), noise: column(|row| row.target[1]) },
        ];
        let noise = NoiseRows::of_draws(self.seed, streams::TRAINING + update, rows.start as u32);
        let samples: Vec<u32> = plan.iter().map(|row| row.sample).collect();
        let mixed = resident.noised(&samples, noise, &mixes)?;
        let condition = match &self.data.conditions {
            Some(conditions) => {
                let of_row =
                    |row: &Row| row.told.map(|choice| conditions.number_of_sample(row.sample as usize, choice));
                resident.vectors(&plan.iter().map(of_row).collect::<Vec<_>>())?
            }
            None => self.classes(plan, device)?,
        };
        let [state, target] = [&mixed[0], &mixed[1]];
        Self::assemble(state.clone(), target.clone(), condition, plan)
    }

    /// The class of each row; of the hidden ones the number of classes.
    fn classes(&self, plan: &[Row], device: &Device) -> Result<Condition, Error> {
        let none = self.data.classes as u32;
        let class = |row: &Row| match (&self.data.labels, row.told) {
            (Some(labels), Some(_)) => labels[row.sample as usize],
            _ => none,
        };
        Ok(Condition::of_classes(&plan.iter().map(class).collect::<Vec<_>>(), device)?)
    }

    fn assemble(state: Tensor, target: Tensor, condition: Condition, plan: &[Row]) -> Result<Batch, Error> {
        let angles: Vec<f64> = plan.iter().map(|row| row.angle).collect();
        let weights = Tensor::from_iter(plan.iter().map(|row| row.weight), target.device())?;
        Ok(Batch { inputs: Inputs::of_rows(state, &angles, condition)?, target, weights })
    }
}

/// What one row of a batch is made of.
struct Row {
    sample: u32,
    /// Factors of the sample and of noise in the state.
    state: [f32; 2],
    /// The same in the target.
    target: [f32; 2],
    angle: f64,
    /// A number in (0, 1) that chooses among what describes the sample; nothing if that is hidden.
    told: Option<f64>,
    weight: f32,
}

/// The numbers `0..count` in an order drawn for one pass (Fisher and Yates).
fn shuffled(count: u32, seed: u64, pass: u64) -> Vec<u32> {
    let stream = NoiseStream::new(seed, streams::ORDER + pass);
    let mut order: Vec<u32> = (0..count).collect();
    for last in (1..count).rev() {
        let [low, high, ..] = stream.bits(0, u64::from(last));
        let bits = u64::from(low) | u64::from(high) << 32;
        let other = (u128::from(bits) * u128::from(last + 1)) >> 64;
        order.swap(last as usize, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Scaling;
    use crate::network::ANGLE_FEATURES;
    use crate::network::angle_features;
    use crate::preset::PredictionName;
    use std::collections::BTreeSet;
    use tweedie_core::loss::Weight;

    const SCHEDULES: [&str; 7] = [
        "trigonometric",
        "variance-preserving",
        "variance-exploding",
        "cosine-squared",
        "linear-beta",
        "flow-matching",
        "chain",
    ];

    /// `count` samples of three numbers, each of a class of its own.
    fn points(count: usize) -> Dataset {
        let samples = (0..3 * count).map(|i| (i as f32 * 0.7).sin()).collect();
        let labels = Some((0..count as u32).collect());
        Dataset {
            name: "points".into(),
            shape: vec![3],
            samples,
            labels,
            classes: count,
            conditions: None,
            scaling: Scaling::IDENTITY,
        }
    }

    fn preset(settings: &[&str]) -> Preset {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Preset::load("digits", &settings).unwrap()
    }

    fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
        tensor.to_vec2().unwrap()
    }

    #[test]
    fn states_and_targets_are_those_of_the_formulas() {
        let data = points(11);
        for schedule in SCHEDULES {
            for prediction in ["v", "x0", "eps", "velocity"] {
                for times in ["uniform", "angle", "log-snr"] {
                    let preset = preset(&[
                        &format!("process.schedule={schedule}"),
                        &format!("training.prediction={prediction}"),
                        &format!("training.times={times}"),
                        "training.batch=11",
                        "training.label_dropout=0",
                    ]);
                    check(&data, &preset);
                }
            }
        }
    }

    /// Computes every row of an update anew, in f64.
    fn check(data: &Dataset, preset: &Preset) {
        let process = AnyProcess::new(&preset.process).unwrap();
        let mut batches = Batches::new(data, &process, preset).unwrap();
        let (count, update) = (preset.training.batch, 5);
        let samples = batches.samples_of(update);
        let batch = batches.part(update, &samples, 0..count, &Device::Cpu).unwrap();
        let (states, targets) = (rows(&batch.inputs.state), rows(&batch.target));
        let angles = rows(&batch.inputs.angle);
        let horizon = process.horizon();
        let level = |t: f64| process.level(t).unwrap();
        let (least, most) = (level(preset.process.min_time * horizon), level(preset.process.max_time * horizon));
        let stream = NoiseStream::new(preset.training.seed, streams::TRAINING + update);
        for row in 0..count {
            let share = (row as f64 + streams::unit(stream.bits(row as u32, 0)[0])) / count as f64;
            let between = |a: f64, b: f64| a + (b - a) * share;
            let mut t = match preset.training.times {
                TimeDistribution::Uniform => between(preset.process.min_time, preset.process.max_time) * horizon,
                TimeDistribution::Angle => process.time_of_angle(between(least.angle(), most.angle())).unwrap(),
                TimeDistribution::LogSnr => process.time_of_log_snr(between(least.log_snr(), most.log_snr())).unwrap(),
            };
            if let Some(steps) = process.chain_steps() {
                t = (t * steps as f64).ceil().max(1.0) / steps as f64;
            }
            let (alpha, sigma) = (level(t).alpha, level(t).sigma);
            let norm = alpha.hypot(sigma);
            let velocity = process.velocity(t).unwrap();
            let mut eps = [0.0_f32; 3];
            stream.fill(row as u32, &mut eps);
            for (i, (&x0, &eps)) in data.sample(samples[row] as usize).iter().zip(&eps).enumerate() {
                let (x0, eps) = (f64::from(x0), f64::from(eps));
                let state = (alpha * x0 + sigma * eps) / norm;
                let target = match preset.training.prediction {
                    PredictionName::X0 => x0,
                    PredictionName::Eps => eps,
                    PredictionName::V => (alpha * eps - sigma * x0) / norm,
                    PredictionName::Velocity => velocity.alpha * x0 + velocity.sigma * eps,
                };
                let name = format!("{:?} {:?} t = {t}", preset.process.schedule, preset.training);
                assert!((f64::from(states[row][i]) - state).abs() < 1e-6, "{name}: {} {state}", states[row][i]);
                let error = (f64::from(targets[row][i]) - target).abs();
                assert!(error < 1e-6 * (1.0 + target.abs()), "{name}: {} {target}", targets[row][i]);
            }
            let mut features = [0.0; ANGLE_FEATURES];
            angle_features(level(t).angle(), &mut features);
            assert_eq!(angles[row], features);
        }
        assert_eq!(batch.inputs.condition.classes().unwrap(), samples);
    }

    #[test]
    fn weights_are_the_loss_weights_of_core() {
        let data = points(8);
        for (weight, expected) in
            [("uniform", None), ("snr", Some(Weight::Snr)), ("min-snr", Some(Weight::MinSnr { gamma: 5.0 }))]
        {
            let preset = preset(&[&format!("training.weight={weight}"), "training.batch=8"]);
            let process = AnyProcess::new(&preset.process).unwrap();
            let batches = Batches::new(&data, &process, &preset).unwrap();
            let samples: Vec<u32> = (0..8).collect();
            let batch = batches.part(0, &samples, 0..8, &Device::Cpu).unwrap();
            let stream = NoiseStream::new(0, streams::TRAINING);
            for (row, own) in batch.weights.to_vec1::<f32>().unwrap().into_iter().enumerate() {
                let share = (row as f64 + streams::unit(stream.bits(row as u32, 0)[0])) / 8.0;
                let moment = Moment::at(&process, 0.001 + 0.998 * share).unwrap();
                let expected = expected.map_or(1.0, |weight| weight.factor(Prediction::V, &moment).unwrap());
                assert!((f64::from(own) - expected).abs() < 1e-6 * expected, "{weight} {own} {expected}");
            }
        }
    }

    #[test]
    fn a_pass_visits_every_sample_once() {
        let data = points(10);
        let preset = preset(&["training.batch=4"]);
        let process = AnyProcess::new(&preset.process).unwrap();
        let mut batches = Batches::new(&data, &process, &preset).unwrap();
        let visited: Vec<u32> = (0..50).flat_map(|update| batches.samples_of(update)).collect();
        assert_eq!(visited.len(), 200);
        let passes: Vec<&[u32]> = visited.chunks(10).collect();
        for pass in &passes {
            assert_eq!(pass.iter().copied().collect::<BTreeSet<_>>().len(), 10, "{pass:?}");
        }
        assert_eq!(passes.iter().collect::<BTreeSet<_>>().len(), 20, "every pass in an order of its own");
        // Whatever was asked before, as after a resumption.
        let mut later = Batches::new(&data, &process, &preset).unwrap();
        assert_eq!(later.samples_of(37), visited[37 * 4..38 * 4]);
    }

    #[test]
    fn parts_make_up_the_batch() {
        let data = points(9);
        let preset = preset(&["training.batch=9", "training.label_dropout=0.5"]);
        let process = AnyProcess::new(&preset.process).unwrap();
        let mut batches = Batches::new(&data, &process, &preset).unwrap();
        let samples = batches.samples_of(3);
        let part = |range| batches.part(3, &samples, range, &Device::Cpu).unwrap();
        let whole = part(0..9);
        let parts = [part(0..4), part(4..5), part(5..9)];
        for of in [|b: &Batch| rows(&b.inputs.state), |b: &Batch| rows(&b.inputs.angle), |b: &Batch| rows(&b.target)] {
            assert_eq!(parts.iter().flat_map(of).collect::<Vec<_>>(), of(&whole));
        }
        let classes = |b: &Batch| b.inputs.condition.classes().unwrap();
        assert_eq!(parts.iter().flat_map(classes).collect::<Vec<_>>(), classes(&whole));
    }

    /// The very bits, of classes and of vectors: what a device other than the CPU is given.
    #[test]
    fn batches_of_data_on_a_device_are_the_same() {
        use crate::data::Conditions;
        use crate::data::conditions::{VectorDescription, VectorKind};
        let mut data = points(9);
        for told_vectors in [false, true] {
            if told_vectors {
                let units = vec![Scaling::IDENTITY; 2];
                let description =
                    VectorDescription { kind: VectorKind::Text, units, examples: Vec::new(), by_class: false };
                let vectors = (0..18).flat_map(|i| [i as f32, -1.0]).collect();
                let choices = (0..9).map(|i| vec![2 * i, 2 * i + 1]).collect();
                data.conditions = Some(Conditions { description, vectors, choices });
            }
            for schedule in SCHEDULES {
                let preset = preset(&[
                    &format!("process.schedule={schedule}"),
                    "training.batch=9",
                    "training.label_dropout=0.5",
                    "training.weight=min-snr",
                ]);
                let process = AnyProcess::new(&preset.process).unwrap();
                let mut batches = Batches::new(&data, &process, &preset).unwrap();
                for update in 0..3 {
                    let samples = batches.samples_of(update);
                    let plan = batches.plan(update, &samples, 2..9).unwrap();
                    let here = batches.here(update, 2..9, &plan).unwrap();
                    let there = batches.there(update, 2..9, &plan, &Device::Cpu).unwrap();
                    assert_eq!(rows(&here.inputs.state), rows(&there.inputs.state));
                    assert_eq!(rows(&here.inputs.angle), rows(&there.inputs.angle));
                    assert_eq!(rows(&here.target), rows(&there.target));
                    assert_eq!(here.weights.to_vec1::<f32>().unwrap(), there.weights.to_vec1::<f32>().unwrap());
                    match (here.inputs.condition, there.inputs.condition) {
                        (Condition::Vector(here), Condition::Vector(there)) => assert_eq!(rows(&here), rows(&there)),
                        (here, there) => assert_eq!(here.classes().unwrap(), there.classes().unwrap()),
                    }
                }
            }
        }
    }

    #[test]
    fn labels_are_hidden_as_often_as_asked() {
        let data = points(1000);
        for dropout in [0.0, 0.3, 1.0] {
            let preset = preset(&["training.batch=1000", &format!("training.label_dropout={dropout}")]);
            let process = AnyProcess::new(&preset.process).unwrap();
            let mut batches = Batches::new(&data, &process, &preset).unwrap();
            let samples = batches.samples_of(0);
            let batch = batches.part(0, &samples, 0..1000, &Device::Cpu).unwrap();
            let classes = batch.inputs.condition.classes().unwrap();
            let hidden = classes.iter().filter(|&&class| class == 1000).count() as f64 / 1000.0;
            // Three and a half standard deviations of a thousand draws.
            assert!((hidden - dropout).abs() <= 0.05 * (dropout * (1.0 - dropout) * 4.8).sqrt(), "{hidden} {dropout}");
            assert!(classes.iter().zip(&samples).all(|(class, sample)| class == sample || *class == 1000));
        }
    }

    #[test]
    fn vectors_are_told_and_hidden_as_often_as_asked() {
        use crate::data::Conditions;
        use crate::data::conditions::{VectorDescription, VectorKind};
        let mut data = points(1000);
        let units = vec![Scaling::IDENTITY; 2];
        let description = VectorDescription { kind: VectorKind::Text, units, examples: Vec::new(), by_class: false };
        // Two vectors describe each sample.
        let vectors = (0..1000).flat_map(|i| [i as f32, 1.0, i as f32, -1.0]).collect();
        let choices = (0..1000).map(|i| vec![2 * i, 2 * i + 1]).collect();
        data.conditions = Some(Conditions { description, vectors, choices });
        let preset = preset(&["training.batch=1000", "training.label_dropout=0.25"]);
        let process = AnyProcess::new(&preset.process).unwrap();
        let mut batches = Batches::new(&data, &process, &preset).unwrap();
        let samples = batches.samples_of(0);
        let batch = batches.part(0, &samples, 0..1000, &Device::Cpu).unwrap();
        let Condition::Vector(told) = batch.inputs.condition else { panic!("the samples have vectors") };
        let told = told.to_vec2::<f32>().unwrap();
        let count = |wanted: &dyn Fn(&[f32]) -> bool| told.iter().filter(|row| wanted(row)).count();
        assert!(told.iter().zip(&samples).all(|(row, &sample)| row == &[0.0, 0.0, 1.0] || row[0] == sample as f32));
        let (hidden, up) = (count(&|row| row[2] == 1.0), count(&|row| row[1] == 1.0));
        let down = count(&|row| row[1] == -1.0);
        assert!((200..300).contains(&hidden) && up > 300 && down > 300, "{hidden} {up} {down}");
        assert_eq!(hidden + up + down, 1000);
    }

    #[test]
    fn ends_of_time_that_do_not_work_are_named() {
        let data = points(300);
        for (settings, sentence) in [
            (
                ["process.schedule=variance-preserving", "training.prediction=velocity", "process.max_time=1"],
                "process.max_time = 1",
            ),
            (["training.weight=snr", "training.prediction=x0", "process.min_time=0"], "process.min_time = 0"),
            (["training.times=log-snr", "training.prediction=v", "process.min_time=0"], "process.min_time = 0"),
        ] {
            let preset = preset(&settings);
            let process = AnyProcess::new(&preset.process).unwrap();
            let error = Batches::new(&data, &process, &preset).err().expect(sentence).to_string();
            assert!(error.contains(sentence), "{error}");
        }
    }
}
