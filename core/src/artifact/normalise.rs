//! Layer normalisation: its arithmetic and its record.

use super::record::{Arena, high, overlap, pair};
use super::{ArtifactError, MAX_NORMALISED};

/// `output <- (input - mean) / sqrt(variance + epsilon)`: layer normalisation, whose scale and shift are folded into the next layer.
///
/// Rows of `features` numbers follow one another, and each is normalised by itself; a pixel's channels are such a row. In exact integer
/// arithmetic, for `n` features:
///
/// 1. `d_i = n input_i - sum_j input_j`, an `i32`;
/// 2. `v = sum_i d_i^2 + epsilon`, a `u64` (saturating), and `v >= 1`;
/// 3. `e = leading_zeros(v) & !1`, `root = floor(sqrt(v << e))`, so that `2^31 <= root < 2^32`;
/// 4. `inverse = min(floor(gain / root) * 2^(e/2), 2^31 - 1)`, where the product saturates;
/// 5. `output_i = saturate_i16(((d_i << shift) * inverse + 2^31) >> 32)`.
///
/// With `gain = sqrt(n) 2^(fraction + 32 - shift)` the output has `fraction` fractional bits, up to the precision of the floor in 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalise {
    /// Where the input begins in the arena; even.
    pub input_at: u32,
    /// Number of features, 1 to [`MAX_NORMALISED`].
    pub features: u32,
    /// Number of rows, at least 1; with more than one the number of features is even.
    pub rows: u32,
    /// Where the output begins in the arena; even. It may be the input's own place.
    pub output_at: u32,
    /// Left shift of the deviations `d`, such that `n 65535 2^shift < 2^31`.
    pub shift: u32,
    /// Added to the sum of squared deviations: `n^3` times the epsilon of the variance in the input's units.
    pub epsilon: u64,
    /// See the type's description.
    pub gain: u64,
}

impl Normalise {
    pub(super) const KIND: u16 = 2;
    pub(super) const WORDS: usize = 12;

    pub(super) fn read(record: &[u32; Self::WORDS]) -> Result<Self, ArtifactError> {
        let [head, input_at, features, output_at, others, shift, numbers @ .., 0, 0] = *record else {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        };
        if high(head) != 0 {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        }
        let rows = others.checked_add(1).ok_or(ArtifactError::Inconsistent("a layer's size"))?;
        let wide = |at: usize| u64::from(numbers[at]) | u64::from(numbers[at + 1]) << 32;
        Ok(Self { input_at, features, rows, output_at, shift, epsilon: wide(0), gain: wide(2) })
    }

    pub(super) fn write(&self, record: &mut [u32; Self::WORDS]) {
        let (epsilon, gain) = (self.epsilon, self.gain);
        let numbers = [epsilon as u32, (epsilon >> 32) as u32, gain as u32, (gain >> 32) as u32];
        let [a, b, c, d] = numbers;
        let head = pair(Self::KIND, 0);
        let others = self.rows.wrapping_sub(1);
        *record = [head, self.input_at, self.features, self.output_at, others, self.shift, a, b, c, d, 0, 0];
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        use ArtifactError::Inconsistent;
        let (input, output, features) = (self.input_at, self.output_at, self.features);
        let length = features.checked_mul(self.rows).ok_or(Inconsistent("a layer's size"))?;
        arena.holds(input, length, "a layer's input")?;
        arena.holds(output, length, "a layer's output")?;
        if input != output && overlap(input, length, output, length) {
            return Err(Inconsistent("a layer whose output overlaps its input"));
        }
        let widest = u64::from(features) * 65_535;
        let fits = self.shift < 31 && widest << self.shift < 1 << 31;
        let apart = self.rows > 1 && features % 2 == 1;
        if features as usize > MAX_NORMALISED || !fits || apart || self.epsilon == 0 {
            return Err(Inconsistent("a normalisation"));
        }
        Ok(())
    }
}
