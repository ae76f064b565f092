//! The boards' program draws on emulated chips what the firmware library draws here, bit for bit, and says truly what it costs.

use std::collections::HashSet;
use std::path::PathBuf;

// The other end of the wire, as the twin has it; not all of it is needed here.
#[allow(dead_code)]
#[path = "../../firmware/twin/src/board/mod.rs"]
mod board;
mod small_model;

use board::build::{Build, BuildError};
use board::emulator::{self, EmulatorError, Run};
use board::image::Image;
use board::machines::{MACHINES, Machine};
use board::{ModelFile, request};
use tweedie_firmware::{Model, sample};

/// A model of images.
fn model(name: &str, hidden: usize) -> ModelFile {
    model_of(name, &[8, 8], hidden)
}

fn model_of(name: &str, shape: &[u16], hidden: usize) -> ModelFile {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("boards-{name}.tweedie"));
    small_model::write_file(&path, shape, hidden);
    ModelFile::open(&path).expect("an artifact")
}

fn build(model: &ModelFile, machine: &Machine) -> Result<PathBuf, BuildError> {
    Build::emulated(machine).run(model)
}

fn emulate(program: &std::path::Path, machine: &Machine, request: &str) -> Result<Run, EmulatorError> {
    emulator::run(program, machine, request, &mut |_| Ok(()))
}

#[test]
fn every_machine_draws_our_bits_and_says_what_it_costs() {
    let model = model("parity", 96);
    let words: Vec<u32> = std::fs::read(&model.path)
        .expect("a file")
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let here = Model::parse(&words).expect("an artifact");
    let mut scratch = vec![0; here.scratch_words()];
    let multiply_accumulates = model.multiply_accumulates().expect("an artifact");
    assert_eq!(multiply_accumulates, 2 * 64 * 96 * 4);
    for machine in MACHINES {
        let program = build(&model, machine).expect("it fits");
        let run = emulate(&program, machine, &request(5, 4, None, 3)).expect("it runs");
        assert_eq!(run.samples.len(), 4, "{}", machine.name);
        assert_eq!(run.scratch, 4 * here.scratch_words() as u64);
        for there in &run.samples {
            assert_eq!(there.class, there.number as i32 % 3);
            let class = u16::try_from(there.class).ok();
            let bits: Vec<_> = sample(&here, &mut scratch, 5, there.number, class, |_| {})
                .expect("a sample")
                .iter()
                .map(|value| value.to_bits())
                .collect();
            assert_eq!(there.bits, bits, "sample {} on {}", there.number, machine.name);
            let varied: HashSet<_> = bits.iter().collect();
            assert!(varied.len() > 20, "{bits:?}");
            // Drawing takes at least an instruction for two multiplications, and never a hundred for one.
            let instructions = there.ticks * u64::from(machine.tick) / 1000;
            assert!((multiply_accumulates / 2..100 * multiply_accumulates).contains(&instructions), "{instructions}");
            assert!((200..4096).contains(&there.stack), "{} bytes of stack on {}", there.stack, machine.name);
        }
        let image = Image::read(&program, model.artifact().expect("an artifact").bytes() as u64).expect("an ELF file");
        assert!(image.statics >= run.scratch && image.statics < run.scratch + 512, "{image}");
        assert!((8_000..40_000).contains(&image.code), "{image}");
    }
}

#[test]
fn a_request_is_obeyed_and_a_wrong_one_refused() {
    let machine = &MACHINES[0];
    let program = build(&model("requests", 16), machine).expect("it fits");
    let later = emulate(&program, machine, "7:3:2:1").expect("it runs");
    assert_eq!(later.samples.iter().map(|s| (s.number, s.class)).collect::<Vec<_>>(), [(3, 1), (4, 1)]);
    let all = emulate(&program, machine, "7:0:5:1").expect("it runs");
    assert_eq!(all.samples[3].bits, later.samples[0].bits);
    assert_ne!(all.samples[3].bits, all.samples[4].bits);
    assert_ne!(emulate(&program, machine, "8:3:1:1").expect("it runs").samples[0].bits, later.samples[0].bits);
    for wrong in ["7:3:2", "x:0:1:none", "7:0:1:9"] {
        let error = emulate(&program, machine, wrong).expect_err(wrong);
        assert!(matches!(error, EmulatorError::GaveUp(_)), "{wrong}: {error}");
    }
}

/// A model of points has less scratch than the test of the noise source wants numbers, which are then drawn by and by.
#[test]
fn a_model_of_three_numbers_is_drawn_too() {
    let model = model_of("points", &[3], 6);
    let words: Vec<u32> = std::fs::read(&model.path)
        .expect("a file")
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let here = Model::parse(&words).expect("an artifact");
    let mut scratch = vec![0; here.scratch_words()];
    assert!(2 * scratch.len() < 32, "{} words", scratch.len());
    for machine in MACHINES.iter().filter(|machine| ["m0", "m4"].contains(&machine.name)) {
        let program = build(&model, machine).expect("it fits");
        let run = emulate(&program, machine, &request(5, 20, None, 3)).expect("it runs");
        let points: HashSet<_> = run.samples.iter().map(|sample| &sample.bits).collect();
        assert_eq!(points.len(), 20);
        for there in &run.samples {
            let class = u16::try_from(there.class).ok();
            let bits = sample(&here, &mut scratch, 5, there.number, class, |_| {}).expect("a sample");
            let bits: Vec<_> = bits.iter().map(|value| value.to_bits()).collect();
            assert_eq!(there.bits, bits, "sample {} on {}", there.number, machine.name);
        }
    }
}

#[test]
fn a_model_that_is_larger_than_the_chip_does_not_link() {
    // 3000 hidden features are 384 000 weights, more than the flash of the smallest.
    let machine = &MACHINES[0];
    let model = model("large", 3000);
    let error = build(&model, machine).expect_err("too large");
    let BuildError::DoesNotFit { flash, .. } = error else { panic!("{error}") };
    let bytes = model.artifact().expect("an artifact").bytes() as u64;
    assert!((8_000..40_000).contains(&(flash + u64::from(machine.flash.length) - bytes)), "{flash}");
}
