//! What a network is told of a sample: a class, a vector of numbers, or the vector of a caption.
//!
//! | read | for |
//! |---|---|
//! | [`source`] | where a preset's conditions come from |
//! | [`crate::data::conditions`] | vectors beside the data |
//! | [`crate::text`] | captions, and the encoder that makes vectors of them |
//! | [`crate::network::condition`] | how a network embeds either |
//! | [`mod@freeze`] | from a network that is told vectors to one that knows a few of them as classes |
//! | [`asked`] | what a person asks for: prompts, numbers, a file |
//!
//! Whatever samples, distils or exports knows classes alone: a model that is told vectors is frozen to those asked for when it is loaded.

pub mod asked;
pub mod freeze;
pub mod source;

pub use asked::Asked;
pub use source::Source;
