//! The empirical denoiser memorises: what it draws are training rows.

use super::Findings;
use super::sampling::{ddim_plan, states};
use crate::error::Error;
use crate::neighbours::{Near, nearest};
use crate::picture::axis::Axis;
use crate::picture::line_plot::{COLOURS, Curve, LinePlot, Stroke};
use crate::streams;
use std::f64::consts::TAU;
use tweedie_core::discretise::Spacing;
use tweedie_core::exact::{DiagonalMixture, Empirical, Mixture};
use tweedie_core::noise::NoiseStream;
use tweedie_core::plan::Step;
use tweedie_core::schedule::Schedule;

/// Gaussians on a ring, their standard deviation, and the ring's radius.
const MODES: u32 = 8;
const DEVIATION: f64 = 0.12;
const RADIUS: f64 = 1.5;
/// Training points, and samples of each denoiser.
const TRAINING: u64 = 24;
const SAMPLES: u64 = 200;
const STEPS: usize = 50;
const REACH: f64 = 2.2;
/// So that the axes' units are equally long.
const SIZE: (u32, u32) = (720, 812);
/// A sample is a copy if the nearest training row is at most this share of the second nearest's distance away.
pub const COPY: f32 = 1.0 / 3.0;

/// Makes the study.
///
/// # Errors
/// None that is known.
pub fn findings() -> Result<Findings, Error> {
    let angles = (0..MODES).map(|mode| TAU * f64::from(mode) / f64::from(MODES));
    let means: Vec<f64> = angles.flat_map(|angle| [RADIUS * angle.cos(), RADIUS * angle.sin()]).collect();
    let (weights, variances) = (vec![1.0; MODES as usize], vec![DEVIATION * DEVIATION; 2 * MODES as usize]);
    let data = DiagonalMixture::new(&weights, &means, &variances)?;
    let training: Vec<f64> = (0..TRAINING).flat_map(|row| drawn(&data, row)).collect();
    let empirical = Empirical::new(&training, 2)?;

    let (_, plan) = ddim_plan(&Schedule::Trigonometric, Spacing::LogSnr, [0.999, 0.001], STEPS)?;
    let copying = samples(empirical, &plan)?;
    let fresh = samples(data, &plan)?;
    let share = |samples: &[f64]| copies(&training, samples, 2);
    let remarks = vec![
        format!("copies among samples of the empirical denoiser: {:.1} %", 100.0 * share(&copying)),
        format!("among those of the data's own denoiser: {:.1} %", 100.0 * share(&fresh)),
        "chance alone makes a ninth of all points in the plane copies; in more dimensions next to none".to_owned(),
    ];
    let dots = |name: &str, points: &[f64], colour: usize, radius: f64| Curve {
        name: name.to_owned(),
        is_listed: true,
        points: points.chunks_exact(2).map(|x| (x[0], x[1])).collect(),
        colour: COLOURS[colour],
        stroke: Stroke::Dots(radius),
    };
    let curves = vec![
        dots("drawn with the data's denoiser", &fresh, 2, 3.0),
        dots("training points", &training, 0, 8.0),
        dots("drawn with the empirical denoiser", &copying, 4, 4.0),
    ];
    let axis = || Axis::linear(-REACH..REACH, 0.0);
    let plot = LinePlot::new(
        "One sampler, two denoisers",
        ("first coordinate", axis()),
        ("second coordinate", axis()),
        curves,
    );
    Ok(Findings { plot: LinePlot { size: SIZE, ..plot }, remarks })
}

/// Row `row` of the data: the modes in turn.
fn drawn(data: &DiagonalMixture<'_>, row: u64) -> [f64; 2] {
    let (mut z, mut x_0) = ([0.0; 2], [0.0; 2]);
    NoiseStream::new(1, streams::STUDY + row).fill(0, &mut z);
    data.draw(row as usize % data.components(), &z, &mut x_0);
    x_0
}

/// Samples of a denoiser, `[SAMPLES, 2]`, from the same noise for every denoiser.
fn samples<M: Mixture + Copy>(denoiser: M, plan: &[Step]) -> Result<Vec<f64>, Error> {
    let mut all = Vec::new();
    for sample in 0..SAMPLES {
        let mut noise = vec![0.0; denoiser.dimension()];
        NoiseStream::new(0, streams::STUDY + sample).fill(0, &mut noise);
        all.extend(states(denoiser, plan, &noise)?.pop().unwrap_or_default());
    }
    Ok(all)
}

/// The share of copies among samples (Gu et al. 2023): the distance to the nearest training row is at most a third of that to the second.
pub fn copies(training: &[f64], samples: &[f64], dimension: usize) -> f64 {
    let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
    let found = nearest::<2>(&narrow(training), &narrow(samples), dimension);
    let is_copy = |[first, second]: &&[Near; 2]| first.squared <= COPY * COPY * second.squared;
    found.iter().filter(is_copy).count() as f64 / found.len() as f64
}
