//! Dynamic scaling of the loss for f16, whose least number is 6e-8: gradients are computed of a multiple of the loss, or most of them would vanish
//! (Micikevicius et al. 2018, section 3.2).
//!
//! After an update whose gradient is beyond the range of numbers, which is then not made, the scale halves; after [`GROWTH_INTERVAL`] updates in
//! a row it doubles. The scale lives where the weights are, so that the host need not wait for it.

use candle_core::{Device, Result, Tensor};

/// Updates in a row after which the scale doubles.
pub const GROWTH_INTERVAL: u32 = 2000;
/// The first scale.
const FIRST: f32 = 65536.0;
/// Below this scale nothing is left to scale down: training has diverged.
const LEAST: f32 = 1.0 / 1024.0;

/// The scale, and how long it has been right.
#[derive(Clone, Debug)]
pub struct LossScale {
    /// `[scale, updates since it changed]`, f32.
    state: Tensor,
}

impl LossScale {
    /// The scale at the start of a training.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn new(device: &Device) -> Result<Self> {
        Self::restored((FIRST, 0.0), device)
    }

    /// The scale that [`read`](Self::read) told.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn restored((scale, since): (f32, f32), device: &Device) -> Result<Self> {
        Ok(Self { state: Tensor::new(&[scale, since], device)? })
    }

    /// The scale and the updates since it changed, as a checkpoint keeps them; on a device this waits.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn read(&self) -> Result<(f32, f32)> {
        let state = self.state.to_vec1::<f32>()?;
        Ok((state[0], state[1]))
    }

    /// Whether the scale has fallen so far that no gradient is in range any more.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn is_exhausted(&self) -> Result<bool> {
        Ok(self.read()?.0 < LEAST)
    }

    /// `[scale, updates since it changed]`, for a kernel to change.
    pub fn state(&self) -> &Tensor {
        &self.state
    }

    /// The scale as a scalar tensor.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn scale(&self) -> Result<Tensor> {
        // A copy: a kernel may change the state before the backward pass has read it.
        self.state.get(0)?.copy()
    }

    /// Takes note of an update: `is_finite`, a scalar, is 1 if its gradient was finite, else 0.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn take_note(&mut self, is_finite: &Tensor) -> Result<()> {
        let (scale, since) = (self.state.get(0)?, self.state.get(1)?);
        let since = ((since + 1.0)? * is_finite)?;
        let grown = since.ge(f64::from(GROWTH_INTERVAL))?.to_dtype(candle_core::DType::F32)?;
        let scale = ((scale * (&grown + 1.0)?)? * ((is_finite * 0.5)? + 0.5)?)?;
        let since = (since * (1.0 - grown)?)?;
        self.state = Tensor::stack(&[scale, since], 0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_halves_at_once_and_doubles_after_a_while() {
        let mut scale = LossScale::new(&Device::Cpu).unwrap();
        let [fine, lost] = [1.0_f32, 0.0].map(|flag| Tensor::new(flag, &Device::Cpu).unwrap());
        scale.take_note(&lost).unwrap();
        scale.take_note(&lost).unwrap();
        assert_eq!(scale.read().unwrap(), (16384.0, 0.0));
        for update in 1..GROWTH_INTERVAL {
            scale.take_note(&fine).unwrap();
            assert_eq!(scale.read().unwrap(), (16384.0, update as f32));
        }
        scale.take_note(&fine).unwrap();
        assert_eq!(scale.read().unwrap(), (32768.0, 0.0));
        scale.take_note(&fine).unwrap();
        scale.take_note(&lost).unwrap();
        assert_eq!(scale.read().unwrap(), (16384.0, 0.0));
        let again = LossScale::restored((0.0005, 3.0), &Device::Cpu).unwrap();
        assert!(again.is_exhausted().unwrap() && !scale.is_exhausted().unwrap());
    }
}
