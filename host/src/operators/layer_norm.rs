//! Layer normalisation (Ba et al. 2016).

use super::contiguous;
use super::linear::with_elements;
use super::precision::{is_fused, is_half, widened};
use super::vectorised::sum;
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};

/// Added to the variance, as in PyTorch.
pub(super) const EPSILON: f32 = 1e-5;

/// `scale (x - mean) / sqrt(variance + 1e-5) + shift` along the last axis: `x` is `[batch, features]`, `scale` and `shift` `[features]`.
///
/// # Errors
/// Shapes that do not fit, or operands that are not `f32`; `x` may be of a half type, which the result has as well.
pub fn layer_norm(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    if is_half(x) {
        return layer_norm(&widened(x)?, scale, shift)?.to_dtype(x.dtype());
    }
    if is_fused(x) {
        return x.contiguous()?.apply_op3(scale, shift, LayerNorm);
    }
    by_operators(x, scale, shift)
}

/// The same of candle's own operators, for other devices and types.
pub(super) fn by_operators(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normal = centred.broadcast_div(&(variance + f64::from(EPSILON))?.sqrt()?)?;
    normal.broadcast_mul(scale)?.broadcast_add(shift)
}

struct LayerNorm;

/// The mean of a row and the reciprocal of its standard deviation.
#[inline(always)]
pub(super) fn moments(row: &[f32]) -> (f32, f32) {
    let mean = sum(row, |x| x) / row.len() as f32;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / row.len() as f32;
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = contiguous(x, x_layout)?;
        let (scale, shift) = (contiguous(scale, scale_layout)?, contiguous(shift, shift_layout)?);
        let features = x_layout.shape().dims2()?.1;
        if scale.len() != features || shift.len() != features {
            candle_core::bail!("layer-norm: {features} features met {} scales", scale.len());
        }
        let mut out = vec![0.0; x.len()];
        pulp::Arch::default().dispatch(|| {
            for (row, out) in x.chunks_exact(features).zip(out.chunks_exact_mut(features)) {
                let (mean, inverse) = moments(row);
                for (((out, x), scale), shift) in out.iter_mut().zip(row).zip(scale).zip(shift) {
                    *out = (x - mean) * inverse * scale + shift;
                }
            }
        });
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        _shift: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let features = x.dim(D::Minus1)?;
        let mut grad_x = vec![0.0; x.elem_count()];
        let (mut grad_scale, mut grad_shift) = (vec![0.0; features], vec![0.0; features]);
        let grad = grad.contiguous()?;
        with_elements(x, |x| {
            with_elements(scale, |scale| {
                with_elements(&grad, |grad| {
                    pulp::Arch::default().dispatch(|| {
                        backward(x, scale, grad, features, &mut grad_x, &mut grad_scale, &mut grad_shift);
                    });
                })
            })
        })???;
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(grad_x, x.shape(), device)?),
            Some(Tensor::from_vec(grad_scale, features, device)?),
            Some(Tensor::from_vec(grad_shift, features, device)?),
        ))
    }
}

/// With `n = (x - mean) / deviation` and `g = grad scale`: `grad_x = (g - mean(g) - n mean(g n)) / deviation`.
#[inline(always)]
fn backward(
    x: &[f32],
    scale: &[f32],
    grad: &[f32],
    features: usize,
    grad_x: &mut [f32],
    grad_scale: &mut [f32],
    grad_shift: &mut [f32],
) {
    let count = features as f32;
    let (mut normal, mut product) = (vec![0.0; features], vec![0.0; features]);
    for ((x, grad), grad_x) in
        x.chunks_exact(features).zip(grad.chunks_exact(features)).zip(grad_x.chunks_exact_mut(features))
    {
        let (mean, inverse) = moments(x);
        for i in 0..features {
            normal[i] = (x[i] - mean) * inverse;
            grad_scale[i] += grad[i] * normal[i];
            grad_shift[i] += grad[i];
            grad_x[i] = grad[i] * scale[i];
            product[i] = grad_x[i] * normal[i];
        }
        let mean_grad = sum(grad_x, |g| g) / count;
        let mean_product = sum(&product, |p| p) / count;
        for i in 0..features {
            grad_x[i] = (grad_x[i] - mean_grad - normal[i] * mean_product) * inverse;
        }
    }
}
