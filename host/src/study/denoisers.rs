//! What the exact denoiser answers: `E[x_0 | x_t]` against `x_t`.

use super::Findings;
use super::sampling::two_gaussians;
use crate::error::Error;
use crate::picture::axis::Axis;
use crate::picture::line_plot::{Curve, LinePlot};
use tweedie_core::exact::Mixture;
use tweedie_core::schedule::{Process, Schedule};

/// Noise levels of the variance-exploding process.
const LEVELS: [f64; 5] = [0.1, 0.3, 0.7, 1.5, 4.0];
/// States from minus to plus this.
const REACH: f64 = 2.0;

/// Makes the study.
///
/// # Errors
/// None that is known.
pub fn findings() -> Result<Findings, Error> {
    let (data, process) = (two_gaussians()?, Schedule::VarianceExploding { sigma_max: 10.0 });
    let states: Vec<f64> = (-150..=150).map(|i| REACH * f64::from(i) / 150.0).collect();
    let mut curves = vec![Curve::guide("x_t itself", vec![(-REACH, -REACH), (REACH, REACH)])];
    let mut remarks = Vec::new();
    for (index, t) in LEVELS.into_iter().enumerate() {
        let level = process.level(t)?;
        let answer = |x: f64| -> Result<(f64, f64), Error> {
            let mut x0_hat = [0.0];
            data.denoise(&[x], level, &mut [], &mut x0_hat)?;
            Ok((x, x0_hat[0]))
        };
        let points: Vec<(f64, f64)> = states.iter().map(|&x| answer(x)).collect::<Result<_, Error>>()?;
        remarks.push(format!("at t = {t}, x_t = 0.5 is denoised to {:.3}", answer(0.5)?.1));
        curves.push(Curve::smooth(index, format!("t = {t}"), points));
    }
    let plot = LinePlot::new(
        "The exact denoiser of two Gaussians",
        ("noisy state x_t", Axis::linear(-REACH..REACH, 0.0)),
        ("E[x_0 | x_t]", Axis::linear(-REACH..REACH, 0.0)),
        curves,
    );
    Ok(Findings { plot, remarks })
}
