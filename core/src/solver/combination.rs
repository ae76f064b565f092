//! Vectors as combinations of what a row has at hand, so that earlier states can be spoken of.

use crate::plan::{MAX_PULLS, Memory, Step};
use crate::{Error, NoiseLevel};

/// `state x + sum_i estimates_i e_i`: `x` is the state before a row, `e_0` the estimate made in it, `e_1` the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Combination {
    pub(crate) state: f64,
    pub(crate) estimates: [f64; MAX_PULLS],
}

impl Combination {
    /// The state itself.
    pub(crate) const STATE: Self = Self { state: 1.0, estimates: [0.0; MAX_PULLS] };

    /// `state x + sum_i weights_i e_i`.
    pub(crate) fn new(state: f64, weights: &[f64]) -> Self {
        Self::STATE.scaled(state).plus_estimates(1.0, weights)
    }

    pub(crate) fn scaled(mut self, factor: f64) -> Self {
        self.state *= factor;
        self.estimates.iter_mut().for_each(|estimate| *estimate *= factor);
        self
    }

    pub(crate) fn plus(mut self, factor: f64, other: Self) -> Self {
        self.state += factor * other.state;
        self.plus_estimates(factor, &other.estimates)
    }

    /// Adds `factor weights_i e_i`.
    pub(crate) fn plus_estimates(mut self, factor: f64, weights: &[f64]) -> Self {
        self.estimates.iter_mut().zip(weights).for_each(|(estimate, weight)| *estimate += factor * weight);
        self
    }

    /// The same vector after a row that made the state `row`, in terms of the new state and of estimates that are one older:
    /// `x = (x' - sum_i row_i e_i) / row_state`.
    ///
    /// # Errors
    /// [`Error::NoiseVanishes`] when the row kept nothing of the state; [`Error::WrongLength`] when an estimate would be older than
    /// a step can combine.
    pub(crate) fn carried_over(self, row: &Self) -> Result<Self, Error> {
        let mut carried = self;
        if self.state != 0.0 {
            if row.state == 0.0 {
                return Err(Error::NoiseVanishes);
            }
            carried.state = self.state / row.state;
            carried = carried.plus_estimates(-carried.state, &row.estimates);
        }
        carried.estimates.rotate_right(1);
        if carried.estimates[0] != 0.0 {
            return Err(Error::WrongLength { what: "a step's pulls", need: MAX_PULLS, have: MAX_PULLS + 1 });
        }
        Ok(carried)
    }

    /// The row that makes this combination the new state.
    pub(crate) fn step(&self, t: f64, level: NoiseLevel, kick: f64, memory: Option<Memory>) -> Result<Step, Error> {
        let reach = self.estimates.iter().rposition(|&weight| weight != 0.0).map_or(1, |last| last + 1);
        let step = Step::new(t, level, self.state, &self.estimates[..reach], kick)?;
        memory.map_or(Ok(step.clone()), |memory| step.remembering(memory))
    }
}
