//! The header of an `.npy` file, a dictionary that Python would evaluate and that is parsed here without recursion.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::path::Path;

use super::DataError;

const MAGIC: &[u8] = b"\x93NUMPY";

/// What numbers an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unsigned,
    Signed,
    Float,
}

#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// As the file spells it, for messages.
    pub(super) dtype: String,
    pub(super) kind: Kind,
    /// Bytes of an element: 1, 2, 4 or 8; 4 or 8 for floats.
    pub(super) size: usize,
    pub(super) big_endian: bool,
    /// Column-major instead of row-major.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// The header and all bytes after it.
    pub(super) fn read<'a>(file: &Path, bytes: &'a [u8]) -> Result<(Header, &'a [u8]), DataError> {
        if bytes.is_empty() {
            return Err(DataError::Empty { file: file.into() });
        }
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            if MAGIC.starts_with(bytes) {
                return Err(truncated(file, 10, bytes));
            }
            return Err(DataError::Magic {
                file: file.into(),
                found: bytes.iter().copied().take(MAGIC.len()).collect(),
                expected: "an npy file starts with 93 4e 55 4d 50 59",
            });
        };
        // Version 1 has a 16-bit length, 2 and 3 have 32 bits.
        let (length, rest) = match *rest {
            [1, _, a, b, ref rest @ ..] => (usize::from(u16::from_le_bytes([a, b])), rest),
            [2 | 3, _, a, b, c, d, ref rest @ ..] => (u32::from_le_bytes([a, b, c, d]) as usize, rest),
            [] | [1..=3, ..] => return Err(truncated(file, 12, bytes)),
            _ => return Err(damaged(file, "its version is not 1, 2 or 3")),
        };
        let Some((text, body)) = rest.split_at_checked(length) else {
            let needed = (bytes.len() - rest.len() + length) as u64;
            return Err(truncated(file, needed, bytes));
        };
        let text = std::str::from_utf8(text).map_err(|_| damaged(file, "it is not text"))?;
        let header = Dictionary { rest: text }.header(file)?;
        Ok((header, body))
    }
}

fn truncated(file: &Path, needed: u64, bytes: &[u8]) -> DataError {
    DataError::HeaderTruncated { file: file.into(), needed, actual: bytes.len() as u64 }
}

fn damaged(file: &Path, reason: &'static str) -> DataError {
    DataError::NpyHeader { file: file.into(), reason }
}

/// What is still to be parsed of `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
struct Dictionary<'a> {
    rest: &'a str,
}

impl<'a> Dictionary<'a> {
    fn header(mut self, file: &Path) -> Result<Header, DataError> {
        let damaged = |reason| damaged(file, reason);
        let (mut dtype, mut fortran, mut shape) = (None, None, None);
        if !self.eat("{") {
            return Err(damaged("it doesn't start with {"));
        }
        while !self.eat("}") {
            let key = self.string().ok_or(damaged("a key is no string"))?;
            if !self.eat(":") {
                return Err(damaged("a key is not followed by a colon"));
            }
            // A key that comes twice has two meanings, so only an empty place may be filled.
            match key {
                "descr" if dtype.is_none() => {
                    dtype = Some(self.dtype(file)?);
                }
                "fortran_order" if fortran.is_none() => {
                    fortran = Some(match () {
                        () if self.eat("True") => true,
                        () if self.eat("False") => false,
                        () => return Err(damaged("fortran_order is neither True nor False")),
                    });
                }
                "shape" if shape.is_none() => {
                    shape = Some(self.shape().ok_or(damaged("shape is no tuple of whole numbers"))?);
                }
                _ => {
                    return Err(damaged("a key is there twice or is not one of descr, fortran_order, shape"));
                }
            }
            if !self.eat(",") {
                if self.eat("}") {
                    break;
                }
                return Err(damaged("an entry is followed by neither , nor }"));
            }
        }
        if !self.rest.trim_ascii().is_empty() {
            return Err(damaged("text follows the closing }"));
        }
        let dtype = dtype.ok_or(damaged("descr is missing"))?;
        let (kind, size, big_endian) = element(dtype)
            .ok_or_else(|| DataError::NpyElement { file: file.into(), dtype: dtype.chars().take(40).collect() })?;
        Ok(Header {
            dtype: dtype.into(),
            kind,
            size,
            big_endian,
            fortran: fortran.ok_or(damaged("fortran_order is missing"))?,
            shape: shape.ok_or(damaged("shape is missing"))?,
        })
    }

    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_ascii_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A string in either kind of quotes. NumPy writes none that need escapes.
    fn string(&mut self) -> Option<&'a str> {
        let quote = if self.eat("'") {
            '\''
        } else if self.eat("\"") {
            '"'
        } else {
            return None;
        };
        let (string, rest) = self.rest.split_once(quote)?;
        self.rest = rest;
        Some(string)
    }

    /// The dtype if it's a string. Lists describe records, which are refused as a whole without parsing them.
    fn dtype(&mut self, file: &Path) -> Result<&'a str, DataError> {
        self.string().ok_or_else(|| match self.rest.as_bytes() {
            [b'[', ..] => DataError::NpyElement { file: file.into(), dtype: "record".into() },
            _ => damaged(file, "descr is neither a string nor a list"),
        })
    }

    fn shape(&mut self) -> Option<Vec<usize>> {
        if !self.eat("(") {
            return None;
        }
        let mut shape = Vec::new();
        while !self.eat(")") {
            self.rest = self.rest.trim_ascii_start();
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = self.rest.split_at(digits);
            shape.push(number.parse().ok()?);
            // Python 2 marks long integers.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if !self.eat(",") {
                return self.eat(")").then_some(shape);
            }
        }
        Some(shape)
    }
}

/// Kind, size and byte order of a dtype such as `<f4`; nothing for those that are not supported.
fn element(dtype: &str) -> Option<(Kind, usize, bool)> {
    let (big_endian, name) = match dtype.as_bytes() {
        [b'>', ..] => (true, dtype.get(1..)?),
        [b'<' | b'|', ..] => (false, dtype.get(1..)?),
        // `=` is the order of whichever machine wrote the file, so no file should say so.
        _ => return None,
    };
    let (kind, size) = match name {
        "u1" => (Kind::Unsigned, 1),
        "u2" => (Kind::Unsigned, 2),
        "u4" => (Kind::Unsigned, 4),
        "u8" => (Kind::Unsigned, 8),
        "i1" => (Kind::Signed, 1),
        "i2" => (Kind::Signed, 2),
        "i4" => (Kind::Signed, 4),
        "i8" => (Kind::Signed, 8),
        "f4" => (Kind::Float, 4),
        "f8" => (Kind::Float, 8),
        _ => return None,
    };
    Some((kind, size, big_endian))
}

#[cfg(test)]
mod tests {
    use super::super::npy::tests::npy;
    use super::*;

    fn read(bytes: &[u8]) -> Result<Header, DataError> {
        Header::read(Path::new("x.npy"), bytes).map(|(header, _)| header)
    }

    fn header(dictionary: &str) -> Result<Header, DataError> {
        read(&npy(dictionary, &[]))
    }

    #[test]
    fn spellings_of_the_same_header_are_the_same() {
        let expected = Header {
            dtype: ">i2".into(),
            kind: Kind::Signed,
            size: 2,
            big_endian: true,
            fortran: true,
            shape: vec![3, 4],
        };
        for text in [
            "{'descr': '>i2', 'fortran_order': True, 'shape': (3, 4), }          \n",
            "{\"shape\":(3,4),\"descr\":\">i2\",\"fortran_order\":True}",
            "{ 'shape' : ( 3L , 4L , ) , 'fortran_order' : True , 'descr' : '>i2' }\n",
        ] {
            assert_eq!(header(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn all_versions_are_read() {
        let text = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n";
        for version in [2, 3] {
            let mut bytes = [MAGIC, &[version, 0], &(text.len() as u32).to_le_bytes()].concat();
            bytes.extend(text.as_bytes());
            bytes.extend([7, 9]);
            let (header, body) = Header::read(Path::new("x.npy"), &bytes).unwrap();
            assert_eq!((header.shape, body), (vec![2], &[7, 9][..]));
        }
        assert!(matches!(
            read(b"\x93NUMPY\x04\x00\x00\x00"),
            Err(DataError::NpyHeader { reason: "its version is not 1, 2 or 3", .. })
        ));
    }

    #[test]
    fn unsupported_types_are_named() {
        for dtype in ["|O", "<f2", "<c8", "|b1", "<U3", "|S1", "<M8[s]", "=f4", "<u3", "", "é4", "f4"] {
            let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': (1,)}}");
            let error = header(&text).unwrap_err();
            assert!(matches!(error, DataError::NpyElement { .. }), "{dtype}: {error}");
            assert!(error.to_string().contains(&format!("dtype {dtype} ")));
        }
        let record = "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}";
        assert_eq!(
            header(record).unwrap_err().to_string(),
            "x.npy: arrays of dtype record are not supported; save it as a plain array of u1 to u8, i1 to i8, \
             f4 or f8, for instance with .astype('float32')"
        );
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert!(matches!(read(b""), Err(DataError::Empty { .. })));
        assert!(matches!(read(b"GIF89a"), Err(DataError::Magic { .. })));
        for cut in [&b"\x93NUM"[..], b"\x93NUMPY", b"\x93NUMPY\x01\x00\x08"] {
            assert!(matches!(read(cut), Err(DataError::HeaderTruncated { .. })));
        }
        // The length is a lie: nothing of it may be allocated.
        assert!(matches!(
            read(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"),
            Err(DataError::HeaderTruncated { needed: 4_294_967_307, actual: 13, .. })
        ));
        assert!(matches!(read(b"\x93NUMPY\x01\x00\x01\x00\xff"), Err(DataError::NpyHeader { .. })));
    }

    #[test]
    fn damaged_dictionaries_are_refused() {
        let nested = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {}", "(".repeat(60_000));
        for text in [
            "",
            "{",
            "{}",
            "{descr: 1}",
            "{'descr' '<f4'}",
            "{'descr': 4, 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': None, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
            "{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}",
            nested.as_str(),
        ] {
            let error = header(text).unwrap_err();
            assert!(matches!(error, DataError::NpyHeader { .. }), "{text}: {error}");
        }
    }
}
