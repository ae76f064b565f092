//! The operators that networks are made of, each with its own backward pass on the CPU.
//!
//! Candle's general operators make one pass over memory each; these fuse what always goes together. On other devices, and for other types
//! than f32, every one of them falls back to candle's operators; half precision is in `precision.rs`. Gradients are tested against candle's and against finite differences.

mod attention;
mod combine_rows;
mod convolution;
mod in_place;
mod join;
mod layer_norm;
mod linear;
mod loss;
mod matmul;
mod normalise;
mod patches;
mod precision;
mod rearrange;
mod vectorised;

pub use attention::attention;
pub use combine_rows::combine_rows;
pub use convolution::convolution;
pub use join::join;
pub use layer_norm::layer_norm;
pub use linear::{Activation, linear};
pub use loss::weighted_mean_squared_error;
pub use normalise::normalise;
pub use rearrange::rearrange;

pub(crate) use in_place::{add_in_place, with_elements_mut};
pub(crate) use linear::with_elements;
pub(crate) use vectorised::sum_of_squares;

#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, Layout, Result, bail};

/// The elements of a contiguous `f32` operand.
fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(data), Some((start, end))) => Ok(&data[start..end]),
        (CpuStorage::F32(_), None) => bail!("a fused operator needs contiguous operands"),
        _ => bail!("a fused operator needs f32 operands"),
    }
}
