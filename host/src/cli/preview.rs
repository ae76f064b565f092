//! Samples on the terminal.

use crate::picture::terminal::{Style, rows};
use crate::picture::traces::curve;
use crate::picture::{Depiction, cloud};
use std::io::IsTerminal;

/// A side of each view of a cloud, in pixels, which the terminal halves.
const CLOUD: usize = 64;
/// Width and height of a curve.
const CURVE: (usize, usize) = (32, 14);

/// Draws the samples that `labels` name, as many as there are labels (empty ones for samples without a class), or all of them where they are
/// points; nothing for vectors and for images in colour. `shape` is that of one sample, `samples` holds them in [-1, 1] one after the other.
pub fn print(shape: &[usize], samples: &[f32], labels: &[String]) {
    let style = Style::of_standard_output();
    let show = |images: &[f32], (h, w): (usize, usize), labels: &[String]| {
        let count = images.len() / (h * w);
        crate::say!("{}", rows(images, count, h, w, labels, columns(style, w), style).trim_end());
    };
    let size = shape.iter().product::<usize>().max(1);
    let samples_of = |count: usize| &samples[..count.min(samples.len() / size) * size];
    let labels_shown = if labels.iter().all(String::is_empty) { &[] } else { labels };
    match (Depiction::of(shape), shape) {
        (Depiction::Cloud, _) => show(&cloud::views(samples, CLOUD).concat(), (CLOUD, CLOUD), &[]),
        (Depiction::Traces, _) => {
            let curves = samples_of(labels.len()).chunks_exact(size).flat_map(|values| curve(values, CURVE.0, CURVE.1));
            show(&curves.collect::<Vec<_>>(), (CURVE.1, CURVE.0), labels_shown);
        }
        (Depiction::Sheet, &[h, w] | &[1, h, w]) => show(samples_of(labels.len()), (h, w), labels_shown),
        (Depiction::Sheet, _) => {}
    }
}

/// The terminal's width, or enough for ten images where there is none.
fn columns(style: Style, width: usize) -> usize {
    let terminal = std::io::stdout().is_terminal().then(|| console::Term::stdout().size_checked()).flatten();
    match (terminal, style) {
        (Some((_, columns)), _) => usize::from(columns),
        (None, Style::Ascii) => 10 * (2 * width.min(32) + 2),
        (None, _) => 10 * (width.min(32) + 2),
    }
}

/// Classes as labels, the first `count` of them; empty for samples without a class.
pub fn labels<C: ToString>(classes: impl IntoIterator<Item = Option<C>>, count: usize) -> Vec<String> {
    classes.into_iter().take(count).map(|class| class.map(|c| c.to_string()).unwrap_or_default()).collect()
}

/// Which number stands for what, where classes are frozen prompts or vectors.
pub fn legend(names: &[String]) {
    for (class, name) in names.iter().enumerate() {
        crate::say!("{class:>3}: {name}");
    }
}
