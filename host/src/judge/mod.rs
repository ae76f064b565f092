//! How good a model is, whether it memorised, and what quantisation costs: `cargo xtask eval`.
//!
//! | read | for |
//! |---|---|
//! | [`evaluation`], [`interval`] | all that a judgement says: `eval.json` |
//! | [`real_rows`], [`classifier`] | by what is judged: rows that no training has seen, and a classifier of real rows |
//! | [`frechet`], [`precision_recall`], [`memorisation`] | the metrics, each with its paper |
//! | [`bound`] | bits per dimension |
//! | [`panel`], [`series`], [`quantisation`] | the metrics applied: to a set, to several seeds, to fixed point beside floating point |
//! | [`report`] | the same for people: `report.html` |
//! | [`curve`] | memorisation against rows and weights: `eval --curve` |
//!
//! Only the command line asks the judge: what judges must not have taught. `tests/tests/walls.rs` holds that no training names this module.

pub mod bound;
pub mod classifier;
pub mod curve;
pub mod evaluation;
pub mod frechet;
pub mod interval;
pub mod memorisation;
pub mod panel;
pub mod precision_recall;
pub mod quantisation;
pub mod real_rows;
pub mod report;
pub mod series;

pub use evaluation::{Evaluation, Gallery};
