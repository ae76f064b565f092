//! The one-sided Chamfer distance between clouds of points: how far samples stray from a solid.

use rayon::prelude::*;

use crate::data::{DataError, Solid};
use std::path::Path;

/// Points that stand for the solid.
const REFERENCE: usize = 20_000;
/// Seeds of points that no training has seen.
const REFERENCE_SEED: u64 = 1;
const FRESH_SEED: u64 = 2;

/// `mean_a min_b |a - b|`, the mean over the points of `from` of the distance to the nearest of `to`; both `[n, 3]`. Not a number if either is empty.
///
/// It is one-sided: it finds points of `from` that lie astray, and not parts of `to` that `from` leaves out.
///
/// ```
/// let distance = tweedie_host::chamfer::one_sided(&[0.0, 0.0, 1.0, 0.0, 0.0, 3.0], &[0.0, 0.0, 0.0, 0.0, 0.0, 2.5]);
/// assert_eq!(distance, (1.0 + 0.5) / 2.0);
/// ```
pub fn one_sided(from: &[f32], to: &[f32]) -> f64 {
    let (from, _) = from.as_chunks::<3>();
    let (to, _) = to.as_chunks::<3>();
    let nearest = |a: &[f32; 3]| {
        let squares = to.iter().map(|b| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2));
        f64::from(squares.fold(if to.is_empty() { f32::NAN } else { f32::INFINITY }, f32::min)).sqrt()
    };
    // Collected, so that the sum does not depend on the number of threads.
    let distances: Vec<f64> = from.par_iter().map(nearest).collect();
    distances.iter().sum::<f64>() / distances.len() as f64
}

/// How far samples of a solid stray, beside as many points that are truly inside. Both distances are to 20 000 other points inside, in the
/// network's range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Straying {
    /// The one-sided distance of the samples.
    pub samples: f64,
    /// That of fresh points inside: what a perfect model would have.
    pub fresh: f64,
}

impl Straying {
    /// Measures samples `[n, 3]` in the network's range. `file` stands in messages.
    ///
    /// # Errors
    /// As of [`Solid::points`].
    pub fn of(samples: &[f32], solid: &Solid, file: &Path) -> Result<Self, DataError> {
        let reference = solid.points(file, REFERENCE_SEED, REFERENCE)?;
        let fresh = solid.points(file, FRESH_SEED, samples.len() / 3)?;
        Ok(Self { samples: one_sided(samples, &reference), fresh: one_sided(&fresh, &reference) })
    }

    /// How many times farther the samples lie; 1 is perfect.
    pub fn ratio(&self) -> f64 {
        self.samples / self.fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mesh;

    #[test]
    fn nothing_is_no_distance() {
        assert!(one_sided(&[], &[0.0; 3]).is_nan() && one_sided(&[0.0; 3], &[]).is_nan());
    }

    #[test]
    fn only_points_inside_stray_as_little_as_points_inside() {
        let (cow, file) = (mesh::load("cow").unwrap().unwrap(), Path::new("cow"));
        let inside = cow.points(file, 7, 512).unwrap();
        let straying = Straying::of(&inside, &cow, file).unwrap();
        assert!((straying.ratio() - 1.0).abs() < 0.1, "{straying:?}");
        // Moved by a fifth of its half length, a third of the cow leaves itself.
        let moved: Vec<f32> = inside.chunks_exact(3).flat_map(|p| [p[0], p[1] + 0.2, p[2]]).collect();
        assert!(Straying::of(&moved, &cow, file).unwrap().ratio() > 1.4);
    }
}
