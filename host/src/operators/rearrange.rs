//! The numbers of every row in another order.

use super::contiguous;
use super::linear::with_elements;
use super::precision::{is_fused, is_half, widened};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// Row by row `out[i] = x[order[i]]`: `x` is `[batch, features]`, `order` a permutation of `0..features`.
///
/// # Errors
/// An order of another length, or an operand that is neither `f32` nor of a half type, which the result has as well.
pub fn rearrange(x: &Tensor, order: &Arc<[u32]>) -> Result<Tensor> {
    if x.device().is_cpu() && is_half(x) {
        return rearrange(&widened(x)?, order)?.to_dtype(x.dtype());
    }
    if is_fused(x) {
        return x.contiguous()?.apply_op1(Rearrange { order: order.clone() });
    }
    by_operators(x, order)
}

/// The same of candle's own operators, for other devices and types.
pub(super) fn by_operators(x: &Tensor, order: &[u32]) -> Result<Tensor> {
    x.index_select(&Tensor::from_slice(order, order.len(), x.device())?, 1)
}

struct Rearrange {
    order: Arc<[u32]>,
}

impl CustomOp1 for Rearrange {
    fn name(&self) -> &'static str {
        "rearrange"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, features) = layout.shape().dims2()?;
        if features != self.order.len() {
            candle_core::bail!("rearrange: rows of {features} met an order of {}", self.order.len());
        }
        let mut out = Vec::with_capacity(batch * features);
        for row in contiguous(x, layout)?.chunks_exact(features) {
            out.extend(self.order.iter().map(|&from| row[from as usize]));
        }
        Ok((CpuStorage::F32(out), (batch, features).into()))
    }

    fn bwd(&self, x: &Tensor, _out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut grad_x = vec![0.0; x.elem_count()];
        with_elements(&grad.contiguous()?, |grad| {
            let features = self.order.len();
            for (sums, grad) in grad_x.chunks_exact_mut(features).zip(grad.chunks_exact(features)) {
                for (&from, grad) in self.order.iter().zip(grad) {
                    sums[from as usize] = *grad;
                }
            }
        })?;
        Ok(Some(Tensor::from_vec(grad_x, x.shape(), x.device())?))
    }
}
