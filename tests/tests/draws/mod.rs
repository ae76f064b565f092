//! Samples of artifacts as hexadecimal lines, drawn here and on every emulated chip.

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

/// Draws with all models on every chip, in one run of the emulator each, and compares with `expected`, two lines a model.
pub fn assert_same_everywhere(models: &[impl Debug + AsRef<[u32]>], expected: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let mut file = Vec::new();
    for model in models {
        file.extend((model.as_ref().len() as u32).to_le_bytes());
        file.extend(model.as_ref().iter().flat_map(|word| word.to_le_bytes()));
    }
    file.extend([0; 4]);
    std::fs::write(folder.path().join("parity.bin"), file).unwrap();

    for machine in emulator::MACHINES {
        let program = emulator::build("parity", machine);
        let output = emulator::emulate_in(folder.path(), &program, machine);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} failed: {error}", machine.name);
        let text = String::from_utf8(output.stdout).unwrap();
        let drawn: Vec<&str> = text.lines().collect();
        assert_eq!(drawn.len(), expected.len(), "{}: {error}", machine.name);
        for (index, (drawn, expected)) in drawn.iter().zip(expected).enumerate() {
            assert_eq!(drawn, expected, "sample {index} on {} of {:?}", machine.name, models[index / 2]);
        }
    }
}
