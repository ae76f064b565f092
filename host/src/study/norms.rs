//! Norm concentration and near-orthogonality against the number of dimensions.

use super::{Findings, log_log_slope};
use crate::picture::axis::{Axis, significant};
use crate::picture::line_plot::{Curve, LinePlot};
use crate::streams;
use tweedie_core::noise::NoiseStream;
use tweedie_core::shell;

/// Draws of each kind of noise in each dimension.
const DRAWS: u64 = 1000;
/// Powers of two up to 4096.
const MOST_DOUBLINGS: u32 = 12;

/// A formula, as it is written and as it is computed from the number of dimensions.
type Law = (&'static str, fn(usize) -> f64);

/// Makes the study.
pub fn findings() -> Findings {
    let dimensions: Vec<usize> = (0..=MOST_DOUBLINGS).map(|k| 1 << k).collect();
    let measured: Vec<[f64; 3]> = dimensions.iter().map(|&d| spreads(d)).collect();
    let curve = |column: usize| -> Vec<(f64, f64)> {
        dimensions.iter().zip(&measured).map(|(&d, spreads)| (d as f64, spreads[column])).collect()
    };
    let law = |of: fn(usize) -> f64| -> Vec<(f64, f64)> { dimensions.iter().map(|&d| (d as f64, of(d))).collect() };
    let names = ["|\u{3b5}|\u{b2}, Gaussian", "|u|\u{b2}, uniform", "cosine of two Gaussian draws"];
    let laws: [Law; 3] = [
        ("\u{221a}(2/d)", shell::spread_gaussian),
        ("2/\u{221a}(5d)", shell::spread_uniform),
        ("1/\u{221a}d", shell::cosine_deviation),
    ];
    let mut curves: Vec<Curve> = laws.into_iter().map(|(name, of)| Curve::guide(name, law(of))).collect();
    curves.extend(names.into_iter().enumerate().map(|(index, name)| Curve::measured(index, name, curve(index))));
    let remarks = (0..3).map(|column| {
        let points = curve(column);
        let (name, _) = laws[column];
        let last = points.last().map_or(0.0, |point| point.1);
        format!(
            "{}: {} in {} dimensions, {name} says {}; log-log slope {:.3}",
            names[column],
            significant(last),
            1 << MOST_DOUBLINGS,
            significant((laws[column].1)(1 << MOST_DOUBLINGS)),
            // In a few dimensions the cosine of draws is no small number yet.
            log_log_slope(&points[4..]),
        )
    });
    let remarks = remarks.collect();
    let values: Vec<f64> = dimensions.iter().map(|&d| d as f64).collect();
    let all: Vec<f64> = curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1)).collect();
    let plot = LinePlot::new(
        "Noise lives on a thin shell",
        ("dimensions d", Axis::of_values(&values)),
        ("standard deviation / mean; of a cosine, standard deviation", Axis::of_losses(all.into_iter())),
        curves,
    );
    Findings { plot, remarks }
}

/// Of draws in `d` dimensions: standard deviation over mean of the squared norm, Gaussian and uniform, and the standard deviation of the
/// cosine between two Gaussian draws.
fn spreads(d: usize) -> [f64; 3] {
    let (mut u, mut v) = (vec![0.0_f64; d], vec![0.0_f64; d]);
    let [mut gaussian, mut uniform, mut cosine] = [Moments::default(); 3];
    for draw in 0..DRAWS {
        let stream = NoiseStream::new(0, streams::STUDY + draw);
        stream.fill(0, &mut u);
        stream.fill(1, &mut v);
        let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        let product: f64 = u.iter().zip(&v).map(|(a, b)| a * b).sum();
        gaussian.add(square(&u));
        cosine.add(product / (square(&u) * square(&v)).sqrt());
        for (index, chunk) in u.chunks_mut(4).enumerate() {
            let bits = stream.bits(2, index as u64);
            chunk.iter_mut().zip(bits).for_each(|(x, bits)| *x = streams::unit(bits));
        }
        uniform.add(square(&u));
    }
    [gaussian.deviation() / gaussian.mean(), uniform.deviation() / uniform.mean(), cosine.deviation()]
}

/// Sums for a mean and a standard deviation.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count - self.mean() * self.mean()).max(0.0).sqrt()
    }
}
