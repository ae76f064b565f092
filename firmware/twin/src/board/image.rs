//! What a program takes of a chip, read off its ELF file.

use std::path::Path;
use std::{fmt, fs, io};

use object::{Object, ObjectSection, SectionFlags, SectionKind, elf};

/// Bytes that a program takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Flash without the model: code, constants, initial values.
    pub code: u64,
    /// Flash of the model.
    pub model: u64,
    /// RAM of statics, the model's scratch buffer among them.
    pub statics: u64,
}

impl Image {
    /// Reads the ELF file of a program that holds a model of so many bytes.
    ///
    /// # Errors
    /// When the file cannot be read or is no ELF file.
    pub fn read(path: &Path, model: u64) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let file = object::File::parse(&*bytes).map_err(io::Error::other)?;
        let (mut flash, mut statics) = (0, 0);
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            if sh_flags & u64::from(elf::SHF_ALLOC) == 0 {
                continue;
            }
            let in_ram = sh_flags & u64::from(elf::SHF_WRITE) != 0;
            let from_flash = !matches!(section.kind(), SectionKind::UninitializedData | SectionKind::UninitializedTls);
            statics += if in_ram { section.size() } else { 0 };
            flash += if from_flash { section.size() } else { 0 };
        }
        Ok(Self { code: flash.saturating_sub(model), model, statics })
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, model, statics } = self;
        write!(f, "flash {} bytes: code {code}, model {model}; RAM {statics} bytes beside the stack", code + model)
    }
}
