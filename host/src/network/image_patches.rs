//! Samples as images of patches, and back: a square of pixels becomes one pixel of many channels.

use crate::error::Error;
#[cfg(feature = "wgpu")]
use crate::gpu::recorder::{Recorder, Value};
use crate::operators::rearrange;
use candle_core::{Result, Tensor};
use std::sync::Arc;

/// How samples `[height, width]` or `[channels, height, width]` are cut into square patches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePatches {
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub columns: usize,
    /// Pixels along a patch.
    pub side: usize,
    /// Numbers of a patch: its pixels row by row, all channels of each.
    pub channels: usize,
    /// For each number of the patches its place in the sample.
    to_patches: Arc<[u32]>,
    /// The way back.
    to_sample: Arc<[u32]>,
}

impl ImagePatches {
    /// Patches of `side x side` pixels of samples of a shape; `divisor` must divide the numbers of patches, as networks that halve images need it.
    ///
    /// # Errors
    /// [`Error::Argument`] for samples that are no images, or of sizes that do not divide.
    pub fn new(shape: &[usize], side: usize, divisor: usize) -> std::result::Result<Self, Error> {
        let (channels, height, width) = match *shape {
            [height, width] if height > 1 => (1, height, width),
            [channels, height, width] => (channels, height, width),
            _ => {
                return Err(Error::Argument(format!(
                    "this network needs images, [height, width] or [channels, height, width], and the samples are of shape {shape:?}; choose another network.kind"
                )));
            }
        };
        let multiple = side * divisor;
        if height % multiple != 0 || width % multiple != 0 {
            return Err(Error::Argument(format!(
                "images of {height}x{width} do not divide into squares of {multiple} pixels, as network.patch = {side} and the network's halvings need; choose a smaller network.patch or network.levels"
            )));
        }
        let (rows, columns) = (height / side, width / side);
        let mut to_patches = Vec::with_capacity(channels * height * width);
        for patch in 0..rows * columns {
            let (top, left) = (patch / columns * side, patch % columns * side);
            for pixel in 0..side * side {
                let place = (top + pixel / side) * width + left + pixel % side;
                to_patches.extend((0..channels).map(|channel| (channel * height * width + place) as u32));
            }
        }
        let mut to_sample = vec![0; to_patches.len()];
        for (place, &from) in to_patches.iter().enumerate() {
            to_sample[from as usize] = place as u32;
        }
        let (to_patches, to_sample) = (to_patches.into(), to_sample.into());
        Ok(Self { rows, columns, side, channels: channels * side * side, to_patches, to_sample })
    }

    /// How many patches a sample has.
    pub fn count(&self) -> usize {
        self.rows * self.columns
    }

    /// Samples `[batch, features]` as `[batch, rows, columns, channels]`.
    ///
    /// # Errors
    /// Samples of another size.
    pub fn cut(&self, samples: &Tensor) -> Result<Tensor> {
        rearrange(samples, &self.to_patches)?.reshape(((), self.rows, self.columns, self.channels))
    }

    /// Patches `[batch, rows, columns, channels]`, in any shape of as many numbers, as samples `[batch, features]`.
    ///
    /// # Errors
    /// Patches of another size.
    pub fn assemble(&self, patches: &Tensor) -> Result<Tensor> {
        rearrange(&patches.reshape(((), self.to_sample.len()))?, &self.to_sample)
    }

    /// [`cut`](Self::cut) on a GPU: the states over their norm.
    #[cfg(feature = "wgpu")]
    pub(super) fn record_cut(&self, recorder: &mut Recorder<'_, '_>) -> std::result::Result<Value, Error> {
        Ok(recorder.input(self.to_patches.len(), Some(&self.to_patches))?.in_pixels(self.count()))
    }

    /// [`assemble`](Self::assemble) on a GPU: the prediction.
    #[cfg(feature = "wgpu")]
    pub(super) fn record_assemble(
        &self,
        recorder: &mut Recorder<'_, '_>,
        patches: &Value,
    ) -> std::result::Result<(), Error> {
        recorder.output(patches, Some(&self.to_sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn two_channels_in_patches_of_four_pixels() {
        let patches = ImagePatches::new(&[2, 2, 4], 2, 1).unwrap();
        assert_eq!((patches.rows, patches.columns, patches.channels), (1, 2, 8));
        let sample: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let sample = Tensor::from_vec(sample, (1, 16), &Device::Cpu).unwrap();
        let cut = patches.cut(&sample).unwrap();
        let second = cut.get(0).unwrap().get(0).unwrap().get(1).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(second, [2.0, 10.0, 3.0, 11.0, 6.0, 14.0, 7.0, 15.0]);
        let back = patches.assemble(&cut).unwrap();
        assert_eq!(back.to_vec2::<f32>().unwrap(), sample.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn what_does_not_divide_is_one_sentence() {
        let sentence = |shape: &[usize], divisor| ImagePatches::new(shape, 2, divisor).unwrap_err().to_string();
        assert!(sentence(&[64], 1).contains("shape [64]"));
        assert!(sentence(&[1, 28], 1).contains("shape [1, 28]"));
        assert!(sentence(&[28, 30], 4).contains("28x30 do not divide into squares of 8"));
        assert!(ImagePatches::new(&[28, 28], 2, 2).is_ok());
    }
}
