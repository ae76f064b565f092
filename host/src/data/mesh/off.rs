//! Object File Format, text: `OFF`, the counts of vertices, faces and edges, a vertex a line, a face a line.

use std::path::Path;

use super::{DataError, Lines, Surface, coordinates};

/// Reads `OFF`, `COFF` and `NOFF`; colours and normals are skipped.
pub(super) fn read(file: &Path, bytes: &[u8]) -> Result<Surface, DataError> {
    if bytes.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    let mut lines = Lines::new(file, bytes)?;
    let (line, mut words) = lines.expect("a header")?;
    if !matches!(words[0], "OFF" | "COFF" | "NOFF" | "CNOFF") || words.get(1) == Some(&"BINARY") {
        return Err(lines.fault(line, "expected OFF, COFF or NOFF, as text"));
    }
    words.remove(0);
    let (line, words) =
        if words.is_empty() { lines.expect("the counts of vertices and faces")? } else { (line, words) };
    let count = |word: Option<&&str>| word.and_then(|word| word.parse::<u32>().ok());
    let (Some(vertices), Some(faces)) = (count(words.first()), count(words.get(1))) else {
        return Err(lines.fault(line, "expected the counts of vertices, faces and edges"));
    };

    let mut surface = Surface::default();
    for _ in 0..vertices {
        let (line, words) = lines.expect("a vertex")?;
        let vertex = coordinates(&words).ok_or_else(|| lines.fault(line, "expected a vertex: three numbers"))?;
        surface.vertices.push(vertex);
    }
    for _ in 0..faces {
        let (line, words) = lines.expect("a face")?;
        let fault = || lines.fault(line, "expected a face: how many vertices, at least 3, and their numbers from 0");
        let corners = count(words.first()).filter(|&corners| corners >= 3).ok_or_else(fault)?;
        // A colour may follow.
        let corners = words.get(1..).and_then(|rest| rest.get(..corners as usize)).ok_or_else(fault)?;
        let corners: Option<Vec<u32>> = corners.iter().map(|word| word.parse().ok()).collect();
        surface.push_face(&corners.ok_or_else(fault)?);
    }
    match lines.next() {
        Some((line, _)) => {
            Err(lines.fault(line, "expected the end, after as many vertices and faces as were promised"))
        }
        None => Ok(surface),
    }
}
