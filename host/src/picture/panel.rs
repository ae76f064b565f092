//! Samples in a picture of a given size, such as a half of a terminal or of a window: as large as they can be, and as many as fit.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use super::sheet::Layout;
use super::traces::curve;
use super::{Depiction, PictureError, brightness, cloud};

/// What stands between samples: all but black, so that it is told from their edges in colours and is blank in characters.
const BACKGROUND: Rgb<u8> = Rgb([20, 23, 30]);
/// The least height of a curve.
const CURVE: usize = 5;
/// The least side of a view of points, and of a shrunk image.
const LEAST: usize = 4;

/// How a panel is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    columns: usize,
    rows: usize,
    /// Width and height of a cell.
    cell: (usize, usize),
}

impl Grid {
    /// The grid of cells of one size that fits.
    fn of_cells(cell: (usize, usize), (width, height): (usize, usize)) -> Self {
        let gap = gap(width);
        let fit = |room: usize, length: usize| (room + gap) / (length + gap);
        Self { columns: fit(width, cell.0), rows: fit(height, cell.1), cell }
    }

    fn count(&self) -> usize {
        self.columns * self.rows
    }
}

/// Pixels between samples.
fn gap(width: usize) -> usize {
    (width / 160).max(1)
}

/// How many of `count` samples of a shape a panel of `size` (width, height) shows; 0 if it is too small for any. Points make one picture, so that
/// all of them are shown or none.
///
/// # Errors
/// [`PictureError::Shape`] for samples that are no images, vectors, curves or points.
pub fn room(shape: &[usize], count: usize, size: (usize, usize)) -> Result<usize, PictureError> {
    let grid = grid(shape, count, size)?;
    Ok(match Depiction::of(shape) {
        Depiction::Cloud if grid.count() < 2 => 0,
        Depiction::Cloud => count,
        Depiction::Sheet | Depiction::Traces => grid.count().min(count),
    })
}

fn grid(shape: &[usize], count: usize, size: (usize, usize)) -> Result<Grid, PictureError> {
    let (width, height) = size;
    match Depiction::of(shape) {
        Depiction::Cloud => {
            // Both views beside or above each other.
            let beside = ((width.saturating_sub(gap(width))) / 2).min(height);
            let above = ((height.saturating_sub(gap(width))) / 2).min(width);
            let (columns, rows) = if beside >= above { (2, 1) } else { (1, 2) };
            let side = beside.max(above);
            Ok(if side < LEAST {
                Grid { columns: 0, rows: 0, cell: (0, 0) }
            } else {
                Grid { columns, rows, cell: (side, side) }
            })
        }
        Depiction::Traces => {
            // Below each other, and in more columns when they would be too low.
            let rows = (height + gap(width)) / (CURVE + gap(width));
            let columns = count.div_ceil(rows.max(1)).clamp(1, 3);
            let rows = count.div_ceil(columns).min(rows);
            let share = |room: usize, parts: usize| ((room + gap(width)) / parts.max(1)).saturating_sub(gap(width));
            let cell = (share(width, columns), share(height, rows));
            Ok(if cell.0 == 0 || cell.1 == 0 {
                Grid { columns: 0, rows: 0, cell: (0, 0) }
            } else {
                Grid { columns, rows, cell }
            })
        }
        Depiction::Sheet => {
            let (w, h) = natural(shape, count)?;
            let of = |zoom: usize| Grid::of_cells((w * zoom, h * zoom), size);
            let largest = (width / w).min(height / h);
            if let Some(grid) = (1..=largest).rev().map(of).find(|grid| grid.count() >= count) {
                return Ok(grid);
            }
            // Else as many as fit in their own size, or one that is shrunk.
            let shrunk = |block: usize| Grid::of_cells((w.div_ceil(block), h.div_ceil(block)), size);
            let blocks = 1..=(w.max(h) / LEAST).max(1);
            let none = Grid { columns: 0, rows: 0, cell: (0, 0) };
            Ok(blocks.map(shrunk).find(|grid| grid.count() > 0).unwrap_or(none))
        }
    }
}

/// Width and height of a sample in pixels, not enlarged; a vector is a strip with an eighth of its length for a height.
fn natural(shape: &[usize], count: usize) -> Result<(usize, usize), PictureError> {
    let layout = Layout::of(&[&[count.max(1)], shape].concat())?;
    Ok(match shape {
        [length] => (*length, (length / 8).max(1)),
        _ => (layout.width, layout.height),
    })
}

/// Draws the first of `samples`, `[n, shape...]` in the network's range, as many as there is [`room`] for, into a picture of `size` (width,
/// height). `count` is how many a panel is divided for, so that a panel of none is as one of all.
///
/// # Errors
/// [`PictureError::Shape`], [`PictureError::Length`].
///
/// ```
/// use tweedie_host::picture::panel;
///
/// let white = [1.0; 4 * 8 * 8];
/// let picture = panel::draw(&white, &[8, 8], 4, (40, 20))?;
/// assert_eq!((picture.dimensions(), picture.get_pixel(0, 0).0), ((40, 20), [255; 3]));
/// # Ok::<(), tweedie_host::picture::PictureError>(())
/// ```
pub fn draw(samples: &[f32], shape: &[usize], count: usize, size: (usize, usize)) -> Result<RgbImage, PictureError> {
    let features = shape.iter().product::<usize>().max(1);
    if !samples.len().is_multiple_of(features) {
        let shape = [&[samples.len() / features], shape].concat();
        return Err(PictureError::Length { shape, length: samples.len() });
    }
    let mut picture = RgbImage::from_pixel(size.0 as u32, size.1 as u32, BACKGROUND);
    let grid = grid(shape, count, size)?;
    if samples.is_empty() || grid.count() == 0 {
        return Ok(picture);
    }
    let each = samples.chunks_exact(features).take(count);
    let cells: Vec<RgbImage> = match Depiction::of(shape) {
        Depiction::Cloud => cloud::coloured_views(samples, grid.cell.0).to_vec(),
        Depiction::Traces => each.map(|values| trace(values, grid.cell)).collect(),
        Depiction::Sheet => {
            let (layout, natural) = (Layout::of(&[&[1], shape].concat())?, natural(shape, count)?);
            let plain = |sample: &[f32]| {
                RgbImage::from_fn(natural.0 as u32, natural.1 as u32, |x, y| {
                    Rgb(layout.colour(sample, (y as usize).min(layout.height - 1), x as usize))
                })
            };
            each.take(grid.count()).map(|sample| resized(&plain(sample), grid.cell)).collect()
        }
    };
    for (index, cell) in cells.iter().take(grid.count()).enumerate() {
        let at = |index: usize, length: usize| (index * (length + gap(size.0))) as i64;
        let (column, row) = (index % grid.columns, index / grid.columns);
        imageops::replace(&mut picture, cell, at(column, grid.cell.0), at(row, grid.cell.1));
    }
    Ok(picture)
}

fn trace(values: &[f32], (width, height): (usize, usize)) -> RgbImage {
    let image = curve(values, width, height);
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let level = brightness(image[y as usize * width + x as usize]).unwrap_or(0);
        Rgb([level; 3])
    })
}

/// Enlarged by whole numbers, or shrunk by means.
fn resized(image: &RgbImage, (width, height): (usize, usize)) -> RgbImage {
    let (width, height) = (width as u32, height as u32);
    let filter = if width < image.width() { FilterType::Triangle } else { FilterType::Nearest };
    imageops::resize(image, width, height, filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::{TestResult, quickcheck};

    #[test]
    fn samples_are_as_large_as_they_can_be() {
        // Ten of 8 x 8 in half of 80 x 24 characters.
        assert_eq!(grid(&[8, 8], 10, (39, 38)).unwrap(), Grid { columns: 4, rows: 4, cell: (8, 8) });
        assert_eq!(grid(&[8, 8], 10, (79, 60)).unwrap(), Grid { columns: 4, rows: 3, cell: (16, 16) });
        assert_eq!(grid(&[8, 8], 1, (39, 38)).unwrap(), Grid { columns: 1, rows: 1, cell: (32, 32) });
        // One of 28 x 28 fits, and of 64 x 64 none but shrunk.
        assert_eq!(room(&[1, 28, 28], 10, (39, 38)).unwrap(), 1);
        assert_eq!(grid(&[3, 64, 64], 4, (39, 38)).unwrap().cell, (32, 32));
        assert_eq!(room(&[8, 8], 3, (3, 9)).unwrap(), 0);
        // Points: two views beside each other, or above.
        assert_eq!(grid(&[3], 500, (80, 40)).unwrap(), Grid { columns: 2, rows: 1, cell: (39, 39) });
        assert_eq!(grid(&[3], 500, (39, 90)).unwrap(), Grid { columns: 1, rows: 2, cell: (39, 39) });
        assert_eq!((room(&[3], 500, (39, 90)).unwrap(), room(&[3], 500, (7, 3)).unwrap()), (500, 0));
        assert_eq!(grid(&[1, 128], 4, (39, 38)).unwrap(), Grid { columns: 1, rows: 4, cell: (39, 8) });
        assert!(matches!(room(&[2, 8, 8], 1, (80, 80)), Err(PictureError::Shape { .. })));
    }

    #[test]
    fn samples_stand_in_their_order() {
        let levels = [-1.0, 0.0, 1.0];
        let samples: Vec<f32> = levels.iter().flat_map(|&level| [level; 4]).collect();
        let picture = draw(&samples, &[2, 2], 3, (5, 6)).unwrap();
        let at = |x, y| picture.get_pixel(x, y).0[0];
        assert_eq!([at(0, 0), at(3, 1), at(0, 3), at(1, 4)], [0, 128, 255, 255]);
        assert_eq!([picture.get_pixel(2, 0), picture.get_pixel(3, 3)], [&BACKGROUND; 2]);
        // In colour, channels first; as vectors, from blue to red.
        assert_eq!(draw(&[1.0, -1.0, 1.0], &[3, 1, 1], 1, (1, 1)).unwrap().get_pixel(0, 0).0, [255, 0, 255]);
        let strip = draw(&[-1.0, 1.0], &[2], 1, (2, 1)).unwrap();
        assert!(strip.get_pixel(0, 0).0[2] > 150 && strip.get_pixel(1, 0).0[0] > 150);
        assert!(draw(&[0.0; 5], &[2, 2], 1, (9, 9)).is_err());
    }

    #[test]
    fn points_and_curves_are_seen() {
        let bright = |picture: &RgbImage| picture.pixels().filter(|pixel| pixel.0[0] > 128).count();
        let point = draw(&[0.0, 0.0, 0.0], &[3], 1, (40, 20)).unwrap();
        assert!((2..40).contains(&bright(&point)), "{}", bright(&point));
        let level = draw(&[0.0; 16], &[1, 16], 1, (16, 9)).unwrap();
        assert_eq!((bright(&level), level.get_pixel(3, 4).0), (16, [255; 3]));
    }

    #[test]
    fn whatever_is_shown_fits() {
        fn fits(kind: u8, side: u8, count: u8, width: u8, height: u8) -> TestResult {
            let side = usize::from(side % 70) + 1;
            let shape = [vec![side, side / 2 + 1], vec![3, side, side], vec![3], vec![1, side + 1], vec![side + 3]];
            let shape = &shape[usize::from(kind) % shape.len()];
            let (count, size) = (usize::from(count % 20) + 1, (usize::from(width) + 1, usize::from(height) + 1));
            let grid = grid(shape, count, size).unwrap();
            let across = grid.columns * (grid.cell.0 + gap(size.0));
            let down = grid.rows * (grid.cell.1 + gap(size.0));
            let picture = draw(&vec![0.3; count * shape.iter().product::<usize>()], shape, count, size).unwrap();
            let is_within = across <= size.0 + gap(size.0) && down <= size.1 + gap(size.0);
            let blank = picture.pixels().all(|&pixel| pixel == BACKGROUND);
            TestResult::from_bool(is_within && blank == (room(shape, count, size).unwrap() == 0))
        }
        quickcheck(fits as fn(u8, u8, u8, u8, u8) -> TestResult);
    }
}
