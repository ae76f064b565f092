//! Instructions of a piece of work, by SysTick under QEMU's `-icount shift=0`, and the line that says so.

use core::fmt::{self, Write};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// Rounds, of two instructions each, of the loop that tells how many a tick has.
const ROUNDS: u32 = 2_000_000;
/// Work is repeated until it has done about so many units, since a tick may be 50 instructions.
const UNITS: u32 = 1 << 17;

/// A counter of instructions.
pub struct Counter {
    /// Ticks of the loop of known length.
    known: u32,
}

impl Counter {
    /// Starts SysTick and measures a loop of known length; `None` if it has been started before.
    pub fn start() -> Option<Self> {
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
    pub fn instructions(&self, repeats: u32, mut work: impl FnMut()) -> u32 {
        let repeats = repeats.clamp(2, 64);
        let ticks = ticks(|| (0..repeats).for_each(|_| work()));
        (u64::from(ticks) * u64::from(2 * ROUNDS) / u64::from(self.known) / u64::from(repeats)) as u32
    }

    /// Measures work of so many units, such as multiply-accumulates, and writes its line: `name N instructions, X per unit`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_line(
        &self,
        out: &mut impl Write,
        name: &str,
        (units, unit): (u32, &str),
        work: impl FnMut(),
    ) -> fmt::Result {
        let instructions = self.instructions(UNITS / units, work);
        let thousandths = u64::from(instructions) * 1_000 / u64::from(units);
        let (whole, part) = (thousandths / 1_000, thousandths % 1_000);
        writeln!(out, "{name:24} {instructions:8} instructions, {whole:3}.{part:03} per {unit}")
    }
}

/// The 24 bits wide counter counts down.
fn ticks(work: impl FnOnce()) -> u32 {
    let start = SYST::get_current();
    work();
    start.wrapping_sub(SYST::get_current()) & 0x00ff_ffff
}
