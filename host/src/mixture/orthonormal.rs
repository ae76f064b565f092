//! Rows made orthonormal.

/// Makes rows of `length` numbers orthonormal, one after the other (Gram and Schmidt, modified); rows that are almost so change little. A row
/// that depends on those before it becomes the first unit vector that does not.
pub fn rows(rows: &mut [f64], length: usize) {
    let count = rows.len() / length.max(1);
    for own in 0..count {
        let (before, rest) = rows.split_at_mut(own * length);
        let Some(row) = rest.get_mut(..length) else { return };
        if orthogonalise(before, row) {
            continue;
        }
        for unit in 0..length {
            row.fill(0.0);
            row[unit] = 1.0;
            if orthogonalise(before, row) {
                break;
            }
        }
    }
}

/// Takes from `row` what lies along the orthonormal rows before it, and gives it length 1; whether anything was left.
fn orthogonalise(before: &[f64], row: &mut [f64]) -> bool {
    let squared = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
    let size = squared(row);
    // Twice, for what the first pass leaves by rounding.
    for _ in 0..2 {
        for other in before.chunks_exact(row.len()) {
            let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
    }
    let left = squared(row);
    let independent = left > 1e-12 * size && left.is_normal();
    if independent {
        row.iter_mut().for_each(|x| *x /= left.sqrt());
    }
    independent
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use tweedie_core::noise::NoiseStream;

    fn product(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    quickcheck! {
        fn any_rows_become_orthonormal_and_keep_their_span(seed: u64, count: u8, copies: bool) -> bool {
            let (length, count) = (7, 1 + usize::from(count % 7));
            let mut values = vec![0.0_f32; length * count];
            NoiseStream::new(seed, 0).fill(0, &mut values);
            let mut given: Vec<f64> = values.into_iter().map(f64::from).collect();
            if copies && count > 1 {
                given.copy_within(..length, length);
            }
            let mut made = given.clone();
            rows(&mut made, length);
            let made: Vec<&[f64]> = made.chunks(length).collect();
            let orthonormal = (0..count).all(|i| {
                (0..count).all(|j| (product(made[i], made[j]) - f64::from(u8::from(i == j))).abs() < 1e-10)
            });
            // Of each row nothing is left outside the rows up to it.
            let spanned = given.chunks(length).enumerate().all(|(i, row)| {
                let inside: f64 = made[..=i].iter().map(|unit| product(unit, row).powi(2)).sum();
                (product(row, row) - inside).abs() < 1e-9
            });
            orthonormal && spanned
        }
    }

    #[test]
    fn orthonormal_rows_stay() {
        let mut turned = [0.6, 0.8, 0.0, -0.8, 0.6, 0.0];
        let before = turned;
        rows(&mut turned, 3);
        assert!(turned.iter().zip(before).all(|(a, b)| (a - b).abs() < 1e-15));
    }
}
