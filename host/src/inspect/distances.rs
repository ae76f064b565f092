//! How far rows lie apart: from the nearest other, and at most.

use super::rows::Rows;
use super::{Beside, Measure};
use crate::neighbours::{nearest_others, squared_distance};
use rayon::prelude::*;

/// Distances among rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distances {
    /// The median distance of a row to the nearest other that is not its copy.
    pub nearest: f64,
    /// The largest distance between two rows.
    pub largest: f64,
}

impl Distances {
    /// Of at least two rows, not all the same.
    pub fn of(rows: &Rows) -> Self {
        let mut nearest: Vec<f32> = nearest_others::<1>(&rows.values, rows.width)
            .into_iter()
            .map(|[near]| near.squared)
            .filter(|&squared| squared > 0.0)
            .collect();
        nearest.sort_unstable_by(f32::total_cmp);
        let squared = |a: &[f32], b: &[f32]| squared_distance(a, b);
        let farthest = |(index, row): (usize, &[f32])| {
            let others = rows.values[index * rows.width..].chunks_exact(rows.width);
            pulp::Arch::default().dispatch(|| others.map(|other| squared(row, other)).fold(0.0_f32, f32::max))
        };
        let all = rows.values.par_chunks_exact(rows.width).enumerate();
        let largest = all.map(farthest).reduce(|| 0.0, f32::max);
        // Where every row has a copy, the largest distance is all that there is.
        let median = nearest.get(nearest.len() / 2).copied().unwrap_or(largest);
        Self { nearest: f64::from(median).sqrt(), largest: f64::from(largest).sqrt() }
    }
}

/// Both, beside noise of the same mean and variance and as many rows.
pub fn measures(distances: &Beside<Distances>) -> [Measure; 2] {
    let (own, noise) = (&distances.data, &distances.noise);
    let reference = "noise of the same variance";
    let advice = if own.nearest > 0.8 * noise.nearest {
        "Rows are as lonely as noise: too few for so many dimensions; gather more, and look for copies with `eval`."
    } else {
        "Rows have neighbours, where noise has none: there is a distribution to learn between them."
    };
    [
        Measure::new(
            ["nearest_distance", "distance to the nearest row, median"],
            own.nearest,
            (noise.nearest, reference),
            advice,
        ),
        Measure::new(
            ["largest_distance", "largest distance of two rows"],
            own.largest,
            (noise.largest, reference),
            "Noise must be able to carry any row to any other: sigma_max is at least this (Song and Ermon 2020, technique 1).",
        ),
    ]
}
