//! The kinds of layers: which record is whose.

use super::record::{Arena, MAX_TABLES, Tables, low};
use super::{ArtifactError, Attention, Constants, Convolution, Depthwise, Linear, Mixture, Normalise, Rearrange};

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer<'a> {
    /// Fully connected.
    Linear(Linear<'a>),
    /// Layer normalisation.
    Normalise(Normalise),
    /// Convolution.
    Convolution(Convolution<'a>),
    /// Depthwise convolution.
    Depthwise(Depthwise<'a>),
    /// Samples as images of patches, and back.
    Rearrange(Rearrange),
    /// Numbers that are always the same.
    Constants(Constants<'a>),
    /// Attention.
    Attention(Attention<'a>),
    /// The denoiser of a mixture of low-rank Gaussians.
    Mixture(Mixture<'a>),
}

/// What this program was built with; the compiler leaves out the rest.
const IMAGES: bool = cfg!(feature = "images");
const DEPTHWISE: bool = cfg!(feature = "depthwise");
const ATTENTION: bool = cfg!(feature = "attention");
const MIXTURE: bool = cfg!(feature = "mixture");

const UNKNOWN: ArtifactError = ArtifactError::Inconsistent("a layer's kind");
const CUT_SHORT: ArtifactError = ArtifactError::Inconsistent("the list of layers");

impl<'a> Layer<'a> {
    /// The feature of this crate that the layer needs, if it needs any.
    pub fn feature(&self) -> Option<&'static str> {
        match self {
            Self::Linear(_) | Self::Normalise(_) => None,
            Self::Convolution(_) | Self::Rearrange(_) => Some("images"),
            Self::Depthwise(_) => Some("depthwise"),
            Self::Constants(_) | Self::Attention(_) => Some("attention"),
            Self::Mixture(_) => Some("mixture"),
        }
    }

    /// Words of the record that begins with this word.
    pub(super) fn words_of(head: u32) -> Result<usize, ArtifactError> {
        match low(head) {
            Linear::KIND => Ok(Linear::WORDS),
            Normalise::KIND => Ok(Normalise::WORDS),
            Convolution::KIND => Ok(Convolution::WORDS),
            Depthwise::KIND => Ok(Depthwise::WORDS),
            Rearrange::KIND => Ok(Rearrange::WORDS),
            Constants::KIND => Ok(Constants::WORDS),
            Attention::KIND => Ok(Attention::WORDS),
            Mixture::KIND => Ok(Mixture::WORDS),
            _ => Err(UNKNOWN),
        }
    }

    /// Words of this layer's record.
    pub(super) fn words(&self) -> usize {
        match self {
            Self::Linear(_) => Linear::WORDS,
            Self::Normalise(_) => Normalise::WORDS,
            Self::Convolution(_) => Convolution::WORDS,
            Self::Depthwise(_) => Depthwise::WORDS,
            Self::Rearrange(_) => Rearrange::WORDS,
            Self::Constants(_) => Constants::WORDS,
            Self::Attention(_) => Attention::WORDS,
            Self::Mixture(_) => Mixture::WORDS,
        }
    }

    /// Multiply-accumulates of one evaluation; sums and normalisations do not count.
    pub fn multiply_accumulates(&self) -> u64 {
        let of_rows = |rows: &Linear<'_>| u64::from(rows.inputs) * u64::from(rows.outputs);
        match self {
            Self::Linear(linear) => of_rows(linear),
            Self::Convolution(convolution) => {
                let (height, width) = convolution.output_size();
                u64::from(height) * u64::from(width) * of_rows(&convolution.rows)
            }
            Self::Depthwise(depthwise) => {
                let (height, width) = depthwise.output_size();
                u64::from(height) * u64::from(width) * of_rows(&depthwise.rows)
            }
            // Scores, and the sum of values that they weigh.
            Self::Attention(Attention { tokens, heads, depth, .. }) => {
                2 * u64::from(*tokens).pow(2) * u64::from(*heads) * u64::from(*depth)
            }
            // Coordinates, and the sum of directions that they weigh, for one class.
            Self::Mixture(mixture) => 2 * u64::from(mixture.features) * mixture.block_rows() as u64,
            Self::Normalise(_) | Self::Rearrange(_) | Self::Constants(_) => 0,
        }
    }

    /// The layer whose record is at the front of `records`.
    pub(super) fn read(records: &[u32], tables: Tables<'a>) -> Result<Self, ArtifactError> {
        match records.first().map(|&head| low(head)) {
            Some(Linear::KIND) => Linear::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Linear),
            Some(Normalise::KIND) => Normalise::read(records.first_chunk().ok_or(CUT_SHORT)?).map(Self::Normalise),
            Some(Convolution::KIND) if IMAGES => {
                Convolution::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Convolution)
            }
            Some(Depthwise::KIND) if DEPTHWISE => {
                Depthwise::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Depthwise)
            }
            Some(Rearrange::KIND) if IMAGES => {
                Rearrange::read(records.first_chunk().ok_or(CUT_SHORT)?).map(Self::Rearrange)
            }
            Some(Constants::KIND) if ATTENTION => {
                Constants::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Constants)
            }
            Some(Attention::KIND) if ATTENTION => {
                Attention::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Attention)
            }
            Some(Mixture::KIND) if MIXTURE => {
                Mixture::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Mixture)
            }
            Some(Mixture::KIND) => Err(ArtifactError::LeftOut("mixture")),
            Some(Convolution::KIND | Rearrange::KIND) => Err(ArtifactError::LeftOut("images")),
            Some(Depthwise::KIND) => Err(ArtifactError::LeftOut("depthwise")),
            Some(Constants::KIND | Attention::KIND) => Err(ArtifactError::LeftOut("attention")),
            Some(_) => Err(UNKNOWN),
            None => Err(CUT_SHORT),
        }
    }

    /// The tables that the record points at, in the order of its places.
    pub(super) fn tables(&self) -> [&'a [u32]; MAX_TABLES] {
        match self {
            Self::Linear(linear) => linear.tables(),
            Self::Normalise(_) | Self::Rearrange(_) => [&[]; MAX_TABLES],
            Self::Convolution(convolution) => convolution.rows.tables(),
            Self::Depthwise(depthwise) => depthwise.rows.tables(),
            Self::Constants(constants) => constants.tables(),
            Self::Attention(attention) => attention.tables(),
            Self::Mixture(mixture) => mixture.tables(),
        }
    }

    /// Writes the record, of [`words`](Self::words), with the places of the tables.
    pub(super) fn write(&self, places: [u32; MAX_TABLES], record: &mut [u32]) -> Result<(), ArtifactError> {
        match self {
            Self::Linear(linear) => linear.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            Self::Normalise(normalise) => normalise.write(record.first_chunk_mut().ok_or(CUT_SHORT)?),
            Self::Convolution(convolution) => convolution.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            Self::Depthwise(depthwise) => depthwise.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            Self::Rearrange(rearrange) => rearrange.write(record.first_chunk_mut().ok_or(CUT_SHORT)?),
            Self::Constants(constants) => constants.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            Self::Attention(attention) => attention.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            Self::Mixture(mixture) => mixture.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
        }
        Ok(())
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        match self {
            Self::Linear(linear) => linear.check(arena),
            Self::Normalise(normalise) => normalise.check(arena),
            // None has been read without its feature, and its code need not be there.
            Self::Convolution(convolution) if IMAGES => convolution.check(arena),
            Self::Depthwise(depthwise) if DEPTHWISE => depthwise.check(arena),
            Self::Rearrange(rearrange) if IMAGES => rearrange.check(arena),
            Self::Constants(constants) if ATTENTION => constants.check(arena),
            Self::Attention(attention) if ATTENTION => attention.check(arena),
            Self::Mixture(mixture) if MIXTURE => mixture.check(arena),
            _ => Err(UNKNOWN),
        }
    }
}
