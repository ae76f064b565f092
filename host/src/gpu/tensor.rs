//! A state on a GPU under core's [`Tensor`] trait: every operation is one kernel, one pass.

use super::context::{Access, Call, Gpu, Kernel, Storage, parameters};
use super::error::GpuError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tweedie_core::plan::{MAX_PULLS, Step};
use tweedie_core::tensor::{CoeffRange, Tensor, check_lengths};
use tweedie_core::thresholding::Thresholding;

/// The most operands of one pass: a step's estimates, noise, and one more.
const MOST_TERMS: usize = MAX_PULLS + 2;

/// Coefficients whose magnitudes sum up to more make large numbers cancel, as solvers do that extrapolate noise; they are worth sums of two words.
const MODERATE: f64 = 4.0;

/// Numbers that a workgroup makes: four for each of its invocations.
const NUMBERS: usize = 4 * 256;

/// Numbers of kernels; those of plain combinations are their operands, those of precise ones are so many more.
const PRECISE: usize = 16;
const CLAMP: usize = 32;
const THRESHOLD: usize = 33;

/// Where tensors come from, and the calls that have been made for them: a sampler's buffers take turns, so there are few.
#[derive(Debug)]
pub struct Tensors {
    gpu: Arc<Gpu>,
    is_precise: bool,
    calls: Mutex<HashMap<Vec<u64>, Call>>,
}

impl Tensors {
    /// Tensors on a device. Combinations of large coefficients are rounded once.
    pub fn new(gpu: Arc<Gpu>) -> Arc<Self> {
        Arc::new(Self { gpu, is_precise: false, calls: Mutex::default() })
    }

    /// Tensors for a plan. If it has large coefficients, which amplify whatever was rounded before, all combinations are rounded once.
    pub fn for_plan(gpu: Arc<Gpu>, plan: &[Step]) -> Arc<Self> {
        let memory = |step: &Step| step.memory().map_or([0.0; 2], |memory| [memory.from_state, memory.from_x0]);
        let largest = |step: &Step| {
            let all = step.pull().iter().copied().chain(memory(step)).chain([step.keep]);
            all.fold(0.0, |most: f64, coefficient| most.max(coefficient.abs()))
        };
        let is_precise = plan.iter().any(|step| largest(step) > MODERATE);
        Arc::new(Self { gpu, is_precise, calls: Mutex::default() })
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
    fn pass(&mut self, keep: f64, terms: &[(f64, &Self)]) -> Result<(), GpuError> {
        let gpu = &self.tensors.gpu;
        let buffers: Vec<&Storage> =
            [&self.storage].into_iter().chain(terms.iter().map(|(_, term)| &term.storage)).collect();
        let coefficients = || [keep].into_iter().chain(terms.iter().map(|(coefficient, _)| *coefficient));
        let is_moderate = !self.tensors.is_precise && coefficients().map(f64::abs).sum::<f64>() <= MODERATE;
        let kernel = || {
            let access: Vec<Access> =
                [Access::ReadWrite].into_iter().chain(terms.iter().map(|_| Access::Read)).collect();
            gpu.kernel("combine", &combination(terms.len(), is_moderate), &access)
        };
        let number = if is_moderate { terms.len() } else { PRECISE + terms.len() };
        let call = self.tensors.call(number, kernel, &buffers)?;
        let words = coefficients().flat_map(|coefficient| match is_moderate {
            true => vec![(coefficient as f32).to_bits()],
            false => parts(coefficient).map(f32::to_bits).to_vec(),
        });
        // The second word stays 0.
        let values: Vec<u32> = [self.quads(), 0].into_iter().chain(words).collect();
        gpu.enqueue(&call, &parameters(&values), self.groups())
    }
}

/// A coefficient as a sum of three numbers, the first two of 12 bits: their products with as many bits are exact.
fn parts(coefficient: f64) -> [f32; 3] {
    let short = |value: f64| f32::from_bits((value as f32).to_bits() & 0xffff_f000);
    let first = short(coefficient);
    let second = short(coefficient - f64::from(first));
    [first, second, (coefficient - f64::from(first) - f64::from(second)) as f32]
}

/// The source of the kernel of so many operands.
fn combination(terms: usize, is_moderate: bool) -> String {
    let names = || ["keep".to_owned()].into_iter().chain((0..terms).map(|term| format!("c{term}")));
    let of = |name: &str| match is_moderate {
        true => format!("    {name}: f32,\n"),
        false => (0..3).map(|part| format!("    {name}_{part}: f32,\n")).collect(),
    };
    let fields: String = names().map(|name| of(&name)).collect();
    let operands: String = (0..terms)
        .map(|term| format!("@group(0) @binding({}) var<storage, read> t{term}: array<vec4<f32>>;\n", term + 2))
        .collect();
    let sums: String = (0..terms)
        .map(|term| match is_moderate {
            true => format!("    sum += p.c{term} * t{term}[i];\n"),
            false => format!("    sum = plus(sum, vec3<f32>(p.c{term}_0, p.c{term}_1, p.c{term}_2), t{term}[i]);\n"),
        })
        .collect();
    let body = match is_moderate {
        true => include_str!("wgsl/combine.wgsl"),
        false => include_str!("wgsl/combine_precisely.wgsl"),
    };
    format!("struct Parameters {{\n    quads: u32,\n    zero: u32,\n{fields}}}\n{operands}")
        + &body.replace("    // TERMS\n", &sums)
}

impl Tensor for GpuTensor {
    /// As a plan has them: where they are large, more of their digits count than a number of the device has.
    type Coeff = f64;
    type Error = GpuError;

    fn coeff(value: f64) -> Result<f64, CoeffRange> {
        <[f32] as Tensor>::coeff(value)
    }

    /// In one pass for as many operands as a step has. Where coefficients are moderate the sum is rounded after each operand, by no more than the
    /// result's last bits; where they are not, it is rounded once.
    fn combine(&mut self, keep: f64, terms: &[(f64, &Self)]) -> Result<(), GpuError> {
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
