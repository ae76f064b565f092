//! From logits to posterior chances.

use tweedie_core::artifact::{CHANCE_FRACTION, FALLING, LOGIT_FRACTION};

/// Replaces logits (`i32`, to base 2, with [`LOGIT_FRACTION`]) by chances with [`CHANCE_FRACTION`] that sum to one: steps 3 and 4 of
/// [`Mixture`](tweedie_core::artifact::Mixture)'s arithmetic.
pub fn posterior(logits: &mut [u32]) {
    let Some(most) = logits.iter().map(|&logit| logit as i32).max() else { return };
    let largest = logits.iter().position(|&logit| logit as i32 == most);
    let mut total = 0_u32;
    for logit in &mut *logits {
        *logit = falling((most as u32).wrapping_sub(*logit));
        total = total.wrapping_add(*logit);
    }
    let mut left = 1 << CHANCE_FRACTION;
    for chance in &mut *logits {
        *chance = (*chance << CHANCE_FRACTION).checked_div(total).unwrap_or(0);
        left -= *chance;
    }
    if let Some(chance) = largest.and_then(|at| logits.get_mut(at)) {
        *chance += left;
    }
}

/// `2^15 2^-d` for `d` with [`LOGIT_FRACTION`], by the broken line through [`FALLING`]'s entries.
fn falling(d: u32) -> u32 {
    let (whole, part) = (d >> LOGIT_FRACTION, d & ((1 << LOGIT_FRACTION) - 1));
    if whole > CHANCE_FRACTION {
        return 0;
    }
    let (i, f) = ((part >> 5) as usize, part & 31);
    // `part` is below 1024, so both entries are there.
    let entry = |i: usize| u32::from(FALLING.get(i).copied().unwrap_or_default());
    let (from, to) = (entry(i), entry(i + 1));
    (from - (((from - to) * f + 16) >> 5)) >> whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::vec::Vec;

    quickcheck! {
        fn chances_sum_to_one_and_follow_the_exponential(logits: Vec<i32>, narrow: bool) -> bool {
            if logits.is_empty() {
                return true;
            }
            // The nearer, the more of them count.
            let logits: Vec<i32> = logits.iter().map(|&logit| if narrow { logit % 5000 } else { logit }).collect();
            let mut chances: Vec<u32> = logits.iter().map(|&logit| logit as u32).collect();
            posterior(&mut chances);
            let most = f64::from(*logits.iter().max().unwrap());
            let exact: Vec<f64> = logits.iter().map(|&logit| ((f64::from(logit) - most) / 1024.0).exp2()).collect();
            let total: f64 = exact.iter().sum();
            let bound = 1.5e-4 + logits.len() as f64 / 32768.0;
            let near = chances.iter().zip(exact).all(|(&w, e)| (f64::from(w) / 32768.0 - e / total).abs() < bound);
            chances.iter().sum::<u32>() == 1 << CHANCE_FRACTION && near
        }
    }

    #[test]
    fn equal_logits_share_and_the_first_takes_what_is_left() {
        let mut chances = [7_u32; 3];
        posterior(&mut chances);
        assert_eq!(chances, [10_924, 10_922, 10_922]);
        let mut extremes = [i32::MIN as u32, i32::MAX as u32];
        posterior(&mut extremes);
        assert_eq!(extremes, [0, 1 << CHANCE_FRACTION]);
        posterior(&mut []);
    }
}
