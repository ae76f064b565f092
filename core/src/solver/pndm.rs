//! Pseudo numerical methods for diffusion models (Liu et al. 2022): Adams-Bashforth weights for even steps, put into DDIM's formula.

use super::combination::Combination;
use super::exponential::{Form, Transition};
use super::path::Path;
use crate::chain::Chain;
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

/// What a pseudo numerical method extrapolates, and its rows remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extrapolated {
    /// `eps_hat`, as the paper does.
    #[default]
    Noise,
    /// `v_hat`, which is what diffusers does with models that predict it: it combines outputs first, and converts them then.
    V,
}

impl Extrapolated {
    /// DDIM's step in terms of what is extrapolated, `x_s = keep x_t + push e`.
    fn transfer(self, from: NoiseLevel, to: NoiseLevel) -> Result<(f64, f64), Error> {
        let transition = Transition::new(Form::Noise, from, to, 0.0)?;
        let (keep, push) = (transition.keep, transition.scale * transition.moments[0]);
        match self {
            Self::Noise => Ok((keep, push)),
            Self::V => {
                // eps = (sigma x + alpha norm v) / norm^2
                let norm = from.norm();
                Ok((keep + push * from.sigma / norm / norm, push * from.alpha / norm))
            }
        }
    }

    fn memory(self, level: NoiseLevel) -> Result<Memory, Error> {
        let noise = Memory::of_noise(level)?;
        match self {
            Self::Noise => Ok(noise),
            Self::V => {
                // v = (alpha x - norm^2 x0) / (sigma norm)
                let norm = level.norm();
                Ok(Memory { from_state: level.alpha * noise.from_state / norm, from_x0: -norm * noise.from_state })
            }
        }
    }
}

/// What improved PNDM makes of a first time without signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtPureNoise {
    /// DDIM's step, whose estimate takes no part in later extrapolation, as in every other solver here.
    #[default]
    Estimate,
    /// As diffusers: the estimate is multiplied by `alpha = 0` and lost, the state itself is the noise, and it is extrapolated later on.
    StateIsNoise,
}

/// A plan of improved PNDM (Zhang and Chen 2022, "iPNDM"): the order rises from 1 to 4, one evaluation a step.
///
/// # Errors
/// Times that are no way from noise to data; [`Error::WrongLength`].
pub fn improved_plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    improved_plan_from(process, times, AtPureNoise::Estimate, plan)
}

/// As [`improved_plan`], with a choice for a first time without signal.
///
/// # Errors
/// As of [`improved_plan`].
pub fn improved_plan_from(
    process: &(impl Process + ?Sized),
    times: &[f64],
    at_pure_noise: AtPureNoise,
    plan: &mut [Step],
) -> Result<(), Error> {
    let path = Path::with_rows(process, times, plan.len())?;
    let first = match at_pure_noise {
        AtPureNoise::Estimate => path.first_with_signal()?,
        AtPureNoise::StateIsNoise => 0,
    };
    for (k, row) in plan.iter_mut().enumerate() {
        let (t, from, to) = (path.time(k), path.level(k)?, path.level(k + 1)?);
        let memory = Memory::of_noise(from)?;
        *row = match (from.alpha == 0.0, at_pure_noise) {
            (true, AtPureNoise::Estimate) => ddim::step(t, from, to, 0.0)?,
            (true, AtPureNoise::StateIsNoise) => {
                Step::new(t, from, to.sigma / from.sigma, &[0.0], 0.0)?.remembering(memory)?
            }
            _ => {
                let (keep, push) = Extrapolated::Noise.transfer(from, to)?;
                let weights = ADAMS[(k - first).min(3)].map(|weight| push * weight);
                Combination::new(keep, &weights).step(t, from, 0.0, Some(memory))?
            }
        };
    }
    Ok(())
}

/// A plan of PNDM without Runge-Kutta steps (PLMS; `skip_prk_steps`), through `times`: one row more than steps, since the first
/// step is taken twice, the second time with the mean of the noise at both its ends.
///
/// The row in between would push the first estimate out of the history before order 4 needs it for the last time. It therefore
/// remembers not its noise but `m = (k x_1' + h e_1') / (|k| + |h|)`, a mean of the two and so of their size, where the corrected state is
/// `x_1 = k x_1' + h e_1' + c e_0`. From `m` and `x_1` later rows have `e_0`.
///
/// # Errors
/// Times that are no way from noise to data; fewer than two steps, or a first time without signal ([`Error::SignalVanishes`]).
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    let path = Path::new(process, times)?;
    let need = path.steps() + 1;
    if path.steps() < 2 || plan.len() != need {
        return Err(Error::WrongLength { what: "a PNDM plan", need: need.max(3), have: plan.len() });
    }
    fill(Extrapolated::Noise, plan, |k| {
        let (asked, from) = (k.saturating_sub(1).max(usize::from(k == 1)), k.saturating_sub(1));
        Ok(Move { t: path.time(asked), asked: path.level(asked)?, from: path.level(from)?, to: path.level(k.max(1))? })
    })
}

/// The same on a chain of `T` steps as diffusers takes it: each step goes `T / L` timesteps (whole-number division) down from where it
/// starts, whether or not that is the next of the `L` timesteps; what would be below 0 goes to `last`. `L + 1` rows, but one for one timestep.
/// The second row asks about the second timestep once more than the third.
///
/// # Errors
/// A timestep beyond the chain, [`Error::WrongLength`], and those of [`plan`].
pub fn chain_plan<S: AsRef<[f64]>>(
    chain: &Chain<S>,
    timesteps: &[u32],
    last: NoiseLevel,
    extrapolated: Extrapolated,
    plan: &mut [Step],
) -> Result<(), Error> {
    let (count, total) = (timesteps.len(), chain.steps());
    let need = if count == 1 { 1 } else { count + 1 };
    if count == 0 || plan.len() != need {
        return Err(Error::WrongLength { what: "a PNDM plan", need, have: plan.len() });
    }
    let level = |timestep: u32| chain.level_at(timestep as usize + 1);
    let stride = (total / count) as u32;
    fill(extrapolated, plan, |k| {
        let asked = timesteps[k.saturating_sub(1).max(usize::from(k == 1))];
        // The second row takes a step once more that ends where it asks.
        let (from, to) = if k == 1 { (asked + stride, Some(asked)) } else { (asked, asked.checked_sub(stride)) };
        let to = to.map_or(Ok(last), level)?;
        Ok(Move { t: (f64::from(asked) + 1.0) / total as f64, asked: level(asked)?, from: level(from)?, to })
    })
}

/// A row's place: where the network is asked, and the step that is then taken.
struct Move {
    t: f64,
    asked: NoiseLevel,
    from: NoiseLevel,
    to: NoiseLevel,
}

fn fill(
    extrapolated: Extrapolated,
    plan: &mut [Step],
    place: impl Fn(usize) -> Result<Move, Error>,
) -> Result<(), Error> {
    let start = place(0)?;
    let (keep, push) = extrapolated.transfer(start.from, start.to)?;
    let predictor = Combination::new(keep, &[push]);
    plan[0] = predictor.step(start.t, start.asked, 0.0, Some(extrapolated.memory(start.asked)?))?;
    if plan.len() == 1 {
        return Ok(());
    }
    let second = place(1)?;
    let (again, push_again) = extrapolated.transfer(second.from, second.to)?;
    if keep == 0.0 {
        return Err(Error::NoiseVanishes);
    }
    // x_1 = again x_0 + push_again (e_0 + e_1') / 2, with x_0 = (x_1' - push e_0) / keep.
    let (ratio, half) = (again / keep, 0.5 * push_again);
    let (size, of_first) = (ratio.abs() + half.abs(), half - ratio * push);
    let own = extrapolated.memory(second.asked)?;
    let memory = Memory { from_state: (ratio + half * own.from_state) / size, from_x0: half * own.from_x0 / size };
    plan[1] = Combination::new(0.0, &[size, of_first]).step(second.t, second.asked, 0.0, Some(memory))?;

    // e_0, with m one row old.
    let mut first = Combination::new(1.0 / of_first, &[0.0, -size / of_first]);
    for (k, row) in plan.iter_mut().enumerate().skip(2) {
        let Move { t, asked, from, to } = place(k)?;
        let (keep, push) = extrapolated.transfer(from, to)?;
        let order = k.min(4);
        let adams = ADAMS[order - 1];
        let mut next = Combination::STATE.scaled(keep);
        if k <= 4 {
            // The oldest estimate is the first.
            next = next.plus_estimates(push, &adams[..order - 1]).plus(push * adams[order - 1], first);
        } else {
            next = next.plus_estimates(push, &adams);
        }
        *row = next.step(t, asked, 0.0, Some(extrapolated.memory(asked)?))?;
        if k < 4 {
            first = first.carried_over(&next)?;
        }
    }
    Ok(())
}
