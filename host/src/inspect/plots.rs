//! The spectrum and the norms as plots.

use super::Inspection;
use crate::picture::axis::Axis;
use crate::picture::line_plot::{Curve, LinePlot};
use tweedie_core::shell;

/// The smallest variance that is drawn, as a part of the largest: what `f32` leaves of nothing.
const LEAST: f64 = 1e-7;
/// Bins of the norms.
const BINS: usize = 60;

/// Variances along the principal components, of the data and of noise.
pub fn spectrum(inspection: &Inspection) -> LinePlot {
    let spectrum = &inspection.spectrum;
    let largest = spectrum.data.first().copied().unwrap_or(1.0);
    let points = |variances: &[f64]| -> Vec<(f64, f64)> {
        let numbered = variances.iter().enumerate().map(|(index, &variance)| (index as f64 + 1.0, variance));
        numbered.filter(|point| point.1 > LEAST * largest).collect()
    };
    let curves = vec![
        Curve::guide("noise of the same variance", points(&spectrum.noise)),
        Curve::smooth(0, inspection.data.clone(), points(&spectrum.data)),
    ];
    let all = |of: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        curves.iter().flat_map(|curve| curve.points.iter().map(of)).collect()
    };
    let (across, up) = (all(|point| point.0), all(|point| point.1));
    LinePlot::new(
        "Variance along principal components",
        ("component", Axis::of_steps(across.into_iter())),
        ("variance", Axis::of_losses(up.into_iter())),
        curves.clone(),
    )
}

/// How the squared norms of the data are distributed, beside the shell of unit noise.
pub fn norms(inspection: &Inspection) -> LinePlot {
    let (squared, dimensions) = (&inspection.squared_norms, inspection.dimensions);
    // Noise's squared norm over d is nearly Gaussian about 1.
    let spread = shell::spread_gaussian(dimensions);
    let least = squared.first().copied().unwrap_or(0.0);
    let greatest = squared.last().copied().unwrap_or(1.0);
    let low = least.min(1.0 - 4.0 * spread).max(0.0);
    let high = greatest.max(1.0 + 4.0 * spread);
    let width = (high - low) / BINS as f64;
    let mut counts = vec![0_u32; BINS];
    for value in squared {
        counts[(((value - low) / width) as usize).min(BINS - 1)] += 1;
    }
    let middle = |bin: usize| low + (bin as f64 + 0.5) * width;
    let density = |bin: usize| f64::from(counts[bin]) / (squared.len() as f64 * width);
    let own: Vec<(f64, f64)> = (0..BINS).map(|bin| (middle(bin), density(bin))).collect();
    let fine = 4 * BINS;
    let noise: Vec<(f64, f64)> = (0..=fine)
        .map(|i| low + (high - low) * i as f64 / fine as f64)
        .filter(|&x| x > 0.0)
        .map(|x| (x, shell::density(x, dimensions)))
        .collect();
    // In one dimension noise's density has no bound at 0.
    let most = own.iter().map(|point| point.1).chain([noise_peak(&noise)]).fold(0.0, f64::max);
    let noise = noise.into_iter().filter(|point| point.1 <= 1.1 * most).collect();
    let curves = vec![Curve::guide("unit noise", noise), Curve::smooth(0, inspection.data.clone(), own)];
    LinePlot::new(
        "Squared norms of rows, and the shell of noise",
        ("squared norm / dimensions", Axis::linear(low..high, 0.0)),
        ("density", Axis::linear(0.0..1.1 * most, 0.0)),
        curves,
    )
}

/// The density of noise where its norm is expected, which is near its peak in all but a few dimensions.
fn noise_peak(noise: &[(f64, f64)]) -> f64 {
    noise.iter().filter(|point| point.0 > 0.2).map(|point| point.1).fold(0.0, f64::max)
}
