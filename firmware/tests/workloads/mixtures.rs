// The default mixture's layer on fixed numbers: four components of rank twelve in 64 coordinates, for one of two classes or for none.

use super::{Memory, below, numbers_from, weights};
use tweedie_core::artifact::{Mixture, MixtureLevel};
use tweedie_firmware::kernels::mixture;

const FEATURES: usize = 64;
const COMPONENTS: usize = 4;
const RANK: usize = 12;
const ROWS: usize = COMPONENTS * (1 + RANK);
const BLOCKS: usize = 2;
const STEP: usize = 3 + BLOCKS * COMPONENTS * (2 + RANK / 2);

/// Multiply-accumulates for one class, there and back.
pub const PRODUCTS: u32 = (2 * FEATURES * ROWS) as u32;

static ROWS_PACKED: [u32; BLOCKS * FEATURES * ROWS / 4] = weights();
static OFFSETS: [u32; BLOCKS * ROWS] = below(numbers_from(7), 8, 0);
static MULTIPLIERS: [u32; BLOCKS * ROWS] = below(numbers_from(8), 12, 1 << 20);
static OUTPUT_MULTIPLIERS: [u32; BLOCKS * FEATURES] = below(numbers_from(9), 10, 1 << 20);

/// The layer for a class of 0 and 1, or for none.
pub fn run(memory: &mut Memory, class: usize) {
    let mut by_step: [u32; STEP] = numbers_from(10);
    let level = MixtureLevel {
        alpha: 3 << 29,
        sharpness: 20_000,
        logit_shift: 31,
        norm_shift: 17,
        square_shift: 16,
        gain_shift: 3,
    };
    by_step[..3].copy_from_slice(&level.to_words());
    // Constants that leave more than one component a chance.
    for terms in by_step[3..].chunks_exact_mut(2 + RANK / 2) {
        terms[0] %= 3_000;
    }
    let layer = Mixture {
        input_at: 0,
        features: FEATURES as u32,
        output_at: 0,
        work_at: 0,
        components: COMPONENTS as u16,
        rank: RANK as u16,
        blocks: BLOCKS as u32,
        rows: &ROWS_PACKED,
        offsets: &OFFSETS,
        multipliers: &MULTIPLIERS,
        columns: &ROWS_PACKED,
        output_multipliers: &OUTPUT_MULTIPLIERS,
        by_step: &by_step,
    };
    let mut work = [0; (ROWS + 2 * BLOCKS * COMPONENTS) / 2];
    let (output, coordinates) = memory.output.split_at_mut(FEATURES / 2);
    assert!(mixture(&layer, 0, class, &memory.input, output, &mut work).is_ok());
    // Coefficients and chances are shown, too.
    coordinates[..work.len()].copy_from_slice(&work);
}
