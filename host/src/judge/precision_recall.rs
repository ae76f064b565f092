//! Precision and recall by nearest neighbours (Kynkaanniemi et al. 2019).
//!
//! A set of points stands for the union of balls around them, each reaching to its point's `k`-th nearest other. Precision is the share of
//! samples inside the real rows' balls, recall the share of real rows inside the samples' balls.

use crate::neighbours::{Near, TOGETHER, nearest_others, squared_distance, tile};
use rayon::prelude::*;

/// `k`, as in the paper.
pub const NEIGHBOURS: usize = 3;

/// A union of balls around points.
#[derive(Clone, Debug)]
pub struct Manifold {
    points: Vec<f32>,
    width: usize,
    squared_radii: Vec<f32>,
}

impl Manifold {
    /// The balls around `points`, `[n, width]`; nothing lies in them unless there are more points than [`NEIGHBOURS`].
    pub fn around(points: Vec<f32>, width: usize) -> Self {
        let reach = |others: [Near; NEIGHBOURS]| match others[NEIGHBOURS - 1].squared {
            squared if squared.is_finite() => squared,
            _ => f32::NEG_INFINITY,
        };
        let squared_radii = nearest_others::<NEIGHBOURS>(&points, width).into_iter().map(reach).collect();
        Self { points, width, squared_radii }
    }

    /// The points.
    pub fn points(&self) -> &[f32] {
        &self.points
    }

    /// The share of `rows`, `[n, width]`, that lie inside; 0 of none.
    pub fn share_of(&self, rows: &[f32]) -> f64 {
        let inside: usize = rows.par_chunks(TOGETHER * self.width).map(|rows| self.count_of(rows)).sum();
        inside as f64 / (rows.len() / self.width).max(1) as f64
    }

    /// How many of some rows lie inside, all of which pass over a part of the points before the next part.
    fn count_of(&self, rows: &[f32]) -> usize {
        let mut inside = vec![false; rows.len() / self.width];
        pulp::Arch::default().dispatch(|| {
            let tiles =
                self.points.chunks(tile(self.width)).zip(self.squared_radii.chunks(tile(self.width) / self.width));
            for (points, radii) in tiles {
                for (row, inside) in rows.chunks_exact(self.width).zip(&mut inside).filter(|(_, inside)| !**inside) {
                    let mut balls = points.chunks_exact(self.width).zip(radii);
                    *inside = balls.any(|(point, &radius)| squared_distance(point, row) <= radius);
                }
            }
        });
        inside.into_iter().filter(|&inside| inside).count()
    }
}

/// `count` of the rows `[n, width]`, evenly spaced, all of them if there are no more: the paper compares sets of one size, since more points
/// have smaller balls.
pub fn evenly(rows: &[f32], width: usize, count: usize) -> Vec<f32> {
    let have = rows.len() / width;
    if have <= count {
        return rows.to_vec();
    }
    (0..count).flat_map(|index| &rows[index * have / count * width..][..width]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` points on a line from `start` on, 1 apart.
    fn line(start: f32, count: usize) -> Vec<f32> {
        (0..count).flat_map(|i| [start + i as f32, 0.0]).collect()
    }

    #[test]
    fn a_set_covers_itself_and_nothing_far_away() {
        let real = Manifold::around(line(0.0, 20), 2);
        assert_eq!(real.share_of(&line(0.0, 20)), 1.0);
        assert_eq!(real.share_of(&line(100.0, 20)), 0.0);
    }

    // The last point of 0..20 reaches back over three others, so 3 further: of 10..30 the points up to 22 lie inside.
    #[test]
    fn half_of_a_line() {
        let (a, b) = (line(0.0, 20), line(10.0, 20));
        assert_eq!(Manifold::around(a.clone(), 2).share_of(&b), 13.0 / 20.0);
        assert_eq!(Manifold::around(b, 2).share_of(&a), 13.0 / 20.0);
    }

    // Samples of one mode of two: all of them precise, half of the real rows recalled.
    #[test]
    fn a_forgotten_mode_costs_recall_alone() {
        let real = [line(0.0, 10), line(1000.0, 10)].concat();
        let samples = line(0.0, 10);
        assert_eq!(Manifold::around(real.clone(), 2).share_of(&samples), 1.0);
        assert_eq!(Manifold::around(samples, 2).share_of(&real), 0.5);
    }

    #[test]
    fn too_few_points_hold_nothing() {
        let few = line(0.0, NEIGHBOURS);
        assert_eq!(Manifold::around(few.clone(), 2).share_of(&few), 0.0);
    }

    #[test]
    fn rows_are_taken_evenly() {
        assert_eq!(evenly(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 1, 3), [0.0, 2.0, 4.0]);
        assert_eq!(evenly(&[0.0, 1.0], 1, 3), [0.0, 1.0]);
        assert_eq!(evenly(&line(0.0, 5), 2, 2), [0.0, 0.0, 2.0, 0.0]);
    }
}
