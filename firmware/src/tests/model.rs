//! Whole models against an interpreter of `core::artifact`'s description that shares no code with the kernels: plain loops over wide integers.

use super::*;
use crate::sampler::{SampleError, sample};
use std::string::ToString;
use std::vec;
use std::vec::Vec;
use tweedie_core::artifact::{self, Linear, Normalise, pack_weights, weight_words};
use tweedie_core::noise::NoiseStream;
use tweedie_core::plan::Memory;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 8) as usize % n
    }
}

/// A layer with its weights as the description has them.
enum Described {
    Linear { layer: [usize; 4], add: bool, weights: Vec<i8>, tables: Vec<Vec<u32>>, packed: Vec<u32> },
    Normalise(Normalise),
}

struct Sketch {
    header: Header,
    plan: Vec<PlanStep>,
    layers: Vec<Described>,
}

/// Room for one buffer of the arena; there are four.
const ROOM: usize = 24;

impl Sketch {
    fn random(seed: u64) -> Self {
        let mut random = Random(seed);
        let features = 1 + random.below(ROOM);
        let steps = 1 + random.below(5);
        let classes = random.below(3);
        let header = Header {
            dims: [features as u16, 1, 1, 1],
            rank: 1,
            classes: classes as u16,
            clip: random.below(2) == 0,
            arena: 4 * ROOM as u32,
            input_at: 0,
            output_at: (random.below(4) * ROOM) as u32,
            offset: 0.0,
            scale: 1.0,
        };
        let plan = (0..steps)
            .map(|index| {
                let pull_count = 1 + random.below(4.min(index + 1));
                let mut pulls = [0; 4];
                // Most coefficients are below 2 in magnitude; 16 bits count in the others.
                let shift = if seed.is_multiple_of(4) { 0 } else { 5 };
                let mut coefficient = || i32::from(random.next() as i16) >> random.below(3) << random.below(1 + shift);
                pulls[..pull_count].iter_mut().for_each(|pull| *pull = coefficient());
                let (keep, kick) = (coefficient(), coefficient().max(0));
                let memory = Memory { from_state: coefficient(), from_x0: i32::from(seed as i16 | 1) };
                PlanStep {
                    keep,
                    kick: if seed.is_multiple_of(3) { 0 } else { kick },
                    memory: (seed % 5 < 2).then_some(memory),
                    from_state: random.next() as i16,
                    from_output: random.next() as i16,
                    pulls,
                    pull_count: pull_count as u8,
                    angle: 1.0 - index as f32 / steps as f32,
                }
            })
            .collect();
        let layers = (0..1 + random.below(5))
            .map(|_| {
                let from = random.below(4);
                if random.below(4) == 0 {
                    let features = 1 + random.below(ROOM);
                    return Described::Normalise(Normalise {
                        input_at: (from * ROOM) as u32,
                        features: features as u32,
                        rows: 1,
                        output_at: (random.below(4) * ROOM) as u32,
                        shift: random.below(11) as u32,
                        epsilon: 1 + (random.next() >> (24 + random.below(30))),
                        gain: random.next() >> random.below(40),
                    });
                }
                let to = (from + 1 + random.below(3)) % 4;
                let (inputs, outputs) = (1 + random.below(ROOM), 1 + random.below(ROOM));
                let mut table = |has: bool, length: usize, shift: u32| -> Vec<u32> {
                    (0..if has { length } else { 0 }).map(|_| (random.next() as i32 >> shift) as u32).collect()
                };
                let mut tables = vec![table(true, outputs, 3), table(true, outputs, 0), table(true, 129, 0)];
                tables[1].iter_mut().for_each(|m| *m >>= 1);
                tables[2][128] &= 0xffff;
                tables.push(table(seed.is_multiple_of(2), steps * outputs, 4));
                tables.push(table(seed % 5 < 3, (classes + 1) * outputs, 4));
                if random.below(2) == 0 {
                    tables[2].clear();
                }
                let weights: Vec<i8> = (0..inputs * outputs).map(|_| (random.next() as i8).max(-127)).collect();
                let mut packed = vec![0; weight_words(inputs, outputs).unwrap()];
                pack_weights(&weights, inputs, outputs, &mut packed).unwrap();
                let layer = [from * ROOM, inputs, to * ROOM, outputs];
                Described::Linear { layer, add: random.below(2) == 0, weights, tables, packed }
            })
            .collect();
        Self { header, plan, layers }
    }

    fn write(&self) -> Vec<u32> {
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|layer| match layer {
                Described::Normalise(normalise) => Layer::Normalise(*normalise),
                Described::Linear { layer, add, tables, packed, .. } => Layer::Linear(Linear {
                    input_at: layer[0] as u32,
                    inputs: layer[1] as u32,
                    output_at: layer[2] as u32,
                    outputs: layer[3] as u32,
                    add: *add,
                    weights: packed,
                    bias: &tables[0],
                    multipliers: &tables[1],
                    table: &tables[2],
                    step_bias: &tables[3],
                    class_bias: &tables[4],
                }),
            })
            .collect();
        let mut words = vec![0; artifact::length(&self.plan, &layers)];
        artifact::write(&self.header, &self.plan, &layers, &mut words).unwrap();
        words
    }

    /// Every state and estimate of the sample, as the description has them.
    fn interpret(&self, seed: u64, number: u64, class: Option<u16>) -> Vec<(Vec<i64>, Vec<i64>)> {
        let features = self.header.features();
        let noise = |draw: usize| -> Vec<i64> {
            let stream = NoiseStream::new(seed, number);
            let bits = |i: usize| i64::from(stream.normals(draw as u32, i as u64 / 4)[i % 4].to_bits());
            (0..features).map(|i| (bits(i) + (1 << 15)) >> 16).collect()
        };
        let mut arena = vec![0_i64; self.header.arena as usize];
        let mut x = noise(0);
        let mut estimates: Vec<Vec<i64>> = Vec::new();
        let mut trace = Vec::new();
        let rounded = |sum: i64| saturate((sum + (1 << 13)) >> 14);
        for (index, step) in self.plan.iter().enumerate() {
            arena[self.header.input_at as usize..][..features].copy_from_slice(&x);
            for layer in &self.layers {
                layer.interpret(&mut arena, index, usize::from(class.unwrap_or(self.header.classes)));
            }
            let output = &arena[self.header.output_at as usize..];
            let (from_state, from_output) = (i64::from(step.from_state), i64::from(step.from_output));
            let x0_hat = x.iter().zip(output).map(|(x, output)| {
                let x0_hat = rounded(from_state * x + from_output * output);
                let x0_hat = if self.header.clip { x0_hat.clamp(-4096, 4096) } else { x0_hat };
                step.memory.map_or(x0_hat, |memory| {
                    rounded(i64::from(memory.from_x0) * x0_hat + i64::from(memory.from_state) * x)
                })
            });
            estimates.push(x0_hat.collect());
            let z = noise(index + 1);
            x = (0..features)
                .map(|i| {
                    let pulls = step.pulls.iter().zip(estimates.iter().rev()).take(usize::from(step.pull_count));
                    let pulled: i64 = pulls.map(|(&pull, x0_hat)| i64::from(pull) * x0_hat[i]).sum();
                    rounded(i64::from(step.keep) * x[i] + pulled + i64::from(step.kick) * z[i])
                })
                .collect();
            trace.push((x.clone(), estimates[index].clone()));
        }
        trace
    }
}

fn saturate(z: i64) -> i64 {
    z.clamp(-32_768, 32_767)
}

impl Described {
    fn interpret(&self, arena: &mut [i64], step: usize, class: usize) {
        match self {
            Self::Linear { layer: [input_at, inputs, output_at, outputs], add, weights, tables, .. } => {
                for o in 0..*outputs {
                    let mut acc = i64::from(tables[0][o] as i32);
                    for (table, row) in [(&tables[3], step), (&tables[4], class)] {
                        if !table.is_empty() {
                            acc += i64::from(table[row * outputs + o] as i32);
                        }
                    }
                    for i in 0..*inputs {
                        acc += i64::from(weights[o * inputs + i]) * arena[input_at + i];
                    }
                    let mut z = saturate((acc * i64::from(tables[1][o]) + (1 << 31)) >> 32);
                    if !tables[2].is_empty() {
                        let entry = |k: usize| i64::from((tables[2][k / 2] >> (k % 2 * 16)) as i16);
                        let k = ((z + 32_768) >> 8) as usize;
                        z = entry(k) + (((entry(k + 1) - entry(k)) * (z & 255) + 128) >> 8);
                    }
                    let place = &mut arena[output_at + o];
                    *place = if *add { saturate(*place + z) } else { z };
                }
            }
            Self::Normalise(layer) => {
                let n = layer.features as usize;
                let input = arena[layer.input_at as usize..][..n].to_vec();
                let sum: i64 = input.iter().sum();
                let deviations: Vec<i64> = input.iter().map(|x| n as i64 * x - sum).collect();
                let v: u128 = deviations.iter().map(|d| u128::from(d.unsigned_abs()).pow(2)).sum();
                let v = u64::try_from(v + u128::from(layer.epsilon)).unwrap_or(u64::MAX);
                let e = v.leading_zeros() & !1;
                let root = u128::from(v << e).isqrt();
                let inverse = ((u128::from(layer.gain) / root) << (e / 2)).min((1 << 31) - 1) as i128;
                for (place, d) in arena[layer.output_at as usize..].iter_mut().zip(deviations) {
                    let wide = (i128::from(d << layer.shift) * inverse + (1 << 31)) >> 32;
                    *place = saturate(wide as i64);
                }
            }
        }
    }
}

fn bits(numbers: &[Q12]) -> Vec<i64> {
    numbers.iter().map(|number| i64::from(number.to_bits())).collect()
}

#[test]
fn whole_models_do_what_the_description_says() {
    for seed in 0..1_500 {
        let sketch = Sketch::random(seed);
        let words = sketch.write();
        let model = Model::parse(&words).unwrap();
        let class = sketch.header.classes.checked_sub(1).filter(|_| seed % 2 == 0);
        let expected = sketch.interpret(seed, seed + 1, class);
        // The memory's former content does not matter.
        let mut scratch = vec![0x1234_5678_u32.wrapping_mul(seed as u32); model.scratch_words() + seed as usize % 3];
        let mut trace = Vec::new();
        let drawn = sample(&model, &mut scratch, seed, seed + 1, class, |progress| {
            assert_eq!((progress.step, progress.steps), (trace.len(), sketch.plan.len()));
            assert_eq!(progress.angle, sketch.plan[progress.step].angle);
            trace.push((bits(progress.state), bits(progress.x0_hat)));
        });
        assert_eq!(bits(drawn.unwrap()), expected.last().unwrap().0, "seed {seed}");
        assert_eq!(trace, expected, "seed {seed}");
    }
}

#[test]
fn scratch_is_exact_and_a_word_less_is_refused() {
    for seed in 0..50 {
        let sketch = Sketch::random(seed);
        let words = sketch.write();
        let model = Model::parse(&words).unwrap();
        let need = model.scratch_words();
        let history = sketch.plan.iter().map(|step| usize::from(step.pull_count)).max().unwrap();
        let noisy = sketch.plan.iter().any(|step| step.kick != 0);
        let tensors = 1 + history + usize::from(noisy);
        assert_eq!(need, tensors * model.features().div_ceil(2) + 2 * ROOM);
        let mut scratch = vec![0; need - 1];
        let refused = sample(&model, &mut scratch, 0, 0, None, |_| panic!("no step is run"));
        assert_eq!(refused, Err(SampleError::Scratch { need, have: need - 1 }));
    }
}

#[test]
fn classes_that_the_model_lacks_are_refused() {
    for seed in 0..20 {
        let sketch = Sketch::random(seed);
        let words = sketch.write();
        let model = Model::parse(&words).unwrap();
        let mut scratch = vec![0; model.scratch_words()];
        let classes = sketch.header.classes;
        for class in [classes, u16::MAX] {
            let refused = sample(&model, &mut scratch, 0, 0, Some(class), |_| {}).unwrap_err();
            assert_eq!(refused, SampleError::Network(NetworkError::Class { class, classes }));
            let says = if classes == 0 { "this model has no classes" } else { "this model has classes 0 to" };
            assert!(refused.to_string().contains(says), "{refused}");
        }
    }
}

#[test]
fn a_network_refuses_tensors_and_steps_that_are_not_its_own() {
    let sketch = Sketch::random(1);
    let words = sketch.write();
    let model = Model::parse(&words).unwrap();
    let mut arena = vec![0; 2 * ROOM];
    let features = model.features();
    let (short, mut out) = (vec![Q12::ZERO; features - 1], vec![Q12::ZERO; features]);
    let x = vec![Q12::ONE; features];
    assert!(matches!(Network::new(&model, &mut [0; 3], None), Err(NetworkError::Arena { need: 48, have: 3 })));
    let mut network = Network::new(&model, &mut arena, None).unwrap();
    let out = FixedTensor::from_mut(&mut out);
    let wrong = network.denoise(FixedTensor::new(&short), StepId(0), out);
    assert_eq!(wrong, Err(NetworkError::Shape(LengthMismatch { expected: features, found: features - 1 })));
    let steps = model.steps();
    let late = network.denoise(FixedTensor::new(&x), StepId(steps), out);
    assert_eq!(late, Err(NetworkError::Step { step: steps, steps }));
    assert_eq!(network.denoise(FixedTensor::new(&x), StepId(0), out), Ok(()));
}
