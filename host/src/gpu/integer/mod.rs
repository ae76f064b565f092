//! An artifact on a GPU: the network in integers and the plan, bit for bit as the format describes them and as the firmware library runs them.
//!
//! | read | for |
//! |---|---|
//! | [`IntegerSampler`] | samples of an artifact, a batch at a time |
//! | `tables` | weights and biases in the order that kernels read them |
//! | `stages` | layers as calls of kernels |
//! | `batch` | which samples are drawn together |
//! | `wgsl/` | the kernels; `shared.wgsl` says how numbers lie |
//!
//! Kernels know sizes as parameters, so there are as many of them as kinds of layers. Four samples are a lane and 32 lanes a workgroup, all of one
//! class: so weights, biases, places and branches are the same for a whole workgroup, and neighbouring lanes read neighbouring words. Products
//! of 16-bit numbers and weights fit 32 bits, as parsing has proved; where more are needed, they are made of two words.

mod batch;
mod stages;
mod tables;

use super::adapter::Listed;
use super::context::{Access, Call, Gpu, Storage};
use super::error::GpuError;
use batch::{Batch, GROUP, LANES, SAMPLES, groups_of};
use stages::{Name, Stage, Stages};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tables::Tables;
use tweedie_core::artifact::Artifact;

/// What kernels bind: tables, the arena, the samples, the states, scratch.
const ACCESS: [Access; 5] = [Access::Read, Access::ReadWrite, Access::Read, Access::ReadWrite, Access::ReadWrite];

/// Lanes of a batch on a GPU: enough to keep thousands of cores busy.
const LANES_ON_A_GPU: usize = 4096;
/// Lanes of a batch on a driver in software: few enough for a layer's numbers to stay in cache.
const LANES_IN_SOFTWARE: usize = 1024;
/// The most bytes of a batch.
const MOST_BYTES: usize = 1 << 30;

/// Draws samples of an artifact on a GPU.
#[derive(Debug)]
pub struct IntegerSampler {
    gpu: Arc<Gpu>,
    features: usize,
    classes: u16,
    steps: usize,
    /// Lanes of a batch.
    stride: usize,
    /// Before the first step of a batch.
    first: Vec<Stage>,
    /// Every step, its number aside.
    each: Vec<Stage>,
    calls: HashMap<Name, Call>,
    samples: Storage,
    states: Storage,
}

/// A sample to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The number of its stream of noise.
    pub stream: u64,
    /// Its class, or none.
    pub class: Option<u16>,
}

impl IntegerSampler {
    /// Uploads the tables of an artifact, and makes room for batches of at most `most` samples; more are drawn in several.
    ///
    /// # Errors
    /// A network that does not fit the adapter, however few samples are drawn together; a driver that refuses a kernel.
    pub fn new(gpu: &Arc<Gpu>, artifact: &Artifact<'_>, most: usize) -> Result<Self, GpuError> {
        let header = artifact.header();
        let features = header.features();
        let mut tables = Tables::new();
        let stages = Stages::new(artifact, &mut tables)?;

        let kept = features * (1 + artifact.history());
        // Words of a lane in each of the buffers.
        let each = [2 * header.arena as usize, 2 * kept, 4 * stages.scratch().max(1)];
        let stride = stride(gpu, each, most)?;
        let scratch_words = 4 * stages.scratch_of(stride, gpu.most_words() / 4);
        let samples = gpu.storage("the samples' streams", 4 * (2 * stride + stride / LANES))?;
        let states = gpu.storage("the states", 2 * kept * stride)?;
        let arena = gpu.storage("the network's memory", 2 * header.arena as usize * stride)?;
        let scratch = gpu.storage("the kernels' memory", scratch_words)?;
        let (first, each) = stages.finish(artifact, stride, scratch_words / 4);
        let tables = gpu.upload("the artifact's tables", tables.words())?;

        let mut calls = HashMap::new();
        for name in first.iter().chain(&each).map(|stage| stage.name) {
            if let Entry::Vacant(place) = calls.entry(name) {
                let kernel = gpu.kernel(name.entry(), &name.source(), &ACCESS)?;
                place.insert(gpu.bind(&kernel, &[&tables, &arena, &samples, &states, &scratch])?);
            }
        }
        let (classes, steps) = (header.classes, artifact.steps());
        Ok(Self { gpu: gpu.clone(), features, classes, steps, stride, first, each, calls, samples, states })
    }

    /// The adapter.
    pub fn adapter(&self) -> &Listed {
        self.gpu.adapter()
    }

    /// How many samples are drawn together at most.
    pub fn batch(&self) -> usize {
        self.stride * SAMPLES
    }

    /// Samples under a seed, `[wanted.len(), features]`: numbers with 12 fractional bits, those of the firmware library.
    ///
    /// # Errors
    /// A class that the artifact lacks; a device that fails or is lost.
    pub fn draw(&self, seed: u64, wanted: &[Wanted]) -> Result<Vec<i16>, GpuError> {
        if let Some(class) = wanted.iter().filter_map(|wanted| wanted.class).find(|&class| class >= self.classes) {
            return Err(GpuError::Unsupported(format!(
                "class {class} was asked for, and this artifact has {} of them, counted from 0",
                self.classes
            )));
        }
        let mut drawn = vec![0; wanted.len() * self.features];
        let groups = groups_of(wanted, self.classes);
        for groups in groups.chunks(self.stride / LANES) {
            let batch = Batch::new(wanted, groups, self.stride);
            self.gpu.write(&self.samples, batch.words())?;
            self.run(seed, groups.len())?;
            let states = self.gpu.read::<u32>(&self.states, 0..2 * self.features * self.stride)?;
            batch.scatter(&states, self.features, &mut drawn);
        }
        Ok(drawn)
    }

    /// A batch of so many groups.
    fn run(&self, seed: u64, groups: usize) -> Result<(), GpuError> {
        for stage in &self.first {
            self.enqueue(stage, 0, seed, groups)?;
        }
        for step in 0..self.steps {
            for stage in &self.each {
                self.enqueue(stage, step, seed, groups)?;
            }
        }
        Ok(())
    }

    fn enqueue(&self, stage: &Stage, step: usize, seed: u64, groups: usize) -> Result<(), GpuError> {
        let Some(call) = self.calls.get(&stage.name) else { return Ok(()) };
        let parameters = stage.parameters(step, seed);
        let most = self.gpu.limits().max_compute_workgroups_per_dimension as usize;
        let jobs = stage.jobs.min(most);
        self.gpu.enqueue(call, &parameters, [jobs, groups, stage.jobs.div_ceil(jobs.max(1))].map(|count| count as u32))
    }
}

/// How many lanes a batch has, given the words of one in each buffer.
fn stride(gpu: &Gpu, each: [usize; 3], most: usize) -> Result<usize, GpuError> {
    let usual = if gpu.adapter().kind == "software" { LANES_IN_SOFTWARE } else { LANES_ON_A_GPU };
    let widest = each.into_iter().max().unwrap_or(0).max(1);
    let all = each.iter().sum::<usize>().max(1);
    let fits = (gpu.most_words() / widest).min(MOST_BYTES.max(4 * all * LANES) / (4 * all));
    let needed = most.div_ceil(SAMPLES).next_multiple_of(LANES);
    match usual.min(fits).min(needed.max(LANES)) / LANES * LANES {
        0 => Err(GpuError::BufferTooLarge {
            what: format!("a network that works on {GROUP} samples"),
            bytes: 4 * (widest * LANES) as u64,
            most: 4 * gpu.most_words() as u64,
            adapter: gpu.adapter().name.clone(),
        }),
        lanes => Ok(lanes),
    }
}
