//! Who draws samples: candle on a device of its own, or wgpu on any GPU.

use crate::checkpoint::Model;
use crate::device::DeviceName;
use crate::error::Error;
#[cfg(feature = "wgpu")]
use crate::gpu::GpuSampler;
use crate::preset::SamplingSettings;
use crate::sample::follow::{Stage, follow};
use crate::sample::{sample, sample_scheduled, trajectory};
use crate::scheduler_config::Scheduled;
use candle_core::Device;
use clap::Args;
use std::ops::ControlFlow;

/// Options of `--device wgpu`.
#[derive(Args, Clone, Debug, Default)]
pub struct GpuOptions {
    /// With --device wgpu: the GPU, by its number or a part of its name; `cargo xtask devices` lists them [default: the likeliest]
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// With --device wgpu: samples drawn at a time [default: as many as suit the GPU]
    #[arg(long, value_name = "N", value_parser = super::positive::<u64>)]
    pub batch: Option<u64>,
}

impl GpuOptions {
    /// Refuses them for another device.
    ///
    /// # Errors
    /// [`Error::Argument`], which names the option that was given.
    pub fn none_given(&self) -> Result<(), Error> {
        let given = [("--adapter", self.adapter.is_some()), ("--batch", self.batch.is_some())];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Error::Argument(format!("{flag} is an option of --device wgpu"))),
            None => Ok(()),
        }
    }
}

/// Draws samples of models that are loaded to [`model_device`](Self::model_device).
pub enum Drawer {
    /// Candle.
    Candle(Device),
    /// A GPU by way of wgpu.
    #[cfg(feature = "wgpu")]
    Gpu(GpuSampler),
}

impl Drawer {
    /// Opens a device.
    ///
    /// # Errors
    /// A device that this build or this machine does not have; options of another.
    pub fn open(device: DeviceName, options: &GpuOptions) -> Result<Self, Error> {
        if device == DeviceName::Wgpu {
            return Self::open_gpu(options);
        }
        options.none_given()?;
        Ok(Self::Candle(device.open()?))
    }

    #[cfg(feature = "wgpu")]
    fn open_gpu(options: &GpuOptions) -> Result<Self, Error> {
        let batch = options.batch.map(|batch| usize::try_from(batch).unwrap_or(usize::MAX));
        Ok(Self::Gpu(GpuSampler::open(options.adapter.as_deref(), batch)?))
    }

    #[cfg(not(feature = "wgpu"))]
    fn open_gpu(_options: &GpuOptions) -> Result<Self, Error> {
        DeviceName::Wgpu.open().map(Self::Candle)
    }

    /// Where a model's weights must be.
    pub fn model_device(&self) -> Device {
        match self {
            Self::Candle(device) => device.clone(),
            #[cfg(feature = "wgpu")]
            Self::Gpu(_) => Device::Cpu,
        }
    }

    /// Candle's device, for what runs there alone.
    ///
    /// # Errors
    /// [`Error::Device`], which names the option that asks for it.
    // Without wgpu there is nothing to name it for.
    #[cfg_attr(not(feature = "wgpu"), allow(unused_variables))]
    pub fn candle(&self, option: &str) -> Result<&Device, Error> {
        match self {
            Self::Candle(device) => Ok(device),
            #[cfg(feature = "wgpu")]
            Self::Gpu(_) => Err(Error::Device(format!("{option} does not run by --device wgpu; use --device cpu"))),
        }
    }

    /// As [`sample`].
    ///
    /// # Errors
    /// Those of [`sample`], and of the device.
    pub fn sample(
        &self,
        model: &Model,
        settings: &SamplingSettings,
        classes: &[u32],
        seed: u64,
    ) -> Result<Vec<f32>, Error> {
        match self {
            Self::Candle(device) => sample(model, settings, classes, seed, device),
            #[cfg(feature = "wgpu")]
            Self::Gpu(gpu) => gpu.sample(model, settings, classes, seed),
        }
    }

    /// As [`sample_scheduled`].
    ///
    /// # Errors
    /// Those of [`sample_scheduled`], and of the device.
    pub fn sample_scheduled(
        &self,
        model: &Model,
        scheduled: &Scheduled,
        settings: &SamplingSettings,
        classes: &[u32],
        seed: u64,
    ) -> Result<Vec<f32>, Error> {
        match self {
            Self::Candle(device) => sample_scheduled(model, scheduled, settings, classes, seed, device),
            #[cfg(feature = "wgpu")]
            Self::Gpu(gpu) => gpu.sample_scheduled(model, scheduled, settings, classes, seed),
        }
    }

    /// As [`trajectory`].
    ///
    /// # Errors
    /// Those of [`trajectory`], and of the device.
    pub fn trajectory(
        &self,
        model: &Model,
        settings: &SamplingSettings,
        classes: &[u32],
        seed: u64,
    ) -> Result<Vec<Vec<f32>>, Error> {
        match self {
            Self::Candle(device) => trajectory(model, settings, classes, seed, device),
            #[cfg(feature = "wgpu")]
            Self::Gpu(gpu) => gpu.trajectory(model, settings, classes, seed),
        }
    }

    /// As [`follow`].
    ///
    /// # Errors
    /// Those of [`follow`], and of the device.
    pub fn follow(
        &self,
        model: &Model,
        settings: &SamplingSettings,
        classes: &[u32],
        seed: u64,
        show: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        match self {
            Self::Candle(device) => follow(model, settings, classes, seed, device, show),
            #[cfg(feature = "wgpu")]
            Self::Gpu(gpu) => gpu.follow(model, settings, classes, seed, show),
        }
    }

    /// Who draws, as in "candle on cpu".
    pub fn name(&self) -> String {
        match self {
            Self::Candle(Device::Cpu) => "candle on cpu".to_owned(),
            Self::Candle(Device::Cuda(_)) => "candle on cuda".to_owned(),
            Self::Candle(Device::Metal(_)) => "candle on metal".to_owned(),
            #[cfg(feature = "wgpu")]
            Self::Gpu(gpu) => format!("wgpu on {}", gpu.gpu().adapter().name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_gpu_are_of_no_other_device() {
        let refused =
            |options: GpuOptions| Drawer::open(DeviceName::Cpu, &options).err().map(|error| error.to_string());
        assert_eq!(refused(GpuOptions::default()), None);
        let adapter = GpuOptions { adapter: Some("0".to_owned()), batch: None };
        assert_eq!(refused(adapter).as_deref(), Some("--adapter is an option of --device wgpu"));
        let batch = GpuOptions { adapter: None, batch: Some(3) };
        assert_eq!(refused(batch).as_deref(), Some("--batch is an option of --device wgpu"));
    }
}
