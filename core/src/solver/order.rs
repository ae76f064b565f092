//! Which order a multistep solver has at each step.

use crate::Error;
use crate::error::in_range;

/// How a solver of higher order ends. The step to clean data is of first order in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// At full order.
    Full,
    /// With one step of first order (`euler_at_final`).
    Euler,
    /// With falling order: 1 in the last step, at most 2 in the one before (`lower_order_final`; DPM-Solver of diffusers does so
    /// in fewer than 15 steps). Steadier when steps are few.
    #[default]
    Falling,
}

/// The order of step `k` of `steps`, when the estimates since step `first` can be used.
pub(crate) fn at(order: usize, ending: Ending, k: usize, steps: usize, first: usize) -> usize {
    let left = steps - k;
    let begun = (k + 1).saturating_sub(first).max(1);
    let most = match ending {
        Ending::Full => order,
        Ending::Euler => {
            if left == 1 {
                1
            } else {
                order
            }
        }
        Ending::Falling => left,
    };
    order.min(begun).min(most)
}

/// Refuses an order outside `1..=most`.
pub(crate) fn check(order: usize, most: usize) -> Result<(), Error> {
    in_range("a solver's order", order as f64, 1.0, most as f64)
}
