//! Inpainting by replacement: before every evaluation the known part of the state is data noised to the level at hand (Song et al. 2021,
//! appendix I.2; RePaint's algorithm without resampling, Lugmayr et al. 2022).
//!
//! Approximate, and the more so the fewer and the less random the steps are: the denoiser takes the known part for as uncertain as the
//! rest, and leans too little on it.

use crate::NoiseLevel;
use crate::tensor::{LengthMismatch, check_lengths};

/// What is known of a sample. Slices have one entry per element of the state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known<'a, F> {
    /// The data, of which only the known elements matter.
    pub x0: &'a [F],
    /// Which elements are known.
    pub mask: &'a [bool],
}

macro_rules! replace {
    ($float:ty) => {
        impl Known<'_, $float> {
            /// `x_i <- alpha x0_i + sigma eps_i` where element `i` is known; the others stay.
            ///
            /// Call it on the initial state and after every [`sampler::step`](crate::sampler::step), with the level that the state has then (that
            /// of the next step; after the last one, [`NoiseLevel::CLEAN`] puts the data itself in place). Fresh noise `eps` each time fits
            /// stochastic solvers, the same one each time deterministic ones.
            ///
            /// # Errors
            /// Slices of different lengths; `x` is then unchanged.
            pub fn replace(&self, x: &mut [$float], level: NoiseLevel, eps: &[$float]) -> Result<(), LengthMismatch> {
                check_lengths(x.len(), [self.x0.len(), self.mask.len(), eps.len()])?;
                for (i, element) in x.iter_mut().enumerate().filter(|(i, _)| self.mask[*i]) {
                    let noised = level.alpha * f64::from(self.x0[i]) + level.sigma * f64::from(eps[i]);
                    *element = noised as $float;
                }
                Ok(())
            }
        }
    };
}

replace!(f32);
replace!(f64);
