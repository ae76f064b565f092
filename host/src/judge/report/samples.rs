//! What samples look like: beside real rows, by number of steps, and beside the rows that they resemble most.

use super::number::of_things;
use super::page::section;
use super::sheets::{by_class, picture};
use super::verdict;
use crate::error::Error;
use crate::judge::evaluation::{Evaluation, Gallery, Shown};
use crate::judge::memorisation::is_copy;
use maud::{Markup, html};

/// Rows of a sheet that stands beside the one of real rows.
const ROWS: usize = 5;
/// Rows of a sheet for another number of steps.
const FEWER_ROWS: usize = 3;
/// Samples where there are no classes, for each row of a sheet.
const COLUMNS: usize = 12;

/// Samples beside real rows, then those of other numbers of steps.
///
/// # Errors
/// [`Error::Picture`] when a picture can't be encoded.
pub fn gallery(evaluation: &Evaluation, gallery: &Gallery) -> Result<Markup, Error> {
    let (shape, classes) = (&evaluation.data.shape, evaluation.data.classes);
    let sheet = |title: &str, shown: &[Shown], rows: usize| {
        let most = rows * if classes > 1 { classes } else { COLUMNS };
        by_class(title, &shown[..shown.len().min(most)], shape, classes, "")
    };
    let own = verdict::own(evaluation).map(|own| own.steps);
    let sheets: Vec<(usize, &Vec<Shown>)> =
        evaluation.by_steps.iter().map(|at| at.steps).zip(&gallery.by_steps).collect();
    let (chosen, others): (Vec<_>, Vec<_>) = sheets.into_iter().partition(|(steps, _)| Some(*steps) == own);
    let side_by_side = chosen
        .iter()
        .map(|(steps, shown)| sheet(&format!("Samples, {}", of_things(*steps, "step")), shown, ROWS))
        .chain([sheet("Real rows, held out", &gallery.real, ROWS)])
        .collect::<Result<Vec<_>, Error>>()?;
    let others = others
        .iter()
        .map(|(steps, shown)| sheet(&format!("Samples, {}", of_things(*steps, "step")), shown, FEWER_ROWS))
        .collect::<Result<Vec<_>, Error>>()?;
    let introduction =
        "The first samples of the first seed, not chosen. A person who knows the data is still the best judge.";
    let body = html! {
        div.sheets { @for sheet in &side_by_side { (sheet) } }
        @if !others.is_empty() { div.sheets { @for sheet in &others { (sheet) } } }
    };
    Ok(section("Samples", introduction, &body))
}

/// The most suspicious samples, each beside its nearest training row.
///
/// # Errors
/// As of [`gallery`].
pub fn copies(evaluation: &Evaluation, gallery: &Gallery) -> Result<Markup, Error> {
    let mut pairs = Vec::new();
    for (index, near) in gallery.nearest.iter().enumerate() {
        let alt = format!("Suspicious sample {} at the left, its nearest training row at the right", index + 1);
        let both = [near.sample.values.as_slice(), near.row.values.as_slice()];
        let Some(image) = picture(&both, &evaluation.data.shape, 2, &alt)? else { continue };
        pairs.push((image, near.ratio));
    }
    if pairs.is_empty() {
        return Ok(html! {});
    }
    let introduction = "The samples most like copies (left), each with the training row nearest to it (right), the worst first. The number is the distance to that row over the distance to the second nearest; up to 0.333 counts as a copy.";
    let body = html! {
        div.pairs {
            @for (image, ratio) in &pairs {
                figure.sheet.copy[is_copy(*ratio)] { (image) figcaption { (format!("{ratio:.3}")) } }
            }
        }
    };
    Ok(section("Is anything a copy?", introduction, &body))
}
