//! Counts the instructions of every kernel, and checks the bits that it leaves. The table in `firmware/src/kernels/mod.rs` is made of what this prints.
#![no_std]
#![no_main]
// Weights of a few tens of kilobytes, made at compile time.
#![allow(long_running_const_eval)]

#[path = "../../../../tests/workloads/mod.rs"]
mod workloads;

use core::fmt;
use core::hint::black_box;

use cortex_m_rt::entry;
use tweedie_board_emulated::Out;
use tweedie_board_emulated::counter::Counter;
use tweedie_core::artifact::ArtifactError;
use tweedie_firmware::Model;
use workloads::images::{self, IMAGES};
use workloads::{ARTIFACT, Memory, WORKLOADS, write_artifact};

/// Words for images: what an M0 with 16 KB has left, or as many as the largest workload needs.
const ARENA: usize = if cfg!(small_ram) { 800 } else { images::ARENA };

/// Why the program ends early.
enum Stopped {
    Wrong(&'static str),
    Artifact(ArtifactError),
    Output,
}

impl From<fmt::Error> for Stopped {
    fn from(_: fmt::Error) -> Self {
        Self::Output
    }
}

impl From<ArtifactError> for Stopped {
    fn from(error: ArtifactError) -> Self {
        Self::Artifact(error)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(name) => write!(f, "{name} leaves other bits than elsewhere"),
            Self::Artifact(error) => error.fmt(f),
            Self::Output => f.write_str("cannot write the result"),
        }
    }
}

#[entry]
fn main() -> ! {
    static mut ARENA_WORDS: [u32; ARENA] = [0; ARENA];
    tweedie_board_emulated::run(|out| measure(out, ARENA_WORDS))
}

fn measure(out: &mut Out, arena: &mut [u32]) -> Result<(), Stopped> {
    let counter = Counter::start().ok_or(Stopped::Output)?;
    let mut words = [0; ARTIFACT];
    write_artifact(&mut words)?;
    counter
        .write_line(out, "parse", (4 * ARTIFACT as u32, "byte"), || _ = black_box(Model::parse(black_box(&words))))?;
    let model = Model::parse(&words)?;
    for workload in WORKLOADS {
        let mut memory = Memory::new();
        (workload.run)(&mut memory, &model);
        if memory.checksum() != workload.expected {
            return Err(Stopped::Wrong(workload.name));
        }
        counter.write_line(out, workload.name, workload.units, || (workload.run)(black_box(&mut memory), &model))?;
    }
    for workload in IMAGES {
        let Some(arena) = arena.get_mut(..workload.words) else { continue };
        images::fresh(arena);
        (workload.run)(arena);
        if images::checksum(arena) != workload.expected {
            return Err(Stopped::Wrong(workload.name));
        }
        counter.write_line(out, workload.name, workload.units, || (workload.run)(black_box(arena)))?;
    }
    Ok(())
}
