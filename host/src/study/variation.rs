//! The total variation between what DDIM draws and the data, against the number of steps.

use super::sampling::{carried, ddim_plan, grid, two_gaussians};
use super::{Findings, log_log_slope};
use crate::error::Error;
use crate::picture::axis::{Axis, significant};
use crate::picture::line_plot::{Curve, LinePlot};
use tweedie_core::discretise::Spacing;
use tweedie_core::exact::IncreasingMap;
use tweedie_core::schedule::{Process, Schedule};

/// Steps of the sampler.
const STEPS: [usize; 8] = [4, 8, 16, 32, 64, 128, 256, 512];
/// From nearly pure noise to nearly clean data.
const ENDS: [f64; 2] = [0.9999, 0.01];
/// Growth of the exponential discretisation over all steps, so that finer grids refine coarser ones.
const GROWTH: f64 = 4.0;

/// A discretisation by name, for a number of steps.
type Discretisation = (&'static str, fn(usize) -> Spacing);

/// Makes the study.
///
/// # Errors
/// None that is known.
pub fn findings() -> Result<Findings, Error> {
    let (data, process) = (two_gaussians()?, Schedule::VariancePreserving);
    let [from, to] = [process.level(ENDS[0])?, process.level(ENDS[1])?];
    let start = grid(from);
    let spacings: [Discretisation; 3] = [
        ("exponential (3.2.83)", |steps| Spacing::Exponential { growth: GROWTH / steps as f64 }),
        ("uniform in t", |_| Spacing::Uniform),
        ("uniform in log-SNR", |_| Spacing::LogSnr),
    ];
    let (mut curves, mut remarks) = (Vec::new(), Vec::new());
    for (index, (name, spacing)) in spacings.into_iter().enumerate() {
        let mut points = Vec::new();
        for steps in STEPS {
            let (_, plan) = ddim_plan(&process, spacing(steps), ENDS, steps)?;
            let end = carried(data, &plan, &start)?.pop().unwrap_or_default();
            let variation = IncreasingMap::new(&start, &end)?.total_variation(&data, from, to)?;
            points.push((steps as f64, variation));
        }
        let slope = log_log_slope(&points[3..]);
        let last = points[points.len() - 1];
        remarks.push(format!("{name}: {} after {} steps, log-log slope {slope:.2}", significant(last.1), last.0));
        curves.push(Curve::measured(index, format!("{name}, slope {slope:.2}"), points));
    }
    let law = STEPS.map(|steps| (steps as f64, 1.0 / steps as f64));
    curves.insert(0, Curve::guide("1/L", law.to_vec()));
    let all: Vec<f64> = curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1)).collect();
    let plot = LinePlot::new(
        "Total variation of what DDIM draws",
        ("steps L", Axis::of_values(&STEPS.map(|steps| steps as f64))),
        ("total variation from the data", Axis::of_losses(all.into_iter())),
        curves,
    );
    Ok(Findings { plot, remarks })
}
