//! Changing a tensor's elements where they are.

use super::with_elements;
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};
use std::sync::Mutex;

/// `sum <- sum + other`; both contiguous f32. On the CPU nothing is allocated.
pub(crate) fn add_in_place(sum: &mut Tensor, other: &Tensor) -> Result<()> {
    if !sum.device().is_cpu() {
        *sum = (&*sum + other)?;
        return Ok(());
    }
    with_elements(other, |other| {
        with_elements_mut(sum, &mut |sum| {
            for (sum, other) in sum.iter_mut().zip(other) {
                *sum += other;
            }
            Ok(())
        })
    })?
}

/// What is done to the elements.
type Change<'f> = &'f mut (dyn FnMut(&mut [f32]) -> Result<()> + Send);

/// Hands the elements of a contiguous `f32` tensor on the CPU to `f`, to be changed in place.
pub(crate) fn with_elements_mut(tensor: &Tensor, f: Change<'_>) -> Result<()> {
    struct InPlace<'f>(Mutex<Change<'f>>);

    impl InplaceOp1 for InPlace<'_> {
        fn name(&self) -> &'static str {
            "in-place"
        }

        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            let (CpuStorage::F32(data), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
                candle_core::bail!("an operator in place needs contiguous f32");
            };
            match self.0.lock() {
                Ok(mut f) => f(&mut data[start..end]),
                Err(_) => candle_core::bail!("an operator in place panicked"),
            }
        }
    }

    tensor.inplace_op1(&InPlace(Mutex::new(f)))
}
