//! # Tweedie's firmware library: a model read from flash, sampled in integer arithmetic
//!
//! No standard library, no allocator, no floating-point arithmetic. The artifact stays where it is, all memory is the caller's, and the
//! same bits result on every processor, this machine included.
//!
//! | layer | module | does |
//! |---|---|---|
//! | 4 | [`sampler`] | runs the plan, shows each step's `x0_hat` |
//! | 3 | [`model`] | reads an artifact, runs its network |
//! | 2 | [`tensor`] | the fixed-point formats, and core's tensor trait |
//! | 1 | [`kernels`] | linear layers, normalisation, mixtures, activation tables, sums; the only unsafe code |
//! | | [`power_on`] | a test of the source of noise |
//!
//! The feature `mixture`, on by default, is for models that are mixtures of Gaussians: 7 KiB of code. Without it such a model does not parse.
//!
//! ```
//! # use tweedie_core::artifact::{self, Header, Layer, Linear, PlanStep};
//! # let header = Header { dims: [2, 1, 1, 1], rank: 1, classes: 0, clip: true, arena: 8, input_at: 0, output_at: 4, offset: 0.0, scale: 1.0 };
//! # let step = PlanStep { from_output: 1 << 14, pulls: [1 << 14, 0, 0, 0], pull_count: 1, ..PlanStep::default() };
//! # let mut weights = [0; 4];
//! # artifact::pack_weights(&[1, 0, 0, 1], 2, 2, &mut weights).unwrap();
//! # let layer = Layer::Linear(Linear { input_at: 0, inputs: 2, output_at: 4, outputs: 2, add: false, weights: &weights, bias: &[0; 2],
//! #     multipliers: &[1 << 30; 2], table: &[], step_bias: &[], class_bias: &[] });
//! # let mut words = [0; 64];
//! # let length = artifact::write(&header, &[step], &[layer], &mut words).unwrap();
//! # let words = &words[..length];
//! use tweedie_firmware::{Model, sample};
//!
//! let model = Model::parse(words)?;
//! let mut scratch = [0; 1024];
//! let digit = sample(&model, &mut scratch, 42, 0, None, |progress| {
//!     assert_eq!(progress.x0_hat.len(), 2); // draw it
//! })?;
//! assert!(digit.iter().all(|value| f32::from(*value).abs() <= 1.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod kernels;
pub mod model;
pub mod power_on;
pub mod sampler;
pub mod tensor;

pub use model::Model;
pub use sampler::{Progress, SampleError, sample};
pub use tensor::Q12;
