//! Gaussian noise with the same bits on every machine.
//!
//! A number is addressed by (seed, stream, draw, element). Sample `i` reads stream `i`, so it does not depend on how
//! many are drawn beside it; draw 0 is its initial noise and draw `k + 1` the noise after step `k`.

use crate::normal::{self, Normal};
use crate::tensor::{NoiseSource, Tensor};
use crate::threefry::block;
use core::convert::Infallible;

/// The noise of one sample.
///
/// ```
/// use tweedie_core::noise::NoiseStream;
/// let (mut long, mut short) = ([0.0_f32; 64], [0.0_f32; 5]);
/// NoiseStream::new(42, 3).fill(0, &mut long);
/// NoiseStream::new(42, 3).fill(0, &mut short);
/// assert_eq!(long[..5], short);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseStream {
    key: [u32; 4],
}

impl NoiseStream {
    /// The stream of that number under a seed.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32, stream as u32, (stream >> 32) as u32] }
    }

    /// 128 random bits; `block` counts within a draw. The fourth counter word keeps them apart from normal numbers.
    #[must_use]
    pub fn bits(&self, draw: u32, index: u64) -> [u32; 4] {
        block(self.key, [index as u32, (index >> 32) as u32, draw, 1])
    }

    /// Four standard normal numbers, elements `4 index ..` of a draw.
    #[must_use]
    pub fn normals(&self, draw: u32, index: u64) -> [Normal; 4] {
        block(self.key, [index as u32, (index >> 32) as u32, draw, 0]).map(normal::from_bits)
    }

    /// Fills a slice with the elements of a draw, from the first.
    pub fn fill<N: From<Normal>>(&self, draw: u32, out: &mut [N]) {
        for (index, chunk) in out.chunks_mut(4).enumerate() {
            for (element, normal) in chunk.iter_mut().zip(self.normals(draw, index as u64)) {
                *element = normal.into();
            }
        }
    }
}

/// Any slice tensor whose elements can be made from [`Normal`].
impl<N: From<Normal>> NoiseSource<[N]> for NoiseStream
where
    [N]: Tensor,
{
    type Error = Infallible;

    fn fill_normal(&mut self, draw: u32, out: &mut [N]) -> Result<(), Infallible> {
        self.fill(draw, out);
        Ok(())
    }
}

/// For plans that add no noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoNoise;

impl<T: Tensor + ?Sized> NoiseSource<T> for NoNoise {
    type Error = NoNoiseError;

    fn fill_normal(&mut self, _: u32, _: &mut T) -> Result<(), NoNoiseError> {
        Err(NoNoiseError)
    }
}

/// Noise was asked of [`NoNoise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNoiseError;

impl core::error::Error for NoNoiseError {}

impl core::fmt::Display for NoNoiseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("this plan adds noise, and no source of noise was given")
    }
}
