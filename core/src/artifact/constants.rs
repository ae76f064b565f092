//! Numbers that a layer starts from, such as a transformer's positions.

use super::ArtifactError;
use super::record::{Arena, MAX_TABLES, Tables, high, pair};

/// Words of the record.
const RECORD: usize = 4;

/// `output <- numbers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants<'a> {
    /// Where the output begins in the arena; even.
    pub output_at: u32,
    /// How many there are, at least 1.
    pub length: u32,
    /// Two 16-bit numbers a word, low half first; the last half of an odd number of them is 0.
    pub numbers: &'a [u32],
}

impl<'a> Constants<'a> {
    pub(super) const KIND: u16 = 6;
    pub(super) const WORDS: usize = RECORD;

    pub(super) fn read(record: &[u32; RECORD], tables: Tables<'a>) -> Result<Self, ArtifactError> {
        let [head, output_at, length, numbers_at] = *record;
        if high(head) != 0 {
            return Err(ArtifactError::Inconsistent("a layer's kind"));
        }
        let numbers = tables.get(numbers_at, (length as usize).div_ceil(2), "a layer's constants")?;
        Ok(Self { output_at, length, numbers })
    }

    pub(super) fn tables(&self) -> [&'a [u32]; MAX_TABLES] {
        [self.numbers, &[], &[], &[], &[], &[]]
    }

    pub(super) fn write(&self, places: [u32; MAX_TABLES], record: &mut [u32; RECORD]) {
        *record = [pair(Self::KIND, 0), self.output_at, self.length, places[0]];
    }

    /// Everything that running relies on.
    pub(super) fn check(&self, arena: Arena) -> Result<(), ArtifactError> {
        arena.holds(self.output_at, self.length, "a layer's output")?;
        if self.length % 2 == 1 && self.numbers.last().is_some_and(|&word| high(word) != 0) {
            return Err(ArtifactError::Inconsistent("a layer's constants"));
        }
        Ok(())
    }
}
