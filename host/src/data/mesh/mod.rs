//! Solids for point clouds: a closed surface is read, checked, and filled with points.
//!
//! | module | does |
//! |---|---|
//! | `off`, `obj`, `ply` | read a file into a surface of triangles |
//! | `closed` | welds it, and refuses one that leaks or has but one side |
//! | [`solid`] | tells inside from outside, and draws points inside, evenly |
//! | `cow` | the embedded solid: a cow of our own, as bones with flesh on them |
//! | `marching` | turns such an implicit shape into a surface |
//!
//! The readers are our own, as the one of `.npy` is: crates for these formats allocate what a header claims, or skip what they do not
//! understand, and a mesh of which a part was skipped leaks.

mod closed;
mod cow;
mod marching;
mod obj;
mod off;
mod ply;
mod ply_header;
pub mod solid;

use std::path::Path;

pub use solid::Solid;

use super::{DataError, Dataset, name_of, read_file};

/// Points that a solid's [`Dataset`] holds: so many that a small network cannot learn them by heart.
const POINTS: usize = 32_768;

/// The seed of those points; any other draws points that no training has seen.
const SEED: u64 = 0;

/// The embedded solid's name.
pub(super) const COW: &str = "cow";

/// Triangles as a file has them: nothing is known of them yet.
#[derive(Clone, Debug, Default, PartialEq)]
struct Surface {
    vertices: Vec<[f64; 3]>,
    /// Indices into `vertices`, in range once [`Surface::checked`] has passed.
    triangles: Vec<[u32; 3]>,
}

impl Surface {
    /// Adds a polygon as the fan from its first corner. A fan of a plane polygon that is not convex overlaps itself, but its signed parts
    /// cancel in the winding number.
    fn push_face(&mut self, corners: &[u32]) {
        if let [first, rest @ ..] = corners {
            self.triangles.extend(rest.windows(2).map(|pair| [*first, pair[0], pair[1]]));
        }
    }

    /// Refuses faces without vertices, coordinates that are no numbers, and a surface without faces, as a cloud of points is.
    fn checked(self, file: &Path) -> Result<Self, DataError> {
        if self.triangles.is_empty() {
            return Err(DataError::NoFaces { file: file.into() });
        }
        let vertices = self.vertices.len();
        if let Some(&vertex) = self.triangles.as_flattened().iter().find(|&&vertex| vertex as usize >= vertices) {
            return Err(DataError::FaceVertex { file: file.into(), vertex: vertex.into(), vertices });
        }
        let flat = self.vertices.as_flattened();
        if let Some(i) = flat.iter().position(|value| !value.is_finite()) {
            return Err(DataError::NotFinite { file: file.into(), place: super::Place::Vertex(i / 3), value: flat[i] });
        }
        Ok(self)
    }
}

/// Whether a name is that of a file with a mesh in it.
pub(super) fn is_named(path: &Path) -> bool {
    format_of(path).is_some()
}

type Reader = fn(&Path, &[u8]) -> Result<Surface, DataError>;

fn format_of(path: &Path) -> Option<Reader> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "off" => Some(off::read),
        "obj" => Some(obj::read),
        "ply" => Some(ply::read),
        _ => None,
    }
}

/// The solid that a data source names: the embedded one, or a file's; `None` for sources of another kind.
///
/// # Errors
/// A mesh that cannot be read, or encloses nothing.
pub fn load(source: &str) -> Result<Option<Solid>, DataError> {
    if source == COW {
        return Solid::new(Path::new(COW), cow::surface()).map(Some);
    }
    let path = Path::new(source);
    match format_of(path) {
        Some(read) => Solid::new(path, read(path, &read_file(path)?)?.checked(path)?).map(Some),
        None => Ok(None),
    }
}

/// Points inside the solid of a file, or the embedded one, as samples of shape `[3]`.
pub(super) fn dataset(source: &str) -> Result<Dataset, DataError> {
    let file = Path::new(source);
    let solid = load(source)?.ok_or(DataError::UnknownFormat { file: file.into() })?;
    let name = if source == COW { COW.to_owned() } else { name_of(file) };
    let samples = solid.points(file, SEED, POINTS)?;
    Ok(Dataset { name, shape: vec![3], samples, labels: None, classes: 0, conditions: None, scaling: solid.scaling() })
}

/// The next line that says anything, with its number from 1: without what follows `#`, as words.
struct Lines<'a> {
    file: &'a Path,
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
}

/// The words of a line, and its number from 1.
type Words<'a> = (usize, Vec<&'a str>);

impl<'a> Lines<'a> {
    /// # Errors
    /// [`DataError::MeshText`] for bytes that are no text.
    fn new(file: &'a Path, bytes: &'a [u8]) -> Result<Self, DataError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
            DataError::MeshText { file: file.into(), line, reason: "expected text in UTF-8" }
        })?;
        Ok(Self { file, lines: text.trim_start_matches('\u{feff}').lines().enumerate() })
    }

    fn fault(&self, line: usize, reason: &'static str) -> DataError {
        DataError::MeshText { file: self.file.into(), line, reason }
    }

    /// The next line, which must exist because `wanted` is still missing.
    fn expect(&mut self, wanted: &'static str) -> Result<Words<'a>, DataError> {
        self.next().ok_or_else(|| DataError::MeshEnds { file: self.file.into(), wanted })
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Words<'a>;

    fn next(&mut self) -> Option<Words<'a>> {
        self.lines.by_ref().find_map(|(index, line)| {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            (!words.is_empty()).then_some((index + 1, words))
        })
    }
}

/// The three coordinates that words begin with; normals and colours may follow.
fn coordinates(words: &[&str]) -> Option<[f64; 3]> {
    match words {
        [x, y, z, ..] => Some([x.parse().ok()?, y.parse().ok()?, z.parse().ok()?]),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
