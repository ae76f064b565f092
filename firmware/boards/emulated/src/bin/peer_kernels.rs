//! Counts the instructions of embedded-nn's kernels (s8, one multiplier for each channel where it has such) on the shapes of `kernels`. What it computes
//! is its own affair and is not compared: its formats are others.
#![no_std]
#![no_main]

use core::fmt;
use core::hint::black_box;

use cortex_m_rt::entry;
use embedded_nn::{
    Activation, AttentionParams, ConvParams, Dims, DwConvParams, ElementwiseAddParams, Error, FcParams, Padding2D,
    PerChannelQuantParams, PerTensorQuantParams, Tile, convolve_per_channel_s8, depthwise_conv_per_channel_s8,
    elementwise_add_s8, fully_connected_per_channel_s8, scaled_dot_product_attention_s8, softmax_s8,
};
use tweedie_board_emulated::Out;
use tweedie_board_emulated::counter::Counter;

/// Numbers of images, of which an M0 with 16 KB has room for two small ones.
const ROOM: usize = if cfg!(small_ram) { 2 * 64 * 32 } else { 2 * 256 * 32 };
/// The widest layer.
const WIDEST: usize = 256;

static WEIGHTS: [i8; WIDEST * WIDEST] = {
    let mut weights = [0; WIDEST * WIDEST];
    let mut at = 0;
    while at < weights.len() {
        weights[at] = (at as u32).wrapping_mul(0x9e37_79b9).to_le_bytes()[3] as i8;
        at += 1;
    }
    weights
};
static BIAS: [i32; WIDEST] = [7; WIDEST];
/// A half of `2^31`, and a shift of 8 to the right.
static MULTIPLIERS: [i32; WIDEST] = [1 << 30; WIDEST];
static SHIFTS: [i32; WIDEST] = [-8; WIDEST];
const MULTIPLIER: PerTensorQuantParams = PerTensorQuantParams::new(1 << 30, -8);
const ANY: Activation = Activation::int8_unconstrained();

/// Why the program ends early.
enum Stopped {
    Peer(Error),
    Output,
}

impl From<fmt::Error> for Stopped {
    fn from(_: fmt::Error) -> Self {
        Self::Output
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(error) => write!(f, "embedded-nn: {error}"),
            Self::Output => f.write_str("cannot write the result"),
        }
    }
}

#[entry]
fn main() -> ! {
    static mut NUMBERS: [i8; ROOM] = [0; ROOM];
    tweedie_board_emulated::run(|out| measure(out, NUMBERS))
}

/// What a kernel works on: what it reads, and what it writes.
type Work = fn(&[i8], &mut [i8]) -> Result<(), Error>;

/// A kernel, what is counted, and how many numbers it reads and writes.
struct Peer {
    name: &'static str,
    units: (u32, &'static str),
    sizes: [usize; 2],
    work: Work,
}

const PEERS: [Peer; 9] = [
    Peer {
        name: "linear 256x256",
        units: (256 * 256, "mac"),
        sizes: [256, 256],
        work: |input, output| linear(256, 256, input, output),
    },
    Peer {
        name: "linear 128x128",
        units: (128 * 128, "mac"),
        sizes: [128, 128],
        work: |input, output| linear(128, 128, input, output),
    },
    Peer {
        name: "3x3 16x16 16->16",
        units: (256 * 9 * 16 * 16, "mac"),
        sizes: [256 * 16; 2],
        work: |input, output| square(16, 3, 16, input, output),
    },
    Peer {
        name: "3x3 8x8 32->32",
        units: (64 * 9 * 32 * 32, "mac"),
        sizes: [64 * 32; 2],
        work: |input, output| square(8, 3, 32, input, output),
    },
    Peer {
        name: "1x1 16x16 32->32",
        units: (256 * 32 * 32, "mac"),
        sizes: [256 * 32; 2],
        work: |input, output| square(16, 1, 32, input, output),
    },
    Peer { name: "depthwise 16x16x32", units: (256 * 9 * 32, "mac"), sizes: [256 * 32; 2], work: depthwise },
    Peer { name: "attention 49x4x16", units: (2 * 49 * 49 * 64, "mac"), sizes: [49 * 64; 2], work: attention },
    Peer { name: "add 128", units: (128, "number"), sizes: [128; 2], work: add },
    Peer {
        name: "softmax 64",
        units: (64, "number"),
        sizes: [64; 2],
        work: |input, output| softmax_s8(input, 1, 64, 1 << 30, 20, -4096, output),
    },
];

fn measure(out: &mut Out, numbers: &mut [i8]) -> Result<(), Stopped> {
    let counter = Counter::start().ok_or(Stopped::Output)?;
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = WEIGHTS[at * 7 % WEIGHTS.len()];
    }
    for Peer { name, units, sizes: [reads, writes], work } in PEERS {
        let Some((input, rest)) = numbers.split_at_mut_checked(reads) else { continue };
        let Some(output) = rest.get_mut(..writes) else { continue };
        work(input, output).map_err(Stopped::Peer)?;
        counter.write_line(out, name, units, || _ = black_box(work(black_box(input), black_box(output))))?;
    }
    Ok(())
}

fn per_channel() -> PerChannelQuantParams<'static> {
    PerChannelQuantParams::new(&MULTIPLIERS, &SHIFTS)
}

fn linear(inputs: usize, outputs: usize, input: &[i8], output: &mut [i8]) -> Result<(), Error> {
    let layer = FcParams { input_offset: 3, filter_offset: 0, output_offset: 1, activation: ANY };
    let [reads, filter, writes] =
        [(1, inputs), (inputs, outputs), (1, outputs)].map(|(n, c)| Dims::new(n as i32, 1, 1, c as i32));
    let weights = &WEIGHTS[..inputs * outputs];
    let bias = Some(&BIAS[..outputs]);
    fully_connected_per_channel_s8(&layer, &per_channel(), &reads, input, &filter, weights, bias, &writes, output)
}

fn square(size: i32, kernel: i32, channels: i32, input: &[i8], output: &mut [i8]) -> Result<(), Error> {
    let layer = ConvParams {
        input_offset: 3,
        output_offset: 1,
        stride: Tile::new(1, 1),
        padding: Padding2D::symmetric(kernel / 2, kernel / 2),
        dilation: Tile::new(1, 1),
        activation: ANY,
    };
    let image = Dims::new(1, size, size, channels);
    let filter = Dims::new(channels, kernel, kernel, channels);
    let weights = &WEIGHTS[..filter.total_size()];
    let bias = Some(&BIAS[..channels as usize]);
    convolve_per_channel_s8(&layer, &per_channel(), &image, input, &filter, weights, bias, &image, output)
}

fn depthwise(input: &[i8], output: &mut [i8]) -> Result<(), Error> {
    let layer = DwConvParams {
        input_offset: 3,
        output_offset: 1,
        ch_mult: 1,
        stride: Tile::new(1, 1),
        padding: Padding2D::symmetric(1, 1),
        dilation: Tile::new(1, 1),
        activation: ANY,
    };
    let image = Dims::new(1, 16, 16, 32);
    let filter = Dims::new(1, 3, 3, 32);
    let weights = &WEIGHTS[..filter.total_size()];
    let bias = Some(&BIAS[..32]);
    depthwise_conv_per_channel_s8(&layer, &per_channel(), &image, input, &filter, weights, bias, &image, output)
}

/// Queries, keys and values are the same numbers.
fn attention(input: &[i8], output: &mut [i8]) -> Result<(), Error> {
    const TOKENS: usize = 49;
    let mut scores = [0; 2 * TOKENS * TOKENS];
    let layer = AttentionParams {
        batches: 1,
        seq_len: TOKENS,
        num_heads: 4,
        head_dim: 16,
        q_offset: 0,
        k_offset: 0,
        v_offset: 0,
        score_offset: 128,
        output_offset: 0,
        softmax_mult: 1 << 30,
        softmax_shift: 20,
        softmax_diff_min: -4096,
    };
    scaled_dot_product_attention_s8(&layer, &MULTIPLIER, &MULTIPLIER, input, input, input, &mut scores, output)
}

fn add(input: &[i8], output: &mut [i8]) -> Result<(), Error> {
    let layer = ElementwiseAddParams {
        input1_offset: 3,
        input1_mult: 1 << 30,
        input1_shift: 0,
        input2_offset: -2,
        input2_mult: 1 << 30,
        input2_shift: -1,
        left_shift: 20,
        output_offset: 1,
        output_mult: 1 << 30,
        output_shift: -19,
        activation: ANY,
    };
    elementwise_add_s8(input, input, output, &layer)
}
