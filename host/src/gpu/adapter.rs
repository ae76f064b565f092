//! The GPUs that are there, and which one a person means.

use super::error::GpuError;
use serde::Serialize;
use wgpu::{Adapter, Backends, DeviceType, DownlevelFlags, Instance, InstanceDescriptor};

/// The most storage buffers that a kernel of this crate binds.
pub const MOST_BINDINGS: u32 = 8;

/// The largest workgroup of this crate's kernels, in invocations.
pub const LARGEST_WORKGROUP: u32 = 256;

/// An adapter as `cargo xtask devices` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its number, which `--adapter` takes.
    pub number: usize,
    /// Its name, a part of which `--adapter` takes as well.
    pub name: String,
    /// Vulkan, Metal, Dx12 or Gl.
    pub backend: String,
    /// Discrete, integrated, virtual or software.
    pub kind: &'static str,
    /// The driver and its version.
    pub driver: String,
    /// The largest buffer that a kernel can see, in bytes.
    pub largest_buffer: u64,
    /// The largest workgroup, in invocations.
    pub largest_workgroup: u32,
    /// Memory that a workgroup shares, in bytes.
    pub workgroup_memory: u32,
    /// Storage buffers that a kernel can bind.
    pub storage_buffers: u32,
}

impl Listed {
    fn of(number: usize, adapter: &Adapter) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let driver = [info.driver.trim(), info.driver_info.trim()].map(str::to_owned);
        let driver: Vec<String> = driver.into_iter().filter(|part| !part.is_empty()).collect();
        Self {
            number,
            name: info.name,
            backend: format!("{:?}", info.backend),
            kind: match info.device_type {
                DeviceType::DiscreteGpu => "discrete",
                DeviceType::IntegratedGpu => "integrated",
                DeviceType::VirtualGpu => "virtual",
                DeviceType::Cpu => "software",
                DeviceType::Other => "other",
            },
            driver: driver.join(" "),
            largest_buffer: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            largest_workgroup: limits.max_compute_invocations_per_workgroup,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
        }
    }

    fn phrase(&self) -> String {
        format!("{}: {} ({})", self.number, self.name, self.backend)
    }
}

/// Every adapter, the likeliest first, as wgpu's environment variables have it (`WGPU_BACKEND`, `WGPU_POWER_PREF`).
pub fn listed() -> Vec<Listed> {
    available().iter().enumerate().map(|(number, adapter)| Listed::of(number, adapter)).collect()
}

/// The adapter of that number or with that in its name; without, the one that `WGPU_ADAPTER_NAME` names, or the likeliest.
///
/// # Errors
/// No adapter; none of that name; several of it; one that lacks what kernels need.
pub(super) fn choose(asked: Option<&str>) -> Result<(Adapter, Listed), GpuError> {
    let mut adapters = available();
    let all: Vec<Listed> = adapters.iter().enumerate().map(|(number, adapter)| Listed::of(number, adapter)).collect();
    if all.is_empty() {
        return Err(none());
    }
    let named = std::env::var("WGPU_ADAPTER_NAME").ok().filter(|name| !name.is_empty());
    let number = pick(&all, asked.or(named.as_deref()))?;
    let (adapter, listed) = (adapters.swap_remove(number), all[number].clone());
    fit(&adapter, &listed)?;
    Ok((adapter, listed))
}

/// The number of the adapter that is asked for, by its number or a part of its name; without, the first.
///
/// # Errors
/// None or several of that name.
pub fn pick(all: &[Listed], asked: Option<&str>) -> Result<usize, GpuError> {
    let Some(asked) = asked else { return Ok(0) };
    let phrases = |of: &mut dyn Iterator<Item = &Listed>| of.map(Listed::phrase).collect::<Vec<_>>().join(", ");
    if let Ok(number) = asked.parse::<usize>()
        && number < all.len()
    {
        return Ok(number);
    }
    let part = asked.to_lowercase();
    let mut matching = all.iter().filter(|one| !part.is_empty() && one.name.to_lowercase().contains(&part));
    match (matching.next(), matching.next()) {
        // The same device by way of several interfaces: the likeliest.
        (Some(first), Some(_))
            if all.iter().all(|one| !one.name.to_lowercase().contains(&part) || one.name == first.name) =>
        {
            Ok(first.number)
        }
        (Some(_), Some(_)) => Err(GpuError::AmbiguousAdapter {
            asked: asked.to_owned(),
            known: phrases(&mut all.iter().filter(|one| one.name.to_lowercase().contains(&part))),
        }),
        (Some(only), None) => Ok(only.number),
        _ => Err(GpuError::UnknownAdapter { asked: asked.to_owned(), known: phrases(&mut all.iter()) }),
    }
}

/// Whether the adapter can run this crate's kernels.
fn fit(adapter: &Adapter, listed: &Listed) -> Result<(), GpuError> {
    let unfit = |reason: String| GpuError::Unfit { adapter: listed.phrase(), reason };
    if !adapter.get_downlevel_capabilities().flags.contains(DownlevelFlags::COMPUTE_SHADERS) {
        return Err(unfit("runs no compute shaders".to_owned()));
    }
    if listed.storage_buffers < MOST_BINDINGS {
        return Err(unfit(format!(
            "binds {} buffers to a kernel, and {MOST_BINDINGS} are needed",
            listed.storage_buffers
        )));
    }
    if listed.largest_workgroup < LARGEST_WORKGROUP {
        return Err(unfit(format!(
            "runs workgroups of {}, and {LARGEST_WORKGROUP} are needed",
            listed.largest_workgroup
        )));
    }
    Ok(())
}

/// That there is no adapter, and what to do about it.
pub fn none() -> GpuError {
    let asked = descriptor().backends & Instance::enabled_backend_features();
    let names: Vec<String> = asked
        .iter_names()
        .map(|(name, _)| match name {
            "VULKAN" => "Vulkan".to_owned(),
            "METAL" => "Metal".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    let narrowing: Vec<&str> = ["WGPU_BACKEND", "VK_DRIVER_FILES", "VK_ICD_FILENAMES"]
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some())
        .collect();
    GpuError::NoAdapter {
        backends: if names.is_empty() { "no interface at all".to_owned() } else { names.join(" and ") },
        hint: match narrowing.is_empty() {
            true => String::new(),
            false => format!(" (the search is narrowed by {} in the environment)", narrowing.join(" and ")),
        },
    }
}

fn descriptor() -> InstanceDescriptor {
    InstanceDescriptor {
        // An allocation beyond is refused, before the driver takes memory that it does not have.
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds {
            for_resource_creation: Some(95),
            for_device_loss: None,
        },
        ..InstanceDescriptor::new_without_display_handle_from_env()
    }
}

/// Adapters, the likeliest first.
fn available() -> Vec<Adapter> {
    let mut adapters = pollster::block_on(Instance::new(descriptor()).enumerate_adapters(Backends::all()));
    let saves_power = wgpu::PowerPreference::from_env() == Some(wgpu::PowerPreference::LowPower);
    adapters.sort_by_key(|adapter| {
        let info = adapter.get_info();
        let kind = match info.device_type {
            DeviceType::IntegratedGpu if saves_power => 0,
            DeviceType::DiscreteGpu => 1,
            DeviceType::IntegratedGpu => 2,
            DeviceType::VirtualGpu => 3,
            DeviceType::Other => 4,
            DeviceType::Cpu => 5,
        };
        // GL last: it is what is left where nothing newer works.
        (kind, info.backend == wgpu::Backend::Gl)
    });
    adapters
}
