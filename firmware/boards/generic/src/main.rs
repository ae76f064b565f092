//! Draws samples of a model on any Cortex-M: it needs a processor and a debug probe, no peripherals and no clock.
#![no_std]
#![no_main]
// A megabyte of model takes the compiler a while to align.
#![allow(long_running_const_eval)]

mod boot;
// Names for the linker.
#[allow(unsafe_code)]
#[path = "../../interrupts.rs"]
mod interrupts;

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, entry, exception};
// The transport of `defmt`.
use defmt_rtt as _;

include!(concat!(env!("OUT_DIR"), "/model.rs"));

#[entry]
fn main() -> ! {
    static mut SCRATCH: [u32; SCRATCH_WORDS] = [0; SCRATCH_WORDS];
    if let Some(peripherals) = cortex_m::Peripherals::take() {
        let requests = env!("TWEEDIE_REQUESTS").split_ascii_whitespace();
        let _ = tweedie_board_program::run(&MODEL, SCRATCH, peripherals.SYST, requests);
    }
    idle()
}

/// Awake, because many chips cut off the debug probe when they sleep.
fn idle() -> ! {
    loop {
        cortex_m::asm::nop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    tweedie_board_program::report_panic(info);
    idle()
}

// SAFETY: the handler never returns, and writes nothing but a message.
#[allow(unsafe_code)]
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    tweedie_board_program::report_fault(frame);
    idle()
}
