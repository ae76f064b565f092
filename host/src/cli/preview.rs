//! Samples on the terminal, one block for each class.

use crate::checkpoint::Model;
use crate::picture::terminal::{Style, rows};

/// Draws up to `count` samples with their classes; nothing for samples that are no grey image.
pub fn print(model: &Model, samples: &[f32], classes: &[u32], count: usize) {
    let (h, w) = match *model.description.shape.as_slice() {
        [h, w] | [1, h, w] => (h, w),
        _ => return,
    };
    let count = count.min(classes.len());
    let labelled = model.description.classes > 0;
    let labels: Vec<String> = if labelled { classes[..count].iter().map(u32::to_string).collect() } else { Vec::new() };
    let style = Style::of_standard_output();
    crate::say!("{}", rows(&samples[..count * h * w], count, h, w, &labels, columns(style, w), style).trim_end());
}

/// The terminal's width, or enough for ten images where there is none.
fn columns(style: Style, width: usize) -> usize {
    let (columns, is_terminal) = match indicatif_width() {
        Some(columns) => (columns, true),
        None => (0, false),
    };
    match (is_terminal, style) {
        (true, _) => columns,
        (false, Style::Ascii) => 10 * (2 * width.min(32) + 2),
        (false, _) => 10 * (width.min(32) + 2),
    }
}

fn indicatif_width() -> Option<usize> {
    use std::io::IsTerminal;
    if !std::io::stdout().is_terminal() {
        return None;
    }
    console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
}
