//! DDIM carrying noise to a small mixture in the plane.

use super::Findings;
use super::sampling::{ddim_plan, states};
use crate::error::Error;
use crate::picture::axis::Axis;
use crate::picture::line_plot::{COLOURS, Curve, GUIDE, LinePlot, Stroke};
use crate::streams;
use tweedie_core::discretise::Spacing;
use tweedie_core::exact::DiagonalMixture;
use tweedie_core::noise::NoiseStream;
use tweedie_core::schedule::Schedule;

/// The centres of three Gaussians, and their variances.
const MEANS: [f64; 6] = [-1.4, -1.0, 1.5, -0.6, 0.1, 1.6];
const VARIANCES: [f64; 6] = [0.02, 0.06, 0.05, 0.02, 0.03, 0.03];
/// Samples drawn, and steps of each.
const COUNT: u64 = 60;
const STEPS: usize = 40;
/// What is seen, in either direction.
const REACH: f64 = 3.2;
/// So that the axes' units are equally long.
const SIZE: (u32, u32) = (720, 812);

/// Makes the study.
///
/// # Errors
/// None that is known.
pub fn findings() -> Result<Findings, Error> {
    let data = DiagonalMixture::new(&[1.0; 3], &MEANS, &VARIANCES)?;
    let (_, plan) = ddim_plan(&Schedule::Trigonometric, Spacing::Uniform, [0.999, 0.001], STEPS)?;
    let (mut starts, mut ends, mut ways) = (Vec::new(), [const { Vec::new() }; 3], Vec::new());
    for sample in 0..COUNT {
        let mut noise = [0.0; 2];
        NoiseStream::new(0, streams::STUDY + sample).fill(0, &mut noise);
        let way: Vec<(f64, f64)> = states(data, &plan, &noise)?.iter().map(|x| (x[0], x[1])).collect();
        let end = way[way.len() - 1];
        let mode = nearest_mode(end);
        starts.push(way[0]);
        ends[mode].push(end);
        let colour = COLOURS[mode].map(|channel| channel / 2 + 127);
        let name = format!("way {sample} to mode {}", mode + 1);
        ways.push(Curve { name, is_listed: false, points: way, colour, stroke: Stroke::Line(1.2) });
    }
    let shares = ends.each_ref().map(Vec::len);
    let mut curves = ways;
    curves.push(Curve {
        name: "noise".to_owned(),
        is_listed: true,
        points: starts,
        colour: GUIDE,
        stroke: Stroke::Dots(3.0),
    });
    for (mode, points) in ends.into_iter().enumerate() {
        let name = format!("mode {}", mode + 1);
        curves.push(Curve { name, is_listed: true, points, colour: COLOURS[mode], stroke: Stroke::Dots(4.0) });
    }
    let remarks = vec![format!(
        "of {COUNT} draws of noise {}, {} and {} end in the three modes, each a third of the data",
        shares[0], shares[1], shares[2]
    )];
    let axis = || Axis::linear(-REACH..REACH, 0.0);
    let plot = LinePlot::new(
        format!("Noise to data in {STEPS} steps of DDIM"),
        ("first coordinate", axis()),
        ("second coordinate", axis()),
        curves,
    );
    Ok(Findings { plot: LinePlot { size: SIZE, ..plot }, remarks })
}

/// The component whose centre is nearest.
fn nearest_mode((x, y): (f64, f64)) -> usize {
    let distance = |mode: usize| (x - MEANS[2 * mode]).hypot(y - MEANS[2 * mode + 1]);
    (1..3).fold(0, |nearest, mode| if distance(mode) < distance(nearest) { mode } else { nearest })
}
