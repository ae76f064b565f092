//! Pictures for people: sheets of samples, samples in a terminal, curves of losses.
//!
//! | module | draws | into |
//! |---|---|---|
//! | [`Depiction`] | a batch of samples, in the way that suits their shape | a PNG |
//! | [`sheet`] | images, and vectors as strips | a PNG |
//! | [`cloud`] | points in space, from two sides | a PNG |
//! | [`traces`] | windows of a series, as curves | a PNG |
//! | [`panel`] | as many samples as fit | a picture of a given size |
//! | [`animation`] | pictures one after the other | an animated PNG |
//! | [`terminal`] | a picture, or a few samples side by side | text |
//! | [`line_plot`] | curves and points over two axes | a PNG, and CSV |
//! | [`font`] | text | a picture |
//! | [`loss_plot`] | the loss of a training run | a PNG |
//!
//! Pixels are in `[-1, 1]` (-1 black, 1 white), as networks see them; what is outside is clamped, and what is not a
//! number is drawn in magenta, which no grey sample has.

use std::io;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::drawing::DrawingAreaErrorKind;

pub mod animation;
pub mod axis;
pub mod cloud;
mod depiction;
pub mod font;
pub mod line_plot;
pub mod loss_plot;
pub mod panel;
pub mod sheet;
pub mod terminal;
pub mod traces;

pub use depiction::Depiction;

/// Why a picture could not be drawn or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The shape is none that can be drawn.
    #[error(
        "samples of shape {shape:?} can't be drawn: give [n, d], [n, h, w], [n, 1, h, w] or [n, 3, h, w], none of them 0"
    )]
    Shape {
        /// The shape that was given.
        shape: Vec<usize>,
    },
    /// There are not as many numbers as the shape says.
    #[error("samples of shape {shape:?} can't have {length} elements")]
    Length {
        /// The shape that was given.
        shape: Vec<usize>,
        /// How many numbers were given.
        length: usize,
    },
    /// The picture would have more pixels than a PNG or the memory holds.
    #[error("a sheet of {columns} columns for samples of shape {shape:?} is too large a picture; draw fewer samples")]
    TooLarge {
        /// The shape that was given.
        shape: Vec<usize>,
        /// How many samples stand side by side.
        columns: usize,
    },
    /// The plot could not be drawn.
    #[error("the plot could not be drawn")]
    Draw(#[from] DrawingAreaErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>),
    /// The font that is part of the program could not be read.
    #[error("the built-in font could not be read")]
    Font,
    /// The picture could not be encoded.
    #[error("the picture could not be encoded as PNG")]
    Encode(#[from] image::ImageError),
    /// The animation could not be encoded.
    #[error("the animation could not be encoded as PNG")]
    Animate(#[from] png::EncodingError),
    /// An animation without a picture, or of pictures of several sizes.
    #[error("an animation needs pictures, all of one size")]
    Frames,
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// What is drawn for a pixel that is not a number.
const NOT_A_NUMBER: [u8; 3] = [255, 0, 255];

/// The brightness in `0..=255` of a pixel in `[-1, 1]`; `None` for one that is not a number.
fn brightness(pixel: f32) -> Option<u8> {
    // `as` is exact here: the clamp keeps the product in 0..=255.
    (!pixel.is_nan()).then(|| ((pixel.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8)
}

/// The bytes of a PNG file.
pub(crate) fn png(picture: &RgbImage) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    let (width, height) = picture.dimensions();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive).write_image(
        picture.as_raw(),
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brightness_goes_from_black_to_white() {
        assert_eq!(brightness(-1.0), Some(0));
        assert_eq!(brightness(1.0), Some(255));
        assert_eq!(brightness(0.0), Some(128));
        assert_eq!(brightness(f32::NEG_INFINITY), Some(0));
        assert_eq!(brightness(1e9), Some(255));
        assert_eq!(brightness(f32::NAN), None);
    }

    #[test]
    fn a_png_decodes_to_the_same_pixels() {
        let picture = RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 77]));
        assert_eq!(image::load_from_memory(&png(&picture).unwrap()).unwrap().into_rgb8(), picture);
    }
}
