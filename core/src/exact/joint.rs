//! How components compare, with limits where `sigma` vanishes, and the softmax over them.

use libm::{exp, log};

/// The logarithm of `pi_k N(x_t; alpha mu_k, alpha^2 S_k + sigma^2 I)`, without the factor `(2 pi)^(-d/2)` that all components share.
///
/// ```text
/// -gap / (2 sigma^2)  -  codimension ln sigma  +  log
/// ```
///
/// As `sigma` falls to 0 a component that fills only a subspace becomes infinitely dense on it and vanishes beside it. In three
/// parts, each of which outgrows the next, components can still be compared there: first comes whichever lies nearest to
/// `x_t`, of these whichever fills the fewest dimensions, and among equals the densities decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogJoint {
    /// The squared distance of `x_t` from the component's flat, counted along the directions in which the data have no variance.
    pub gap: f64,
    /// How many directions those are.
    pub codimension: usize,
    /// What the other directions and the prior say; finite.
    pub log: f64,
}

impl LogJoint {
    /// The log density at this `sigma`; infinite where there is no density.
    pub fn at(&self, sigma: f64) -> f64 {
        per_variance(self.gap, sigma) + dimensions(self.codimension as f64, sigma) + self.log
    }

    /// How much more likely this component is than another, as a logarithm: infinite perhaps, never NaN.
    pub fn over(&self, other: &Self, sigma: f64) -> f64 {
        let gaps = per_variance(self.gap - other.gap, sigma);
        let dimensions = dimensions(self.codimension as f64 - other.codimension as f64, sigma);
        if gaps.is_infinite() {
            gaps
        } else if dimensions.is_infinite() {
            dimensions
        } else {
            gaps + dimensions + (self.log - other.log)
        }
    }
}

/// `-gap / (2 sigma^2)`, and 0 for no gap whatever `sigma`.
fn per_variance(gap: f64, sigma: f64) -> f64 {
    if gap == 0.0 { 0.0 } else { -gap / (2.0 * sigma * sigma) }
}

/// `-count ln sigma`, and 0 for no dimensions whatever `sigma`.
fn dimensions(count: f64, sigma: f64) -> f64 {
    if count == 0.0 { 0.0 } else { -count * log(sigma) }
}

/// A softmax over components that come one after the other: log-sum-exp in one pass, without a table.
pub(super) struct RunningSoftmax {
    sigma: f64,
    best: Option<LogJoint>,
    /// The sum of all weights, measured by the best component's.
    pub total: f64,
}

impl RunningSoftmax {
    pub fn new(sigma: f64) -> Self {
        Self { sigma, best: None, total: 0.0 }
    }

    /// The factor by which all that was weighted before must shrink, and the weight of the component that comes now.
    pub fn weigh(&mut self, joint: LogJoint) -> (f64, f64) {
        let lead = self.best.map_or(f64::INFINITY, |best| joint.over(&best, self.sigma));
        let (shrink, weight) = if lead > 0.0 { (exp(-lead), 1.0) } else { (1.0, exp(lead)) };
        if lead > 0.0 {
            self.best = Some(joint);
        }
        self.total = self.total * shrink + weight;
        (shrink, weight)
    }

    /// `ln sum_k exp(joint_k)`; infinite where there is no density.
    pub fn log_sum(&self) -> f64 {
        self.best.map_or(f64::NEG_INFINITY, |best| best.at(self.sigma) + log(self.total))
    }
}
