//! The loss of a training run over its steps, as measured and smoothed.

use std::path::Path;

use super::PictureError;
use super::axis::{Axis, significant};
use super::line_plot::{Curve, LinePlot, Stroke};

const MEASURED: [u8; 3] = [168, 199, 233];
const SMOOTHED: [u8; 3] = [20, 84, 158];

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
    plot(points, smooth, title).write(path)
}

fn plot(points: &[(u64, f64)], smooth: &[(u64, f64)], title: &str) -> LinePlot {
    let curves = [
        ("measured", in_order(points), MEASURED, Stroke::Line(1.0)),
        ("smoothed", in_order(smooth), SMOOTHED, Stroke::Line(2.5)),
    ];
    let curves = curves.map(|(name, points, colour, stroke)| {
        let last = points.last().map(|(_, loss)| significant(*loss)).unwrap_or_default();
        Curve { name: format!("{name}, last {last}"), is_listed: true, points, colour, stroke }
    });
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let steps = Axis::of_steps(all().map(|point| point.0));
    let losses = Axis::of_losses(all().map(|point| point.1));
    let loss_name = if losses.logarithmic { "loss (logarithmic)" } else { "loss" };
    let plot = LinePlot::new(title, ("training step", steps), (loss_name, losses), curves.to_vec());
    LinePlot { if_empty: "no finite loss yet".to_owned(), ..plot }
}

/// The points with finite losses by step; losses beyond 1e250 are brought back to it, so that the ends of axes are finite.
fn in_order(points: &[(u64, f64)]) -> Vec<(f64, f64)> {
    let mut points: Vec<(u64, f64)> = points.iter().copied().filter(|(_, loss)| loss.is_finite()).collect();
    points.sort_by_key(|&(step, _)| step);
    points.into_iter().map(|(step, loss)| (step as f64, loss.clamp(-1e250, 1e250))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::line_plot::WIDE;
    use super::*;
    use image::RgbImage;

    fn draw(points: &[(u64, f64)], smooth: &[(u64, f64)], title: &str) -> Result<RgbImage, PictureError> {
        plot(points, smooth, title).draw()
    }

    /// Columns and rows, below the header, of pixels of exactly this colour.
    fn pixels(picture: &RgbImage, colour: [u8; 3]) -> Vec<(u32, u32)> {
        let all = picture.enumerate_pixels().filter(|(_, y, pixel)| *y > 70 && pixel.0 == colour);
        all.map(|(x, y, _)| (x, y)).collect()
    }

    #[test]
    fn the_file_holds_both_curves_and_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loss.png");
        let points: Vec<(u64, f64)> = (0..400).map(|k| (k, if k % 2 == 0 { 1.0 } else { 3.0 })).collect();
        write(&path, &points, &smoothed(&points, 50.0), "a title").unwrap();
        let picture = image::open(&path).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), WIDE);
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
