//! The kernels against `core::artifact`'s description, taken literally and in wide integers, and against real numbers.

mod attention;
mod convolution;
mod depthwise;
mod rows;

use super::*;
use quickcheck::{TestResult, quickcheck};
use std::vec;
use std::vec::Vec;
use tweedie_core::artifact::{Linear, Normalise, TABLE_ENTRIES, pack_weights, weight_words};

/// A small generator, so that one number makes a whole layer.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }

    fn i16(&mut self, extreme: bool) -> i16 {
        match (extreme, self.next() % 4) {
            (true, 0) => i16::MIN,
            (true, 1) => i16::MAX,
            _ => self.next() as i16,
        }
    }
}

pub fn words(numbers: &[i16]) -> Vec<u32> {
    let mut words = vec![0; numbers.len().div_ceil(2)];
    halves_mut(&mut words)[..numbers.len()].copy_from_slice(numbers);
    words
}

fn saturate(z: i64) -> i64 {
    z.clamp(-32_768, 32_767)
}

/// Step 3 of the description.
fn through(table: &[i16], z: i64) -> i64 {
    let (k, f) = (((z + 32_768) >> 8) as usize, z & 255);
    let (from, to) = (i64::from(table[k]), i64::from(table[k + 1]));
    from + (((to - from) * f + 128) >> 8)
}

#[test]
fn linear_layers_are_those_described() {
    let mut random = Random(1);
    for round in 0..600 {
        let (inputs, outputs) = (1 + random.next() as usize % 70, 1 + random.next() as usize % 70);
        let extreme = round % 3 == 0;
        let weights: Vec<i8> = (0..inputs * outputs)
            .map(|_| if extreme { [127, -127][random.next() as usize % 2] } else { (random.next() as i8).max(-127) })
            .collect();
        let input: Vec<i16> = (0..inputs).map(|_| random.i16(extreme)).collect();
        let before: Vec<i16> = (0..outputs).map(|_| random.i16(extreme)).collect();
        let mut bias =
            |rows: usize| -> Vec<u32> { (0..rows * outputs).map(|_| (random.next() as i32 >> 4) as u32).collect() };
        let (steps, classes) = (3, 2);
        let (own, by_step, by_class) = (bias(1), bias(steps), bias(classes + 1));
        let multipliers: Vec<u32> = (0..outputs)
            .map(|_| if extreme { i32::MAX as u32 } else { random.next() as u32 >> (1 + random.next() % 20) })
            .collect();
        let table: Vec<i16> = (0..TABLE_ENTRIES).map(|_| random.i16(extreme)).collect();
        let mut packed = vec![0; weight_words(inputs, outputs).unwrap()];
        pack_weights(&weights, inputs, outputs, &mut packed).unwrap();
        let packed_table = words(&table);
        for flags in 0..16 {
            let has = |bit: u32| flags >> bit & 1 == 1;
            let layer = Linear {
                input_at: 0,
                inputs: inputs as u32,
                output_at: 0,
                outputs: outputs as u32,
                add: has(0),
                weights: &packed,
                bias: &own,
                multipliers: &multipliers,
                table: if has(1) { &packed_table } else { &[] },
                step_bias: if has(2) { &by_step } else { &[] },
                class_bias: if has(3) { &by_class } else { &[] },
            };
            let (step, class) = (random.next() as usize % steps, random.next() as usize % (classes + 1));
            let expected: Vec<i64> = (0..outputs)
                .map(|o| {
                    let mut acc = i64::from(own[o] as i32);
                    if has(2) {
                        acc += i64::from(by_step[step * outputs + o] as i32);
                    }
                    if has(3) {
                        acc += i64::from(by_class[class * outputs + o] as i32);
                    }
                    for i in 0..inputs {
                        acc += i64::from(weights[o * inputs + i]) * i64::from(input[i]);
                    }
                    assert_eq!(acc, i64::from(acc as i32), "the test's own numbers must be provable");
                    let mut z = saturate((acc * i64::from(multipliers[o]) + (1 << 31)) >> 32);
                    if has(1) {
                        z = through(&table, z);
                    }
                    if has(0) { saturate(i64::from(before[o]) + z) } else { z }
                })
                .collect();
            // The input's padding may hold anything, the output's is left alone.
            let mut padded = input.clone();
            padded.resize(inputs.next_multiple_of(4), random.next() as i16);
            let mut output = before.clone();
            output.resize(outputs.next_multiple_of(4), 77);
            let mut output = words(&output);
            linear(&layer, step, class, &words(&padded), &mut output).unwrap();
            let (found, padding) = halves(&output).split_at(outputs);
            let found: Vec<i64> = found.iter().map(|&z| i64::from(z)).collect();
            assert_eq!(found, expected, "{inputs} -> {outputs}, flags {flags:04b}");
            assert!(padding.iter().all(|&z| z == 77), "{inputs} -> {outputs}, flags {flags:04b}");
        }
    }
}

#[test]
fn what_is_missing_is_named_before_anything_is_written() {
    let full = Linear {
        input_at: 0,
        inputs: 5,
        output_at: 0,
        outputs: 6,
        add: false,
        weights: &[0; 16],
        bias: &[1 << 16; 6],
        multipliers: &[1 << 30; 6],
        table: &[0; 129],
        step_bias: &[0; 12],
        class_bias: &[0; 6],
    };
    let refused = |layer: Linear<'_>, step, class, inputs: usize, outputs: usize| {
        let mut output = vec![7; outputs];
        let error = linear(&layer, step, class, &vec![0; inputs], &mut output).unwrap_err();
        assert!(output.iter().all(|&word| word == 7), "{error}");
        (error.what, error.need, error.have)
    };
    assert_eq!(refused(full, 0, 0, 3, 3), ("a layer's input", 4, 3));
    assert_eq!(refused(full, 0, 0, 4, 2), ("a layer's output", 3, 2));
    assert_eq!(refused(Linear { weights: &[0; 15], ..full }, 0, 0, 4, 3), ("a layer's weights", 16, 15));
    assert_eq!(refused(Linear { bias: &[0; 5], ..full }, 0, 0, 4, 3), ("a layer's bias", 6, 5));
    assert_eq!(refused(Linear { multipliers: &[0; 5], ..full }, 0, 0, 4, 3), ("a layer's multipliers", 6, 5));
    assert_eq!(refused(full, 2, 0, 4, 3), ("a layer's biases by step", 18, 12));
    assert_eq!(refused(full, 0, 1, 4, 3), ("a layer's biases by class", 12, 6));
    assert_eq!(refused(full, usize::MAX, 0, 4, 3).0, "a layer's biases by step");
    let table = Linear { table: &[0; 128], ..full };
    assert_eq!(refused(table, 0, 0, 4, 3), ("an activation table", 129, 128));
    assert_eq!(refused(Linear { add: true, ..table }, 0, 0, 4, 3), ("an activation table", 129, 128));
    assert!(linear(&full, 1, 0, &[0; 4], &mut [0; 3]).is_ok());
}

quickcheck! {
    fn tables_interpolate(seed: u64, values: Vec<i16>) -> bool {
        let mut random = Random(seed);
        let table: Vec<i16> = (0..TABLE_ENTRIES).map(|_| random.i16(true)).collect();
        let mut out = words(&values);
        activate(&words(&table), &mut out, values.len()).unwrap();
        halves(&out).iter().zip(&values).all(|(&out, &z)| i64::from(out) == through(&table, i64::from(z)))
    }

    fn sums_saturate(values: Vec<(i16, i16)>) -> bool {
        let (a, b): (Vec<i16>, Vec<i16>) = values.iter().copied().unzip();
        let mut out = words(&a);
        add(&mut out, &words(&b), values.len()).unwrap();
        halves(&out).iter().zip(&values).all(|(&out, &(a, b))| i64::from(out) == saturate(i64::from(a) + i64::from(b)))
    }

    fn normalisation_is_that_described(values: Vec<i16>, shift: u32, epsilon: u64, gain: u64, small: bool) -> TestResult {
        let n = values.len();
        if n == 0 {
            return TestResult::discard();
        }
        let values: Vec<i16> = values.into_iter().map(|z| if small { z >> 12 } else { z }).collect();
        let most = (0..31).rev().find(|&shift| (n as u64 * 65_535) << shift < 1 << 31).unwrap();
        let layer = Normalise {
            input_at: 0,
            features: n as u32, rows: 1,
            output_at: 0,
            shift: shift % (most + 1),
            epsilon: (epsilon >> (epsilon % 64)).max(1),
            gain: gain >> (gain % 64),
        };
        let mut out = words(&values);
        normalise(&layer, &mut out).unwrap();
        let expected = described(&layer, &values);
        TestResult::from_bool(halves(&out).iter().zip(expected).all(|(&out, expected)| i64::from(out) == expected))
    }

    /// The documented bound: half a step, and the relative errors of the two floors.
    fn normalisation_is_layer_normalisation(values: Vec<i16>, fraction: u32) -> TestResult {
        let n = values.len();
        let fraction = 8 + fraction % 5;
        if n < 2 {
            return TestResult::discard();
        }
        let shift = (0..31).rev().find(|&shift| (n as u64 * 65_535) << shift < 1 << 31).unwrap();
        let gain = (n as f64).sqrt() * 2_f64.powi((fraction + 32 - shift) as i32);
        let epsilon = (n as u64).pow(3) * 16;
        let layer = Normalise { input_at: 0, features: n as u32, rows: 1, output_at: 0, shift, epsilon, gain: gain.round() as u64 };
        let mut out = words(&values);
        normalise(&layer, &mut out).unwrap();

        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
        let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n as f64;
        let deviation = (variance + 16.0).sqrt();
        // The quotient that step 4 takes the floor of.
        let v = deviation.powi(2) * (n as f64).powi(3);
        let even = 2 * ((64.0 - v.log2().ceil()) / 2.0).floor().max(0.0) as i32;
        let quotient = gain / (v * 2_f64.powi(even)).sqrt();
        let fits = |y: f64| y.abs() < 32_767.0;
        TestResult::from_bool(values.iter().zip(halves(&out)).all(|(&x, &out)| {
            let y = (f64::from(x) - mean) / deviation * 2_f64.powi(fraction as i32);
            !fits(y) || (f64::from(out) - y).abs() <= 0.501 + y.abs() * (2.0 / quotient + 2_f64.powi(-30))
        }))
    }
}

/// Normalisation word for word.
fn described(layer: &Normalise, values: &[i16]) -> Vec<i64> {
    let n = values.len() as i128;
    let sum: i128 = values.iter().map(|&x| i128::from(x)).sum();
    let deviations: Vec<i128> = values.iter().map(|&x| n * i128::from(x) - sum).collect();
    let v = deviations.iter().map(|d| d * d).sum::<i128>() + i128::from(layer.epsilon);
    let v = u64::try_from(v).unwrap_or(u64::MAX);
    let e = v.leading_zeros() & !1;
    let root = u128::from(v << e).isqrt();
    assert!((1 << 31..1 << 32).contains(&root));
    let inverse = ((u128::from(layer.gain) / root) << (e / 2)).min((1 << 31) - 1) as i128;
    deviations
        .iter()
        .map(|d| {
            assert_eq!(d << layer.shift, i128::from((d << layer.shift) as i32));
            saturate((((d << layer.shift) * inverse + (1 << 31)) >> 32) as i64)
        })
        .collect()
}

#[test]
fn normalisation_of_the_widest_and_of_equal_numbers() {
    let extremes: Vec<i16> = (0..1024).map(|i| if i % 2 == 0 { i16::MIN } else { i16::MAX }).collect();
    for values in [extremes, vec![i16::MIN; 1024], vec![0; 1024], vec![i16::MAX; 1]] {
        for (epsilon, gain) in [(1, u64::MAX), (u64::MAX, u64::MAX), (1, 0), (1 << 30, 1 << 50)] {
            let layer = Normalise {
                input_at: 0,
                features: values.len() as u32,
                rows: 1,
                output_at: 0,
                shift: 4,
                epsilon,
                gain,
            };
            let mut out = words(&values);
            normalise(&layer, &mut out).unwrap();
            let found: Vec<i64> = halves(&out)[..values.len()].iter().map(|&z| i64::from(z)).collect();
            assert_eq!(found, described(&layer, &values));
        }
    }
}

#[test]
fn odd_counts_leave_the_last_half_alone() {
    let mut values = words(&[1, 2, 3, 4]);
    add(&mut values, &words(&[10, 20, 30, 40]), 3).unwrap();
    assert_eq!(halves(&values), [11, 22, 33, 4]);
    activate(&[0x0005_0005; 129], &mut values, 1).unwrap();
    assert_eq!(halves(&values), [5, 22, 33, 4]);
    let layer = Normalise { input_at: 0, features: 3, rows: 1, output_at: 0, shift: 0, epsilon: 1, gain: 1 << 40 };
    normalise(&layer, &mut values).unwrap();
    assert_eq!(halves(&values)[3], 4);
    assert_eq!(add(&mut values, &[0], 3), Err(TooShort { what: "values to add", need: 2, have: 1 }));
    assert!(normalise(&Normalise { features: 5, ..layer }, &mut values).is_err());
    assert!(activate(&[0; 129], &mut values, 5).is_err());
}
