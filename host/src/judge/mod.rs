//! How good a model is, whether it memorised, and what quantisation costs: `cargo xtask eval`.
//!
//! | read | for |
//! |---|---|
//! | [`evaluation`] | all that a judgement says: `eval.json` |

pub mod bound;
pub mod classifier;
pub mod curve;
pub mod data_levels;
pub mod evaluation;
pub mod frechet;
pub mod interval;
pub mod memorisation;
pub mod neighbours;
pub mod panel;
pub mod precision_recall;
pub mod real_rows;
pub mod report;

pub use evaluation::{Evaluation, Gallery};
