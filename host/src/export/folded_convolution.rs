//! A convolution as the device sees it: patches, and a fully connected layer over each.

use super::folded::FoldedLinear;
use candle_core::{Device, Result, Tensor};
use tweedie_core::artifact::Convolution;

/// `output[y, x] <- linear(patch(y, x))`, with names as in [`Convolution`].
#[derive(Clone, Debug)]
pub struct FoldedConvolution {
    /// The buffer of the second source.
    pub second: Option<usize>,
    /// Channels of both sources.
    pub channels: [usize; 2],
    /// Whether a pixel of either stands for two by two of the input.
    pub doubled: [bool; 2],
    /// Rows and columns of the input.
    pub size: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Input pixels from one output pixel to the next.
    pub stride: usize,
    /// Zeros on every side.
    pub padding: usize,
    /// What is made of a patch; its weight is `[outputs, kernel^2 channels]`.
    pub linear: FoldedLinear,
}

impl FoldedConvolution {
    /// Numbers of a patch.
    pub fn inputs(&self) -> usize {
        self.kernel * self.kernel * self.channels.iter().sum::<usize>()
    }

    /// Rows and columns of the output.
    pub fn output_size(&self) -> [usize; 2] {
        self.size.map(|size| (size + 2 * self.padding - self.kernel) / self.stride + 1)
    }

    /// Pixels of the output.
    pub fn pixels(&self) -> usize {
        self.output_size().iter().product()
    }

    /// The patches, `[batch pixels, inputs]`, of sources `[batch, length]`.
    ///
    /// # Errors
    /// Whatever candle says.
    pub fn patches(&self, first: &Tensor, second: Option<&Tensor>) -> Result<Tensor> {
        let batch = first.dim(0)?;
        let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let sources = [flat(first)?, second.map(flat).transpose()?.unwrap_or_default()];
        let [height, width] = self.size;
        let [rows, columns] = self.output_size();
        let mut patches = Vec::with_capacity(batch * self.pixels() * self.inputs());
        for image in 0..batch {
            for pixel in 0..rows * columns {
                let (top, left) = (pixel / columns * self.stride, pixel % columns * self.stride);
                for tap in 0..self.kernel * self.kernel {
                    // Above or left of the image is far beyond it.
                    let y = (top + tap / self.kernel).wrapping_sub(self.padding);
                    let x = (left + tap % self.kernel).wrapping_sub(self.padding);
                    for ((source, &channels), &doubled) in sources.iter().zip(&self.channels).zip(&self.doubled) {
                        if y >= height || x >= width {
                            patches.extend(std::iter::repeat_n(0.0, channels));
                            continue;
                        }
                        let halving = usize::from(doubled) + 1;
                        let (own_height, own_width) = (height.div_ceil(halving), width.div_ceil(halving));
                        let place = (image * own_height + y / halving) * own_width + x / halving;
                        patches.extend_from_slice(&source[place * channels..][..channels]);
                    }
                }
            }
        }
        Tensor::from_vec(patches, (batch * self.pixels(), self.inputs()), &Device::Cpu)
    }

    /// Elements of the room that the device's kernel wants.
    pub fn room(&self) -> usize {
        Convolution::room(self.inputs() as u32, self.linear.bias.elem_count() as u32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::{Activation, convolution, join};
    use tweedie_core::noise::NoiseStream;

    fn normal(shape: impl Into<candle_core::Shape>, stream: u64) -> Tensor {
        let shape = shape.into();
        let mut values = vec![0.0_f32; shape.elem_count()];
        NoiseStream::new(5, stream).fill(0, &mut values);
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn patches_are_those_of_the_networks_convolution() {
        let (low, high) = (normal((2, 3, 2, 5), 0), normal((2, 6, 4, 3), 1));
        let (weight, bias) = (normal((7, 3, 3, 8), 2), normal(7, 3));
        for stride in [1, 2] {
            let exact = convolution(&join(&low, &high, 2).unwrap(), &weight, &bias, stride, Activation::None).unwrap();
            let linear = FoldedLinear::plain(&weight.reshape((7, 72)).unwrap(), &bias, Activation::None);
            let folded = FoldedConvolution {
                second: Some(1),
                channels: [5, 3],
                doubled: [true, false],
                size: [6, 4],
                kernel: 3,
                stride,
                padding: 1,
                linear,
            };
            let patches = folded.patches(&low, Some(&high)).unwrap();
            let found = crate::operators::linear(&patches, &folded.linear.weight, &bias, Activation::None).unwrap();
            let exact = exact.reshape((2 * folded.pixels(), 7)).unwrap();
            let error = (found - exact).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(error < 1e-4, "{error}");
        }
    }
}
