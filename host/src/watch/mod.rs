//! Watching a model draw: states and estimates step by step, in a terminal or a window, with keys that change what is drawn.
//!
//! | module | is |
//! |---|---|
//! | [`artist`] | whoever draws: settings in, a [`Frame`] for each step out |
//! | [`model`] | the artist that samples a trained model |
//! | [`controls`] | what keys do: a pure function of settings and key |
//! | [`studio`] | an artist in a thread of its own, so that keys never wait for it |
//! | [`session`] | the order of events: frames at a given rate, a rest after the last, the next seed |
//! | [`view`] | what is seen, as text and as a picture |
//! | [`screen`] | the terminal, left as it was found |
//! | [`once`] | one drawing as plain text, for pipes |
//! | `window` | a window, with the feature of that name |

pub mod artist;
pub mod controls;
pub mod model;
pub mod once;
pub mod screen;
pub mod session;
pub mod studio;
pub mod view;
#[cfg(feature = "window")]
pub mod window;

pub use artist::{Artist, Fixed, Frame, Request, Subject};
pub use model::ModelArtist;
