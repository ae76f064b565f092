// The kernels of images at work, in one arena: see `mod.rs`.

use super::{BIAS, MULTIPLIERS, TABLE, WEIGHTS, layer, random};
use tweedie_core::artifact::{Attention, Convolution, Depthwise, Linear, Normalise, Rearrange, Source};
use tweedie_firmware::kernels::{attention, convolution, depthwise, normalise, rearrange, softmax};

/// Words of the arena that the largest of them needs.
pub const ARENA: usize = 2 * 16 * 16 * 32 / 2 + 512;

/// One kernel at work on images.
pub struct ImageWorkload {
    /// What it does.
    pub name: &'static str,
    /// What is counted, and how many of them one run does.
    pub units: (u32, &'static str),
    /// Words of the arena that it needs.
    pub words: usize,
    /// Does it once.
    pub run: fn(&mut [u32]),
    /// The checksum of the arena afterwards, from fresh.
    pub expected: u32,
}

/// Pseudo-random numbers in so many words of the arena.
pub fn fresh(arena: &mut [u32]) {
    for (at, word) in arena.iter_mut().enumerate() {
        *word = random(7 << 16 ^ at as u32);
    }
}

/// FNV-1a over the arena.
pub fn checksum(arena: &[u32]) -> u32 {
    arena.iter().fold(0x811c_9dc5, |hash, word| (hash ^ word).wrapping_mul(0x0100_0193))
}

/// A square image through a square kernel that keeps its size: input, output and room for patches one behind the other.
fn square(size: u16, kernel: u8, inputs: u16, outputs: u16) -> Convolution<'static> {
    let pixels = u32::from(size) * u32::from(size);
    let columns = u32::from(kernel).pow(2) * u32::from(inputs);
    let output_at = (pixels * u32::from(inputs)).next_multiple_of(4);
    let room_at = (output_at + pixels * u32::from(outputs)).next_multiple_of(4);
    let source = Source { at: 0, channels: inputs, doubled: false };
    Convolution {
        sources: [source, Source::default()],
        height: size,
        width: size,
        kernel,
        stride: 1,
        padding: kernel / 2,
        rows: Linear {
            input_at: room_at,
            inputs: columns,
            output_at,
            weights: &WEIGHTS[..columns.div_ceil(4) as usize * usize::from(outputs).div_ceil(4) * 4],
            ..layer(0, usize::from(outputs))
        },
    }
}

/// The room for patches holds what its machine likes.
fn run(layer: &Convolution<'_>, arena: &mut [u32]) {
    assert!(convolution(layer, 1, 1, arena).is_ok());
    let room = layer.rows.input_at as usize / 2;
    arena[room..room + layer.scratch() as usize / 2].fill(0);
}

/// A doubled image of 7x7 pixels and one of 14x14, together.
fn run_joined(arena: &mut [u32]) {
    let (doubled, outputs) = (Source { at: 0, channels: 36, doubled: true }, 18);
    let second = Source { at: 49 * 36, channels: 18, doubled: false };
    let output_at = second.at + 196 * 18;
    let rows = Linear {
        input_at: output_at + 196 * outputs,
        inputs: 9 * 54,
        output_at,
        weights: &JOINED,
        ..layer(0, outputs as usize)
    };
    let sources = [doubled, second];
    run(&Convolution { sources, height: 14, width: 14, kernel: 3, stride: 1, padding: 1, rows }, arena);
}

/// Weights of groups with so many columns, whose padding to fours is 0.
const fn padded<const N: usize>(columns: usize) -> [u32; N] {
    let (mut words, mut at) = ([0; N], 0);
    while at < N {
        let column = at % (columns.div_ceil(4) * 4) / 4 * 4 + at % 4 / 2 * 2;
        words[at] = match columns.saturating_sub(column) {
            0 => 0,
            1 => WEIGHTS[at] & 0xffff,
            _ => WEIGHTS[at],
        };
        at += 1;
    }
    words
}

static NINE: [u32; 96] = padded(9);
static EIGHTEEN: [u32; 5 * 164] = padded(9 * 18);
static JOINED: [u32; 5 * 488] = padded(9 * 54);

/// The room of other layers is cleared likewise.
fn clear(arena: &mut [u32], at: u32, elements: u32) {
    arena[at as usize / 2..(at + elements) as usize / 2].fill(0);
}

fn run_depthwise(arena: &mut [u32], size: (u16, u16), channels: u32, stride: u8) {
    let inputs = u32::from(size.0) * u32::from(size.1) * channels;
    let output_at = inputs.next_multiple_of(4);
    let groups = channels.div_ceil(4) as usize * 12;
    let rows = Linear {
        input_at: output_at + inputs.next_multiple_of(4),
        inputs: 9,
        output_at,
        weights: &NINE[..groups],
        ..layer(0, channels as usize)
    };
    let layer = Depthwise { input_at: 0, height: size.0, width: size.1, stride, rows };
    assert!(depthwise(&layer, 0, 0, arena).is_ok());
    clear(arena, rows.input_at, layer.scratch().next_multiple_of(2));
}

/// Odd sizes, odd channels, several strips, both strides.
fn run_every_depthwise(arena: &mut [u32]) {
    for index in 0..24 {
        let pick = |what: u32, n: u32| random(10 << 16 ^ index << 4 ^ what) % n;
        run_depthwise(arena, (1 + pick(0, 3) as u16, 1 + pick(1, 36) as u16), 1 + pick(2, 5), 1 + pick(3, 2) as u8);
    }
}

/// Rising from 0, as exponentials do.
static EXPONENTIALS: [u32; 129] = {
    let mut words = [0; 129];
    let mut word = 0;
    while word < 129 {
        let (low, high) = (2 * word as u32, 2 * word as u32 + 1);
        words[word] = if word < 128 { (low * low / 2) | (high * high / 2) << 16 } else { 32_767 };
        word += 1;
    }
    words
};

fn run_softmax(arena: &mut [u32]) {
    let (scores, shares) = arena.split_at_mut(64);
    assert!(softmax(scores, 1 << 16, &EXPONENTIALS, shares).is_ok());
}

fn run_attention(arena: &mut [u32], tokens: u16, heads: u16, depth: u16) {
    let outputs = u32::from(tokens) * u32::from(heads) * u32::from(depth);
    let (output_at, table) = ((3 * outputs).next_multiple_of(4), &EXPONENTIALS);
    let scratch_at = output_at + outputs.next_multiple_of(4);
    let (shift, multiplier) = (12, 1 << 24);
    let layer = Attention { input_at: 0, output_at, scratch_at, tokens, heads, depth, shift, multiplier, table };
    assert!(attention(&layer, arena).is_ok());
    clear(arena, scratch_at, layer.scratch());
}

/// Few tokens and many, depths that blocks divide and others, shifts that saturate and others, one after the other.
fn run_every_attention(arena: &mut [u32]) {
    for index in 0..48 {
        let pick = |what: u32, n: u32| random(11 << 16 ^ index << 4 ^ what) % n;
        let (tokens, heads, depth) = (1 + pick(0, 9), 1 + pick(1, 2), 2 * (1 + pick(2, 10)));
        let outputs = tokens * heads * depth;
        let (output_at, table) = ((3 * outputs).next_multiple_of(4), &EXPONENTIALS);
        let scratch_at = output_at + outputs.next_multiple_of(4);
        let (tokens, heads, depth) = (tokens as u16, heads as u16, depth as u16);
        let (shift, multiplier) = (pick(3, 20) as u8, random(12 << 16 ^ index) >> 1 >> pick(4, 16));
        let layer = Attention { input_at: 0, output_at, scratch_at, tokens, heads, depth, shift, multiplier, table };
        assert!(attention(&layer, arena).is_ok());
        clear(arena, scratch_at, layer.scratch());
        // Outputs are means, which would fade.
        for (word, at) in arena[output_at as usize / 2..scratch_at as usize / 2].iter_mut().zip(0..) {
            *word = word.rotate_left(5) ^ random(13 << 16 ^ index << 8 ^ at);
        }
    }
}

/// Every pixel's channels.
fn run_rows(arena: &mut [u32], rows: u32, features: u32) {
    let gain = 0xb504_f333 << 16;
    let layer = Normalise { input_at: 0, features, rows, output_at: 0, shift: 7, epsilon: 1 << 30, gain };
    assert!(normalise(&layer, arena).is_ok());
}

fn run_rearrange(arena: &mut [u32]) {
    let layer = Rearrange { input_at: 0, output_at: 784, rows: 14, columns: 14, side: 2, channels: 1, back: false };
    let (input, output) = arena.split_at_mut(392);
    assert!(rearrange(&layer, input, output).is_ok());
    assert!(rearrange(&Rearrange { side: 1, channels: 4, back: true, ..layer }, output, input).is_ok());
}

/// Every size, kernel, stride, padding, number of channels, and combination of tables, one after the other.
fn run_every(arena: &mut [u32]) {
    for index in 0..160 {
        let pick = |what: u32, n: u32| random(9 << 16 ^ index << 4 ^ what) % n;
        let kernel = 1 + pick(0, 3) as u8;
        let padding = pick(1, kernel.into()) as u8;
        // Images that are smaller than the kernel as well.
        let size = |what: u32| u16::from(kernel).saturating_sub(2 * u16::from(padding)).max(1) + pick(what, 5) as u16;
        let (height, width) = (size(2), size(3));
        // Fours are laid out by words.
        let (step, most) = if pick(4, 2) == 0 { (4, 2) } else { (1, 6) };
        let channels = [step * (1 + pick(5, most)), step * pick(6, most) * pick(7, 2)];
        let outputs = step * (1 + pick(8, most));
        let mut sources = [Source::default(); 2];
        let mut end = 0;
        for (at, source) in sources.iter_mut().enumerate().filter(|&(at, _)| channels[at] > 0) {
            let doubled = pick(9 + at as u32, 2) == 0;
            *source = Source { at: end, channels: channels[at] as u16, doubled };
            let (height, width) = source.size(height, width);
            end += (u32::from(height) * u32::from(width) * channels[at]).next_multiple_of(4);
        }
        let inputs = u32::from(kernel).pow(2) * (channels[0] + channels[1]);
        let has = |what: u32| pick(what, 2) == 0;
        let group = inputs.div_ceil(4) as usize * 4;
        let mut weights = [0; 512];
        for (at, (weight, &word)) in weights.iter_mut().zip(&WEIGHTS[index as usize..]).enumerate() {
            // No column beyond the patch.
            let column = (at % group / 4 * 4 + at % 4 / 2 * 2) as u32;
            *weight = if column + 1 < inputs {
                word
            } else if column < inputs {
                word & 0xffff
            } else {
                0
            };
        }
        let rows = Linear {
            inputs,
            output_at: end,
            weights: &weights[..group * outputs.div_ceil(4) as usize],
            add: has(11),
            table: if has(12) { &TABLE } else { &[] },
            step_bias: if has(13) { &BIAS } else { &[] },
            class_bias: if has(14) { &MULTIPLIERS } else { &[] },
            ..layer(0, outputs as usize)
        };
        let stride = 1 + pick(15, 2) as u8;
        let mut layer = Convolution { sources, height, width, kernel, stride, padding, rows };
        let (rows, columns) = layer.output_size();
        layer.rows.input_at = end + (rows * columns * outputs).next_multiple_of(4);
        run(&layer, arena);
    }
}

/// All of them.
pub const IMAGES: &[ImageWorkload] = &[
    ImageWorkload {
        name: "3x3 8x8 8->8",
        units: (64 * 9 * 8 * 8, "mac"),
        words: 700,
        run: |arena| run(&square(8, 3, 8, 8), arena),
        expected: 0x8932_2fa5,
    },
    ImageWorkload {
        name: "3x3 16x16 16->16",
        units: (256 * 9 * 16 * 16, "mac"),
        words: ARENA,
        run: |arena| run(&square(16, 3, 16, 16), arena),
        expected: 0xcdc2_693c,
    },
    ImageWorkload {
        name: "3x3 8x8 32->32",
        units: (64 * 9 * 32 * 32, "mac"),
        words: ARENA,
        run: |arena| run(&square(8, 3, 32, 32), arena),
        expected: 0xe32d_eb67,
    },
    ImageWorkload {
        name: "1x1 16x16 32->32",
        units: (256 * 32 * 32, "mac"),
        words: ARENA,
        run: |arena| run(&square(16, 1, 32, 32), arena),
        expected: 0xc18d_2bdc,
    },
    ImageWorkload {
        name: "3x3 14x14 18->18",
        units: (196 * 9 * 18 * 18, "mac"),
        words: ARENA,
        run: |arena| {
            let layer = square(14, 3, 18, 18);
            run(&Convolution { rows: Linear { weights: &EIGHTEEN, ..layer.rows }, ..layer }, arena);
        },
        expected: 0xabb4_7fba,
    },
    ImageWorkload {
        name: "3x3 14x14 36 and 18->18",
        units: (196 * 9 * 54 * 18, "mac"),
        words: ARENA,
        run: run_joined,
        expected: 0x40e2_4775,
    },
    ImageWorkload { name: "every convolution", units: (1, "run"), words: 800, run: run_every, expected: 0x6b6b_8af5 },
    ImageWorkload {
        name: "depthwise 16x16x32",
        units: (256 * 9 * 32, "mac"),
        words: ARENA,
        run: |arena| run_depthwise(arena, (16, 16), 32, 1),
        expected: 0x4c9e_8805,
    },
    ImageWorkload {
        name: "every depthwise",
        units: (1, "run"),
        words: 800,
        run: run_every_depthwise,
        expected: 0xcd8c_9a9c,
    },
    ImageWorkload { name: "softmax 64", units: (64, "number"), words: 96, run: run_softmax, expected: 0x794f_96ca },
    ImageWorkload {
        name: "attention 12x2x6",
        units: (2 * 12 * 12 * 12, "mac"),
        words: 330,
        run: |arena| run_attention(arena, 12, 2, 6),
        expected: 0xf85c_f3a0,
    },
    ImageWorkload {
        name: "every attention",
        units: (1, "run"),
        words: 800,
        run: run_every_attention,
        expected: 0xafd2_7c71,
    },
    ImageWorkload {
        name: "attention 49x4x16",
        units: (2 * 49 * 49 * 64, "mac"),
        words: ARENA,
        run: |arena| run_attention(arena, 49, 4, 16),
        expected: 0x173c_b33e,
    },
    ImageWorkload {
        name: "normalise 32 rows of 24",
        units: (32 * 24, "number"),
        words: 384,
        run: |arena| run_rows(arena, 32, 24),
        expected: 0xe2f9_42cb,
    },
    ImageWorkload {
        name: "patches 28x28",
        units: (2 * 784, "number"),
        words: 784,
        run: run_rearrange,
        expected: 0x84b9_d06c,
    },
];
