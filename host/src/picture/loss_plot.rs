//! The loss of a training run over its steps, as measured and smoothed.
//!
//! The picture is drawn at three times its size and averaged down, which smooths lines that the plotting library draws
//! with hard edges. Its font is part of the program, so it looks the same on every machine.

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use image::RgbImage;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, significant};
use super::{PictureError, png};
use crate::atomic_file;

/// Width and height of the picture in pixels.
const SIZE: (u32, u32) = (1200, 720);
/// How many drawn pixels become one along each side.
const OVERSAMPLING: u32 = 3;

const FONT: &str = "Noto Sans";
const INK: RGBColor = RGBColor(38, 42, 51);
const FAINT_INK: RGBColor = RGBColor(98, 104, 117);
const GRID: RGBColor = RGBColor(228, 231, 236);
const MEASURED: RGBColor = RGBColor(168, 199, 233);
const SMOOTHED: RGBColor = RGBColor(20, 84, 158);

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Drawn<T> = Result<T, DrawingAreaErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>>;

/// The exponential moving average of the losses of `points` (step, loss), in which a loss counts half after another
/// `half_life` points; losses that are not finite are left out.
///
/// With `beta = 2^(-1 / half_life)`, the average after `k` losses is
/// `(1 - beta) / (1 - beta^k) * sum_i beta^(k - i) loss_i`, which starts at the first loss, not at 0. A `half_life`
/// that is not above 0 averages nothing.
///
/// # Example
/// ```
/// use tweedie_host::picture::loss_plot::smoothed;
///
/// let halved_at_once = smoothed(&[(0, 1.0), (1, f64::NAN), (2, 0.0)], 1.0);
/// assert_eq!(halved_at_once[0], (0, 1.0));
/// assert_eq!(halved_at_once[1].0, 2);
/// assert!((halved_at_once[1].1 - 1.0 / 3.0).abs() < 1e-12);
/// ```
pub fn smoothed(points: &[(u64, f64)], half_life: f64) -> Vec<(u64, f64)> {
    let beta = if half_life > 0.0 { (-1.0 / half_life).exp2() } else { 0.0 };
    let (mut mean, mut weight) = (0.0, 0.0);
    let finite = points.iter().filter(|(_, loss)| loss.is_finite());
    finite
        .map(|&(step, loss)| {
            weight = beta * weight + 1.0;
            mean += (loss - mean) / weight;
            (step, mean)
        })
        .collect()
}

/// Writes a plot of `points` (step, loss) as PNG of 1200 x 720 pixels to `path`: the losses as a thin light line, the
/// curve `smooth` (see [`smoothed`]; may be empty) as a bold one, under `title`.
///
/// The loss axis is logarithmic if the losses are all positive and span more than a factor of 10. Losses that are not
/// finite are left out; if there are no others, the plot says so. Points are drawn in the order of their steps.
///
/// # Errors
/// [`PictureError::Draw`], [`PictureError::Font`] or [`PictureError::Encode`] if the libraries fail, which no input is
/// known to cause, and [`PictureError::Write`] if the file can't be written.
///
/// # Example
/// ```
/// use tweedie_host::picture::loss_plot::{smoothed, write};
///
/// # let path = std::env::temp_dir().join(format!("tweedie-doc-loss-{}.png", std::process::id()));
/// let points: Vec<(u64, f64)> = (1..=100).map(|step| (step, 1.0 / step as f64)).collect();
/// write(&path, &points, &smoothed(&points, 10.0), "digits, 100 steps")?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(path: &Path, points: &[(u64, f64)], smooth: &[(u64, f64)], title: &str) -> Result<(), PictureError> {
    Ok(atomic_file::write(path, &png(&draw(points, smooth, title)?)?)?)
}

/// Draws the picture that [`write()`] writes.
fn draw(points: &[(u64, f64)], smooth: &[(u64, f64)], title: &str) -> Result<RgbImage, PictureError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    if !REGISTERED.get_or_init(|| register_font(FONT, FontStyle::Normal, ttf_noto_sans::REGULAR).is_ok()) {
        return Err(PictureError::Font);
    }
    let (width, height) = (SIZE.0 * OVERSAMPLING, SIZE.1 * OVERSAMPLING);
    let mut large = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    {
        let area = BitMapBackend::with_buffer(&mut large, (width, height)).into_drawing_area();
        draw_on(&area, &in_order(points), &in_order(smooth), title)?;
        area.present()?;
    }
    Ok(image::imageops::thumbnail(&large, SIZE.0, SIZE.1))
}

/// The points with finite losses by step; losses beyond 1e250 are brought back to it, so that the ends of axes are finite.
fn in_order(points: &[(u64, f64)]) -> Vec<(f64, f64)> {
    let mut points: Vec<(u64, f64)> = points.iter().copied().filter(|(_, loss)| loss.is_finite()).collect();
    points.sort_by_key(|&(step, _)| step);
    points.into_iter().map(|(step, loss)| (step as f64, loss.clamp(-1e250, 1e250))).collect()
}

/// `pixels` of the finished picture in pixels of the drawing.
const fn px(pixels: u32) -> u32 {
    pixels * OVERSAMPLING
}

fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, px(size)).into_font().color(&colour)
}

fn draw_on(area: &Area, points: &[(f64, f64)], smooth: &[(f64, f64)], title: &str) -> Drawn<()> {
    let all = || points.iter().chain(smooth);
    let steps = Axis::of_steps(all().map(|point| point.0));
    let losses = Axis::of_losses(all().map(|point| point.1));
    let loss_name = if losses.logarithmic { "loss (logarithmic)" } else { "loss" };
    let left = px(44 + 8 * losses.longest_label());
    let curves = [
        Curve { name: "measured", points, colour: MEASURED, width: px(1) },
        Curve { name: "smoothed", points: smooth, colour: SMOOTHED, width: 5 * px(1) / 2 },
    ];

    let (header, below) = area.margin(px(16), px(16), px(16), px(32)).split_vertically(px(48));
    draw_header(&header, left as i32, title, &curves)?;
    let mut chart =
        ChartBuilder::on(&below).x_label_area_size(px(58)).y_label_area_size(left).build_cartesian_2d(steps, losses)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(px(1)))
        .axis_style(FAINT_INK.stroke_width(px(1)))
        .set_all_tick_mark_size(px(5))
        .label_style(text(19, FAINT_INK))
        .axis_desc_style(text(21, INK))
        .x_desc("training step")
        .y_desc(loss_name)
        .draw()?;
    for curve in curves {
        let points = thinned(curve.points);
        let style = ShapeStyle { color: curve.colour.to_rgba(), filled: true, stroke_width: curve.width };
        let joint = if points.len() == 1 { px(4) } else { curve.width / 2 };
        // One piece at a time: the library draws a wide line as one polygon, which goes wrong where it crosses itself.
        chart.draw_series(points.windows(2).map(|pair| PathElement::new(pair, style)))?;
        chart.draw_series(points.iter().map(|&point| Circle::new(point, joint, style)))?;
    }
    if points.is_empty() && smooth.is_empty() {
        let (width, height) = area.dim_in_pixel();
        let style = text(21, FAINT_INK).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw_text("no finite loss yet", &style, ((width / 2) as i32, (height / 2) as i32))?;
    }
    Ok(())
}

/// A line of the plot.
struct Curve<'a> {
    name: &'static str,
    points: &'a [(f64, f64)],
    colour: RGBColor,
    /// In pixels of the drawing.
    width: u32,
}

/// Draws the title from `left` on, smaller if it is long, and at the right what the curves are and where they end.
fn draw_header(header: &Area, left: i32, title: &str, curves: &[Curve]) -> Drawn<()> {
    const SWATCH: i32 = px(24) as i32;
    const SPACE: i32 = px(8) as i32;
    let middle = px(16) as i32;
    let mut right = header.dim_in_pixel().0 as i32;
    let style = text(19, INK).pos(Pos::new(HPos::Right, VPos::Center));
    for curve in curves.iter().rev() {
        let Some((_, last)) = curve.points.last() else { continue };
        let label = format!("{}, last {}", curve.name, significant(*last));
        header.draw_text(&label, &style, (right, middle))?;
        right -= header.estimate_text_size(&label, &style)?.0 as i32 + SPACE;
        let half = curve.width.max(px(2)) as i32 / 2;
        // Text is centred a little too high.
        let centre = middle - px(2) as i32;
        let corners = [(right - SWATCH, centre - half), (right, centre + half)];
        header.draw(&Rectangle::new(corners, curve.colour.filled()))?;
        right -= SWATCH + 3 * SPACE;
    }

    let room = f64::from((right - left).max(0));
    let (width, _) = header.estimate_text_size(title, &text(27, INK))?;
    let size = (27.0 * room / f64::from(width.max(1))).min(27.0);
    header.draw_text(title, &text(size as u32, INK).pos(Pos::new(HPos::Left, VPos::Center)), (left, middle))
}

/// At most four points for each column of the picture (first, least, greatest, last), which look like all of them.
fn thinned(curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (curve.first(), curve.last()) else { return Vec::new() };
    if curve.len() <= 4 * SIZE.0 as usize {
        return curve.to_vec();
    }
    let column = |point: &(f64, f64)| ((point.0 - first.0) / (last.0 - first.0) * f64::from(SIZE.0)) as u32;
    let mut kept = Vec::new();
    for points in curve.chunk_by(|a, b| column(a) == column(b)) {
        let by_loss = |&a: &usize, &b: &usize| points[a].1.total_cmp(&points[b].1);
        let least = (0..points.len()).min_by(by_loss).unwrap_or(0);
        let greatest = (0..points.len()).max_by(by_loss).unwrap_or(0);
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

    /// Columns and rows, below the header, of pixels of exactly this colour.
    fn pixels(picture: &RgbImage, colour: RGBColor) -> Vec<(u32, u32)> {
        let all =
            picture.enumerate_pixels().filter(|(_, y, pixel)| *y > 70 && pixel.0 == [colour.0, colour.1, colour.2]);
        all.map(|(x, y, _)| (x, y)).collect()
    }

    #[test]
    fn the_file_holds_both_curves_and_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loss.png");
        let points: Vec<(u64, f64)> = (0..400).map(|k| (k, if k % 2 == 0 { 1.0 } else { 3.0 })).collect();
        write(&path, &points, &smoothed(&points, 50.0), "a title").unwrap();
        let picture = image::open(&path).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), SIZE);
        assert_eq!(picture.get_pixel(0, 0).0, [255; 3]);
        // The measured losses jump up and down over most of the height, the smoothed ones end near their mean.
        let rows = |colour| pixels(&picture, colour).into_iter().map(|(_, y)| y);
        assert!(rows(MEASURED).min().unwrap() < 120 && rows(MEASURED).max().unwrap() > 540);
        let end: Vec<u32> = pixels(&picture, SMOOTHED).into_iter().filter(|(x, _)| *x > 1000).map(|(_, y)| y).collect();
        assert!(!end.is_empty() && end.iter().all(|y| (300..400).contains(y)), "{end:?}");
        let header_ink = picture.enumerate_pixels().filter(|(_, y, pixel)| *y < 60 && pixel.0[0] < 100).count();
        let bare = draw(&points, &[], "").unwrap();
        assert!(header_ink > bare.enumerate_pixels().filter(|(_, y, pixel)| *y < 60 && pixel.0[0] < 100).count());
    }

    #[test]
    fn losses_of_more_than_a_decade_are_straight_lines_when_exponential() {
        let points: Vec<(u64, f64)> = (0..=100).map(|k| (k, (-0.1 * k as f64).exp())).collect();
        let line = pixels(&draw(&[], &points, "").unwrap(), SMOOTHED);
        let (first, last) = (*line.iter().min().unwrap(), *line.iter().max().unwrap());
        let slope = (f64::from(last.1) - f64::from(first.1)) / f64::from(last.0 - first.0);
        for (x, y) in line {
            assert!((f64::from(first.1) + slope * f64::from(x - first.0) - f64::from(y)).abs() < 4.0, "({x}, {y})");
        }
    }

    #[test]
    fn one_point_is_a_dot() {
        let dot = pixels(&draw(&[(7, 0.5)], &[], "").unwrap(), MEASURED);
        let spread = |of: fn(&(u32, u32)) -> u32| dot.iter().map(of).max().unwrap() - dot.iter().map(of).min().unwrap();
        assert!((4..12).contains(&spread(|pixel| pixel.0)) && (4..12).contains(&spread(|pixel| pixel.1)));
    }

    #[test]
    fn a_constant_loss_is_a_level_line() {
        for loss in [0.5, 0.0, 1e-310, f64::MIN] {
            let line = pixels(&draw(&[], &[(0, loss), (9, loss)], "").unwrap(), SMOOTHED);
            assert!(line.len() > 500, "{loss}");
            assert!(line.iter().all(|pixel| pixel.1.abs_diff(line[0].1) <= 3), "{loss}");
        }
    }

    #[test]
    fn no_finite_loss_is_said() {
        let ink = |picture: RgbImage| {
            picture
                .enumerate_pixels()
                .filter(|(x, y, p)| (500..700).contains(x) && y.abs_diff(360) < 20 && p.0[0] < 160)
                .count()
        };
        assert!(ink(draw(&[], &[], "").unwrap()) > 100);
        assert!(ink(draw(&[(0, f64::NAN), (1, f64::INFINITY)], &[], "").unwrap()) > 100);
        assert_eq!(ink(draw(&[(0, 1.0), (1, 1.5)], &[], "").unwrap()), 0);
    }

    #[test]
    fn extreme_inputs_are_drawn() {
        let extremes: [&[(u64, f64)]; 5] = [
            &[(0, f64::MAX), (1, f64::MIN), (2, f64::NAN)],
            &[(0, f64::MAX), (1, 5e-324)],
            &[(u64::MAX, 1.0), (0, 1.0 + f64::EPSILON)],
            &[(3, 1.0), (3, 2.0), (1, 0.0), (2, 100.0)],
            &[(u64::MAX, 1e9)],
        ];
        for points in extremes {
            let picture = draw(points, points, &"a very long title ".repeat(20)).unwrap();
            assert!(!pixels(&picture, SMOOTHED).is_empty(), "{points:?}");
        }
    }

    #[test]
    fn many_points_are_thinned_without_losing_spikes() {
        let mut curve: Vec<(f64, f64)> = (0..100_000).map(|k| (f64::from(k), f64::from(k % 7))).collect();
        curve[54_321].1 = 99.0;
        curve[12_345].1 = -99.0;
        let thin = thinned(&curve);
        assert!(thin.len() <= 4 * (SIZE.0 as usize + 1) && thin.len() > SIZE.0 as usize);
        assert!(thin.contains(&(54_321.0, 99.0)) && thin.contains(&(12_345.0, -99.0)));
        assert_eq!((thin.first(), thin.last()), (curve.first(), curve.last()));
        assert!(thin.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(thinned(&curve[..100]), curve[..100]);
    }

    #[test]
    fn smoothing_is_the_weighted_mean_of_what_came_before() {
        let points: Vec<(u64, f64)> = vec![(5, 2.0), (6, 4.0), (7, f64::INFINITY), (8, 10.0)];
        let beta = 0.5_f64.powf(1.0 / 3.0);
        let expected = (beta * beta * 2.0 + beta * 4.0 + 10.0) / (beta * beta + beta + 1.0);
        let smooth = smoothed(&points, 3.0);
        assert_eq!(smooth.iter().map(|point| point.0).collect::<Vec<_>>(), [5, 6, 8]);
        assert!((smooth[2].1 - expected).abs() < 1e-12);
        assert_eq!(smoothed(&points, 0.0), [(5, 2.0), (6, 4.0), (8, 10.0)]);
        assert_eq!(smoothed(&points, f64::NAN), smoothed(&points, 0.0));
        assert_eq!(smoothed(&[], 3.0), []);
    }
}
