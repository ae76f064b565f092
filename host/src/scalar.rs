//! A number that a training step comes to.

use candle_core::{Result, Tensor};

/// At hand on the CPU; elsewhere it stays on the device until it is read, so that no step waits for the one before.
#[derive(Clone, Debug)]
pub enum Scalar {
    /// Here.
    Host(f64),
    /// There: f32, without dimensions.
    Device(Tensor),
}

impl Scalar {
    /// The number of a scalar tensor, f32; it is read now if that costs nothing.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn of(tensor: Tensor) -> Result<Self> {
        match tensor.device().is_cpu() {
            true => Ok(Self::Host(f64::from(tensor.to_scalar::<f32>()?))),
            false => Ok(Self::Device(tensor.detach())),
        }
    }

    /// The number; on a device this waits for all that was begun there.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn read(&self) -> Result<f64> {
        match self {
            Self::Host(number) => Ok(*number),
            Self::Device(tensor) => Ok(f64::from(tensor.to_scalar::<f32>()?)),
        }
    }

    /// The sum, on the device if one of them is there.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn plus(&self, other: &Self) -> Result<Self> {
        Ok(match (self, other) {
            (Self::Host(a), Self::Host(b)) => Self::Host(a + b),
            (Self::Device(a), Self::Device(b)) => Self::Device((a + b)?),
            (Self::Host(here), Self::Device(there)) | (Self::Device(there), Self::Host(here)) => {
                Self::Device((there + *here)?)
            }
        })
    }

    /// Whether it is known here not to be a number any more; what is on the device is not known.
    pub fn is_known_lost(&self) -> bool {
        matches!(self, Self::Host(number) if !number.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn sums_are_the_same_wherever_their_parts_are() {
        let there = |number: f32| Scalar::Device(Tensor::new(number, &Device::Cpu).unwrap());
        let (a, b) = (Scalar::Host(0.5), Scalar::Host(0.25));
        for (a, b) in [(a.clone(), b.clone()), (there(0.5), b.clone()), (a, there(0.25)), (there(0.5), there(0.25))] {
            assert_eq!(a.plus(&b).unwrap().read().unwrap(), 0.75);
        }
        assert!(Scalar::Host(f64::NAN).is_known_lost() && !Scalar::Host(1.0).is_known_lost());
        assert!(!there(f32::NAN).is_known_lost());
        assert!(matches!(Scalar::of(Tensor::new(3.0_f32, &Device::Cpu).unwrap()).unwrap(), Scalar::Host(3.0)));
    }
}
