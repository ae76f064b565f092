//! Intrinsic dimension by principal component analysis.

use super::rows::Rows;
use super::suggestion::FEW;
use super::{Beside, Measure};
use nalgebra::DMatrix;

/// The largest eigenvalue problem that is solved; longer rows are taken by so many of them, whose products have the same eigenvalues.
const MOST: usize = 1024;

/// Variances along principal components, falling.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// As many as there are dimensions, or one fewer than rows where those are fewer.
    pub variances: Vec<f64>,
}

impl Spectrum {
    /// Of the covariance of rows.
    pub fn of(rows: &Rows) -> Self {
        let width = rows.width;
        let count = if width > MOST { rows.count().min(MOST) } else { rows.count() };
        let mut means = vec![0.0; width];
        for row in rows.iter().take(count) {
            means.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / count as f64);
        }
        let centred =
            rows.iter().take(count).flat_map(|row| row.iter().zip(&means).map(|(&x, mean)| f64::from(x) - mean));
        let centred = DMatrix::from_iterator(width, count, centred);
        let products = if width <= count { &centred * centred.transpose() } else { centred.transpose() * &centred };
        let eigenvalues = (products / count as f64).symmetric_eigenvalues();
        let mut variances: Vec<f64> = eigenvalues.iter().map(|value| value.max(0.0)).collect();
        variances.sort_unstable_by(|a, b| b.total_cmp(a));
        variances.truncate(width.min(count - 1));
        Self { variances }
    }

    /// `(sum lambda)^2 / sum lambda^2`: the number of dimensions, if all of them varied alike. 0 where nothing varies.
    pub fn participation_ratio(&self) -> f64 {
        let sum: f64 = self.variances.iter().sum();
        let squares: f64 = self.variances.iter().map(|variance| variance * variance).sum();
        if squares > 0.0 { sum * sum / squares } else { 0.0 }
    }

    /// How many components hold that share of the variance.
    pub fn dimensions_for(&self, share: f64) -> usize {
        let sum: f64 = self.variances.iter().sum();
        let mut held = 0.0;
        // A little less, for what rounding leaves.
        let is_short = |variance: &&f64| {
            let is_short = held < (share - 1e-12) * sum;
            held += **variance;
            is_short
        };
        self.variances.iter().take_while(is_short).count()
    }
}

/// The participation ratio, and components for 90, 95 and 99 % of the variance, beside noise of as many rows.
pub fn measures(spectra: &Beside<Spectrum>) -> Vec<Measure> {
    let (own, noise) = (&spectra.data, &spectra.noise);
    let reference = "noise of as many rows";
    let ratio = own.participation_ratio();
    let is_low = ratio < 0.5 * noise.participation_ratio();
    let advice = if own.variances.len() <= FEW {
        "In so few dimensions every direction counts, and a small network will do; what matters is little noise, so times = \"log-snr\"."
    } else if is_low {
        "Rows vary in few directions: a small model can learn them; `train digits-mixture` fits them without a network."
    } else {
        "Rows vary in nearly all directions, as noise does: expect to need a large model and many rows."
    };
    let mut all = vec![Measure::new(
        ["participation_ratio", "intrinsic dimension (participation)"],
        ratio,
        (noise.participation_ratio(), reference),
        advice,
    )];
    let [ninety, ninety_five, ninety_nine] = [0.9, 0.95, 0.99].map(|share| own.dimensions_for(share));
    for (names, share, dimensions, advice) in [
        (
            ["dimensions_90", "components for 90 % of the variance"],
            0.9,
            ninety,
            format!("A mixture of Gaussians needs no more directions: network.rank = {ninety} at most."),
        ),
        (
            ["dimensions_95", "components for 95 %"],
            0.95,
            ninety_five,
            format!(
                "A network's width of fewer than {ninety_five} would lose what can be seen: keep network.hidden well above."
            ),
        ),
        (
            ["dimensions_99", "components for 99 %"],
            0.99,
            ninety_nine,
            "What lies beyond is as good as noise: do not judge a model by it.".to_owned(),
        ),
    ] {
        all.push(Measure::new(names, dimensions as f64, (noise.dimensions_for(share) as f64, reference), advice));
    }
    all
}
