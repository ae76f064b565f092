//! Element-wise loops, compiled for the widest vectors that the processor at hand has.
//!
//! Each loop is plain Rust without fused multiply-adds, so every vector width gives the same bits.

/// `e^x` to about two units in the last place, without branches, so that loops over it vectorise. Saturates outside [-87, 88].
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // x = n ln 2 + r with |r| <= ln 2 / 2; adding and subtracting 1.5 * 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let n = (x * core::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let polynomial = 1.0
        + r * (1.0
            + r * (0.5
                + r * (1.666_666_5e-1
                    + r * (4.166_579_6e-2 + r * (8.333_452e-3 + r * (1.398_2e-3 + r * 1.987_569_1e-4))))));
    f32::from_bits(((n as i32 + 127) as u32) << 23) * polynomial
}

/// SiLU in place, `z <- z / (1 + e^-z)`; with `slope` given, also its derivative at each element.
pub fn silu(z: &mut [f32], slope: Option<&mut [f32]>) {
    let arch = pulp::Arch::default();
    match slope {
        Some(slope) => arch.dispatch(|| {
            for (z, slope) in z.iter_mut().zip(slope) {
                let sigmoid = 1.0 / (1.0 + exp(-*z));
                *slope = sigmoid * (1.0 + *z * (1.0 - sigmoid));
                *z *= sigmoid;
            }
        }),
        None => arch.dispatch(|| {
            for z in z {
                *z *= 1.0 / (1.0 + exp(-*z));
            }
        }),
    }
}

/// Each row of a row-major matrix with `columns` columns becomes `softmax(scale row)`.
pub fn softmax(matrix: &mut [f32], columns: usize, scale: f32) {
    pulp::Arch::default().dispatch(|| {
        for row in matrix.chunks_exact_mut(columns) {
            let largest = row.iter().fold(f32::NEG_INFINITY, |largest, &x| if x > largest { x } else { largest });
            for x in row.iter_mut() {
                *x = exp(scale * (*x - largest));
            }
            let inverse = 1.0 / sum(row, |x| x);
            row.iter_mut().for_each(|x| *x *= inverse);
        }
    });
}

/// The gradient by the operand of [`softmax`], in place of the gradient by its result: `scale p (g - sum(p g))` row by row.
pub fn softmax_backward(shares: &[f32], grad: &mut [f32], columns: usize, scale: f32) {
    pulp::Arch::default().dispatch(|| {
        for (shares, grad) in shares.chunks_exact(columns).zip(grad.chunks_exact_mut(columns)) {
            for (grad, share) in grad.iter_mut().zip(shares) {
                *grad *= share;
            }
            let total = sum(grad, |g| g);
            for (grad, share) in grad.iter_mut().zip(shares) {
                *grad = scale * (*grad - share * total);
            }
        }
    });
}

/// The sum of `f` of every element in 16 interleaved partial sums, an order that vectorises and does not depend on the machine.
#[inline(always)]
pub fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut partial = [0.0_f32; 16];
    let (whole, rest) = row.as_chunks::<16>();
    for chunk in whole {
        for (sum, x) in partial.iter_mut().zip(chunk) {
            *sum += f(*x);
        }
    }
    for (sum, x) in partial.iter_mut().zip(rest) {
        *sum += f(*x);
    }
    partial.iter().sum()
}

/// `out <- a * b`, element by element.
pub fn multiply(a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; a.len()];
    pulp::Arch::default().dispatch(|| {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a * b;
        }
    });
    out
}

/// The sum of the rows of a row-major matrix with `columns` columns.
pub fn sum_rows(matrix: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    add_rows(matrix, &mut sums);
    sums
}

/// Adds the rows of a row-major matrix, one after the other, to `sums`, which is as long as a row.
pub fn add_rows(matrix: &[f32], sums: &mut [f32]) {
    pulp::Arch::default().dispatch(|| {
        for row in matrix.chunks_exact(sums.len()) {
            for (sum, element) in sums.iter_mut().zip(row) {
                *sum += element;
            }
        }
    });
}

/// The sum of squares, in `f64`, in eight interleaved partial sums of fixed order.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let mut partial = [0.0_f64; 8];
    pulp::Arch::default().dispatch(|| {
        for chunk in values.chunks(8) {
            for (sum, value) in partial.iter_mut().zip(chunk) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
    });
    partial.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_everywhere() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 3e-7, "exp({x}) is off by {error}");
        }
        assert!(exp(-1e30) >= 0.0 && exp(1e30).is_finite());
    }

    #[test]
    fn silu_and_its_slope() {
        for i in -200..200 {
            let x = i as f32 / 10.0;
            let (mut z, mut slope) = ([x], [0.0]);
            silu(&mut z, Some(&mut slope));
            let s = |x: f64| x / (1.0 + (-x).exp());
            let x = f64::from(x);
            assert!((f64::from(z[0]) - s(x)).abs() < 1e-6 * (1.0 + x.abs()));
            assert!((f64::from(slope[0]) - (s(x + 1e-5) - s(x - 1e-5)) / 2e-5).abs() < 1e-6 * (1.0 + x.abs()));
            let mut alone = [x as f32];
            silu(&mut alone, None);
            assert_eq!(alone, z);
        }
    }

    #[test]
    fn reductions() {
        assert_eq!(sum_rows(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [5.0, 7.0, 9.0]);
        assert_eq!(sum_of_squares(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]), 285.0);
        assert_eq!(multiply(&[1.0, 2.0], &[3.0, 4.0]), [3.0, 8.0]);
    }
}
