//! Pictures of samples, inside the page.

use crate::error::Error;
use crate::judge::evaluation::Shown;
use crate::picture::{PictureError, png, sheet};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

/// The most classes that stand side by side, one a column.
const MOST_COLUMNS: usize = 20;
/// Samples side by side where columns are no classes.
const COLUMNS: usize = 12;

/// A sheet of samples that were asked for in turn: one column for each class, under its number.
///
/// # Errors
/// As of [`picture`].
pub fn by_class(title: &str, shown: &[Shown], shape: &[usize], classes: usize, caption: &str) -> Result<Markup, Error> {
    let heads = if (2..=MOST_COLUMNS).contains(&classes) { classes } else { 0 };
    let ordered = in_columns(shown, heads);
    let columns = if heads > 0 { heads } else { COLUMNS };
    let alt = format!(
        "{title}: a sheet of {} samples{}",
        ordered.len(),
        if heads > 0 { ", one column for each class" } else { "" }
    );
    let Some(image) = picture(&ordered, shape, columns, &alt)? else { return Ok(html! {}) };
    Ok(html! {
        figure.sheet {
            h3 { (title) }
            @if heads > 0 { div.heads aria-hidden="true" { @for class in 0..heads { span { (class) } } } }
            (image)
            @if !caption.is_empty() { figcaption { (caption) } }
        }
    })
}

/// The samples row by row, each class in its own column, as many rows as every one of `classes` fills; all as they come for 0.
fn in_columns(shown: &[Shown], classes: usize) -> Vec<&[f32]> {
    let of_class =
        |class: usize| shown.iter().filter(move |one| one.class == Some(class as u32)).map(|one| one.values.as_slice());
    let rows = (0..classes).map(|class| of_class(class).count()).min().unwrap_or(0);
    if rows == 0 {
        return shown.iter().map(|one| one.values.as_slice()).collect();
    }
    (0..rows).flat_map(|row| (0..classes).filter_map(move |class| of_class(class).nth(row))).collect()
}

/// Samples side by side as an image; nothing for a shape that can't be drawn.
///
/// # Errors
/// [`Error::Picture`] when the encoder fails.
pub fn picture(samples: &[&[f32]], shape: &[usize], columns: usize, alt: &str) -> Result<Option<Markup>, Error> {
    let sizes: Vec<usize> = [samples.len()].into_iter().chain(shape.iter().copied()).collect();
    let drawn = match sheet::draw(&samples.concat(), &sizes, columns) {
        Ok(drawn) => drawn,
        Err(PictureError::Shape { .. } | PictureError::TooLarge { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (width, height) = drawn.dimensions();
    let source = format!("data:image/png;base64,{}", STANDARD.encode(png(&drawn)?));
    Ok(Some(html! { img src=(source) width=(width) height=(height) alt=(alt); }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(class: u32, value: f32) -> Shown {
        Shown { values: vec![value; 4], class: Some(class) }
    }

    #[test]
    fn columns_are_classes_and_rows_are_full() {
        let all = [shown(1, 0.1), shown(0, 0.2), shown(1, 0.3), shown(0, 0.4), shown(1, 0.5)];
        let firsts: Vec<f32> = in_columns(&all, 2).iter().map(|values| values[0]).collect();
        assert_eq!(firsts, [0.2, 0.1, 0.4, 0.3]);
        assert_eq!(in_columns(&all, 0).len(), 5);
        assert_eq!(in_columns(&all, 3).len(), 5, "a class without samples: as they come");
    }

    #[test]
    fn a_picture_is_a_png_of_the_samples() {
        let white = [1.0_f32; 4];
        let text = picture(&[&white, &white], &[2, 2], 2, "two <white>").unwrap().unwrap().into_string();
        let encoded = text.split("base64,").nth(1).unwrap().split('"').next().unwrap();
        let image = image::load_from_memory(&STANDARD.decode(encoded).unwrap()).unwrap().into_rgb8();
        assert_eq!(image.dimensions(), (102, 52));
        assert_eq!(image.get_pixel(20, 20).0, [255; 3]);
        assert!(text.contains("alt=\"two &lt;white&gt;\""), "{text}");
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        assert!(picture(&[&[0.0; 8]], &[2, 2, 2], 1, "").unwrap().is_none());
    }
}
