//! Nearest neighbours by plain search: exact, in any number of dimensions, on every core.

use rayon::prelude::*;

/// A neighbour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Squared Euclidean distance; infinite in the place of a neighbour that is not there.
    pub squared: f32,
    /// Which of the rows it is.
    pub row: u32,
}

/// Queries that pass over the rows together.
pub(crate) const TOGETHER: usize = 16;
/// Numbers of the rows that they pass over before the next ones are fetched from memory: these stay in the processor's cache.
const TILE: usize = 1 << 14;

/// The numbers of a [`TILE`] that holds whole rows, at least one.
pub(crate) fn tile(width: usize) -> usize {
    (TILE / width).max(1) * width
}

/// The `K` nearest of `rows` to each query, nearest first, of equals the earlier row; both are `[n, width]`.
pub fn nearest<const K: usize>(rows: &[f32], queries: &[f32], width: usize) -> Vec<[Near; K]> {
    search(rows, queries, width, |_| None)
}

/// For each of `rows` its `K` nearest others.
pub fn nearest_others<const K: usize>(rows: &[f32], width: usize) -> Vec<[Near; K]> {
    search(rows, rows, width, Some)
}

/// The same of any queries, for each of which `but` names the row that does not count, if there is one.
fn search<const K: usize>(
    rows: &[f32],
    queries: &[f32],
    width: usize,
    but: impl Fn(usize) -> Option<usize> + Sync,
) -> Vec<[Near; K]> {
    let together = queries.par_chunks(TOGETHER * width).enumerate();
    let found = together.flat_map_iter(|(part, queries)| {
        let mut found = vec![[Near { squared: f32::INFINITY, row: 0 }; K]; queries.len() / width];
        pulp::Arch::default().dispatch(|| {
            for (tile_index, tile_rows) in rows.chunks(tile(width)).enumerate() {
                let first = tile_index * (tile(width) / width);
                for (place, (query, nearest)) in queries.chunks_exact(width).zip(&mut found).enumerate() {
                    pass(tile_rows, first, query, but(part * TOGETHER + place), nearest);
                }
            }
        });
        found
    });
    found.collect()
}

/// Takes rows, the first of which has the number `first`, into account.
#[inline(always)]
fn pass<const K: usize>(rows: &[f32], first: usize, query: &[f32], but: Option<usize>, nearest: &mut [Near; K]) {
    for (index, row) in rows.chunks_exact(query.len()).enumerate().map(|(index, row)| (first + index, row)) {
        let squared = squared_distance(row, query);
        let place = nearest.partition_point(|other| other.squared <= squared);
        if place < K && Some(index) != but {
            nearest[place..].rotate_right(1);
            nearest[place] = Near { squared, row: index as u32 };
        }
    }
}

/// `|a - b|^2`, in partial sums that are the same for every vector width.
#[inline(always)]
pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
    sums.iter().sum::<f32>() + rest
}

/// The class that the three nearest rows have most often, and of three different ones the nearest one's.
pub fn vote(nearest: &[Near; 3], labels: &[u32]) -> u32 {
    let [a, b, c] = nearest.map(|near| labels[near.row as usize]);
    if b == c { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More rows than a tile holds, more queries than pass together.
    #[test]
    fn finds_what_sorting_finds() {
        let noise = tweedie_core::noise::NoiseStream::new(3, 0);
        let (mut rows, mut queries) = (vec![0.0_f32; 2000 * 19], vec![0.0_f32; 39 * 19]);
        assert!(rows.len() > 2 * tile(19) && queries.len() > 2 * TOGETHER * 19);
        noise.fill(0, &mut rows);
        noise.fill(1, &mut queries);
        for (query, found) in queries.chunks_exact(19).zip(nearest::<5>(&rows, &queries, 19)) {
            let distance =
                |row: &[f32]| -> f64 { row.iter().zip(query).map(|(a, b)| f64::from((a - b) * (a - b))).sum() };
            let mut sorted: Vec<(f64, u32)> = rows.chunks_exact(19).map(distance).zip(0..).collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (near, (squared, row)) in found.iter().zip(sorted) {
                assert_eq!(near.row, row);
                assert!((f64::from(near.squared) - squared).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn a_row_is_no_neighbour_of_its_own() {
        let found = nearest_others::<2>(&[0.0, 1.0, 5.0], 1);
        assert_eq!(found[0].map(|near| near.row), [1, 2]);
        assert_eq!(found[2].map(|near| near.squared), [16.0, 25.0]);
        // A third neighbour is not there.
        assert_eq!(nearest_others::<3>(&[0.0, 1.0, 5.0], 1)[0][2].squared, f32::INFINITY);
    }

    #[test]
    fn votes_are_counted() {
        let vote = |labels: [u32; 3]| vote(&[0, 1, 2].map(|row| Near { squared: 0.0, row }), &labels);
        assert_eq!([vote([7, 7, 1]), vote([7, 1, 7]), vote([1, 7, 7]), vote([1, 2, 3])], [7, 7, 7, 1]);
    }
}
