//! Contact sheets: all samples of a batch in one PNG, in rows from left to right.

use std::path::Path;

use image::{Rgb, RgbImage};

use super::{NOT_A_NUMBER, PictureError, brightness, png};
use crate::atomic_file;

/// Pixels between samples and around the sheet.
const GUTTER: usize = 2;
/// The colour of the gutters: neither of the colours that most samples have at their edges.
const BACKGROUND: Rgb<u8> = Rgb([70, 76, 92]);
/// Small images are enlarged by whole numbers until their longer side has at least this many pixels.
const READABLE: usize = 48;
/// A sheet with more pixels than this is refused.
const MOST_PIXELS: usize = 1 << 28;

/// Writes a sheet of `samples` as PNG to `path`, with `columns` samples side by side (at least 1 and at most as many as
/// there are).
///
/// Shapes, row-major:
/// - `[n, height, width]` or `[n, 1, height, width]`: grey, -1 black, 1 white;
/// - `[n, 3, height, width]`: red, green and blue;
/// - `[n, d]`: vectors, each a strip of `d` cells from blue (-1) over white (0) to red (1).
///
/// Values outside `[-1, 1]` are clamped, those that are not a number are magenta. Images whose longer side is shorter
/// than 48 pixels are enlarged by a whole number, nearest neighbour (8x8 by 6).
///
/// # Errors
/// [`PictureError::Shape`] for any other shape or one with a 0 in it, [`PictureError::Length`] if `samples` is of
/// another length, [`PictureError::TooLarge`] beyond 2^28 pixels, and what the encoder or the file system says.
///
/// # Example
/// ```
/// # let path = std::env::temp_dir().join(format!("tweedie-doc-sheet-{}.png", std::process::id()));
/// let samples = vec![0.0; 10 * 8 * 8];
/// tweedie_host::picture::sheet::write(&path, &samples, &[10, 8, 8], 5)?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(path: &Path, samples: &[f32], shape: &[usize], columns: usize) -> Result<(), PictureError> {
    Ok(atomic_file::write(path, &png(&draw(samples, shape, columns)?)?)?)
}

/// Draws the sheet that [`write()`] writes: there are 2 pixels between samples and around all of them.
///
/// # Errors
/// As [`write()`], less those of encoder and file system.
pub fn draw(samples: &[f32], shape: &[usize], columns: usize) -> Result<RgbImage, PictureError> {
    let layout = Layout::of(shape)?;
    let columns = columns.clamp(1, layout.count);
    let too_large = || PictureError::TooLarge { shape: shape.to_vec(), columns };
    let elements = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    if elements != Some(samples.len()) {
        return Err(PictureError::Length { shape: shape.to_vec(), length: samples.len() });
    }
    let (pitch_x, pitch_y) = (layout.width * layout.scale.0 + GUTTER, layout.height * layout.scale.1 + GUTTER);
    let (width, height) = columns
        .checked_mul(pitch_x)
        .zip(layout.count.div_ceil(columns).checked_mul(pitch_y))
        .map(|(width, height)| (width + GUTTER, height + GUTTER))
        .filter(|&(width, height)| width.checked_mul(height).is_some_and(|pixels| pixels <= MOST_PIXELS))
        .ok_or_else(too_large)?;

    // Both fit: their product is at most `MOST_PIXELS`.
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, BACKGROUND);
    for (index, sample) in samples.chunks_exact(samples.len() / layout.count).enumerate() {
        let (left, top) = (GUTTER + index % columns * pitch_x, GUTTER + index / columns * pitch_y);
        for y in 0..layout.height * layout.scale.1 {
            for x in 0..layout.width * layout.scale.0 {
                let colour = layout.colour(sample, y / layout.scale.1, x / layout.scale.0);
                sheet.put_pixel((left + x) as u32, (top + y) as u32, Rgb(colour));
            }
        }
    }
    Ok(sheet)
}

/// What the numbers of a sample mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grey,
    Colour,
    Strip,
}

/// How many samples of which size there are and by how much they are enlarged (across, down).
pub(super) struct Layout {
    kind: Kind,
    pub(super) count: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    scale: (usize, usize),
}

impl Layout {
    /// For a batch of samples of a shape.
    pub(super) fn of(shape: &[usize]) -> Result<Self, PictureError> {
        let (kind, count, height, width) = match *shape {
            [n, d] => (Kind::Strip, n, 1, d),
            [n, h, w] | [n, 1, h, w] => (Kind::Grey, n, h, w),
            [n, 3, h, w] => (Kind::Colour, n, h, w),
            _ => return Err(PictureError::Shape { shape: shape.to_vec() }),
        };
        if shape.contains(&0) {
            return Err(PictureError::Shape { shape: shape.to_vec() });
        }
        let scale = match kind {
            // Cells wide enough to see, strips tall enough to tell apart.
            Kind::Strip => ((192 / width).clamp(4, 24), (192 / width).clamp(12, 24)),
            Kind::Grey | Kind::Colour => {
                let scale = READABLE.div_ceil(height.max(width));
                (scale, scale)
            }
        };
        Ok(Self { kind, count, height, width, scale })
    }

    /// The colour of the pixel of `sample` (`[channel, height, width]`) in row `y` and column `x`.
    pub(super) fn colour(&self, sample: &[f32], y: usize, x: usize) -> [u8; 3] {
        let plane = self.height * self.width;
        let pixel = y * self.width + x;
        match self.kind {
            Kind::Grey => brightness(sample[pixel]).map_or(NOT_A_NUMBER, |level| [level; 3]),
            Kind::Strip => heat(sample[pixel]),
            Kind::Colour => {
                let [red, green, blue] = [0, 1, 2].map(|channel| brightness(sample[channel * plane + pixel]));
                match (red, green, blue) {
                    (Some(red), Some(green), Some(blue)) => [red, green, blue],
                    _ => NOT_A_NUMBER,
                }
            }
        }
    }
}

/// Blue for -1, white for 0, red for 1, straight lines between them.
fn heat(value: f32) -> [u8; 3] {
    const BLUE: [f32; 3] = [33.0, 102.0, 172.0];
    const RED: [f32; 3] = [178.0, 24.0, 43.0];
    if value.is_nan() {
        return NOT_A_NUMBER;
    }
    let value = value.clamp(-1.0, 1.0);
    let end = if value < 0.0 { BLUE } else { RED };
    end.map(|channel| (255.0 + (channel - 255.0) * value.abs()).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_images_are_enlarged_and_stand_between_gutters() {
        // Image k is all at level k, but for its last pixel, which is black.
        let levels = [-0.5, 0.0, 1.0];
        let mut samples: Vec<f32> = levels.iter().flat_map(|&level| [level; 64]).collect();
        for last in [63, 127, 191] {
            samples[last] = -1.0;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        write(&path, &samples, &[3, 8, 8], 2).unwrap();
        let sheet = image::open(&path).unwrap().into_rgb8();
        assert_eq!(sheet.dimensions(), (2 * 50 + 2, 2 * 50 + 2));
        for (index, level) in [64, 128, 255].into_iter().enumerate() {
            let (left, top) = (2 + index as u32 % 2 * 50, 2 + index as u32 / 2 * 50);
            assert_eq!(sheet.get_pixel(left, top).0, [level; 3]);
            assert_eq!(sheet.get_pixel(left + 41, top + 47).0, [level; 3]);
            assert_eq!(sheet.get_pixel(left + 42, top + 42).0, [0; 3]);
            assert_eq!(sheet.get_pixel(left + 47, top + 47).0, [0; 3]);
            for gutter in [(left - 1, top), (left - 2, top), (left, top - 1), (left + 48, top), (left, top + 49)] {
                assert_eq!(*sheet.get_pixel(gutter.0, gutter.1), BACKGROUND);
            }
        }
        // The place of a fourth sample is empty.
        assert_eq!(*sheet.get_pixel(75, 75), BACKGROUND);
    }

    #[test]
    fn colour_images_have_their_channels_first() {
        let samples: Vec<f32> = [[1.0; 4], [0.0; 4], [-1.0; 4]].concat();
        let sheet = draw(&samples, &[1, 3, 2, 2], 4).unwrap();
        assert_eq!(sheet.dimensions(), (52, 52));
        assert_eq!(sheet.get_pixel(2, 2).0, [255, 128, 0]);
        assert_eq!(sheet.get_pixel(49, 49).0, [255, 128, 0]);
        let grey = draw(&samples, &[3, 1, 2, 2], 3).unwrap();
        assert_eq!(grey, draw(&samples, &[3, 2, 2], 3).unwrap());
        assert_eq!(grey.get_pixel(2, 2).0, [255; 3]);
    }

    #[test]
    fn large_images_keep_their_size() {
        let sheet = draw(&[0.0; 64 * 50], &[1, 64, 50], 1).unwrap();
        assert_eq!(sheet.dimensions(), (54, 68));
    }

    #[test]
    fn vectors_are_strips_from_blue_to_red() {
        let sheet = draw(&[-1.0, 0.0, 1.0, f32::NAN], &[2, 2], 1).unwrap();
        assert_eq!(sheet.dimensions(), (2 * 24 + 4, 2 * 26 + 2));
        assert_eq!(sheet.get_pixel(2, 2).0, [33, 102, 172]);
        assert_eq!(sheet.get_pixel(26, 2).0, [255, 255, 255]);
        assert_eq!(sheet.get_pixel(2, 28).0, [178, 24, 43]);
        assert_eq!(sheet.get_pixel(26, 28).0, NOT_A_NUMBER);
    }

    #[test]
    fn not_a_number_is_magenta() {
        assert_eq!(draw(&[f32::NAN], &[1, 1, 1], 1).unwrap().get_pixel(2, 2).0, NOT_A_NUMBER);
        assert_eq!(draw(&[0.0, f32::NAN, 0.0], &[1, 3, 1, 1], 1).unwrap().get_pixel(2, 2).0, NOT_A_NUMBER);
    }

    #[test]
    fn other_shapes_are_refused() {
        for shape in [&[][..], &[1], &[1, 2, 1, 1], &[0, 1], &[1, 0, 4], &[1, 1, 1, 1, 1]] {
            assert!(matches!(draw(&[0.0], shape, 1), Err(PictureError::Shape { .. })), "{shape:?}");
        }
        assert!(matches!(draw(&[0.0], &[1, 2, 2], 1), Err(PictureError::Length { length: 1, .. })));
        assert!(matches!(draw(&[0.0], &[usize::MAX, 2, 2], 1), Err(PictureError::Length { .. })));
        let many = vec![0.0; 200_000];
        assert!(matches!(draw(&many, &[200_000, 1, 1], 1), Err(PictureError::TooLarge { .. })));
    }

    #[test]
    fn columns_are_at_least_one_and_at_most_all() {
        assert_eq!(draw(&[0.0; 2], &[2, 1, 1], 0).unwrap().dimensions(), (52, 102));
        assert_eq!(draw(&[0.0; 2], &[2, 1, 1], 9).unwrap().dimensions(), (102, 52));
    }
}
