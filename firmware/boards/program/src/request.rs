//! What is asked for: so many samples of a seed and a class.

use core::ops::Range;

/// Consecutive samples of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The seed of all noise.
    pub seed: u64,
    /// The number of the first sample.
    pub first: u64,
    /// How many samples.
    pub count: u64,
    /// Their classes.
    pub class: Class,
}

/// Which class a sample has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// None.
    Without,
    /// The same for all.
    One(u16),
    /// Sample `i` has class `i` modulo the number of classes.
    InTurn,
}

impl Request {
    /// Reads `SEED:FIRST:COUNT:CLASS`, where the class is a number, `none` or `turn`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.as_bytes().split(|&byte| byte == b':');
        let mut next = || fields.next();
        let (seed, first, count, class) = (number(next()?)?, number(next()?)?, number(next()?)?, next()?);
        let class = match class {
            b"none" => Class::Without,
            b"turn" => Class::InTurn,
            digits => Class::One(u16::try_from(number(digits)?).ok()?),
        };
        fields.next().is_none().then_some(Self { seed, first, count, class })
    }

    /// The samples' numbers.
    pub fn samples(&self) -> Range<u64> {
        self.first..self.first.saturating_add(self.count)
    }
}

/// Bytes and not text, whose slices and numbers would bring a kilobyte of messages for panics that cannot happen.
fn number(digits: &[u8]) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let append = |sum: u64, &byte: &u8| sum.checked_mul(10)?.checked_add(digit(byte)?);
    digits.iter().try_fold(0, append).filter(|_| !digits.is_empty())
}

impl Class {
    /// The class of a sample, for a model of so many classes.
    pub fn of(self, sample: u64, classes: u16) -> Option<u16> {
        match self {
            Self::Without => None,
            Self::One(class) => Some(class),
            Self::InTurn => sample.checked_rem(u64::from(classes)).map(|class| class as u16),
        }
    }
}
