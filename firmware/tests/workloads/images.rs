// The kernels of images at work, in one arena: see `mod.rs`.

use super::{BIAS, MULTIPLIERS, TABLE, WEIGHTS, layer, random};
use tweedie_core::artifact::{Convolution, Linear, Source};
use tweedie_firmware::kernels::convolution;

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

/// Every size, kernel, stride, padding, number of channels, and combination of tables, one after the other.
fn run_every(arena: &mut [u32]) {
    for index in 0..160 {
        let pick = |what: u32, n: u32| random(9 << 16 ^ index << 4 ^ what) % n;
        let kernel = 1 + pick(0, 3) as u8;
        let padding = pick(1, kernel.into()) as u8;
        let size = |what: u32| u16::from(kernel) + pick(what, 4) as u16;
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
    ImageWorkload { name: "every convolution", units: (1, "run"), words: 800, run: run_every, expected: 0x2bb8_8207 },
];
