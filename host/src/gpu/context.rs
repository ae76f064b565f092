//! A GPU that is open: its buffers, its kernels, and the stream of calls to them.
//!
//! A kernel is a WGSL entry point whose binding 0 is a uniform of parameters and whose other bindings are storage buffers. A [`Call`] binds buffers to
//! it once; [`enqueue`](Gpu::enqueue) adds it to the stream with the parameters of the day, and [`flush`](Gpu::flush) hands the stream to the
//! device as one submission. So a step of a sampler allocates nothing: its calls exist, and parameters have a buffer of their own.

use super::adapter::{self, Listed};
use super::error::GpuError;
use super::poll;
use bytemuck::Pod;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use wgpu::{BufferUsages, ErrorFilter};

/// The longest that a read-back that is done may take to say so.
const ANSWER: Duration = Duration::from_secs(30);

/// Bytes of one call's parameters, which is also the strictest alignment that a device may ask for.
pub const PARAMETER_BYTES: usize = 256;

/// Calls of one submission; more are handed over in several.
const CALLS: usize = 1024;

/// What a kernel does with a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It reads: `var<storage, read>`.
    Read,
    /// It writes, and may read: `var<storage, read_write>`.
    ReadWrite,
}

/// 32-bit words on the device: `f32`, `i32` or `u32`.
#[derive(Clone, Debug)]
pub struct Storage {
    buffer: wgpu::Buffer,
    words: usize,
    id: u64,
}

impl Storage {
    /// The number of words.
    pub fn words(&self) -> usize {
        self.words
    }

    /// A number of its own, which clones share.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// wgpu's own handle.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

/// A compiled entry point.
#[derive(Clone, Debug)]
pub struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    access: Arc<[Access]>,
    label: &'static str,
}

/// A kernel with its buffers.
#[derive(Clone, Debug)]
pub struct Call {
    kernel: Kernel,
    group: wgpu::BindGroup,
    words: Arc<[usize]>,
}

impl Call {
    /// Bytes that the call moves where it reads each binding once, and writes once each that it may write.
    pub fn bytes(&self) -> u64 {
        let passes = |access: &Access| if *access == Access::ReadWrite { 2 } else { 1 };
        self.words.iter().zip(self.kernel.access.iter()).map(|(&words, access)| 4 * words as u64 * passes(access)).sum()
    }
}

/// A call's parameters: whole numbers, or the bits of `f32`.
pub type Parameters = [u32; PARAMETER_BYTES / 4];

/// Parameters from the first few of them.
pub fn parameters(first: &[u32]) -> Parameters {
    let mut all = [0; PARAMETER_BYTES / 4];
    all.iter_mut().zip(first).for_each(|(place, &value)| *place = value);
    all
}

/// A call that waits to be submitted.
struct Dispatch {
    call: Call,
    slot: u32,
    groups: [u32; 3],
}

#[derive(Default)]
struct Stream {
    pending: Vec<Dispatch>,
    parameters: Vec<u8>,
    submissions: u64,
    moved: u64,
}

/// What tells kernels apart: entry point, source, and what they do with their bindings.
type KernelKey = (&'static str, String, Vec<Access>);

/// A device that is open.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    listed: Listed,
    limits: wgpu::Limits,
    parameters: wgpu::Buffer,
    stream: Mutex<Stream>,
    kernels: Mutex<HashMap<KernelKey, Kernel>>,
    /// The first failure that no call reported itself.
    failure: Arc<Mutex<Option<GpuError>>>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("adapter", &self.listed).finish_non_exhaustive()
    }
}

/// Locks; what a thread left that panicked is still whole, since nothing here is changed in two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure_of(what: &str, bytes: u64, error: wgpu::Error) -> GpuError {
    match error {
        wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory { what: what.to_owned(), bytes },
        other => GpuError::Refused { what: what.to_owned(), reason: crate::cli::one_line(&other.to_string()) },
    }
}

impl Gpu {
    /// Opens the adapter of that number, or with that in its name, with all that it offers.
    ///
    /// # Errors
    /// No adapter, an unknown one, one that kernels do not fit, or a driver that refuses.
    pub fn open(adapter: Option<&str>) -> Result<Self, GpuError> {
        let (adapter, listed) = adapter::choose(adapter)?;
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("tweedie"),
            required_limits: limits.clone(),
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| {
            GpuError::Open { adapter: listed.name.clone(), reason: crate::cli::one_line(&error.to_string()) }
        })?;
        let failure = Arc::new(Mutex::new(None));
        let first = failure.clone();
        // wgpu's own handler panics.
        device.on_uncaptured_error(Arc::new(move |error| {
            lock(&first).get_or_insert(failure_of("a submission", 0, error));
        }));
        let first = failure.clone();
        device.set_device_lost_callback(move |_, reason| {
            let reason = if reason.is_empty() { "the driver says no more".to_owned() } else { reason };
            // It explains whatever else fails.
            *lock(&first) = Some(GpuError::Lost { reason: crate::cli::one_line(&reason) });
        });
        let parameters = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: (CALLS * PARAMETER_BYTES) as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let gpu = Self {
            device,
            queue,
            listed,
            limits,
            parameters,
            stream: Mutex::default(),
            kernels: Mutex::default(),
            failure,
        };
        gpu.check()?;
        Ok(gpu)
    }

    /// The adapter.
    pub fn adapter(&self) -> &Listed {
        &self.listed
    }

    /// What the device allows.
    pub fn limits(&self) -> &wgpu::Limits {
        &self.limits
    }

    /// The largest buffer that a kernel can see, in words.
    pub fn most_words(&self) -> usize {
        // Shaders count in 32 bits.
        (self.listed.largest_buffer / 4).min(u64::from(u32::MAX) / 4) as usize
    }

    /// Gives the device back; whatever is asked of it from then on is answered as of a device that was lost.
    pub fn close(&self) {
        self.device.destroy();
    }

    /// How many submissions there have been.
    pub fn submissions(&self) -> u64 {
        lock(&self.stream).submissions
    }

    /// Bytes that all calls so far have moved, counted from their bindings ([`Call::bytes`]), and their parameters.
    pub fn moved(&self) -> u64 {
        lock(&self.stream).moved
    }

    /// The first failure of what has been submitted, if any.
    ///
    /// # Errors
    /// That failure.
    pub fn check(&self) -> Result<(), GpuError> {
        lock(&self.failure).clone().map_or(Ok(()), Err)
    }

    /// Does something that may fail, and waits for wgpu's word on it.
    fn scoped<T>(&self, what: &str, bytes: u64, act: impl FnOnce(&wgpu::Device) -> T) -> Result<T, GpuError> {
        let scopes = [ErrorFilter::Internal, ErrorFilter::Validation, ErrorFilter::OutOfMemory]
            .map(|filter| self.device.push_error_scope(filter));
        let made = act(&self.device);
        let errors: Vec<wgpu::Error> =
            scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop())).collect();
        // A lost device explains the rest.
        self.check()?;
        errors.into_iter().next().map_or(Ok(made), |error| Err(failure_of(what, bytes, error)))
    }

    /// A buffer of zeros.
    ///
    /// # Errors
    /// More words than the adapter binds, or than there is memory for.
    pub fn storage(&self, label: &str, words: usize) -> Result<Storage, GpuError> {
        self.allocate(label, words, BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST)
    }

    fn allocate(&self, label: &str, words: usize, usage: BufferUsages) -> Result<Storage, GpuError> {
        // Bindings may not be empty, and kernels take four numbers at a time.
        let bytes = 4 * words.max(1).next_multiple_of(4) as u64;
        if words > self.most_words() {
            let (adapter, most) = (self.listed.name.clone(), 4 * self.most_words() as u64);
            return Err(GpuError::BufferTooLarge { what: label.to_owned(), bytes, most, adapter });
        }
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
        let buffer = self.scoped(label, bytes, |device| device.create_buffer(&descriptor))?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Ok(Storage { buffer, words, id: NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    /// A buffer with these numbers.
    ///
    /// # Errors
    /// As of [`storage`](Self::storage).
    pub fn upload<T: Pod>(&self, label: &str, values: &[T]) -> Result<Storage, GpuError> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let storage = self.storage(label, bytes.len() / 4)?;
        self.write(&storage, values)?;
        Ok(storage)
    }

    /// Replaces a buffer's first numbers, after all that has been enqueued before.
    ///
    /// # Errors
    /// More numbers than the buffer holds, or a device that is lost.
    pub fn write<T: Pod>(&self, storage: &Storage, values: &[T]) -> Result<(), GpuError> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let words = bytes.len() / 4;
        if words > storage.words {
            Err(tweedie_core::tensor::LengthMismatch { expected: storage.words, found: words })?;
        }
        self.flush();
        if !bytes.is_empty() {
            self.queue.write_buffer(&storage.buffer, 0, bytes);
        }
        self.check()
    }

    /// Numbers of a buffer, after all that has been enqueued.
    ///
    /// # Errors
    /// A range beyond the buffer; whatever failed since the last time.
    pub fn read<T: Pod>(&self, storage: &Storage, words: Range<usize>) -> Result<Vec<T>, GpuError> {
        if words.end > storage.words {
            Err(tweedie_core::tensor::LengthMismatch { expected: storage.words, found: words.end })?;
        }
        self.flush();
        self.check()?;
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let staging = self.allocate("a copy to read", words.len(), BufferUsages::MAP_READ | BufferUsages::COPY_DST)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let bytes = 4 * words.len() as u64;
        encoder.copy_buffer_to_buffer(&storage.buffer, 4 * words.start as u64, &staging.buffer, 0, bytes);
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        let slice = staging.buffer.slice(..bytes);
        slice.map_async(wgpu::MapMode::Read, move |mapped| {
            // Who waits has not gone.
            let _ = sender.send(mapped);
        });
        self.wait()?;
        let refused = |reason: String| GpuError::Refused { what: "reading a buffer".to_owned(), reason };
        // Where several threads wait, another one may have taken the answer and be about to pass it on.
        match receiver.recv_timeout(ANSWER) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(refused(error.to_string())),
            Err(_) => return Err(refused("the driver did not answer".to_owned())),
        }
        let view = slice.get_mapped_range().map_err(|error| refused(error.to_string()))?;
        let values = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        staging.buffer.unmap();
        Ok(values)
    }

    /// Waits until all that was enqueued is done.
    ///
    /// # Errors
    /// The first failure.
    pub fn wait(&self) -> Result<(), GpuError> {
        self.flush();
        let waited = poll::wait(&self.device);
        self.check()?;
        waited
    }

    /// An entry point of a WGSL source, compiled once; `access` is that of bindings 1 and up. Its binding 0 is a uniform of at most
    /// [`PARAMETER_BYTES`].
    ///
    /// # Errors
    /// A source that the driver refuses.
    pub fn kernel(&self, entry: &'static str, source: &str, access: &[Access]) -> Result<Kernel, GpuError> {
        let key = (entry, source.to_owned(), access.to_vec());
        if let Some(kernel) = lock(&self.kernels).get(&key) {
            return Ok(kernel.clone());
        }
        let compiled = self.scoped(entry, 0, |device| {
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(entry),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            });
            let binding =
                |binding: u32, ty: wgpu::BufferBindingType, has_dynamic_offset: bool| wgpu::BindGroupLayoutEntry {
                    binding,
                    visibility: wgpu::ShaderStages::COMPUTE,
                    ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
                    count: None,
                };
            let storages = access.iter().zip(1..).map(|(access, at)| {
                let read_only = *access == Access::Read;
                binding(at, wgpu::BufferBindingType::Storage { read_only }, false)
            });
            let entries: Vec<_> =
                [binding(0, wgpu::BufferBindingType::Uniform, true)].into_iter().chain(storages).collect();
            let layout = device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(entry), entries: &entries });
            let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(entry),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            Kernel { pipeline, layout, access: access.into(), label: entry }
        })?;
        lock(&self.kernels).insert(key, compiled.clone());
        Ok(compiled)
    }

    /// Binds buffers to a kernel, in the order of its bindings from 1 on.
    ///
    /// # Errors
    /// Another number of buffers than the kernel has bindings, or one that is bound twice and written.
    pub fn bind(&self, kernel: &Kernel, buffers: &[&Storage]) -> Result<Call, GpuError> {
        let parameters = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.parameters,
            offset: 0,
            size: std::num::NonZeroU64::new(PARAMETER_BYTES as u64),
        });
        let storages = buffers.iter().map(|storage| storage.buffer.as_entire_binding());
        let entries: Vec<_> = [parameters]
            .into_iter()
            .chain(storages)
            .zip(0..)
            .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let descriptor =
            wgpu::BindGroupDescriptor { label: Some(kernel.label), layout: &kernel.layout, entries: &entries };
        let group = self.scoped(kernel.label, 0, |device| device.create_bind_group(&descriptor))?;
        Ok(Call { kernel: kernel.clone(), group, words: buffers.iter().map(|storage| storage.words).collect() })
    }

    /// So many workgroups, spread over two dimensions where one does not hold them. The kernel finds its workgroup's number as
    /// `workgroup_id.y * num_workgroups.x + workgroup_id.x`, and returns where that is beyond what is asked.
    pub fn groups(&self, count: usize) -> [u32; 3] {
        spread(count, self.limits.max_compute_workgroups_per_dimension)
    }

    /// Adds a call to the stream.
    ///
    /// # Errors
    /// Parameters of more than [`PARAMETER_BYTES`]; more workgroups than the device starts.
    pub fn enqueue<P: Pod>(&self, call: &Call, parameters: &P, groups: [u32; 3]) -> Result<(), GpuError> {
        let bytes = bytemuck::bytes_of(parameters);
        let most = self.limits.max_compute_workgroups_per_dimension;
        if bytes.len() > PARAMETER_BYTES || groups.iter().any(|&count| count > most) {
            let reason = format!("{} bytes of parameters, {groups:?} workgroups", bytes.len());
            return Err(GpuError::Refused { what: call.kernel.label.to_owned(), reason });
        }
        if groups.contains(&0) {
            return Ok(());
        }
        let mut stream = lock(&self.stream);
        if stream.parameters.len() == CALLS * PARAMETER_BYTES {
            self.submit(&mut stream);
        }
        stream.moved += call.bytes() + bytes.len() as u64;
        let slot = stream.parameters.len();
        stream.parameters.extend_from_slice(bytes);
        stream.parameters.resize(slot + PARAMETER_BYTES, 0);
        stream.pending.push(Dispatch { call: call.clone(), slot: slot as u32, groups });
        Ok(())
    }

    /// Hands the stream to the device, without waiting.
    pub fn flush(&self) {
        self.submit(&mut lock(&self.stream));
    }

    fn submit(&self, stream: &mut Stream) {
        if stream.pending.is_empty() {
            return;
        }
        if !stream.parameters.is_empty() {
            self.queue.write_buffer(&self.parameters, 0, &stream.parameters);
        }
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for Dispatch { call, slot, groups: [x, y, z] } in stream.pending.drain(..) {
            pass.set_pipeline(&call.kernel.pipeline);
            pass.set_bind_group(0, &call.group, &[slot]);
            pass.dispatch_workgroups(x, y, z);
        }
        drop(pass);
        self.queue.submit([encoder.finish()]);
        stream.parameters.clear();
        stream.submissions += 1;
    }
}

fn spread(count: usize, most: u32) -> [u32; 3] {
    let rows = count.div_ceil(most.max(1) as usize).max(1);
    [count.div_ceil(rows) as u32, rows as u32, 1]
}
