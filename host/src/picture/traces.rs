//! Windows of a series as curves, each in a panel of its own.

use image::{Rgb, RgbImage};

use super::{NOT_A_NUMBER, PictureError};

/// A panel's size in pixels, and what lies between panels.
const WIDTH: usize = 240;
const HEIGHT: usize = 96;
const GUTTER: usize = 4;
/// Panels side by side, at most.
const MOST_COLUMNS: usize = 5;
const BACKGROUND: [u8; 3] = [70, 76, 92];
const PANEL: [u8; 3] = [250, 250, 248];
const ZERO: [u8; 3] = [210, 212, 216];
const CURVE: [f32; 3] = [33.0, 102.0, 172.0];

/// Draws `samples` of shape `[n, 1, window]` in the network's range, -1 at the lower edge of a panel and 1 at the upper; with at most `columns`
/// panels side by side, and no more than 5. A panel with a value that is no number is magenta.
///
/// # Errors
/// [`PictureError::Shape`], [`PictureError::Length`].
///
/// ```
/// let curves = tweedie_host::picture::traces::draw(&[0.0, 0.5, -0.5, 1.0], &[2, 1, 2], 2)?;
/// assert_eq!(curves.dimensions(), (2 * 244 + 4, 100 + 4));
/// # Ok::<(), tweedie_host::picture::PictureError>(())
/// ```
pub fn draw(samples: &[f32], shape: &[usize], columns: usize) -> Result<RgbImage, PictureError> {
    let [count, 1, window] = *shape else { return Err(PictureError::Shape { shape: shape.to_vec() }) };
    if count == 0 || window == 0 {
        return Err(PictureError::Shape { shape: shape.to_vec() });
    }
    if count.checked_mul(window) != Some(samples.len()) {
        return Err(PictureError::Length { shape: shape.to_vec(), length: samples.len() });
    }
    let columns = columns.clamp(1, MOST_COLUMNS.min(count));
    let size = |panels: usize, length: usize| (panels * (length + GUTTER) + GUTTER) as u32;
    let (width, height) = (size(columns, WIDTH), size(count.div_ceil(columns), HEIGHT));
    let mut picture = RgbImage::from_pixel(width, height, Rgb(BACKGROUND));
    for (index, values) in samples.chunks_exact(window).enumerate() {
        let (left, top) = (size(index % columns, WIDTH), size(index / columns, HEIGHT));
        let is_number = !values.iter().any(|value| value.is_nan());
        for (pixel, brightness) in curve(values, WIDTH, HEIGHT).into_iter().enumerate() {
            let (x, y) = (pixel % WIDTH, pixel / WIDTH);
            let paper = if y == HEIGHT / 2 { ZERO } else { PANEL };
            let ink = 0.5 + 0.5 * brightness;
            let mixed = [0, 1, 2].map(|i| (f32::from(paper[i]) * (1.0 - ink) + CURVE[i] * ink).round() as u8);
            picture.put_pixel(left + x as u32, top + y as u32, Rgb(if is_number { mixed } else { NOT_A_NUMBER }));
        }
    }
    Ok(picture)
}

/// A curve as a grey image `[height, width]`, -1 where it is not and 1 where it is. Between two values it is a straight line; each column is
/// painted from the lowest to the highest point that the curve has there.
pub fn curve(values: &[f32], width: usize, height: usize) -> Vec<f32> {
    let mut image = vec![-1.0; width * height];
    if image.is_empty() || values.is_empty() {
        return image;
    }
    let last = values.len().saturating_sub(1);
    let at = |place: f32| {
        let index = (place as usize).min(last);
        let next = values[(index + 1).min(last)];
        values[index] + (place - index as f32) * (next - values[index])
    };
    let row = |value: f32| ((1.0 - value.clamp(-1.0, 1.0)) * 0.5 * (height - 1) as f32).round() as usize;
    // Both ends of a column, and every value in it.
    let pieces = values.len() / width + 2;
    for column in 0..width {
        let places =
            (0..=pieces).map(|piece| (column as f32 + piece as f32 / pieces as f32) / width as f32 * last as f32);
        let rows: Vec<usize> = places.map(|place| row(at(place))).collect();
        let (top, bottom) = (rows.iter().min().copied().unwrap_or(0), rows.iter().max().copied().unwrap_or(0));
        (top..=bottom).for_each(|row| image[row * width + column] = 1.0);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rising_line_goes_from_corner_to_corner() {
        let image = curve(&[-1.0, 1.0], 9, 9);
        for x in 0..9 {
            assert_eq!(image[(8 - x) * 9 + x], 1.0, "column {x}");
        }
        assert_eq!((image[0], image[80]), (-1.0, -1.0));
        // Of one value, a level line; of more values than columns, every peak.
        assert_eq!(curve(&[0.0], 3, 3), [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0]);
        // Where there is no room, or nothing to draw, nothing is drawn.
        assert_eq!((curve(&[0.0], 0, 3), curve(&[0.0], 3, 0), curve(&[], 1, 1)), (vec![], vec![], vec![-1.0]));
        let mut peak = [0.0; 100];
        peak[37] = 1.0;
        assert!(curve(&peak, 7, 5)[..7].contains(&1.0));
    }

    #[test]
    fn panels_stand_beside_each_other() {
        let picture = draw(&[1.0, 1.0, f32::NAN, 0.0, -1.0, -1.0], &[3, 1, 2], 2).unwrap();
        assert_eq!(picture.dimensions(), (492, 204));
        assert_eq!(picture.get_pixel(4, 4).0, [33, 102, 172]);
        assert_eq!(picture.get_pixel(4, 52).0, ZERO);
        assert_eq!(picture.get_pixel(248, 4).0, NOT_A_NUMBER);
        assert_eq!(picture.get_pixel(4, 104 + 95).0, [33, 102, 172]);
        assert_eq!(picture.get_pixel(300, 150).0, BACKGROUND);
        for (shape, length) in [(&[1, 2, 2][..], 4), (&[0, 1, 2], 0), (&[2, 2], 4), (&[2, 1, 2], 3)] {
            assert!(draw(&vec![0.0; length], shape, 1).is_err(), "{shape:?}");
        }
    }
}
