// The kernels at work on fixed numbers, each with the checksum of what it must leave. This file is compiled twice: into
// `firmware/tests/kernels.rs`, and into the emulated board's program `kernels`, which counts instructions. The two never see each other's
// results, only these.

pub mod images;

use tweedie_core::artifact::{self, ArtifactError, Header, Layer, Linear, Normalise, PlanStep};
use tweedie_core::noise::NoiseStream;
use tweedie_core::{NoiseSource, Tensor};
use tweedie_firmware::kernels::{activate, add, linear, normalise, numbers, numbers_mut};
use tweedie_firmware::tensor::{Coeff, FixedTensor};
use tweedie_firmware::{Model, sample};

mod mixtures;

/// The widest layer here.
const WIDEST: usize = 256;
/// Words of the artifact that is parsed and sampled here.
pub const ARTIFACT: usize = 16 + 2 * 6 + 12 + 64 * 64 / 4 + 64 + 64 + 129 + 2 * 64;

/// One kernel at work.
pub struct Workload {
    /// What it does.
    pub name: &'static str,
    /// What is counted, and how many of them one run does.
    pub units: (u32, &'static str),
    /// Does it once.
    pub run: fn(&mut Memory, &Model<'_>),
    /// The checksum of the memory afterwards, from fresh.
    pub expected: u32,
}

/// What the kernels work on.
pub struct Memory {
    input: [u32; WIDEST / 2],
    output: [u32; WIDEST / 2],
}

impl Memory {
    /// Input of pseudo-random numbers, output of others.
    pub fn new() -> Self {
        Self { input: numbers_from(1), output: numbers_from(2) }
    }

    /// FNV-1a over the output.
    pub fn checksum(&self) -> u32 {
        self.output.iter().fold(0x811c_9dc5, |hash, word| (hash ^ word).wrapping_mul(0x0100_0193))
    }
}

/// An artifact of one layer of 64 x 64, biases by step and two noisy steps; it is [`ARTIFACT`] words long.
pub fn write_artifact(words: &mut [u32; ARTIFACT]) -> Result<Model<'_>, ArtifactError> {
    let header = Header {
        dims: [8, 8, 1, 1],
        rank: 2,
        classes: 0,
        clip: true,
        arena: 128,
        input_at: 0,
        output_at: 64,
        offset: 0.0,
        scale: 1.0,
    };
    let step = |pull_count, pulls| PlanStep {
        keep: 9_000,
        kick: 1_000,
        from_state: 8_000,
        from_output: -14_000,
        pulls,
        pull_count,
        memory: None,
        angle: 0.5,
    };
    let plan = [step(1, [7_000, 0, 0, 0]), step(2, [9_000, -2_000, 0, 0])];
    let layer = Linear { output_at: 64, table: &TABLE, step_bias: &BIAS[..128], ..layer(64, 64) };
    artifact::write(&header, &plan, &[Layer::Linear(layer)], words)?;
    Model::parse(words)
}

const fn random(seed: u32) -> u32 {
    let mut x = seed.wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

const fn numbers_from<const N: usize>(seed: u32) -> [u32; N] {
    let mut words = [0; N];
    let mut at = 0;
    while at < N {
        words[at] = random(seed << 16 | at as u32);
        at += 1;
    }
    words
}

const fn weights<const N: usize>() -> [u32; N] {
    let mut words = [0; N];
    let mut at = 0;
    while at < N {
        let bytes = random(3 << 16 ^ at as u32).to_le_bytes();
        words[at] = packed(bytes[0], bytes[1]) | packed(bytes[2], bytes[3]) << 16;
        at += 1;
    }
    words
}

/// `a + 256 b` in 16 bits, without -128.
const fn packed(a: u8, b: u8) -> u32 {
    let (a, b) = (a as i8, b as i8);
    let (a, b) = (if a == -128 { 127 } else { a as i32 }, if b == -128 { 127 } else { b as i32 });
    (a + 256 * b) as u32 & 0xffff
}

const fn below<const N: usize>(mut words: [u32; N], shift: u32, least: u32) -> [u32; N] {
    let mut at = 0;
    while at < N {
        words[at] = (words[at] >> shift) + least;
        at += 1;
    }
    words
}

const fn table() -> [u32; 129] {
    let mut words = numbers_from(4);
    // The 257th entry has no neighbour.
    words[128] &= 0xffff;
    words
}

static WEIGHTS: [u32; WIDEST * WIDEST / 4] = weights();
static BIAS: [u32; WIDEST] = below(numbers_from(5), 12, 0);
static MULTIPLIERS: [u32; WIDEST] = below(numbers_from(6), 11, 1 << 20);
static TABLE: [u32; 129] = table();

fn layer(inputs: usize, outputs: usize) -> Linear<'static> {
    Linear {
        input_at: 0,
        inputs: inputs as u32,
        output_at: 0,
        outputs: outputs as u32,
        add: false,
        weights: &WEIGHTS[..inputs * outputs / 4],
        bias: &BIAS[..outputs],
        multipliers: &MULTIPLIERS[..outputs],
        table: &[],
        step_bias: &[],
        class_bias: &[],
    }
}

fn run_linear(memory: &mut Memory, inputs: usize, outputs: usize) {
    assert!(linear(&layer(inputs, outputs), 0, 0, &memory.input, &mut memory.output).is_ok());
}

/// Every number of columns and of rows in a group, and every combination of tables, one after the other.
fn run_shapes(memory: &mut Memory) {
    let mut hash = 0;
    for inputs in 1..=72 {
        let outputs = 1 + inputs * 5 % 41;
        let has = |bit: usize| inputs >> bit & 1 == 1;
        let layer = Linear {
            inputs: inputs as u32,
            weights: &WEIGHTS[inputs..][..outputs.div_ceil(4) * inputs.div_ceil(4) * 4],
            add: has(0),
            table: if has(1) { &TABLE } else { &[] },
            step_bias: if has(2) { &BIAS } else { &[] },
            class_bias: if has(3) { &MULTIPLIERS } else { &[] },
            ..layer(0, outputs)
        };
        assert!(linear(&layer, inputs % 3, inputs % 2, &memory.input, &mut memory.output).is_ok());
        hash = memory.checksum() ^ hash << 1;
    }
    memory.output[0] = hash;
}

/// The largest and smallest sums that there are.
fn run_extremes(memory: &mut Memory) {
    for (index, word) in memory.input.iter_mut().enumerate() {
        *word = [0x8000_8000, 0x7fff_7fff, 0x7fff_8000, 0x8000_7fff][index / 2 % 4];
    }
    let mut output = [0; 2];
    for (index, word) in
        [0x7f7f_7f7f, 0x8081_8081, 0x7f7f_8081, 0x7e81_7e81, 0x807f_807f, 0x7f00_0081].into_iter().enumerate()
    {
        for blocks in 1..=64 {
            let layer = Linear {
                inputs: 4 * blocks as u32,
                weights: &[word; WIDEST][..4 * blocks],
                multipliers: &[i32::MAX as u32 >> (blocks % 24); 4],
                ..layer(0, 4)
            };
            assert!(linear(&layer, 0, 0, &memory.input, &mut output).is_ok());
            memory.output[index] = (memory.output[index] ^ output[0]).wrapping_mul(0x0100_0193) ^ output[1];
        }
    }
}

/// Odd counts of everything.
fn run_odd(memory: &mut Memory) {
    for count in 1..40 {
        let layer = Normalise {
            input_at: 0,
            features: count,
            rows: 1,
            output_at: 0,
            shift: 9,
            epsilon: 1 << count,
            gain: 1 << 50,
        };
        assert!(activate(&TABLE, &mut memory.output, count as usize).is_ok());
        assert!(add(&mut memory.output, &memory.input[count as usize..], count as usize).is_ok());
        assert!(normalise(&layer, &mut memory.output[count as usize..]).is_ok());
        // The longest shift that there is: of a power of two of features, to 2^15.
        let longest = Normalise { shift: (i32::MAX as u32 / (count * 65_535)).ilog2(), ..layer };
        assert!(normalise(&longest, &mut memory.output[2 * count as usize..]).is_ok());
    }
}

/// As in a residual block of the digits model: a table, biases by step and class, added to what is there.
fn run_residual(memory: &mut Memory) {
    let layer = Linear { step_bias: &BIAS, class_bias: &BIAS, table: &TABLE, add: true, ..layer(128, 128) };
    assert!(linear(&layer, 1, 1, &memory.input, &mut memory.output).is_ok());
}

fn run_normalise(memory: &mut Memory) {
    let layer = Normalise {
        input_at: 0,
        features: 128,
        rows: 1,
        output_at: 0,
        shift: 7,
        epsilon: 1 << 30,
        gain: 0xb504_f333 << 16,
    };
    memory.output = memory.input;
    assert!(normalise(&layer, &mut memory.output).is_ok());
}

fn run_activate(memory: &mut Memory) {
    assert!(activate(&TABLE, &mut memory.output, 128).is_ok());
}

fn run_add(memory: &mut Memory) {
    assert!(add(&mut memory.output, &memory.input, 128).is_ok());
}

fn run_combine(memory: &mut Memory, more: bool) {
    let x = FixedTensor::from_mut(&mut numbers_mut(&mut memory.output)[..64]);
    let (a, b) = numbers(&memory.input).split_at(64);
    let a = (Coeff::from_bits(11_000), FixedTensor::new(a));
    let b = (Coeff::from_bits(-5_000), FixedTensor::new(&b[..64]));
    let keep = Coeff::from_bits(9_000);
    assert!(if more { x.combine(keep, &[a, b]) } else { x.combine(keep, &[a]) }.is_ok());
}

fn run_noise(memory: &mut Memory) {
    let out = FixedTensor::from_mut(&mut numbers_mut(&mut memory.output)[..64]);
    assert!(NoiseStream::new(1, 2).fill_normal(3, out).is_ok());
}

fn run_sample(memory: &mut Memory, model: &Model<'_>) {
    // The state, two estimates, noise, and the arena.
    let mut scratch = [0; 192];
    if let Ok(drawn) = sample(model, &mut scratch, 5, 6, None, |_| {}) {
        numbers_mut(&mut memory.output)[..64].copy_from_slice(drawn);
    }
}

/// All of them.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "linear 256x256",
        units: (256 * 256, "mac"),
        run: |m, _| run_linear(m, 256, 256),
        expected: 0xf3e1_a9ec,
    },
    Workload {
        name: "linear 128x128",
        units: (128 * 128, "mac"),
        run: |m, _| run_linear(m, 128, 128),
        expected: 0xebc5_ce14,
    },
    Workload {
        name: "linear 64->128",
        units: (128 * 64, "mac"),
        run: |m, _| run_linear(m, 64, 128),
        expected: 0x030b_7862,
    },
    Workload {
        name: "linear 128->64",
        units: (128 * 64, "mac"),
        run: |m, _| run_linear(m, 128, 64),
        expected: 0xf061_0988,
    },
    Workload {
        name: "residual 128x128",
        units: (128 * 128, "mac"),
        run: |m, _| run_residual(m),
        expected: 0x04fb_3021,
    },
    Workload { name: "every shape", units: (1, "run"), run: |m, _| run_shapes(m), expected: 0x3152_f72f },
    Workload { name: "extreme sums", units: (1, "run"), run: |m, _| run_extremes(m), expected: 0x2ce2_63f1 },
    Workload { name: "odd counts", units: (1, "run"), run: |m, _| run_odd(m), expected: 0x6cb7_a87c },
    Workload {
        name: "mixture 4x12 in 64",
        units: (mixtures::PRODUCTS, "mac"),
        run: |m, _| mixtures::run(m, 1),
        expected: 0x5c93_e085,
    },
    Workload {
        name: "mixture of two classes",
        units: (3 * mixtures::PRODUCTS, "mac"),
        run: |m, _| mixtures::run(m, 2),
        expected: 0xa1cc_6094,
    },
    Workload { name: "normalise 128", units: (128, "number"), run: |m, _| run_normalise(m), expected: 0x3d46_aaa2 },
    Workload { name: "table 128", units: (128, "number"), run: |m, _| run_activate(m), expected: 0x9a26_63ca },
    Workload { name: "add 128", units: (128, "number"), run: |m, _| run_add(m), expected: 0x650b_4d50 },
    Workload {
        name: "combine 64, 1 term",
        units: (64, "number"),
        run: |m, _| run_combine(m, false),
        expected: 0xb5cd_236c,
    },
    Workload {
        name: "combine 64, 2 terms",
        units: (64, "number"),
        run: |m, _| run_combine(m, true),
        expected: 0x6ec8_ede2,
    },
    Workload { name: "noise 64", units: (64, "number"), run: |m, _| run_noise(m), expected: 0x272b_fb9d },
    Workload { name: "sample 64x64, 2 steps", units: (2 * 64 * 64, "mac"), run: run_sample, expected: 0x8add_6a69 },
];
