//! Samples of artifacts as hexadecimal lines, drawn here and on every emulated chip.
//!
//! Several test programs share this; not each of them needs all of it.
#![allow(dead_code)]

use crate::emulator;
use std::fmt::{Debug, Write};
use tweedie_firmware::{Model, sample};

/// What the board's program prints for a model: two samples, of no class and of class 0, in hexadecimal.
pub fn lines(words: &[u32]) -> Vec<String> {
    let model = Model::parse(words).unwrap();
    let mut scratch = vec![0; model.scratch_words()];
    [None, Some(0)]
        .map(|class| {
            let mut line = String::new();
            for value in sample(&model, &mut scratch, 7, 3, class, |_| {}).unwrap() {
                write!(line, "{:04x}", value.to_bits()).unwrap();
            }
            line
        })
        .to_vec()
}

/// Words of a model and of its memory for which the board's program has room, on a chip with 16 KB and on the others.
const SMALL: [usize; 2] = [2048, 512];
const LARGE: [usize; 2] = [6144, 4096];

/// Whether the board's program has room for a model on the larger chips.
pub fn fits(words: &[u32]) -> bool {
    fits_in(LARGE, words)
}

fn fits_in([words, scratch]: [usize; 2], model: &[u32]) -> bool {
    model.len() <= words && Model::parse(model).unwrap().scratch_words() <= scratch
}

/// Draws with all models on every chip that has room for them, which the smallest must have for a quarter, in one run of the emulator each,
/// and compares with `expected`, two lines a model.
pub fn assert_same_everywhere(models: &[impl Debug + AsRef<[u32]>], expected: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    for machine in emulator::MACHINES {
        let small = machine.ram.length < 32 * 1024;
        let room = if small { SMALL } else { LARGE };
        let models = models.iter().zip(expected.chunks_exact(2));
        let (all, models): (_, Vec<_>) =
            (models.len(), models.filter(|(model, _)| fits_in(room, model.as_ref())).collect());
        let least = if small { all / 4 } else { all };
        assert!(models.len() >= least, "{} has room for {} of {all} models", machine.name, models.len());
        let mut file = Vec::new();
        for (model, _) in &models {
            file.extend((model.as_ref().len() as u32).to_le_bytes());
            file.extend(model.as_ref().iter().flat_map(|word| word.to_le_bytes()));
        }
        file.extend([0; 4]);
        std::fs::write(folder.path().join("parity.bin"), file).unwrap();
        let program = emulator::build("parity", machine);
        let output = emulator::emulate_in(folder.path(), &program, machine);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} failed: {error}", machine.name);
        let text = String::from_utf8(output.stdout).unwrap();
        let drawn: Vec<&str> = text.lines().collect();
        assert_eq!(drawn.len(), 2 * models.len(), "{}: {error}", machine.name);
        for ((model, expected), drawn) in models.iter().zip(drawn.chunks_exact(2)) {
            assert_eq!(drawn, *expected, "on {} of {model:?}", machine.name);
        }
    }
}
