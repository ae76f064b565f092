//! How good a model is, whether it memorised, and what quantisation costs: `cargo xtask eval`.
//!
//! | read | for |
//! |---|---|
//! | [`evaluation`] | all that a judgement says: `eval.json` |

pub mod evaluation;

pub use evaluation::{Evaluation, Gallery};
