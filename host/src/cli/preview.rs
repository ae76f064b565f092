//! Samples on the terminal.

use crate::picture::terminal::{Style, rows};
use std::io::IsTerminal;

/// Draws the samples that `labels` name, as many as there are labels (empty ones for samples without a class); nothing for samples that are no
/// grey image. `shape` is that of one sample, `samples` holds them in [-1, 1] one after the other.
pub fn print(shape: &[usize], samples: &[f32], labels: &[String]) {
    let (h, w) = match *shape {
        [h, w] | [1, h, w] => (h, w),
        _ => return,
    };
    let count = labels.len().min(samples.len() / (h * w).max(1));
    let labels = if labels.iter().all(String::is_empty) { &[] } else { labels };
    let style = Style::of_standard_output();
    let text = rows(&samples[..count * h * w], count, h, w, labels, columns(style, w), style);
    crate::say!("{}", text.trim_end());
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
