//! Samples of an artifact: by the firmware library on every core of this machine, or by the host's integers on a GPU. The bits are the same.

use crate::board::ModelError;
use crate::error::Error;
use clap::Args;
use rayon::prelude::*;
use std::path::Path;
use tweedie_firmware::{Model, Q12, sample};
use tweedie_host::cli::drawer::GpuOptions;
use tweedie_host::device::DeviceName;
#[cfg(feature = "wgpu")]
use tweedie_host::gpu::{Gpu, IntegerSampler, Wanted};

/// The model in an artifact's words; `path` is what messages call it.
///
/// # Errors
/// [`ModelError::Artifact`] for words that are none.
pub fn model<'a>(path: &Path, words: &'a [u32]) -> Result<Model<'a>, ModelError> {
    Model::parse(words).map_err(|error| ModelError::Artifact(path.to_owned(), error))
}

/// Where samples are drawn.
#[derive(Args, Clone, Debug)]
pub struct DeviceOptions {
    /// Where samples are drawn, with the same bits: cpu, by the firmware library, or wgpu, on a GPU
    #[arg(long, default_value = "cpu")]
    pub device: DeviceName,
    #[command(flatten)]
    pub gpu: GpuOptions,
}

/// Draws samples of an artifact.
pub enum Drawer<'a> {
    /// The firmware library.
    Firmware(&'a Model<'a>),
    /// A GPU by way of wgpu.
    #[cfg(feature = "wgpu")]
    Gpu(Box<IntegerSampler>),
}

impl<'a> Drawer<'a> {
    /// Opens the device for so many samples a call; more are drawn as well.
    ///
    /// # Errors
    /// A device that draws no artifacts, or that this build or this machine does not have; options of another; a network too large for it.
    pub fn open(model: &'a Model<'a>, options: &DeviceOptions, count: usize) -> Result<Self, Error> {
        match options.device {
            DeviceName::Wgpu => Self::open_gpu(model, &options.gpu, count),
            DeviceName::Cpu | DeviceName::Auto => {
                // It refuses what only a GPU takes.
                tweedie_host::cli::drawer::Drawer::open(DeviceName::Cpu, &options.gpu)?;
                Ok(Self::Firmware(model))
            }
            _ => Err(Error::Device),
        }
    }

    #[cfg(feature = "wgpu")]
    fn open_gpu(model: &'a Model<'a>, options: &GpuOptions, count: usize) -> Result<Self, Error> {
        let most = options.batch.map_or(count, |batch| usize::try_from(batch).unwrap_or(count).min(count));
        let opened = Gpu::open(options.adapter.as_deref())
            .and_then(|gpu| IntegerSampler::new(&gpu.into(), model.artifact(), most));
        Ok(Self::Gpu(Box::new(opened.map_err(tweedie_host::Error::from)?)))
    }

    #[cfg(not(feature = "wgpu"))]
    fn open_gpu(model: &'a Model<'a>, _options: &GpuOptions, _count: usize) -> Result<Self, Error> {
        // It says which feature is missing.
        DeviceName::Wgpu.open()?;
        Ok(Self::Firmware(model))
    }

    /// Who draws, as a summary names it.
    pub fn name(&self) -> String {
        match self {
            Self::Firmware(_) => "cpu".to_owned(),
            #[cfg(feature = "wgpu")]
            Self::Gpu(sampler) => format!("wgpu: {}", sampler.adapter().name),
        }
    }

    /// Samples `[classes.len(), features]`: sample `i` of class `classes[i]` from noise stream `i`, bit for bit as a microcontroller draws it.
    ///
    /// # Errors
    /// A class that the model lacks; a GPU that fails.
    pub fn draw(&self, classes: &[Option<u16>], seed: u64) -> Result<Vec<Q12>, Error> {
        match self {
            Self::Firmware(model) => draw(model, classes, seed),
            #[cfg(feature = "wgpu")]
            Self::Gpu(sampler) => {
                let wanted: Vec<Wanted> =
                    classes.iter().zip(0..).map(|(&class, stream)| Wanted { stream, class }).collect();
                let bits = sampler.draw(seed, &wanted).map_err(tweedie_host::Error::from)?;
                Ok(bits.into_iter().map(Q12::from_bits).collect())
            }
        }
    }
}

/// The same by the firmware library, on every core.
///
/// # Errors
/// A class that the model lacks.
pub fn draw(model: &Model<'_>, classes: &[Option<u16>], seed: u64) -> Result<Vec<Q12>, Error> {
    let samples = classes.par_iter().enumerate().map_init(
        || vec![0; model.scratch_words()],
        |scratch, (index, &class)| -> Result<Vec<Q12>, Error> {
            Ok(sample(model, scratch, seed, index as u64, class, |_| {})?.to_vec())
        },
    );
    Ok(samples.collect::<Result<Vec<_>, _>>()?.concat())
}

/// The classes 0, 1, 2, … in turn; none for a model without classes.
pub fn classes_in_turn(count: usize, classes: u16) -> Vec<Option<u16>> {
    (0..count).map(|index| (classes > 0).then(|| (index % usize::from(classes.max(1))) as u16)).collect()
}
