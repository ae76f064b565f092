//! Heun's method for the probability flow in EDM's coordinates (Karras et al. 2022, Algorithms 1 and 2).

use super::combination::Combination;
use super::euler::Churn;
use super::path::{Path, ratio};
use crate::plan::Step;
use crate::schedule::Process;
use crate::{Error, ddim};

/// Heun's method with its two options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heun {
    /// Noise added before every step (Algorithm 2).
    pub churn: Churn,
    /// Steps in which `sigma / alpha` falls by more than this factor stay Euler's.
    pub widest_fall: f64,
}

impl Heun {
    /// As published: no churn, every step corrected.
    pub const EDM: Self = Self { churn: Churn::NONE, widest_fall: f64::INFINITY };
    /// Without correction where `sigma / alpha` falls by more than 16. EDM starts at 80 and never takes such a step. From next to pure noise
    /// (636 at an angle of 0.999) down to 3 the correction would add a hundred times the difference of two estimates.
    pub const STEADY: Self = Self { widest_fall: 16.0, ..Self::EDM };

    /// Evaluations of a plan through `times`, which is its number of rows: two a step, but one for a step that is not corrected: from pure
    /// noise and to clean data, where the slope at the other end is infinite, and where the fall is too wide.
    ///
    /// # Errors
    /// Times that are no way from noise to data.
    pub fn evaluations(&self, process: &(impl Process + ?Sized), times: &[f64]) -> Result<usize, Error> {
        let path = Path::new(process, times)?;
        (0..path.steps()).try_fold(0, |rows, k| Ok(rows + if self.is_corrected(&path, k)? { 2 } else { 1 }))
    }

    fn is_corrected<P: Process + ?Sized>(&self, path: &Path<'_, P>, k: usize) -> Result<bool, Error> {
        let (from, to) = (path.level(k)?, path.level(k + 1)?);
        Ok(from.alpha > 0.0 && to.sigma > 0.0 && ratio(from) <= self.widest_fall * ratio(to))
    }

    /// A plan through `times`, falling from noise to data, of [`evaluations`](Self::evaluations) rows. Every step from `t` to `s` is Euler's,
    /// then an evaluation at its end corrects it. With `r = (sigma_s / alpha_s) / (sigma_t / alpha_t)`,
    ///
    /// ```text
    /// x_s' = DDIM(x_t, x0_hat_t)        x_s = x_s' + alpha_s (1 - r) / (2 r) (x0_hat_s' - x0_hat_t)
    /// ```
    ///
    /// which is the mean of the two slopes `(x - x0_hat) / sigma`, with `x_t` eliminated.
    ///
    /// # Errors
    /// [`Error::NotDenoising`] and [`Error::NoiseVanishes`] for times that are no way from noise to data; [`Error::WrongLength`]; a
    /// parameter of churn outside its range, and [`Error::OutOfRange`] when churn leads beyond the process's horizon.
    pub fn plan(&self, process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
        let (path, need) = (Path::new(process, times)?, self.evaluations(process, times)?);
        if plan.len() != need {
            return Err(Error::WrongLength { what: "a Heun plan", need, have: plan.len() });
        }
        let mut rows = plan.iter_mut();
        // As many rows were counted as are taken here.
        let mut put = |step: Step| {
            if let Some(row) = rows.next() {
                *row = step;
            }
        };
        for k in 0..path.steps() {
            let ((t, from), to) = (self.churn.raised(&path, k)?, path.level(k + 1)?);
            let predictor = ddim::step(t, from, to, 0.0)?;
            if !self.is_corrected(&path, k)? {
                put(self.churn.after(predictor, &path, k)?);
                continue;
            }
            put(predictor);
            let r = ratio(to) / ratio(from);
            let slope = to.alpha * 0.5 * (1.0 - r) / r;
            let corrector = Combination::new(1.0, &[slope, -slope]);
            put(self.churn.after(corrector.step(path.time(k + 1), to, 0.0, None)?, &path, k)?);
        }
        Ok(())
    }
}

/// Evaluations of a [`plan`], as [`Heun::evaluations`] has them.
///
/// # Errors
/// Times that are no way from noise to data.
pub fn evaluations(process: &(impl Process + ?Sized), times: &[f64]) -> Result<usize, Error> {
    Heun::EDM.evaluations(process, times)
}

/// A plan as published, without churn.
///
/// # Errors
/// As of [`Heun::plan`].
pub fn plan(process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
    Heun::EDM.plan(process, times, plan)
}
