//! Rounding weights to 8 bits so that the layer's output, not the weights, changes least.
//!
//! Weights are rounded one by one, and what an input's rounding does to the output is made up for by the inputs that are still to come, as
//! far as they are correlated with it (Frantar et al., GPTQ, 2023; the optimal brain surgeon of Hassibi and Stork, 1993).

/// The largest magnitude of a weight.
pub const LARGEST: f64 = 127.0;
/// Added to the covariance's diagonal, as a share of its mean.
const DAMPING: f64 = 0.01;

/// In which order inputs are rounded, and how an error spreads over those still to come.
pub struct Compensation {
    /// Inputs by falling variance: errors of the strongest are made up for by the most others.
    order: Vec<usize>,
    /// Upper triangular `U` with `U^T U = (covariance + damping)^-1`, in that order.
    spread: Vec<f64>,
}

impl Compensation {
    /// For inputs of a covariance `[inputs, inputs]`.
    pub fn new(covariance: &[f64], inputs: usize) -> Self {
        let variance = |input: usize| covariance[input * inputs + input];
        let mut order: Vec<usize> = (0..inputs).collect();
        order.sort_by(|&a, &b| variance(b).total_cmp(&variance(a)).then(a.cmp(&b)));
        let mean = (0..inputs).map(variance).sum::<f64>() / inputs as f64;
        // Inputs that never vary leave a matrix that cannot be inverted.
        let damping = (DAMPING * mean).max(1e-12);
        let mut matrix: Vec<f64> = vec![0.0; inputs * inputs];
        for (row, &a) in order.iter().enumerate() {
            for (column, &b) in order.iter().enumerate() {
                matrix[row * inputs + column] = covariance[a * inputs + b] + if a == b { damping } else { 0.0 };
            }
        }
        let spread = transposed(&cholesky(&inverse_of(&matrix, inputs), inputs), inputs);
        Self { order, spread }
    }

    /// The weights of one output row in units of `scale`, rounded to -127..=127.
    pub fn round(&self, row: &[f64], scale: f64) -> Vec<i8> {
        let inputs = row.len();
        let mut left: Vec<f64> = self.order.iter().map(|&input| row[input] / scale).collect();
        let mut rounded = vec![0; inputs];
        for place in 0..inputs {
            let whole = left[place].round().clamp(-LARGEST, LARGEST);
            rounded[self.order[place]] = whole as i8;
            let line = &self.spread[place * inputs..][..inputs];
            let error = (left[place] - whole) / line[place];
            for (weight, share) in left.iter_mut().zip(line).skip(place + 1) {
                *weight -= error * share;
            }
        }
        rounded
    }
}

/// `d^T covariance d`: the mean square that a change `d` of a row's weights makes in its output.
pub fn output_power(change: &[f64], covariance: &[f64]) -> f64 {
    let lines = covariance.chunks_exact(change.len().max(1));
    let dot = |line: &[f64]| line.iter().zip(change).map(|(c, d)| c * d).sum::<f64>();
    lines.zip(change).map(|(line, d)| d * dot(line)).sum::<f64>().max(0.0)
}

/// The lower factor `L` with `L L^T = matrix`, for a positive definite matrix of `n` rows.
fn cholesky(matrix: &[f64], n: usize) -> Vec<f64> {
    let mut lower = vec![0.0; n * n];
    for row in 0..n {
        for column in 0..=row {
            let (a, b) = (&lower[row * n..][..column], &lower[column * n..][..column]);
            let rest = matrix[row * n + column] - a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            lower[row * n + column] = match row == column {
                // Rounding may take a tiny pivot below 0.
                true => rest.max(f64::MIN_POSITIVE).sqrt(),
                false => rest / lower[column * n + column],
            };
        }
    }
    lower
}

/// The inverse of a positive definite matrix of `n` rows.
fn inverse_of(matrix: &[f64], n: usize) -> Vec<f64> {
    let lower = cholesky(matrix, n);
    // Row by row: the transposed inverse of the lower factor.
    let mut columns = vec![0.0; n * n];
    for column in 0..n {
        let solved = &mut columns[column * n..][..n];
        for row in column..n {
            let known = lower[row * n + column..row * n + row].iter().zip(&solved[column..row]);
            let rest = f64::from(row == column) - known.map(|(l, x)| l * x).sum::<f64>();
            solved[row] = rest / lower[row * n + row];
        }
    }
    let mut inverse = vec![0.0; n * n];
    for row in 0..n {
        for column in 0..=row {
            let pairs = columns[row * n + row..][..n - row].iter().zip(&columns[column * n + row..][..n - row]);
            let sum: f64 = pairs.map(|(a, b)| a * b).sum();
            inverse[row * n + column] = sum;
            inverse[column * n + row] = sum;
        }
    }
    inverse
}

fn transposed(matrix: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|at| matrix[at % n * n + at / n]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie_core::noise::NoiseStream;

    fn normal(stream: u64, count: usize) -> Vec<f64> {
        let mut values = vec![0.0_f32; count];
        NoiseStream::new(1, stream).fill(0, &mut values);
        values.into_iter().map(f64::from).collect()
    }

    /// The covariance of `rows` samples of `n` correlated inputs.
    fn covariance(n: usize) -> Vec<f64> {
        let mix = normal(0, n * n / 4);
        let mut covariance = vec![0.0; n * n];
        for row in 0..n {
            for column in 0..n {
                let (a, b) = (&mix[row * (n / 4)..][..n / 4], &mix[column * (n / 4)..][..n / 4]);
                covariance[row * n + column] = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            }
            covariance[row * n + row] += 0.05;
        }
        covariance
    }

    #[test]
    fn the_spread_factorises_the_inverse() {
        let n = 24;
        let covariance = covariance(n);
        let compensation = Compensation::new(&covariance, n);
        let damping = DAMPING * (0..n).map(|i| covariance[i * n + i]).sum::<f64>() / n as f64;
        // U (C + damping) U^T = 1 exactly when U^T U = (C + damping)^-1.
        let u = &compensation.spread;
        for a in 0..n {
            assert!(u[a * n..][..a].iter().all(|&below| below == 0.0));
            for b in 0..n {
                let mut sum = 0.0;
                for i in 0..n {
                    for j in 0..n {
                        let (row, column) = (compensation.order[i], compensation.order[j]);
                        let c = covariance[row * n + column] + if i == j { damping } else { 0.0 };
                        sum += u[a * n + i] * c * u[b * n + j];
                    }
                }
                assert!((sum - f64::from(a == b)).abs() < 1e-8, "{a} {b}: {sum}");
            }
        }
    }

    #[test]
    fn compensation_changes_the_output_less_than_plain_rounding() {
        let n = 64;
        let covariance = covariance(n);
        let compensation = Compensation::new(&covariance, n);
        let (mut plain, mut compensated) = (0.0, 0.0);
        for row in 0..32 {
            let weights = normal(1 + row, n);
            let scale = weights.iter().fold(0.0_f64, |most, w| most.max(w.abs())) / LARGEST;
            let power = |rounded: Vec<f64>| {
                let change: Vec<f64> = weights.iter().zip(rounded).map(|(w, q)| w - q * scale).collect();
                output_power(&change, &covariance)
            };
            plain += power(weights.iter().map(|w| (w / scale).round()).collect());
            compensated += power(compensation.round(&weights, scale).into_iter().map(f64::from).collect());
        }
        assert!(compensated < 0.5 * plain, "{compensated} against {plain}");
    }

    #[test]
    fn inputs_that_never_vary_are_rounded_plainly() {
        let compensation = Compensation::new(&[0.0; 9], 3);
        assert_eq!(compensation.round(&[1.2, -3.4, 200.0], 1.0), [1, -3, 127]);
    }
}
