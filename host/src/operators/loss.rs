//! The regression loss of every training.

use super::contiguous;
use super::linear::with_elements;
use super::precision::is_fused;
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};

/// `scale * sum_i w_i |output_i - target_i|^2`, a scalar: `output` and `target` are `[batch, features]`, `weights` `[batch]`.
///
/// With `scale = 1 / (batch features)` it is the weighted mean squared error; the scale is a parameter because a batch may
/// be computed in parts. The gradient goes to `output` alone.
///
/// # Errors
/// Shapes that do not fit, or operands that are not `f32`.
pub fn weighted_mean_squared_error(output: &Tensor, target: &Tensor, weights: &Tensor, scale: f64) -> Result<Tensor> {
    if is_fused(output) {
        return output.contiguous()?.apply_op3(target, weights, WeightedSquaredError { scale });
    }
    by_operators(output, target, weights, scale)
}

/// The same of candle's own operators, for other devices and types.
pub(super) fn by_operators(output: &Tensor, target: &Tensor, weights: &Tensor, scale: f64) -> Result<Tensor> {
    let squares = (output - target)?.sqr()?.sum(D::Minus1)?;
    (squares * weights)?.sum_all()?.affine(scale, 0.0)
}

struct WeightedSquaredError {
    scale: f64,
}

impl CustomOp3 for WeightedSquaredError {
    fn name(&self) -> &'static str {
        "weighted-squared-error"
    }

    fn cpu_fwd(
        &self,
        output: &CpuStorage,
        output_layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, features) = output_layout.shape().dims2()?;
        if target_layout.shape().dims2()? != (batch, features) || weights_layout.shape().dims1()? != batch {
            candle_core::bail!("loss: an output of {batch} x {features} met another shape of target or weights");
        }
        let (output, target) = (contiguous(output, output_layout)?, contiguous(target, target_layout)?);
        let mut total = 0.0_f64;
        for ((output, target), weight) in
            output.chunks_exact(features).zip(target.chunks_exact(features)).zip(contiguous(weights, weights_layout)?)
        {
            let row: f32 = output.iter().zip(target).map(|(o, t)| (o - t) * (o - t)).sum();
            total += f64::from(row) * f64::from(*weight);
        }
        Ok((CpuStorage::F32(vec![(total * self.scale) as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        output: &Tensor,
        target: &Tensor,
        weights: &Tensor,
        _loss: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let features = output.dim(D::Minus1)?;
        let factor = 2.0 * self.scale as f32 * grad.to_scalar::<f32>()?;
        let mut result = vec![0.0; output.elem_count()];
        with_elements(output, |output| {
            with_elements(target, |target| {
                with_elements(weights, |weights| {
                    let rows = output.chunks_exact(features).zip(target.chunks_exact(features));
                    for ((result, (output, target)), weight) in result.chunks_exact_mut(features).zip(rows).zip(weights)
                    {
                        let factor = factor * weight;
                        for ((result, output), target) in result.iter_mut().zip(output).zip(target) {
                            *result = factor * (output - target);
                        }
                    }
                })
            })
        })???;
        Ok((Some(Tensor::from_vec(result, output.shape(), output.device())?), None, None))
    }
}
