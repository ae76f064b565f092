//! Tweedie on a computer: data, networks, training and sampling on candle tensors.
//!
//! | read | for |
//! |---|---|
//! | [`data`], [`inspect`] | what is learnt, and what can be said of it beforehand |
//! | [`preset`], [`process`] | how: every setting, and the noise process it names |
//! | [`condition`], [`text`] | what a network is told of a sample: classes, vectors, captions |
//! | [`network`], [`operators`] | what learns, and the fused operators it is made of |
//! | [`batch`], [`resident`], [`optimiser`], [`loss_scale`], [`scalar`], [`mod@train`] | Algorithm 3.2: what an update sees, and what it does |
//! | [`mixture`] | a model without a network: low-rank Gaussians, fitted by expectation maximisation |
//! | [`run_folder`], [`checkpoint`], [`atomic_file`] | what is left on disk, whatever happens |
//! | [`mod@sample`], [`solver`], [`tensor`] | core's sampler and its solvers over candle tensors |
//! | [`device`], [`noise`], [`mod@cuda`] | where tensors live, core's noise there, and kernels for NVIDIA GPUs |
//! | [`scheduler_config`] | diffusers' file of a sampler, read and written |
//! | [`judge`] | how good a model is |
//! | [`neighbours`] | nearest rows, by plain search |
//! | [`chamfer`] | how far points stray from the solid that they were learnt from |
//! | [`study`] | the theory in figures |
//! | `gpu` | sampling on any GPU, by wgpu (with the feature of that name) |
//! | [`watch`] | a model drawing, step by step, in a terminal or a window |
//! | [`picture`], [`npy`] | for people, and for programs |

#![deny(missing_docs)]

pub mod atomic_file;
pub mod batch;
pub mod chamfer;
pub mod checkpoint;
pub mod cli;
pub mod condition;
pub mod cuda;
pub mod data;
pub mod device;
pub mod distill;
pub mod error;
pub mod export;
#[cfg(feature = "wgpu")]
pub mod gpu;
pub mod inspect;
pub mod judge;
pub mod lesson;
pub mod loss_scale;
pub mod mixture;
pub mod neighbours;
pub mod network;
pub mod noise;
pub mod npy;
pub mod operators;
pub mod optimiser;
pub mod picture;
pub mod preset;
pub mod process;
pub mod query;
pub mod resident;
pub mod run_folder;
pub mod sample;
pub mod say;
pub mod scalar;
pub mod scheduler_config;
pub mod solver;
pub mod streams;
pub mod study;
pub mod tensor;
pub mod text;
pub mod train;
pub mod watch;

pub use error::Error;
