//! What may be wrong with an artifact.

use super::VERSION;
use core::fmt;

/// Why words are no artifact that could be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The first bytes are not `TWEEDIE`.
    NotAnArtifact,
    /// Written by a newer version.
    Version(u16),
    /// The file has been cut short, or a buffer is too small; lengths in words.
    Truncated {
        /// Words needed.
        need: usize,
        /// Words there.
        have: usize,
    },
    /// Bits have changed since it was written.
    Checksum,
    /// A field contradicts another, or lies outside its range.
    Inconsistent(&'static str),
    /// A layer that this program was built without: the feature of this crate that holds it.
    Unsupported(&'static str),
    /// An accumulator of this output row could overflow 32 bits.
    Overflow {
        /// The output row.
        output: usize,
    },
}

impl core::error::Error for ArtifactError {}

impl fmt::Display for ArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAnArtifact => write!(f, "this is not a Tweedie artifact"),
            Self::Version(version) => {
                write!(f, "this artifact has version {version}, this program reads up to {VERSION}")
            }
            Self::Truncated { need, have } => {
                write!(f, "the artifact is cut short: {} bytes are needed, {} are there", 4 * need, 4 * have)
            }
            Self::Checksum => write!(f, "the artifact is damaged: its checksum does not fit"),
            Self::Inconsistent(what) => write!(f, "the artifact contradicts itself: {what}"),
            Self::Unsupported(feature) => {
                write!(f, "the artifact has layers that this program was built without: it needs the feature {feature}")
            }
            Self::Overflow { output } => {
                write!(f, "the artifact's output row {output} could overflow its accumulator")
            }
        }
    }
}
