//! Layers and steps as calls of kernels, with their parameters in the order of the kernels' `struct Parameters`.

use super::batch::LANES;
use super::tables::{LinearTables, ROWS, Tables};
use crate::gpu::GpuError;
use crate::gpu::context::{Parameters, parameters};
use tweedie_core::artifact::{
    Artifact, Attention, Convolution, Depthwise, Layer, Linear, Mixture, Normalise, PlanStep, Rearrange,
};

/// Numbers that a job of moving takes, and elements of a state that one of the plan does.
const MOVED: usize = 8;
const ELEMENTS: usize = 4;
/// The most bytes of attention's scores at a time.
const MOST_SCORES: usize = 1 << 26;

/// An entry point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// `move.wgsl`: zeros.
    Zero,
    /// `move.wgsl`: constants.
    Constants,
    /// `move.wgsl`: a rearrangement.
    Rearrange,
    /// `rows.wgsl`.
    Rows,
    /// `depthwise.wgsl`.
    Depthwise,
    /// `normalise.wgsl`.
    Normalise,
    /// `attention.wgsl`.
    Attention,
    /// `mixture.wgsl`: coordinates.
    Project,
    /// `mixture.wgsl`: chances and coefficients.
    Posterior,
    /// `mixture.wgsl`: the estimate.
    Expand,
    /// `plan.wgsl`: the first state.
    Begin,
    /// `plan.wgsl`: the state into the arena.
    Enter,
    /// `plan.wgsl`: a step.
    Advance,
}

impl Name {
    /// As the source calls it.
    pub fn entry(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Constants => "constants",
            Self::Rearrange => "rearrange",
            Self::Rows => "rows",
            Self::Depthwise => "depthwise",
            Self::Normalise => "normalise",
            Self::Attention => "attention",
            Self::Project => "project",
            Self::Posterior => "posterior",
            Self::Expand => "expand",
            Self::Begin => "begin",
            Self::Enter => "enter",
            Self::Advance => "advance",
        }
    }

    /// The source.
    pub fn source(self) -> String {
        let wide = include_str!("wgsl/wide.wgsl");
        let parts = match self {
            Self::Zero | Self::Constants | Self::Rearrange => ["", include_str!("wgsl/move.wgsl")],
            Self::Rows => ["", include_str!("wgsl/rows.wgsl")],
            Self::Depthwise => ["", include_str!("wgsl/depthwise.wgsl")],
            Self::Normalise => [wide, include_str!("wgsl/normalise.wgsl")],
            Self::Attention => ["", include_str!("wgsl/attention.wgsl")],
            Self::Project | Self::Posterior | Self::Expand => [wide, include_str!("wgsl/mixture.wgsl")],
            Self::Begin | Self::Enter | Self::Advance => [wide, include_str!("wgsl/plan.wgsl")],
        };
        [include_str!("wgsl/shared.wgsl"), parts[0], parts[1]].concat()
    }
}

/// A call of a kernel.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The kernel.
    pub name: Name,
    /// Workgroups for each group of samples.
    pub jobs: usize,
    words: Vec<u32>,
    /// Parameters that change from step to step, `[steps]` each.
    by_step: Vec<(usize, Vec<u32>)>,
    /// Where the seed's two words go.
    seed_at: Option<usize>,
}

impl Stage {
    fn new(name: Name, jobs: usize, words: Vec<u32>) -> Self {
        Self { name, jobs, words, by_step: Vec::new(), seed_at: None }
    }

    /// The parameters of a step under a seed.
    pub fn parameters(&self, step: usize, seed: u64) -> Parameters {
        let mut parameters = parameters(&self.words);
        for (at, values) in &self.by_step {
            parameters[*at] = values.get(step).copied().unwrap_or(0);
        }
        if let Some(at) = self.seed_at {
            parameters[at..at + 2].copy_from_slice(&[seed as u32, (seed >> 32) as u32]);
        }
        parameters
    }

    /// Moves a table by step on from step to step, if there is one.
    fn advancing(mut self, at: usize, steps: usize, rows: u32) -> Self {
        let begin = self.words[at];
        if begin > 0 {
            self.by_step.push((at, (0..steps as u32).map(|step| begin + step * rows).collect()));
        }
        self
    }
}

/// The stages of an artifact before it is known how many lanes there are.
pub struct Stages {
    layers: Vec<Stage>,
    /// The most numbers of scratch of a lane that layers but attention need.
    mixture_scratch: usize,
    /// The most tokens of an attention, and its most queries.
    tokens: usize,
    queries: usize,
}

/// The places of parameters that are set later: the stride in all but two kernels, and what attention is given a part at a time.
const STRIDE: usize = 0;
const STRIDE_OF_ROWS: usize = 8;
const STRIDE_OF_PLAN: usize = 5;
const JOBS_OF_ATTENTION: usize = 1;
const BEGIN_OF_ATTENTION: usize = 2;

impl Stages {
    /// The stages of every layer, with its tables added to `tables`.
    ///
    /// # Errors
    /// A kind of layer that is newer than this engine.
    pub fn new(artifact: &Artifact<'_>, tables: &mut Tables) -> Result<Self, GpuError> {
        let steps = artifact.steps();
        let mut stages = Self { layers: Vec::new(), mixture_scratch: 0, tokens: 0, queries: 0 };
        for layer in artifact.layers() {
            match layer {
                Layer::Linear(linear) => stages.layers.push(of_linear(&linear, steps, tables)),
                Layer::Convolution(convolution) => stages.layers.push(of_convolution(&convolution, steps, tables)),
                Layer::Depthwise(depthwise) => stages.layers.push(of_depthwise(&depthwise, steps, tables)),
                Layer::Normalise(normalise) => stages.layers.push(of_normalise(&normalise)),
                Layer::Rearrange(rearrange) => stages.layers.push(of_rearrange(&rearrange)),
                Layer::Constants(constants) => {
                    let at = tables.push(constants.numbers.iter().copied());
                    let words = moving(constants.length, 0, constants.output_at, [0, 0, 0, 0, 0, at]);
                    stages.layers.push(Stage::new(Name::Constants, (constants.length as usize).div_ceil(MOVED), words));
                }
                Layer::Attention(attention) => {
                    let queries = usize::from(attention.tokens) * usize::from(attention.heads);
                    stages.tokens = stages.tokens.max(attention.tokens.into());
                    stages.queries = stages.queries.max(queries);
                    stages.layers.push(of_attention(&attention, queries, tables));
                }
                Layer::Mixture(mixture) => {
                    let blocks = mixture.blocks as usize;
                    let own = blocks * (mixture.block_rows() + usize::from(mixture.components)) + 1;
                    stages.mixture_scratch = stages.mixture_scratch.max(own);
                    stages.layers.extend(of_mixture(&mixture, steps, tables));
                }
                _ => {
                    return Err(GpuError::Unsupported(
                        "this artifact has a kind of layer that --device wgpu does not know: draw with --device cpu"
                            .to_owned(),
                    ));
                }
            }
        }
        Ok(stages)
    }

    /// The least numbers of scratch of a lane.
    pub fn scratch(&self) -> usize {
        self.mixture_scratch.max(self.tokens)
    }

    /// Numbers of scratch of so many lanes: for attention as many queries at a time as are reasonable, within what a buffer holds.
    pub fn scratch_of(&self, stride: usize, most: usize) -> usize {
        let one = self.tokens * stride;
        let scores = one * self.queries.min((MOST_SCORES / 16).min(most) / one.max(1));
        scores.max(self.scratch() * stride).max(1)
    }

    /// What is done before the first step, and what is done in each.
    pub fn finish(self, artifact: &Artifact<'_>, stride: usize, scratch: usize) -> (Vec<Stage>, Vec<Stage>) {
        let header = artifact.header();
        let zeros = Stage::new(Name::Zero, (header.arena as usize).div_ceil(MOVED), moving(header.arena, 0, 0, [0; 6]));
        let [begin, enter, advance] = of_plan(artifact);
        let mut layers = Vec::new();
        for layer in self.layers {
            if layer.name != Name::Attention {
                layers.push(layer);
                continue;
            }
            let tokens = layer.words[BEGIN_OF_ATTENTION + 1] as usize;
            let together = (scratch / (tokens * stride).max(1)).max(1);
            for first in (0..layer.jobs).step_by(together) {
                let mut part = layer.clone();
                part.jobs = together.min(layer.jobs - first);
                part.words[JOBS_OF_ATTENTION] = part.jobs as u32;
                part.words[BEGIN_OF_ATTENTION] = first as u32;
                layers.push(part);
            }
        }
        let mut first = vec![zeros, begin];
        let mut each: Vec<Stage> = [enter].into_iter().chain(layers).chain([advance]).collect();
        for stage in first.iter_mut().chain(&mut each) {
            let at = match stage.name {
                Name::Rows => STRIDE_OF_ROWS,
                Name::Begin | Name::Enter | Name::Advance => STRIDE_OF_PLAN,
                _ => STRIDE,
            };
            stage.words[at] = stride as u32;
        }
        (first, each)
    }
}

/// Parameters of `rows.wgsl`: places are those of its two sources, `[at, channels, columns, doubled]`, of the output and its columns; the geometry is
/// `[height, width, kernel, step, padding]`.
fn of_rows(
    rows: &Linear<'_>,
    tables: LinearTables,
    sources: [[u32; 4]; 2],
    output_size: [u32; 2],
    geometry: [u32; 5],
    steps: usize,
) -> Stage {
    let tiles = rows.outputs.div_ceil(ROWS as u32);
    let [height, width] = output_size;
    let jobs = height * width * tiles;
    let LinearTables { weights, bias, multipliers, table, step_bias, class_bias } = tables;
    let mut words = sources.concat();
    words.extend([0, jobs, tiles, rows.outputs, rows.output_at, width]);
    words.extend(geometry);
    words.extend([u32::from(rows.add), weights, bias, multipliers, table, step_bias, class_bias]);
    let at = words.len() - 2;
    Stage::new(Name::Rows, jobs as usize, words).advancing(at, steps, rows.outputs)
}

fn of_linear(linear: &Linear<'_>, steps: usize, tables: &mut Tables) -> Stage {
    let sources = [[linear.input_at, linear.inputs, 1, 0], [0; 4]];
    of_rows(linear, tables.linear(linear), sources, [1, 1], [1, 1, 1, 1, 0], steps)
}

fn of_convolution(layer: &Convolution<'_>, steps: usize, tables: &mut Tables) -> Stage {
    let sources = layer.sources.map(|source| {
        let (_, columns) = source.size(layer.height, layer.width);
        [source.at, source.channels.into(), columns.into(), source.doubled.into()]
    });
    let (height, width) = layer.output_size();
    let geometry = [layer.height, layer.width, layer.kernel.into(), layer.stride.into(), layer.padding.into()];
    of_rows(&layer.rows, tables.linear(&layer.rows), sources, [height, width], geometry.map(u32::from), steps)
}

fn of_depthwise(layer: &Depthwise<'_>, steps: usize, tables: &mut Tables) -> Stage {
    let LinearTables { weights, bias, multipliers, table, step_bias, class_bias } = tables.depthwise(&layer.rows);
    let (height, width) = layer.output_size();
    let channels = layer.rows.outputs;
    let jobs = height * width * channels;
    let words = vec![
        0,
        jobs,
        channels,
        layer.input_at,
        layer.rows.output_at,
        width,
        layer.height.into(),
        layer.width.into(),
        layer.stride.into(),
        weights,
        bias,
        multipliers,
        table,
        step_bias,
        class_bias,
    ];
    let at = words.len() - 2;
    Stage::new(Name::Depthwise, jobs as usize, words).advancing(at, steps, channels)
}

fn of_normalise(layer: &Normalise) -> Stage {
    let halves = |value: u64| [value as u32, (value >> 32) as u32];
    let mut words = vec![0, layer.rows, layer.features, layer.input_at, layer.output_at, layer.shift];
    words.extend(halves(layer.epsilon));
    words.extend(halves(layer.gain));
    Stage::new(Name::Normalise, layer.rows as usize, words)
}

/// Parameters of `move.wgsl`; the last are those of a rearrangement, and where constants stand.
fn moving(count: u32, input_at: u32, output_at: u32, others: [u32; 6]) -> Vec<u32> {
    let jobs = count.div_ceil(MOVED as u32);
    [0, jobs, count, input_at, output_at].into_iter().chain(others).collect()
}

fn of_rearrange(layer: &Rearrange) -> Stage {
    let count = layer.elements() as u32;
    let [rows, columns, side, channels] = [layer.rows, layer.columns, layer.side, layer.channels].map(u32::from);
    let others = [rows, columns, side, channels, layer.back.into(), 0];
    let words = moving(count, layer.input_at, layer.output_at, others);
    Stage::new(Name::Rearrange, (count as usize).div_ceil(MOVED), words)
}

fn of_attention(layer: &Attention<'_>, queries: usize, tables: &mut Tables) -> Stage {
    let words = vec![
        0,
        queries as u32,
        0,
        layer.tokens.into(),
        layer.heads.into(),
        layer.depth.into(),
        layer.input_at,
        layer.output_at,
        layer.shift.into(),
        layer.multiplier,
        tables.activation(layer.table),
    ];
    Stage::new(Name::Attention, queries, words)
}

fn of_mixture(layer: &Mixture<'_>, steps: usize, tables: &mut Tables) -> [Stage; 3] {
    let (blocks, features, rows) = (layer.blocks as usize, layer.features as usize, layer.block_rows());
    let mut copied = |table: &[u32]| tables.push(table.iter().copied());
    let (offsets, multipliers) = (copied(layer.offsets), copied(layer.multipliers));
    let (output_multipliers, by_step) = (copied(layer.output_multipliers), copied(layer.by_step));
    let rows_at = tables.weights(layer.rows, blocks, features, rows);
    let columns_at = tables.weights(layer.columns, blocks, rows, features);
    let levels: Vec<_> = (0..steps).map(|step| layer.level(step).unwrap_or_default()).collect();
    // What a step says to all components stands in front of what it says to each.
    let head = layer.step_words() - layer.all_components() * layer.term_words();
    let terms = (0..steps).map(|step| by_step + (step * layer.step_words() + head) as u32).collect();
    let of_levels = |of: fn(&tweedie_core::artifact::MixtureLevel) -> u32| levels.iter().map(of).collect::<Vec<u32>>();
    let changing = [
        terms,
        of_levels(|level| level.alpha),
        of_levels(|level| level.sharpness.into()),
        of_levels(|level| level.logit_shift.into()),
        of_levels(|level| level.norm_shift.into()),
        of_levels(|level| level.square_shift.into()),
        of_levels(|level| level.gain_shift.into()),
    ];
    let falling = tables.falling();
    [(Name::Project, blocks * rows.div_ceil(ROWS)), (Name::Posterior, 1), (Name::Expand, features.div_ceil(ROWS))].map(
        |(name, jobs)| {
            let mut words = vec![0, jobs as u32, layer.features, layer.components.into(), layer.rank.into()];
            words.extend([layer.blocks, layer.blocks, layer.input_at, layer.output_at]);
            words.extend([rows_at, offsets, multipliers, columns_at, output_multipliers]);
            let at = words.len();
            words.extend([0; 7]);
            words.push(falling);
            let mut stage = Stage::new(name, jobs, words);
            stage.by_step = (at..).zip(changing.clone()).collect();
            stage
        },
    )
}

/// The stages of `plan.wgsl`: before the first step, at the beginning of each, and at its end.
fn of_plan(artifact: &Artifact<'_>) -> [Stage; 3] {
    let header = artifact.header();
    let features = header.features();
    let plan: Vec<PlanStep> = artifact.plan().collect();
    let jobs = features.div_ceil(ELEMENTS);
    let history = artifact.history().max(1) as u32;
    let words = |draws: u32| -> Vec<u32> {
        let mut words = vec![0; 24];
        words[5..11].copy_from_slice(&[0, jobs as u32, features as u32, header.input_at, header.output_at, history]);
        words[12] = draws;
        words[17] = header.clip.into();
        words
    };
    let of = |of: fn(&PlanStep) -> i32| plan.iter().map(|step| of(step) as u32).collect::<Vec<u32>>();
    let mut advance = Stage::new(Name::Advance, jobs, words(1));
    advance.by_step = vec![
        (0, of(|step| step.pulls[0])),
        (1, of(|step| step.pulls[1])),
        (2, of(|step| step.pulls[2])),
        (3, of(|step| step.pulls[3])),
        (4, of(|step| step.pull_count.into())),
        (11, (0..plan.len() as u32).collect()),
        (12, (1..=plan.len() as u32).collect()),
        (15, of(|step| step.from_state.into())),
        (16, of(|step| step.from_output.into())),
        (18, of(|step| step.memory.is_some().into())),
        (19, of(|step| step.memory.map_or(0, |memory| memory.from_state))),
        (20, of(|step| step.memory.map_or(0, |memory| memory.from_x0))),
        (21, of(|step| step.keep)),
        (22, of(|step| step.kick)),
    ];
    let mut begin = Stage::new(Name::Begin, jobs, words(0));
    (begin.seed_at, advance.seed_at) = (Some(13), Some(13));
    [begin, Stage::new(Name::Enter, jobs, words(0)), advance]
}

// A workgroup's lanes are a constant of the shared source as well.
const _: () = assert!(LANES == 32);
