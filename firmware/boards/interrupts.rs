// The interrupt table of a program that uses no peripheral, so that none interrupts: one entry, where the default has hundreds. Shared by
// the programs of the boards.

use cortex_m_rt as _;

unsafe extern "C" {
    fn DefaultHandler();
}

/// `cortex-m-rt` takes this name for a chip's own table.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler];
