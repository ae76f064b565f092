//! Weights that integrate the polynomial through some values.

use crate::plan::MAX_PULLS;

/// Weights `w_i` with `sum_i w_i f(node_i) = sum_j moment_j c_j` for the polynomial `f = sum_j c_j u^j` through the values at the nodes:
/// the integral of every Lagrange basis polynomial, given those of the monomials.
///
/// At most [`MAX_PULLS`] nodes, all different, and as many moments.
pub(crate) fn weights(nodes: &[f64], moments: &[f64]) -> [f64; MAX_PULLS] {
    let mut weights = [0.0; MAX_PULLS];
    for (i, weight) in weights.iter_mut().enumerate().take(nodes.len()) {
        // Coefficients of prod_{k != i} (u - node_k) / (node_i - node_k), constant first.
        let mut basis = [0.0; MAX_PULLS];
        basis[0] = 1.0;
        for (k, &node) in nodes.iter().enumerate().filter(|&(k, _)| k != i) {
            let span = nodes[i] - node;
            let degree = if k < i { k + 1 } else { k };
            for j in (0..=degree).rev() {
                let below = if j > 0 { basis[j - 1] } else { 0.0 };
                basis[j] = (below - node * basis[j]) / span;
            }
        }
        *weight = basis.iter().zip(moments).map(|(coefficient, moment)| coefficient * moment).sum();
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_integrate_polynomials_through_their_values() {
        // Integrals over [0, 1] of 1, u, u^2, u^3.
        let moments = [1.0, 1.0 / 2.0, 1.0 / 3.0, 1.0 / 4.0];
        let nodes = [0.0, -0.7, -1.9, 0.4];
        for count in 1..=4 {
            let weights = weights(&nodes[..count], &moments);
            assert!(weights[count..].iter().all(|&weight| weight == 0.0));
            for (degree, moment) in moments.iter().enumerate().take(count) {
                let sum: f64 = weights.iter().zip(nodes).map(|(w, u)| w * u.powi(degree as i32)).sum();
                assert!((sum - moment).abs() < 1e-13, "{count} nodes, degree {degree}: {sum}");
            }
        }
        // Adams-Bashforth of order 4 on even nodes.
        let adams = weights(&[0.0, -1.0, -2.0, -3.0], &moments).map(|weight| weight * 24.0);
        for (weight, expected) in adams.into_iter().zip([55.0, -59.0, 37.0, -9.0]) {
            assert!((weight - expected).abs() < 1e-12, "{adams:?}");
        }
    }
}
