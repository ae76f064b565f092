//! The embedded solid: a cow, made of bones with round flesh on them. Our own work, so nobody's licence comes with it.
//!
//! `x` points to the head, `y` up, `z` to its right, in units of about a metre.

use super::Surface;
use super::marching::surface_of;

/// A straight bone from one place to another, in flesh whose radius goes evenly from one value to another.
struct Bone {
    from: [f64; 3],
    to: [f64; 3],
    radii: [f64; 2],
}

const fn bone(from: [f64; 3], to: [f64; 3], radii: [f64; 2]) -> Bone {
    Bone { from, to, radii }
}

/// Those in the middle.
const MIDDLE: [Bone; 7] = [
    // Trunk and belly, neck, head, tail and its tuft, udder.
    bone([-0.62, 0.18, 0.0], [0.38, 0.2, 0.0], [0.3, 0.29]),
    bone([-0.35, 0.04, 0.0], [0.15, 0.05, 0.0], [0.27, 0.27]),
    bone([0.45, 0.3, 0.0], [0.82, 0.56, 0.0], [0.22, 0.16]),
    bone([0.82, 0.56, 0.0], [1.12, 0.38, 0.0], [0.17, 0.12]),
    bone([-0.9, 0.38, 0.0], [-1.04, -0.2, 0.0], [0.055, 0.045]),
    bone([-1.04, -0.2, 0.0], [-1.05, -0.34, 0.0], [0.07, 0.07]),
    bone([-0.45, -0.2, 0.0], [-0.45, -0.26, 0.0], [0.14, 0.12]),
];

/// Those on the right side, which the left side mirrors.
const RIGHT: [Bone; 6] = [
    // Fore leg and hoof, hind leg and hoof, horn, ear.
    bone([0.36, 0.0, 0.16], [0.38, -0.66, 0.16], [0.12, 0.075]),
    bone([0.38, -0.66, 0.16], [0.4, -0.7, 0.16], [0.09, 0.09]),
    bone([-0.66, 0.05, 0.16], [-0.72, -0.66, 0.16], [0.15, 0.075]),
    bone([-0.72, -0.66, 0.16], [-0.7, -0.7, 0.16], [0.09, 0.09]),
    bone([0.8, 0.68, 0.09], [0.84, 0.92, 0.2], [0.06, 0.04]),
    bone([0.74, 0.6, 0.14], [0.7, 0.58, 0.34], [0.06, 0.06]),
];

/// How far the flesh of two bones flows together.
const BLEND: f64 = 0.06;
/// The width of the cells in which the surface is found.
const CELL: f64 = 0.04;
/// A box with the cow in it.
const LOW: [f64; 3] = [-1.2, -0.86, -0.46];
const HIGH: [f64; 3] = [1.32, 1.04, 0.46];

/// The cow's skin.
pub(super) fn surface() -> Surface {
    surface_of(depth, LOW, HIGH, CELL)
}

/// Below 0 inside, and about the distance to the skin near it.
fn depth([x, y, z]: [f64; 3]) -> f64 {
    // The right side at either side's distance from the middle.
    let (middle, right) = (MIDDLE.iter(), RIGHT.iter());
    middle.chain(right).map(|bone| bone.depth([x, y, z.abs()])).fold(f64::INFINITY, blended)
}

impl Bone {
    fn depth(&self, place: [f64; 3]) -> f64 {
        let along: [f64; 3] = std::array::from_fn(|axis| self.to[axis] - self.from[axis]);
        let from: [f64; 3] = std::array::from_fn(|axis| place[axis] - self.from[axis]);
        let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let share = (dot(from, along) / dot(along, along)).clamp(0.0, 1.0);
        let off: [f64; 3] = std::array::from_fn(|axis| from[axis] - share * along[axis]);
        dot(off, off).sqrt() - (self.radii[0] + share * (self.radii[1] - self.radii[0]))
    }
}

/// The smaller of two depths, rounded off where they are about equal: the polynomial smooth minimum of I. Quilez.
fn blended(a: f64, b: f64) -> f64 {
    if a.is_infinite() {
        return b;
    }
    let near = (BLEND - (a - b).abs()).max(0.0) / BLEND;
    a.min(b) - near * near * BLEND / 4.0
}
