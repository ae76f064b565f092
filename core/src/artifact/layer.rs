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
    #[cfg(feature = "images")]
    Convolution(Convolution<'a>),
    /// Depthwise convolution.
    #[cfg(feature = "depthwise")]
    Depthwise(Depthwise<'a>),
    /// Samples as images of patches, and back.
    #[cfg(feature = "images")]
    Rearrange(Rearrange),
    /// Numbers that are always the same.
    #[cfg(feature = "attention")]
    Constants(Constants<'a>),
    /// Attention.
    #[cfg(feature = "attention")]
    Attention(Attention<'a>),
    /// The denoiser of a mixture of low-rank Gaussians.
    #[cfg(feature = "mixture")]
    Mixture(Mixture<'a>),
}

const UNKNOWN: ArtifactError = ArtifactError::Inconsistent("a layer's kind");
const CUT_SHORT: ArtifactError = ArtifactError::Inconsistent("the list of layers");

impl<'a> Layer<'a> {
    /// The feature of this crate that the layer needs, if it needs any.
    pub fn feature(&self) -> Option<&'static str> {
        match self {
            Self::Linear(_) | Self::Normalise(_) => None,
            #[cfg(feature = "images")]
            Self::Convolution(_) => Some("images"),
            #[cfg(feature = "images")]
            Self::Rearrange(_) => Some("images"),
            #[cfg(feature = "depthwise")]
            Self::Depthwise(_) => Some("depthwise"),
            #[cfg(feature = "attention")]
            Self::Constants(_) => Some("attention"),
            #[cfg(feature = "attention")]
            Self::Attention(_) => Some("attention"),
            #[cfg(feature = "mixture")]
            Self::Mixture(_) => Some("mixture"),
        }
    }

    /// Words of the record that begins with this word.
    ///
    /// # Errors
    /// [`ArtifactError::LeftOut`] for a layer that this program was built without.
    pub(super) fn words_of(head: u32) -> Result<usize, ArtifactError> {
        match low(head) {
            Linear::KIND => Ok(Linear::WORDS),
            Normalise::KIND => Ok(Normalise::WORDS),
            #[cfg(feature = "images")]
            Convolution::KIND => Ok(Convolution::WORDS),
            #[cfg(feature = "images")]
            Rearrange::KIND => Ok(Rearrange::WORDS),
            #[cfg(not(feature = "images"))]
            Convolution::KIND | Rearrange::KIND => Err(ArtifactError::LeftOut("images")),
            #[cfg(feature = "depthwise")]
            Depthwise::KIND => Ok(Depthwise::WORDS),
            #[cfg(not(feature = "depthwise"))]
            Depthwise::KIND => Err(ArtifactError::LeftOut("depthwise")),
            #[cfg(feature = "attention")]
            Constants::KIND => Ok(Constants::WORDS),
            #[cfg(feature = "attention")]
            Attention::KIND => Ok(Attention::WORDS),
            #[cfg(not(feature = "attention"))]
            Constants::KIND | Attention::KIND => Err(ArtifactError::LeftOut("attention")),
            #[cfg(feature = "mixture")]
            Mixture::KIND => Ok(Mixture::WORDS),
            #[cfg(not(feature = "mixture"))]
            Mixture::KIND => Err(ArtifactError::LeftOut("mixture")),
            _ => Err(UNKNOWN),
        }
    }

    /// Words of this layer's record.
    pub(super) fn words(&self) -> usize {
        match self {
            Self::Linear(_) => Linear::WORDS,
            Self::Normalise(_) => Normalise::WORDS,
            #[cfg(feature = "images")]
            Self::Convolution(_) => Convolution::WORDS,
            #[cfg(feature = "depthwise")]
            Self::Depthwise(_) => Depthwise::WORDS,
            #[cfg(feature = "images")]
            Self::Rearrange(_) => Rearrange::WORDS,
            #[cfg(feature = "attention")]
            Self::Constants(_) => Constants::WORDS,
            #[cfg(feature = "attention")]
            Self::Attention(_) => Attention::WORDS,
            #[cfg(feature = "mixture")]
            Self::Mixture(_) => Mixture::WORDS,
        }
    }

    /// Multiply-accumulates of one evaluation; sums and normalisations do not count.
    pub fn multiply_accumulates(&self) -> u64 {
        let of_rows = |rows: &Linear<'_>| u64::from(rows.inputs) * u64::from(rows.outputs);
        match self {
            Self::Linear(linear) => of_rows(linear),
            #[cfg(feature = "images")]
            Self::Convolution(convolution) => {
                let (height, width) = convolution.output_size();
                u64::from(height) * u64::from(width) * of_rows(&convolution.rows)
            }
            #[cfg(feature = "depthwise")]
            Self::Depthwise(depthwise) => {
                let (height, width) = depthwise.output_size();
                u64::from(height) * u64::from(width) * of_rows(&depthwise.rows)
            }
            // Scores, and the sum of values that they weigh.
            #[cfg(feature = "attention")]
            Self::Attention(Attention { tokens, heads, depth, .. }) => {
                2 * u64::from(*tokens).pow(2) * u64::from(*heads) * u64::from(*depth)
            }
            // Coordinates, and the sum of directions that they weigh, for one class.
            #[cfg(feature = "mixture")]
            Self::Mixture(mixture) => 2 * u64::from(mixture.features) * mixture.block_rows() as u64,
            Self::Normalise(_) => 0,
            #[cfg(feature = "images")]
            Self::Rearrange(_) => 0,
            #[cfg(feature = "attention")]
            Self::Constants(_) => 0,
        }
    }

    /// The layer whose record is at the front of `records`.
    pub(super) fn read(records: &[u32], tables: Tables<'a>) -> Result<Self, ArtifactError> {
        match records.first().map(|&head| low(head)) {
            Some(Linear::KIND) => Linear::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Linear),
            Some(Normalise::KIND) => Normalise::read(records.first_chunk().ok_or(CUT_SHORT)?).map(Self::Normalise),
            #[cfg(feature = "images")]
            Some(Convolution::KIND) => {
                Convolution::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Convolution)
            }
            #[cfg(feature = "depthwise")]
            Some(Depthwise::KIND) => {
                Depthwise::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Depthwise)
            }
            #[cfg(feature = "images")]
            Some(Rearrange::KIND) => Rearrange::read(records.first_chunk().ok_or(CUT_SHORT)?).map(Self::Rearrange),
            #[cfg(feature = "attention")]
            Some(Constants::KIND) => {
                Constants::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Constants)
            }
            #[cfg(feature = "attention")]
            Some(Attention::KIND) => {
                Attention::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Attention)
            }
            #[cfg(feature = "mixture")]
            Some(Mixture::KIND) => Mixture::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Mixture),
            Some(_) => Err(UNKNOWN),
            None => Err(CUT_SHORT),
        }
    }

    /// The tables that the record points at, in the order of its places.
    pub(super) fn tables(&self) -> [&'a [u32]; MAX_TABLES] {
        match self {
            Self::Linear(linear) => linear.tables(),
            Self::Normalise(_) => [&[]; MAX_TABLES],
            #[cfg(feature = "images")]
            Self::Rearrange(_) => [&[]; MAX_TABLES],
            #[cfg(feature = "images")]
            Self::Convolution(convolution) => convolution.rows.tables(),
            #[cfg(feature = "depthwise")]
            Self::Depthwise(depthwise) => depthwise.rows.tables(),
            #[cfg(feature = "attention")]
            Self::Constants(constants) => constants.tables(),
            #[cfg(feature = "attention")]
            Self::Attention(attention) => attention.tables(),
            #[cfg(feature = "mixture")]
            Self::Mixture(mixture) => mixture.tables(),
        }
    }

    /// Writes the record, of [`words`](Self::words), with the places of the tables.
    pub(super) fn write(&self, places: [u32; MAX_TABLES], record: &mut [u32]) -> Result<(), ArtifactError> {
        match self {
            Self::Linear(linear) => linear.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            Self::Normalise(normalise) => normalise.write(record.first_chunk_mut().ok_or(CUT_SHORT)?),
            #[cfg(feature = "images")]
            Self::Convolution(convolution) => convolution.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            #[cfg(feature = "depthwise")]
            Self::Depthwise(depthwise) => depthwise.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            #[cfg(feature = "images")]
            Self::Rearrange(rearrange) => rearrange.write(record.first_chunk_mut().ok_or(CUT_SHORT)?),
            #[cfg(feature = "attention")]
            Self::Constants(constants) => constants.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            #[cfg(feature = "attention")]
            Self::Attention(attention) => attention.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
            #[cfg(feature = "mixture")]
            Self::Mixture(mixture) => mixture.write(places, record.first_chunk_mut().ok_or(CUT_SHORT)?),
        }
        Ok(())
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        match self {
            Self::Linear(linear) => linear.check(arena),
            Self::Normalise(normalise) => normalise.check(arena),
            #[cfg(feature = "images")]
            Self::Convolution(convolution) => convolution.check(arena),
            #[cfg(feature = "depthwise")]
            Self::Depthwise(depthwise) => depthwise.check(arena),
            #[cfg(feature = "images")]
            Self::Rearrange(rearrange) => rearrange.check(arena),
            #[cfg(feature = "attention")]
            Self::Constants(constants) => constants.check(arena),
            #[cfg(feature = "attention")]
            Self::Attention(attention) => attention.check(arena),
            #[cfg(feature = "mixture")]
            Self::Mixture(mixture) => mixture.check(arena),
        }
    }
}
