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
    /// The first of [`PREFERRED`](Self::PREFERRED) that this build and this machine have.
    Auto,
    /// Any GPU by way of wgpu, which draws samples and trains nothing.
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
            "auto" => Ok(Self::Auto),
            "wgpu" if text == name => Ok(Self::Wgpu),
            "wgpu" => Err(format!("{text}: a GPU of wgpu is chosen by --adapter")),
            _ => Err(format!("{text} is no device; there are cpu, cuda, metal, wgpu and auto")),
        }
    }
}

/// The name as `--device` takes it.
impl std::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, number) = match self {
            Self::Cpu => ("cpu", 0),
            Self::Cuda(number) => ("cuda", *number),
            Self::Metal(number) => ("metal", *number),
            Self::Auto => ("auto", 0),
            Self::Wgpu => ("wgpu", 0),
        };
        if number == 0 { f.pad(name) } else { write!(f, "{name}:{number}") }
    }
}

impl DeviceName {
    /// What [`Auto`](Self::Auto) stands for: the fastest first, and one that is always there last.
    pub const PREFERRED: [Self; 3] = [Self::Cuda(0), Self::Metal(0), Self::Cpu];

    /// Opens the device; of [`Auto`](Self::Auto) it says on standard error which one it is.
    ///
    /// # Errors
    /// [`Error::Device`] when this build or this machine does not have it, saying what to do.
    pub fn open(self) -> Result<Device, Error> {
        self.open_known().map(|(_, device)| device)
    }

    /// The same, with the device's own name.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_known(self) -> Result<(Self, Device), Error> {
        if self != Self::Auto {
            return Ok((self, self.open_named()?));
        }
        let (name, device, others) = first_that_opens(&Self::PREFERRED, Self::open_named)?;
        eprintln!("--device auto is {name}{}", if others.is_empty() { String::new() } else { format!(": {others}") });
        Ok((name, device))
    }

    fn open_named(self) -> Result<Device, Error> {
        let (feature, built) = match self {
            Self::Cpu | Self::Auto => return Ok(Device::Cpu),
            Self::Cuda(_) => ("cuda", cfg!(feature = "cuda")),
            Self::Metal(_) => ("metal", cfg!(feature = "metal")),
            // Asked for where tensors of candle are needed.
            Self::Wgpu if cfg!(feature = "wgpu") => {
                let reason = "--device wgpu draws samples and judges them, and trains nothing; use cpu, cuda or metal";
                return Err(Error::Device(reason.to_owned()));
            }
            Self::Wgpu => ("wgpu", false),
        };
        if !built {
            return Err(Error::Device(format!(
                "this build has no {feature}: build it with --features {feature}, as `cargo xtask … --device {feature}` does"
            )));
        }
        let device = match self {
            Self::Metal(number) => Device::new_metal(number),
            Self::Cuda(number) => open_cuda(number),
            Self::Cpu | Self::Auto | Self::Wgpu => Ok(Device::Cpu),
        };
        device.map_err(|error| Error::Device(format!("no {feature} device could be opened: {error}")))
    }
}

#[cfg(feature = "cuda")]
use crate::cuda::open as open_cuda;

#[cfg(not(feature = "cuda"))]
fn open_cuda(number: usize) -> candle_core::Result<Device> {
    Device::new_cuda(number)
}

/// The first device that opens, and why those before it did not, as a part of a sentence.
fn first_that_opens<D>(
    names: &[DeviceName],
    open: impl Fn(DeviceName) -> Result<D, Error>,
) -> Result<(DeviceName, D, String), Error> {
    let mut reasons = Vec::new();
    for &name in names {
        match open(name) {
            Ok(device) => return Ok((name, device, reasons.join("; "))),
            // Which features a build lacks goes without a remedy: nobody asked for them.
            Err(error) => reasons.push(error.to_string().split(": build it").next().unwrap_or_default().to_owned()),
        }
    }
    Err(Error::Device(reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for text in ["cpu", "cuda", "cuda:1", "metal", "metal:2", "wgpu", "auto"] {
            assert_eq!(text.parse::<DeviceName>().unwrap().to_string(), text);
        }
        assert_eq!("cuda:0".parse(), Ok(DeviceName::Cuda(0)));
        assert!("gpu".parse::<DeviceName>().unwrap_err().contains("cpu, cuda, metal, wgpu and auto"));
        assert!("cuda:x".parse::<DeviceName>().is_err());
    }

    #[test]
    fn auto_is_the_first_that_opens_and_says_why_not_another() {
        let open = |missing: &'static [DeviceName]| {
            move |name: DeviceName| match missing.contains(&name) {
                true => Err(Error::Device(format!("this build has no {name}: build it with --features {name}"))),
                false => Ok(()),
            }
        };
        use DeviceName::{Cpu, Cuda, Metal};
        let choose = |missing| first_that_opens(&DeviceName::PREFERRED, open(missing)).unwrap();
        assert_eq!(choose(&[]), (Cuda(0), (), String::new()));
        assert_eq!(choose(&[Cuda(0)]), (Metal(0), (), "this build has no cuda".to_owned()));
        let both = "this build has no cuda; this build has no metal".to_owned();
        assert_eq!(choose(&[Cuda(0), Metal(0)]), (Cpu, (), both));
    }

    #[test]
    fn auto_opens_in_every_build() {
        assert!(DeviceName::Auto.open().is_ok());
    }
}
