//! Core's noise as tensors, with the same bits on every device.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;
use tweedie_core::noise::NoiseStream;

/// Which numbers: row `i` is draw `draw + i draw_step` of stream `stream + i stream_step` under a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseRows {
    /// The seed.
    pub seed: u64,
    /// The first row's stream.
    pub stream: u64,
    /// From one row's stream to the next one's.
    pub stream_step: u64,
    /// The first row's draw.
    pub draw: u32,
    /// From one row's draw to the next one's.
    pub draw_step: u32,
}

impl NoiseRows {
    /// Draw `draw` of the streams `first ..`, one for each row.
    pub fn of_streams(seed: u64, first: u64, draw: u32) -> Self {
        Self { seed, stream: first, stream_step: 1, draw, draw_step: 0 }
    }

    /// The draws `first ..` of one stream, one for each row.
    pub fn of_draws(seed: u64, stream: u64, first: u32) -> Self {
        Self { seed, stream, stream_step: 0, draw: first, draw_step: 1 }
    }

    /// The numbers, `[rows, features]`: on an NVIDIA GPU a kernel makes them there, elsewhere the CPU does and uploads them.
    ///
    /// # Errors
    /// The tensor library's.
    pub fn normal(&self, rows: usize, features: usize, device: &Device) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(gpu) = device {
            return crate::cuda::normal_noise(gpu, self, rows, features);
        }
        let mut values = vec![0.0_f32; rows * features];
        values.par_chunks_mut(features.max(1)).enumerate().for_each(|(row, out)| {
            let stream = self.stream.wrapping_add((row as u64).wrapping_mul(self.stream_step));
            let draw = self.draw.wrapping_add((row as u32).wrapping_mul(self.draw_step));
            NoiseStream::new(self.seed, stream).fill(draw, out);
        });
        Tensor::from_vec(values, (rows, features), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_streams_or_draws() {
        let own = |stream: u64, draw: u32| {
            let mut row = [0.0_f32; 6];
            NoiseStream::new(5, stream).fill(draw, &mut row);
            row
        };
        let rows = |noise: NoiseRows| noise.normal(3, 6, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows(NoiseRows::of_streams(5, 7, 2)), [own(7, 2), own(8, 2), own(9, 2)]);
        assert_eq!(rows(NoiseRows::of_draws(5, 7, 2)), [own(7, 2), own(7, 3), own(7, 4)]);
    }
}
