//! The deepest that the stack has been, read off the paint that `cortex-m-rt` laid before `main`.

use core::ptr;

use cortex_m_rt::STACK_PAINT_VALUE;

// Their addresses mean something, their contents nothing.
#[allow(unsafe_code)]
unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Bytes of stack that have been used since the reset.
#[allow(unsafe_code)]
pub fn deepest() -> usize {
    let (top, bottom) = (&raw const _stack_start as usize, &raw const _stack_end as usize);
    let mut address = bottom;
    // SAFETY: from the bottom to the top is the memory that the linker keeps for the stack, aligned words of plain RAM; the read is
    // volatile because the stack's frames change behind the compiler's back.
    while address < top && unsafe { ptr::read_volatile(address as *const u32) } == STACK_PAINT_VALUE {
        address += size_of::<u32>();
    }
    top - address
}
