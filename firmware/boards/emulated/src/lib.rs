//! The way out of an emulated board: text over semihosting, an exit status, and a fault that ends the run.
#![no_std]

// Names for the linker.
#[allow(unsafe_code)]
#[path = "../../interrupts.rs"]
mod interrupts;

pub mod counter;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hio::{self, HostStream};

/// Bytes that go to the host in one semihosting call; a call per fragment would be slow.
const LINE: usize = 128;

/// Standard output of the emulator, a line at a time.
pub struct Out {
    stream: HostStream,
    line: [u8; LINE],
    used: usize,
}

impl Out {
    /// Opens the host's standard output.
    pub fn open() -> Result<Self, fmt::Error> {
        let stream = hio::hstdout().map_err(|()| fmt::Error)?;
        Ok(Self { stream, line: [0; LINE], used: 0 })
    }

    fn flush(&mut self) -> fmt::Result {
        let line = &self.line[..self.used];
        self.used = 0;
        self.stream.write_all(line).map_err(|()| fmt::Error)
    }
}

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.used == LINE {
                self.flush()?;
            }
            self.line[self.used] = byte;
            self.used += 1;
            if byte == b'\n' {
                self.flush()?;
            }
        }
        Ok(())
    }
}

/// Ends the emulation: the exit status is 0 if the program came to its end, else 1.
pub fn exit(ended_well: bool) -> ! {
    loop {
        debug::exit(if ended_well { EXIT_SUCCESS } else { EXIT_FAILURE });
    }
}

/// Runs a program that writes lines, then ends the emulation.
pub fn run<E: fmt::Display>(program: impl FnOnce(&mut Out) -> Result<(), E>) -> ! {
    let Ok(mut out) = Out::open() else { exit(false) };
    match program(&mut out) {
        Ok(()) => exit(true),
        Err(error) => fail(format_args!("failed: {error}")),
    }
}

fn fail(why: fmt::Arguments<'_>) -> ! {
    if let Ok(mut stream) = hio::hstderr() {
        let _ = writeln!(stream, "{why}");
    }
    exit(false)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(format_args!("{info}"))
}

// SAFETY: the handler never returns, and touches nothing but the emulator's own calls.
#[allow(unsafe_code)]
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    fail(format_args!("hard fault: {frame:?}"))
}
