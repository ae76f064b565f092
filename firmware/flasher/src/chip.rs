//! A chip's entry in probe-rs's database, as far as a build needs it.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;

use probe_rs::config::{MemoryRegion, Registry, RegistryError};
use probe_rs::{CoreType, Target};

/// What a build must know of a chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Its full name.
    pub name: String,
    /// The Rust target.
    pub target: &'static str,
    /// Whether it has DSP instructions of which the target says nothing.
    pub dsp: bool,
    /// Addresses of the flash that it boots from.
    pub flash: Range<u64>,
    /// Addresses of the RAM.
    pub ram: Range<u64>,
    /// The boot block that it wants, as the generic board calls it.
    pub boot: Option<&'static str>,
}

/// Why a chip cannot be built for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChipError {
    /// No chip has that name.
    #[error("probe-rs knows no chip `{name}`: did you mean {nearest}?")]
    Unknown {
        /// The name.
        name: String,
        /// Names like it.
        nearest: String,
    },
    /// Many chips begin with that name.
    #[error("`{name}` could be {candidates}: name one of them")]
    Ambiguous {
        /// The name.
        name: String,
        /// A few of the chips.
        candidates: String,
    },
    /// A chip of another architecture.
    #[error("{0} is no Cortex-M")]
    NoCortexM(String),
    /// A chip whose program memory is not described.
    #[error("probe-rs's entry for {0} names no flash to boot from, or no RAM")]
    NoMemory(String),
    /// A chip that boots through a header that is not provided here.
    #[error("{0} boots through a header that describes its external flash, which this board does not provide")]
    BootHeader(String),
}

/// ARMv8-M chips by the beginning of their names, since the database does not tell Baseline from Mainline: Cortex-M23, which run what is
/// built for a Cortex-M0.
const BASELINE: &[&str] = &["GD32E23", "R7FA0", "R7FA2", "ATSAML10", "ATSAML11"];

/// ARMv8-M chips whose first core has the DSP extension, by their data sheets. A chip that is missing here is only slower.
const DSP: &[&str] = &["RP235", "nRF5340", "nRF54L", "nRF91", "STM32L5", "STM32U3", "STM32U5", "STM32H5", "STM32WBA"];

/// Chips that start nothing without a header in external flash.
const HEADED: &[&str] = &["MIMXRT"];

/// Where most chips have RAM that is there from the start.
const SRAM: u64 = 0x2000_0000;

impl Chip {
    /// Looks a chip up by its name, or an unambiguous beginning of it.
    ///
    /// # Errors
    /// [`ChipError`].
    pub fn find(name: &str) -> Result<Self, ChipError> {
        Self::find_in(&Registry::from_builtin_families(), name)
    }

    fn find_in(registry: &Registry, name: &str) -> Result<Self, ChipError> {
        match registry.get_target_by_name(name) {
            Ok(target) => Self::of(&target),
            Err(RegistryError::ChipNotUnique(..)) => Err(ambiguous(name, registry)),
            Err(_) => Err(ChipError::Unknown { name: name.into(), nearest: nearest(name, registry) }),
        }
    }

    fn of(target: &Target) -> Result<Self, ChipError> {
        let name = target.name.clone();
        let is = |list: &[&str]| list.iter().any(|beginning| begins(&name, beginning));
        if is(HEADED) {
            return Err(ChipError::BootHeader(name));
        }
        // The first core is the one that starts.
        let core = target.cores.first().ok_or(ChipError::NoCortexM(name.clone()))?;
        let (rust_target, dsp) = match core.core_type {
            CoreType::Armv6m => ("thumbv6m-none-eabi", false),
            CoreType::Armv7m => ("thumbv7m-none-eabi", false),
            // Whether there is a floating-point unit, and of which kind, the database does not say; nothing here needs one.
            CoreType::Armv7em => ("thumbv7em-none-eabi", false),
            CoreType::Armv8m if is(BASELINE) => ("thumbv6m-none-eabi", false),
            CoreType::Armv8m => ("thumbv8m.main-none-eabi", is(DSP)),
            _ => return Err(ChipError::NoCortexM(name)),
        };
        let (Some(flash), Some(ram)) = (flash(&target.memory_map, &core.name), ram(&target.memory_map, &core.name))
        else {
            return Err(ChipError::NoMemory(name));
        };
        let boot = [("RP2040", "rp2040"), ("RP235", "rp2350")];
        let boot = boot.into_iter().find(|(beginning, _)| begins(&name, beginning)).map(|(_, boot)| boot);
        Ok(Self { name, target: rust_target, dsp, flash, ram, boot })
    }
}

fn begins(name: &str, beginning: &str) -> bool {
    name.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

/// The flash that the core boots from, with the banks that follow without a gap.
fn flash(map: &[MemoryRegion], core: &str) -> Option<Range<u64>> {
    let regions = map.iter().filter_map(MemoryRegion::as_nvm_region);
    let mut regions: Vec<_> = regions.filter(|r| r.accessible_by(core) && r.is_executable() && !r.is_alias).collect();
    regions.sort_by_key(|region| region.range.start);
    let mut found = regions.iter().find(|region| region.is_boot_memory()).or(regions.first())?.range.clone();
    for region in regions {
        if region.range.start == found.end {
            found.end = region.range.end;
        }
    }
    Some(found)
}

/// The RAM at its usual place, with what follows without a gap; else the largest. The usual place may be the database's alias of another,
/// as on the nRF52840.
fn ram(map: &[MemoryRegion], core: &str) -> Option<Range<u64>> {
    let regions = map.iter().filter_map(MemoryRegion::as_ram_region);
    let mut regions: Vec<_> = regions.filter(|region| region.accessible_by(core) && region.is_writable()).collect();
    regions.sort_by_key(|region| region.range.start);
    let largest = regions.iter().max_by_key(|region| region.range.end - region.range.start)?;
    let mut found = regions.iter().find(|region| region.range.contains(&SRAM)).unwrap_or(largest).range.clone();
    for region in &regions {
        if region.range.start == found.end {
            found.end = region.range.end;
        }
    }
    Some(found)
}

/// Every name, of chips and of their packages.
fn names(registry: &Registry) -> BTreeSet<&str> {
    let chips = registry.families().iter().flat_map(|family| family.variants());
    chips.flat_map(|chip| chip.package_variants()).map(String::as_str).collect()
}

/// How many names a sentence offers.
const OFFERED: usize = 5;

fn ambiguous(name: &str, registry: &Registry) -> ChipError {
    let all: Vec<_> = names(registry).into_iter().filter(|candidate| begins(candidate, name)).collect();
    let mut candidates = all.iter().take(OFFERED).copied().collect::<Vec<_>>().join(", ");
    if all.len() > OFFERED {
        candidates += &format!(" or {} more", all.len() - OFFERED);
    }
    ChipError::Ambiguous { name: name.into(), candidates }
}

fn nearest(name: &str, registry: &Registry) -> String {
    let name = name.to_ascii_lowercase();
    let likeness = |candidate: &str| strsim::jaro_winkler(&name, &candidate.to_ascii_lowercase());
    let mut all: Vec<_> = names(registry).into_iter().map(|candidate| (likeness(candidate), candidate)).collect();
    all.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
    all.into_iter().take(3).map(|(_, candidate)| candidate).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    #[test]
    fn eight_families_have_the_memory_of_their_data_sheets() {
        for (name, target, flash, ram) in [
            ("nRF51822_xxAA", "thumbv6m-none-eabi", (0, 256), 16),
            ("nRF52840_xxAA", "thumbv7em-none-eabi", (0, 1024), 256),
            ("STM32F411RE", "thumbv7em-none-eabi", (0x0800_0000, 512), 128),
            ("STM32F746ZG", "thumbv7em-none-eabi", (0x0800_0000, 1024), 320),
            ("STM32G071RB", "thumbv6m-none-eabi", (0x0800_0000, 128), 36),
            ("STM32L476RG", "thumbv7em-none-eabi", (0x0800_0000, 1024), 96),
            ("RP2040", "thumbv6m-none-eabi", (0x1000_0000, 128 * KIB), 264),
            ("RP235x", "thumbv8m.main-none-eabi", (0x1000_0000, 64 * KIB), 520),
        ] {
            let chip = Chip::find(name).unwrap();
            assert_eq!(chip.target, target, "{name}");
            assert_eq!(chip.flash, flash.0..flash.0 + flash.1 * KIB, "{name}");
            assert_eq!(chip.ram, SRAM..SRAM + ram * KIB, "{name}");
        }
        assert_eq!(Chip::find("RP2040").unwrap().boot, Some("rp2040"));
        assert_eq!(Chip::find("RP235x").unwrap().boot, Some("rp2350"));
        assert!(Chip::find("RP235x").unwrap().dsp);
    }

    #[test]
    fn a_beginning_will_do_if_it_means_one_chip() {
        assert_eq!(Chip::find("nrf52840").unwrap().name, "nRF52840_xxAA");
        let sentence = Chip::find("STM32F411").unwrap_err().to_string();
        assert!(sentence.starts_with("`STM32F411` could be STM32F411CC"), "{sentence}");
    }

    #[test]
    fn an_unknown_chip_is_offered_its_nearest_names() {
        let sentence = Chip::find("nRF5284O_xxAA").unwrap_err().to_string();
        assert!(sentence.contains("did you mean nRF52840_xxAA"), "{sentence}");
    }

    #[test]
    fn chips_that_cannot_work_are_refused() {
        assert!(matches!(Chip::find("RP235x_riscv"), Err(ChipError::NoCortexM(_))));
        assert!(matches!(Chip::find("MIMXRT1010"), Err(ChipError::BootHeader(_))));
    }

    #[test]
    fn most_chips_of_the_database_can_be_built_for() {
        let registry = Registry::from_builtin_families();
        let chips: Vec<_> = registry.families().iter().flat_map(|family| family.variants()).collect();
        let cortex_m: Vec<_> =
            chips.iter().filter(|c| c.cores.first().is_some_and(|c| c.core_type.is_cortex_m())).collect();
        let usable = cortex_m.iter().filter(|chip| Chip::find_in(&registry, &chip.name).is_ok()).count();
        assert!(cortex_m.len() > 1000, "{}", cortex_m.len());
        assert!(usable * 100 > cortex_m.len() * 95, "{usable} of {}", cortex_m.len());
    }
}
