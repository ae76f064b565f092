//! The emulated machines: what QEMU calls them, and how much room the chip that each stands for really has.
//!
//! QEMU grants its boards megabytes. The sizes here are a real chip's, so that what would not fit there does
//! not link here. This file is data only, and is shared by `build.rs` (which makes `memory.x` of it), by
//! `xtask` and by the tests.

/// A stretch of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Address of the first byte.
    pub origin: u32,
    /// Length in bytes.
    pub length: u32,
}

/// One emulated microcontroller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The name on our command line and in `TWEEDIE_MACHINE`: the core without "Cortex-".
    pub name: &'static str,
    /// QEMU's name for the board.
    pub qemu: &'static str,
    /// The chip whose sizes `flash` and `ram` are.
    pub chip: &'static str,
    /// The Rust target.
    pub target: &'static str,
    /// Whether the chip has DSP instructions of which its target says nothing: the boards' feature `dsp`.
    pub dsp: bool,
    /// Picoseconds of a SysTick, of which an instruction takes 1000 under `-icount shift=0`.
    pub tick: u32,
    /// Where code and constants go.
    pub flash: Region,
    /// Where variables and the stack go.
    pub ram: Region,
}

const KIB: u32 = 1024;

/// Every machine, from the smallest core to the largest.
pub const MACHINES: &[Machine] = &[
    Machine {
        name: "m0",
        qemu: "microbit",
        chip: "nRF51822",
        target: "thumbv6m-none-eabi",
        dsp: false,
        tick: 62_500,
        flash: Region { origin: 0, length: 256 * KIB },
        ram: Region { origin: 0x2000_0000, length: 16 * KIB },
    },
    Machine {
        name: "m3",
        qemu: "mps2-an385",
        chip: "STM32L152",
        target: "thumbv7m-none-eabi",
        dsp: false,
        tick: 40_000,
        flash: Region { origin: 0, length: 512 * KIB },
        ram: Region { origin: 0x2000_0000, length: 80 * KIB },
    },
    Machine {
        name: "m4",
        qemu: "mps2-an386",
        chip: "nRF52832",
        target: "thumbv7em-none-eabihf",
        dsp: false,
        tick: 40_000,
        flash: Region { origin: 0, length: 512 * KIB },
        ram: Region { origin: 0x2000_0000, length: 64 * KIB },
    },
    Machine {
        name: "m7",
        qemu: "mps2-an500",
        chip: "STM32F746",
        target: "thumbv7em-none-eabihf",
        dsp: false,
        tick: 40_000,
        flash: Region { origin: 0, length: 1024 * KIB },
        ram: Region { origin: 0x2000_0000, length: 320 * KIB },
    },
    Machine {
        name: "m33",
        qemu: "mps2-an505",
        chip: "STM32L552",
        target: "thumbv8m.main-none-eabihf",
        dsp: true,
        tick: 50_000,
        flash: Region { origin: 0x1000_0000, length: 512 * KIB },
        ram: Region { origin: 0x3800_0000, length: 256 * KIB },
    },
];
