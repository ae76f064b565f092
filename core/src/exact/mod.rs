//! Denoisers in closed form: no training, and the yardsticks for everything that is trained.
//!
//! Data that are a mixture of Gaussians stay one when they are noised, so `E[x_0 | x_t]`, the score and the density are
//! known at every noise level (3.2.19). Everything here takes `alpha` and `sigma`, hence serves every process; with
//! `alpha = 1` and `sigma = t` the formulas are those of the texts.
//!
//! | data | is |
//! |---|---|
//! | [`Gaussian`] | one Gaussian in its eigenbasis, with the exact probability flow |
//! | [`two_point`] | `-1` or `+1` (Example 3.4) |
//! | [`DiagonalMixture`] | Gaussians with a variance for each coordinate; in one dimension with the exact probability flow |
//! | [`LowRankMixture`] | Gaussians on subspaces (3.2.80), probabilistic PCA, and full covariances by their eigenvectors |
//! | [`Empirical`] | the training set itself: the denoiser that memorises (3.3.3) |
//!
//! The last three are [`Mixture`]s; [`AlongPlan`] makes any of them a [`Denoiser`](crate::Denoiser) under the sampler, and
//! [`entropy`] estimates the entropy of `x_t`; [`IncreasingMap`] says what a sampler makes of a distribution on a line. [`LowRankTerms`] are a
//! low-rank mixture at one noise level as coefficients of plain products, for fixed point and for gradients; [`CentredTerms`] are the same about
//! each mean, for single precision.

mod along_plan;
mod centred_terms;
mod diagonal;
mod empirical;
mod entropy;
mod gaussian;
mod increasing_map;
mod joint;
mod low_rank;
mod low_rank_terms;
mod mixture;
mod quantile_flow;
mod two_point;

pub use along_plan::AlongPlan;
pub use centred_terms::CentredTerms;
pub use diagonal::DiagonalMixture;
pub use empirical::Empirical;
pub use entropy::entropy;
pub use gaussian::Gaussian;
pub use increasing_map::IncreasingMap;
pub use joint::LogJoint;
pub use low_rank::{LowRankMixture, LowRankTables};
pub use low_rank_terms::{LowRankTerms, inverse_temperature};
pub use mixture::{LARGEST, Mixture};
pub use two_point::two_point;
