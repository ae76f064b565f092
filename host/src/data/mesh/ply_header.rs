//! The header of a `.ply`: which elements follow, how many, with which properties, in which encoding.

use std::path::Path;

use super::DataError;

/// How the numbers after the header are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Text,
    LittleEndian,
    BigEndian,
}

/// The type of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Signed(usize),
    Unsigned(usize),
    Float(usize),
}

impl Number {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "char" | "int8" => Self::Signed(1),
            "uchar" | "uint8" => Self::Unsigned(1),
            "short" | "int16" => Self::Signed(2),
            "ushort" | "uint16" => Self::Unsigned(2),
            "int" | "int32" => Self::Signed(4),
            "uint" | "uint32" => Self::Unsigned(4),
            "float" | "float32" => Self::Float(4),
            "double" | "float64" => Self::Float(8),
            _ => return None,
        })
    }

    /// Bytes of such a number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Signed(size) | Self::Unsigned(size) | Self::Float(size) => size,
        }
    }
}

/// One property of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) name: String,
    /// The type of the count before it, if it is a list.
    pub(super) list: Option<Number>,
    pub(super) number: Number,
}

/// So many rows of the same properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) count: u64,
    pub(super) properties: Vec<Property>,
}

/// A whole header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) encoding: Encoding,
    pub(super) elements: Vec<Element>,
}

impl Header {
    /// The header and what follows it.
    pub(super) fn read<'a>(file: &Path, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), DataError> {
        if bytes.is_empty() {
            return Err(DataError::Empty { file: file.into() });
        }
        let mut header = Header { encoding: Encoding::Text, elements: Vec::new() };
        let (mut rest, mut line) = (bytes, 0);
        let mut has_format = false;
        loop {
            let fault = |reason| Err(DataError::MeshText { file: file.into(), line: line + 1, reason });
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                let starts_well = line > 0 || rest.starts_with(b"ply");
                let reason = if starts_well { "the header has no end_header" } else { "expected ply" };
                return fault(reason);
            };
            let Ok(text) = std::str::from_utf8(&rest[..end]) else {
                return fault(if line == 0 { "expected ply" } else { "the header has no end_header" });
            };
            let words: Vec<&str> = text.split_whitespace().collect();
            match (line, &words[..]) {
                (0, ["ply"]) => {}
                (0, _) => return fault("expected ply"),
                (_, ["format", encoding, "1.0"]) => {
                    header.encoding = match *encoding {
                        "ascii" => Encoding::Text,
                        "binary_little_endian" => Encoding::LittleEndian,
                        "binary_big_endian" => Encoding::BigEndian,
                        _ => return fault("expected format ascii, binary_little_endian or binary_big_endian"),
                    };
                    has_format = true;
                }
                (_, ["comment" | "obj_info", ..] | []) => {}
                (_, ["element", name, count]) => {
                    let Ok(count) = count.parse() else { return fault("expected element, its name and its count") };
                    header.elements.push(Element { name: (*name).to_owned(), count, properties: Vec::new() });
                }
                (_, ["property", words @ ..]) => {
                    let (Some(property), Some(element)) = (property(words), header.elements.last_mut()) else {
                        return fault("expected property, its type and its name, after an element");
                    };
                    element.properties.push(property);
                }
                (_, ["end_header"]) if has_format => return Ok((header, &rest[end + 1..])),
                (_, ["end_header"]) => return fault("the header ends without a format 1.0"),
                _ => return fault("expected format, element, property, comment or end_header"),
            }
            (rest, line) = (&rest[end + 1..], line + 1);
        }
    }
}

fn property(words: &[&str]) -> Option<Property> {
    let (list, number, name) = match words {
        ["list", count, number, name] => (Some(Number::named(count)?), number, name),
        [number, name] => (None, number, name),
        _ => return None,
    };
    // A count is a whole number.
    if matches!(list, Some(Number::Float(_))) {
        return None;
    }
    Some(Property { name: (*name).to_owned(), list, number: Number::named(number)? })
}
