//! What an image of MNIST costs on a microcontroller: the preset's network, which a student of two steps has as well, with weights that no training has
//! made. They change neither its size nor, but for what saturates, its instructions.

use std::path::PathBuf;

use tweedie_firmware::{Model, sample};
use tweedie_host::export::export;
use tweedie_host::preset::Preset;

// The other end of the wire, as the twin has it; not all of it is needed here.
#[allow(dead_code)]
#[path = "../../firmware/twin/src/board/mod.rs"]
mod board;
mod untrained_images;

use board::build::Build;
use board::emulator;
use board::image::Image;
use board::machines::MACHINES;
use board::{ModelFile, request};

/// What a student of two steps may take of a Cortex-M4.
const INSTRUCTIONS: u64 = 20_000_000;
const FLASH: u64 = 128 << 10;
const RAM: u64 = 64 << 10;

#[test]
fn an_image_of_mnist_fits_a_microcontroller_and_has_our_bits() {
    let overrides = ["sampling.steps=2", "sampling.guidance=1.0"].map(str::to_owned);
    let model = untrained_images::model(Preset::load("mnist", &overrides).unwrap(), &[28, 28], 10, 1, 0.02);
    let export = export(&model, &model.preset.sampling, None).unwrap();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("image-cost.tweedie");
    std::fs::write(&path, export.to_bytes()).unwrap();
    let file = ModelFile::open(&path).unwrap();
    assert_eq!(file.features(), ["images"], "other kinds of layers are not compiled");

    let here = Model::parse(&export.words).unwrap();
    let mut scratch = vec![0; here.scratch_words()];
    let bits = sample(&here, &mut scratch, 5, 0, Some(3), |_| {}).unwrap();
    let bits: Vec<_> = bits.iter().map(|value| value.to_bits()).collect();
    let varied: std::collections::HashSet<_> = bits.iter().collect();
    assert!(varied.len() > 300, "{} values", varied.len());
    // The smallest chip has too little memory.
    for machine in MACHINES.iter().filter(|machine| machine.name != "m0") {
        let program = Build::emulated(machine).run(&file).unwrap();
        let run = emulator::run(&program, machine, &request(5, 1, Some(3), 10), &mut |_| Ok(())).unwrap();
        let there = &run.samples[0];
        assert!(there.bits == bits, "another image on {}", machine.name);
        let image = Image::read(&program, file.artifact().unwrap().bytes() as u64).unwrap();
        let instructions = there.ticks * u64::from(machine.tick) / 1000;
        println!("{}: {image}, {} of stack, {instructions} instructions", machine.name, there.stack);
        if machine.name == "m4" {
            assert!(instructions <= INSTRUCTIONS, "{instructions} instructions");
            assert!(image.code + image.model <= FLASH, "{image}");
            assert!(image.statics + there.stack <= RAM, "{image} of {}", there.stack);
        }
    }
}
