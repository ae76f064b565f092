//! Sampler plans: tables of coefficients that any tensor can execute.

use crate::prediction::Conversion;
use crate::tensor::{CoeffRange, Tensor};
use crate::{Error, NoiseLevel};
use heapless::Vec;

/// The most `x0_hat`s that one step may combine: the newest and three earlier ones.
pub const MAX_PULLS: usize = 4;

/// What a step puts in the history instead of `x0_hat`: `from_state x + from_x0 x0_hat`, `x` being the state that was asked about.
///
/// Solvers that extrapolate the noise (DPM-Solver, DEIS, LMS, PNDM) remember `eps_hat = (x - alpha x0_hat) / sigma`. Were `x0_hat`
/// remembered, earlier noise could be had only with earlier states, and through them with every estimate since the beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory<C = f64> {
    /// Multiplies the state before the step.
    pub from_state: C,
    /// Multiplies `x0_hat`.
    pub from_x0: C,
}

impl Memory {
    /// Remembers `eps_hat = (x - alpha x0_hat) / sigma`.
    ///
    /// # Errors
    /// [`Error::NoiseVanishes`] at a level without noise, or with so little that its inverse overflows.
    pub fn of_noise(level: NoiseLevel) -> Result<Self, Error> {
        let memory = Self { from_state: 1.0 / level.sigma, from_x0: -level.alpha / level.sigma };
        let finite = memory.from_state.is_finite() && memory.from_x0.is_finite();
        if finite { Ok(memory) } else { Err(Error::NoiseVanishes) }
    }

    /// From the state and a network's output straight to what is remembered, where `to_x0` leads to `x0_hat`. A device that asks for this
    /// runs the step [without its memory](Step::forgetting).
    pub fn of_output(&self, to_x0: Conversion) -> Conversion {
        Conversion {
            from_state: self.from_state + self.from_x0 * to_x0.from_state,
            from_output: self.from_x0 * to_x0.from_output,
        }
    }
}

/// One step: estimate `x0_hat` at `level`, then `x <- keep x + sum_i pull_i e_i + kick z`, where the `e_i` are the newest and
/// earlier estimates: `x0_hat` itself, or what a [`Memory`] makes of it.
///
/// A solver that goes back to an earlier state (Heun, singlestep, correctors) needs no more than this: after a row
/// `x' = keep x + sum_i pull_i e_i`, the earlier state is `(x' - sum_i pull_i e_i) / keep`, a combination of what is at hand. That
/// holds for whatever estimates were used, so clamping them does no harm.
///
/// `C` is `f64` while a plan is made and a tensor's coefficient when it runs ([`Step::for_tensor`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Step<C = f64> {
    /// The process time at which the denoiser is asked.
    pub t: f64,
    /// The noise level at which the denoiser is asked.
    pub level: NoiseLevel,
    /// Multiplies the state.
    pub keep: C,
    /// Multiplies fresh unit noise; 0 when deterministic.
    pub kick: C,
    pulls: Vec<C, MAX_PULLS>,
    memory: Option<Memory<C>>,
    is_noisy: bool,
}

impl Step {
    /// A step that does nothing, to fill a buffer with before a solver writes its plan there.
    pub const EMPTY: Self = Self {
        t: 0.0,
        level: NoiseLevel::CLEAN,
        keep: 1.0,
        kick: 0.0,
        pulls: Vec::new(),
        memory: None,
        is_noisy: false,
    };

    /// A step from its coefficients. `pull[0]` multiplies the newest estimate, `pull[1]` the one before, and so on.
    ///
    /// # Errors
    /// [`Error::WrongLength`] for no pull or more than [`MAX_PULLS`]; [`Error::OutOfRange`] for a coefficient that is
    /// not finite, or a negative kick.
    pub fn new(t: f64, level: NoiseLevel, keep: f64, pull: &[f64], kick: f64) -> Result<Self, Error> {
        let pulls = Vec::from_slice(pull).ok().filter(|pulls: &Vec<f64, MAX_PULLS>| !pulls.is_empty());
        let Some(pulls) = pulls else {
            return Err(Error::WrongLength { what: "a step's pulls", need: MAX_PULLS, have: pull.len() });
        };
        for (name, value) in core::iter::once(("keep", keep)).chain(pull.iter().map(|&p| ("pull", p))) {
            crate::error::in_range(name, value, f64::MIN, f64::MAX)?;
        }
        crate::error::in_range("kick", kick, 0.0, f64::MAX)?;
        Ok(Self { t, level, keep, kick, pulls, memory: None, is_noisy: kick > 0.0 })
    }

    /// The same step, remembering `memory` instead of `x0_hat`; the newest pull multiplies it as well.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a coefficient that is not finite.
    pub fn remembering(self, memory: Memory) -> Result<Self, Error> {
        for value in [memory.from_state, memory.from_x0] {
            crate::error::in_range("a step's memory", value, f64::MIN, f64::MAX)?;
        }
        Ok(Self { memory: Some(memory), ..self })
    }

    /// The same step, remembering whatever the denoiser returns.
    pub fn forgetting(self) -> Self {
        Self { memory: None, ..self }
    }

    /// Converts every coefficient to a tensor's own, once.
    pub fn for_tensor<T: Tensor + ?Sized>(&self) -> Result<Step<T::Coeff>, CoeffRange> {
        let mut pulls = Vec::new();
        for &pull in &self.pulls {
            // The capacities are equal, so the push cannot fail.
            let _ = pulls.push(T::coeff(pull)?);
        }
        let memory = match self.memory {
            Some(Memory { from_state, from_x0 }) => {
                Some(Memory { from_state: T::coeff(from_state)?, from_x0: T::coeff(from_x0)? })
            }
            None => None,
        };
        Ok(Step {
            t: self.t,
            level: self.level,
            keep: T::coeff(self.keep)?,
            kick: T::coeff(self.kick)?,
            pulls,
            memory,
            is_noisy: self.is_noisy,
        })
    }
}

impl<C: Copy> Step<C> {
    /// A step of coefficients that have been converted already, as a device reads them; `is_noisy` says that the kick is not 0.
    /// It remembers what the denoiser returns, until a [`with_memory`](Self::with_memory) says otherwise.
    ///
    /// Nothing is computed here, not even `t` from the level: on a device that would bring `atan2` in software along.
    ///
    /// # Errors
    /// [`Error::WrongLength`] for no pull or more than [`MAX_PULLS`].
    pub fn from_coefficients(
        t: f64,
        level: NoiseLevel,
        keep: C,
        pull: &[C],
        kick: C,
        is_noisy: bool,
    ) -> Result<Self, Error> {
        match Vec::from_slice(pull) {
            Ok(pulls) if !pull.is_empty() => Ok(Self { t, level, keep, kick, pulls, memory: None, is_noisy }),
            _ => Err(Error::WrongLength { what: "a step's pulls", need: MAX_PULLS, have: pull.len() }),
        }
    }

    /// The same step with a memory of coefficients that have been converted already, or none.
    pub fn with_memory(self, memory: Option<Memory<C>>) -> Self {
        Self { memory, ..self }
    }
}

impl<C> Step<C> {
    /// The coefficients of the newest estimate and of earlier ones, newest first; at least one.
    pub fn pull(&self) -> &[C] {
        &self.pulls
    }

    /// What the step remembers instead of `x0_hat`, if anything.
    pub fn memory(&self) -> Option<&Memory<C>> {
        self.memory.as_ref()
    }

    /// Whether the step adds noise.
    pub fn is_noisy(&self) -> bool {
        self.is_noisy
    }
}

/// The plan in coordinates where the state has unit variance at every level, `x / sqrt(alpha^2 + sigma^2)`.
///
/// The same samples result: the last step leads to clean data, whose norm is 1. Variance-preserving plans do not change.
/// A fixed-point state needs it, since in the variance-exploding process the state is as large as the noise.
pub fn normalise(plan: &mut [Step]) {
    for index in 0..plan.len() {
        let to = plan.get(index + 1).map_or(NoiseLevel::CLEAN, |next| next.level).norm();
        let step = &mut plan[index];
        step.keep *= step.level.norm() / to;
        step.kick /= to;
        step.pulls.iter_mut().for_each(|pull| *pull /= to);
        if let Some(memory) = &mut step.memory {
            memory.from_state *= step.level.norm();
        }
        step.level = step.level.normalised();
    }
}

/// How many buffers of estimates a plan needs: the longest reach into its history; 0 for an empty plan.
pub fn history<C>(plan: &[Step<C>]) -> usize {
    plan.iter().map(|step| step.pulls.len()).max().unwrap_or(0)
}

/// Whether any step adds noise, so that a noise buffer and a noise source are needed.
pub fn is_noisy<C>(plan: &[Step<C>]) -> bool {
    plan.iter().any(Step::is_noisy)
}

/// Makes one step for each neighbouring pair of times, by a rule that sees the time, the level there and the next level.
pub(crate) fn fill(
    process: &(impl crate::schedule::Process + ?Sized),
    times: &[f64],
    plan: &mut [Step],
    mut rule: impl FnMut(f64, NoiseLevel, NoiseLevel) -> Result<Step, Error>,
) -> Result<(), Error> {
    fill_times(times, plan, |t, s| rule(t, process.level(t)?, process.level(s)?))
}

/// Makes one step for each neighbouring pair of times, by a rule that sees the two.
pub(crate) fn fill_times(
    times: &[f64],
    plan: &mut [Step],
    mut rule: impl FnMut(f64, f64) -> Result<Step, Error>,
) -> Result<(), Error> {
    if plan.is_empty() || times.len() != plan.len() + 1 {
        return Err(Error::WrongLength { what: "times of a plan", need: plan.len().max(1) + 1, have: times.len() });
    }
    for (step, pair) in plan.iter_mut().zip(times.windows(2)) {
        *step = rule(pair[0], pair[1])?;
    }
    Ok(())
}
