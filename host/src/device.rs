//! Which device tensors live on.

use crate::error::Error;
use candle_core::Device;
use std::str::FromStr;

/// A device by name, as `--device` takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The processor, with this project's fused operators.
    #[default]
    Cpu,
    /// The NVIDIA GPU of that number.
    Cuda(usize),
    /// The Apple GPU of that number.
    Metal(usize),
    /// Any GPU by way of wgpu, which draws samples and nothing else.
    Wgpu,
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once(':').unwrap_or((text, "0"));
        let number =
            number.parse().map_err(|_| format!("{text}: the part after `:` numbers the device, as in cuda:1"))?;
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(number)),
            "metal" => Ok(Self::Metal(number)),
            "wgpu" if text == name => Ok(Self::Wgpu),
            "wgpu" => Err(format!("{text}: a GPU of wgpu is chosen by --adapter")),
            _ => Err(format!("{text} is no device; there are cpu, cuda, metal and wgpu")),
        }
    }
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::Device`] when this build or this machine does not have it, saying what to do.
    pub fn open(self) -> Result<Device, Error> {
        let (feature, built, device) = match self {
            Self::Cpu => return Ok(Device::Cpu),
            Self::Cuda(number) => ("cuda", cfg!(feature = "cuda"), Device::new_cuda(number)),
            Self::Metal(number) => ("metal", cfg!(feature = "metal"), Device::new_metal(number)),
            // Asked for where tensors of candle are needed.
            Self::Wgpu if cfg!(feature = "wgpu") => {
                let reason = "--device wgpu draws samples and judges them, and trains nothing; use cpu, cuda or metal";
                return Err(Error::Device(reason.to_owned()));
            }
            Self::Wgpu => ("wgpu", false, Ok(Device::Cpu)),
        };
        if !built {
            return Err(Error::Device(format!(
                "this build has no {feature}: build it with --features {feature}, as `cargo xtask … --device {feature}` does"
            )));
        }
        device.map_err(|error| Error::Device(format!("no {feature} device could be opened: {error}")))
    }
}
