//! Plans run over exact denoisers, and points on a line.

use crate::error::Error;
use tweedie_core::NoiseLevel;
use tweedie_core::ddim;
use tweedie_core::discretise::Spacing;
use tweedie_core::exact::{AlongPlan, DiagonalMixture, Mixture};
use tweedie_core::noise::NoNoise;
use tweedie_core::plan::{Step, history};
use tweedie_core::sampler::{self, Clip, SamplerError, Workspace};
use tweedie_core::schedule::Process;

/// Two Gaussians on a line, one of them twice as likely: the data of the studies in one dimension.
pub fn two_gaussians() -> Result<DiagonalMixture<'static>, Error> {
    Ok(DiagonalMixture::new(&[1.0, 2.0], &[-1.0, 1.0], &[0.04, 0.09])?)
}

/// A plan of DDIM without noise in `steps` steps between two times.
///
/// # Errors
/// What core refuses.
pub fn ddim_plan(
    process: &impl Process,
    spacing: Spacing,
    ends: [f64; 2],
    steps: usize,
) -> Result<(Vec<f64>, Vec<Step>), Error> {
    let (mut times, mut plan) = (vec![0.0; steps + 1], vec![Step::EMPTY; steps]);
    spacing.fill(process, ends[0], ends[1], &mut times)?;
    ddim::plan(process, &times, 0.0, &mut plan)?;
    Ok((times, plan))
}

/// The states of one sample on its way along a plan without noise, the first of them `start`.
///
/// # Errors
/// What core refuses, such as a start of another dimension.
pub fn states<M: Mixture>(data: M, plan: &[Step], start: &[f64]) -> Result<Vec<Vec<f64>>, Error> {
    let mut state = start.to_vec();
    let mut buffers = vec![vec![0.0; start.len()]; history(plan)];
    let mut x0_hats: Vec<&mut [f64]> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
    let mut workspace = Workspace { x0_hats: &mut x0_hats, noise: None };
    let mut scratch = vec![0.0; data.scratch_len()];
    let mut denoiser = AlongPlan { data, plan, scratch: &mut scratch };
    let mut all = vec![start.to_vec()];
    let watch = |_, x: &[f64], _: &[f64]| all.push(x.to_vec());
    sampler::run(plan, Clip::None, &mut state[..], &mut workspace, &mut denoiser, &mut NoNoise, watch).map_err(
        |error| match error {
            SamplerError::Denoiser(error) => Error::Core(error),
            other => Error::Argument(other.to_string()),
        },
    )?;
    Ok(all)
}

/// Where a plan carries points of the line: `[steps + 1][starts]`.
///
/// # Errors
/// As of [`states`].
pub fn carried(data: DiagonalMixture<'_>, plan: &[Step], starts: &[f64]) -> Result<Vec<Vec<f64>>, Error> {
    let mut by_step = vec![Vec::with_capacity(starts.len()); plan.len() + 1];
    for &start in starts {
        let way = states(data, plan, &[start])?;
        by_step.iter_mut().zip(way).for_each(|(points, state)| points.push(state[0]));
    }
    Ok(by_step)
}

/// 2001 evenly spaced points, six times the level's norm to either side: beyond them a noisy state of [`two_gaussians`] is next to never found.
pub fn grid(level: NoiseLevel) -> Vec<f64> {
    (-1000..=1000).map(|i| 6.0 * level.norm() * f64::from(i) / 1000.0).collect()
}

/// `count` numbers from one end to the other, each the same factor from the next.
pub fn geometric(ends: [f64; 2], count: u32) -> Vec<f64> {
    let ratio = ends[1] / ends[0];
    (0..count).map(|i| ends[0] * ratio.powf(f64::from(i) / f64::from(count - 1))).collect()
}
