//! What a board's program says: `defmt` frames in, samples and messages out. See `firmware/boards/program/src/lib.rs` for the records.

use std::fmt;

use defmt_decoder::{DecodeError, StreamDecoder, Table};

/// One sample, as the chip computed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its number.
    pub number: u64,
    /// The class, or -1.
    pub class: i32,
    /// The values' bits, 12 of them fractional.
    pub bits: Vec<i16>,
    /// What SysTick counted while it was drawn.
    pub ticks: u64,
    /// The deepest that the stack has been so far, in bytes.
    pub stack: u64,
}

/// One thing that the board said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The model was accepted; bytes of its scratch buffer.
    Scratch(u64),
    /// A sample is complete.
    Sample(Sample),
    /// All has been drawn.
    End,
    /// Text for people, and whether it is about an error.
    Text(String, bool),
}

/// Why the stream makes no sense.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The program has no `defmt` table, or one of another version.
    Table(String),
    /// Bytes that are no frame.
    Malformed,
    /// A record that this program does not know.
    Record(String),
}

impl std::error::Error for StreamError {}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(why) => write!(f, "the board's program has no table of messages: {why}"),
            Self::Malformed => write!(f, "the board's output was damaged on its way"),
            Self::Record(text) => write!(f, "the board said something unknown: {text}"),
        }
    }
}

/// The table of messages of a program.
///
/// # Errors
/// [`StreamError::Table`] if there is none.
pub fn table(elf: &[u8]) -> Result<Table, StreamError> {
    match Table::parse(elf) {
        Ok(Some(table)) => Ok(table),
        Ok(None) => Err(StreamError::Table("it has no section .defmt".into())),
        Err(error) => Err(StreamError::Table(error.to_string())),
    }
}

/// Decodes a stream as it comes.
pub struct Reader<'t> {
    decoder: Box<dyn StreamDecoder + Send + Sync + 't>,
    bits: Vec<i16>,
}

impl<'t> Reader<'t> {
    /// At the start of a stream.
    pub fn new(table: &'t Table) -> Self {
        Self { decoder: table.new_stream_decoder(), bits: Vec::new() }
    }

    /// Takes the next bytes; returns what they complete.
    ///
    /// # Errors
    /// [`StreamError`] for bytes that make no sense.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<Event>, StreamError> {
        self.decoder.received(bytes);
        let mut events = Vec::new();
        loop {
            let (text, level) = match self.decoder.decode() {
                Ok(frame) => (frame.display_message().to_string(), frame.level()),
                Err(DecodeError::UnexpectedEof) => return Ok(events),
                Err(DecodeError::Malformed) => return Err(StreamError::Malformed),
            };
            match level {
                Some(level) => events.push(Event::Text(text, level.as_str() == "error")),
                None => events.extend(self.record(&text).ok_or(StreamError::Record(text))?),
            }
        }
    }

    /// Reads one record; values of a sample are kept until it is complete.
    fn record(&mut self, text: &str) -> Option<Option<Event>> {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let words: Vec<_> = rest.split(' ').collect();
        Some(match (kind, &words[..]) {
            ("bits", _) => {
                let numbers = rest.strip_prefix('[')?.strip_suffix(']')?.split(", ");
                for number in numbers {
                    self.bits.push(number.parse().ok()?);
                }
                None
            }
            ("sample", [number, "seed", _, "class", class, "ticks", ticks, "stack", stack]) => {
                Some(Event::Sample(Sample {
                    number: number.parse().ok()?,
                    class: class.parse().ok()?,
                    bits: std::mem::take(&mut self.bits),
                    ticks: ticks.parse().ok()?,
                    stack: stack.parse().ok()?,
                }))
            }
            ("model", ["scratch", bytes]) => Some(Event::Scratch(bytes.parse().ok()?)),
            ("end", _) => Some(Event::End),
            _ => return None,
        })
    }
}
