//! Which picture suits which samples.

use std::path::Path;

use image::RgbImage;

use super::{PictureError, cloud, png, sheet, traces};
use crate::atomic_file;

/// A way to draw a batch of samples, chosen by their shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depiction {
    /// Images, or strips of vectors, side by side.
    Sheet,
    /// Samples of shape `[3]` are points: all of them make one picture.
    Cloud,
    /// Samples of shape `[1, window]` are curves.
    Traces,
}

impl Depiction {
    /// The picture for samples of a shape.
    ///
    /// ```
    /// use tweedie_host::picture::Depiction;
    ///
    /// assert_eq!(Depiction::of(&[8, 8]), Depiction::Sheet);
    /// assert_eq!(Depiction::of(&[3]), Depiction::Cloud);
    /// assert_eq!(Depiction::of(&[1, 128]), Depiction::Traces);
    /// ```
    pub fn of(shape: &[usize]) -> Self {
        match shape {
            [3] => Self::Cloud,
            [1, window] if *window > 1 => Self::Traces,
            _ => Self::Sheet,
        }
    }

    /// How many samples of a model with so many classes give a good picture.
    pub fn good_count(self, classes: usize) -> usize {
        match self {
            Self::Cloud => 4096,
            Self::Sheet | Self::Traces => 10 * classes.max(10),
        }
    }

    /// The most samples that are drawn; more would be too large a picture to look at.
    fn most(self) -> usize {
        match self {
            Self::Cloud => 1 << 16,
            Self::Sheet => 400,
            Self::Traces => 100,
        }
    }

    /// Draws the first of `samples`, `[n, shape...]` in the network's range: at most 400 images, 100 curves, 65 536 points; `columns` of them
    /// side by side, if they are apart.
    ///
    /// # Errors
    /// As of [`sheet::draw`], [`cloud::draw`] and [`traces::draw`].
    pub fn draw(self, samples: &[f32], shape: &[usize], columns: usize) -> Result<RgbImage, PictureError> {
        let [count, size @ ..] = shape else { return Err(PictureError::Shape { shape: shape.to_vec() }) };
        let (shown, given) = (self.most().min(*count), samples.len());
        let length = size.iter().try_fold(shown, |product, &length| product.checked_mul(length));
        let samples = length.and_then(|length| samples.get(..length));
        let samples = samples.ok_or_else(|| PictureError::Length { shape: shape.to_vec(), length: given })?;
        let shape = [&[shown], size].concat();
        match self {
            Self::Sheet => sheet::draw(samples, &shape, columns),
            Self::Cloud => cloud::draw(samples),
            Self::Traces => traces::draw(samples, &shape, columns),
        }
    }

    /// Writes what [`draw`](Self::draw) draws as PNG.
    ///
    /// # Errors
    /// Those, and the file system's.
    pub fn write(self, path: &Path, samples: &[f32], shape: &[usize], columns: usize) -> Result<(), PictureError> {
        Ok(atomic_file::write(path, &png(&self.draw(samples, shape, columns)?)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_as_many_are_drawn_as_can_be_looked_at() {
        let many = vec![0.5; 500 * 4];
        let sheet = Depiction::Sheet.draw(&many, &[500, 2, 2], 20).unwrap();
        assert_eq!(sheet.dimensions(), (20 * 50 + 2, 20 * 50 + 2));
        assert_eq!(Depiction::Traces.draw(&many, &[500, 1, 4], 5).unwrap().dimensions(), (1224, 2004));
        assert_eq!(Depiction::Cloud.draw(&[0.0; 6], &[2, 3], 1).unwrap().dimensions(), (720, 360));
        for shape in [&[][..], &[3, 2, 2], &[usize::MAX, 4]] {
            assert!(Depiction::Sheet.draw(&[0.0; 4], shape, 1).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn a_cloud_is_the_same_file_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let points: Vec<f32> = (0..300).map(|i| (i as f32 * 0.7).sin()).collect();
        let files = ["a.png", "b.png"].map(|name| {
            let path = folder.path().join(name);
            Depiction::of(&[3]).write(&path, &points, &[100, 3], 1).unwrap();
            std::fs::read(path).unwrap()
        });
        assert_eq!(files[0], files[1]);
        assert!(image::load_from_memory(&files[0]).unwrap().into_rgb8().pixels().any(|pixel| pixel.0[0] > 128));
    }
}
