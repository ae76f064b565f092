//! Artifacts of residual networks with random sizes, numbers and plans; half of the plans are those of solvers.

use quickcheck::{Arbitrary, Gen};
use tweedie_core::artifact::{
    self, Header, Layer, Linear, Normalise, PlanStep, TABLE_ENTRIES, pack_weights, weight_words,
};
use tweedie_core::plan::Memory;
use tweedie_core::prediction::Prediction;
use tweedie_core::schedule::Process;
use tweedie_host::export::freeze::freeze;
use tweedie_host::preset::{Preset, SolverName};
use tweedie_host::process::AnyProcess;
use tweedie_host::sample::plan_for;

/// A residual network with random sizes and numbers, as an artifact.
#[derive(Clone, Debug)]
pub struct RandomModel {
    pub words: Vec<u32>,
}

pub fn within(g: &mut Gen, low: i64, high: i64) -> i64 {
    low + i64::from(u32::arbitrary(g)) % (high - low + 1)
}

fn numbers<N>(g: &mut Gen, count: usize, mut number: impl FnMut(&mut Gen) -> N) -> Vec<N> {
    (0..count).map(|_| number(g)).collect()
}

/// The numbers of a linear layer.
pub struct Numbers {
    weights: Vec<u32>,
    bias: Vec<u32>,
    multipliers: Vec<u32>,
    table: Vec<u32>,
    step_bias: Vec<u32>,
    class_bias: Vec<u32>,
}

impl Numbers {
    pub fn new(g: &mut Gen, inputs: usize, outputs: usize, [steps, classes]: [usize; 2]) -> Self {
        // Some layers at the extremes of a weight, most of them ordinary.
        let widest = *g.choose(&[127, 127, 40, 1]).unwrap();
        let weights = numbers(g, inputs * outputs, |g| within(g, -widest, widest) as i8);
        let mut packed = vec![0; weight_words(inputs, outputs).unwrap()];
        pack_weights(&weights, inputs, outputs, &mut packed).unwrap();
        let biases = |g: &mut Gen, count| numbers(g, count, |g| within(g, -1 << 24, 1 << 24) as u32);
        let half = |g: &mut Gen| within(g, -30_000, 30_000) as u16;
        let mut table = Vec::new();
        if bool::arbitrary(g) {
            table = numbers(g, TABLE_ENTRIES / 2, |g| u32::from(half(g)) | u32::from(half(g)) << 16);
            table.push(u32::from(half(g)));
        }
        Self {
            weights: packed,
            bias: biases(g, outputs),
            multipliers: numbers(g, outputs, |g| within(g, 0, 1 << 26) as u32),
            table,
            step_bias: if bool::arbitrary(g) { biases(g, steps * outputs) } else { Vec::new() },
            class_bias: if bool::arbitrary(g) { biases(g, (classes + 1) * outputs) } else { Vec::new() },
        }
    }

    pub fn layer(&self, input: (usize, usize), output: (usize, usize), add: bool) -> Layer<'_> {
        Layer::Linear(self.linear(input, output, add))
    }

    pub fn linear(&self, input: (usize, usize), output: (usize, usize), add: bool) -> Linear<'_> {
        Linear {
            input_at: input.0 as u32,
            inputs: input.1 as u32,
            output_at: output.0 as u32,
            outputs: output.1 as u32,
            add,
            weights: &self.weights,
            bias: &self.bias,
            multipliers: &self.multipliers,
            table: &self.table,
            step_bias: &self.step_bias,
            class_bias: &self.class_bias,
        }
    }
}

/// Coefficients of no solver.
pub fn random_plan(g: &mut Gen) -> Vec<PlanStep> {
    let steps = within(g, 1, 5) as usize;
    // Some with what solvers that extrapolate need: coefficients beyond 2, and memories.
    let (widest, remembers) = (within(g, 0, 5), within(g, 0, 3) == 0);
    let coefficient = |g: &mut Gen| (within(g, -1 << 14, 1 << 14) << within(g, 0, widest)) as i32;
    let conversion = |g: &mut Gen| within(g, -1 << 14, 1 << 14) as i16;
    let step = |step: usize| {
        let pull_count = within(g, 1, 1 + step.min(3) as i64) as u8;
        let mut pulls = [0; 4];
        pulls[..usize::from(pull_count)].fill_with(|| coefficient(g));
        PlanStep {
            keep: coefficient(g),
            kick: if bool::arbitrary(g) { coefficient(g).saturating_abs() } else { 0 },
            from_state: conversion(g),
            from_output: conversion(g),
            pulls,
            pull_count,
            memory: remembers.then(|| Memory { from_state: within(g, 1, 1 << 14) as i32, from_x0: coefficient(g) }),
            angle: 0.5,
        }
    };
    (0..steps).map(step).collect()
}

/// A solver's plan over a random way, as export freezes it; none for a solver that does not walk it.
fn solver_plan(g: &mut Gen, solver: SolverName, clip: bool) -> Option<Vec<PlanStep>> {
    let schedule = g.choose(&["trigonometric", "variance-preserving", "variance-exploding", "flow-matching"])?;
    let spacing = g.choose(&["uniform", "exponential", "log-snr", "karras"])?;
    let overrides = [
        format!("process.schedule={schedule}"),
        format!("process.max_time={}", g.choose(&[0.9, 0.99, 0.999])?),
        format!("sampling.solver={solver}"),
        format!("sampling.spacing={spacing}"),
        format!("sampling.steps={}", within(g, 2, 8)),
    ];
    let preset = Preset::parse("random", "", &overrides).unwrap();
    let process = AnyProcess::new(&preset.process).unwrap();
    let plan = plan_for(&preset, &process, &preset.sampling).ok()?;
    let frozen = freeze(plan, process.level(0.0).unwrap(), &process, Prediction::V, clip);
    frozen.ok().map(|frozen| frozen.fixed)
}

impl AsRef<[u32]> for RandomModel {
    fn as_ref(&self) -> &[u32] {
        &self.words
    }
}

impl RandomModel {
    /// A model with a plan of its own or of a solver.
    pub fn new(g: &mut Gen, solver: Option<SolverName>) -> Option<Self> {
        let features = within(g, 1, 20) as usize;
        let hidden = within(g, 1, 24) as usize;
        let classes = within(g, 1, 3) as usize;
        let clip = bool::arbitrary(g);
        let plan = match solver {
            Some(solver) => solver_plan(g, solver, clip)?,
            None => random_plan(g),
        };
        let steps = plan.len();
        let counts = [steps, classes];
        let first = Numbers::new(g, features, hidden, counts);
        let second = Numbers::new(g, hidden, hidden, counts);
        let last = Numbers::new(g, hidden, features, counts);
        let (x, h, n) = (0, features.next_multiple_of(4), features.next_multiple_of(4) + hidden.next_multiple_of(4));
        let out = n + hidden.next_multiple_of(4);
        let layers = [
            first.layer((x, features), (h, hidden), false),
            Layer::Normalise(Normalise {
                input_at: h as u32,
                features: hidden as u32,
                rows: 1,
                output_at: n as u32,
                shift: within(g, 0, 10) as u32,
                epsilon: within(g, 1, 1 << 20) as u64,
                gain: (within(g, 1, 1 << 30) as u64) << within(g, 0, 20),
            }),
            second.layer((n, hidden), (h, hidden), true),
            last.layer((h, hidden), (out, features), false),
        ];
        let header = Header {
            dims: [features as u16, 1, 1, 1],
            rank: 1,
            classes: classes as u16,
            clip,
            arena: (out + features.next_multiple_of(4)) as u32,
            input_at: x as u32,
            output_at: out as u32,
            offset: 0.0,
            scale: 1.0,
        };
        let mut words = vec![0; artifact::length(&plan, &layers)];
        artifact::write(&header, &plan, &layers, &mut words).unwrap();
        Some(Self { words })
    }
}
