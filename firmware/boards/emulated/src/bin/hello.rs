//! The smallest program: one line of text, and a good end.
#![no_std]
#![no_main]

use core::fmt::Write;

use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    tweedie_board_emulated::run(|out| writeln!(out, "hello from an emulated microcontroller"))
}
