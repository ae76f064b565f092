//! Patches: what a convolution's kernel lies on, laid out for the rows of a linear layer.

use super::convolution::LANES;
use super::{halves, halves_mut};
use tweedie_core::artifact::Convolution;

/// Where a patch's numbers come from.
pub(super) struct Geometry<'a> {
    height: usize,
    width: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    channels: usize,
    /// One image, which is not doubled: then the numbers of a patch's row lie side by side.
    plain: bool,
    images: [Image<'a>; 2],
}

#[derive(Clone, Copy)]
struct Image<'a> {
    words: &'a [u32],
    width: usize,
    channels: usize,
    /// 1 for an image that is read at half the coordinates.
    halving: u32,
}

impl<'a> Geometry<'a> {
    /// Of a layer whose images are these.
    pub fn new(layer: &Convolution<'_>, images: [&'a [u32]; 2]) -> Self {
        let [first, second] = layer.sources;
        let image = |source: tweedie_core::artifact::Source, words| Image {
            words,
            width: usize::from(source.size(layer.height, layer.width).1),
            channels: usize::from(source.channels),
            halving: u32::from(source.doubled),
        };
        Self {
            height: usize::from(layer.height),
            width: usize::from(layer.width),
            kernel: usize::from(layer.kernel),
            stride: usize::from(layer.stride),
            padding: usize::from(layer.padding),
            channels: usize::from(first.channels) + usize::from(second.channels),
            plain: second.channels == 0 && !first.doubled,
            images: [image(first, images[0]), image(second, images[1])],
        }
    }

    /// Lays out the patch of output pixel `[y, x]`.
    pub fn gather(&self, y: usize, x: usize, patch: &mut Patch<'_>) {
        // Coordinates above or left of the image wrap to large ones.
        let top = (y * self.stride).wrapping_sub(self.padding);
        let left = (x * self.stride).wrapping_sub(self.padding);
        let inside = left < self.width && left + self.kernel <= self.width;
        let [first, _] = &self.images;
        for i in 0..self.kernel {
            let y = top.wrapping_add(i);
            if y >= self.height {
                patch.zeros(self.kernel * self.channels);
            } else if inside && self.plain {
                patch.copy(first.words, (y * self.width + left) * self.channels, self.kernel * self.channels);
            } else {
                for j in 0..self.kernel {
                    self.pixel(y, left.wrapping_add(j), patch);
                }
            }
        }
    }

    /// Lays out all channels of an input pixel.
    fn pixel(&self, y: usize, x: usize, patch: &mut Patch<'_>) {
        if x >= self.width {
            return patch.zeros(self.channels);
        }
        for image in &self.images {
            if image.channels > 0 {
                let pixel = (y >> image.halving) * image.width + (x >> image.halving);
                patch.copy(image.words, pixel * image.channels, image.channels);
            }
        }
    }
}

/// One of the [`LANES`] patches that lie interleaved: four numbers of the first, four of the second, and so on.
pub(super) struct Patch<'a> {
    words: &'a mut [u32],
    lane: usize,
    /// Numbers that have been laid out.
    filled: usize,
}

impl<'a> Patch<'a> {
    /// An empty patch, number `lane` of those in `words`.
    pub fn new(words: &'a mut [u32], lane: usize) -> Self {
        Self { words, lane, filled: 0 }
    }

    /// Lays out `count` numbers from number `begin` of `source` on.
    fn copy(&mut self, source: &[u32], begin: usize, count: usize) {
        let at = self.advance(count);
        #[cfg(dsp)]
        if (at | count) % 4 == 0 && begin % 2 == 0 {
            let source = source.get(begin / 2..(begin + count) / 2).unwrap_or_default();
            let words = self.words.get_mut(LANES * at / 2 + 2 * self.lane..).unwrap_or_default();
            return super::dsp_convolution::spread(source, words);
        }
        let source = halves(source).get(begin..begin + count).unwrap_or_default();
        let numbers = halves_mut(self.words);
        for (&number, at) in source.iter().zip(at..) {
            if let Some(place) = numbers.get_mut(index(at, self.lane)) {
                *place = number;
            }
        }
    }

    /// Lays out `count` zeros.
    fn zeros(&mut self, count: usize) {
        let at = self.advance(count);
        let numbers = halves_mut(self.words);
        for at in at..at + count {
            if let Some(place) = numbers.get_mut(index(at, self.lane)) {
                *place = 0;
            }
        }
    }

    fn advance(&mut self, count: usize) -> usize {
        let at = self.filled;
        self.filled += count;
        at
    }
}

/// Where a patch's number `at` lies.
fn index(at: usize, lane: usize) -> usize {
    at / 4 * 4 * LANES + 4 * lane + at % 4
}
