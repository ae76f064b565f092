//! Any bytes as an artifact: parsing never panics, and what parses runs without a panic.
//!
//! `cargo +nightly fuzz run artifact --fuzz-dir firmware/fuzz -- -runs=10000000 -max_len=1024`
#![no_main]

use libfuzzer_sys::fuzz_target;
use tweedie_core::artifact::{Layer, seal};
use tweedie_firmware::{Model, sample};

/// Multiply-accumulates that one run may cost: a longer run tests nothing more.
const MOST_WORK: u64 = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let mut words: Vec<u32> = bytes.chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    }).collect();
    // As it came: the magic, the version, the length and the checksum are at stake.
    run(&words);
    // With those put right: everything behind them is.
    seal(&mut words);
    run(&words);
});

fn run(words: &[u32]) {
    let Ok(model) = Model::parse(words) else { return };
    let work: u64 = model
        .artifact()
        .layers()
        .map(|layer| match layer {
            Layer::Normalise(normalise) => 8 * u64::from(normalise.features) * u64::from(normalise.rows),
            Layer::Rearrange(rearrange) => rearrange.elements(),
            // For all classes.
            Layer::Mixture(mixture) => 2 * layer.multiply_accumulates() * u64::from(mixture.blocks),
            layer => layer.multiply_accumulates(),
        })
        .sum();
    let work = (work + model.features() as u64) * model.steps() as u64;
    if work > MOST_WORK || model.scratch_words() > 1 << 20 {
        return;
    }
    let mut scratch = vec![0xDEAD_BEEF; model.scratch_words()];
    for class in [None, Some(0)] {
        let _ = sample(&model, &mut scratch, 1, 2, class, |_| {});
    }
}
