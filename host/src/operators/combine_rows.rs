//! A step of a sampler that gradients pass through.

use super::contiguous;
use super::linear::with_elements;
use super::precision::is_fused;
use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// Row by row `a_i x_i + b_i y_i`: `x` and `y` are `[batch, features]`, `a` and `b` have a number for each row.
///
/// # Errors
/// Shapes that do not fit, or operands that are not `f32`.
pub fn combine_rows(a: &Arc<[f32]>, x: &Tensor, b: &Arc<[f32]>, y: &Tensor) -> Result<Tensor> {
    if is_fused(x) {
        return x.contiguous()?.apply_op2(&y.contiguous()?, CombineRows { a: a.clone(), b: b.clone() });
    }
    by_operators(a, x, b, y)
}

/// The same of candle's own operators, for other devices and types.
pub(super) fn by_operators(a: &[f32], x: &Tensor, b: &[f32], y: &Tensor) -> Result<Tensor> {
    let column = |numbers: &[f32]| Tensor::from_slice(numbers, (numbers.len(), 1), x.device())?.to_dtype(x.dtype());
    x.broadcast_mul(&column(a)?)? + y.broadcast_mul(&column(b)?)?
}

struct CombineRows {
    a: Arc<[f32]>,
    b: Arc<[f32]>,
}

impl CustomOp2 for CombineRows {
    fn name(&self) -> &'static str {
        "combine-rows"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, features) = x_layout.shape().dims2()?;
        if y_layout.shape() != x_layout.shape() || self.a.len() != batch || self.b.len() != batch {
            candle_core::bail!("combine-rows: {batch} rows of {features} met another shape");
        }
        let rows = contiguous(x, x_layout)?.chunks_exact(features).zip(contiguous(y, y_layout)?.chunks_exact(features));
        let mut sum = Vec::with_capacity(batch * features);
        for ((x, y), (a, b)) in rows.zip(self.a.iter().zip(self.b.iter())) {
            sum.extend(x.iter().zip(y).map(|(x, y)| a * x + b * y));
        }
        Ok((CpuStorage::F32(sum), (batch, features).into()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, _sum: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let gradient = |operand: &Tensor, factors: &[f32]| {
            // Data and noise need none.
            if !operand.track_op() {
                return Ok(None);
            }
            let features = operand.dim(D::Minus1)?;
            let scaled = with_elements(&grad, |grad| {
                let rows = grad.chunks_exact(features).zip(factors);
                rows.flat_map(|(row, factor)| row.iter().map(move |g| factor * g)).collect::<Vec<f32>>()
            })?;
            Tensor::from_vec(scaled, operand.shape(), operand.device()).map(Some)
        };
        Ok((gradient(x, &self.a)?, gradient(y, &self.b)?))
    }
}
