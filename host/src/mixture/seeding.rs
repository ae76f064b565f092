//! Where a fit begins: k-means++ (Arthur and Vassilvitskii 2007), then some of Lloyd's rounds.

use crate::streams;
use tweedie_core::noise::NoiseStream;

/// Lloyd's rounds; expectation maximisation does the rest.
const ROUNDS: usize = 20;

/// The cluster, of `0..clusters`, that each of the rows (`[n, dimension]`) belongs to. The same stream, the same clusters.
///
/// A cluster may be empty where there are fewer different rows than clusters.
pub fn clusters(rows: &[f64], dimension: usize, clusters: usize, stream: &NoiseStream) -> Vec<usize> {
    let rows: Vec<&[f64]> = rows.chunks_exact(dimension).collect();
    let mut centres = first_centres(&rows, clusters, stream);
    let mut assigned = vec![0; rows.len()];
    for _ in 0..ROUNDS {
        for (row, cluster) in rows.iter().zip(&mut assigned) {
            *cluster = nearest(row, &centres).0;
        }
        for (k, centre) in centres.iter_mut().enumerate() {
            let own: Vec<&[f64]> = rows.iter().zip(&assigned).filter(|(_, a)| **a == k).map(|(row, _)| *row).collect();
            if own.is_empty() {
                continue;
            }
            centre.fill(0.0);
            for row in &own {
                centre.iter_mut().zip(*row).for_each(|(sum, value)| *sum += value / own.len() as f64);
            }
        }
    }
    assigned
}

/// Rows far from each other: each is drawn with a chance in proportion to its squared distance from those before it.
fn first_centres(rows: &[&[f64]], clusters: usize, stream: &NoiseStream) -> Vec<Vec<f64>> {
    let mut centres: Vec<Vec<f64>> = Vec::with_capacity(clusters);
    for draw in 0..clusters {
        let chances: Vec<f64> = match centres.is_empty() {
            true => vec![1.0; rows.len()],
            false => rows.iter().map(|row| nearest(row, &centres).1).collect(),
        };
        let mut left = streams::unit(stream.bits(draw as u32, 0)[0]) * chances.iter().sum::<f64>();
        let passes = |chance: &f64| {
            left -= chance;
            left < 0.0
        };
        // Where all rows are centres already, any will do.
        let chosen = chances.iter().position(passes).unwrap_or(0);
        centres.extend(rows.get(chosen).map(|row| row.to_vec()));
    }
    centres
}

/// The nearest centre and its squared distance; of equally near ones the first.
fn nearest(row: &[f64], centres: &[Vec<f64>]) -> (usize, f64) {
    let distance = |centre: &Vec<f64>| row.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    let closer = |best: (usize, f64), (k, centre)| {
        let own = distance(centre);
        if own < best.1 { (k, own) } else { best }
    };
    centres.iter().enumerate().fold((0, f64::INFINITY), closer)
}
