//! Any GPU that Vulkan, Metal, DX12 or GL reach, by wgpu: the feature `wgpu`.
//!
//! | read | for |
//! |---|---|
//! | [`adapter`] | which GPUs there are, and which one is meant |
//! | [`context`] | one that is open: buffers, kernels, the stream of calls |
//! | [`error`] | what can go wrong, one sentence each |
//! | [`tensor`], [`noise`] | states under core's traits, and their noise |
//! | [`recorder`] | a network as a list of calls |
//! | [`sample`] | samples of a model; `follow` shows each step |
//! | [`integer`] | samples of an artifact, with the firmware library's bits |

pub mod adapter;
pub mod context;
pub mod error;
mod follow;
pub mod integer;
pub mod noise;
mod poll;
pub mod recorder;
pub mod sample;
pub mod tensor;

pub use context::{Access, Call, Gpu, Kernel, Parameters, Storage, parameters};
pub use error::GpuError;
pub use integer::{IntegerSampler, Wanted};
pub use sample::GpuSampler;
pub use tensor::{GpuTensor, Tensors};
