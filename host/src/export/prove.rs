//! The proof that no accumulator overflows, whatever the activations.

use super::quantise::QuantisedLinear;

/// What is left of `2^31` when an accumulator is as large as it can get: `2^31 - sum of |biases| - sum_i |w_i| 2^15`; `None` if nothing is.
pub fn margin(weights: &[i8], biases: &[u32]) -> Option<u64> {
    let weights: u64 = weights.iter().map(|w| u64::from(w.unsigned_abs())).sum();
    let biases: u64 = biases.iter().map(|&bias| u64::from(bias)).sum();
    (1_u64 << 31).checked_sub(biases + (weights << 15)).filter(|&left| left > 0)
}

/// The least margin of a layer's rows.
pub fn least_margin(linear: &QuantisedLinear) -> Option<u64> {
    let outputs = linear.bias.len();
    let inputs = linear.weights.len() / outputs.max(1);
    let most = |table: &[i32], row: usize| {
        table.iter().skip(row).step_by(outputs).map(|bias| bias.unsigned_abs()).max().unwrap_or(0)
    };
    let rows = (0..outputs).map(|row| {
        let biases = [linear.bias[row].unsigned_abs(), most(&linear.step_bias, row), most(&linear.class_bias, row)];
        margin(&linear.weights[row * inputs..][..inputs], &biases)
    });
    // A row without a margin makes the least one none.
    rows.min().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_exact() {
        assert_eq!(margin(&[127, -127], &[100, 20, 3]), Some((1 << 31) - 254 * 32768 - 123));
        assert_eq!(margin(&[1], &[(1 << 31) - 32768 - 1]), Some(1));
        assert_eq!(margin(&[1], &[(1 << 31) - 32768]), None);
        assert_eq!(margin(&[127; 600], &[]), None);
    }
}
