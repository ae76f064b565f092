//! Curves and points over two axes, as a PNG for people, and the same numbers as CSV for programs.
//!
//! The picture is drawn at three times its size and averaged down, which smooths lines that the plotting library draws
//! with hard edges. Its font is part of the program, so it looks the same on every machine.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use image::RgbImage;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::{PictureError, font, png};
use crate::atomic_file;

/// How many drawn pixels become one along each side.
const OVERSAMPLING: u32 = 3;
/// Height of the row that holds the title, and of each row of a legend that does not fit beside it.
const HEADER: u32 = 48;
const LEGEND_ROW: u32 = 30;

const INK: RGBColor = RGBColor(38, 42, 51);
const FAINT_INK: RGBColor = RGBColor(98, 104, 117);
const GRID: RGBColor = RGBColor(228, 231, 236);

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Drawn<T> = Result<T, DrawingAreaErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>>;

/// A plot.
#[derive(Clone)]
pub struct LinePlot {
    /// What it shows, in a line.
    pub title: String,
    /// Name of the quantity across, with its unit.
    pub x_name: String,
    /// The axis across.
    pub x: Axis,
    /// Name of the quantity upwards, with its unit.
    pub y_name: String,
    /// The axis upwards.
    pub y: Axis,
    /// The curves, those that come later above those before.
    pub curves: Vec<Curve>,
    /// Said in the middle of a plot without a point.
    pub if_empty: String,
    /// Width and height of the picture in pixels.
    pub size: (u32, u32),
}

/// What belongs together in a plot.
#[derive(Clone)]
pub struct Curve {
    /// Its name in the CSV, and in the legend if it is listed there.
    pub name: String,
    /// Whether the legend has it.
    pub is_listed: bool,
    /// Its points, in the order in which they are joined; of numbers that are finite.
    pub points: Vec<(f64, f64)>,
    /// Red, green and blue.
    pub colour: [u8; 3],
    /// How it is drawn.
    pub stroke: Stroke,
}

/// How a curve is drawn; widths and radii in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stroke {
    /// Joined points.
    Line(f64),
    /// Joined points, each marked by a disc of three times the width.
    Marked(f64),
    /// Discs of a radius.
    Dots(f64),
}

/// Width and height of a plot that fills a page's width.
pub const WIDE: (u32, u32) = (1200, 720);

/// Colours for curves side by side: Okabe and Ito's, which stay apart for who sees fewer colours.
pub const COLOURS: [[u8; 3]; 7] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [38, 42, 51]];
/// For what others are compared with.
pub const GUIDE: [u8; 3] = [150, 155, 165];

impl Curve {
    /// A line of measured points, the `index`-th of several.
    pub fn measured(index: usize, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            is_listed: true,
            points,
            colour: COLOURS[index % COLOURS.len()],
            stroke: Stroke::Marked(2.0),
        }
    }

    /// A smooth line, the `index`-th of several.
    pub fn smooth(index: usize, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            is_listed: true,
            points,
            colour: COLOURS[index % COLOURS.len()],
            stroke: Stroke::Line(2.5),
        }
    }

    /// A thin grey line to compare with.
    pub fn guide(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), is_listed: true, points, colour: GUIDE, stroke: Stroke::Line(1.5) }
    }

    fn style(&self) -> ShapeStyle {
        let [red, green, blue] = self.colour;
        let width = match self.stroke {
            Stroke::Line(width) | Stroke::Marked(width) => width,
            Stroke::Dots(radius) => 2.0 * radius,
        };
        ShapeStyle { color: RGBColor(red, green, blue).to_rgba(), filled: true, stroke_width: scaled(width) }
    }

    /// Whether its points are joined.
    fn is_joined(&self) -> bool {
        !matches!(self.stroke, Stroke::Dots(_))
    }

    /// Radius of the disc at each point, in pixels of the drawing.
    fn disc(&self, points: usize) -> u32 {
        match self.stroke {
            // A single point is no line.
            Stroke::Line(_) if points == 1 => px(4),
            Stroke::Line(width) => scaled(0.5 * width),
            Stroke::Marked(width) => scaled(1.5 * width).max(px(2)),
            Stroke::Dots(radius) => scaled(radius),
        }
    }
}

impl LinePlot {
    /// A plot of [`WIDE`] size; `x` and `y` are names and axes.
    pub fn new(title: impl Into<String>, x: (&str, Axis), y: (&str, Axis), curves: Vec<Curve>) -> Self {
        Self {
            title: title.into(),
            x_name: x.0.to_owned(),
            x: x.1,
            y_name: y.0.to_owned(),
            y: y.1,
            curves,
            if_empty: "nothing to draw".to_owned(),
            size: WIDE,
        }
    }

    /// Writes the picture as PNG.
    ///
    /// # Errors
    /// [`PictureError::Draw`], [`PictureError::Font`] or [`PictureError::Encode`] if the libraries fail, which no input is
    /// known to cause, and [`PictureError::Write`] if the file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), PictureError> {
        Ok(atomic_file::write(path, &png(&self.draw()?)?)?)
    }

    /// Every point as a line `curve,x,y` of CSV below a line of headings, numbers with all their digits; names are quoted.
    pub fn csv(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let mut text = format!("curve,{},{}\n", quoted(&self.x_name), quoted(&self.y_name));
        for curve in &self.curves {
            for (x, y) in &curve.points {
                let _ = writeln!(text, "{},{x:?},{y:?}", quoted(&curve.name));
            }
        }
        text
    }

    /// The picture.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    pub fn draw(&self) -> Result<RgbImage, PictureError> {
        font::register()?;
        let (width, height) = (px(self.size.0), px(self.size.1));
        let mut large = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
        {
            let area = BitMapBackend::with_buffer(&mut large, (width, height)).into_drawing_area();
            self.draw_on(&area)?;
            area.present()?;
        }
        Ok(image::imageops::thumbnail(&large, self.size.0, self.size.1))
    }

    fn draw_on(&self, area: &Area) -> Drawn<()> {
        let left = px(44 + 8 * self.y.longest_label());
        let inside = area.margin(px(16), px(16), px(16), px(32));
        let rows = self.legend_rows(&inside, left as i32)?;
        let (header, below) = inside.split_vertically(px(HEADER) + rows.len() as u32 * px(LEGEND_ROW));
        self.draw_header(&header, left as i32, &rows)?;
        let mut chart = ChartBuilder::on(&below)
            .x_label_area_size(px(58))
            .y_label_area_size(left)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID.stroke_width(px(1)))
            .axis_style(FAINT_INK.stroke_width(px(1)))
            .set_all_tick_mark_size(px(5))
            .label_style(text(19, FAINT_INK))
            .axis_desc_style(text(21, INK))
            .x_desc(&self.x_name)
            .y_desc(&self.y_name)
            .draw()?;
        for curve in &self.curves {
            let points = if curve.is_joined() { thinned(&curve.points, self.size.0) } else { curve.points.clone() };
            let (style, disc) = (curve.style(), curve.disc(points.len()));
            // One piece at a time: the library draws a wide line as one polygon, which goes wrong where it crosses itself.
            if curve.is_joined() {
                chart.draw_series(points.windows(2).map(|pair| PathElement::new(pair, style)))?;
            }
            chart.draw_series(points.iter().map(|&point| Circle::new(point, disc, style)))?;
        }
        if self.curves.iter().all(|curve| curve.points.is_empty()) {
            let (width, height) = area.dim_in_pixel();
            let style = text(21, FAINT_INK).pos(Pos::new(HPos::Center, VPos::Center));
            area.draw_text(&self.if_empty, &style, ((width / 2) as i32, (height / 2) as i32))?;
        }
        Ok(())
    }

    /// The curves in the legend, those without points left out.
    fn listed(&self) -> impl DoubleEndedIterator<Item = &Curve> {
        self.curves.iter().filter(|curve| curve.is_listed && !curve.points.is_empty())
    }

    /// The rows of a legend below the title; none where it fits beside the title.
    fn legend_rows(&self, area: &Area, left: i32) -> Drawn<Vec<Vec<&Curve>>> {
        let room = area.dim_in_pixel().0 as i32 - left;
        let widths: Vec<i32> = self.listed().map(|curve| entry_width(area, curve)).collect::<Drawn<_>>()?;
        let (title, _) = area.estimate_text_size(&self.title, &text(27, INK))?;
        // Beside each other while the title keeps four fifths of its size.
        if widths.iter().sum::<i32>() + (0.8 * f64::from(title)) as i32 <= room {
            return Ok(Vec::new());
        }
        let mut rows: Vec<Vec<&Curve>> = vec![Vec::new()];
        let mut used = 0;
        for (curve, width) in self.listed().zip(widths) {
            let is_full = used + width > room && rows.last().is_some_and(|row| !row.is_empty());
            if is_full {
                rows.push(Vec::new());
                used = 0;
            }
            used += width;
            if let Some(row) = rows.last_mut() {
                row.push(curve);
            }
        }
        Ok(rows)
    }

    /// Draws the title from `left` on, smaller if it is long, and what the curves are: at the right, or in rows below.
    fn draw_header(&self, header: &Area, left: i32, rows: &[Vec<&Curve>]) -> Drawn<()> {
        let middle = px(16) as i32;
        let mut right = header.dim_in_pixel().0 as i32;
        if rows.is_empty() {
            for curve in self.listed().rev() {
                right -= entry_width(header, curve)?;
                draw_entry(header, curve, (right + GAP, middle))?;
            }
        }
        for (row, curves) in rows.iter().enumerate() {
            let mut at = left;
            for curve in curves {
                draw_entry(header, curve, (at, middle + px(6 + LEGEND_ROW * (row as u32 + 1)) as i32))?;
                at += entry_width(header, curve)?;
            }
        }
        let room = f64::from((right - left).max(0));
        let (width, _) = header.estimate_text_size(&self.title, &text(27, INK))?;
        let size = (27.0 * room / f64::from(width.max(1))).min(27.0);
        let style = text(size as u32, INK).pos(Pos::new(HPos::Left, VPos::Center));
        header.draw_text(&self.title, &style, (left, middle))
    }
}

/// Of an entry of the legend: its swatch, what stands between that and the name, and between two entries.
const SWATCH: i32 = px(24) as i32;
const SPACE: i32 = px(8) as i32;
const GAP: i32 = 3 * SPACE;

fn entry_width(area: &Area, curve: &Curve) -> Drawn<i32> {
    Ok(GAP + SWATCH + SPACE + area.estimate_text_size(&curve.name, &text(19, INK))?.0 as i32)
}

/// Draws a curve's swatch and name, from its left middle on.
fn draw_entry(area: &Area, curve: &Curve, (left, middle): (i32, i32)) -> Drawn<()> {
    // Text is centred a little too high.
    let centre = middle - px(2) as i32;
    let style = curve.style();
    if curve.is_joined() {
        let half = style.stroke_width.max(px(2)) as i32 / 2;
        area.draw(&Rectangle::new([(left, centre - half), (left + SWATCH, centre + half)], style))?;
    }
    if !matches!(curve.stroke, Stroke::Line(_)) {
        let disc = curve.disc(2).max(px(4));
        area.draw(&Circle::new((left + SWATCH / 2, centre), disc, style))?;
    }
    let name = text(19, INK).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw_text(&curve.name, &name, (left + SWATCH + SPACE, middle))
}

/// `pixels` of the finished picture in pixels of the drawing.
const fn px(pixels: u32) -> u32 {
    pixels * OVERSAMPLING
}

fn scaled(pixels: f64) -> u32 {
    (pixels * f64::from(OVERSAMPLING)) as u32
}

fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    (font::FAMILY, px(size)).into_font().color(&colour)
}

/// At most four points for each column of a picture (first, least, greatest, last), which look like all of them.
fn thinned(curve: &[(f64, f64)], columns: u32) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (curve.first(), curve.last()) else { return Vec::new() };
    if curve.len() <= 4 * columns as usize {
        return curve.to_vec();
    }
    let column = |point: &(f64, f64)| ((point.0 - first.0) / (last.0 - first.0) * f64::from(columns)) as u32;
    let mut kept = Vec::new();
    for points in curve.chunk_by(|a, b| column(a) == column(b)) {
        let by_height = |&a: &usize, &b: &usize| points[a].1.total_cmp(&points[b].1);
        let least = (0..points.len()).min_by(by_height).unwrap_or(0);
        let greatest = (0..points.len()).max_by(by_height).unwrap_or(0);
        let mut indices = [0, least, greatest, points.len() - 1];
        indices.sort_unstable();
        kept.extend(indices.into_iter().map(|index| points[index]));
    }
    kept.dedup();
    kept
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        start + (self.position(*value) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // The library asks once more for points between them, of which there are none.
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|tick| tick.0).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|tick| tick.0 == *value).map(|tick| tick.1.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pixels have exactly this colour, above and below the given row.
    fn around(picture: &RgbImage, row: u32, colour: [u8; 3]) -> (usize, usize) {
        let rows = picture.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 == colour).map(|(_, y, _)| y);
        let (above, below): (Vec<u32>, Vec<u32>) = rows.partition(|&y| y < row);
        (above.len(), below.len())
    }

    #[test]
    fn power_laws_are_straight_lines() {
        let points: Vec<(f64, f64)> = (0..=10).map(|k| 2_f64.powi(k)).map(|x| (x, 3.0 / (x * x))).collect();
        let axes = [Axis::of_losses(points.iter().map(|p| p.0)), Axis::of_losses(points.iter().map(|p| p.1))];
        let [x, y] = axes;
        assert!(x.logarithmic && y.logarithmic);
        let plot = LinePlot::new("error", ("steps", x), ("error", y), vec![Curve::smooth(0, "a", points)]);
        let picture = plot.draw().unwrap();
        let line: Vec<(u32, u32)> = picture
            .enumerate_pixels()
            .filter(|(_, y, pixel)| *y > 70 && pixel.0 == COLOURS[0])
            .map(|(x, y, _)| (x, y))
            .collect();
        let (first, last) = (*line.iter().min().unwrap(), *line.iter().max().unwrap());
        let slope = (f64::from(last.1) - f64::from(first.1)) / f64::from(last.0 - first.0);
        for (x, y) in line {
            assert!((f64::from(first.1) + slope * f64::from(x - first.0) - f64::from(y)).abs() < 5.0, "({x}, {y})");
        }
    }

    #[test]
    fn a_long_legend_has_rows_of_its_own() {
        let curve = |index: usize, name: &str| Curve::measured(index, name, vec![(0.0, 0.0), (1.0, 1.0)]);
        let axis = || Axis::linear(0.0..1.0, 0.0);
        let few = LinePlot::new("a title", ("x", axis()), ("y", axis()), vec![curve(0, "one"), curve(1, "two")]);
        let names = [
            "the first of many curves",
            "the second of them",
            "a third with a name",
            "the fourth one",
            "and a fifth curve",
        ];
        let long = |name: &str| format!("{name}, which needs more words than fit");
        let curves = names.iter().enumerate().map(|(index, name)| curve(index, &long(name))).collect();
        let many = LinePlot::new("a title that is not short", ("x", axis()), ("y", axis()), curves);
        // Beside the title, or below it; the legend's swatch of the second curve is told from its line by the row.
        assert!(around(&few.draw().unwrap(), 48, COLOURS[1]).0 > 50);
        let below = many.draw().unwrap();
        assert_eq!(around(&below, 40, COLOURS[1]).0, 0);
        assert!(around(&below, 84, COLOURS[1]).0 > 50);
        // Without points there is nothing to name.
        let unlisted = Curve { is_listed: false, ..curve(3, "unlisted") };
        let silent = LinePlot::new("", ("x", axis()), ("y", axis()), vec![unlisted, Curve::guide("none", vec![])]);
        assert_eq!(around(&silent.draw().unwrap(), 48, COLOURS[3]).0, 0);
    }

    #[test]
    fn dots_are_not_joined() {
        let dots = |stroke| {
            let curve = Curve { stroke, ..Curve::smooth(2, "", vec![(0.1, 0.1), (0.9, 0.9)]) };
            let axis = || Axis::linear(0.0..1.0, 0.0);
            let plot = LinePlot { size: (300, 300), ..LinePlot::new("", ("", axis()), ("", axis()), vec![curve]) };
            let picture = plot.draw().unwrap();
            assert_eq!(picture.dimensions(), (300, 300));
            picture.pixels().filter(|pixel| pixel.0 == COLOURS[2]).count()
        };
        assert!((20..100).contains(&dots(Stroke::Dots(3.0))), "{}", dots(Stroke::Dots(3.0)));
        assert!(dots(Stroke::Line(3.0)) > 150);
    }

    #[test]
    fn the_table_has_every_point_with_all_digits() {
        let curves = vec![
            Curve::measured(0, "a \"b\", c", vec![(1.0, 0.1 + 0.2), (2.0, 1e-9)]),
            Curve::guide("", vec![(3.0, -0.5)]),
        ];
        let plot = LinePlot::new("t", ("x, m", Axis::of_indices(4)), ("y", Axis::of_indices(1)), curves);
        let expected = "curve,\"x, m\",\"y\"\n\"a \"\"b\"\", c\",1.0,0.30000000000000004\n\"a \"\"b\"\", c\",2.0,1e-9\n\"\",3.0,-0.5\n";
        assert_eq!(plot.csv(), expected);
    }

    #[test]
    fn many_points_are_thinned_without_losing_spikes() {
        let mut curve: Vec<(f64, f64)> = (0..100_000).map(|k| (f64::from(k), f64::from(k % 7))).collect();
        curve[54_321].1 = 99.0;
        curve[12_345].1 = -99.0;
        let thin = thinned(&curve, WIDE.0);
        assert!(thin.len() <= 4 * (WIDE.0 as usize + 1) && thin.len() > WIDE.0 as usize);
        assert!(thin.contains(&(54_321.0, 99.0)) && thin.contains(&(12_345.0, -99.0)));
        assert_eq!((thin.first(), thin.last()), (curve.first(), curve.last()));
        assert!(thin.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(thinned(&curve[..100], WIDE.0), curve[..100]);
    }
}
