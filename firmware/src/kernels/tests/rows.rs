//! Pixels one after the other: normalised, and in another order.

use super::{described, words};
use crate::kernels::{halves, normalise, rearrange};
use quickcheck::{TestResult, quickcheck};
use std::vec;
use std::vec::Vec;
use tweedie_core::artifact::{Normalise, Rearrange};

quickcheck! {
    fn every_row_is_normalised_by_itself(values: Vec<i16>, features: u8, gain: u64) -> TestResult {
        let features = 2 * (1 + usize::from(features) % 12);
        let rows = values.len() / features;
        if rows == 0 {
            return TestResult::discard();
        }
        let layer = Normalise {
            input_at: 0, features: features as u32, rows: rows as u32, output_at: 0, shift: 3, epsilon: 9, gain: gain >> 8,
        };
        let mut out = words(&values);
        normalise(&layer, &mut out).unwrap();
        let expected = values.chunks_exact(features).flat_map(|row| described(&layer, row));
        let out = halves(&out);
        let rest = rows * features..values.len();
        assert_eq!(out[rest.clone()], values[rest]);
        TestResult::from_bool(expected.eq(out[..rows * features].iter().map(|&z| i64::from(z))))
    }

    fn samples_become_patches_and_samples_again(sizes: (u8, u8, u8, u8)) -> bool {
        let [rows, columns, side, channels] = [sizes.0, sizes.1, sizes.2, sizes.3].map(|n| 1 + u16::from(n) % 4);
        let layer = Rearrange { input_at: 0, output_at: 0, rows, columns, side, channels, back: false };
        let sample: Vec<i16> = (0..layer.elements() as i16).collect();
        let [rows, columns, side, channels] = [rows, columns, side, channels].map(usize::from);
        let mut image = vec![0; sample.len().div_ceil(2)];
        rearrange(&layer, &words(&sample), &mut image).unwrap();
        for (place, &number) in halves(&image).iter().take(sample.len()).enumerate() {
            let (pixel, number_of_pixel) = (place / (side * side * channels), place % (side * side * channels));
            let (y, x) = (pixel / columns * side, pixel % columns * side);
            let (i, j) = (number_of_pixel / channels / side, number_of_pixel / channels % side);
            let expected = (number_of_pixel % channels * rows * side + y + i) * columns * side + x + j;
            assert_eq!(usize::from(number as u16), expected, "{layer:?}");
        }
        let mut back = vec![0; image.len()];
        rearrange(&Rearrange { back: true, ..layer }, &image, &mut back).unwrap();
        halves(&back)[..sample.len()] == sample
    }
}
