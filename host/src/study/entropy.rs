//! Entropy along the forward and the reverse process of a mixture on a line.

use super::Findings;
use super::sampling::{carried, ddim_plan, geometric, grid, two_gaussians};
use crate::error::Error;
use crate::picture::axis::Axis;
use crate::picture::line_plot::{Curve, LinePlot};
use crate::streams;
use tweedie_core::discretise::Spacing;
use tweedie_core::exact::{self, Gaussian, IncreasingMap};
use tweedie_core::noise::NoiseStream;
use tweedie_core::schedule::{Process, Schedule};

/// The least and the most noise, as `t` of the variance-exploding process.
const ENDS: [f64; 2] = [0.02, 10.0];
/// Draws of `x_t` for each level.
const DRAWS: u32 = 50_000;
/// The variance of [`two_gaussians`]. Of all distributions of one variance the Gaussian has the most entropy.
const VARIANCE: f64 = (0.04 + 2.0 * 0.09) / 3.0 + 8.0 / 9.0;

/// Makes the study.
///
/// # Errors
/// None that is known.
pub fn findings() -> Result<Findings, Error> {
    let (data, process) = (two_gaussians()?, Schedule::VarianceExploding { sigma_max: ENDS[1] });
    let stream = NoiseStream::new(0, streams::STUDY);
    let mut scratch = [0.0; 2];
    let mut entropy =
        |t: f64| -> Result<f64, Error> { Ok(exact::entropy(&data, process.level(t)?, &stream, DRAWS, &mut scratch)?) };
    let times = geometric(ENDS, 60);
    let forward: Vec<(f64, f64)> = times.iter().map(|&t| Ok((t, entropy(t)?))).collect::<Result<_, Error>>()?;
    let gaussian = Gaussian { mean: &[0.0], variance: &[VARIANCE] };
    let most: Vec<(f64, f64)> =
        times.iter().map(|&t| Ok((t, gaussian.entropy(process.level(t)?)))).collect::<Result<_, Error>>()?;

    let mut curves =
        vec![Curve::guide("Gaussian of the same variance", most), Curve::smooth(6, "forward: x_t", forward.clone())];
    let mut remarks = vec![format!(
        "forward, the entropy rises from {:.3} nats at t = {} to {:.3} at t = {} (Theorem 3.1)",
        forward[0].1,
        ENDS[0],
        forward[forward.len() - 1].1,
        ENDS[1]
    )];
    for (index, steps) in [3, 8, 64].into_iter().enumerate() {
        let (times, plan) = ddim_plan(&process, Spacing::LogSnr, [ENDS[1], ENDS[0]], steps)?;
        let noisy = process.level(ENDS[1])?;
        let start = grid(noisy);
        let begun = entropy(ENDS[1])?;
        let mut points = Vec::new();
        for (&t, state) in times.iter().zip(carried(data, &plan, &start)?) {
            points.push((t, begun + IncreasingMap::new(&start, &state)?.entropy_gained(&data, noisy)?));
        }
        let end = points[points.len() - 1].1;
        remarks.push(format!(
            "reverse, {steps} steps of DDIM let it fall (Theorem 3.3) to {end:.3} nats, {:+.3} from the data's",
            end - forward[0].1
        ));
        curves.push(Curve::measured(index, format!("reverse, {steps} steps"), points));
    }
    let all: Vec<f64> = curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1)).collect();
    let plot = LinePlot::new(
        "Entropy of a mixture of two Gaussians",
        ("noise level t", Axis::logarithmic(ENDS[0], ENDS[1])),
        ("differential entropy, nats", Axis::of_losses(all.into_iter())),
        curves,
    );
    Ok(Findings { plot, remarks })
}
