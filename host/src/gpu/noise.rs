//! Core's noise, made where it is needed: the very bits of [`NoiseStream`](tweedie_core::noise::NoiseStream).

use super::context::{Access, Call, Gpu, Kernel, Storage, parameters};
use super::error::GpuError;
use super::tensor::GpuTensor;
use std::collections::HashMap;
use std::sync::Arc;
use tweedie_core::NoiseSource;
use tweedie_core::normal::PIECES;

/// Noise for the rows of a batch, `features` numbers each: row `i` reads the stream of sample `first + i`.
#[derive(Debug)]
pub struct GpuNoise {
    gpu: Arc<Gpu>,
    kernel: Kernel,
    pieces: Storage,
    calls: HashMap<u64, Call>,
    seed: u64,
    features: usize,
    /// The number of the first row's sample.
    pub first: u64,
}

impl GpuNoise {
    /// Noise under a seed, for samples from the first.
    ///
    /// # Errors
    /// A device without room for the tables, or that refuses the kernel.
    pub fn new(gpu: &Arc<Gpu>, seed: u64, features: usize) -> Result<Self, GpuError> {
        let kernel = gpu.kernel("noise", include_str!("wgsl/noise.wgsl"), &[Access::Read, Access::ReadWrite])?;
        let pieces = gpu.upload("the Gaussian transform", PIECES.as_flattened())?;
        Ok(Self { gpu: gpu.clone(), kernel, pieces, calls: HashMap::new(), seed, features, first: 0 })
    }
}

impl NoiseSource<GpuTensor> for GpuNoise {
    type Error = GpuError;

    fn fill_normal(&mut self, draw: u32, out: &mut GpuTensor) -> Result<(), GpuError> {
        let storage = out.storage();
        let call = match self.calls.get(&storage.id()) {
            Some(call) => call.clone(),
            None => {
                let call = self.gpu.bind(&self.kernel, &[&self.pieces, storage])?;
                self.calls.insert(storage.id(), call.clone());
                call
            }
        };
        let (rows, features) = (out.count() / self.features.max(1), self.features);
        let halves = |value: u64| [value as u32, (value >> 32) as u32];
        let [[seed_low, seed_high], [first_low, first_high]] = [halves(self.seed), halves(self.first)];
        let values = [rows as u32, features as u32, draw, seed_low, seed_high, first_low, first_high];
        let groups = self.gpu.groups((rows * features.div_ceil(4)).div_ceil(256));
        self.gpu.enqueue(&call, &parameters(&values), groups)
    }
}
