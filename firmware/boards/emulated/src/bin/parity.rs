//! Draws samples of the models in `parity.bin`, a file of the host's, and prints their bits.
//!
//! The file is a list of artifacts, each after its length in words; a length of 0 ends it. So one program serves any number of random models.
#![no_std]
#![no_main]

use core::fmt::Write;
use semihosting::fs::File;
use semihosting::io::{self, Read};
use tweedie_board_emulated as board;
use tweedie_firmware::{Model, sample};

/// The largest artifact and scratch, in words: what an M0 with 16 KB holds beside its stack, and what the others hold.
const MODEL_WORDS: usize = if cfg!(small_ram) { 2048 } else { 6144 };
const SCRATCH_WORDS: usize = if cfg!(small_ram) { 512 } else { 4096 };

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MODEL: [u32; MODEL_WORDS] = [0; MODEL_WORDS];
    static mut SCRATCH: [u32; SCRATCH_WORDS] = [0; SCRATCH_WORDS];
    board::run(|out| draw(out, MODEL, SCRATCH))
}

fn draw(out: &mut board::Out, words: &mut [u32], scratch: &mut [u32]) -> Result<(), &'static str> {
    let mut file = File::open(c"parity.bin").map_err(|_| "parity.bin cannot be opened")?;
    loop {
        let length = word(&mut file).map_err(|_| "parity.bin ends early")? as usize;
        if length == 0 {
            return Ok(());
        }
        let words = words.get_mut(..length).ok_or("a model is too large")?;
        for place in words.iter_mut() {
            *place = word(&mut file).map_err(|_| "parity.bin ends early")?;
        }
        let model = Model::parse(words).map_err(|_| "a model does not parse")?;
        for class in [None, Some(0)] {
            let drawn = sample(&model, scratch, 7, 3, class, |_| {});
            for value in drawn.unwrap_or_default() {
                write!(out, "{:04x}", value.to_bits()).map_err(|_| "standard output")?;
            }
            writeln!(out).map_err(|_| "standard output")?;
        }
    }
}

fn word(file: &mut File) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
