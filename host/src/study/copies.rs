//! From memorising to generalising: training rows blurred by balls of a radius (figure 3.12).

use super::Findings;
use super::memorising::copies;
use super::sampling::geometric;
use crate::error::Error;
use crate::picture::axis::Axis;
use crate::picture::line_plot::{COLOURS, Curve, LinePlot, Stroke};
use crate::streams;
use tweedie_core::NoiseLevel;
use tweedie_core::exact::{DiagonalMixture, Mixture};
use tweedie_core::noise::NoiseStream;

/// Dimensions of the data: standard normal, so that nothing about them is special.
const DIMENSIONS: usize = 8;
/// Training rows.
const ROWS: [usize; 3] = [16, 128, 1024];
/// Samples drawn, and fresh rows that are explained.
const COUNT: usize = 1000;
/// The radii of balls, and how many.
const RADII: [f64; 2] = [0.03, 1.5];
const STEPS: u32 = 28;

/// Makes the study.
///
/// # Errors
/// None that is known.
pub fn findings() -> Result<Findings, Error> {
    let noise = |seed: u64, count: usize| -> Vec<f64> {
        let mut all = vec![0.0; count * DIMENSIONS];
        NoiseStream::new(seed, streams::STUDY).fill(0, &mut all);
        all
    };
    let (fresh, blur) = (noise(1, COUNT), noise(2, COUNT));
    let (mut curves, mut best, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
    for (index, rows) in ROWS.into_iter().enumerate() {
        let training = noise(3, rows);
        let weights = vec![1.0; rows];
        let (mut points, mut explained) = (Vec::new(), Vec::new());
        for radius in geometric(RADII, STEPS) {
            let variances = vec![radius * radius; training.len()];
            let balls = DiagonalMixture::new(&weights, &training, &variances)?;
            let mut samples = vec![0.0; blur.len()];
            for (k, (z, sample)) in blur.chunks_exact(DIMENSIONS).zip(samples.chunks_exact_mut(DIMENSIONS)).enumerate()
            {
                balls.draw(k % rows, z, sample);
            }
            points.push((radius, copies(&training, &samples, DIMENSIONS)));
            let mut nats = 0.0;
            for x in fresh.chunks_exact(DIMENSIONS) {
                nats += balls.log_density(x, NoiseLevel::CLEAN, &mut [])?;
            }
            explained.push(nats / COUNT as f64);
        }
        let likeliest = (0..points.len()).max_by(|&a, &b| explained[a].total_cmp(&explained[b])).unwrap_or(0);
        let (radius, share) = points[likeliest];
        remarks.push(format!(
            "{rows} rows: all copies up to a radius of {:.2}; the radius {radius:.2} explains fresh rows best ({:.2} nats), with {:.1} % copies",
            points.iter().take_while(|point| point.1 > 0.99).last().map_or(0.0, |point| point.0),
            explained[likeliest],
            100.0 * share,
        ));
        curves.push(Curve::smooth(index, format!("{rows} training rows"), points));
        best.push((radius, share));
    }
    let name = "likeliest for fresh rows".to_owned();
    curves.push(Curve { name, is_listed: true, points: best, colour: COLOURS[6], stroke: Stroke::Dots(6.0) });
    let plot = LinePlot::new(
        "Blurred training rows stop being copies",
        ("radius of the balls", Axis::logarithmic(RADII[0], RADII[1])),
        ("share of copies", Axis::of_shares([0.0, 1.0].into_iter())),
        curves,
    );
    Ok(Findings { plot, remarks })
}
