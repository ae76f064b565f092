//! Solvers of higher order, each a plan: a table over the state, estimates and noise.
//!
//! One contract holds: any [`Process`](crate::schedule::Process), any falling times, one row for each evaluation of the denoiser. A solver sees the
//! noise levels alone (and the times where its paper interpolates in time), so the variance-exploding formulas of EDM and of
//! k-diffusion and the variance-preserving ones of DPM-Solver are the same code: both act on `x / alpha`, whose noise level is
//! `sigma / alpha`, and the rows are scaled back to the process.
//!
//! | file | solver | order | evaluations a step |
//! |---|---|---|---|
//! | [`crate::ddim`], [`crate::ddpm`] | those of the texts | 1 | 1 |
//! | [`euler`] | Euler of EDM and Euler ancestral, with churn | 1 | 1 |
//! | [`heun`] | Heun of EDM, with churn | 2 | 2 |
//! | [`heun_pec`] | Heun's predictor and corrector, exponential, with one evaluation | 2 | 1 |
//! | [`dpm_solver`] | DPM-Solver++ (1, 2M, 3M), its SDE variants, DPM-Solver | 1 to 3 | 1 |
//! | [`singlestep`] | DPM-Solver++(2S), (3S) and their noise forms | 2, 3 | 2, 3 |
//! | [`dpm_solver_2`] | DPM-Solver-2 of k-diffusion, and ancestral | 2, with noise 1 (strong) | 2 |
//! | [`dpm_solver_sde`] | DPM-Solver++ SDE of k-diffusion | 1 (strong) | 2 |
//! | [`unipc`] | UniPC: predictor and corrector, B1 and B2 | 1 to 3, and one more by the corrector | 1 |
//! | [`deis`] | DEIS: t-AB, rho-AB, log-rho-AB | 1 to 4 | 1 |
//! | [`lms`] | linear multistep of k-diffusion | 1 to 4 | 1 |
//! | [`pndm`] | PNDM (PLMS) and improved PNDM | 1 to 4 | 1 |
//! | [`probability_flow`], [`reverse_sde`] | Euler and Euler-Maruyama in the process's own time | 1 | 1 |
//!
//! Two levels are singular. A step from pure noise (`alpha = 0`) and a step to clean data (`sigma = 0`) are DDIM's, whatever the
//! order; an estimate made at pure noise, infinitely far away in log-SNR, takes no part in later extrapolation.

pub mod deis;
pub mod dpm_solver;
pub mod dpm_solver_2;
pub mod dpm_solver_sde;
pub mod euler;
pub mod heun;
pub mod heun_pec;
pub mod lms;
pub mod pndm;
pub mod probability_flow;
pub mod reverse_sde;
pub mod singlestep;
pub mod unipc;

mod combination;
mod exponential;
mod interpolation;
mod order;
mod path;

pub use exponential::Form;
pub use order::Ending;
