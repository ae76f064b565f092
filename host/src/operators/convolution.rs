//! A convolution of images: product, bias and activation in one operator.
//!
//! Patches of a few rows are laid out, multiplied and activated before the next, so that they never leave the processor's cache; the backward
//! pass lays them out again.

use super::linear::{Activation, Slope, with_elements};
use super::matmul::{Matrix, matmul};
use super::patches::Geometry;
use super::precision::{is_fused, is_half, widened};
use super::{contiguous, vectorised};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::ops::Range;

/// Numbers of patches that are laid out at once: 256 KiB.
const BLOCK: usize = 1 << 16;

/// `activation(filter(x) + bias)`: `x` is `[batch, height, width, inputs]`, `weight` `[outputs, size, size, inputs]` with an odd `size`, and
/// `bias` is `[outputs]` or, one for each image, `[batch, outputs]`; `[batch, height / stride, width / stride, outputs]` results, rounded up.
/// Beyond the edges of an image are zeros.
///
/// # Errors
/// Shapes that do not fit, or operands that are not `f32`, but for `x` and `weight` together: those may be of a half type, which the result has
/// as well.
pub fn convolution(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: usize,
    activation: Activation,
) -> Result<Tensor> {
    if x.device().is_cpu() && is_half(x) {
        return convolution(&widened(x)?, &widened(weight)?, &widened(bias)?, stride, activation)?.to_dtype(x.dtype());
    }
    if is_fused(x) {
        let operator = Convolution { stride, activation, slope: Slope::of(&[x, weight, bias]) };
        return x.contiguous()?.apply_op3(weight, &bias.contiguous()?, operator);
    }
    by_operators(x, weight, bias, stride, activation)
}

/// The same of candle's own operators, for other devices and types. Their backward pass fails by stride 2 for a height and a width of which
/// one is even and one is odd.
pub(super) fn by_operators(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: usize,
    activation: Activation,
) -> Result<Tensor> {
    let size = weight.dims4()?.1;
    let filters = weight.permute((0, 3, 1, 2))?.contiguous()?;
    let images = x.permute((0, 3, 1, 2))?.contiguous()?;
    let z = images.conv2d(&filters, size / 2, stride, 1, 1)?.permute((0, 2, 3, 1))?.contiguous()?;
    let bias = widened(bias)?;
    let bias = if bias.rank() == 2 { bias.unsqueeze(1)?.unsqueeze(1)? } else { bias };
    let z = widened(&z)?.broadcast_add(&bias)?;
    match activation {
        Activation::None => z,
        Activation::Silu => z.silu()?,
    }
    .to_dtype(x.dtype())
}

struct Convolution {
    stride: usize,
    activation: Activation,
    slope: Slope,
}

/// Sizes of operands that fit.
struct Sizes {
    geometry: Geometry,
    outputs: usize,
    /// Whether every image has a bias of its own.
    own_bias: bool,
}

impl Sizes {
    fn of(x: &Shape, weight: &Shape, bias: &Shape, stride: usize) -> Result<Self> {
        let (batch, height, width, inputs) = x.dims4()?;
        let (outputs, size, other_size, expected) = weight.dims4()?;
        let own_bias = bias.rank() == 2;
        let biases = if own_bias { vec![batch, outputs] } else { vec![outputs] };
        if inputs != expected || size != other_size || size % 2 == 0 || bias.dims() != biases || stride == 0 {
            candle_core::bail!("convolution: {x:?} by stride {stride} met a weight of {weight:?}, a bias of {bias:?}");
        }
        Ok(Self { geometry: Geometry { batch, height, width, inputs, size, stride }, outputs, own_bias })
    }

    /// The result's rows in parts whose patches fit the cache.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let rows = self.geometry.out_rows();
        let step = (BLOCK / (self.geometry.out_width() * self.geometry.patch()).max(1)).max(1);
        (0..rows).step_by(step).map(move |first| first..(first + step).min(rows))
    }

    /// Numbers of the result in a range of its rows.
    fn out_range(&self, rows: &Range<usize>) -> Range<usize> {
        let length = self.geometry.out_width() * self.outputs;
        rows.start * length..rows.end * length
    }

    /// The patches of a range of rows, laid out in `scratch` unless they are the pixels themselves.
    fn patches<'a>(&self, x: &'a [f32], rows: &Range<usize>, scratch: &'a mut Vec<f32>) -> Matrix<'a> {
        let (pixels, patch) = (rows.len() * self.geometry.out_width(), self.geometry.patch());
        if self.geometry.is_pointwise() {
            let first = rows.start * self.geometry.width * patch;
            return Matrix::new(&x[first..][..pixels * patch], pixels, patch);
        }
        scratch.resize(pixels * patch, 0.0);
        self.geometry.gather(x, rows.clone(), scratch);
        Matrix::new(scratch, pixels, patch)
    }

    /// Where the bias of a row of the result begins.
    fn bias_of(&self, row: usize) -> usize {
        if self.own_bias { row / self.geometry.out_height() * self.outputs } else { 0 }
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(x_layout.shape(), weight_layout.shape(), bias_layout.shape(), self.stride)?;
        let (geometry, outputs) = (sizes.geometry, sizes.outputs);
        let (x, bias) = (contiguous(x, x_layout)?, contiguous(bias, bias_layout)?);
        let weight = Matrix::new(contiguous(weight, weight_layout)?, outputs, geometry.patch());
        let (out_height, out_width) = (geometry.out_height(), geometry.out_width());
        let mut out = vec![0.0; geometry.batch * out_height * out_width * outputs];
        let mut slope = if self.activation == Activation::Silu { self.slope.room(out.len()) } else { None };
        let mut scratch = Vec::new();
        for rows in sizes.blocks() {
            let range = sizes.out_range(&rows);
            let block = &mut out[range.clone()];
            for (row, out) in rows.clone().zip(block.chunks_exact_mut(out_width * outputs)) {
                let bias = &bias[sizes.bias_of(row)..][..outputs];
                out.chunks_exact_mut(outputs).for_each(|pixel| pixel.copy_from_slice(bias));
            }
            matmul(block, true, sizes.patches(x, &rows, &mut scratch), weight.transposed());
            if self.activation == Activation::Silu {
                vectorised::silu(block, slope.as_mut().map(|slope| &mut slope[range]));
            }
        }
        self.slope.keep(slope);
        Ok((CpuStorage::F32(out), (geometry.batch, out_height, out_width, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::of(x.shape(), weight.shape(), bias.shape(), self.stride)?;
        let grad = grad.contiguous()?;
        let mut gradients = Gradients {
            // Data need none.
            x: if x.track_op() { vec![0.0; x.elem_count()] } else { Vec::new() },
            weight: vec![0.0; weight.elem_count()],
            bias: vec![0.0; bias.elem_count()],
        };
        with_elements(x, |x| {
            with_elements(weight, |weight| {
                with_elements(&grad, |grad| self.backward(&sizes, x, weight, grad, &mut gradients))
            })
        })???;
        let device = x.device();
        let grad_x = match gradients.x.is_empty() {
            true => None,
            false => Some(Tensor::from_vec(gradients.x, x.shape(), device)?),
        };
        let grad_weight = Tensor::from_vec(gradients.weight, weight.shape(), device)?;
        Ok((grad_x, Some(grad_weight), Some(Tensor::from_vec(gradients.bias, bias.shape(), device)?)))
    }
}

/// Sums that a backward pass makes; that by `x` is empty if nobody asks for it.
struct Gradients {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Convolution {
    /// With `g = grad * slope` at a pixel: `grad_weight += g patch^T`, `grad_patch = W^T g`.
    fn backward(&self, sizes: &Sizes, x: &[f32], weight: &[f32], grad: &[f32], gradients: &mut Gradients) {
        let (geometry, outputs) = (sizes.geometry, sizes.outputs);
        let patch = geometry.patch();
        let weight = Matrix::new(weight, outputs, patch);
        let (mut scratch, mut product) = (Vec::new(), Vec::new());
        for rows in sizes.blocks() {
            let range = sizes.out_range(&rows);
            let scaled =
                self.slope.get().map(|slope| vectorised::multiply(&grad[range.clone()], &slope[range.clone()]));
            let grad = scaled.as_deref().unwrap_or(&grad[range]);
            for (row, grad) in rows.clone().zip(grad.chunks_exact(geometry.out_width() * outputs)) {
                vectorised::add_rows(grad, &mut gradients.bias[sizes.bias_of(row)..][..outputs]);
            }
            let grad = Matrix::new(grad, rows.len() * geometry.out_width(), outputs);
            matmul(&mut gradients.weight, true, grad.transposed(), sizes.patches(x, &rows, &mut scratch));
            if gradients.x.is_empty() {
                continue;
            }
            let pixels = rows.len() * geometry.out_width();
            if geometry.is_pointwise() {
                matmul(&mut gradients.x[rows.start * geometry.width * patch..][..pixels * patch], false, grad, weight);
                continue;
            }
            product.resize(pixels * patch, 0.0);
            matmul(&mut product, false, grad, weight);
            geometry.scatter(&product, rows, &mut gradients.x);
        }
    }
}
