//! Patches of images: what a convolution's filter sees of each pixel, one after the other, so that the convolution is a matrix product.

use std::ops::Range;

/// A convolution's sizes. Images are channels-last, `[batch, height, width, inputs]`; zeros stand beyond their edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Channels of a pixel.
    pub inputs: usize,
    /// Rows and columns of a filter: odd.
    pub size: usize,
    /// Pixels from one place of the filter to the next.
    pub stride: usize,
}

impl Geometry {
    /// Rows of a result.
    pub fn out_height(&self) -> usize {
        self.height.div_ceil(self.stride)
    }

    /// Pixels of a result's row.
    pub fn out_width(&self) -> usize {
        self.width.div_ceil(self.stride)
    }

    /// Rows of all results together.
    pub fn out_rows(&self) -> usize {
        self.batch * self.out_height()
    }

    /// Numbers in a patch.
    pub fn patch(&self) -> usize {
        self.size * self.size * self.inputs
    }

    /// Whether patches are the pixels themselves.
    pub fn is_pointwise(&self) -> bool {
        self.size == 1 && self.stride == 1
    }

    /// Calls `f` for every strip of a patch that lies within its image, which is a run of numbers in both: the strip's place in the patches of
    /// the result's rows `rows`, its place in the images, and its length. Strips come in the order of the patches.
    #[inline(always)]
    fn strips(&self, rows: Range<usize>, mut f: impl FnMut(usize, usize, usize)) {
        let (out_width, patch, reach) = (self.out_width(), self.patch(), self.size / 2);
        for (index, row) in rows.enumerate() {
            let (image, y) = (row / self.out_height(), row % self.out_height() * self.stride);
            for x in 0..out_width {
                let place = (index * out_width + x) * patch;
                let x = x * self.stride;
                // The filter's columns that stand on pixels.
                let (first, last) = (reach.saturating_sub(x), self.size.min(self.width + reach - x));
                for filter_row in 0..self.size {
                    let Some(y) = (y + filter_row).checked_sub(reach).filter(|&y| y < self.height) else { continue };
                    let pixel = (image * self.height + y) * self.width + x + first - reach;
                    let column = (filter_row * self.size + first) * self.inputs;
                    f(place + column, pixel * self.inputs, (last - first) * self.inputs);
                }
            }
        }
    }

    /// The patches of the result's rows `rows`: `[rows * out_width, patch]`.
    pub fn gather(&self, images: &[f32], rows: Range<usize>, patches: &mut [f32]) {
        pulp::Arch::default().dispatch(|| {
            // What lies beyond the edges.
            patches.fill(0.0);
            self.strips(rows, |place, pixel, length| {
                patches[place..][..length].copy_from_slice(&images[pixel..][..length]);
            });
        });
    }

    /// Adds patches to the images where [`gather`](Self::gather) takes them from, which is its transposed map.
    pub fn scatter(&self, patches: &[f32], rows: Range<usize>, images: &mut [f32]) {
        pulp::Arch::default().dispatch(|| {
            self.strips(rows, |place, pixel, length| {
                for (sum, value) in images[pixel..][..length].iter_mut().zip(&patches[place..][..length]) {
                    *sum += value;
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_of_three_pixels_by_three() {
        let geometry = Geometry { batch: 1, height: 3, width: 3, inputs: 1, size: 3, stride: 1 };
        let image: Vec<f32> = (1..=9).map(|v| v as f32).collect();
        let mut patches = [f32::NAN; 9 * 3];
        geometry.gather(&image, 0..1, &mut patches);
        assert_eq!(patches[..9], [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 4.0, 5.0]);
        assert_eq!(patches[9..18], [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let strided = Geometry { stride: 2, ..geometry };
        assert_eq!((strided.out_height(), strided.out_width()), (2, 2));
        let mut patches = [f32::NAN; 18];
        strided.gather(&image, 1..2, &mut patches);
        assert_eq!(patches[9..], [5.0, 6.0, 0.0, 8.0, 9.0, 0.0, 0.0, 0.0, 0.0]);
    }

    /// `<gather(a), b> = <a, scatter(b)>`, in whole numbers, for which sums are exact.
    #[test]
    fn scattering_is_gathering_transposed() {
        for (height, width, size, stride) in [(5, 4, 3, 1), (5, 4, 3, 2), (4, 7, 3, 2), (3, 3, 1, 2), (1, 1, 3, 1)] {
            let geometry = Geometry { batch: 2, height, width, inputs: 3, size, stride };
            let whole = |n: usize, factor: usize| (0..n).map(|i| (i * factor % 17) as f32 - 8.0).collect::<Vec<f32>>();
            let images = whole(2 * height * width * 3, 5);
            let values = whole(geometry.out_rows() * geometry.out_width() * geometry.patch(), 7);
            let mut patches = vec![0.0; values.len()];
            geometry.gather(&images, 0..geometry.out_rows(), &mut patches);
            let mut sums = vec![0.0; images.len()];
            geometry.scatter(&values, 0..geometry.out_rows(), &mut sums);
            let inner = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            assert_eq!(inner(&patches, &values), inner(&images, &sums), "{geometry:?}");
        }
    }
}
