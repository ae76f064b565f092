//! What the default digits model, its student and the default mixture cost on each emulated chip: limits that must hold, and figures that must not drift.
//!
//! The models are `firmware/examples/digits.tweedie`, of 20 steps, `digits-2-steps.tweedie`, its default student, and `digits-mixture.tweedie`, of
//! 10 steps. To accept new figures, copy them from the message of the failed test.

use std::path::{Path, PathBuf};

// The other end of the wire, as the twin has it; not all of it is needed here.
#[allow(dead_code)]
#[path = "../../firmware/twin/src/board/mod.rs"]
mod board;

use board::build::Build;
use board::emulator;
use board::image::Image;
use board::machines::MACHINES;
use board::{ModelFile, request};

/// Machine, bytes of code, bytes of static RAM, bytes of stack, thousands of instructions for a digit.
type Figures = (&'static str, u64, u64, u64, u64);

const TEACHER: [Figures; 5] = [
    ("m0", 23_990, 1_048, 1_928, 9_738),
    ("m3", 23_370, 1_048, 1_784, 8_841),
    ("m4", 24_170, 1_048, 1_844, 1_947),
    ("m7", 24_170, 1_048, 1_844, 1_947),
    ("m33", 24_340, 1_048, 1_860, 1_947),
];

const STUDENT: [Figures; 5] = [
    ("m0", 23_950, 712, 1_920, 458),
    ("m3", 23_360, 712, 1_784, 369),
    ("m4", 24_180, 712, 1_844, 100),
    ("m7", 24_180, 712, 1_844, 100),
    ("m33", 24_330, 712, 1_860, 100),
];

const MIXTURE: [Figures; 5] = [
    ("m0", 31_184, 800, 2_424, 623),
    ("m3", 30_576, 800, 2_248, 454),
    ("m4", 31_540, 800, 2_332, 148),
    ("m7", 31_540, 800, 2_332, 148),
    ("m33", 31_768, 800, 2_324, 148),
];

/// The figures of a model of that name, and its bytes; every sample makes so many multiply-accumulates.
fn measure(name: &str, multiply_accumulates: u64) -> (Vec<Figures>, u64) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/examples").join(name);
    let model = ModelFile::open(&path.canonicalize().expect("the example model")).expect("an artifact");
    assert_eq!(model.multiply_accumulates().expect("an artifact"), multiply_accumulates);
    let bytes = model.artifact().expect("an artifact").bytes() as u64;
    let figures = MACHINES.iter().map(|machine| {
        let program: PathBuf = Build::emulated(machine).run(&model).expect("it fits");
        let run = emulator::run(&program, machine, &request(0, 1, Some(3), 10), &mut |_| Ok(())).expect("it runs");
        let image = Image::read(&program, bytes).expect("an ELF file");
        let instructions = run.samples[0].ticks * u64::from(machine.tick) / 1000;
        (machine.name, image.code, image.statics, run.samples[0].stack, instructions / 1000)
    });
    (figures.collect(), bytes)
}

/// Paths in panic messages make the code a little longer or shorter; everything else is exact.
fn assert_recorded(measured: &[Figures], recorded: &[Figures]) {
    let near = |now: u64, then: u64| now.abs_diff(then) * 100 <= 2 * then;
    let drifted = measured.iter().zip(recorded).any(|(now, then)| {
        now.0 != then.0 || !near(now.1, then.1) || now.2 != then.2 || !near(now.3, then.3) || !near(now.4, then.4)
    });
    assert!(!drifted && measured.len() == recorded.len(), "recorded {recorded:?}, now {measured:?}");
}

#[test]
fn a_digit_costs_what_it_did() {
    let (measured, _) = measure("digits.tweedie", 20 * 81_920);
    for &(name, code, statics, stack, thousands) in &measured {
        let per_multiply_accumulate = thousands as f64 / (20.0 * 81.92);
        let limit = if matches!(name, "m0" | "m3") { 8.0 } else { 1.5 };
        assert!(per_multiply_accumulate <= limit, "{per_multiply_accumulate} instructions on {name}");
        assert!(statics <= 8 << 10 && stack <= 4 << 10, "{statics} bytes of RAM, {stack} of stack on {name}");
        assert!(name != "m4" || code <= 24 << 10, "{code} bytes of code on {name}");
    }
    assert_recorded(&measured, &TEACHER);
}

#[test]
fn a_students_digit_fits_a_sensor_node() {
    let (measured, bytes) = measure("digits-2-steps.tweedie", 2 * 29_952);
    let &(_, code, statics, stack, thousands) = measured.iter().find(|(name, ..)| *name == "m4").expect("an M4");
    assert!(thousands <= 200, "{thousands} thousand instructions");
    assert!(code + bytes <= 64 << 10, "{code} bytes of code and {bytes} of model");
    assert!(statics + stack <= 6 << 10, "{statics} bytes of RAM and {stack} of stack");
    assert_recorded(&measured, &STUDENT);
}

#[test]
fn a_mixtures_digit_needs_no_network() {
    let (measured, bytes) = measure("digits-mixture.tweedie", 10 * 2 * 52 * 64);
    let &(_, code, statics, stack, thousands) = measured.iter().find(|(name, ..)| *name == "m4").expect("an M4");
    assert!(thousands <= 150, "{thousands} thousand instructions");
    assert!(code + bytes <= 120 << 10, "{code} bytes of code and {bytes} of model");
    assert!(statics + stack <= 4 << 10, "{statics} bytes of RAM and {stack} of stack");
    assert_recorded(&measured, &MIXTURE);
}
