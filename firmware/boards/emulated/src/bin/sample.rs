//! Draws samples of the model that was given at build time, as the emulator's command line asks.
//!
//! It stands apart from this package's library, whose plain text would drag in the formatting that `defmt` leaves to the host.
#![no_std]
#![no_main]
// A megabyte of model takes the compiler a while to align.
#![allow(long_running_const_eval)]

// Names for the linker.
#[allow(unsafe_code)]
#[path = "../../../interrupts.rs"]
mod interrupts;

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, entry, exception};
// The transport of `defmt`.
use defmt_semihosting as _;
use semihosting::experimental::env;
use semihosting::process::{abort, exit};

include!(concat!(env!("OUT_DIR"), "/model.rs"));

/// Room for the command line.
const COMMAND_LINE: usize = 256;

#[entry]
fn main() -> ! {
    static mut SCRATCH: [u32; SCRATCH_WORDS] = [0; SCRATCH_WORDS];
    let (Some(peripherals), Ok(arguments)) = (cortex_m::Peripherals::take(), env::args::<COMMAND_LINE>()) else {
        abort();
    };
    // The first one is the program's name.
    let requests = (&arguments).flatten().skip(1);
    let drawn = tweedie_board_program::run(&MODEL, SCRATCH, peripherals.SYST, requests);
    exit(i32::from(drawn.is_err()))
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    tweedie_board_program::report_panic(info);
    exit(1)
}

// SAFETY: the handler never returns, and touches nothing but the emulator's own calls.
#[allow(unsafe_code)]
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    tweedie_board_program::report_fault(frame);
    exit(1)
}
