//! Counts the instructions of every kernel, and checks the bits that it leaves. The table in `firmware/src/kernels/mod.rs` is made of what this prints.
#![no_std]
#![no_main]
// Weights of a few tens of kilobytes, made at compile time.
#![allow(long_running_const_eval)]

#[path = "../../../../tests/workloads/mod.rs"]
mod workloads;

use core::fmt::{self, Write};
use core::hint::black_box;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::entry;
use tweedie_board_emulated::Out;
use tweedie_core::artifact::ArtifactError;
use tweedie_firmware::Model;
use workloads::images::{self, IMAGES};
use workloads::{ARTIFACT, Memory, WORKLOADS, write_artifact};

/// Rounds, of two instructions each, of the loop that tells how many a tick has.
const ROUNDS: u32 = 2_000_000;
/// A workload is repeated until it has done about so many units, since a tick may be 50 instructions.
const UNITS: u32 = 1 << 17;
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
    let clock = Clock::start().ok_or(Stopped::Output)?;
    let mut words = [0; ARTIFACT];
    write_artifact(&mut words)?;
    let parse = clock.instructions(4, || _ = black_box(Model::parse(black_box(&words))));
    write_line(out, "parse", parse, 4 * ARTIFACT as u32, "byte")?;
    let model = Model::parse(&words)?;
    for workload in WORKLOADS {
        let mut memory = Memory::new();
        (workload.run)(&mut memory, &model);
        if memory.checksum() != workload.expected {
            return Err(Stopped::Wrong(workload.name));
        }
        let (units, unit) = workload.units;
        let each = clock.instructions(UNITS / units, || (workload.run)(black_box(&mut memory), &model));
        write_line(out, workload.name, each, units, unit)?;
    }
    for workload in IMAGES {
        let Some(arena) = arena.get_mut(..workload.words) else { continue };
        images::fresh(arena);
        (workload.run)(arena);
        if images::checksum(arena) != workload.expected {
            return Err(Stopped::Wrong(workload.name));
        }
        let (units, unit) = workload.units;
        let each = clock.instructions(UNITS / units, || (workload.run)(black_box(arena)));
        write_line(out, workload.name, each, units, unit)?;
    }
    Ok(())
}

fn write_line(out: &mut Out, name: &str, instructions: u32, units: u32, unit: &str) -> fmt::Result {
    let thousandths = u64::from(instructions) * 1_000 / u64::from(units);
    let (whole, part) = (thousandths / 1_000, thousandths % 1_000);
    writeln!(out, "{name:24} {instructions:8} instructions, {whole:3}.{part:03} per {unit}")
}

/// Instructions, by SysTick.
struct Clock {
    /// Ticks of the loop of known length.
    known: u32,
}

impl Clock {
    fn start() -> Option<Self> {
        let mut systick = cortex_m::Peripherals::take()?.SYST;
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(0x00ff_ffff);
        systick.clear_current();
        systick.enable_counter();
        // In the first tick the counter reads 0.
        cortex_m::asm::delay(1_000);
        Some(Self { known: ticks(|| cortex_m::asm::delay(ROUNDS)) })
    }

    /// The mean of about `repeats` runs.
    fn instructions(&self, repeats: u32, mut work: impl FnMut()) -> u32 {
        let repeats = repeats.clamp(2, 64);
        let ticks = ticks(|| (0..repeats).for_each(|_| work()));
        (u64::from(ticks) * u64::from(2 * ROUNDS) / u64::from(self.known) / u64::from(repeats)) as u32
    }
}

/// The 24 bits wide counter counts down.
fn ticks(work: impl FnOnce()) -> u32 {
    let start = SYST::get_current();
    work();
    start.wrapping_sub(SYST::get_current()) & 0x00ff_ffff
}
