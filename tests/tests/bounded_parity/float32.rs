//! The host's side: a model's weights as they are, and every rounding of candle's path in f32.
//!
//! Sums of `n` products are within `gamma(n + 1) sum |w_i x_i|` whatever their order (Higham, *Accuracy and Stability of Numerical
//! Algorithms*, 2002, section 3.1); underflow, some 1e-38, is passed over. All of it is a thousand times less than the device's.

use super::affine::{Form, Symbols, silu};
use super::enclosure::{Arithmetic, Kind, Layer, Linear, Normalise, Place, PlanStep, Sampler};
use tweedie_core::prediction::{Moment, Prediction};
use tweedie_host::checkpoint::Model;
use tweedie_host::network::{ANGLE_FEATURES, Weights, angle_features};
use tweedie_host::process::AnyProcess;
use tweedie_host::sample::plan_for;

/// The unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;
/// Relative error of the host's SiLU: that of its `exp`, 3e-7 by its test, and three roundings.
const SILU: f64 = 6e-7;
/// The layer normalisation's.
const EPSILON: f64 = 1e-5;

/// `n u / (1 - n u)`.
fn gamma(n: usize) -> f64 {
    n as f64 * U / (1.0 - n as f64 * U)
}

/// Candle's f32.
#[derive(Clone, Debug)]
pub struct Float32 {
    /// Error of what a step's angle adds to the first layer, `[steps, hidden]`.
    angle_error: Vec<f64>,
}

/// Reads a model in real numbers, with the plan of its preset's own settings.
pub fn read(model: &Model) -> (Sampler, Float32) {
    let process = AnyProcess::new(&model.preset.process).unwrap();
    let steps = plan_for(&model.preset, &process, &model.preset.sampling).unwrap();
    let prediction = Prediction::from(model.preset.training.prediction);
    let plan = steps.iter().map(|step| {
        let to_x0 = prediction.to_x0(&Moment::at(&process, step.t).unwrap()).unwrap();
        PlanStep {
            norm: step.level.norm(),
            from_state: to_x0.from_state,
            from_output: to_x0.from_output,
            memory: step.memory().map(|memory| (memory.from_state, memory.from_x0)),
            keep: step.keep,
            pulls: step.pull().to_vec(),
            kick: step.kick,
        }
    });
    let weights = |name: &str| -> Vec<f64> {
        let tensor = model.weights.get(name).unwrap().flatten_all().unwrap();
        tensor.to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
    };
    let linear = |name: &str, silu: bool, add: bool| Linear {
        weights: weights(&format!("{name}.weight")),
        bias: weights(&format!("{name}.bias")),
        step_bias: Vec::new(),
        class_bias: Vec::new(),
        silu,
        add,
    };

    let mut step_bias = Vec::new();
    let mut angle_error = Vec::new();
    let angle = linear("angle", true, false);
    for step in &steps {
        // These are f32 by definition, and enter as they are.
        let mut features = [0.0_f32; ANGLE_FEATURES];
        angle_features(step.level.angle(), &mut features);
        for (row, bias) in angle.weights.chunks_exact(ANGLE_FEATURES).zip(&angle.bias) {
            let products: Vec<f64> = row.iter().zip(features).map(|(w, x)| w * f64::from(x)).collect();
            let value = silu(products.iter().sum::<f64>() + bias);
            let magnitude = products.iter().map(|p| p.abs()).sum::<f64>() + bias.abs();
            step_bias.push(value);
            // No slope of SiLU is above 1.1.
            angle_error.push(1.1 * gamma(ANGLE_FEATURES + 1) * magnitude + SILU * value.abs());
        }
    }

    let [state, residual, normalised, hidden, output] = [0, 1, 2, 3, 4];
    let layer = |input, output, kind| Layer { input, output, kind };
    let input = Linear { step_bias, class_bias: weights("class"), ..linear("input", false, false) };
    let mut layers = vec![layer(state, residual, Kind::Linear(input))];
    for block in 0..model.preset.network.blocks {
        let name = |part: &str| format!("block.{block}.{part}");
        let (scale, shift) = (weights(&name("norm.scale")), weights(&name("norm.shift")));
        layers.push(layer(residual, normalised, Kind::Normalise(Normalise { epsilon: EPSILON, scale, shift })));
        layers.push(layer(normalised, hidden, Kind::Linear(linear(&name("first"), true, false))));
        layers.push(layer(hidden, residual, Kind::Linear(linear(&name("second"), false, true))));
    }
    layers.push(layer(residual, output, Kind::Linear(linear("output", false, false))));
    let sampler = Sampler {
        features: model.description.features(),
        layers,
        input: state,
        output,
        plan: plan.collect(),
        clip: model.preset.sampling.clip,
    };
    (sampler, Float32 { angle_error })
}

/// The largest magnitude of each element.
fn magnitudes(form: &Form) -> Vec<f64> {
    form.ranges().into_iter().map(|range| range.magnitude()).collect()
}

/// A form with `relative` errors in each element.
fn rounded(form: Form, relative: f64, symbols: &mut Symbols) -> Form {
    let radius: Vec<f64> = magnitudes(&form).into_iter().map(|x| relative * x).collect();
    form.widened(symbols, radius)
}

impl Arithmetic for Float32 {
    fn noise(&self, z: Vec<f64>, scale: f64, symbols: &mut Symbols) -> Form {
        // The number, the scale, their product.
        rounded(Form::combination(&[(scale, &Form::exact(z))]), gamma(3), symbols)
    }

    fn divided(&self, x: &Form, norm: f64, symbols: &mut Symbols) -> Form {
        // Candle multiplies by the reciprocal.
        rounded(Form::combination(&[(1.0 / norm, x)]), gamma(2), symbols)
    }

    fn linear(&self, place: Place, layer: &Linear, x: &Form, symbols: &mut Symbols) -> Form {
        let (bias, bias_magnitudes) = layer.biases(place);
        let sizes: Vec<f64> = layer.weights.iter().map(|w| w.abs()).collect();
        let products = Form::exact(magnitudes(x)).linear(&sizes, &bias_magnitudes);
        let outputs = bias.len();
        let radius = products.centre().iter().enumerate().map(|(row, size)| {
            let angle = match layer.step_bias.is_empty() {
                true => 0.0,
                false => self.angle_error[place.step * outputs + row],
            };
            // The class and the angle are added by one rounding each.
            gamma(x.len() + 3) * size + angle * (1.0 + U)
        });
        let z = x.linear(&layer.weights, &bias).widened(symbols, radius);
        if layer.silu { rounded(z.silu(symbols), SILU, symbols) } else { z }
    }

    fn added(&self, _: Place, held: &Form, more: &Form, symbols: &mut Symbols) -> Form {
        rounded(Form::combination(&[(1.0, held), (1.0, more)]), U, symbols)
    }

    fn normalised(&self, _: Place, layer: &Normalise, x: &Form, symbols: &mut Symbols) -> Form {
        let n = x.len();
        let (normal, least) = x.normalised(symbols, layer.epsilon);
        // Of the mean.
        let mean = gamma(n + 1) * magnitudes(x).iter().sum::<f64>() / n as f64;
        let sizes = magnitudes(&normal);
        // Relative, of the reciprocal root: the mean's error and one rounding in each deviation, none of which is above sqrt(n) s; then those
        // of the sum of squares, the root and the quotient.
        let reciprocal = mean / least + U * (n as f64).sqrt() + gamma(n + 8);
        // A hundredth more covers products of errors.
        let radius: Vec<f64> = sizes.iter().map(|x| 1.01 * (mean / least + (reciprocal + 4.0 * U) * x)).collect();
        let scaled = normal.widened(symbols, radius).stretched(&layer.scale, &layer.shift);
        let roundings: Vec<f64> =
            magnitudes(&scaled).iter().zip(&layer.shift).map(|(x, shift)| gamma(2) * (x + 2.0 * shift.abs())).collect();
        scaled.widened(symbols, roundings)
    }

    fn combined(&self, terms: &[(f64, &Form)], symbols: &mut Symbols) -> Form {
        // Summed in f64 and rounded once; noise was drawn in f32.
        rounded(Form::combination(terms), 1.01 * U, symbols)
    }
}
