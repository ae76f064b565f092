//! The linear multistep method of k-diffusion (`sample_lms`): Adams-Bashforth on EDM's slope `(x - x0_hat) / sigma`, over uneven steps in `sigma`.

use super::deis::{Deis, Variable};
use super::order::Ending;
use crate::Error;
use crate::plan::Step;
use crate::schedule::Process;

/// A plan through `times`, falling from noise to data, of order 1 to 4 (commonly 4): EDM's slope is `eps_hat`, so this is DEIS with
/// `eps_hat` a polynomial in `sigma / alpha`. The order is kept to the very end, as k-diffusion does.
///
/// # Errors
/// As of [`Deis::plan`].
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], order: usize, plan: &mut [Step]) -> Result<(), Error> {
    Deis { order, variable: Variable::Rho, ending: Ending::Full }.plan(process, times, plan)
}
