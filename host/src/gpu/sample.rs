//! Sampling on a GPU: core's sampler over [`GpuTensor`]s, a network's [`Program`] as its denoiser.
//!
//! Samples are drawn in chunks that fit the device. A chunk's buffers are made once; then each step is one submission, and nothing is allocated until
//! the samples are read. Sample `i` is the same in any chunk: its noise is numbered, and no kernel sums across samples.

use super::context::{Gpu, Storage};
use super::error::GpuError;
use super::noise::GpuNoise;
use super::recorder::{Ends, Program, Run, Uploads};
use super::tensor::{GpuTensor, Tensors};
use crate::checkpoint::Model;
use crate::error::Error;
use crate::preset::SamplingSettings;
use crate::query::Query;
use crate::sample::{Prepared, clip};
use crate::scheduler_config::Scheduled;
use std::sync::Arc;
use tweedie_core::guidance::Guidance;
use tweedie_core::plan::{self, Step};
use tweedie_core::prediction::Conversion;
use tweedie_core::sampler::{self, SamplerError, Workspace};
use tweedie_core::tensor::{CombineError, Tensor as _};
use tweedie_core::thresholding::Thresholding;
use tweedie_core::{Denoiser, NoiseSource, StepId};

/// Bytes that a chunk's buffers may take together, unless the person says how many samples it holds.
const BUDGET: u64 = 1 << 30;

/// The most samples of a chunk on a GPU, and on a driver in software, which works out of the processor's cache.
const MOST_ROWS: usize = 16_384;
const MOST_ROWS_IN_SOFTWARE: usize = 512;

/// Draws samples of models on a GPU.
#[derive(Clone, Debug)]
pub struct GpuSampler {
    gpu: Arc<Gpu>,
    /// Samples at a time, if the person chose.
    batch: Option<usize>,
}

/// Shown the step that is done, from 0, and the state after it.
type Watch<'a> = &'a mut dyn FnMut(usize, &GpuTensor) -> Result<(), GpuError>;

impl GpuSampler {
    /// Opens an adapter by its number or a part of its name; `batch` samples are drawn at a time, or as many as suit it.
    ///
    /// # Errors
    /// As of [`Gpu::open`].
    pub fn open(adapter: Option<&str>, batch: Option<usize>) -> Result<Self, Error> {
        Ok(Self::new(Arc::new(Gpu::open(adapter)?), batch))
    }

    /// The same on a device that is open.
    pub fn new(gpu: Arc<Gpu>, batch: Option<usize>) -> Self {
        Self { gpu, batch }
    }

    /// The device.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// As [`sample`](crate::sample::sample).
    ///
    /// # Errors
    /// Its errors, and those of the device.
    pub fn sample(
        &self,
        model: &Model,
        settings: &SamplingSettings,
        classes: &[u32],
        seed: u64,
    ) -> Result<Vec<f32>, Error> {
        self.draw(&Prepared::new(model, settings)?, model, classes, seed, &mut |_, _| Ok(()))
    }

    /// As [`sample_scheduled`](crate::sample::sample_scheduled).
    ///
    /// # Errors
    /// Its errors, and those of the device.
    pub fn sample_scheduled(
        &self,
        model: &Model,
        scheduled: &Scheduled,
        settings: &SamplingSettings,
        classes: &[u32],
        seed: u64,
    ) -> Result<Vec<f32>, Error> {
        self.draw(&Prepared::scheduled(model, scheduled, settings)?, model, classes, seed, &mut |_, _| Ok(()))
    }

    /// As [`trajectory`](crate::sample::trajectory).
    ///
    /// # Errors
    /// Its errors, and those of the device.
    pub fn trajectory(
        &self,
        model: &Model,
        settings: &SamplingSettings,
        classes: &[u32],
        seed: u64,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let prepared = Prepared::new(model, settings)?;
        // States before each step, and behind them the samples, which are at norm 1.
        let norms: Vec<f32> = prepared.plan.iter().map(|step| step.level.norm() as f32).chain([1.0]).collect();
        let mut states = vec![Vec::new(); norms.len()];
        let chunked = |index: usize, state: &GpuTensor, states: &mut Vec<Vec<f32>>| {
            states[index].extend(state.to_vec()?.iter().map(|x| x / norms[index]));
            Ok(())
        };
        self.draw(&prepared, model, classes, seed, &mut |done, state| chunked(done, state, &mut states))?;
        Ok(states)
    }

    /// Draws samples, `[classes.len(), features]`; `watch` is shown the states of every chunk, before the first step (0) and after each.
    fn draw(
        &self,
        prepared: &Prepared,
        model: &Model,
        classes: &[u32],
        seed: u64,
        watch: Watch<'_>,
    ) -> Result<Vec<f32>, Error> {
        let mut uploads = Uploads::new(&self.gpu, &model.weights, &prepared.queries)?;
        let features = model.description.features();
        let mut chunk = self.chunk(prepared, model, &mut uploads, seed, classes.len())?;
        let mut samples = Vec::with_capacity(classes.len() * features);
        for (index, classes) in classes.chunks(chunk.rows).enumerate() {
            samples.extend(chunk.draw((index * chunk.rows) as u64, classes, prepared, watch)?);
        }
        Ok(samples)
    }

    /// All samples at once, before the first step and with estimates that can be seen, in as many chunks as it takes.
    pub(super) fn chunks(
        &self,
        prepared: &Prepared,
        model: &Model,
        classes: &[u32],
        seed: u64,
    ) -> Result<Vec<Chunk>, Error> {
        let mut uploads = Uploads::new(&self.gpu, &model.weights, &prepared.queries)?;
        let first = self.chunk(prepared, model, &mut uploads, seed, classes.len())?;
        let rows = first.rows;
        let mut chunks = vec![first];
        while chunks.len() * rows < classes.len() {
            chunks.push(Chunk::new(&self.gpu, prepared, model, &mut uploads, seed, rows)?);
        }
        for (index, (chunk, classes)) in chunks.iter_mut().zip(classes.chunks(rows)).enumerate() {
            chunk.network.seen =
                Some(Tensors::for_plan(self.gpu.clone(), &prepared.plan).zeros("what is seen", rows * chunk.features)?);
            chunk.begin((index * rows) as u64, classes, prepared)?;
        }
        Ok(chunks)
    }

    /// Buffers for as many samples at a time as suit the device, or as the person chose.
    fn chunk(
        &self,
        prepared: &Prepared,
        model: &Model,
        uploads: &mut Uploads<'_>,
        seed: u64,
        count: usize,
    ) -> Result<Chunk, Error> {
        // What one row takes tells what many take.
        let words = Chunk::new(&self.gpu, prepared, model, uploads, seed, 1)?.words();
        let most = self.gpu.most_words() / words.iter().copied().max().unwrap_or(1).max(1);
        let asked = self.batch.map(|batch| batch.min(count.max(1)));
        if let Some(rows) = asked
            && rows > most
        {
            return Err(GpuError::BatchTooLarge { rows, most, adapter: self.gpu.adapter().name.clone() })?;
        }
        let bytes: u64 = words.iter().map(|&words| 4 * words as u64).sum();
        let usual = if self.gpu.adapter().kind == "software" { MOST_ROWS_IN_SOFTWARE } else { MOST_ROWS };
        let suits = usual.min((BUDGET / bytes.max(1)) as usize).min(most).clamp(1, count.max(1));
        let mut rows = asked.unwrap_or(suits);
        loop {
            match Chunk::new(&self.gpu, prepared, model, uploads, seed, rows) {
                // Something else may have taken the memory.
                Err(Error::Gpu(GpuError::OutOfMemory { .. })) if asked.is_none() && rows > 1 => rows = rows.div_ceil(2),
                chunk => return chunk,
            }
        }
    }
}

/// Buffers and calls for so many samples at a time.
pub(super) struct Chunk {
    gpu: Arc<Gpu>,
    rows: usize,
    features: usize,
    pub(super) state: GpuTensor,
    x0_hats: Vec<GpuTensor>,
    fresh: GpuTensor,
    classes: Storage,
    noise: GpuNoise,
    plan: Vec<Step>,
    network: NetworkOnGpu,
}

impl Chunk {
    fn new(
        gpu: &Arc<Gpu>,
        prepared: &Prepared,
        model: &Model,
        uploads: &mut Uploads<'_>,
        seed: u64,
        rows: usize,
    ) -> Result<Self, Error> {
        let features = model.description.features();
        let tensors = Tensors::for_plan(gpu.clone(), &prepared.plan);
        let zeros = |label: &str| tensors.zeros(label, rows * features);
        let state = zeros("the states")?;
        let (output, unconditional) = (zeros("the predictions")?, zeros("the predictions without a class")?);
        let x0_hats = (0..plan::history(&prepared.plan)).map(|_| zeros("estimates")).collect::<Result<_, _>>()?;
        let classes = gpu.storage("the classes", rows)?;
        let ends = Ends {
            state: state.storage(),
            classes: &classes,
            output: output.storage(),
            unconditional: unconditional.storage(),
        };
        let program = Program::record(gpu, uploads, rows, model.description.classes, ends, |recorder| {
            model.network.record(recorder)
        })?;
        Ok(Self {
            gpu: gpu.clone(),
            rows,
            features,
            x0_hats,
            fresh: zeros("fresh noise")?,
            noise: GpuNoise::new(gpu, seed, features)?,
            plan: prepared.plan.clone(),
            network: NetworkOnGpu {
                program,
                queries: prepared.queries.clone(),
                guidance: Guidance::new(prepared.settings.guidance),
                thresholding: prepared.thresholding,
                features,
                output,
                unconditional,
                seen: None,
            },
            state,
            classes,
        })
    }

    /// The words of its buffers but for weights.
    fn words(&self) -> Vec<usize> {
        let own = vec![self.rows * self.features; self.x0_hats.len() + 4];
        own.into_iter().chain([self.rows]).chain(self.network.program.words().iter().copied()).collect()
    }

    /// The states of samples `first ..` of these classes, at most as many as rows, before the first step.
    fn begin(&mut self, first: u64, classes: &[u32], prepared: &Prepared) -> Result<(), Error> {
        let count = classes.len() * self.features;
        let Self { state, fresh, network, .. } = self;
        let tensors = [state, fresh, &mut network.output, &mut network.unconditional].into_iter();
        for tensor in tensors.chain(&mut network.seen).chain(&mut self.x0_hats) {
            tensor.resize(count);
        }
        self.gpu.write(&self.classes, classes)?;
        self.noise.first = first;
        self.noise.fill_normal(0, &mut self.state)?;
        Ok(self.state.combine(prepared.plan[0].level.norm(), &[])?)
    }

    /// The step of that number.
    pub(super) fn advance(&mut self, step: usize, prepared: &Prepared) -> Result<(), Error> {
        // The sampler turns the buffers round in each step; here they are borrowed anew for each, so they are turned for good.
        let mut x0_hats: Vec<&mut GpuTensor> = self.x0_hats.iter_mut().collect();
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: Some(&mut self.fresh) };
        let (row, clip) = (&self.plan[step], clip(&prepared.settings));
        let (state, network, noise) = (&mut self.state, &mut self.network, &mut self.noise);
        sampler::step(row, StepId(step), clip, state, &mut workspace, network, noise).map_err(sampler_error)?;
        self.x0_hats.rotate_right(1);
        self.gpu.flush();
        Ok(())
    }

    /// The last estimate, in chunks that are to be seen.
    pub(super) fn seen(&self) -> Option<&GpuTensor> {
        self.network.seen.as_ref()
    }

    /// Draws samples `first ..` of these classes, at most as many as rows.
    fn draw(&mut self, first: u64, classes: &[u32], prepared: &Prepared, watch: Watch<'_>) -> Result<Vec<f32>, Error> {
        self.begin(first, classes, prepared)?;
        watch(0, &self.state)?;
        let mut x0_hats: Vec<&mut GpuTensor> = self.x0_hats.iter_mut().collect();
        let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: Some(&mut self.fresh) };
        let mut watched = Ok(());
        let gpu = &self.gpu;
        sampler::run(
            &self.plan,
            clip(&prepared.settings),
            &mut self.state,
            &mut workspace,
            &mut self.network,
            &mut self.noise,
            |StepId(step), state, _| {
                gpu.flush();
                if watched.is_ok() {
                    watched = watch(step + 1, state);
                }
            },
        )
        .map_err(sampler_error)?;
        watched?;
        Ok(self.state.to_vec()?)
    }
}

fn sampler_error(error: SamplerError<GpuError, GpuError, GpuError>) -> Error {
    match error {
        SamplerError::Tensor(error) | SamplerError::Noise(error) | SamplerError::Denoiser(error) => Error::Gpu(error),
        other => Error::Argument(other.to_string()),
    }
}

/// A network under guidance, as core's denoiser. Its program reads the state that it was recorded for, which is the sampler's.
struct NetworkOnGpu {
    program: Program,
    queries: Vec<Query>,
    guidance: Guidance,
    thresholding: Option<Thresholding>,
    features: usize,
    output: GpuTensor,
    unconditional: GpuTensor,
    /// A copy of the last estimate for whoever watches: a solver may keep something else of it.
    seen: Option<GpuTensor>,
}

impl Denoiser<GpuTensor> for NetworkOnGpu {
    type Error = GpuError;

    fn denoise(&mut self, x_t: &GpuTensor, StepId(step): StepId, x0_hat: &mut GpuTensor) -> Result<(), GpuError> {
        let rows = x_t.count() / self.features.max(1);
        self.program.enqueue(&Run { rows, step, unconditional: false })?;
        if !self.guidance.is_none() {
            self.program.enqueue(&Run { rows, step, unconditional: true })?;
            self.guidance.apply(&mut self.output, &self.unconditional).map_err(|error| match error {
                CombineError::Tensor(error) => error,
                other => GpuError::Unsupported(other.to_string()),
            })?;
        }
        let Conversion { from_state, from_output } = self.queries[step].to_x0;
        x0_hat.combine(0.0, &[(from_output, &self.output), (from_state, x_t)])?;
        if let Some(thresholding) = self.thresholding {
            x0_hat.threshold(thresholding, self.features)?;
        }
        self.seen.as_mut().map_or(Ok(()), |seen| seen.copy_from(x0_hat))
    }
}
