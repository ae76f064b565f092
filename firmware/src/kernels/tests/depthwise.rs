//! Depthwise convolutions against convolutions whose other channels weigh nothing.

use super::{Random, saturate, through, words};
use crate::kernels::{depthwise, halves};
use quickcheck::quickcheck;
use std::vec;
use std::vec::Vec;
use tweedie_core::artifact::{Depthwise, Linear, TABLE_ENTRIES, pack_weights, weight_words};

quickcheck! {
    fn depthwise_convolutions_are_those_described(seed: u64) -> bool {
        let mut random = Random(seed);
        let mut below = |n: usize| (random.next() >> 8) as usize % n;
        let (height, width, channels, stride) = (1 + below(9), 1 + below(40), 1 + below(7), 1 + below(2));
        let (extreme, has_table, gap) = (below(3) == 0, below(2) == 0, below(3) as u32);
        let weights: Vec<i8> = (0..9 * channels)
            .map(|_| if extreme { [127, -127][random.next() as usize % 2] } else { (random.next() as i8).max(-127) })
            .collect();
        let mut packed = vec![0; weight_words(9, channels).unwrap()];
        pack_weights(&weights, 9, channels, &mut packed).unwrap();
        let mut table = |rows: usize, shift: u32| -> Vec<u32> {
            (0..rows * channels).map(|_| (random.next() as i32 >> shift) as u32).collect()
        };
        let (bias, by_step, by_class) = (table(1, 4), table(3, 4), table(2, 4));
        let multipliers: Vec<u32> = table(1, 0).iter().map(|m| m >> 1 >> (m % 12)).collect();
        let entries: Vec<i16> = (0..TABLE_ENTRIES).map(|_| random.i16(extreme)).collect();
        let entries_packed = words(&entries);
        let inputs = (height * width * channels) as u32;
        let output_at = inputs.next_multiple_of(4) + 2 * gap;
        let outputs = height.div_ceil(stride) * width.div_ceil(stride) * channels;
        let scratch_at = (output_at + outputs as u32).next_multiple_of(4);
        let rows = Linear {
            input_at: scratch_at,
            inputs: 9,
            output_at,
            outputs: channels as u32,
            add: false,
            weights: &packed,
            bias: &bias,
            multipliers: &multipliers,
            table: if has_table { &entries_packed } else { &[] },
            step_bias: &by_step,
            class_bias: &by_class,
        };
        let layer = Depthwise { input_at: 0, height: height as u16, width: width as u16, stride: stride as u8, rows };
        let numbers: Vec<i16> = (0..scratch_at + layer.scratch()).map(|_| random.i16(extreme)).collect();
        let mut arena = words(&numbers);
        depthwise(&layer, 2, 1, &mut arena).unwrap();

        let mut expected = numbers.clone();
        let (mut at, signed) = (output_at as usize, |word: u32| i64::from(word as i32));
        for y in (0..height).step_by(stride) {
            for x in (0..width).step_by(stride) {
                for c in 0..channels {
                    let mut acc = signed(bias[c]) + signed(by_step[2 * channels + c]) + signed(by_class[channels + c]);
                    for tap in 0..9 {
                        let (y, x) = ((y + tap / 3).wrapping_sub(1), (x + tap % 3).wrapping_sub(1));
                        if y < height && x < width {
                            acc += i64::from(weights[c * 9 + tap]) * i64::from(numbers[(y * width + x) * channels + c]);
                        }
                    }
                    assert_eq!(acc, i64::from(acc as i32), "the test's own numbers must be provable");
                    let mut z = saturate((acc * i64::from(multipliers[c]) + (1 << 31)) >> 32);
                    if has_table {
                        z = through(&entries, z);
                    }
                    expected[at] = z as i16;
                    at += 1;
                }
            }
        }
        let outside = scratch_at as usize;
        assert!(halves(&arena)[..outside] == expected[..outside], "{height}x{width}x{channels}, stride {stride}");
        true
    }
}
