//! The font that pictures are lettered with: a part of the program, so that they look the same on every machine.

use std::sync::OnceLock;

use image::RgbImage;
use plotters::prelude::{BitMapBackend, IntoDrawingArea, RGBColor};
use plotters::style::{FontStyle, IntoFont, register_font};

use super::PictureError;

/// Its name.
pub const FAMILY: &str = "Noto Sans";

/// Makes it known to the library that draws; needed before anything is lettered.
///
/// # Errors
/// [`PictureError::Font`] if it cannot be read.
pub fn register() -> Result<(), PictureError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    match REGISTERED.get_or_init(|| register_font(FAMILY, FontStyle::Normal, ttf_noto_sans::REGULAR).is_ok()) {
        true => Ok(()),
        false => Err(PictureError::Font),
    }
}

/// Writes text of `size` pixels into a picture from `at` on, which is a little below the tops of its capitals; what does not fit is cut off.
///
/// # Errors
/// [`PictureError::Font`], [`PictureError::Draw`].
pub fn letter(
    picture: &mut RgbImage,
    text: &str,
    at: (i32, i32),
    size: u32,
    [red, green, blue]: [u8; 3],
) -> Result<(), PictureError> {
    register()?;
    let dimensions = picture.dimensions();
    let area = BitMapBackend::with_buffer(picture, dimensions).into_drawing_area();
    let style = (FAMILY, size).into_font().color(&RGBColor(red, green, blue));
    area.draw_text(text, &style, at)?;
    Ok(area.present()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_where_they_are_put() {
        let mut picture = RgbImage::new(80, 40);
        letter(&mut picture, "H", (40, 5), 20, [255, 200, 100]).unwrap();
        let inked = || picture.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 != [0; 3]);
        // Edges of letters are mixed with what was there.
        assert!(inked().count() > 20 && inked().any(|(_, _, pixel)| pixel.0 == [255, 200, 100]));
        let strays: Vec<_> = inked().filter(|(x, y, _)| !(38..62).contains(x) || !(0..24).contains(y)).collect();
        assert!(strays.is_empty(), "{strays:?}");
    }
}
