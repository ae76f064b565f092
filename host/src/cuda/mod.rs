//! NVIDIA GPUs: what candle has no kernel for, or needs many for.
//!
//! | kernel | what it does in one pass |
//! |---|---|
//! | `normal_noise` | core's noise, bit for bit |
//! | `combine` | a sampler's step |
//! | `add_squares`, `fold`, `judge_gradient`, `adamw` | an update of the optimiser, of which the host need not know anything |
//!
//! The kernels are C, in `kernels.cu`. NVIDIA's compiler at run time, NVRTC, builds them for the GPU at hand; a test builds them for the processor
//! and compares every bit.

#[cfg(feature = "cuda")]
mod launch;
#[cfg(feature = "cuda")]
pub use launch::{MOST_TERMS, Verdict, adamw, combine, judge_gradients, normal_noise, open};

/// The kernels' text, with core's table in it.
pub fn source() -> String {
    let pieces = tweedie_core::normal::PIECES.map(|piece| format!("{{{}}}", piece.map(|c| c.to_string()).join(", ")));
    format!("#define PIECES_OF_CORE {{{}}}\n{}", pieces.join(", "), include_str!("kernels.cu"))
}

#[cfg(test)]
mod tests;
