//! Artifacts of layers of every kind with random sizes, places and numbers: whatever parses, however little sense it makes.

use crate::random_network::{Numbers, random_plan, within};
use quickcheck::{Arbitrary, Gen};
use tweedie_core::artifact::{
    self, Attention, Constants, Convolution, Depthwise, Header, Layer, Normalise, Rearrange, Source, TABLE_ENTRIES,
};

/// Layers between random places, as an artifact.
#[derive(Clone, Debug)]
pub struct RandomLayers {
    pub words: Vec<u32>,
    /// How many of each kind, in the order of [`KINDS`].
    pub kinds: [usize; KINDS.len()],
}

/// The kinds of layers that are drawn.
pub const KINDS: [&str; 7] =
    ["linear", "normalisation", "convolution", "depthwise", "rearrangement", "constants", "attention"];

/// Rooms of the arena that layers read and write, and their elements; one for the kernels' own use follows.
const ROOMS: i64 = 4;
const ROOM: usize = 192;
const OWN: u32 = ROOMS as u32 * ROOM as u32;

/// A layer with its tables.
enum Sketch {
    Linear { numbers: Numbers, places: [(usize, usize); 2], add: bool },
    Convolution { numbers: Numbers, layer: Convolution<'static>, output: (usize, usize), add: bool },
    Depthwise { numbers: Numbers, layer: Depthwise<'static>, output: (usize, usize) },
    Constants { at: u32, length: u32, numbers: Vec<u32> },
    Attention { layer: Attention<'static>, table: Vec<u32> },
    Plain(Layer<'static>),
}

const NO_ROWS: artifact::Linear<'static> = artifact::Linear {
    input_at: OWN,
    inputs: 0,
    output_at: 0,
    outputs: 0,
    add: false,
    weights: &[],
    bias: &[],
    multipliers: &[],
    table: &[],
    step_bias: &[],
    class_bias: &[],
};

/// Different rooms, where they begin.
fn rooms<const N: usize>(g: &mut Gen) -> [u32; N] {
    let mut all: Vec<u32> = (0..ROOMS as u32).map(|room| room * ROOM as u32).collect();
    std::array::from_fn(|_| all.swap_remove(within(g, 0, all.len() as i64 - 1) as usize))
}

fn size(g: &mut Gen, most: i64) -> u16 {
    within(g, 1, most) as u16
}

fn convolution(g: &mut Gen, counts: [usize; 2]) -> Option<Sketch> {
    let kernel = within(g, 1, 4);
    let padding = within(g, 0, kernel - 1);
    let least = (kernel - 2 * padding).max(1);
    let (height, width) = (within(g, least, least + 5) as u16, within(g, least, least + 5) as u16);
    let [first, second, output] = rooms(g);
    let mut sources = [
        Source { at: first, channels: size(g, 7), doubled: bool::arbitrary(g) },
        Source { at: second, channels: size(g, 5), doubled: bool::arbitrary(g) },
    ];
    if bool::arbitrary(g) {
        sources[1] = Source::default();
    }
    let channels = usize::from(sources[0].channels) + usize::from(sources[1].channels);
    let (inputs, outputs) = (kernel as usize * kernel as usize * channels, within(g, 1, 18) as usize);
    let stride = within(g, 1, 3) as u8;
    let layer =
        Convolution { sources, height, width, kernel: kernel as u8, stride, padding: padding as u8, rows: NO_ROWS };
    let (rows, columns) = layer.output_size();
    let elements = |source: &Source| {
        let (height, width) = source.size(height, width);
        usize::from(height) * usize::from(width) * usize::from(source.channels)
    };
    let fits = rows as usize * columns as usize * outputs <= ROOM && sources.iter().all(|s| elements(s) <= ROOM);
    fits.then(|| Sketch::Convolution {
        numbers: Numbers::new(g, inputs, outputs, counts),
        layer,
        output: (output as usize, outputs),
        add: bool::arbitrary(g),
    })
}

fn depthwise(g: &mut Gen, counts: [usize; 2]) -> Option<Sketch> {
    let [input_at, output] = rooms(g);
    let (height, width, channels) = (size(g, 7), size(g, 7), within(g, 1, 9) as usize);
    let layer = Depthwise { input_at, height, width, stride: within(g, 1, 2) as u8, rows: NO_ROWS };
    (usize::from(height) * usize::from(width) * channels <= ROOM).then(|| Sketch::Depthwise {
        numbers: Numbers::new(g, 9, channels, counts),
        layer,
        output: (output as usize, channels),
    })
}

fn attention(g: &mut Gen) -> Option<Sketch> {
    let [input_at, output_at] = rooms(g);
    let (tokens, heads, depth) = (size(g, 9), size(g, 3), 2 * size(g, 5));
    let mut entries: Vec<u32> = (0..TABLE_ENTRIES).map(|_| within(g, 0, 32_767) as u32).collect();
    // Most rise, as an exponential does.
    if within(g, 0, 3) > 0 {
        entries.sort_unstable();
    }
    entries.push(0);
    let table = entries.chunks(2).map(|pair| pair[0] | pair[1] << 16).collect();
    let multiplier = within(g, 0, i64::from(i32::MAX)) as u32 >> within(g, 0, 24);
    let shift = within(g, 0, 31) as u8;
    let layer = Attention { input_at, output_at, scratch_at: OWN, tokens, heads, depth, shift, multiplier, table: &[] };
    let elements = 3 * usize::from(tokens) * usize::from(heads) * usize::from(depth);
    (elements <= ROOM).then_some(Sketch::Attention { layer, table })
}

fn normalise(g: &mut Gen) -> Option<Sketch> {
    let [input_at, other] = rooms(g);
    let rows = within(g, 1, 6) as u32;
    let features = within(g, 1, 48) as u32 * if rows > 1 { 2 } else { 1 };
    let widest = (1..31).rev().find(|&shift| (u64::from(features) * 65_535) << shift < 1 << 31)?;
    let layer = Normalise {
        input_at,
        features,
        rows,
        output_at: if bool::arbitrary(g) { input_at } else { other },
        shift: within(g, 0, widest) as u32,
        epsilon: u64::arbitrary(g) >> within(g, 0, 63) | 1,
        gain: u64::arbitrary(g) >> within(g, 0, 63),
    };
    ((features * rows) as usize <= ROOM).then_some(Sketch::Plain(Layer::Normalise(layer)))
}

fn rearrange(g: &mut Gen) -> Option<Sketch> {
    let [input_at, output_at] = rooms(g);
    let (rows, columns, side, channels) = (size(g, 5), size(g, 5), size(g, 4), size(g, 3));
    let layer = Rearrange { input_at, output_at, rows, columns, side, channels, back: bool::arbitrary(g) };
    (layer.elements() <= ROOM as u64).then_some(Sketch::Plain(Layer::Rearrange(layer)))
}

impl Sketch {
    fn random(g: &mut Gen, kind: usize, counts: [usize; 2]) -> Option<Self> {
        match KINDS[kind] {
            "convolution" => convolution(g, counts),
            "depthwise" => depthwise(g, counts),
            "attention" => attention(g),
            "normalisation" => normalise(g),
            "rearrangement" => rearrange(g),
            "constants" => {
                let [at] = rooms(g);
                // An even number, so that no half of a word is left.
                let words = within(g, 1, ROOM as i64 / 2) as usize;
                let numbers = (0..words).map(|_| u32::arbitrary(g)).collect();
                Some(Self::Constants { at, length: 2 * words as u32, numbers })
            }
            _ => {
                let [input, output] = rooms(g).map(|at: u32| at as usize);
                let (inputs, outputs) = (within(g, 1, ROOM as i64) as usize, within(g, 1, 40) as usize);
                let numbers = Numbers::new(g, inputs, outputs, counts);
                Some(Self::Linear { numbers, places: [(input, inputs), (output, outputs)], add: bool::arbitrary(g) })
            }
        }
    }

    fn layer(&self) -> Layer<'_> {
        match self {
            Self::Linear { numbers, places: [input, output], add } => numbers.layer(*input, *output, *add),
            Self::Convolution { numbers, layer, output, add } => {
                let channels = layer.sources.iter().map(|source| usize::from(source.channels)).sum::<usize>();
                let inputs = usize::from(layer.kernel).pow(2) * channels;
                let rows = numbers.linear((OWN as usize, inputs), *output, *add);
                Layer::Convolution(Convolution { rows, ..*layer })
            }
            Self::Depthwise { numbers, layer, output } => {
                Layer::Depthwise(Depthwise { rows: numbers.linear((OWN as usize, 9), *output, false), ..*layer })
            }
            Self::Constants { at, length, numbers } => {
                Layer::Constants(Constants { output_at: *at, length: *length, numbers })
            }
            Self::Attention { layer, table } => Layer::Attention(Attention { table, ..*layer }),
            Self::Plain(layer) => *layer,
        }
    }

    /// What the kernels want for themselves.
    fn own(&self) -> u32 {
        match self.layer() {
            Layer::Convolution(layer) => layer.scratch(),
            Layer::Depthwise(layer) => layer.scratch(),
            Layer::Attention(layer) => layer.scratch(),
            _ => 0,
        }
    }
}

impl Arbitrary for RandomLayers {
    fn arbitrary(g: &mut Gen) -> Self {
        let plan = random_plan(g);
        let classes = within(g, 0, 3) as usize;
        let counts = [plan.len(), classes];
        let features = within(g, 1, 40) as usize;
        let mut kinds = [0; KINDS.len()];
        let mut sketches = Vec::new();
        let [input_at, before, output_at] = rooms(g);
        // Every number that enters moves all others, and every room moves what leaves.
        let mixing = |g: &mut Gen, input: u32, inputs: usize, output: u32, outputs: usize| Sketch::Linear {
            numbers: Numbers::new(g, inputs, outputs, counts),
            places: [(input as usize, inputs), (output as usize, outputs)],
            add: true,
        };
        sketches.push(mixing(g, input_at, features, before, ROOM));
        for _ in 0..within(g, 1, 6) {
            let kind = within(g, 0, KINDS.len() as i64 - 1) as usize;
            if let Some(sketch) = std::iter::repeat_with(|| Sketch::random(g, kind, counts)).take(50).flatten().next() {
                kinds[kind] += 1;
                sketches.push(sketch);
            }
        }
        for room in (0..ROOMS as u32).map(|room| room * ROOM as u32).filter(|&room| room != output_at) {
            sketches.push(mixing(g, room, ROOM, output_at, features));
        }
        let header = Header {
            dims: [features as u16, 1, 1, 1],
            rank: 1,
            classes: classes as u16,
            clip: bool::arbitrary(g),
            arena: OWN + sketches.iter().map(Sketch::own).max().unwrap_or(0).next_multiple_of(4),
            input_at,
            output_at,
            offset: 0.0,
            scale: 1.0,
        };
        let layers: Vec<Layer<'_>> = sketches.iter().map(Sketch::layer).collect();
        let mut words = vec![0; artifact::length(&plan, &layers)];
        artifact::write(&header, &plan, &layers, &mut words).unwrap();
        Self { words, kinds }
    }
}
