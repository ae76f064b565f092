//! Mixtures of Gaussians with a few directions each: subspaces, probabilistic PCA, full covariances.

use super::gaussian::{Gaussian, total};
use super::joint::LogJoint;
use super::mixture::{Mixture, along, total_weight, variances, within, wrong_length};
use crate::error::in_range;
use crate::{Error, NoiseLevel};
use libm::{log, sqrt};

/// How far rows of a basis may be from orthonormal: what the `f32` of a file leaves.
const ORTHONORMAL: f64 = 1e-6;

/// The tables of a [`LowRankMixture`] of `k` components of rank `r` in `d` coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LowRankTables<'a> {
    /// Priors, `[k]`, positive; their sum may be any number.
    pub weights: &'a [f64],
    /// Means, `[k, d]`.
    pub means: &'a [f64],
    /// Bases, `[k, r, d]`: the `r` rows of each component are orthonormal, the columns of `U_k`.
    pub bases: &'a [f64],
    /// Variances along the rows of the bases, `[k, r]`.
    pub eigenvalues: &'a [f64],
    /// Variance in all other directions, `[k]`; 0 for data on a subspace.
    pub floors: &'a [f64],
}

/// A mixture of Gaussians each with a few directions of its own: `S_k = U_k diag(lambda_k) U_k^T + floor_k (I - U_k U_k^T)`.
///
/// - Eigenvalues 1, means and floors 0: the mixture of low-rank Gaussians of (3.2.80), `S_k = U_k U_k^T`, whose denoiser in the
///   variance-exploding process is an attention, `w = softmax_k(|U_k^T x_t|^2 / (2 t^2 (1 + t^2)))`, `x0_hat = sum_k w_k U_k U_k^T x_t / (1 + t^2)`.
/// - A positive floor: probabilistic PCA (Tipping and Bishop 1999), `S_k = W_k W_k^T + floor_k I` with `lambda = |w|^2 + floor`.
/// - As many rows as coordinates: any covariance, by its eigenvectors. No rows: round Gaussians.
///
/// ```
/// use tweedie_core::{NoiseLevel, exact::{LowRankMixture, LowRankTables, Mixture}};
/// // Two lines in the plane; at t = 1 the state leans to the nearer one.
/// let lines = LowRankTables { weights: &[1.0; 2], means: &[0.0; 4], bases: &[1.0, 0.0, 0.0, 1.0], eigenvalues: &[1.0; 2], floors: &[0.0; 2] };
/// let lines = LowRankMixture::new(lines)?;
/// let mut x0_hat = [0.0; 2];
/// lines.denoise(&[2.0, 0.0], NoiseLevel::new(1.0, 1.0)?, &mut [0.0; 2], &mut x0_hat)?;
/// let first = 1.0 / (1.0 + libm::exp(-1.0)); // softmax(4 / 4, 0 / 4)
/// assert!((x0_hat[0] - first).abs() < 1e-15 && x0_hat[1] == 0.0);
/// # Ok::<(), tweedie_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LowRankMixture<'a> {
    tables: LowRankTables<'a>,
    dimension: usize,
    rank: usize,
    total_weight: f64,
}

impl<'a> LowRankMixture<'a> {
    /// A mixture from its tables.
    ///
    /// # Errors
    /// [`Error::WrongLength`] for tables that do not fit; [`Error::OutOfRange`] for a weight that is not positive, a negative
    /// variance, rows that are not orthonormal to 1e-6, or a number beyond [`LARGEST`](super::LARGEST).
    pub fn new(tables: LowRankTables<'a>) -> Result<Self, Error> {
        let total_weight = total_weight(tables.weights)?;
        let count = tables.weights.len();
        let (dimension, rank) = ((tables.means.len() / count).max(1), tables.eigenvalues.len() / count);
        wrong_length("means of a mixture", count * dimension, tables.means.len())?;
        wrong_length("eigenvalues of a mixture", count * rank, tables.eigenvalues.len())?;
        wrong_length("bases of a mixture", count * rank * dimension, tables.bases.len())?;
        wrong_length("floors of a mixture", count, tables.floors.len())?;
        within("mean", tables.means)?;
        variances("eigenvalue", tables.eigenvalues)?;
        variances("floor", tables.floors)?;
        let mixture = Self { tables, dimension, rank, total_weight };
        for k in 0..count {
            for (j, row) in mixture.basis(k).enumerate() {
                for (i, other) in mixture.basis(k).take(j + 1).enumerate() {
                    let error = product(row, other) - f64::from(i == j);
                    in_range("orthonormality error of a basis", error, -ORTHONORMAL, ORTHONORMAL)?;
                }
            }
        }
        Ok(mixture)
    }

    /// The rank `r` that all components have.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The mean `mu_k`, `[d]`.
    pub fn mean(&self, k: usize) -> &'a [f64] {
        &self.tables.means[k * self.dimension..(k + 1) * self.dimension]
    }

    pub(super) fn eigenvalues(&self, k: usize) -> &'a [f64] {
        &self.tables.eigenvalues[k * self.rank..(k + 1) * self.rank]
    }

    pub(super) fn floors(&self) -> &'a [f64] {
        self.tables.floors
    }

    /// The rows of component `k`'s basis, `[d]` each.
    pub fn basis(&self, k: usize) -> impl Iterator<Item = &'a [f64]> {
        let size = self.rank * self.dimension;
        self.tables.bases[k * size..(k + 1) * size].chunks_exact(self.dimension)
    }

    /// Calls `each(i, along, scaled)` for every coordinate, with what `coordinates` in the basis of component `k` come to there: as
    /// they are, and each times its `factor` of an eigenvalue.
    fn expand(
        &self,
        k: usize,
        coordinates: &[f64],
        factor: impl Fn(f64) -> f64,
        mut each: impl FnMut(usize, f64, f64),
    ) {
        for i in 0..self.dimension {
            let (mut along, mut scaled) = (0.0, 0.0);
            for ((row, c), &lambda) in self.basis(k).zip(coordinates).zip(self.eigenvalues(k)) {
                let part = c * row[i];
                along += part;
                scaled += factor(lambda) * part;
            }
            each(i, along, scaled);
        }
    }
}

impl Mixture for LowRankMixture<'_> {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn components(&self) -> usize {
        self.tables.weights.len()
    }

    fn scratch_len(&self) -> usize {
        self.rank
    }

    fn joint(&self, k: usize, x_t: &[f64], level: NoiseLevel, scratch: &mut [f64]) -> LogJoint {
        let mut joint = LogJoint { gap: 0.0, codimension: 0, log: log(self.prior(k)) };
        let mean = self.mean(k);
        let deviation = |i: usize| x_t[i] - level.alpha * mean[i];
        for ((row, c), &lambda) in self.basis(k).zip(scratch.iter_mut()).zip(self.eigenvalues(k)) {
            *c = row.iter().enumerate().map(|(i, u)| u * deviation(i)).sum();
            along(&mut joint, lambda, 1, *c * *c, level);
        }
        if self.rank < self.dimension {
            // Not |d|^2 - |U^T d|^2, which loses all digits close to the subspace.
            let mut rest = 0.0;
            self.expand(k, scratch, |_| 0.0, |i, along, _| rest += (deviation(i) - along) * (deviation(i) - along));
            along(&mut joint, self.tables.floors[k], self.dimension - self.rank, rest, level);
        }
        joint
    }

    fn add_estimate(&self, k: usize, weight: f64, x_t: &[f64], level: NoiseLevel, scratch: &[f64], x0_hat: &mut [f64]) {
        let (mean, floor_gain) = (self.mean(k), Gaussian::gain(self.tables.floors[k], level));
        self.expand(
            k,
            scratch,
            |lambda| Gaussian::gain(lambda, level),
            |i, along, scaled| {
                let rest = x_t[i] - level.alpha * mean[i] - along;
                x0_hat[i] += weight * (mean[i] + scaled + floor_gain * rest);
            },
        );
    }

    fn add_score(&self, k: usize, weight: f64, x_t: &[f64], level: NoiseLevel, scratch: &[f64], score: &mut [f64]) {
        let (mean, floor) = (self.mean(k), total(self.tables.floors[k], level));
        self.expand(
            k,
            scratch,
            |lambda| 1.0 / total(lambda, level),
            |i, along, scaled| {
                let rest = x_t[i] - level.alpha * mean[i] - along;
                // Of a full basis nothing is left over but rounding.
                let rest = if self.rank < self.dimension { rest / floor } else { 0.0 };
                score[i] -= weight * (scaled + rest);
            },
        );
    }

    fn draw(&self, k: usize, z: &[f64], x_0: &mut [f64]) {
        let (mean, floor) = (self.mean(k), sqrt(self.tables.floors[k]));
        for (i, x) in x_0.iter_mut().enumerate() {
            *x = mean[i] + floor * z[i];
        }
        for (row, &lambda) in self.basis(k).zip(self.eigenvalues(k)) {
            let change = (sqrt(lambda) - floor) * product(row, z);
            x_0.iter_mut().zip(row).for_each(|(x, u)| *x += change * u);
        }
    }

    fn prior(&self, k: usize) -> f64 {
        self.tables.weights[k] / self.total_weight
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
