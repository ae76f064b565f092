//! The numbers of a mixture, component after component, class after class.

use super::maximise::Component;
use std::ops::Range;
use tweedie_core::exact::{LowRankMixture, LowRankTables};

/// Tables of `k` components of rank `r` in `d` coordinates, as [`LowRankTables`] describes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// Priors, `[k]`; their sum may be any number.
    pub weights: Vec<f64>,
    /// Means, `[k, d]`.
    pub means: Vec<f64>,
    /// Orthonormal directions, `[k, r, d]`.
    pub bases: Vec<f64>,
    /// Variances along them, `[k, r]`.
    pub eigenvalues: Vec<f64>,
    /// Variances in all other directions, `[k]`.
    pub floors: Vec<f64>,
}

impl Tables {
    /// The number of components.
    pub fn components(&self) -> usize {
        self.weights.len()
    }

    /// Adds a component.
    pub fn push(&mut self, component: &Component) {
        self.weights.push(component.weight);
        self.means.extend_from_slice(&component.mean);
        self.bases.extend_from_slice(&component.basis);
        self.eigenvalues.extend_from_slice(&component.eigenvalues);
        self.floors.push(component.floor);
    }

    /// Adds the components of another mixture, each prior times `share`.
    pub fn append(&mut self, other: &Self, share: f64) {
        self.weights.extend(other.weights.iter().map(|weight| share * weight));
        self.means.extend_from_slice(&other.means);
        self.bases.extend_from_slice(&other.bases);
        self.eigenvalues.extend_from_slice(&other.eigenvalues);
        self.floors.extend_from_slice(&other.floors);
    }

    /// The mixture of some of the components, whose priors then count among themselves.
    ///
    /// # Errors
    /// A range of no components or beyond them, and tables that make no mixture.
    pub fn mixture(&self, components: Range<usize>) -> Result<LowRankMixture<'_>, tweedie_core::Error> {
        let count = self.components().max(1);
        let missing =
            tweedie_core::Error::WrongLength { what: "components of a mixture", need: components.end, have: count };
        LowRankMixture::new(LowRankTables {
            weights: part(&self.weights, count, &components).ok_or(missing)?,
            means: part(&self.means, count, &components).ok_or(missing)?,
            bases: part(&self.bases, count, &components).ok_or(missing)?,
            eigenvalues: part(&self.eigenvalues, count, &components).ok_or(missing)?,
            floors: part(&self.floors, count, &components).ok_or(missing)?,
        })
    }

    /// The tables under the names that a model's file gives them.
    pub fn entries(&self) -> [(&'static str, &[f64]); 5] {
        let Self { weights, means, bases, eigenvalues, floors } = self;
        [("weights", weights), ("means", means), ("bases", bases), ("eigenvalues", eigenvalues), ("floors", floors)]
    }
}

/// The part of a table of `count` components that belongs to some of them.
fn part<'a>(table: &'a [f64], count: usize, components: &Range<usize>) -> Option<&'a [f64]> {
    let size = table.len() / count;
    table.get(components.start * size..components.end * size)
}
