//! Exact parity: whole samples of random small networks are the same bytes here and on every emulated microcontroller.
//!
//! Networks, plans and seeds are quickcheck's. All of them go to the chip in one file, so that a run of the emulator serves the lot.

use draws::{assert_same_everywhere, lines};
use quickcheck::{Arbitrary, Gen};
use tweedie_core::artifact::{
    self, Header, Layer, Linear, Normalise, PlanStep, TABLE_ENTRIES, pack_weights, weight_words,
};

mod draws;
mod emulator;

/// Networks in one run.
const MODELS: usize = 48;

/// A residual network with random sizes and numbers, as an artifact.
#[derive(Clone, Debug)]
struct RandomModel {
    words: Vec<u32>,
}

fn within(g: &mut Gen, low: i64, high: i64) -> i64 {
    low + i64::from(u32::arbitrary(g)) % (high - low + 1)
}

fn numbers<N>(g: &mut Gen, count: usize, mut number: impl FnMut(&mut Gen) -> N) -> Vec<N> {
    (0..count).map(|_| number(g)).collect()
}

/// The numbers of a linear layer.
struct Numbers {
    weights: Vec<u32>,
    bias: Vec<u32>,
    multipliers: Vec<u32>,
    table: Vec<u32>,
    step_bias: Vec<u32>,
    class_bias: Vec<u32>,
}

impl Numbers {
    fn new(g: &mut Gen, inputs: usize, outputs: usize, [steps, classes]: [usize; 2]) -> Self {
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

    fn layer(&self, input: (usize, usize), output: (usize, usize), add: bool) -> Layer<'_> {
        Layer::Linear(Linear {
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
        })
    }
}

impl AsRef<[u32]> for RandomModel {
    fn as_ref(&self) -> &[u32] {
        &self.words
    }
}

impl Arbitrary for RandomModel {
    fn arbitrary(g: &mut Gen) -> Self {
        let features = within(g, 1, 20) as usize;
        let hidden = within(g, 1, 24) as usize;
        let classes = within(g, 1, 3) as usize;
        let steps = within(g, 1, 5) as usize;
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
                output_at: n as u32,
                shift: within(g, 0, 10) as u32,
                epsilon: within(g, 1, 1 << 20) as u64,
                gain: (within(g, 1, 1 << 30) as u64) << within(g, 0, 20),
            }),
            second.layer((n, hidden), (h, hidden), true),
            last.layer((h, hidden), (out, features), false),
        ];
        let coefficient = |g: &mut Gen| within(g, -1 << 14, 1 << 14) as i16;
        let plan = (0..steps)
            .map(|step| {
                let pull_count = within(g, 1, 1 + step.min(3) as i64) as u8;
                let mut pulls = [0; 4];
                pulls[..usize::from(pull_count)].fill_with(|| coefficient(g));
                PlanStep {
                    keep: coefficient(g),
                    kick: if bool::arbitrary(g) { coefficient(g).saturating_abs() } else { 0 },
                    from_state: coefficient(g),
                    from_output: coefficient(g),
                    pulls,
                    pull_count,
                    angle: 0.5,
                }
            })
            .collect::<Vec<_>>();
        let header = Header {
            dims: [features as u16, 1, 1, 1],
            rank: 1,
            classes: classes as u16,
            clip: bool::arbitrary(g),
            arena: (out + features.next_multiple_of(4)) as u32,
            input_at: x as u32,
            output_at: out as u32,
            offset: 0.0,
            scale: 1.0,
        };
        let mut words = vec![0; artifact::length(&plan, &layers)];
        artifact::write(&header, &plan, &layers, &mut words).unwrap();
        Self { words }
    }
}

#[test]
fn random_networks_draw_the_same_bytes_on_every_chip() {
    let mut g = Gen::new(100);
    // The room that the board's program has.
    let models = std::iter::repeat_with(|| RandomModel::arbitrary(&mut g)).filter(|model| model.words.len() <= 2048);
    let models: Vec<RandomModel> = models.take(MODELS).collect();
    let expected: Vec<String> = models.iter().flat_map(|model| lines(&model.words)).collect();
    let varied = expected.iter().flat_map(|line| line.as_bytes().chunks(4)).collect::<std::collections::HashSet<_>>();
    assert!(varied.len() > MODELS, "random networks should not all draw the same: {} values", varied.len());
    assert_same_everywhere(&models, &expected);
}
