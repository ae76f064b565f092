//! The kinds of layers: which record is whose.

use super::record::{Arena, MAX_TABLES, Tables, low};
use super::{ArtifactError, Attention, Constants, Convolution, Linear, Mixture, Normalise, Rearrange};

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
    /// Samples as images of patches, and back.
    Rearrange(Rearrange),
    /// Numbers that are always the same.
    Constants(Constants<'a>),
    /// Attention.
    Attention(Attention<'a>),
    /// The denoiser of a mixture of low-rank Gaussians.
    Mixture(Mixture<'a>),
}

const UNKNOWN: ArtifactError = ArtifactError::Inconsistent("a layer's kind");
const CUT_SHORT: ArtifactError = ArtifactError::Inconsistent("the list of layers");

impl<'a> Layer<'a> {
    /// Words of the record that begins with this word.
    pub(super) fn words_of(head: u32) -> Result<usize, ArtifactError> {
        match low(head) {
            Linear::KIND => Ok(Linear::WORDS),
            Normalise::KIND => Ok(Normalise::WORDS),
            Convolution::KIND => Ok(Convolution::WORDS),
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
            Self::Rearrange(_) => Rearrange::WORDS,
            Self::Constants(_) => Constants::WORDS,
            Self::Attention(_) => Attention::WORDS,
            Self::Mixture(_) => Mixture::WORDS,
        }
    }

    /// The layer whose record is at the front of `records`.
    pub(super) fn read(records: &[u32], tables: Tables<'a>) -> Result<Self, ArtifactError> {
        match records.first().map(|&head| low(head)) {
            Some(Linear::KIND) => Linear::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Linear),
            Some(Normalise::KIND) => Normalise::read(records.first_chunk().ok_or(CUT_SHORT)?).map(Self::Normalise),
            Some(Convolution::KIND) => {
                Convolution::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Convolution)
            }
            Some(Rearrange::KIND) => Rearrange::read(records.first_chunk().ok_or(CUT_SHORT)?).map(Self::Rearrange),
            Some(Constants::KIND) => {
                Constants::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Constants)
            }
            Some(Attention::KIND) => {
                Attention::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Attention)
            }
            Some(Mixture::KIND) => Mixture::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Mixture),
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
            Self::Convolution(convolution) => convolution.check(arena),
            Self::Rearrange(rearrange) => rearrange.check(arena),
            Self::Constants(constants) => constants.check(arena),
            Self::Attention(attention) => attention.check(arena),
            // None has been read without it, and its code need not be there.
            Self::Mixture(mixture) if cfg!(feature = "mixture") => mixture.check(arena),
            Self::Mixture(_) => Err(UNKNOWN),
        }
    }
}
