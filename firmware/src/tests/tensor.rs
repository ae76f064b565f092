use super::*;
use quickcheck::{TestResult, quickcheck};
use std::vec::Vec;
use tweedie_core::normal::from_bits;

fn tensor(bits: &[i16]) -> Vec<Q12> {
    bits.iter().map(|&bits| Q12::from_bits(bits)).collect()
}

/// The combination in real numbers, rounded once, halves up, as a number of steps of 1/4096. Exact: 53 bits are more than enough.
fn reference(x: i16, keep: i32, terms: &[(i32, i16)]) -> i16 {
    let sum = terms.iter().fold(f64::from(keep) * f64::from(x), |sum, &(c, t)| sum + f64::from(c) * f64::from(t));
    (sum / 16_384.0 + 0.5).floor().clamp(-32_768.0, 32_767.0) as i16
}

quickcheck! {
    fn combinations_are_rounded_once(x: Vec<(i16, i16, i16, i16)>, coeffs: [i16; 4], shifts: [u8; 4], count: u8) -> bool {
        let count = usize::from(count % 4);
        // Every other set of coefficients is below 2 in magnitude.
        let shift = |k: usize| if count.is_multiple_of(2) { 0 } else { shifts[k] % 16 };
        let [keep, coeffs @ ..]: [i32; 4] = core::array::from_fn(|k| i32::from(coeffs[k]) << shift(k));
        let columns: [Vec<i16>; 3] =
            [x.iter().map(|x| x.1).collect(), x.iter().map(|x| x.2).collect(), x.iter().map(|x| x.3).collect()];
        let operands: Vec<_> = columns.iter().map(|column| tensor(column)).collect();
        let terms: Vec<_> = coeffs
            .iter()
            .zip(&operands)
            .take(count)
            .map(|(&coeff, operand)| (Coeff::from_bits(coeff), FixedTensor::new(operand)))
            .collect();
        let mut out = tensor(&x.iter().map(|x| x.0).collect::<Vec<_>>());
        FixedTensor::from_mut(&mut out).combine(Coeff::from_bits(keep), &terms).unwrap();
        x.iter().zip(out).all(|(&(x, a, b, c), out)| {
            let terms: Vec<_> = coeffs.into_iter().zip([a, b, c]).take(count).collect();
            out.to_bits() == reference(x, keep, &terms)
        })
    }

    fn a_result_that_fits_is_within_half_a_step(x: i16, y: i16, a: i16, b: i16) -> TestResult {
        let (a, b) = (i32::from(a), i32::from(b));
        let exact = f64::from(a) / 16_384.0 * f64::from(x) / 4096.0 + f64::from(b) / 16_384.0 * f64::from(y) / 4096.0;
        let mut out = tensor(&[x]);
        let y = tensor(&[y]);
        FixedTensor::from_mut(&mut out).axpby(Coeff::from_bits(a), Coeff::from_bits(b), FixedTensor::new(&y)).unwrap();
        match exact.abs() < 7.99 {
            true => TestResult::from_bool((f64::from(out[0]) - exact).abs() <= 1.0 / 8192.0),
            false => TestResult::discard(),
        }
    }

    fn an_error_leaves_the_tensor_unchanged(x: Vec<i16>, longer: bool) -> bool {
        let mut other = x.clone();
        if longer || other.pop().is_none() {
            other.push(5);
        }
        let (mut out, other) = (tensor(&x), tensor(&other));
        let (y, before) = (FixedTensor::new(&other), out.clone());
        let z = FixedTensor::from_mut(&mut out);
        let wanted = Err(LengthMismatch { expected: x.len(), found: other.len() });
        let half = Coeff::from_num(0.5);
        let same = tensor(&x);
        z.combine(half, &[(half, FixedTensor::new(&same)), (half, y)]) == wanted
            && z.combine(half, &[(half, y)]) == wanted
            && z.copy_from(y) == wanted
            && out == before
    }

    fn coefficients_are_rounded_or_refused(value: f64) -> bool {
        let value = value % 150_000.0;
        match FixedTensor::coeff(value) {
            Ok(coeff) => (f64::from(coeff) - value).abs() <= 1.0 / 32_768.0,
            Err(range) => {
                (value.is_nan() || !(-131_072.0 - 1.0 / 32_768.0..131_072.0 - 1.0 / 32_768.0).contains(&value))
                    && (range.value.to_bits(), range.min, range.max)
                        == (value.to_bits(), -131_072.0, 131_072.0 - 1.0 / 16_384.0)
            }
        }
    }

    fn clamping_keeps_what_lies_between(x: Vec<i16>, a: i16, b: i16) -> bool {
        let (low, high) = (Q12::from_bits(a.min(b)), Q12::from_bits(a.max(b)));
        let mut out = tensor(&x);
        FixedTensor::from_mut(&mut out).clamp(low.into(), high.into()).unwrap();
        x.iter().zip(out).all(|(&x, out)| out.to_bits() == x.clamp(low.to_bits(), high.to_bits()))
    }

    fn normal_numbers_are_rounded_to_nearest(bits: u32) -> bool {
        let normal = from_bits(bits);
        let exact = f64::from(normal);
        (f64::from(from_normal(normal)) - exact).abs() <= 1.0 / 8192.0
    }
}

#[test]
fn the_widest_sums_do_not_overflow() {
    let lowest = tensor(&[i16::MIN; 3]);
    let terms = [(Coeff::MIN, FixedTensor::new(&lowest)); 5];
    for count in 0..=5 {
        let mut x = lowest.clone();
        FixedTensor::from_mut(&mut x).combine(Coeff::MIN, &terms[..count]).unwrap();
        assert_eq!(x, [Q12::MAX; 3]);
        FixedTensor::from_mut(&mut x).combine(Coeff::ZERO, &[(Coeff::MAX, FixedTensor::new(&lowest))]).unwrap();
        assert_eq!(x, [Q12::MIN; 3]);
    }
}

#[test]
fn coefficients_outside_the_format_are_refused() {
    for value in [131_072.0, -131_073.0, f64::NAN, f64::INFINITY] {
        assert!(FixedTensor::coeff(value).is_err(), "{value}");
    }
    assert_eq!(FixedTensor::coeff(-131_072.0), Ok(Coeff::MIN));
    assert_eq!(FixedTensor::coeff(1.0), Ok(Coeff::ONE));
}

#[test]
fn clamping_saturates_its_bounds() {
    let mut x = tensor(&[i16::MIN, 0, i16::MAX]);
    FixedTensor::from_mut(&mut x).clamp(-100.0, 100.0).unwrap();
    assert_eq!(x, tensor(&[i16::MIN, 0, i16::MAX]));
    FixedTensor::from_mut(&mut x).clamp(-1.0, 1.0).unwrap();
    assert_eq!(x, [Q12::NEG_ONE, Q12::ZERO, Q12::ONE]);
}

#[test]
fn noise_is_that_of_the_stream() {
    let mut stream = NoiseStream::new(7, 3);
    let mut out = tensor(&[0; 10]);
    stream.fill_normal(2, FixedTensor::from_mut(&mut out)).unwrap();
    for (index, z) in out.iter().enumerate() {
        assert_eq!(*z, from_normal(stream.normals(2, index as u64 / 4)[index % 4]));
    }
}
