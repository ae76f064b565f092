//! Layers in integers: scales of buffers, and of each row of weights; biases and multipliers that fit them.

use super::ExportError;
use super::calibrate::{Calibration, LayerStatistics};
use super::folded::{Folded, FoldedLinear, Kind};
use super::quantise_mixture::{self, QuantisedMixture};
use super::rounding::{Compensation, LARGEST, output_power};
use super::table;
use crate::operators::Activation;
use candle_core::Tensor;
use rayon::prelude::*;
use tweedie_core::artifact::STATE_FRACTION;

/// Room above the largest magnitude seen in calibration: errors of weights hide the bit that it costs, and saturation would not be hidden.
const HEADROOM: f64 = 1.5;
/// How far below the least deviation seen in calibration a row may fall before its normalisation saturates.
const DEVIATION_HEADROOM: f64 = 8.0;
/// What a 16-bit number may reach in magnitude, which overflow proofs reckon with.
const LARGEST_ACTIVATION: f64 = 32768.0;

/// A layer in integers.
#[derive(Clone, Debug)]
pub enum Quantised {
    /// Fully connected, or a convolution's layer over its patches.
    Linear(QuantisedLinear),
    /// Numbers that only move.
    Moved,
    /// Numbers that are always the same.
    Constants(Vec<i16>),
    /// Attention.
    Attention {
        /// Right shift of scores.
        shift: u32,
        /// From shifted scores to units of the table.
        multiplier: u32,
    },
    /// Layer normalisation.
    Normalise {
        /// Left shift of deviations.
        shift: u32,
        /// Added to the sum of squared deviations.
        epsilon: u64,
        /// Gain of the output.
        gain: u64,
    },
    /// The denoiser of a mixture.
    Mixture(QuantisedMixture),
}

/// A fully connected layer in integers, with names as in [`Linear`](tweedie_core::artifact::Linear).
#[derive(Clone, Debug)]
pub struct QuantisedLinear {
    /// `[outputs, inputs]`, each in -127..=127.
    pub weights: Vec<i8>,
    /// `[outputs]`.
    pub bias: Vec<i32>,
    /// `[outputs]`.
    pub multipliers: Vec<u32>,
    /// The activation's entries, or none.
    pub table: Vec<i16>,
    /// `[steps, outputs]`, or none.
    pub step_bias: Vec<i32>,
    /// `[classes + 1, outputs]`, or none.
    pub class_bias: Vec<i32>,
    /// What 1 stands for before the activation.
    pub pre_activation_unit: f64,
    /// Mean square of the exact output around its mean, over that of the error which the rounding of weights makes.
    pub weights_signal_to_noise: f64,
}

/// A whole network in integers.
#[derive(Clone, Debug)]
pub struct QuantisedNetwork {
    /// The layers in their order.
    pub layers: Vec<Quantised>,
    /// What 1 stands for in each buffer.
    pub scales: Vec<f64>,
}

/// Quantises every layer.
///
/// # Errors
/// An output beyond the device's range, or a row whose numbers do not fit 32 bits together.
pub fn quantise(network: &Folded, calibration: &Calibration) -> Result<QuantisedNetwork, ExportError> {
    let scales = buffer_scales(network, calibration)?;
    let layers = network.layers.iter().zip(&calibration.layers).map(|(layer, statistics)| {
        let (input, output) = (scales[layer.input], scales[layer.output]);
        match &layer.kind {
            Kind::Linear(linear) => {
                let widths = (network.buffers[layer.input].length, network.buffers[layer.output].length);
                quantise_linear(&layer.name, linear, statistics, widths, (input, output)).map(Quantised::Linear)
            }
            Kind::Convolution(convolution) => {
                let linear = &convolution.linear;
                let widths = (convolution.inputs(), linear.bias.elem_count());
                quantise_linear(&layer.name, linear, statistics, widths, (input, output)).map(Quantised::Linear)
            }
            Kind::Normalise { features, epsilon } => {
                Ok(normalise(*features, *epsilon, input, statistics.least_deviation))
            }
            Kind::Rearrange { .. } => Ok(Quantised::Moved),
            Kind::Constants(numbers) => {
                let numbers: Vec<f32> = numbers.flatten_all()?.to_vec1()?;
                // The cast saturates.
                Ok(Quantised::Constants(numbers.iter().map(|&x| (f64::from(x) / output).round() as i16).collect()))
            }
            Kind::Attention { tokens, heads } => {
                let depth = network.buffers[layer.output].length / tokens / heads;
                Ok(attention(input * input / (depth as f64).sqrt()))
            }
            Kind::Mixture(mixture) => {
                let features = network.buffers[layer.input].length;
                quantise_mixture::quantise(mixture, statistics, features).map(Quantised::Mixture)
            }
        }
    });
    let layers = layers.collect::<Result<_, ExportError>>()?;
    Ok(QuantisedNetwork { layers, scales })
}

/// State and output have 12 fractional bits, what is normalised has as many as its bound, the square root of its length, allows, and everything
/// else reaches as far as calibration saw it reach, with some headroom. What only moves, or is a mean of what is there, keeps its scale, and
/// two sources of a convolution share theirs.
fn buffer_scales(network: &Folded, calibration: &Calibration) -> Result<Vec<f64>, ExportError> {
    let mut scales: Vec<f64> = calibration
        .reach
        .iter()
        .map(|&reach| f64::from(reach.max(f32::MIN_POSITIVE)) * HEADROOM / f64::from(i16::MAX))
        .collect();
    let state = (-f64::from(STATE_FRACTION)).exp2();
    let reach = calibration.reach[network.output];
    if f64::from(reach) > state * f64::from(i16::MAX) {
        return Err(ExportError::OutputRange { reach });
    }
    scales[network.input] = state;
    scales[network.output] = state;
    for layer in &network.layers {
        let (input, output) = (layer.input, layer.output);
        match &layer.kind {
            Kind::Normalise { features, .. } => scales[output] = (-f64::from(normalised_fraction(*features))).exp2(),
            Kind::Rearrange { back: false, .. } | Kind::Attention { .. } => scales[output] = scales[input],
            Kind::Rearrange { back: true, .. } => scales[input] = scales[output],
            Kind::Convolution(convolution) => {
                if let Some(second) = convolution.second {
                    let wider = scales[input].max(scales[second]);
                    (scales[input], scales[second]) = (wider, wider);
                }
            }
            Kind::Linear(_) | Kind::Constants(_) | Kind::Mixture(_) => {}
        }
    }
    Ok(scales)
}

/// How far the table of exponentials goes, and so what is left of the smallest shares: `exp(-16)`.
const EXPONENTS: f64 = 16.0;

/// Shift and multiplier that make units of the table, `2^-16` of [`EXPONENTS`], of scores whose unit is this.
fn attention(unit: f64) -> Quantised {
    let steps = unit / EXPONENTS * 65_536.0;
    // A multiplier of at least half of its range, if the shift may be as long.
    let shift = (0..31_u32).find(|&shift| steps * f64::from(shift + 2).exp2() >= 1.0).unwrap_or(31);
    let multiplier = (steps * f64::from(shift + 32).exp2()).round();
    // Where a score is more than half a step, the largest has to do.
    Quantised::Attention { shift, multiplier: multiplier.min(f64::from(i32::MAX)) as u32 }
}

/// Fractional bits of a normalised row: none of its `features` numbers is larger than their square root.
fn normalised_fraction(features: usize) -> u32 {
    let largest = (features as f64).sqrt();
    (0..15).rev().find(|&fraction| largest * f64::from(1 << fraction) <= f64::from(i16::MAX)).unwrap_or(0)
}

/// `epsilon` in units of the input's squares, and the gain and shift that keep the most of the reciprocal root's bits.
fn normalise(features: usize, epsilon: f64, input_scale: f64, least_deviation: f32) -> Quantised {
    let n = features as f64;
    let fraction = f64::from(normalised_fraction(features));
    let least = (f64::from(least_deviation) / input_scale / DEVIATION_HEADROOM).max(1.0);
    let gain = |shift: u32| n.sqrt() * (fraction + 32.0 - f64::from(shift)).exp2();
    // The reciprocal root times the gain must stay below 2^31; every shift more halves it.
    let fits = |shift: &u32| gain(*shift) / (n.powf(1.5) * least) < (31.0_f64).exp2();
    let widest = |shift: &u32| (n * 65535.0) * f64::from(*shift).exp2() < (31.0_f64).exp2();
    let shift = (0..31).take_while(widest).find(fits).or((0..31).take_while(widest).last()).unwrap_or(0);
    let epsilon = (n.powi(3) * epsilon / (input_scale * input_scale)).round().max(1.0) as u64;
    Quantised::Normalise { shift, epsilon, gain: gain(shift).round() as u64 }
}

/// Everything of one row, in its accumulator's units.
struct Row {
    weights: Vec<i8>,
    bias: i32,
    multiplier: u32,
    step_bias: Vec<i32>,
    class_bias: Vec<i32>,
    signal: f64,
    noise: f64,
}

fn quantise_linear(
    name: &str,
    linear: &FoldedLinear,
    statistics: &LayerStatistics,
    (inputs, outputs): (usize, usize),
    (input_scale, output_scale): (f64, f64),
) -> Result<QuantisedLinear, ExportError> {
    let numbers = |tensor: &Tensor| -> Result<Vec<f64>, ExportError> {
        let values: Vec<f64> = tensor.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        let finite = values.iter().all(|value| value.is_finite());
        if finite { Ok(values) } else { Err(ExportError::NotFinite(format!("weights in layer {name}"))) }
    };
    let optional = |tensor: &Option<Tensor>| tensor.as_ref().map_or(Ok(Vec::new()), numbers);
    let (weight, bias) = (numbers(&linear.weight)?, numbers(&linear.bias)?);
    let (step_bias, class_bias) = (optional(&linear.step_bias)?, optional(&linear.class_bias)?);
    let (z_scale, table) = match linear.activation {
        Activation::None => (output_scale, Vec::new()),
        activation => {
            let reach = f64::from(statistics.pre_activation.max(f32::MIN_POSITIVE));
            let z_scale = reach * HEADROOM / f64::from(i16::MAX);
            (z_scale, table::entries(activation, z_scale, output_scale))
        }
    };

    let compensation = Compensation::new(&statistics.covariance, inputs);
    let column = |table: &[f64], row: usize| table.iter().skip(row).step_by(outputs).copied().collect::<Vec<f64>>();
    let rows = (0..outputs).into_par_iter().map(|row| {
        let exact = ExactRow {
            weights: &weight[row * inputs..][..inputs],
            bias: bias[row],
            step_bias: column(&step_bias, row),
            class_bias: column(&class_bias, row),
        };
        exact
            .quantise(&compensation, statistics, input_scale, z_scale)
            .ok_or_else(|| ExportError::Row { layer: name.to_owned(), row })
    });
    let rows = rows.collect::<Result<Vec<Row>, _>>()?;
    // Rows hold columns of the tables.
    let across = |of: fn(&Row) -> &[i32]| {
        let lines = rows.first().map_or(0, |row| of(row).len());
        (0..lines).flat_map(|line| rows.iter().map(move |row| of(row)[line])).collect()
    };
    let total = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
    Ok(QuantisedLinear {
        pre_activation_unit: z_scale,
        step_bias: across(|row| &row.step_bias),
        class_bias: across(|row| &row.class_bias),
        weights_signal_to_noise: total(|row| row.signal) / total(|row| row.noise),
        bias: rows.iter().map(|row| row.bias).collect(),
        multipliers: rows.iter().map(|row| row.multiplier).collect(),
        weights: rows.into_iter().flat_map(|row| row.weights).collect(),
        table,
    })
}

/// One output row in real numbers.
struct ExactRow<'a> {
    weights: &'a [f64],
    bias: f64,
    step_bias: Vec<f64>,
    class_bias: Vec<f64>,
}

impl ExactRow<'_> {
    /// In integers, or `None` where 32 bits do not hold them.
    fn quantise(
        &self,
        compensation: &Compensation,
        statistics: &LayerStatistics,
        input_scale: f64,
        z_scale: f64,
    ) -> Option<Row> {
        let largest = self.weights.iter().fold(0.0_f64, |most, w| most.max(w.abs()));
        let scale = (largest / LARGEST).max(self.least_scale(input_scale));
        let weights = compensation.round(self.weights, scale);
        let change: Vec<f64> = self.weights.iter().zip(&weights).map(|(w, &q)| w - f64::from(q) * scale).collect();
        // The mean of what rounding takes away goes into the bias.
        let mean_change: f64 = change.iter().zip(&statistics.mean).map(|(d, mean)| d * mean).sum();
        let unit = scale * input_scale;
        let in_units = |value: f64| (value / unit).round() as i32;
        let multiplier = (unit / z_scale * (32.0_f64).exp2()).round();
        let row = Row {
            bias: in_units(self.bias + mean_change),
            multiplier: multiplier as u32,
            step_bias: self.step_bias.iter().map(|&bias| in_units(bias)).collect(),
            class_bias: self.class_bias.iter().map(|&bias| in_units(bias)).collect(),
            signal: output_power(self.weights, &statistics.covariance),
            noise: output_power(&change, &statistics.covariance),
            weights,
        };
        (multiplier < (31.0_f64).exp2() && super::prove::margin(&row.weights, &row.biases()).is_some()).then_some(row)
    }

    /// The least scale of weights at which the accumulator holds every sum.
    fn least_scale(&self, input_scale: f64) -> f64 {
        let most = |table: &[f64]| table.iter().fold(0.0_f64, |most, bias| most.max(bias.abs()));
        let biases = self.bias.abs() + most(&self.step_bias) + most(&self.class_bias);
        let weights: f64 = self.weights.iter().map(|w| w.abs()).sum();
        // Rounding adds up to half a unit to each weight, and compensation moves some more from one to another.
        // At most 2^15 inputs leave half of the range.
        let room = (31.0_f64).exp2() - LARGEST_ACTIVATION * self.weights.len() as f64;
        (1.25 * (biases / input_scale + LARGEST_ACTIVATION * weights) / room).max(f64::MIN_POSITIVE)
    }
}

impl Row {
    /// The bias, and the largest magnitudes of those by step and by class.
    fn biases(&self) -> [u32; 3] {
        let most = |table: &[i32]| table.iter().map(|bias| bias.unsigned_abs()).max().unwrap_or(0);
        [self.bias.unsigned_abs(), most(&self.step_bias), most(&self.class_bias)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::integer::run_normalise;
    use tweedie_core::artifact::Normalise;
    use tweedie_core::noise::NoiseStream;

    fn normal(stream: u64, count: usize) -> Vec<f64> {
        let mut values = vec![0.0_f32; count];
        NoiseStream::new(2, stream).fill(0, &mut values);
        values.into_iter().map(f64::from).collect()
    }

    /// Statistics of independent inputs of a mean.
    fn statistics(inputs: usize, mean: f64) -> LayerStatistics {
        let covariance = (0..inputs * inputs).map(|at| f64::from(u8::from(at / inputs == at % inputs))).collect();
        LayerStatistics { pre_activation: 1.0, least_deviation: 1.0, mean: vec![mean; inputs], covariance }
    }

    fn quantised(row: &ExactRow<'_>, mean: f64, input_scale: f64, z_scale: f64) -> Option<Row> {
        let statistics = statistics(row.weights.len(), mean);
        row.quantise(&Compensation::new(&statistics.covariance, row.weights.len()), &statistics, input_scale, z_scale)
    }

    #[test]
    fn a_row_computes_what_it_did() {
        let (input_scale, z_scale) = (1.0 / 4096.0, 30.0 / 32768.0);
        for stream in 0..16 {
            let weights = normal(stream, 48);
            let exact =
                ExactRow { weights: &weights, bias: 0.7, step_bias: vec![0.1, -3.0], class_bias: vec![1.5, 0.2] };
            let row = quantised(&exact, 0.0, input_scale, z_scale).unwrap();
            let inputs: Vec<i16> = normal(100 + stream, 48).iter().map(|x| (x * 4096.0) as i16).collect();
            let sum: i32 = row.weights.iter().zip(&inputs).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
            let acc = row.bias + row.step_bias[1] + row.class_bias[0] + sum;
            let z = (i64::from(acc) * i64::from(row.multiplier) + (1 << 31)) >> 32;
            let dot: f64 = weights.iter().zip(&inputs).map(|(w, &x)| w * f64::from(x) * input_scale).sum();
            // Each of 48 weights is off by half of a scale of 3 / 127 at most, at random.
            let error = z as f64 * z_scale - (dot + 0.7 - 3.0 + 1.5);
            assert!(error.abs() < 4.0 * 0.012 / 3.0_f64.sqrt() * 48.0_f64.sqrt(), "{error}");
        }
    }

    #[test]
    fn the_mean_that_rounding_takes_away_goes_into_the_bias() {
        let weights = normal(0, 64);
        let exact = ExactRow { weights: &weights, bias: 0.0, step_bias: vec![], class_bias: vec![] };
        let (input_scale, mean) = (1.0 / 4096.0, 5.0);
        let row = quantised(&exact, mean, input_scale, 1.0 / 1024.0).unwrap();
        // With every input at its mean the row is exact, up to the rounding of its bias.
        let unit = f64::from(row.multiplier) / (32.0_f64).exp2() / 1024.0;
        let sum: f64 = row.weights.iter().map(|&w| f64::from(w) * mean / input_scale).sum();
        let exact: f64 = weights.iter().map(|w| w * mean).sum();
        assert!(((f64::from(row.bias) + sum) * unit - exact).abs() < 1e-4 * exact.abs().max(1.0));
    }

    #[test]
    fn rows_without_weights_keep_their_bias() {
        for bias in [0.0, 1e-6, 0.25, 300.0] {
            let exact = ExactRow { weights: &[0.0; 8], bias, step_bias: vec![], class_bias: vec![] };
            let row = quantised(&exact, 0.0, 1e-3, 0.01).unwrap();
            let z = (i64::from(row.bias) * i64::from(row.multiplier) + (1 << 31)) >> 32;
            assert!((z as f64 * 0.01 - bias).abs() <= 0.011, "{bias}: {z}");
        }
    }

    #[test]
    fn large_sums_get_a_scale_at_which_they_fit() {
        let weights = vec![1.0; 800];
        let exact = ExactRow { weights: &weights, bias: -90.0, step_bias: vec![50.0], class_bias: vec![-2.0] };
        let row = quantised(&exact, 0.0, 1.0 / 4096.0, 1.0).unwrap();
        assert!(super::super::prove::margin(&row.weights, &row.biases()).is_some());
        // 800 x 127 x 2^15 would be half as much again as fits.
        assert!(row.weights.iter().all(|&w| (40..=80).contains(&w)), "{:?}", &row.weights[..9]);
    }

    #[test]
    fn a_row_coarser_than_its_output_is_refused() {
        let exact = ExactRow { weights: &[100.0], bias: 0.0, step_bias: vec![], class_bias: vec![] };
        assert!(quantised(&exact, 0.0, 1.0, 1e-3).is_none());
    }

    #[test]
    fn normalisation_follows_its_formula_over_all_deviations() {
        let (n, scale, epsilon) = (100, 0.003, 1e-5);
        let unit = (-f64::from(normalised_fraction(n))).exp2();
        for (deviation, precision) in [(0.02_f32, 8.0), (0.2, 12.0), (1.0, 14.0), (5.0, 14.0), (20.0, 14.0)] {
            let Quantised::Normalise { shift, epsilon: whole, gain } = normalise(n, epsilon, scale, deviation) else {
                panic!("a normalisation")
            };
            // However small, deviations leave the reciprocal root so many bits.
            assert!(gain as f64 >= (31.0_f64 + precision).exp2(), "{deviation}: shift {shift}");
            let input: Vec<i16> =
                normal(3, n).iter().map(|x| ((x + 0.5) * f64::from(deviation) / scale).round() as i16).collect();
            let mean = input.iter().map(|&x| f64::from(x) * scale).sum::<f64>() / n as f64;
            let variance = input.iter().map(|&x| (f64::from(x) * scale - mean).powi(2)).sum::<f64>() / n as f64;
            let exact: Vec<f64> =
                input.iter().map(|&x| (f64::from(x) * scale - mean) / (variance + epsilon).sqrt()).collect();
            let layer =
                Normalise { input_at: 0, features: n as u32, rows: 1, output_at: 0, shift, epsilon: whole, gain };
            let mut arena = input;
            run_normalise(&layer, &mut arena);
            for (fixed, exact) in arena.iter().zip(exact) {
                let error = f64::from(*fixed) * unit - exact;
                // The quotient of gain and root is cut to a whole number.
                assert!(error.abs() < unit + (32.0_f64).exp2() / gain as f64 * exact.abs(), "{error} of {exact}");
            }
        }
    }

    #[test]
    fn a_normalised_row_fits_its_fractional_bits() {
        assert_eq!([1, 4, 64, 128, 256, 1024].map(normalised_fraction), [14, 13, 11, 11, 10, 9]);
    }
}
