// Memory, as a linker script. Shared by the boards' build scripts and by whoever starts their builds.

use std::ops::Range;

/// What the linker leaves to the stack at least: the largest stack that a model may need.
pub const STACK: u32 = 4 * 1024;

/// `memory.x`: statics get all of the RAM but for [`STACK`], so that what links also runs.
pub fn memory_x(chip: &str, flash: Range<u64>, ram: Range<u64>) -> String {
    let Range { start, end } = ram;
    format!(
        "/* room as on {chip} */\n\
         MEMORY\n{{\n  \
           FLASH : ORIGIN = {:#010x}, LENGTH = {}\n  \
           RAM : ORIGIN = {start:#010x}, LENGTH = {}\n}}\n\
         _stack_start = {end:#010x};\n",
        flash.start,
        flash.end - flash.start,
        (end - start).saturating_sub(u64::from(STACK)),
    )
}
