//! DEIS, the diffusion exponential integrator sampler (Zhang and Chen 2022): Adams-Bashforth for the noise estimate.

use super::combination::Combination;
use super::exponential::{Form, Transition};
use super::interpolation::weights;
use super::order::{self, Ending};
use super::path::{Path, lambda_between, ratio};
use crate::Error;
use crate::plan::{MAX_PULLS, Memory, Step};
use crate::schedule::Process;

/// In which variable `eps_hat` is taken to be a polynomial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Variable {
    /// The process's time: t-AB-DEIS, the paper's default. Its integrals have no closed form; they are taken by Gauss-Legendre quadrature.
    Time,
    /// `rho = sigma / alpha`: rho-AB-DEIS, which is k-diffusion's linear multistep method ([`lms`](super::lms)).
    Rho,
    /// `log rho`: what diffusers calls `logrho`, the same as DPM-Solver with exact interpolation.
    #[default]
    LogRho,
}

/// DEIS of order 1 to 4, counting the estimates that are combined: `x_t / alpha_t = x_s / alpha_s + sum_i w_i eps_hat_i`, where the
/// weights are integrals of Lagrange polynomials over `rho` (paper, eq. 15). Every row remembers `eps_hat`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deis {
    /// 1 to 4; 1 is DDIM.
    pub order: usize,
    /// What the noise is a polynomial in.
    pub variable: Variable,
    /// The last steps. A step to clean data is of first order in the log-rho form, where such data are infinitely far away.
    pub ending: Ending,
}

impl Deis {
    /// DEIS as practice uses it: log-rho, falling order at the end.
    pub const fn new(order: usize) -> Self {
        Self { order, variable: Variable::LogRho, ending: Ending::Falling }
    }

    /// A plan through `times`, falling from noise to data; `plan.len() + 1` of them.
    ///
    /// # Errors
    /// An order outside 1 to 4; times that are no way from noise to data; [`Error::WrongLength`].
    pub fn plan(&self, process: &(impl Process + ?Sized), times: &[f64], plan: &mut [Step]) -> Result<(), Error> {
        order::check(self.order, MAX_PULLS)?;
        let path = Path::with_rows(process, times, plan.len())?;
        let (steps, first) = (path.steps(), path.first_with_signal()?);
        for (k, row) in plan.iter_mut().enumerate() {
            let (from, to) = (path.level(k)?, path.level(k + 1)?);
            if from.alpha == 0.0 {
                *row = crate::ddim::step(path.time(k), from, to, 0.0)?;
                continue;
            }
            let at_end = to.sigma == 0.0 && self.variable == Variable::LogRho;
            let order = if at_end { 1 } else { order::at(self.order, self.ending, k, steps, first) };
            let transition = Transition::new(Form::Noise, from, to, 0.0)?;
            let weights = match self.variable {
                Variable::Time => time_weights(&path, k, order)?,
                Variable::Rho => rho_weights(&path, k, order)?,
                Variable::LogRho => {
                    let mut nodes = [0.0; MAX_PULLS];
                    for (back, node) in nodes.iter_mut().enumerate().take(order) {
                        *node = lambda_between(path.level(k - back)?, from);
                    }
                    // Of x, where the others are of x / alpha.
                    let scale = transition.scale / to.alpha;
                    weights(&nodes[..order], &transition.moments[..order]).map(|weight| scale * weight)
                }
            };
            let next = Combination::new(transition.keep, &weights.map(|weight| to.alpha * weight));
            *row = next.step(path.time(k), from, 0.0, Some(Memory::of_noise(from)?))?;
        }
        Ok(())
    }
}

/// Integrals over `rho`, from step `k`'s to the next, of the Lagrange polynomials in `rho`.
fn rho_weights<P: Process + ?Sized>(path: &Path<'_, P>, k: usize, order: usize) -> Result<[f64; MAX_PULLS], Error> {
    let here = ratio(path.level(k)?);
    let reach = ratio(path.level(k + 1)?) - here;
    let (mut nodes, mut moments) = ([0.0; MAX_PULLS], [0.0; MAX_PULLS]);
    let mut power = reach;
    for back in 0..order {
        nodes[back] = ratio(path.level(k - back)?) - here;
        moments[back] = power / (back + 1) as f64;
        power *= reach;
    }
    Ok(weights(&nodes[..order], &moments[..order]))
}

/// Integrals over `rho` of the Lagrange polynomials in time. By parts, `integral u^j d rho = [u^j rho] - integral j u^(j-1) rho du`, so
/// that `rho` need not be differentiated.
fn time_weights<P: Process + ?Sized>(path: &Path<'_, P>, k: usize, order: usize) -> Result<[f64; MAX_PULLS], Error> {
    let (here, reach) = (path.time(k), path.time(k + 1) - path.time(k));
    let (start, end) = (ratio(path.level(k)?), ratio(path.level(k + 1)?));
    let (mut nodes, mut moments) = ([0.0; MAX_PULLS], [0.0; MAX_PULLS]);
    moments[0] = end - start;
    for (back, node) in nodes.iter_mut().enumerate().take(order) {
        *node = path.time(k - back) - here;
    }
    // On each of PANELS equal pieces, Gauss and Legendre's eight points: exact for powers of time up to 15 there.
    const PANELS: usize = 8;
    for panel in 0..PANELS {
        for (point, weight) in GAUSS.iter().flat_map(|&(x, w)| [(x, w), (-x, w)]) {
            let u = reach * (panel as f64 + 0.5 + 0.5 * point) / PANELS as f64;
            let piece = 0.5 * weight * reach / PANELS as f64 * ratio(path.process.level(here + u)?);
            let mut power = 1.0;
            for (j, moment) in moments.iter_mut().enumerate().take(order).skip(1) {
                *moment -= j as f64 * power * piece;
                power *= u;
            }
        }
    }
    let mut power = 1.0;
    for moment in moments.iter_mut().take(order).skip(1) {
        power *= reach;
        *moment += power * end;
    }
    Ok(weights(&nodes[..order], &moments[..order]))
}

/// The positive points of Gauss-Legendre quadrature on [-1, 1] with eight points, and their weights.
const GAUSS: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
];
