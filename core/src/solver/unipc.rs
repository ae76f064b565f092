//! UniPC, the unified predictor-corrector (Zhao et al. 2023): one evaluation a step predicts and corrects.

use super::combination::Combination;
use super::exponential::{Form, Transition};
use super::interpolation::weights;
use super::order::{self, Ending};
use super::path::{Path, lambda_between};
use crate::plan::{MAX_PULLS, Step};
use crate::schedule::Process;
use crate::{Error, NoiseLevel};

/// The paper's `B(h)`. It matters where one coefficient is simplified to 1/2, in a predictor of order 2 and a corrector of order 1;
/// elsewhere the coefficients solve the order conditions whatever `B` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum B {
    /// `B1(h) = h`.
    B1,
    /// `B2(h) = e^h - 1`.
    #[default]
    B2,
}

impl B {
    /// The integral of 1 over the step as `B` has it, where the true one is the transition's moment 0.
    fn moment(self, form: Form, transition: &Transition) -> f64 {
        match (self, form) {
            (Self::B2, _) => transition.moments[0],
            (Self::B1, Form::Data) => transition.h,
            // The scale has a factor e^h that the paper's B has not.
            (Self::B1, Form::Noise) => transition.h * libm::exp(-transition.h),
        }
    }
}

/// UniPC of order 1 to 3; the corrector raises the order by one.
///
/// Each row stands at the predicted state, where the denoiser is asked (the corrected state is never asked about). It goes back
/// to the corrected state before, corrects with the newest estimate, and predicts the next: three combinations, folded into one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UniPc<'a> {
    /// 1 to 3. With the corrector a row combines one estimate more than that.
    pub order: usize,
    /// `B1` or `B2` (`solver_type` bh1, bh2).
    pub b: B,
    /// What is interpolated (`predict_x0`).
    pub form: Form,
    /// Whether to correct; without, at order 3, this is DPM-Solver with exact interpolation.
    pub corrector: bool,
    /// Steps, counted from 0, that are not corrected all the same: early ones under strong guidance (`disable_corrector`).
    pub uncorrected: &'a [usize],
    /// The last steps.
    pub ending: Ending,
}

impl UniPc<'_> {
    /// UniPC as practice uses it: `B2`, data prediction, with corrector and falling order at the end.
    pub const fn new(order: usize) -> Self {
        Self { order, b: B::B2, form: Form::Data, corrector: true, uncorrected: &[], ending: Ending::Falling }
    }

    /// A plan through `times`, falling from noise to data; `plan.len() + 1` of them.
    ///
    /// # Errors
    /// An order outside 1 to 3; times that are no way from noise to data; [`Error::WrongLength`].
    pub fn plan(&self, process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
        order::check(self.order, 3)?;
        let path = Path::with_rows(process, times, plan.len())?;
        let (steps, first) = (path.steps(), path.first_with_signal()?);
        // The corrected state of the step before, in terms of the row at hand, and that step's order.
        let mut before: Option<(Combination, usize)> = None;
        for (k, row) in plan.iter_mut().enumerate() {
            let (from, to) = (path.level(k)?, path.level(k + 1)?);
            let corrected = match before {
                Some((state, order)) if self.corrector && !self.uncorrected.contains(&(k - 1)) => {
                    let levels = Levels::of(&path, k, order + 1)?;
                    self.correct(state, order, &levels)?
                }
                _ => Combination::STATE,
            };
            let order = if to.sigma == 0.0 { 1 } else { order::at(self.order, self.ending, k, steps, first) };
            let form = if from.alpha == 0.0 { Form::Data } else { self.form };
            let levels = Levels::of(&path, k, order)?;
            let predictor = self.predict(form, to, &levels)?;
            let next = corrected.scaled(predictor.state).plus_estimates(1.0, &predictor.estimates);
            *row = next.step(path.time(k), from, 0.0, form.memory(from)?)?;
            // A step from pure noise is not corrected: the estimate at its start says nothing of the slope.
            before = if from.alpha > 0.0 && predictor.state != 0.0 {
                Some((Combination::STATE.carried_over(&predictor)?, order))
            } else {
                None
            };
        }
        Ok(())
    }

    /// UniP: from the corrected state at `levels[0]`, which the combination calls the state, to `to`.
    fn predict(&self, form: Form, to: NoiseLevel, levels: &Levels) -> Result<Combination, Error> {
        let levels = levels.as_slice();
        let transition = Transition::new(form, levels[0], to, 0.0)?;
        let mut nodes = [0.0; MAX_PULLS];
        nodes.iter_mut().zip(levels).for_each(|(node, &level)| *node = lambda_between(level, levels[0]));
        let nodes = &nodes[..levels.len()];
        let weights = match nodes {
            [_, earlier] => {
                let slope = 0.5 * self.b.moment(form, &transition) * transition.h / -earlier;
                [transition.moments[0] + slope, -slope, 0.0, 0.0]
            }
            _ => weights(nodes, &transition.moments[..nodes.len()]),
        };
        Ok(Combination::new(transition.keep, &weights.map(|weight| transition.scale * weight)))
    }

    /// UniC: from the corrected state at `levels[1]`, once more to `levels[0]`, whose estimate is there by now.
    fn correct(&self, state: Combination, order: usize, levels: &Levels) -> Result<Combination, Error> {
        let levels = levels.as_slice();
        let transition = Transition::new(self.form, levels[1], levels[0], 0.0)?;
        let weights = if order == 1 {
            let half = 0.5 * self.b.moment(self.form, &transition);
            [half, transition.moments[0] - half, 0.0, 0.0]
        } else {
            let mut nodes = [0.0; MAX_PULLS];
            nodes.iter_mut().zip(levels).for_each(|(node, &level)| *node = lambda_between(level, levels[1]));
            weights(&nodes[..levels.len()], &transition.moments[..levels.len()])
        };
        Ok(state.scaled(transition.keep).plus_estimates(transition.scale, &weights))
    }
}

/// The levels of the newest estimates, newest first.
struct Levels {
    levels: [NoiseLevel; MAX_PULLS],
    count: usize,
}

impl Levels {
    fn of<P: Process + ?Sized>(path: &Path<'_, P>, k: usize, count: usize) -> Result<Self, Error> {
        let mut levels = [NoiseLevel::CLEAN; MAX_PULLS];
        for (back, level) in levels.iter_mut().enumerate().take(count) {
            *level = path.level(k - back)?;
        }
        Ok(Self { levels, count })
    }

    fn as_slice(&self) -> &[NoiseLevel] {
        &self.levels[..self.count]
    }
}
