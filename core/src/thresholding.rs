//! Dynamic thresholding (Saharia et al. 2022, section 2.3): the range to which `x0_hat` is clamped follows the estimate itself.
//!
//! It needs an order statistic of each sample, and so a buffer and a partial sort: a denoiser applies it to its own estimate, on a
//! host. The sampler's [`Clip`](crate::sampler::Clip), which devices have as well, clamps to a fixed range.

use crate::error::in_range;
use crate::{Error, tensor};
use libm::floor;

/// The parameters of dynamic thresholding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholding {
    /// The share of elements, within [0, 1], that the threshold leaves alone; commonly 0.995.
    pub ratio: f64,
    /// The largest threshold, at least 1, which is the smallest: estimates within [-1, 1] never change.
    pub most: f64,
}

impl Thresholding {
    /// Where the quantile lies among the sorted magnitudes of a sample of `count` elements: how many are below its lower neighbour, and how far
    /// it is on the way from there to the next.
    pub fn place(&self, count: usize) -> (usize, f64) {
        let at = self.ratio * count.saturating_sub(1) as f64;
        (floor(at) as usize, at - floor(at))
    }

    /// `x0_hat <- clamp(x0_hat, -s, s) / s` for one sample, `s` being the quantile `ratio` of its magnitudes, within `[1, most]`; the
    /// quantile is interpolated between the two magnitudes nearest to it. `buffer` is as long as the sample.
    ///
    /// ```
    /// use tweedie_core::thresholding::Thresholding;
    /// let mut x0_hat = [0.5, -4.0, 2.0];
    /// Thresholding { ratio: 0.5, most: 10.0 }.apply(&mut x0_hat, &mut [0.0; 3])?;
    /// assert_eq!(x0_hat, [0.25, -1.0, 1.0]);
    /// # Ok::<(), tweedie_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// A parameter outside its range; a buffer of another length, or an empty sample. `x0_hat` is then unchanged.
    pub fn apply(&self, x0_hat: &mut [f64], buffer: &mut [f64]) -> Result<(), Error> {
        in_range("thresholding ratio", self.ratio, 0.0, 1.0)?;
        in_range("the largest threshold", self.most, 1.0, f64::MAX)?;
        if x0_hat.is_empty() || tensor::check_lengths(buffer.len(), [x0_hat.len()]).is_err() {
            let (need, have) = (x0_hat.len().max(1), buffer.len());
            return Err(Error::WrongLength { what: "thresholding's buffer", need, have });
        }
        buffer.iter_mut().zip(&*x0_hat).for_each(|(magnitude, x)| *magnitude = x.abs());
        let (below, part) = self.place(buffer.len());
        let (_, &mut low, above) = buffer.select_nth_unstable_by(below, f64::total_cmp);
        let next = above.iter().copied().fold(f64::INFINITY, f64::min);
        let quantile = if part > 0.0 { low + part * (next - low) } else { low };
        let threshold = quantile.clamp(1.0, self.most);
        x0_hat.iter_mut().for_each(|x| *x = x.clamp(-threshold, threshold) / threshold);
        Ok(())
    }
}
