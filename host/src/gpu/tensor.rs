//! A state on a GPU under core's [`Tensor`] trait: every operation is one kernel, one pass.

use super::context::{Access, Call, Gpu, Kernel, Storage, parameters};
use super::error::GpuError;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tweedie_core::plan::MAX_PULLS;
use tweedie_core::tensor::{CoeffRange, Tensor, check_lengths};
use tweedie_core::thresholding::Thresholding;

/// The most operands of one pass: a step's estimates, noise, and one more.
const MOST_TERMS: usize = MAX_PULLS + 2;

/// Numbers that a workgroup makes: four for each of its invocations.
const NUMBERS: usize = 4 * 256;

/// Numbers of the kernels that are no combination; those of combinations are their operands.
const CLAMP: usize = MOST_TERMS + 1;
const THRESHOLD: usize = MOST_TERMS + 2;

/// Where tensors come from, and the calls that have been made for them: a sampler's buffers take turns, so there are few.
#[derive(Debug)]
pub struct Tensors {
    gpu: Arc<Gpu>,
    calls: Mutex<HashMap<Vec<u64>, Call>>,
}

impl Tensors {
    /// Tensors on a device.
    pub fn new(gpu: Arc<Gpu>) -> Arc<Self> {
        Arc::new(Self { gpu, calls: Mutex::default() })
    }

    /// The device.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// More numbers than the device has room for.
    pub fn zeros(self: &Arc<Self>, label: &str, count: usize) -> Result<GpuTensor, GpuError> {
        Ok(GpuTensor { storage: self.gpu.storage(label, count)?, count, tensors: self.clone() })
    }

    /// The call of a kernel with these buffers, made when it is first needed; `number` tells kernels apart.
    fn call(
        &self,
        number: usize,
        kernel: impl FnOnce() -> Result<Kernel, GpuError>,
        buffers: &[&Storage],
    ) -> Result<Call, GpuError> {
        let key: Vec<u64> = [number as u64].into_iter().chain(buffers.iter().map(|buffer| buffer.id())).collect();
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(call) = calls.get(&key) {
            return Ok(call.clone());
        }
        let call = self.gpu.bind(&kernel()?, buffers)?;
        calls.insert(key, call.clone());
        Ok(call)
    }
}

/// Numbers on a GPU, `f32`.
#[derive(Debug)]
pub struct GpuTensor {
    storage: Storage,
    /// How many of the buffer's numbers count.
    count: usize,
    tensors: Arc<Tensors>,
}

impl GpuTensor {
    /// The buffer.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// How many numbers count.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Lets fewer of the buffer's numbers count, or as many as it has.
    pub fn resize(&mut self, count: usize) {
        self.count = count.min(self.storage.words());
    }

    /// Replaces the numbers.
    ///
    /// # Errors
    /// More numbers than the tensor holds; a device that is lost.
    pub fn write(&mut self, values: &[f32]) -> Result<(), GpuError> {
        self.tensors.gpu.write(&self.storage, values)
    }

    /// The numbers.
    ///
    /// # Errors
    /// Whatever failed since the last time that something was read.
    pub fn to_vec(&self) -> Result<Vec<f32>, GpuError> {
        self.tensors.gpu.read(&self.storage, 0..self.count)
    }

    /// Dynamic thresholding of every row of `features` numbers by itself.
    ///
    /// # Errors
    /// A device that refuses the kernel.
    pub fn threshold(&mut self, thresholding: Thresholding, features: usize) -> Result<(), GpuError> {
        let gpu = &self.tensors.gpu;
        let kernel = || gpu.kernel("threshold", include_str!("wgsl/threshold.wgsl"), &[Access::ReadWrite]);
        let call = self.tensors.call(THRESHOLD, kernel, &[&self.storage])?;
        let rows = self.count / features.max(1);
        let (below, part) = thresholding.place(features);
        let most = thresholding.most.min(f64::from(f32::MAX)) as f32;
        let values = [rows as u32, features as u32, below as u32, (part as f32).to_bits(), most.to_bits()];
        gpu.enqueue(&call, &parameters(&values), gpu.groups(rows))
    }

    fn groups(&self) -> [u32; 3] {
        self.tensors.gpu.groups(self.count.div_ceil(NUMBERS))
    }

    fn quads(&self) -> u32 {
        self.count.div_ceil(4) as u32
    }

    /// `self <- keep self + sum_i c_i t_i` of at most [`MOST_TERMS`] operands.
    fn pass(&mut self, keep: f32, terms: &[(f32, &Self)]) -> Result<(), GpuError> {
        let gpu = &self.tensors.gpu;
        let buffers: Vec<&Storage> =
            [&self.storage].into_iter().chain(terms.iter().map(|(_, term)| &term.storage)).collect();
        let kernel = || {
            let access: Vec<Access> =
                [Access::ReadWrite].into_iter().chain(terms.iter().map(|_| Access::Read)).collect();
            gpu.kernel("combine", &combination(terms.len()), &access)
        };
        let call = self.tensors.call(terms.len(), kernel, &buffers)?;
        let coefficients = terms.iter().map(|(coefficient, _)| coefficient.to_bits());
        let values: Vec<u32> = [self.quads(), keep.to_bits()].into_iter().chain(coefficients).collect();
        gpu.enqueue(&call, &parameters(&values), self.groups())
    }
}

/// The source of the kernel of so many operands.
fn combination(terms: usize) -> String {
    let mut source = "struct Parameters {\n    quads: u32,\n    keep: f32,\n".to_owned();
    let mut bindings = String::new();
    let mut sums = String::new();
    for term in 0..terms {
        // Writing into a string cannot fail.
        let _ = writeln!(source, "    c{term}: f32,");
        let _ = writeln!(bindings, "@group(0) @binding({}) var<storage, read> t{term}: array<vec4<f32>>;", term + 2);
        let _ = writeln!(sums, "    sum += p.c{term} * t{term}[i];");
    }
    source
        + "}\n@group(0) @binding(0) var<uniform> p: Parameters;\n"
        + &bindings
        + include_str!("wgsl/combine.wgsl").replace("    // TERMS\n", &sums).as_str()
}

impl Tensor for GpuTensor {
    type Coeff = f32;
    type Error = GpuError;

    fn coeff(value: f64) -> Result<f32, CoeffRange> {
        <[f32] as Tensor>::coeff(value).map(|value| value as f32)
    }

    /// In single precision, so rounded several times, but in one pass for as many operands as a step has.
    fn combine(&mut self, keep: f32, terms: &[(f32, &Self)]) -> Result<(), GpuError> {
        check_lengths(self.count, terms.iter().map(|(_, term)| term.count))?;
        let (first, rest) = terms.split_at(terms.len().min(MOST_TERMS));
        self.pass(keep, first)?;
        rest.chunks(MOST_TERMS).try_for_each(|terms| self.pass(1.0, terms))
    }

    fn clamp(&mut self, low: f64, high: f64) -> Result<(), GpuError> {
        let gpu = &self.tensors.gpu;
        let kernel = || gpu.kernel("clamp_all", include_str!("wgsl/clamp.wgsl"), &[Access::ReadWrite]);
        let call = self.tensors.call(CLAMP, kernel, &[&self.storage])?;
        let values = [self.quads(), (low as f32).to_bits(), (high as f32).to_bits()];
        gpu.enqueue(&call, &parameters(&values), self.groups())
    }

    fn copy_from(&mut self, source: &Self) -> Result<(), GpuError> {
        check_lengths(self.count, [source.count])?;
        self.pass(0.0, &[(1.0, source)])
    }
}
