//! What every layer's record is read from and checked against.

use super::ArtifactError;

/// The most tables that a record points at.
pub const MAX_TABLES: usize = 6;

/// The tables behind the records, and how many rows those by step and by class have.
#[derive(Clone, Copy)]
pub struct Tables<'a> {
    /// The whole file.
    pub words: &'a [u32],
    /// Where the records end.
    pub begin: usize,
    pub steps: usize,
    pub classes: usize,
}

impl<'a> Tables<'a> {
    /// The table of that many words at a place that a record names.
    pub fn get(&self, at: u32, length: usize, what: &'static str) -> Result<&'a [u32], ArtifactError> {
        let at = at as usize;
        if at < self.begin {
            return Err(ArtifactError::Inconsistent(what));
        }
        let end = at.checked_add(length).ok_or(ArtifactError::Inconsistent(what))?;
        self.words.get(at..end).ok_or(ArtifactError::Inconsistent(what))
    }

    /// The same of `[rows, length]` words; none at place 0.
    pub fn optional(
        &self,
        at: u32,
        rows: usize,
        length: usize,
        what: &'static str,
    ) -> Result<&'a [u32], ArtifactError> {
        match at {
            0 => Ok(&[]),
            at => self.get(at, rows.checked_mul(length).ok_or(ArtifactError::Inconsistent(what))?, what),
        }
    }
}

/// The memory that layers work in: so many 16-bit elements.
#[derive(Clone, Copy)]
pub struct Arena(pub u32);

impl Arena {
    /// Whether a range lies within, padded to four elements as the kernels read it.
    pub fn holds(self, at: u32, length: u32, what: &'static str) -> Result<(), ArtifactError> {
        let end = length.checked_next_multiple_of(4).and_then(|padded| at.checked_add(padded));
        if length == 0 || !at.is_multiple_of(2) || end.is_none_or(|end| end > self.0) {
            return Err(ArtifactError::Inconsistent(what));
        }
        Ok(())
    }
}

/// Whether two ranges of the arena share an element, both padded as [`Arena::holds`] does.
pub fn overlap(a: u32, a_length: u32, b: u32, b_length: u32) -> bool {
    let padded = |length: u32| u64::from(length).next_multiple_of(4);
    u64::from(a) < u64::from(b) + padded(b_length) && u64::from(b) < u64::from(a) + padded(a_length)
}

/// Whether any two of these ranges share an element; one of length 0 shares none.
pub fn any_overlap(ranges: &[(u32, u32)]) -> bool {
    let used = ranges.iter().enumerate().filter(|(_, range)| range.1 > 0);
    used.into_iter().any(|(index, &(a, a_length))| {
        ranges[..index].iter().any(|&(b, b_length)| b_length > 0 && overlap(a, a_length, b, b_length))
    })
}

pub const fn low(word: u32) -> u16 {
    word as u16
}

pub const fn high(word: u32) -> u16 {
    (word >> 16) as u16
}

/// Two halves in a word, low half first.
pub const fn pair(low: u16, high: u16) -> u32 {
    low as u32 | (high as u32) << 16
}
