//! A model without a neural network: for each class a mixture of probabilistic principal component analyses (Tipping and Bishop 1999).
//!
//! Every component is a low-rank Gaussian, `S_k = U_k diag(lambda_k) U_k^T + floor_k (I - U_k U_k^T)`, so that `x0_hat` is known in closed
//! form at every noise level: [`tweedie_core::exact::LowRankMixture`], which is an attention over the components. Expectation maximisation
//! learns the distribution, and noise levels play no part in it; the denoising loss learns the denoiser, as it teaches any network.
//!
//! | read | for |
//! |---|---|
//! | [`tables`] | what is learnt |
//! | [`fit`] | expectation maximisation from beginning to end |
//! | [`denoising`] | the same by gradients of the denoising loss |
//! | [`seeding`] | where it begins: k-means++ |
//! | [`maximise`] | one component's maximum of likelihood: probabilistic PCA in closed form |
//!
//! [`network::Mixture`](crate::network::Mixture) makes the tables a network like any other, for samplers, guidance and judges.

pub mod denoising;
pub mod fit;
pub mod maximise;
pub mod orthonormal;
pub mod seeding;
pub mod tables;

pub use fit::Fit;
pub use tables::Tables;

#[cfg(test)]
pub(crate) mod tests;
