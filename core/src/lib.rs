//! # Tweedie's core: the mathematics of diffusion models, without an allocator
//!
//! One convention holds everywhere: `t = 0` is data, the largest `t` is noise, and
//!
//! ```text
//! x_t = alpha_t x_0 + sigma_t eps,      eps ~ N(0, I)            (3.2.85)
//! ```
//!
//! A *denoiser* returns `x0_hat`, its estimate of `E[x_0 | x_t]`. Whatever a network predicts instead is
//! converted by [`prediction`]; by [`tweedie`] the estimate and the score are the same thing. With `x0_hat` in
//! hand every sampler step is linear, `x_s = keep x_t + sum pull_i x0_hat_i + kick z`, so a sampler is a *plan*:
//! a table of coefficients, computed once in `f64` and executed by any tensor.
//!
//! | read | for |
//! |---|---|
//! | [`noise_level`], [`schedule`], [`chain`] | `alpha`, `sigma`, `log_snr`, in continuous time and on DDPM chains |
//! | [`discretise`], [`sigma_clock`] | which times a sampler visits, and `sigma / alpha` as the time |
//! | [`forward`] | noise added in one step, or in one jump |
//! | [`prediction`], [`preconditioning`], [`tweedie`], [`loss`], [`guidance`] | what networks predict, how they are trained and steered |
//! | [`plan`], [`ddim`], [`ddpm`], [`consistency`], [`sampler`] | the reverse process |
//! | [`solver`] | its solvers of higher order: Heun, DPM-Solver++, UniPC, DEIS and others |
//! | [`inversion`], [`inpainting`], [`thresholding`] | the way back to noise, known parts of a sample, estimates kept in range |
//! | [`bound`] | how likely the data are under the model, in bits per dimension |
//! | [`tensor`] | the traits that candle, wgpu and fixed-point buffers implement |
//! | [`threefry`], [`normal`], [`noise`] | Gaussian noise with the same bits on every machine |
//! | [`artifact`] | a frozen integer model, read from flash where it lies |
//! | [`exact`], [`shell`] | denoisers in closed form, and the geometry of noise: the yardsticks |
//!
//! Equation numbers are those of the texts named in the project's ARCHITECTURE.md.
//!
//! ```
//! use tweedie_core::{ddim, discretise::Spacing, plan::Step, schedule::Schedule};
//!
//! // Twenty deterministic DDIM steps of the trigonometric process, from noise (t = 0.999) to data (t = 0).
//! let schedule = Schedule::Trigonometric;
//! let mut times = [0.0; 21];
//! Spacing::Uniform.fill(&schedule, 0.999, 0.0, &mut times)?;
//! let mut plan = [Step::EMPTY; 20];
//! ddim::plan(&schedule, &times, 0.0, &mut plan)?;
//! // The last step lands on the denoiser's own estimate.
//! assert_eq!((plan[19].keep, plan[19].pull(), plan[19].kick), (0.0, &[1.0][..], 0.0));
//! # Ok::<(), tweedie_core::Error>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod artifact;
mod beta_distribution;
pub mod bound;
pub mod chain;
pub mod consistency;
pub mod ddim;
pub mod ddpm;
pub mod discretise;
mod error;
pub mod exact;
pub mod forward;
pub mod guidance;
pub mod inpainting;
pub mod inversion;
pub mod loss;
pub mod noise;
pub mod noise_level;
pub mod normal;
pub mod plan;
pub mod preconditioning;
pub mod prediction;
pub mod sampler;
pub mod schedule;
pub mod shell;
pub mod sigma_clock;
pub mod solver;
pub mod tensor;
pub mod threefry;
pub mod thresholding;
pub mod tweedie;

pub use error::Error;
pub use noise_level::NoiseLevel;
pub use tensor::{Denoiser, NoiseSource, StepId, Tensor};
