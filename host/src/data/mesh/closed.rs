//! Closed surfaces: every edge belongs to exactly two triangles, which run through it in opposite directions.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use super::{DataError, Surface};

/// Makes a surface that encloses something of one that a file holds, or says why it cannot be done.
///
/// Vertices at the same place become one, since many programs write a corner once for each face; triangles that collapse then are dropped. Where
/// neighbours turn different ways, they are turned like the first triangle of their part, and the part outwards.
///
/// # Errors
/// [`DataError::Leaks`] for an edge of one triangle or of more than two, [`DataError::OneSided`] for a surface like Moebius' strip's.
pub(super) fn closed(file: &Path, surface: Surface) -> Result<Surface, DataError> {
    let mut surface = welded(surface);
    let neighbours = neighbours(file, &surface)?;
    let mut turned: Vec<Option<bool>> = vec![None; surface.triangles.len()];
    for seed in 0..turned.len() {
        if turned[seed].is_some() {
            continue;
        }
        turned[seed] = Some(false);
        let mut part = vec![seed];
        let mut open = VecDeque::from([seed]);
        while let Some(triangle) = open.pop_front() {
            for &(other, agrees) in &neighbours[triangle] {
                // As this one if the two agree, the other way round if they do not.
                let turn = turned[triangle].map(|turned| turned == agrees);
                match turned[other] {
                    None => {
                        turned[other] = turn;
                        part.push(other);
                        open.push_back(other);
                    }
                    known if known != turn => return Err(DataError::OneSided { file: file.into() }),
                    _ => {}
                }
            }
        }
        // A part that was in order stays as it is: a cavity's triangles look inwards on purpose.
        if part.iter().any(|&triangle| turned[triangle] == Some(true)) {
            for &triangle in part.iter().filter(|&&triangle| turned[triangle] == Some(true)) {
                surface.triangles[triangle].swap(1, 2);
            }
            if part.iter().map(|&triangle| volume(&surface, triangle)).sum::<f64>() < 0.0 {
                part.iter().for_each(|&triangle| surface.triangles[triangle].swap(1, 2));
            }
        }
    }
    Ok(surface)
}

/// One vertex for each place, and no triangle of fewer than three.
fn welded(surface: Surface) -> Surface {
    let mut vertices = Vec::new();
    let mut known = HashMap::new();
    let place = |vertex: &[f64; 3]| {
        // 0 and -0 are one place.
        *known.entry(vertex.map(|value| (value + 0.0).to_bits())).or_insert_with(|| {
            vertices.push(*vertex);
            vertices.len() as u32 - 1
        })
    };
    let index: Vec<u32> = surface.vertices.iter().map(place).collect();
    let triangles = surface.triangles.iter().map(|triangle| triangle.map(|vertex| index[vertex as usize]));
    let triangles = triangles.filter(|[a, b, c]| a != b && b != c && c != a).collect();
    Surface { vertices, triangles }
}

/// For every triangle its three neighbours, and whether the two run through their edge in opposite directions, as they should.
fn neighbours(file: &Path, surface: &Surface) -> Result<Vec<Vec<(usize, bool)>>, DataError> {
    let mut edges: Vec<([u32; 2], usize, bool)> = Vec::with_capacity(3 * surface.triangles.len());
    for (triangle, &[a, b, c]) in surface.triangles.iter().enumerate() {
        edges.extend([[a, b], [b, c], [c, a]].map(|[from, to]| ([from.min(to), from.max(to)], triangle, from < to)));
    }
    edges.sort_unstable();
    let mut neighbours = vec![Vec::with_capacity(3); surface.triangles.len()];
    let (mut leaks, mut first) = (0, None);
    for edge in edges.chunk_by(|one, other| one.0 == other.0) {
        if let [(_, one, forward), (_, other, back)] = *edge {
            neighbours[one].push((other, forward != back));
            neighbours[other].push((one, forward != back));
        } else {
            leaks += 1;
            first = first.or(Some(edge[0].0));
        }
    }
    match first {
        None => Ok(neighbours),
        Some(edge) => {
            let [from, to] = edge.map(|vertex| surface.vertices[vertex as usize]);
            Err(DataError::Leaks { file: file.into(), leaks, from, to })
        }
    }
}

/// Six times the signed volume between a triangle and the origin.
fn volume(surface: &Surface, triangle: usize) -> f64 {
    let [a, b, c] = surface.triangles[triangle].map(|vertex| surface.vertices[vertex as usize]);
    a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0])
}
