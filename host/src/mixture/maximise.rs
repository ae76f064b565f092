//! Probabilistic principal component analysis in closed form (Tipping and Bishop 1999, eq. 7 and 8): the maximisation of one component.

use nalgebra::{DMatrix, SymmetricEigen};

/// The least variance in any direction, on data in [-1, 1]: a deviation of a hundredth, what 8 bits resolve. Below it a component
/// would become infinitely dense around a few samples.
pub const LEAST_VARIANCE: f64 = 1e-4;

/// Shares of samples below this count for nothing.
const NEGLIGIBLE: f64 = 1e-12;

/// One component of rank `r` in `d` coordinates.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// The prior: the mean of the samples' shares.
    pub weight: f64,
    /// The mean, `[d]`.
    pub mean: Vec<f64>,
    /// The principal directions, `[r, d]`, the strongest first.
    pub basis: Vec<f64>,
    /// The variances along them, `[r]`.
    pub eigenvalues: Vec<f64>,
    /// The variance in all other directions: the mean of what is left over.
    pub floor: f64,
}

impl Component {
    /// The component that makes `rows` (`[n, d]`), each counted with its share of `[n]`, most likely: mean and covariance of the rows, the
    /// covariance cut off after `rank < d` eigenvectors.
    ///
    /// Without any share it is made of all rows alike, and is given next to no weight.
    pub fn most_likely(rows: &[f64], dimension: usize, shares: &[f64], rank: usize) -> Self {
        let total: f64 = shares.iter().sum();
        let equal = vec![1.0; shares.len()];
        let counted = if total > NEGLIGIBLE { shares } else { &equal };
        let sum: f64 = counted.iter().sum();
        let rows = || rows.chunks_exact(dimension).zip(counted).filter(|(_, share)| **share > NEGLIGIBLE);

        let mut mean = vec![0.0; dimension];
        for (row, share) in rows() {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += share / sum * x);
        }
        let centred = rows().flat_map(|(row, share)| {
            let root = (share / sum).sqrt();
            row.iter().zip(&mean).map(move |(x, m)| root * (x - m))
        });
        let centred = DMatrix::from_row_iterator(rows().count(), dimension, centred.collect::<Vec<_>>());
        let SymmetricEigen { eigenvalues, eigenvectors } = centred.tr_mul(&centred).symmetric_eigen();

        let mut order: Vec<usize> = (0..dimension).collect();
        order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
        let (kept, left) = order.split_at(rank);
        let floor = left.iter().map(|&i| eigenvalues[i]).sum::<f64>() / left.len() as f64;
        Self {
            weight: (total / shares.len() as f64).max(NEGLIGIBLE),
            basis: kept.iter().flat_map(|&i| eigenvectors.column(i).iter().copied().collect::<Vec<_>>()).collect(),
            eigenvalues: kept.iter().map(|&i| eigenvalues[i].max(LEAST_VARIANCE)).collect(),
            floor: floor.max(LEAST_VARIANCE),
            mean,
        }
    }
}
