//! A sampler in real numbers, and the set of all samples that an arithmetic with its roundings can draw by it.

use super::affine::{Form, Range, Symbols};
use std::collections::{BTreeMap, VecDeque};
use tweedie_core::noise::NoiseStream;

/// Network and plan, as one side holds them: the model's weights, or what the artifact's integers stand for.
#[derive(Clone, Debug)]
pub struct Sampler {
    pub features: usize,
    pub layers: Vec<Layer>,
    /// The buffers that the state is put in and that the output is taken from.
    pub input: u32,
    pub output: u32,
    pub plan: Vec<PlanStep>,
    pub clip: bool,
}

/// A layer between two buffers, which are known by number.
#[derive(Clone, Debug)]
pub struct Layer {
    pub input: u32,
    pub output: u32,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Linear(Linear),
    Normalise(Normalise),
}

/// `output <- activation(weights input + bias + step_bias[step] + class_bias[class])`, or added to the output.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[outputs, inputs]`.
    pub weights: Vec<f64>,
    /// `[outputs]`.
    pub bias: Vec<f64>,
    /// `[steps, outputs]`, or none.
    pub step_bias: Vec<f64>,
    /// `[classes + 1, outputs]`, or none.
    pub class_bias: Vec<f64>,
    pub silu: bool,
    pub add: bool,
}

/// `output <- scale (input - mean) / sqrt(variance + epsilon) + shift`.
#[derive(Clone, Debug)]
pub struct Normalise {
    pub epsilon: f64,
    pub scale: Vec<f64>,
    pub shift: Vec<f64>,
}

/// `x0_hat = from_state x + from_output network(x / norm)`, of which a memory makes the estimate `e`, then
/// `x <- keep x + sum_i pull_i e_i + kick z`, newest estimate first.
#[derive(Clone, Debug)]
pub struct PlanStep {
    pub norm: f64,
    pub from_state: f64,
    pub from_output: f64,
    /// What multiplies the state and `x0_hat` in what is remembered instead of it.
    pub memory: Option<(f64, f64)>,
    pub keep: f64,
    pub pulls: Vec<f64>,
    pub kick: f64,
}

/// Where a linear layer stands in the run.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub layer: usize,
    pub step: usize,
    pub class: usize,
}

impl Linear {
    /// The biases of a step and a class added up, and their magnitudes added up.
    pub fn biases(&self, place: Place) -> (Vec<f64>, Vec<f64>) {
        let outputs = self.bias.len();
        let of = |table: &[f64], line: usize, row: usize| table.get(line * outputs + row).copied().unwrap_or(0.0);
        let three = (0..outputs)
            .map(|row| [self.bias[row], of(&self.step_bias, place.step, row), of(&self.class_bias, place.class, row)]);
        three.map(|three| (three.iter().sum::<f64>(), three.iter().map(|b| b.abs()).sum::<f64>())).unzip()
    }
}

/// How one side computes: each operation returns all that it can make of its operands.
pub trait Arithmetic {
    /// Standard normal numbers times `scale`.
    fn noise(&self, z: Vec<f64>, scale: f64, symbols: &mut Symbols) -> Form;
    /// The state over its norm.
    fn divided(&self, x: &Form, norm: f64, symbols: &mut Symbols) -> Form;
    /// A linear layer up to its activation, without adding.
    fn linear(&self, place: Place, layer: &Linear, x: &Form, symbols: &mut Symbols) -> Form;
    /// A layer's result added to what its output holds.
    fn added(&self, place: Place, held: &Form, more: &Form, symbols: &mut Symbols) -> Form;
    /// A normalisation.
    fn normalised(&self, place: Place, layer: &Normalise, x: &Form, symbols: &mut Symbols) -> Form;
    /// `sum_i c_i t_i`, as plans combine tensors.
    fn combined(&self, terms: &[(f64, &Form)], symbols: &mut Symbols) -> Form;
}

/// Where every number of a sample lies for certain, if `arithmetic` draws it by `sampler`.
pub fn enclose(sampler: &Sampler, arithmetic: &impl Arithmetic, stream: &NoiseStream, class: usize) -> Vec<Range> {
    let mut symbols = Symbols::default();
    let normal = |draw: usize| -> Vec<f64> {
        let four = |block: usize| stream.normals(draw as u32, block as u64).map(f64::from);
        (0..sampler.features.div_ceil(4)).flat_map(four).take(sampler.features).collect()
    };
    let mut x = arithmetic.noise(normal(0), sampler.plan[0].norm, &mut symbols);
    let mut x0_hats = VecDeque::new();
    for (index, step) in sampler.plan.iter().enumerate() {
        let state = arithmetic.divided(&x, step.norm, &mut symbols);
        let output = network(sampler, arithmetic, state, (index, class), &mut symbols);
        let mut x0_hat = arithmetic.combined(&[(step.from_output, &output), (step.from_state, &x)], &mut symbols);
        if sampler.clip {
            x0_hat = x0_hat.clamped(&mut symbols, Range::new(-1.0, 1.0));
        }
        if let Some((from_state, from_x0)) = step.memory {
            x0_hat = arithmetic.combined(&[(from_x0, &x0_hat), (from_state, &x)], &mut symbols);
        }
        x0_hats.push_front(x0_hat);
        let mut terms = vec![(step.keep, &x)];
        terms.extend(step.pulls.iter().copied().zip(&x0_hats));
        let z = arithmetic.noise(normal(index + 1), 1.0, &mut symbols);
        if step.kick != 0.0 {
            terms.push((step.kick, &z));
        }
        x = arithmetic.combined(&terms, &mut symbols);
    }
    // The analysis itself is in f64, whose errors add up to far less.
    x.ranges().into_iter().map(|range| Range::new(range.low - 1e-9, range.high + 1e-9)).collect()
}

fn network(
    sampler: &Sampler,
    arithmetic: &impl Arithmetic,
    state: Form,
    (step, class): (usize, usize),
    symbols: &mut Symbols,
) -> Form {
    let mut buffers = BTreeMap::from([(sampler.input, state)]);
    for (index, layer) in sampler.layers.iter().enumerate() {
        let place = Place { layer: index, step, class };
        let input = &buffers[&layer.input];
        let output = match &layer.kind {
            Kind::Normalise(normalise) => arithmetic.normalised(place, normalise, input, symbols),
            Kind::Linear(linear) => {
                let result = arithmetic.linear(place, linear, input, symbols);
                if linear.add { arithmetic.added(place, &buffers[&layer.output], &result, symbols) } else { result }
            }
        };
        buffers.insert(layer.output, output);
    }
    buffers.remove(&sampler.output).expect("a layer that writes the output")
}
