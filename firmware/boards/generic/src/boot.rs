//! What a chip's boot ROM wants to find in flash before it starts a program.

/// The RP2040's second boot stage: it sets the flash up for execution in place. This one speaks the slow read command that every serial
/// flash knows, since the chip's entry does not say which flash the board has.
#[cfg(boot = "rp2040")]
#[allow(unsafe_code)]
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_GENERIC_03H;

/// The RP2350's image definition: "this is a secure executable for the Arm cores", a loop of one block (RP2350 datasheet, 5.9.5.1).
#[cfg(boot = "rp2350")]
#[allow(unsafe_code)]
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE_DEFINITION: [u32; 5] = [0xffff_ded3, 0x1021_0142, 0x0000_01ff, 0, 0xab12_3579];
