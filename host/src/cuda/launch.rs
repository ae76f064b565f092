//! Starting the kernels. Every call adds work to the GPU's one stream and returns at once.

#![allow(unsafe_code)]

use super::source;
use crate::noise::NoiseRows;
use crate::optimiser::Constants;
use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, CudaView, CudaViewMut, LaunchArgs, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use candle_core::cuda_backend::{CudaDType, CudaStorageSlice};
use candle_core::op::BackpropOp;
use candle_core::{CpuStorage, CudaStorage, DType, Device, InplaceOp1, Layout, Result, Shape, Storage, Tensor, bail};
use std::sync::{Arc, Mutex, OnceLock};

/// What candle keeps our kernels under.
const MODULE: &str = "tweedie";
/// Threads of a block.
const BLOCK: u32 = 256;
/// Sums that squares of gradients are gathered in, and those in the step before the last one.
const SLOTS: usize = 1 << 14;
const FEW_SLOTS: usize = 1 << 7;

/// Opens the GPU of a number, with one stream for all threads.
///
/// # Errors
/// A GPU or a driver that is not there.
pub fn open(number: usize) -> Result<Device> {
    // Candle's usual stream is another one on every thread, and nothing orders their work.
    let device = Device::new_cuda_with_stream(number)?;
    // SAFETY: there is this one stream in the context, and everything is allocated, used and freed in its order; events have nothing to order.
    unsafe { device.as_cuda_device()?.disable_event_tracking() };
    Ok(device)
}

/// A kernel, and the GPU's stream.
struct Kernel {
    function: CudaFunction,
    stream: Arc<CudaStream>,
}

impl Kernel {
    /// An empty list of arguments.
    fn builder(&self) -> LaunchArgs<'_> {
        self.stream.launch_builder(&self.function)
    }
}

/// A kernel by name, built at its first use.
fn kernel(device: &CudaDevice, name: &str) -> Result<Kernel> {
    static PTX: OnceLock<std::result::Result<String, String>> = OnceLock::new();
    let built = PTX.get_or_init(|| {
        let options = CompileOptions { fmad: Some(false), name: Some("kernels.cu".to_owned()), ..Default::default() };
        compile_ptx_with_opts(source(), options).map(|ptx| ptx.to_src()).map_err(|error| error.to_string())
    });
    match built {
        Ok(ptx) => {
            let function = device.get_or_load_custom_func(name, MODULE, ptx)?.into_cuda_function();
            Ok(Kernel { function, stream: device.cuda_stream() })
        }
        Err(error) => bail!("the kernels could not be built for this GPU: {error}"),
    }
}

/// Starts `threads` threads of a kernel.
///
/// # Safety
/// The arguments are those of the kernel's parameters in their order, and its buffers are as long as `kernels.cu` reads and writes them.
unsafe fn launch(arguments: &mut LaunchArgs<'_>, threads: usize) -> Result<()> {
    let Ok(blocks) = u32::try_from(threads.div_ceil(BLOCK as usize)) else {
        bail!("{threads} numbers are more than one kernel takes");
    };
    let config = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (BLOCK, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the caller's.
    unsafe { arguments.launch(config) }.map(|_| ()).map_err(candle_core::Error::wrap)
}

/// Core's normal numbers, `[rows, features]`.
///
/// # Errors
/// The driver's.
pub fn normal_noise(device: &CudaDevice, noise: &NoiseRows, rows: usize, features: usize) -> Result<Tensor> {
    // SAFETY: every number is written below before anything reads it.
    let mut out = unsafe { device.alloc::<f32>(rows * features)? };
    let function = kernel(device, "normal_noise")?;
    let mut arguments = function.builder();
    let (row_count, feature_count) = (rows as u64, features as u64);
    arguments.arg(&mut out).arg(&row_count).arg(&feature_count);
    arguments.arg(&noise.seed).arg(&noise.stream).arg(&noise.stream_step).arg(&noise.draw).arg(&noise.draw_step);
    if rows * features > 0 {
        // SAFETY: `out` holds rows * features numbers, for which there is a thread for each block of four in every row.
        unsafe { launch(&mut arguments, rows * features.div_ceil(4))? };
    }
    drop(arguments);
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(out, device.clone()));
    Ok(Tensor::from_storage(storage, (rows, features), BackpropOp::none(), false))
}

/// The most terms of one step.
pub const MOST_TERMS: usize = 6;

/// A step of a sampler: `keep own + sum_i c_i t_i`; all contiguous f32 of one shape, at most [`MOST_TERMS`] terms.
///
/// # Errors
/// The driver's, or another type or layout.
pub fn combine(
    own: &CudaStorage,
    layout: &Layout,
    keep: f64,
    terms: &[(f64, &Tensor)],
) -> Result<(CudaStorage, Shape)> {
    let device = &own.device;
    let own = view::<f32>(own, layout)?;
    let count = own.len();
    let guards: Vec<_> = terms.iter().map(|(_, term)| term.storage_and_layout()).collect();
    let mut views = Vec::with_capacity(MOST_TERMS);
    for (storage, layout) in &guards {
        match &**storage {
            Storage::Cuda(storage) => views.push(view::<f32>(storage, layout)?),
            _ => bail!("combine: a term is on another device"),
        }
    }
    if views.len() > MOST_TERMS || views.iter().any(|term| term.len() != count) {
        bail!("combine: {} terms, of which some are of another size than {count}", views.len());
    }
    // SAFETY: every number is written below before anything reads it.
    let mut out = unsafe { device.alloc::<f32>(count)? };
    let function = kernel(device, "combine")?;
    let mut arguments = function.builder();
    let (length, term_count) = (count as u64, views.len() as u32);
    let coefficients: Vec<f64> = (0..MOST_TERMS).map(|i| terms.get(i).map_or(0.0, |(c, _)| *c)).collect();
    arguments.arg(&mut out).arg(&own).arg(&length).arg(&keep).arg(&term_count);
    for (index, coefficient) in coefficients.iter().enumerate() {
        // Terms beyond the last are not read.
        arguments.arg(views.get(index).unwrap_or(&own)).arg(coefficient);
    }
    if count > 0 {
        // SAFETY: `out`, `own` and all terms hold `count` numbers.
        unsafe { launch(&mut arguments, count)? };
    }
    drop(arguments);
    Ok((CudaStorage::wrap_cuda_slice(out, device.clone()), layout.shape().clone()))
}

/// What the optimiser makes of a gradient: `[factor, whether the update is made, norm]`, which stays on the GPU.
pub struct Verdict(Tensor);

impl Verdict {
    /// The gradient's norm before clipping, a scalar.
    ///
    /// # Errors
    /// The driver's.
    pub fn norm(&self) -> Result<Tensor> {
        // A copy, since the whole lives no longer than the update.
        self.0.get(2)?.copy()
    }
}

/// Judges contiguous f32 gradients by the norm of all together. `scaler` is `[scale of the loss, updates since it changed]`, f32, which a
/// positive growth interval changes.
///
/// # Errors
/// The driver's.
pub fn judge_gradients(
    gradients: &[Tensor],
    gradient_clip: f64,
    scaler: &Tensor,
    growth_interval: f32,
) -> Result<Verdict> {
    let device = scaler.device();
    let gpu = device.as_cuda_device()?;
    let zeros = |count: usize| gpu.alloc_zeros::<f64>(count);
    let (mut sums, mut few, mut total) = (zeros(SLOTS)?, zeros(FEW_SLOTS)?, zeros(1)?);
    let slots = SLOTS as u64;
    let add = kernel(gpu, "add_squares")?;
    for gradient in gradients {
        with_view::<f32, _>(gradient, |values| {
            let count = values.len() as u64;
            let mut arguments = add.builder();
            arguments.arg(&mut sums).arg(&slots).arg(values).arg(&count);
            // SAFETY: `sums` holds SLOTS numbers and `values` `count`.
            unsafe { launch(&mut arguments, SLOTS) }
        })?;
    }
    fold(gpu, &mut few, &sums)?;
    fold(gpu, &mut total, &few)?;
    let verdict = Tensor::zeros(3, DType::F32, device)?;
    let function = kernel(gpu, "judge_gradient")?;
    with_view_mut(&verdict, &mut |verdict| {
        with_view_mut(scaler, &mut |scaler| {
            let mut arguments = function.builder();
            arguments.arg(&mut *verdict).arg(&total).arg(&gradient_clip).arg(&mut *scaler).arg(&growth_interval);
            // SAFETY: the buffers hold 3, 1 and 2 numbers.
            unsafe { launch(&mut arguments, 1) }
        })
    })?;
    Ok(Verdict(verdict))
}

fn fold(gpu: &CudaDevice, sums: &mut CudaSlice<f64>, values: &CudaSlice<f64>) -> Result<()> {
    let function = kernel(gpu, "fold")?;
    let (slots, count) = (sums.len() as u64, values.len() as u64);
    let mut arguments = function.builder();
    arguments.arg(&mut *sums).arg(&slots).arg(values).arg(&count);
    // SAFETY: both are as long as is said.
    unsafe { launch(&mut arguments, slots as usize) }
}

/// One update of a weight and of what is remembered of it, `[mean, square, average]`; all contiguous f32 of one shape.
///
/// # Errors
/// The driver's, or another type or layout.
pub fn adamw(
    weight: &Tensor,
    gradient: &Tensor,
    memory: [&Tensor; 3],
    verdict: &Verdict,
    constants: &Constants,
) -> Result<()> {
    let gpu = weight.device().as_cuda_device()?;
    let function = kernel(gpu, "adamw")?;
    let count = weight.elem_count();
    if memory.iter().chain([&gradient]).any(|tensor| tensor.elem_count() != count) {
        bail!("adamw: {count} weights met another number of gradients or means");
    }
    let [mean, square, average] = memory;
    let (length, numbers) = (count as u64, constants.in_order());
    with_view::<f32, _>(gradient, |gradient| {
        with_view::<f32, _>(&verdict.0, |verdict| {
            with_view_mut(mean, &mut |mean| {
                with_view_mut(square, &mut |square| {
                    with_view_mut(average, &mut |average| {
                        with_view_mut(weight, &mut |weight| {
                            let mut arguments = function.builder();
                            arguments.arg(&mut *weight).arg(gradient).arg(&mut *mean).arg(&mut *square);
                            arguments.arg(&mut *average).arg(&length).arg(verdict);
                            for number in &numbers {
                                arguments.arg(number);
                            }
                            // SAFETY: all hold `count` numbers, the verdict 3.
                            unsafe { launch(&mut arguments, count) }
                        })
                    })
                })
            })
        })
    })
}

/// The elements of a contiguous operand.
fn view<'a, T: CudaDType>(storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice::<T>()?.slice(start..end)),
        None => bail!("a kernel needs contiguous operands"),
    }
}

fn with_view<T: CudaDType, R>(tensor: &Tensor, f: impl FnOnce(&CudaView<'_, T>) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cuda(storage) => f(&view(storage, layout)?),
        _ => bail!("a kernel's operand is on another device"),
    }
}

/// What is done to the elements.
type Change<'f> = &'f mut (dyn FnMut(&mut CudaViewMut<'_, f32>) -> Result<()> + Send);

/// Hands the elements of a contiguous f32 tensor to `f`, to be changed in place.
fn with_view_mut(tensor: &Tensor, f: Change<'_>) -> Result<()> {
    struct InPlace<'f>(Mutex<Change<'f>>);

    impl InplaceOp1 for InPlace<'_> {
        fn name(&self) -> &'static str {
            "in-place"
        }

        fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
            bail!("a kernel's operand is on the CPU")
        }

        fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
            let (CudaStorageSlice::F32(slice), Some((start, end))) = (&mut storage.slice, layout.contiguous_offsets())
            else {
                bail!("a kernel in place needs contiguous f32");
            };
            match self.0.lock() {
                Ok(mut f) => f(&mut slice.slice_mut(start..end)),
                Err(_) => bail!("a kernel in place panicked"),
            }
        }
    }

    tensor.inplace_op1(&InPlace(Mutex::new(f)))
}
