//! Any GPU that Vulkan, Metal, DX12 or GL reach, by wgpu: the feature `wgpu`.
//!
//! | read | for |
//! |---|---|
//! | [`adapter`] | which GPUs there are, and which one is meant |
//! | [`context`] | one that is open: buffers, kernels, the stream of calls |
//! | [`integer`] | artifacts, with the firmware library's bits |
//! | [`error`] | what can go wrong, one sentence each |

pub mod adapter;
pub mod context;
pub mod error;
pub mod integer;
mod poll;

pub use context::{Access, Call, Gpu, Kernel, Storage};
pub use error::GpuError;
pub use integer::{IntegerSampler, Wanted};
