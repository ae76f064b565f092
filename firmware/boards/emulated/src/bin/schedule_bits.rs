//! Prints the bits of core's schedules and DDIM coefficients, for comparison with another machine's.
#![no_std]
#![no_main]

#[path = "../probe.rs"]
mod probe;

use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    tweedie_board_emulated::run(probe::write_all)
}
