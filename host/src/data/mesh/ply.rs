//! Stanford's `.ply`, as text or binary in either byte order: rows of the elements that its header promises.

use std::path::Path;

use super::ply_header::{Element, Encoding, Header, Number, Property};
use super::{DataError, Surface};

/// Reads `x`, `y` and `z` of the element `vertex` and the list `vertex_indices` or `vertex_index` of the element `face`; the rest is skipped.
pub(super) fn read(file: &Path, bytes: &[u8]) -> Result<Surface, DataError> {
    let (header, body) = Header::read(file, bytes)?;
    let mut numbers = Numbers { encoding: header.encoding, rest: body };
    let mut surface = Surface::default();
    for element in &header.elements {
        if element.properties.is_empty() {
            // Rows of nothing: however many are promised, they take no room.
            continue;
        }
        let columns = Columns::of(file, element)?;
        for row in 0..element.count {
            columns.read(&mut numbers, &mut surface).map_err(|fault| match fault {
                Fault::End => DataError::PlyEnds { file: file.into(), element: element.name.clone(), row },
                Fault::Number => DataError::PlyNumber { file: file.into(), element: element.name.clone(), row },
            })?;
        }
    }
    if !numbers.is_done() {
        return Err(DataError::PlyGoesOn { file: file.into() });
    }
    Ok(surface)
}

/// What a property is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Coordinate(usize),
    Corners,
    Nothing,
}

/// The properties of an element with their roles.
struct Columns<'a> {
    element: &'a Element,
    roles: Vec<Role>,
}

/// Why a row cannot be read.
enum Fault {
    /// The file ends in it.
    End,
    /// A word that is no number, or a number that can be none of a vertex.
    Number,
}

impl<'a> Columns<'a> {
    fn of(file: &Path, element: &'a Element) -> Result<Self, DataError> {
        let role = |property: &Property| match (element.name.as_str(), property.name.as_str(), property.list.is_some())
        {
            ("vertex", "x", false) => Role::Coordinate(0),
            ("vertex", "y", false) => Role::Coordinate(1),
            ("vertex", "z", false) => Role::Coordinate(2),
            ("face", "vertex_indices" | "vertex_index", true) => Role::Corners,
            _ => Role::Nothing,
        };
        let roles: Vec<Role> = element.properties.iter().map(role).collect();
        let wanted: &[Role] = match element.name.as_str() {
            "vertex" => &[Role::Coordinate(0), Role::Coordinate(1), Role::Coordinate(2)],
            "face" => &[Role::Corners],
            _ => &[],
        };
        if wanted.iter().any(|wanted| !roles.contains(wanted)) {
            return Err(DataError::PlyProperties { file: file.into() });
        }
        Ok(Self { element, roles })
    }

    /// Reads a row into the surface.
    fn read(&self, numbers: &mut Numbers<'_>, surface: &mut Surface) -> Result<(), Fault> {
        let mut vertex = [0.0; 3];
        for (property, &role) in self.element.properties.iter().zip(&self.roles) {
            let count = match property.list {
                None => 1,
                Some(number) => whole(numbers.next(number)?)?,
            };
            match role {
                Role::Coordinate(axis) => vertex[axis] = numbers.next(property.number)?,
                Role::Corners => {
                    let mut corners = Vec::new();
                    for _ in 0..count {
                        corners.push(whole(numbers.next(property.number)?)?);
                    }
                    surface.push_face(&corners);
                }
                Role::Nothing => {
                    for _ in 0..count {
                        numbers.next(property.number)?;
                    }
                }
            }
        }
        if self.roles.contains(&Role::Coordinate(0)) {
            surface.vertices.push(vertex);
        }
        Ok(())
    }
}

/// A count, or the number of a vertex.
fn whole(value: f64) -> Result<u32, Fault> {
    // Exact: every u32 is a f64.
    let number = value as u32;
    if f64::from(number) == value { Ok(number) } else { Err(Fault::Number) }
}

/// The numbers after a header, one after the other.
struct Numbers<'a> {
    encoding: Encoding,
    rest: &'a [u8],
}

impl Numbers<'_> {
    fn next(&mut self, number: Number) -> Result<f64, Fault> {
        if self.encoding == Encoding::Text {
            return self.word();
        }
        let (bytes, rest) = self.rest.split_at_checked(number.size()).ok_or(Fault::End)?;
        self.rest = rest;
        let mut little = [0; 8];
        little[..bytes.len()].copy_from_slice(bytes);
        if self.encoding == Encoding::BigEndian {
            little[..bytes.len()].reverse();
        }
        let bits = u64::from_le_bytes(little);
        Ok(match number {
            Number::Unsigned(_) => bits as f64,
            Number::Signed(1) => f64::from(bits as i8),
            Number::Signed(2) => f64::from(bits as i16),
            Number::Signed(_) => f64::from(bits as i32),
            Number::Float(4) => f64::from(f32::from_bits(bits as u32)),
            Number::Float(_) => f64::from_bits(bits),
        })
    }

    fn word(&mut self) -> Result<f64, Fault> {
        self.rest = self.rest.trim_ascii_start();
        let end = self.rest.iter().position(u8::is_ascii_whitespace).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if word.is_empty() {
            return Err(Fault::End);
        }
        std::str::from_utf8(word).ok().and_then(|word| word.parse().ok()).ok_or(Fault::Number)
    }

    /// Whether nothing is left that means anything.
    fn is_done(&self) -> bool {
        match self.encoding {
            Encoding::Text => self.rest.trim_ascii_start().is_empty(),
            _ => self.rest.is_empty(),
        }
    }
}
