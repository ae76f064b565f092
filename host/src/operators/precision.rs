//! Half precision: activations and the matrices of products are bf16 or f16; sums, biases, normalisation and softmax stay f32.
//!
//! On the CPU the fused operators compute in f32 on numbers that are rounded to the half type, which is what a GPU's tensor cores do; on other
//! devices the products themselves are candle's of the half type.

use candle_core::{DType, Result, Tensor};

/// Whether a tensor's numbers are of 16 bits.
pub(super) fn is_half(tensor: &Tensor) -> bool {
    matches!(tensor.dtype(), DType::BF16 | DType::F16)
}

/// Whether a fused operator takes a tensor: f32 on the CPU. Anything else goes to candle's operators.
pub(super) fn is_fused(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// A tensor of 16 bits in f32; any other as it is.
pub(super) fn widened(tensor: &Tensor) -> Result<Tensor> {
    if is_half(tensor) { tensor.to_dtype(DType::F32) } else { Ok(tensor.clone()) }
}
