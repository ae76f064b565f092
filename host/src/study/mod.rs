//! The theory in figures: each study measures one statement of the documents with exact denoisers, so that nothing has to be trained.
//!
//! | study | shows |
//! |---|---|
//! | [`norms`] | noise lives on a thin shell, and draws of it are nearly orthogonal |
//! | [`entropy`] | entropy rises along the forward process and falls along the reverse one (Theorems 3.1, 3.3) |
//! | [`denoisers`] | what the exact denoiser of two Gaussians answers at several noise levels (3.2.19) |
//! | [`trajectories`] | DDIM carrying noise to a small mixture in the plane |
//! | [`solvers`] | the error of each solver against the number of evaluations |
//! | [`variation`] | the total variation of what DDIM draws falls like one over the steps (Theorem 3.4) |
//! | [`memorising`] | samples of the empirical denoiser are training rows (3.3.3); those of the data's own are not |
//! | [`copies`] | how blurred the training rows must be until samples stop being copies |
//!
//! A study is a function of nothing: its figures are the same every time. It takes a few seconds at most.

pub mod copies;
pub mod denoisers;
pub mod entropy;
pub mod memorising;
pub mod norms;
pub mod sampling;
pub mod solvers;
pub mod trajectories;
pub mod variation;

use crate::error::Error;
use crate::picture::line_plot::LinePlot;
use crate::preset::names;

names! {
    /// Studies by name.
    StudyName {
        /// [`norms`].
        Norms,
        /// [`entropy`].
        Entropy,
        /// [`denoisers`].
        Denoisers,
        /// [`trajectories`].
        Trajectories,
        /// [`solvers`].
        Solvers,
        /// [`variation`].
        Variation,
        /// [`memorising`].
        Memorising,
        /// [`copies`].
        Copies,
    }
}

/// What a study found.
pub struct Findings {
    /// The figure.
    pub plot: LinePlot,
    /// What to see in it, in sentences with numbers.
    pub remarks: Vec<String>,
}

impl StudyName {
    /// Makes the study.
    ///
    /// # Errors
    /// None that is known: the studies' processes, data and plans suit each other.
    pub fn findings(self) -> Result<Findings, Error> {
        match self {
            Self::Norms => Ok(norms::findings()),
            Self::Entropy => entropy::findings(),
            Self::Denoisers => denoisers::findings(),
            Self::Trajectories => trajectories::findings(),
            Self::Solvers => solvers::findings(),
            Self::Variation => variation::findings(),
            Self::Memorising => memorising::findings(),
            Self::Copies => copies::findings(),
        }
    }
}

/// The slope of `ln y` over `ln x` by least squares: the order at which an error falls, with its sign.
pub fn log_log_slope(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let (x, y) = (logs.iter().map(|p| p.0).sum::<f64>() / count, logs.iter().map(|p| p.1).sum::<f64>() / count);
    let (products, squares) =
        logs.iter().fold((0.0, 0.0), |(p, s), point| (p + (point.0 - x) * (point.1 - y), s + (point.0 - x).powi(2)));
    products / squares
}

#[cfg(test)]
mod tests;
