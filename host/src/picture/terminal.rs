//! Pictures as a terminal's characters; samples side by side under their labels.

use std::env;
use std::io::{self, IsTerminal};

use image::{Rgb, RgbImage};

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
    /// Half blocks (one column and half a line per pixel) in the 256 colours, 26 of which are greys.
    Colours256,
    /// Half blocks in every colour.
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
    pub fn columns_per_pixel(self) -> usize {
        match self {
            Self::Ascii => 2,
            Self::Colours256 | Self::TrueColour => 1,
        }
    }

    /// Pixels above one another in a line.
    pub fn pixels_per_line(self) -> usize {
        match self {
            Self::Ascii => 1,
            Self::Colours256 | Self::TrueColour => 2,
        }
    }
}

/// A picture as lines of text, without their ends. In characters, it is the brightness that shows; what is drawn for a pixel that is not a number
/// is `?` there.
///
/// ```
/// use image::{Rgb, RgbImage};
/// use tweedie_host::picture::terminal::{Style, lines};
///
/// let picture = RgbImage::from_pixel(2, 2, Rgb([255, 0, 0]));
/// assert_eq!(lines(&picture, Style::Ascii), ["::::", "::::"]);
/// assert_eq!(lines(&picture, Style::TrueColour), ["\x1b[38;2;255;0;0;48;2;255;0;0m▀▀\x1b[0m"]);
/// ```
pub fn lines(picture: &RgbImage, style: Style) -> Vec<String> {
    let rows: Vec<&[u8]> = picture.as_raw().chunks_exact(3 * picture.width().max(1) as usize).collect();
    let line = |rows: &[&[u8]]| match style {
        Style::Ascii => ascii(rows[0]),
        Style::Colours256 | Style::TrueColour => half_blocks(rows[0], rows.get(1).copied(), style),
    };
    rows.chunks(style.pixels_per_line()).map(line).collect()
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
    let images: Vec<Vec<String>> = images.into_iter().map(|image| lines(&shrunk(image, h, w, block), style)).collect();

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
        for line in 0..row[0].len() {
            push_line(&mut text, row.iter().map(|image| image[line].clone()), |_| image_columns, cell);
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

/// The means over blocks of `block` x `block` pixels; blocks at the right and lower edge may be smaller.
fn shrunk(pixels: &[f32], h: usize, w: usize, block: usize) -> RgbImage {
    RgbImage::from_fn(w.div_ceil(block) as u32, h.div_ceil(block) as u32, |x, y| {
        let (top, left) = (y as usize * block, x as usize * block);
        let (bottom, right) = ((top + block).min(h), (left + block).min(w));
        let sum: f32 = (top..bottom).flat_map(|y| &pixels[y * w + left..y * w + right]).sum();
        let mean = sum / ((bottom - top) * (right - left)) as f32;
        Rgb(brightness(mean).map_or(NOT_A_NUMBER, |level| [level; 3]))
    })
}

/// The pixels of a row, three bytes each.
fn pixels(row: &[u8]) -> impl Iterator<Item = [u8; 3]> {
    row.as_chunks::<3>().0.iter().copied()
}

fn ascii(row: &[u8]) -> String {
    let shade = |pixel: [u8; 3]| {
        let shade =
            if pixel == NOT_A_NUMBER { '?' } else { char::from(RAMP[usize::from(luma(pixel)) * RAMP.len() / 256]) };
        [shade, shade]
    };
    pixels(row).flat_map(shade).collect()
}

/// How bright a colour looks (ITU-R BT.601); of a grey, its level.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue)) / 1000) as u8
}

/// Two rows of pixels, the lower of which may be missing; a colour is named where it changes.
fn half_blocks(upper: &[u8], lower: Option<&[u8]>, style: Style) -> String {
    let mut lower = lower.map(pixels);
    let mut text = String::new();
    let mut current = String::new();
    for pixel in pixels(upper) {
        let foreground = colour(pixel, style);
        let colours = match lower.as_mut().and_then(Iterator::next) {
            Some(below) => format!("\x1b[38;{foreground};48;{}m", colour(below, style)),
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

/// The parameters of the escape sequence for a pixel, after the `38;` or `48;`.
fn colour(pixel: [u8; 3], style: Style) -> String {
    let [red, green, blue] = pixel;
    if style == Style::TrueColour {
        return format!("2;{red};{green};{blue}");
    }
    if red == green && green == blue {
        // Black and white of the colour cube (16 and 231), 24 greys between them (232 to 255).
        return match (u16::from(red) * 25 + 127) / 255 {
            0 => "5;16".into(),
            25 => "5;231".into(),
            grey => format!("5;{}", 231 + grey),
        };
    }
    // The cube has six levels of each colour.
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |level: u8| (0..6).min_by_key(|&index| LEVELS[index].abs_diff(level)).unwrap_or(0);
    format!("5;{}", 16 + 36 * nearest(red) + 6 * nearest(green) + nearest(blue))
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
    fn colours_are_the_nearest_that_there_are() {
        for (pixel, expected) in
            [([255, 0, 0], "5;196"), ([0, 100, 250], "5;27"), ([120, 80, 160], "5;97"), ([9, 9, 9], "5;232")]
        {
            assert_eq!(colour(pixel, Style::Colours256), expected, "{pixel:?}");
        }
        let picture = RgbImage::from_fn(2, 3, |x, y| Rgb([[0, 0, 0], [255, 255, 255]][(x + y) as usize % 2]));
        assert_eq!(lines(&picture, Style::Ascii), ["  @@", "@@  ", "  @@"]);
        assert_eq!(lines(&picture, Style::Colours256).len(), 2);
        assert!(lines(&RgbImage::new(0, 0), Style::Ascii).is_empty());
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
