//! The reference tensors over slices, and guidance, which combines two estimates.

mod generators;

use generators::{between, check, close};
use tweedie_core::forward::Noising;
use tweedie_core::guidance::Guidance;
use tweedie_core::tensor::{CoeffRange, CombineError, LengthMismatch, Tensor, check_lengths};

#[test]
fn combining_is_the_sum_rounded_once() {
    fn law(keep: u32, x: Vec<u32>, coeffs: Vec<u32>) -> bool {
        let value = |bits: u32, k: usize| between(bits.wrapping_mul(2_654_435_761).rotate_left(k as u32), -8.0, 8.0);
        let keep = between(keep, -2.0, 2.0);
        let coeffs: Vec<f64> = coeffs.iter().take(5).map(|&c| between(c, -2.0, 2.0)).collect();
        let terms: Vec<Vec<f32>> =
            (1..=coeffs.len()).map(|k| x.iter().map(|&bits| value(bits, k) as f32).collect()).collect();
        let start: Vec<f32> = x.iter().map(|&bits| value(bits, 0) as f32).collect();
        let pairs: Vec<(f64, &[f32])> = coeffs.iter().copied().zip(terms.iter().map(Vec::as_slice)).collect();
        let mut narrow = start.clone();
        narrow.combine(keep, &pairs).unwrap();
        let wide_terms: Vec<Vec<f64>> = terms.iter().map(|t| t.iter().map(|&v| v.into()).collect()).collect();
        let wide_pairs: Vec<(f64, &[f64])> = coeffs.iter().copied().zip(wide_terms.iter().map(Vec::as_slice)).collect();
        let mut wide: Vec<f64> = start.iter().map(|&v| v.into()).collect();
        wide.combine(keep, &wide_pairs).unwrap();
        (0..start.len()).all(|i| {
            let mut sum = keep * f64::from(start[i]);
            for (coeff, term) in &pairs {
                sum += coeff * f64::from(term[i]);
            }
            wide[i].to_bits() == sum.to_bits() && narrow[i].to_bits() == (sum as f32).to_bits()
        })
    }
    check(1000, law as fn(u32, Vec<u32>, Vec<u32>) -> bool);
}

#[test]
fn operands_of_another_length_change_nothing() {
    fn law(x: Vec<u32>, other: u8) -> bool {
        let start: Vec<f64> = x.iter().map(|&bits| between(bits, -9.0, 9.0)).collect();
        let (right, wrong) = (vec![1.0; start.len()], vec![1.0; usize::from(other)]);
        if right.len() == wrong.len() {
            return true;
        }
        let error = LengthMismatch { expected: start.len(), found: wrong.len() };
        let mut x = start.clone();
        assert_eq!(x.combine(0.5, &[(1.0, &right), (2.0, &wrong)]), Err(error));
        assert_eq!(x.axpby(0.5, 2.0, &wrong), Err(error));
        assert_eq!(x.copy_from(&wrong[..]), Err(error));
        assert_eq!(Guidance::new(3.0).apply(&mut x[..], &wrong), Err(CombineError::Tensor(error)));
        let noising = Noising::one_step(0.5).unwrap();
        assert_eq!(noising.apply(&mut x[..], &wrong), Err(CombineError::Tensor(error)));
        assert_eq!(check_lengths(start.len(), [right.len(), wrong.len()]), Err(error));
        x.iter().zip(&start).all(|(a, b)| a.to_bits() == b.to_bits())
    }
    check(1000, law as fn(Vec<u32>, u8) -> bool);
}

#[test]
fn coefficients_must_fit_the_format() {
    for bad in [1e39, -1e39, f64::NAN, f64::INFINITY] {
        let mut x = [1.0_f32, 2.0];
        assert!(
            matches!(<[f32]>::coeff(bad), Err(CoeffRange { max, min, .. }) if max == -min && max == f64::from(f32::MAX))
        );
        assert!(matches!(Guidance::new(bad).apply(&mut x[..], &[1.0, 1.0]), Err(CombineError::Coeff(_))));
        assert_eq!(x, [1.0, 2.0]);
        assert_eq!(<[f64]>::coeff(bad).is_ok(), bad.is_finite());
    }
    assert_eq!(<[f32]>::coeff(0.1), Ok(0.1));
}

#[test]
fn copies_clamps_and_blends() {
    let mut x = [1.0_f32, -2.0, 3.0];
    x.copy_from(&[0.5, -7.0, 9.0][..]).unwrap();
    assert_eq!(x, [0.5, -7.0, 9.0]);
    x.clamp(-1.0, 2.0).unwrap();
    assert_eq!(x, [0.5, -1.0, 2.0]);
    x.axpby(2.0, -1.0, &[1.0, 1.0, 1.0]).unwrap();
    assert_eq!(x, [0.0, -3.0, 3.0]);
}

#[test]
fn guidance_extrapolates_from_the_unconditional_estimate() {
    fn law(scale: u32, conditional: u32, unconditional: u32) -> bool {
        let (scale, c, u) =
            (between(scale, -2.0, 12.0), between(conditional, -1.0, 1.0), between(unconditional, -1.0, 1.0));
        let mut estimate = [c];
        Guidance::new(scale).apply(&mut estimate[..], &[u]).unwrap();
        close(estimate[0], u + scale * (c - u), 1e-14, 20.0)
    }
    check(2000, law as fn(u32, u32, u32) -> bool);
    for (scale, expected) in [(0.0, 3.0), (1.0, 5.0), (2.0, 7.0)] {
        let mut estimate = [5.0_f64];
        Guidance::new(scale).apply(&mut estimate[..], &[3.0]).unwrap();
        assert_eq!((estimate, Guidance::new(scale).is_none()), ([expected], scale == 1.0));
    }
}
