//! Samples as images of patches, and back.

use super::{TooShort, first_mut, halves, halves_mut};
use tweedie_core::artifact::Rearrange;

/// Numbers in another order: see [`Rearrange`]. `input` and `output` begin where the layer's do.
///
/// # Errors
/// [`TooShort`]; a layer of a parsed artifact has all it needs.
pub fn rearrange(layer: &Rearrange, input: &[u32], output: &mut [u32]) -> Result<(), TooShort> {
    let words = (layer.elements() as usize).div_ceil(2);
    let input = halves(super::first(input, words, "a layer's input")?);
    let output = halves_mut(first_mut(output, words, "a layer's output")?);
    let [rows, columns, side, channels] = [layer.rows, layer.columns, layer.side, layer.channels].map(usize::from);
    let (width, plane) = (columns * side, rows * columns * side * side);
    // In the order of the image: the sample's places come by rows of patches.
    let mut places = 0..rows * columns * side * side * channels;
    for top in (0..plane).step_by((width * side).max(1)) {
        for left in (0..width).step_by(side.max(1)) {
            for i in 0..side {
                for j in 0..side {
                    let pixel = top + i * width + left + j;
                    for (channel, place) in (0..channels).zip(&mut places) {
                        let of_sample = channel * plane + pixel;
                        let (from, to) = if layer.back { (place, of_sample) } else { (of_sample, place) };
                        if let (Some(&number), Some(place)) = (input.get(from), output.get_mut(to)) {
                            *place = number;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}
