//! Wavefront's `.obj`: `v x y z` for a vertex, `f a/texture/normal b c ...` for a face whose corners count from 1, or back from -1.

use std::path::Path;

use super::{DataError, Lines, Surface, coordinates};

/// Reads vertices and faces; materials, normals, groups and lines do not matter here and are skipped.
pub(super) fn read(file: &Path, bytes: &[u8]) -> Result<Surface, DataError> {
    if bytes.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    let mut lines = Lines::new(file, bytes)?;
    let mut surface = Surface::default();
    while let Some((line, words)) = lines.next() {
        match words[0] {
            "v" => {
                let vertex = coordinates(&words[1..]);
                surface.vertices.push(vertex.ok_or_else(|| lines.fault(line, "expected `v` and three numbers"))?);
            }
            "f" => {
                let corners: Option<Vec<u32>> =
                    words[1..].iter().map(|word| corner(word, surface.vertices.len())).collect();
                let corners = corners.filter(|corners| corners.len() >= 3).ok_or_else(|| {
                    lines.fault(line, "expected `f` and at least 3 vertices, counted from 1, or from -1 backwards")
                })?;
                surface.push_face(&corners);
            }
            // A face that goes on there would be lost, and the mesh would seem to leak.
            _ if words.last() == Some(&"\\") => {
                return Err(lines.fault(line, "goes on in the next line, which is not supported"));
            }
            _ => {}
        }
    }
    Ok(surface)
}

/// A corner's vertex from 0; `so_far` vertices stand above it.
fn corner(word: &str, so_far: usize) -> Option<u32> {
    let number: i64 = word.split('/').next()?.parse().ok()?;
    let index = match number {
        1.. => number - 1,
        0 => return None,
        _ => so_far as i64 + number,
    };
    u32::try_from(index).ok()
}
