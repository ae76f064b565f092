//! Candle tensors under core's [`Tensor`](tweedie_core::Tensor) trait.

use crate::noise::NoiseRows;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape};
use tweedie_core::{NoiseSource, Tensor as CoreTensor, tensor::CoeffRange};

/// A candle tensor that a sampler can run on: f32, `[batch, features]`, on any device.
///
/// Candle tensors are reference-counted and never change; this one replaces its handle when an operation has succeeded, so an
/// error leaves it as it was.
#[derive(Clone, Debug)]
pub struct CandleTensor(pub candle_core::Tensor);

/// `keep self + sum_i c_i t_i` in one pass over memory, summed in f64 from left to right and rounded once.
struct Combine<'a> {
    keep: f64,
    terms: &'a [(f64, &'a CandleTensor)],
}

impl CustomOp1 for Combine<'_> {
    fn name(&self) -> &'static str {
        "combine"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(own), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("combine: the state must be contiguous f32");
        };
        let mut sums: Vec<f64> = own[start..end].iter().map(|&x| self.keep * f64::from(x)).collect();
        for (coeff, term) in self.terms {
            crate::operators::with_elements(&term.0, |term| {
                for (sum, &x) in sums.iter_mut().zip(term) {
                    *sum += coeff * f64::from(x);
                }
            })?;
        }
        Ok((CpuStorage::F32(sums.into_iter().map(|sum| sum as f32).collect()), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(candle_core::CudaStorage, Shape)> {
        let terms: Vec<_> = self.terms.iter().map(|(coeff, term)| (*coeff, &term.0)).collect();
        crate::cuda::combine(storage, layout, self.keep, &terms)
    }
}

/// Whether [`Combine`] has an implementation of its own for so many terms on a device.
fn is_fused(device: &Device, terms: usize) -> bool {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        return terms <= crate::cuda::MOST_TERMS;
    }
    let _ = terms;
    device.is_cpu()
}

/// The same of candle's own operators, rounded at each of them.
fn combine_by_operators(
    own: &candle_core::Tensor,
    keep: f64,
    terms: &[(f64, &CandleTensor)],
) -> candle_core::Result<candle_core::Tensor> {
    terms.iter().try_fold((own * keep)?, |sum, (coeff, term)| sum + (&term.0 * *coeff)?)
}

impl CoreTensor for CandleTensor {
    type Coeff = f64;
    type Error = candle_core::Error;

    fn coeff(value: f64) -> Result<f64, CoeffRange> {
        <[f32] as CoreTensor>::coeff(value)
    }

    fn combine(&mut self, keep: f64, terms: &[(f64, &Self)]) -> candle_core::Result<()> {
        for (_, term) in terms {
            if term.0.shape() != self.0.shape() {
                candle_core::bail!("combine: a tensor of shape {:?} met one of {:?}", self.0.shape(), term.0.shape());
            }
        }
        self.0 = if is_fused(self.0.device(), terms.len()) {
            self.0.apply_op1_no_bwd(&Combine { keep, terms })?
        } else {
            combine_by_operators(&self.0, keep, terms)?
        };
        Ok(())
    }

    fn clamp(&mut self, low: f64, high: f64) -> candle_core::Result<()> {
        self.0 = self.0.clamp(low, high)?;
        Ok(())
    }

    fn copy_from(&mut self, source: &Self) -> candle_core::Result<()> {
        if source.0.shape() != self.0.shape() {
            candle_core::bail!("copy: a tensor of shape {:?} met one of {:?}", self.0.shape(), source.0.shape());
        }
        self.0 = source.0.clone();
        Ok(())
    }
}

/// Core's noise for the rows of a batch: row `i` reads the stream of sample `first + i`, whatever the batch it is drawn in.
#[derive(Clone, Copy, Debug)]
pub struct BatchNoise {
    seed: u64,
    first: u64,
}

impl BatchNoise {
    /// Noise for samples `first ..` under a seed.
    pub fn new(seed: u64, first: u64) -> Self {
        Self { seed, first }
    }

    /// A draw for `rows` samples of `features` numbers each, `[rows, features]`.
    pub fn normal(
        &self,
        draw: u32,
        rows: usize,
        features: usize,
        device: &Device,
    ) -> candle_core::Result<candle_core::Tensor> {
        NoiseRows::of_streams(self.seed, self.first, draw).normal(rows, features, device)
    }
}

impl NoiseSource<CandleTensor> for BatchNoise {
    type Error = candle_core::Error;

    fn fill_normal(&mut self, draw: u32, out: &mut CandleTensor) -> candle_core::Result<()> {
        let (rows, features) = out.0.dims2()?;
        out.0 = self.normal(draw, rows, features, out.0.device())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie_core::noise::NoiseStream;

    fn tensor(values: &[f32]) -> CandleTensor {
        CandleTensor(candle_core::Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap())
    }

    fn values(tensor: &CandleTensor) -> Vec<f32> {
        tensor.0.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn combines_as_the_reference_does() {
        let (x, a, b) = ([0.1_f32, -2.0, 3.5], [1.0_f32, 0.3, -0.7], [0.25_f32, 9.0, 1e-3]);
        let mut reference = x;
        reference[..].combine(0.3, &[(-1.7, &a[..]), (0.9, &b[..])]).unwrap();
        let mut candle = tensor(&x);
        candle.combine(0.3, &[(-1.7, &tensor(&a)), (0.9, &tensor(&b))]).unwrap();
        assert_eq!(values(&candle), reference);
        let (a, b) = (tensor(&a), tensor(&b));
        let plain = combine_by_operators(&tensor(&x).0, 0.3, &[(-1.7, &a), (0.9, &b)]).unwrap();
        for (plain, reference) in values(&CandleTensor(plain)).iter().zip(&reference) {
            assert!((plain - reference).abs() < 1e-6 * (1.0 + reference.abs()), "{plain} for {reference}");
        }
    }

    #[test]
    fn an_error_leaves_the_tensor_unchanged() {
        let mut x = tensor(&[1.0, 2.0]);
        assert!(x.combine(0.5, &[(1.0, &tensor(&[1.0, 2.0, 3.0]))]).is_err());
        assert!(x.copy_from(&tensor(&[1.0])).is_err());
        assert_eq!(values(&x), [1.0, 2.0]);
        x.clamp(0.0, 1.5).unwrap();
        assert_eq!(values(&x), [1.0, 1.5]);
    }

    #[test]
    fn rows_do_not_depend_on_their_batch() {
        let all = BatchNoise::new(5, 0).normal(2, 4, 6, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        let late = BatchNoise::new(5, 3).normal(2, 1, 6, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(all[3], late[0]);
        let mut own = [0.0_f32; 6];
        NoiseStream::new(5, 3).fill(2, &mut own);
        assert_eq!(late[0], own);
    }
}
