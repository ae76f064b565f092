//! Samples in a terminal: grey images side by side under their labels.

use std::env;
use std::io::{self, IsTerminal};

use super::{NOT_A_NUMBER, brightness};

/// Images are shrunk until no side has more pixels than this.
const LONGEST_SIDE: usize = 32;
/// Columns between images.
const GAP: usize = 2;
/// From black to white, on a dark background.
const RAMP: &[u8; 10] = b" .:-=+*#%@";

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// Characters from ` ` to `@`, two beside each other per pixel; for files, logs and terminals without colours.
    Ascii,
    /// Half blocks (one column and half a line per pixel) in the 26 greys of the 256 colours.
    Colours256,
    /// Half blocks in 256 greys.
    TrueColour,
}

impl Style {
    /// What standard output can show: [`Style::Ascii`] if it is no terminal, `NO_COLOR` is set and not empty, or
    /// `TERM` is `dumb`; [`Style::TrueColour`] if `COLORTERM` says `truecolor` or `24bit`; else [`Style::Colours256`].
    pub fn of_standard_output() -> Self {
        let variable = |name| env::var(name).unwrap_or_default();
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self::choose(io::stdout().is_terminal(), no_color, &variable("TERM"), &variable("COLORTERM"))
    }

    fn choose(is_terminal: bool, no_color: bool, term: &str, colorterm: &str) -> Self {
        if !is_terminal || no_color || term == "dumb" {
            Self::Ascii
        } else if matches!(colorterm, "truecolor" | "24bit") {
            Self::TrueColour
        } else {
            Self::Colours256
        }
    }

    /// Columns that one pixel takes, so that it looks square.
    fn columns_per_pixel(self) -> usize {
        match self {
            Self::Ascii => 2,
            Self::Colours256 | Self::TrueColour => 1,
        }
    }
}

/// Draws the `count` grey images `images` (`[count, h, w]` in `[-1, 1]`, -1 black) side by side, as many beside each
/// other as `width_columns` columns hold, each under its label; every line ends in `\n`.
///
/// Images are shrunk by the mean over square blocks until no side has more than 32 pixels and one of them fits into
/// the width. A label that is wider than its image widens the cell, one wider than the terminal is cut; missing labels
/// are empty, and without labels there is no line for them. A pixel that is not a number is `?`, or magenta.
/// Only whole images are drawn: if `images` holds fewer than `count`, those that are there.
///
/// # Example
/// ```
/// use tweedie_host::picture::terminal::{Style, rows};
///
/// let images = [-1.0, 0.0, 1.0, -1.0];
/// assert_eq!(rows(&images, 1, 2, 2, &["x0".into()], 80, Style::Ascii), "x0\n  ++\n@@\n");
/// ```
pub fn rows(
    images: &[f32],
    count: usize,
    h: usize,
    w: usize,
    labels: &[String],
    width_columns: usize,
    style: Style,
) -> String {
    let Some(pixels) = h.checked_mul(w).filter(|&pixels| pixels > 0) else { return String::new() };
    let images: Vec<&[f32]> = images.chunks_exact(pixels).take(count).collect();
    let width_columns = width_columns.max(style.columns_per_pixel());
    let block = h.max(w).div_ceil(LONGEST_SIDE).max((w * style.columns_per_pixel()).div_ceil(width_columns));
    let images: Vec<Image> = images.into_iter().map(|image| Image::shrunk(image, h, w, block)).collect();

    let labels = &labels[..labels.len().min(images.len())];
    let widest_label = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let image_columns = w.div_ceil(block) * style.columns_per_pixel();
    let cell = image_columns.max(widest_label.min(width_columns));
    let beside = ((width_columns + GAP) / (cell + GAP)).max(1);

    let mut text = String::new();
    for (group, row) in images.chunks(beside).enumerate() {
        if group > 0 {
            text.push('\n');
        }
        if widest_label > 0 {
            let labels = (0..row.len()).map(|k| labels.get(group * beside + k).map_or("", String::as_str));
            push_line(
                &mut text,
                labels.map(|label| label.chars().take(cell).collect()),
                |label| label.chars().count(),
                cell,
            );
        }
        let lines = match style {
            Style::Ascii => row[0].height,
            Style::Colours256 | Style::TrueColour => row[0].height.div_ceil(2),
        };
        for line in 0..lines {
            let parts = row.iter().map(|image| match style {
                Style::Ascii => image.ascii(line),
                Style::Colours256 | Style::TrueColour => image.half_blocks(line, style),
            });
            push_line(&mut text, parts, |_| image_columns, cell);
        }
    }
    text
}

/// Appends `parts`, each `columns(part)` wide and padded to `cell`, with gaps between them and nothing after the last.
fn push_line(text: &mut String, parts: impl Iterator<Item = String>, columns: impl Fn(&str) -> usize, cell: usize) {
    let mut padding = 0;
    for part in parts {
        text.extend(std::iter::repeat_n(' ', padding));
        text.push_str(&part);
        padding = cell - columns(&part) + GAP;
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// A small grey image, row-major.
struct Image {
    height: usize,
    width: usize,
    pixels: Vec<f32>,
}

impl Image {
    /// The means over blocks of `block` x `block` pixels; blocks at the right and lower edge may be smaller.
    fn shrunk(pixels: &[f32], h: usize, w: usize, block: usize) -> Self {
        let (height, width) = (h.div_ceil(block), w.div_ceil(block));
        let mean = |index: usize| {
            let (top, left) = (index / width * block, index % width * block);
            let (bottom, right) = ((top + block).min(h), (left + block).min(w));
            let sum: f32 = (top..bottom).flat_map(|y| &pixels[y * w + left..y * w + right]).sum();
            sum / ((bottom - top) * (right - left)) as f32
        };
        Self { height, width, pixels: (0..height * width).map(mean).collect() }
    }

    fn row(&self, y: usize) -> &[f32] {
        &self.pixels[y * self.width..(y + 1) * self.width]
    }

    fn ascii(&self, y: usize) -> String {
        let shade = |&pixel: &f32| {
            let shade = brightness(pixel).map_or('?', |level| char::from(RAMP[usize::from(level) * RAMP.len() / 256]));
            [shade, shade]
        };
        self.row(y).iter().flat_map(shade).collect()
    }

    /// Rows `2 * line` and `2 * line + 1`; a colour is named where it changes.
    fn half_blocks(&self, line: usize, style: Style) -> String {
        let upper = self.row(2 * line);
        let lower = (2 * line + 1 < self.height).then(|| self.row(2 * line + 1));
        let mut text = String::new();
        let mut current = String::new();
        for (x, &pixel) in upper.iter().enumerate() {
            let foreground = colour(pixel, style);
            let colours = match lower {
                Some(row) => format!("\x1b[38;{foreground};48;{}m", colour(row[x], style)),
                None => format!("\x1b[38;{foreground}m"),
            };
            if colours != current {
                text.push_str(&colours);
                current = colours;
            }
            text.push('▀');
        }
        text.push_str("\x1b[0m");
        text
    }
}

/// The parameters of the escape sequence for a pixel, after the `38;` or `48;`.
fn colour(pixel: f32, style: Style) -> String {
    let [red, green, blue] = brightness(pixel).map_or(NOT_A_NUMBER, |level| [level; 3]);
    if style == Style::TrueColour {
        return format!("2;{red};{green};{blue}");
    }
    // Black and white of the colour cube (16 and 231), 24 greys between them (232 to 255), magenta (201).
    let Some(level) = brightness(pixel) else { return "5;201".into() };
    match (u16::from(level) * 25 + 127) / 255 {
        0 => "5;16".into(),
        25 => "5;231".into(),
        grey => format!("5;{}", 231 + grey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|&label| label.into()).collect()
    }

    #[test]
    fn ascii_images_stand_side_by_side_under_their_labels() {
        let images = [-1.0, 1.0, 0.0, -0.5, 1.0, 1.0, f32::NAN, -1.0];
        let text = rows(&images, 2, 2, 2, &labels(&["real", "made"]), 80, Style::Ascii);
        assert_eq!(text, "real  made\n  @@  @@@@\n++::  ??\n");
        assert_eq!(rows(&images, 1, 2, 2, &[], 80, Style::Ascii), "  @@\n++::\n");
    }

    #[test]
    fn what_does_not_fit_goes_below() {
        let images = [1.0, -1.0, 0.0];
        let text = rows(&images, 3, 1, 1, &labels(&["a", "b", "long label"]), 9, Style::Ascii);
        assert_eq!(text, "a\n@@\n\nb\n\n\nlong labe\n++\n");
        // Two beside each other in 6 columns; the third has no label.
        let text = rows(&images, 3, 1, 1, &labels(&["a"]), 6, Style::Ascii);
        assert_eq!(text, "a\n@@\n\n\n++\n");
    }

    #[test]
    fn large_images_shrink_by_the_mean_over_blocks() {
        // 33 x 40: blocks of 2 x 2, 17 x 20 of them; the last row of blocks is one pixel high.
        let mut image = vec![-1.0; 33 * 40];
        image[0] = 1.0;
        image[1] = 1.0;
        image[32 * 40 + 39] = 1.0;
        let text = rows(&image, 1, 33, 40, &[], 80, Style::Ascii);
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        assert_eq!(lines.len(), 17);
        assert_eq!(lines[0], "++");
        assert!(lines[1..16].iter().all(|line| line.is_empty()));
        assert_eq!(lines[16], " ".repeat(38) + "++");
    }

    #[test]
    fn images_shrink_to_the_width_of_the_terminal() {
        let white = [1.0; 32 * 32];
        assert_eq!(rows(&white, 1, 32, 32, &[], 40, Style::Ascii), format!("{}\n", "@".repeat(32)).repeat(16));
        assert_eq!(rows(&white, 1, 32, 32, &[], 0, Style::Ascii), "@@\n");
    }

    #[test]
    fn half_blocks_hold_two_rows_and_name_colours_where_they_change() {
        let image = [-1.0, -1.0, 1.0, 0.0, 0.0, f32::NAN, 1.0, 1.0, 1.0];
        assert_eq!(
            rows(&image, 1, 3, 3, &[], 80, Style::TrueColour),
            "\x1b[38;2;0;0;0;48;2;128;128;128m▀▀\x1b[38;2;255;255;255;48;2;255;0;255m▀\x1b[0m\n\
             \x1b[38;2;255;255;255m▀▀▀\x1b[0m\n"
        );
        assert_eq!(
            rows(&image, 1, 3, 3, &[], 80, Style::Colours256),
            "\x1b[38;5;16;48;5;244m▀▀\x1b[38;5;231;48;5;201m▀\x1b[0m\n\x1b[38;5;231m▀▀▀\x1b[0m\n"
        );
        let two = rows(&[1.0; 4], 2, 2, 1, &labels(&["t=1", "t=0"]), 80, Style::Colours256);
        assert_eq!(two, "t=1  t=0\n\x1b[38;5;231;48;5;231m▀\x1b[0m    \x1b[38;5;231;48;5;231m▀\x1b[0m\n");
    }

    #[test]
    fn nothing_to_draw_is_no_text() {
        assert_eq!(rows(&[], 0, 8, 8, &labels(&["a"]), 80, Style::Ascii), "");
        assert_eq!(rows(&[], 3, 0, 8, &[], 80, Style::Ascii), "");
        assert_eq!(rows(&[1.0; 3], 9, 1, 2, &[], 80, Style::Ascii), "@@@@\n");
    }

    #[test]
    fn style_follows_the_environment() {
        assert_eq!(Style::choose(false, false, "xterm", "truecolor"), Style::Ascii);
        assert_eq!(Style::choose(true, true, "xterm", "truecolor"), Style::Ascii);
        assert_eq!(Style::choose(true, false, "dumb", ""), Style::Ascii);
        assert_eq!(Style::choose(true, false, "xterm-256color", "24bit"), Style::TrueColour);
        assert_eq!(Style::choose(true, false, "xterm-256color", ""), Style::Colours256);
    }
}
