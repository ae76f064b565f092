//! Two images over one another: the channels of both, the first enlarged if it is smaller.

use super::contiguous;
use super::linear::with_elements;
use super::precision::{is_fused, is_half, widened};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// The pixels of `low`, each repeated `enlarge` times in both directions, with the channels of `high` behind theirs: `low` is
/// `[batch, height / enlarge, width / enlarge, a]`, `high` `[batch, height, width, b]`; `[batch, height, width, a + b]` results.
///
/// # Errors
/// Shapes that do not fit, or operands that are neither `f32` nor of one half type, which the result has as well.
pub fn join(low: &Tensor, high: &Tensor, enlarge: usize) -> Result<Tensor> {
    if low.device().is_cpu() && is_half(low) {
        return join(&widened(low)?, &widened(high)?, enlarge)?.to_dtype(low.dtype());
    }
    if is_fused(low) {
        return low.contiguous()?.apply_op2(&high.contiguous()?, Join { enlarge });
    }
    by_operators(low, high, enlarge)
}

/// The same of candle's own operators, for other devices and types.
pub(super) fn by_operators(low: &Tensor, high: &Tensor, enlarge: usize) -> Result<Tensor> {
    let (batch, height, width, channels) = low.dims4()?;
    let repeated = low.reshape((batch, height, 1, width, 1, channels))?;
    let repeated = repeated.broadcast_as((batch, height, enlarge, width, enlarge, channels))?;
    let repeated = repeated.reshape((batch, height * enlarge, width * enlarge, channels))?;
    Tensor::cat(&[&repeated, high], 3)
}

struct Join {
    enlarge: usize,
}

/// Sizes of operands that fit: `[batch, height, width]` of the result, and the channels of both operands.
struct Sizes {
    rows: usize,
    width: usize,
    low: usize,
    high: usize,
}

impl Join {
    fn sizes(&self, low: &Shape, high: &Shape) -> Result<Sizes> {
        let ((batch, low_height, low_width, a), (other_batch, height, width, b)) = (low.dims4()?, high.dims4()?);
        let enlarged = (batch, low_height * self.enlarge, low_width * self.enlarge);
        if enlarged != (other_batch, height, width) {
            candle_core::bail!("join: {low:?}, enlarged {} times, met {high:?}", self.enlarge);
        }
        Ok(Sizes { rows: batch * height, width, low: a, high: b })
    }

    /// Calls `f` with the places of every pixel: the first of the result's, of the low operand's and of the high one's numbers.
    #[inline(always)]
    fn pixels(&self, sizes: &Sizes, mut f: impl FnMut(usize, usize, usize)) {
        let low_width = sizes.width / self.enlarge;
        for row in 0..sizes.rows {
            for x in 0..sizes.width {
                let pixel = row * sizes.width + x;
                // Heights are multiples too, so rows of all images divide alike.
                let low = row / self.enlarge * low_width + x / self.enlarge;
                f(pixel * (sizes.low + sizes.high), low * sizes.low, pixel * sizes.high);
            }
        }
    }
}

impl CustomOp2 for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn cpu_fwd(
        &self,
        low: &CpuStorage,
        low_layout: &Layout,
        high: &CpuStorage,
        high_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(low_layout.shape(), high_layout.shape())?;
        let (low, high) = (contiguous(low, low_layout)?, contiguous(high, high_layout)?);
        let mut out = vec![0.0; sizes.rows * sizes.width * (sizes.low + sizes.high)];
        self.pixels(&sizes, |place, from_low, from_high| {
            out[place..][..sizes.low].copy_from_slice(&low[from_low..][..sizes.low]);
            out[place + sizes.low..][..sizes.high].copy_from_slice(&high[from_high..][..sizes.high]);
        });
        let (batch, height, width, _) = high_layout.shape().dims4()?;
        Ok((CpuStorage::F32(out), (batch, height, width, sizes.low + sizes.high).into()))
    }

    fn bwd(
        &self,
        low: &Tensor,
        high: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes(low.shape(), high.shape())?;
        let (mut grad_low, mut grad_high) = (vec![0.0; low.elem_count()], vec![0.0; high.elem_count()]);
        with_elements(&grad.contiguous()?, |grad| {
            pulp::Arch::default().dispatch(|| {
                self.pixels(&sizes, |place, to_low, to_high| {
                    let (of_low, of_high) = grad[place..][..sizes.low + sizes.high].split_at(sizes.low);
                    for (sum, grad) in grad_low[to_low..][..sizes.low].iter_mut().zip(of_low) {
                        *sum += grad;
                    }
                    grad_high[to_high..][..sizes.high].copy_from_slice(of_high);
                });
            });
        })?;
        let device = low.device();
        Ok((
            Some(Tensor::from_vec(grad_low, low.shape(), device)?),
            Some(Tensor::from_vec(grad_high, high.shape(), device)?),
        ))
    }
}
