//! Faults on purpose, so that a test can see that a fault ends the run with an error.
#![no_std]
#![no_main]

use core::convert::Infallible;

use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    tweedie_board_emulated::run(|_| -> Result<(), Infallible> {
        cortex_m::asm::udf();
    })
}
