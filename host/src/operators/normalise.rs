//! Normalisation without weights: of the channels of a pixel, or the features of a token.

use super::contiguous;
use super::layer_norm::{EPSILON, moments};
use super::linear::with_elements;
use super::precision::{is_fused, is_half, widened};
use super::vectorised::sum;
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

/// `(x - mean) / sqrt(variance + 1e-5)` along the last axis: [`layer_norm`](super::layer_norm) without scale and shift, which a convolution that
/// pads with zeros could not take over.
///
/// # Errors
/// An operand that is neither `f32` nor of a half type, which the result has as well.
pub fn normalise(x: &Tensor) -> Result<Tensor> {
    if is_half(x) {
        return normalise(&widened(x)?)?.to_dtype(x.dtype());
    }
    if is_fused(x) {
        return x.contiguous()?.apply_op1(Normalise);
    }
    by_operators(x)
}

/// The same of candle's own operators, for other devices and types.
pub(super) fn by_operators(x: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(variance + f64::from(EPSILON))?.sqrt()?)
}

struct Normalise;

impl CustomOp1 for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, features) = (contiguous(x, layout)?, layout.shape().dim(D::Minus1)?);
        let mut out = vec![0.0; x.len()];
        pulp::Arch::default().dispatch(|| {
            for (row, out) in x.chunks_exact(features).zip(out.chunks_exact_mut(features)) {
                let (mean, inverse) = moments(row);
                for (out, x) in out.iter_mut().zip(row) {
                    *out = (x - mean) * inverse;
                }
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    /// With `n` the result: `grad_x = (grad - mean(grad) - n mean(grad n)) / deviation`.
    fn bwd(&self, x: &Tensor, out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let features = x.dim(D::Minus1)?;
        let mut grad_x = vec![0.0; x.elem_count()];
        with_elements(x, |x| {
            with_elements(out, |out| {
                with_elements(&grad.contiguous()?, |grad| {
                    pulp::Arch::default().dispatch(|| backward(x, out, grad, features, &mut grad_x));
                })
            })
        })???;
        Ok(Some(Tensor::from_vec(grad_x, x.shape(), x.device())?))
    }
}

#[inline(always)]
fn backward(x: &[f32], normal: &[f32], grad: &[f32], features: usize, grad_x: &mut [f32]) {
    let count = features as f32;
    let rows = x.chunks_exact(features).zip(normal.chunks_exact(features)).zip(grad.chunks_exact(features));
    for (((x, normal), grad), grad_x) in rows.zip(grad_x.chunks_exact_mut(features)) {
        let inverse = moments(x).1;
        for ((product, grad), normal) in grad_x.iter_mut().zip(grad).zip(normal) {
            *product = grad * normal;
        }
        let (mean_grad, mean_product) = (sum(grad, |g| g) / count, sum(grad_x, |p| p) / count);
        for ((grad_x, grad), normal) in grad_x.iter_mut().zip(grad).zip(normal) {
            *grad_x = (grad - mean_grad - normal * mean_product) * inverse;
        }
    }
}
