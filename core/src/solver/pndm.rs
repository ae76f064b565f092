//! Pseudo numerical methods for diffusion models (Liu et al. 2022): Adams-Bashforth weights for even steps, put into DDIM's formula.

use super::combination::Combination;
use super::exponential::{Form, Transition};
use super::path::Path;
use crate::plan::{Memory, Step};
use crate::schedule::Process;
use crate::{Error, NoiseLevel, ddim};

/// Adams-Bashforth weights of order 1 to 4, the newest first; the last row is the paper's eq. 12.
const ADAMS: [[f64; 4]; 4] = [
    [1.0, 0.0, 0.0, 0.0],
    [3.0 / 2.0, -1.0 / 2.0, 0.0, 0.0],
    [23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0, 0.0],
    [55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// DDIM's step in terms of the noise, `x_s = keep x_t + push eps`.
fn transfer(from: NoiseLevel, to: NoiseLevel) -> Result<(f64, f64), Error> {
    let transition = Transition::new(Form::Noise, from, to, 0.0)?;
    Ok((transition.keep, transition.scale * transition.moments[0]))
}

/// A plan of improved PNDM (Zhang and Chen 2022, "iPNDM"): the order rises from 1 to 4, one evaluation a step.
///
/// # Errors
/// Times that are no way from noise to data; [`Error::WrongLength`].
pub fn improved_plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    let path = Path::with_rows(process, times, plan.len())?;
    let first = path.first_with_signal()?;
    for (k, row) in plan.iter_mut().enumerate() {
        let (from, to) = (path.level(k)?, path.level(k + 1)?);
        if from.alpha == 0.0 {
            *row = ddim::step(path.time(k), from, to, 0.0)?;
            continue;
        }
        let (keep, push) = transfer(from, to)?;
        let weights = ADAMS[(k - first).min(3)].map(|weight| push * weight);
        *row = Combination::new(keep, &weights).step(path.time(k), from, 0.0, Some(Memory::of_noise(from)?))?;
    }
    Ok(())
}

/// A plan of PNDM without Runge-Kutta steps (PLMS; `skip_prk_steps`), through `times`: one row more than steps, since the first
/// step is taken twice, the second time with the mean of the noise at both its ends.
///
/// The row in between would push the first estimate out of the history before order 4 needs it for the last time. It therefore
/// remembers not its noise but `m = (x_1' + (push / 2) eps_1') / (1 + |push| / 2)`, a mean of the two and so of their size. The corrected
/// state is `x_1 = (1 + |push| / 2) m - (push / 2) eps_0`, from which later rows have `eps_0`.
///
/// # Errors
/// Times that are no way from noise to data; fewer than two steps, or a first time without signal ([`Error::SignalVanishes`]).
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    let path = Path::new(process, times)?;
    let need = path.steps() + 1;
    if path.steps() < 2 || plan.len() != need {
        return Err(Error::WrongLength { what: "a PNDM plan", need: need.max(3), have: plan.len() });
    }
    let (start, second) = (path.level(0)?, path.level(1)?);
    let (keep, push) = transfer(start, second)?;
    let predictor = Combination::new(keep, &[push]);
    plan[0] = predictor.step(path.time(0), start, 0.0, Some(Memory::of_noise(start)?))?;

    let noise = Memory::of_noise(second)?;
    let half = 0.5 * push;
    let size = 1.0 + half.abs();
    let memory = Memory { from_state: (1.0 + half * noise.from_state) / size, from_x0: half * noise.from_x0 / size };
    // x_1 = keep x_0 + push (eps_0 + eps_1') / 2, with x_0 = (x_1' - push eps_0) / keep and half eps_1' = size m - x_1'.
    plan[1] = Combination::new(0.0, &[size, -half]).step(path.time(1), second, 0.0, Some(memory))?;

    // eps_0, with m one row old.
    let mut first = Combination::new(-1.0 / half, &[0.0, size / half]);
    for (k, row) in plan.iter_mut().enumerate().skip(2) {
        let (from, to) = (path.level(k - 1)?, path.level(k)?);
        let (keep, push) = transfer(from, to)?;
        let order = k.min(4);
        let adams = ADAMS[order - 1];
        let mut next = Combination::STATE.scaled(keep);
        if k <= 4 {
            // The oldest estimate is the first.
            next = next.plus_estimates(push, &adams[..order - 1]).plus(push * adams[order - 1], first);
        } else {
            next = next.plus_estimates(push, &adams);
        }
        *row = next.step(path.time(k - 1), from, 0.0, Some(Memory::of_noise(from)?))?;
        if k < 4 {
            first = first.carried_over(&next)?;
        }
    }
    Ok(())
}
