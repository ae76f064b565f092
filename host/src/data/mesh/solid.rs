//! What a closed surface encloses: inside and outside by the winding number, and points drawn evenly inside.

use std::path::Path;

use tweedie_core::noise::NoiseStream;

use super::closed::closed;
use super::{DataError, Surface};
use crate::data::Scaling;
use crate::streams;

/// The most cells of the grid along an axis.
const MOST_CELLS: usize = 256;
/// Draws for each point before a solid counts as too thin to be filled.
const DRAWS_FOR_A_POINT: u64 = 1000;
/// How many times its own size a solid may span from the origin, since all three axes share one offset.
const FARTHEST: f64 = 4.0;

/// A solid in the network's range: its coordinates lie in [-1, 1], all three scaled alike.
#[derive(Clone, Debug)]
pub struct Solid {
    /// Corners of each triangle, outward side counterclockwise.
    triangles: Vec<[[f64; 3]; 3]>,
    low: [f64; 3],
    high: [f64; 3],
    grid: Grid,
    scaling: Scaling,
}

impl Solid {
    /// The inside of a surface that is closed.
    pub(super) fn new(file: &Path, surface: Surface) -> Result<Self, DataError> {
        let surface = closed(file, surface)?;
        let corners = surface.triangles.iter().map(|triangle| triangle.map(|vertex| surface.vertices[vertex as usize]));
        let mut triangles: Vec<[[f64; 3]; 3]> = corners.collect();
        let (low, high) = bounds(&triangles);
        let scaling = scaling(file, low, high)?;
        let inward = |value: f64| (value - f64::from(scaling.offset)) / f64::from(scaling.scale);
        triangles.iter_mut().for_each(|triangle| *triangle = triangle.map(|corner| corner.map(inward)));
        let (low, high) = bounds(&triangles);
        let grid = Grid::new(&triangles, low, high);
        Ok(Self { triangles, low, high, grid, scaling })
    }

    /// The way back to the file's units.
    pub fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// Whether a place in the network's range is inside: whether the surface winds around it, however often. Parts that overlap are thereby
    /// one, and a hollow whose triangles look inwards is outside.
    ///
    /// The winding number is the sum over the triangles straight above the place, +1 for each that looks up, -1 for each that looks down. Seen
    /// from above, an edge gives the same answer for both of its triangles, so a ray that meets it counts one of them exactly.
    pub fn contains(&self, place: [f64; 3]) -> bool {
        let winding: i32 = self.grid.column(place).iter().map(|&i| above(&self.triangles[i as usize], place)).sum();
        winding != 0
    }

    /// `count` points inside, uniformly distributed, row-major `[count, 3]` in the network's range: a function of the seed. `file` stands in
    /// the message.
    ///
    /// # Errors
    /// [`DataError::Thin`] for a solid that fills less than about a thousandth of its box, or nothing at all.
    pub fn points(&self, file: &Path, seed: u64, count: usize) -> Result<Vec<f32>, DataError> {
        let stream = NoiseStream::new(seed, streams::POINTS);
        let mut points = Vec::with_capacity(3 * count);
        for draw in 0..DRAWS_FOR_A_POINT.saturating_mul(count as u64) {
            let bits = stream.bits(0, draw);
            let place: [f64; 3] = std::array::from_fn(|axis| {
                let (low, high) = (self.low[axis], self.high[axis]);
                low + (high - low) * streams::unit(bits[axis])
            });
            if self.contains(place) {
                // Rounding to f32 must not leave the range.
                points.extend(place.map(|value| (value as f32).clamp(-1.0, 1.0)));
                if points.len() == 3 * count {
                    break;
                }
            }
        }
        if points.len() < 3 * count { Err(DataError::Thin { file: file.into() }) } else { Ok(points) }
    }
}

/// The box around all corners.
fn bounds(triangles: &[[[f64; 3]; 3]]) -> ([f64; 3], [f64; 3]) {
    let corners = triangles.as_flattened();
    let fold = |start: f64, choose: fn(f64, f64) -> f64| {
        std::array::from_fn(|axis| corners.iter().map(|corner| corner[axis]).fold(start, choose))
    };
    (fold(f64::INFINITY, f64::min), fold(f64::NEG_INFINITY, f64::max))
}

/// The whole range of coordinates to [-1, 1].
fn scaling(file: &Path, low: [f64; 3], high: [f64; 3]) -> Result<Scaling, DataError> {
    let (min, max) =
        (low.into_iter().fold(f64::INFINITY, f64::min), high.into_iter().fold(f64::NEG_INFINITY, f64::max));
    let (offset, scale) = (max / 2.0 + min / 2.0, max / 2.0 - min / 2.0);
    let size = low.iter().zip(&high).map(|(low, high)| high / 2.0 - low / 2.0).fold(0.0, f64::max);
    if size == 0.0 || !size.is_normal() {
        return Err(DataError::Thin { file: file.into() });
    }
    if scale > FARTHEST * size {
        return Err(DataError::OffCentre { file: file.into(), size: 2.0 * size, min, max });
    }
    let scaling = Scaling { offset: offset as f32, scale: scale as f32 };
    let is_sound = scaling.scale > 0.0 && scaling.to_units(-1.0).is_finite() && scaling.to_units(1.0).is_finite();
    if is_sound { Ok(scaling) } else { Err(DataError::Range { file: file.into(), min, max }) }
}

/// +1 for a triangle straight above a place that looks up, -1 for one that looks down, 0 for one that is not above.
fn above(triangle: &[[f64; 3]; 3], [x, y, z]: [f64; 3]) -> i32 {
    let [a, b, c] = *triangle;
    let around = crossing(a, b, x, y) + crossing(b, c, x, y) + crossing(c, a, x, y);
    if around == 0 {
        return 0;
    }
    let (u, v) = ([b[0] - a[0], b[1] - a[1], b[2] - a[2]], [c[0] - a[0], c[1] - a[1], c[2] - a[2]]);
    let normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    let height = a[2] - (normal[0] * (x - a[0]) + normal[1] * (y - a[1])) / normal[2];
    // Negated, so that a triangle that stands upright, and has no height, is not above.
    if height > z { around } else { 0 }
}

/// Whether an edge, seen from above, crosses the line from (x, y) to the right: +1 northwards, -1 southwards. Computed from the same end whichever
/// way the edge runs, so that both triangles at it agree to the last bit.
fn crossing(from: [f64; 3], to: [f64; 3], x: f64, y: f64) -> i32 {
    let is_north = to[1] > y;
    if (from[1] > y) == is_north {
        return 0;
    }
    let (south, north) = if is_north { (from, to) } else { (to, from) };
    let at = south[0] + (y - south[1]) / (north[1] - south[1]) * (north[0] - south[0]);
    match (at > x, is_north) {
        (false, _) => 0,
        (true, true) => 1,
        (true, false) => -1,
    }
}

/// Columns of a grid, seen from above, with the triangles that each may contain.
#[derive(Clone, Debug)]
struct Grid {
    side: usize,
    low: [f64; 2],
    /// Cells for a unit of length.
    density: [f64; 2],
    /// Where each column's triangles start in `triangles`; one more than columns.
    starts: Vec<u32>,
    triangles: Vec<u32>,
}

impl Grid {
    fn new(triangles: &[[[f64; 3]; 3]], low: [f64; 3], high: [f64; 3]) -> Self {
        let mut side = (triangles.len() as f64).sqrt().ceil().clamp(1.0, MOST_CELLS as f64) as usize;
        loop {
            let density = [0, 1].map(|axis| side as f64 / (high[axis] - low[axis]));
            let mut grid = Grid { side, low: [low[0], low[1]], density, starts: Vec::new(), triangles: Vec::new() };
            let spans: Vec<[usize; 4]> = triangles.iter().map(|triangle| grid.span(triangle)).collect();
            let entries: usize = spans.iter().map(|[l, r, b, t]| (r - l + 1) * (t - b + 1)).sum();
            // Many large triangles must not fill the memory.
            if side > 1 && entries > 16 * triangles.len() + MOST_CELLS * MOST_CELLS {
                side /= 2;
                continue;
            }
            grid.fill(&spans);
            return grid;
        }
    }

    /// The cell along an axis; cells at the edge reach beyond the box.
    fn cell(&self, axis: usize, value: f64) -> usize {
        // `as` saturates, and takes what is not a number, in a flat box, for 0.
        (((value - self.low[axis]) * self.density[axis]) as usize).min(self.side - 1)
    }

    /// First and last cell along x, first and last along y.
    fn span(&self, triangle: &[[f64; 3]; 3]) -> [usize; 4] {
        let cells = |axis: usize| triangle.map(|corner| self.cell(axis, corner[axis]));
        let ends = |cells: [usize; 3]| (cells[0].min(cells[1]).min(cells[2]), cells[0].max(cells[1]).max(cells[2]));
        let ((left, right), (bottom, top)) = (ends(cells(0)), ends(cells(1)));
        [left, right, bottom, top]
    }

    fn fill(&mut self, spans: &[[usize; 4]]) {
        let side = self.side;
        let columns = |&[left, right, bottom, top]: &[usize; 4]| {
            (bottom..=top).flat_map(move |row| (left..=right).map(move |column| row * side + column))
        };
        let mut counts = vec![0_u32; side * side + 1];
        spans.iter().flat_map(columns).for_each(|column| counts[column + 1] += 1);
        for column in 0..side * side {
            counts[column + 1] += counts[column];
        }
        self.triangles = vec![0; counts[side * side] as usize];
        let mut next = counts.clone();
        for (triangle, span) in spans.iter().enumerate() {
            for column in columns(span) {
                self.triangles[next[column] as usize] = triangle as u32;
                next[column] += 1;
            }
        }
        self.starts = counts;
    }

    /// The triangles that may lie above or below a place.
    fn column(&self, [x, y, _]: [f64; 3]) -> &[u32] {
        let column = self.cell(1, y) * self.side + self.cell(0, x);
        &self.triangles[self.starts[column] as usize..self.starts[column + 1] as usize]
    }
}
