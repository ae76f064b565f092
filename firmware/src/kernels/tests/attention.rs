//! Attention word for word as the format describes it, and against real numbers.

use super::{Random, saturate, through, words};
use crate::kernels::{attention, halves};
use quickcheck::quickcheck;
use std::vec::Vec;
use tweedie_core::artifact::Attention;

/// `exp` from -16 to 0 in 256 steps.
fn exponentials() -> Vec<i16> {
    (0..257).map(|k| (32_767.0 * ((f64::from(k) - 256.0) / 16.0).exp()).round() as i16).collect()
}

fn described(layer: &Attention<'_>, table: &[i16], input: &[i16]) -> Vec<i64> {
    let [tokens, heads, depth] = [layer.tokens, layer.heads, layer.depth].map(usize::from);
    let number = |token: usize, part: usize, head: usize, c: usize| {
        i64::from(input[((token * 3 + part) * heads + head) * depth + c])
    };
    let mut output = Vec::new();
    for t in 0..tokens {
        for h in 0..heads {
            let scores: Vec<i64> = (0..tokens)
                .map(|u| {
                    let sum: i64 = (0..depth).map(|c| number(t, 0, h, c) * number(u, 1, h, c)).sum();
                    (sum >> layer.shift).clamp(i64::from(i32::MIN), i64::from(i32::MAX))
                })
                .collect();
            let most = scores.iter().max().unwrap();
            let e: Vec<i64> = scores
                .iter()
                .map(|s| {
                    let x = ((i128::from(most - s) * i128::from(layer.multiplier)) >> 32).min(65_535) as i64;
                    through(table, 32_767 - x)
                })
                .collect();
            let r = ((1 << 31) - (1 << 16)) / e.iter().sum::<i64>().max(1);
            let shares: Vec<i64> = e.iter().map(|e| (e * r + (1 << 15)) >> 16).collect();
            for c in 0..depth {
                let sum: i64 = (0..tokens).map(|u| shares[u] * number(u, 2, h, c)).sum::<i64>() + (1 << 14);
                assert_eq!(sum, i64::from(sum as i32), "32 bits must hold it");
                output.push(saturate(sum >> 15));
            }
        }
    }
    output
}

quickcheck! {
    fn attention_is_that_described(seed: u64) -> bool {
        let mut random = Random(seed);
        let mut below = |n: u64| (random.next() >> 8) % n;
        let (tokens, heads, depth) = (1 + below(12) as u16, 1 + below(3) as u16, 2 * (1 + below(4) as u16));
        let inputs = 3 * u32::from(tokens) * u32::from(heads) * u32::from(depth);
        let output_at = inputs.next_multiple_of(4) + 2 * below(3) as u32;
        let scratch_at = (output_at + inputs / 3).next_multiple_of(4);
        let (shift, multiplier, extreme) = (below(20) as u8, (below(1 << 31) as u32) >> below(31), below(3) == 0);
        let entries = exponentials();
        let table = words(&entries);
        let layer = Attention { input_at: 0, output_at, scratch_at, tokens, heads, depth, shift, multiplier, table: &table };
        let numbers: Vec<i16> = (0..scratch_at + layer.scratch()).map(|_| random.i16(extreme)).collect();
        let mut arena = words(&numbers);
        attention(&layer, &mut arena).unwrap();
        let outputs = output_at as usize..(output_at + inputs / 3) as usize;
        let found = halves(&arena)[outputs.clone()].iter().map(|&z| i64::from(z));
        assert_eq!(halves(&arena)[..outputs.start], numbers[..outputs.start]);
        found.eq(described(&layer, &entries, &numbers))
    }
}

#[test]
fn attention_is_attention() {
    let (tokens, depth, mut random) = (16, 8, Random(3));
    let numbers: Vec<i16> = (0..3 * tokens * depth).map(|_| random.next() as i16 >> 3).collect();
    // Queries and keys count 2^-10, and a step of the table is 1/4096.
    let shift = 4;
    let multiplier = (2.0_f64.powi(32 - 20 + shift + 12) / (depth as f64).sqrt()) as u32;
    let table = words(&exponentials());
    let scratch_at = 4 * (tokens * depth) as u32;
    let (input_at, output_at) = (0, 3 * (tokens * depth) as u32);
    let layer = Attention {
        input_at,
        output_at,
        scratch_at,
        tokens: 16,
        heads: 1,
        depth: 8,
        shift: 4,
        multiplier,
        table: &table,
    };
    let mut arena = words(&numbers);
    arena.resize((scratch_at + layer.scratch()) as usize / 2, 0);
    attention(&layer, &mut arena).unwrap();
    for t in 0..tokens {
        let row = |u: usize, part: usize| &numbers[(u * 3 + part) * depth..][..depth];
        let score = |u: usize| -> f64 {
            let products = row(t, 0).iter().zip(row(u, 1)).map(|(&q, &k)| f64::from(q) * f64::from(k));
            products.sum::<f64>() / 2.0_f64.powi(20) / (depth as f64).sqrt()
        };
        let total: f64 = (0..tokens).map(|u| score(u).exp()).sum();
        for c in 0..depth {
            let exact: f64 = (0..tokens).map(|u| score(u).exp() / total * f64::from(row(u, 2)[c])).sum();
            let found = f64::from(halves(&arena)[output_at as usize + t * depth + c]);
            // A broken line is off by 1/8 (1/16)^2 of its height, and shares are rounded to 15 bits.
            assert!((found - exact).abs() < 6.0, "{found} for {exact}");
        }
    }
    assert_eq!(attention(&layer, &mut arena[..20]).unwrap_err().what, "an attention's arena");
}
