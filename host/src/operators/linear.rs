//! A fully connected layer: product, bias and activation in one operator.

use super::matmul::{Matrix, matmul};
use super::precision::{is_fused, is_half, widened};
use super::{contiguous, vectorised};
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// What follows a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `z / (1 + e^-z)`.
    Silu,
}

/// `activation(x W^T + b)`: `x` is `[batch, inputs]`, `weight` `[outputs, inputs]`, `bias` `[outputs]`; `[batch, outputs]` results.
///
/// # Errors
/// Shapes that do not fit, or operands that are not `f32`, but for `x` and `weight` together: those may be of a half type, which the result has
/// as well.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    if x.device().is_cpu() && is_half(x) {
        return linear(&widened(x)?, &widened(weight)?, bias, activation)?.to_dtype(x.dtype());
    }
    if is_fused(x) {
        return x.contiguous()?.apply_op3(weight, bias, Linear { activation, slope: Slope::of(&[x, weight, bias]) });
    }
    by_operators(x, weight, bias, activation)
}

/// The same of candle's own operators, for other devices and types.
pub(super) fn by_operators(x: &Tensor, weight: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    let z = widened(&x.matmul(&weight.t()?)?)?.broadcast_add(bias)?;
    match activation {
        Activation::None => z,
        Activation::Silu => z.silu()?,
    }
    .to_dtype(x.dtype())
}

struct Linear {
    activation: Activation,
    slope: Slope,
}

/// An activation's derivative at every output, kept for the backward pass if there can be one.
pub(super) struct Slope {
    is_wanted: bool,
    values: OnceLock<Vec<f32>>,
}

impl Slope {
    /// Nothing yet, of an operator on these operands.
    pub(super) fn of(operands: &[&Tensor]) -> Self {
        Self { is_wanted: operands.iter().any(|operand| operand.track_op()), values: OnceLock::new() }
    }

    /// Room for so many numbers, or for none if nobody will ask.
    pub(super) fn room(&self, count: usize) -> Option<Vec<f32>> {
        self.is_wanted.then(|| vec![0.0; count])
    }

    /// Keeps them.
    pub(super) fn keep(&self, values: Option<Vec<f32>>) {
        if let Some(values) = values {
            // A fresh operator is made for every call, so the cell is empty here.
            let _ = self.values.set(values);
        }
    }

    /// What was kept.
    pub(super) fn get(&self) -> Option<&Vec<f32>> {
        self.values.get()
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
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
        let (batch, inputs) = x_layout.shape().dims2()?;
        let (outputs, expected) = weight_layout.shape().dims2()?;
        if inputs != expected || bias_layout.shape().dims1()? != outputs {
            candle_core::bail!("linear: {inputs} inputs met a weight of {outputs} x {expected}");
        }
        let bias = contiguous(bias, bias_layout)?;
        let mut out = Vec::with_capacity(batch * outputs);
        for _ in 0..batch {
            out.extend_from_slice(bias);
        }
        let x = Matrix::new(contiguous(x, x_layout)?, batch, inputs);
        let weight = Matrix::new(contiguous(weight, weight_layout)?, outputs, inputs);
        matmul(&mut out, true, x, weight.transposed());
        if self.activation == Activation::Silu {
            let mut slope = self.slope.room(out.len());
            vectorised::silu(&mut out, slope.as_deref_mut());
            self.slope.keep(slope);
        }
        Ok((CpuStorage::F32(out), (batch, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, inputs) = x.dims2()?;
        let outputs = grad.dim(D::Minus1)?;
        let grad = grad.contiguous()?;
        let (grad_x, grad_weight, grad_bias) = {
            let (storage, layout) = grad.storage_and_layout();
            let candle_core::Storage::Cpu(storage) = &*storage else {
                candle_core::bail!("linear: the fused backward pass runs on the CPU");
            };
            let grad = contiguous(storage, layout)?;
            let scaled = self.slope.get().map(|slope| vectorised::multiply(grad, slope));
            let grad = scaled.as_deref().unwrap_or(grad);
            let grad_matrix = Matrix::new(grad, batch, outputs);
            let grad_x = if x.track_op() {
                let mut out = vec![0.0; batch * inputs];
                with_elements(weight, |weight| {
                    matmul(&mut out, false, grad_matrix, Matrix::new(weight, outputs, inputs));
                })?;
                Some(Tensor::from_vec(out, (batch, inputs), x.device())?)
            } else {
                None
            };
            let mut grad_weight = vec![0.0; outputs * inputs];
            with_elements(x, |x| {
                matmul(&mut grad_weight, false, grad_matrix.transposed(), Matrix::new(x, batch, inputs));
            })?;
            (grad_x, grad_weight, vectorised::sum_rows(grad, outputs))
        };
        let grad_weight = Tensor::from_vec(grad_weight, (outputs, inputs), x.device())?;
        let grad_bias = Tensor::from_vec(grad_bias, outputs, x.device())?;
        Ok((grad_x, Some(grad_weight), Some(grad_bias)))
    }
}

/// Calls `f` with the elements of a contiguous `f32` tensor on the CPU.
pub(crate) fn with_elements<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => Ok(f(contiguous(storage, layout)?)),
        _ => candle_core::bail!("a fused operator's operand is not on the CPU"),
    }
}
