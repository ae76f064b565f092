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

const UNKNOWN: ArtifactError = ArtifactError::Inconsistent("a layer's kind");
const CUT_SHORT: ArtifactError = ArtifactError::Inconsistent("the list of layers");

impl<'a> Layer<'a> {
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
        let Some(&head) = records.first() else { return Err(CUT_SHORT) };
        if !cfg!(feature = "images") && Self::is_of_images(low(head)) {
            return Err(ArtifactError::LeftOut("images"));
        }
        match low(head) {
            Linear::KIND => Linear::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Linear),
            Normalise::KIND => Normalise::read(records.first_chunk().ok_or(CUT_SHORT)?).map(Self::Normalise),
            Convolution::KIND => {
                Convolution::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Convolution)
            }
            Depthwise::KIND => Depthwise::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Depthwise),
            Rearrange::KIND => Rearrange::read(records.first_chunk().ok_or(CUT_SHORT)?).map(Self::Rearrange),
            Constants::KIND => Constants::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Constants),
            Attention::KIND => Attention::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Attention),
            Mixture::KIND => Mixture::read(records.first_chunk().ok_or(CUT_SHORT)?, tables).map(Self::Mixture),
            _ => Err(UNKNOWN),
        }
    }

    /// The feature without which an artifact with this layer is not read, if there is one.
    pub fn feature(&self) -> Option<&'static str> {
        match self {
            Self::Linear(_) | Self::Normalise(_) => None,
            Self::Mixture(_) => Some("mixture"),
            Self::Convolution(_)
            | Self::Depthwise(_)
            | Self::Rearrange(_)
            | Self::Constants(_)
            | Self::Attention(_) => Some("images"),
        }
    }

    /// Whether only networks of images have records of this kind: the feature `images` reads and runs them.
    fn is_of_images(kind: u16) -> bool {
        [Convolution::KIND, Depthwise::KIND, Rearrange::KIND, Constants::KIND, Attention::KIND].contains(&kind)
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
            Self::Convolution(convolution) if cfg!(feature = "images") => convolution.check(arena),
            Self::Depthwise(depthwise) if cfg!(feature = "images") => depthwise.check(arena),
            Self::Rearrange(rearrange) if cfg!(feature = "images") => rearrange.check(arena),
            Self::Constants(constants) if cfg!(feature = "images") => constants.check(arena),
            Self::Attention(attention) if cfg!(feature = "images") => attention.check(arena),
            Self::Mixture(mixture) if cfg!(feature = "mixture") => mixture.check(arena),
            _ => Err(UNKNOWN),
        }
    }
}
