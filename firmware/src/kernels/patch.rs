//! Patches: what a convolution's kernel lies on, laid out for the rows of a linear layer.

use super::convolution::LANES;
use super::{halves, halves_mut};
use tweedie_core::artifact::{Convolution, Source};

#[cfg(dsp)]
use super::dsp_convolution::{Lanes, Runs};

/// Where patches come from, and which output pixel is next.
pub(super) struct Patches<'a> {
    height: usize,
    width: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    channels: usize,
    /// Columns of the output.
    columns: usize,
    images: [Image<'a>; 2],
    #[cfg(dsp)]
    runs: Runs,
    /// The next pixel's row and column.
    next: [usize; 2],
}

#[derive(Clone, Copy)]
struct Image<'a> {
    words: &'a [u32],
    width: usize,
    channels: usize,
    /// 1 for an image that is read at half the coordinates.
    halving: u32,
}

impl<'a> Patches<'a> {
    /// Of a layer whose images are these, and whose output has so many columns.
    pub fn new(layer: &Convolution<'_>, images: [&'a [u32]; 2], columns: usize) -> Self {
        let [first, second] = layer.sources;
        let image = |source: Source, words| Image {
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
            columns,
            images: [image(first, images[0]), image(second, images[1])],
            #[cfg(dsp)]
            runs: Runs::new(layer),
            next: [0; 2],
        }
    }

    /// Whether the numbers of a patch's row lie side by side: one image, which is not doubled.
    fn plain(&self) -> bool {
        let [first, second] = &self.images;
        second.channels == 0 && first.halving == 0
    }

    /// Lays out the next `lanes` patches, at most [`LANES`], interleaved.
    pub fn lay_out(&mut self, lanes: usize, words: &mut [u32]) {
        let [mut y, mut x] = self.next;
        #[cfg(dsp)]
        if lanes == LANES && self.runs.lay_out(y, x, self.images[0].words, words) {
            self.next = if x + LANES == self.columns { [y + 1, 0] } else { [y, x + LANES] };
            return;
        }
        for lane in 0..lanes {
            self.lay_out_one(y, x, words, lane);
            (y, x) = if x + 1 == self.columns { (y + 1, 0) } else { (y, x + 1) };
        }
        self.next = [y, x];
    }

    /// Lays out the patch of output pixel `[y, x]`. Padding is less than the kernel, so some of every patch lies on the image.
    fn lay_out_one(&self, y: usize, x: usize, words: &mut [u32], lane: usize) {
        let (y, x) = (y * self.stride, x * self.stride);
        // What lies on the image: rows and columns of the kernel, and where they begin in the image.
        let (top, left) = (self.padding.saturating_sub(y), self.padding.saturating_sub(x));
        let (y, x) = ((y + top).wrapping_sub(self.padding), (x + left).wrapping_sub(self.padding));
        let rows = (self.kernel - top).min(self.height.saturating_sub(y));
        let columns = (self.kernel - left).min(self.width.saturating_sub(x));
        if rows < self.kernel || columns < self.kernel {
            clear(words, lane);
        }
        let place = (top * self.kernel + left) * self.channels;
        if self.plain() {
            let rectangle = Rectangle {
                begin: (y * self.width + x) * self.channels,
                run: columns * self.channels,
                rows,
                gap: self.width * self.channels,
                place,
                place_gap: self.kernel * self.channels,
            };
            return rectangle.copy(self.images[0].words, words, lane);
        }
        for i in 0..rows {
            let mut place = place + i * self.kernel * self.channels;
            for image in &self.images {
                let (row, run) = (((y + i) >> image.halving) * image.width, image.channels);
                let mut pixels = |x: usize, place: usize, rows: usize| {
                    let begin = (row + (x >> image.halving)) * run;
                    let rectangle = Rectangle { begin, run, rows, gap: run, place, place_gap: self.channels };
                    rectangle.copy(image.words, words, lane);
                };
                match image.halving {
                    0 => pixels(x, place, columns),
                    _ => (0..columns).for_each(|j| pixels(x + j, place + j * self.channels, 1)),
                }
                place += run;
            }
        }
    }
}

/// Zeros for a whole patch.
fn clear(words: &mut [u32], lane: usize) {
    for block in words.chunks_exact_mut(2).skip(lane).step_by(LANES) {
        block.fill(0);
    }
}

/// Runs of numbers in an image, and where they go in a patch.
struct Rectangle {
    /// The first run's first number.
    begin: usize,
    /// Numbers in a run.
    run: usize,
    rows: usize,
    /// From one run to the next, in the image.
    gap: usize,
    /// The first run's place in the patch.
    place: usize,
    /// From one run to the next, in the patch.
    place_gap: usize,
}

impl Rectangle {
    fn copy(&self, image: &[u32], words: &mut [u32], lane: usize) {
        #[cfg(dsp)]
        if (self.begin | self.run | self.gap | self.place | self.place_gap).is_multiple_of(2) {
            let (run, gap, pitch) = (self.run / 2, self.gap.saturating_sub(self.run) / 2, self.place_gap / 2);
            let lanes = Lanes { run, count: 1, gap, pitch, step: 0 };
            let image = image.get(self.begin / 2..).unwrap_or_default();
            let words = words.get_mut(2 * lane..).unwrap_or_default();
            return lanes.spread(image, words, self.place / 2, self.rows);
        }
        let (image, patch) = (halves(image), halves_mut(words));
        for row in 0..self.rows {
            let run = image.get(self.begin + row * self.gap..).unwrap_or_default();
            for (&number, at) in run.iter().take(self.run).zip(self.place + row * self.place_gap..) {
                if let Some(place) = patch.get_mut(at / 4 * 4 * LANES + 4 * lane + at % 4) {
                    *place = number;
                }
            }
        }
    }
}
