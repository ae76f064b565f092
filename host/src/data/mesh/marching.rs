//! Marching tetrahedra: the surface where a function of space is 0.
//!
//! Every cell of a grid is cut into six tetrahedra around its diagonal (Kuhn's), so that neighbouring cells cut their common face alike and the
//! surface is closed. In a tetrahedron with corners on both sides it is one triangle or two.

use std::collections::HashMap;

use super::Surface;

/// The surface of `depth < 0` within a box, in cells of width `cell`. `depth` must be above 0 on the faces of the box, or the surface has a hole
/// there. The triangles turn any way: making a solid of them turns them alike.
pub(super) fn surface_of(depth: impl Fn([f64; 3]) -> f64, low: [f64; 3], high: [f64; 3], cell: f64) -> Surface {
    let cells: [usize; 3] = std::array::from_fn(|axis| ((high[axis] - low[axis]) / cell).ceil() as usize);
    let place = |node: [usize; 3]| std::array::from_fn(|axis| low[axis] + node[axis] as f64 * cell);
    let index = |[i, j, k]: [usize; 3]| (i * (cells[1] + 1) + j) * (cells[2] + 1) + k;
    let nodes = |ends: [usize; 3]| {
        (0..ends[0]).flat_map(move |i| (0..ends[1]).flat_map(move |j| (0..ends[2]).map(move |k| [i, j, k])))
    };
    let depths: Vec<f64> = nodes(cells.map(|count| count + 1)).map(|node| depth(place(node))).collect();

    let mut surface = Surface::default();
    let mut known = HashMap::new();
    for origin in nodes(cells) {
        for [first, second] in [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]] {
            let mut corner = origin;
            corner[first] += 1;
            let mut next = corner;
            next[second] += 1;
            let tetrahedron = [origin, corner, next, origin.map(|at| at + 1)];
            let (inside, outside): (Vec<_>, Vec<_>) =
                tetrahedron.into_iter().partition(|&node| depths[index(node)] < 0.0);
            let mut cut = |inner: [usize; 3], outer: [usize; 3]| {
                *known.entry((index(inner), index(outer))).or_insert_with(|| {
                    let (inner_depth, outer_depth) = (depths[index(inner)], depths[index(outer)]);
                    // Off the nodes, where vertices of several edges would fall together.
                    let share = (inner_depth / (inner_depth - outer_depth)).clamp(0.02, 0.98);
                    let (from, to): ([f64; 3], [f64; 3]) = (place(inner), place(outer));
                    surface.vertices.push(std::array::from_fn(|axis| from[axis] + share * (to[axis] - from[axis])));
                    surface.vertices.len() as u32 - 1
                })
            };
            // The cuts in order around the inside.
            let cuts: Vec<u32> = match (&inside[..], &outside[..]) {
                ([a, b], [c, d]) => vec![cut(*a, *c), cut(*a, *d), cut(*b, *d), cut(*b, *c)],
                ([], _) | (_, []) => continue,
                (inside, outside) => {
                    inside.iter().flat_map(|&a| outside.iter().map(move |&b| (a, b))).map(|(a, b)| cut(a, b)).collect()
                }
            };
            surface.push_face(&cuts);
        }
    }
    surface
}
