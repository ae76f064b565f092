//! The device's side: what an artifact's integers stand for, and every rounding that its arithmetic makes.
//!
//! | operation | error |
//! |---|---|
//! | noise, a step's combination | half of 2^-12 |
//! | multiplier | half a unit of the pre-activation |
//! | activation table | half a unit of the output for its entries, half for the interpolation, and `h^2 / 16` between entries `h` apart |
//! | normalisation | half a unit of the output, and a factor from `1 - 2^32 / gain` to 1 that all numbers of a row share |
//! | adding | none |
//!
//! Everything saturates at 16 bits. Weights, biases, multipliers and coefficients are no errors here: the sampler is that of the rounded ones.

use super::affine::{Form, Range, Symbols, silu};
use super::enclosure::{Arithmetic, Kind, Layer, Linear, Normalise, Place, PlanStep, Sampler};
use tweedie_core::artifact::{self, Artifact, COEFF_FRACTION, STATE_FRACTION, unpack_half};
use tweedie_host::export::Report;

/// What 1 stands for in the state.
const STATE_UNIT: f64 = 1.0 / (1 << STATE_FRACTION) as f64;

/// 16-bit numbers, and for each layer what 1 stands for.
#[derive(Clone, Debug)]
pub struct Device {
    layers: Vec<Units>,
}

#[derive(Clone, Copy, Debug)]
struct Units {
    /// Of the output.
    output: f64,
    /// Before the activation.
    pre_activation: f64,
    /// `2^32 / gain` of a normalisation.
    quotient: f64,
    /// The deviation of a row at which a normalisation's reciprocal root saturates, `gain / root = 2^31`.
    least_deviation: f64,
}

/// Reads an artifact in real numbers; the report tells the units, which a device never needs.
pub fn read(artifact: &Artifact<'_>, report: &Report) -> (Sampler, Device) {
    let header = artifact.header();
    // A buffer is known by where it begins in the arena; the state is there first.
    let mut buffer_units = std::collections::BTreeMap::from([(header.input_at, STATE_UNIT)]);
    let (mut layers, mut units) = (Vec::new(), Vec::new());
    for (layer, report) in artifact.layers().zip(&report.layers) {
        let pre_activation = report.pre_activation_unit.unwrap_or(report.unit);
        match layer {
            artifact::Layer::Linear(linear) => {
                let kind = Kind::Linear(real_linear(&linear, buffer_units[&linear.input_at], pre_activation));
                layers.push(Layer { input: linear.input_at, output: linear.output_at, kind });
                units.push(Units { output: report.unit, pre_activation, quotient: 0.0, least_deviation: 0.0 });
            }
            artifact::Layer::Normalise(normalise) => {
                let n = f64::from(normalise.features);
                let (input_unit, gain) = (buffer_units[&normalise.input_at], normalise.gain as f64);
                let scale = report.unit * (f64::from(normalise.shift) - 32.0).exp2() * gain / n.sqrt();
                let kind = Kind::Normalise(Normalise {
                    epsilon: normalise.epsilon as f64 * input_unit * input_unit / n.powi(3),
                    scale: vec![scale; normalise.features as usize],
                    shift: vec![0.0; normalise.features as usize],
                });
                layers.push(Layer { input: normalise.input_at, output: normalise.output_at, kind });
                units.push(Units {
                    output: report.unit,
                    pre_activation,
                    quotient: (32.0_f64).exp2() / gain,
                    least_deviation: gain * (-31.0_f64).exp2() * input_unit / n.powf(1.5),
                });
            }
            _ => panic!("a kind of layer that this analysis does not know"),
        }
        buffer_units.insert(layers[layers.len() - 1].output, report.unit);
    }
    let plan = artifact.plan().map(|step| {
        let real = |coefficient: i32| f64::from(coefficient) / f64::from(1 << COEFF_FRACTION);
        PlanStep {
            norm: 1.0,
            from_state: real(step.from_state.into()),
            from_output: real(step.from_output.into()),
            memory: step.memory.map(|memory| (real(memory.from_state), real(memory.from_x0))),
            keep: real(step.keep),
            pulls: step.pulls.iter().take(usize::from(step.pull_count)).map(|&pull| real(pull)).collect(),
            kick: real(step.kick),
        }
    });
    let sampler = Sampler {
        features: header.features(),
        layers,
        input: header.input_at,
        output: header.output_at,
        plan: plan.collect(),
        clip: header.clip,
    };
    (sampler, Device { layers: units })
}

/// `z = pre_activation_unit multiplier / 2^32 (bias + W input / input_unit)`.
fn real_linear(linear: &artifact::Linear<'_>, input_unit: f64, pre_activation_unit: f64) -> Linear {
    let (inputs, outputs) = (linear.inputs as usize, linear.outputs as usize);
    let factor = |row: usize| pre_activation_unit * f64::from(linear.multipliers[row]) / (32.0_f64).exp2();
    let biases = |words: &[u32]| -> Vec<f64> {
        words.iter().enumerate().map(|(at, &word)| f64::from(word as i32) * factor(at % outputs)).collect()
    };
    let mut weights = vec![0.0; inputs * outputs];
    let words_per_group = 4 * inputs.div_ceil(4);
    for (at, &word) in linear.weights.iter().enumerate() {
        let (group, place) = (at / words_per_group, at % words_per_group);
        // Four words: two pairs of rows for the first two columns, then for the other two.
        let (row, column) = (4 * group + place % 2 * 2, place / 4 * 4 + place % 4 / 2 * 2);
        for (column, half) in [(column, word as u16), (column + 1, (word >> 16) as u16)] {
            let (first, second) = unpack_half(half);
            for (row, weight) in [(row, first), (row + 1, second)] {
                if row < outputs && column < inputs {
                    weights[row * inputs + column] = f64::from(weight) * factor(row) / input_unit;
                }
            }
        }
    }
    Linear {
        weights,
        bias: biases(linear.bias),
        step_bias: biases(linear.step_bias),
        class_bias: biases(linear.class_bias),
        silu: !linear.table.is_empty(),
        add: linear.add,
    }
}

/// What 16 bits hold.
fn limits(unit: f64) -> Range {
    Range::new(f64::from(i16::MIN) * unit, f64::from(i16::MAX) * unit)
}

fn everywhere(form: &Form, radius: f64) -> impl Iterator<Item = f64> + use<> {
    std::iter::repeat_n(radius, form.len())
}

/// How far SiLU leaves what the entries of a table hold, for arguments in a range and the table's neighbouring entries.
fn beyond(limits: Range, z: Range, spacing: f64) -> f64 {
    // SiLU's minimum, -0.2785, lies at -1.278; it falls before and rises after.
    let (low, high) = (z.low - spacing, z.high + spacing);
    let least = if low > -1.278 { silu(low) } else { -0.2785 };
    let most = silu(low).max(silu(high));
    (most - limits.high).max(limits.low - least).max(0.0)
}

impl Arithmetic for Device {
    fn noise(&self, z: Vec<f64>, _: f64, symbols: &mut Symbols) -> Form {
        let form = Form::exact(z);
        let half = everywhere(&form, STATE_UNIT / 2.0);
        form.widened(symbols, half)
    }

    fn divided(&self, x: &Form, _: f64, _: &mut Symbols) -> Form {
        x.clone()
    }

    fn linear(&self, place: Place, layer: &Linear, x: &Form, symbols: &mut Symbols) -> Form {
        let Units { output, pre_activation, .. } = self.layers[place.layer];
        let z = x.linear(&layer.weights, &layer.biases(place).0);
        let half = everywhere(&z, pre_activation / 2.0);
        let z = z.widened(symbols, half).clamped(symbols, limits(pre_activation));
        if !layer.silu {
            return z;
        }
        let spacing = 256.0 * pre_activation;
        let table = |z: Range| spacing * spacing / 16.0 + output + beyond(limits(output), z, spacing);
        z.silu(symbols).widened(symbols, z.ranges().into_iter().map(table))
    }

    fn added(&self, place: Place, held: &Form, more: &Form, symbols: &mut Symbols) -> Form {
        Form::combination(&[(1.0, held), (1.0, more)]).clamped(symbols, limits(self.layers[place.layer].output))
    }

    fn normalised(&self, place: Place, layer: &Normalise, x: &Form, symbols: &mut Symbols) -> Form {
        let Units { output, quotient, .. } = self.layers[place.layer];
        let (normal, least) = x.normalised(symbols, layer.epsilon);
        assert!(least > self.layers[place.layer].least_deviation, "a reciprocal root may saturate at {least}");
        let normal = normal.stretched(&layer.scale, &layer.shift);
        // The root is floored as well, by 2^-31 of itself; the factor lies around 1 - quotient / 2.
        let share = quotient / 2.0 + (-30.0_f64).exp2();
        let part: Vec<f64> = normal.centre().iter().map(|x| share * x).collect();
        let rest: Vec<f64> = normal.radius().iter().map(|r| share * r).collect();
        let half = everywhere(&normal, output / 2.0);
        let factors = vec![1.0 - quotient / 2.0; normal.len()];
        let floored =
            normal.stretched(&factors, &vec![0.0; normal.len()]).shared(symbols, &part).widened(symbols, rest);
        floored.widened(symbols, half).clamped(symbols, limits(output))
    }

    fn combined(&self, terms: &[(f64, &Form)], symbols: &mut Symbols) -> Form {
        let sum = Form::combination(terms);
        let half = everywhere(&sum, STATE_UNIT / 2.0);
        sum.widened(symbols, half).clamped(symbols, limits(STATE_UNIT))
    }
}
