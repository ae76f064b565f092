//! Attention (Vaswani et al. 2017, section 3.2) between the tokens of a sample.

use super::contiguous;
use super::linear::with_elements;
use super::matmul::{Matrix, MatrixMut, product};
use super::precision::{is_fused, is_half, widened};
use super::vectorised;
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// `softmax(Q K^T / sqrt(width / heads)) V` in each head: `qkv` is `[batch, tokens, 3 width]`, for every token its queries, keys and values, in
/// each of which the heads follow one another; `[batch, tokens, width]` results.
///
/// # Errors
/// A width that the heads do not divide, or an operand that is neither `f32` nor of a half type, which the result has as well.
pub fn attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    if qkv.device().is_cpu() && is_half(qkv) {
        return attention(&widened(qkv)?, heads)?.to_dtype(qkv.dtype());
    }
    if is_fused(qkv) {
        return qkv.contiguous()?.apply_op1(Attention { heads, shares: OnceLock::new() });
    }
    by_operators(qkv, heads)
}

/// The same of candle's own operators, for other devices and types.
pub(super) fn by_operators(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, tokens, triple) = qkv.dims3()?;
    let depth = triple / 3 / heads;
    let split = qkv.reshape((batch, tokens, 3, heads, depth))?.permute((2, 0, 3, 1, 4))?;
    let part = |index: usize| split.get(index)?.contiguous();
    let scores = (widened(&part(0)?.matmul(&part(1)?.t()?.contiguous()?)?)? / (depth as f64).sqrt())?;
    let exponentials = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let shares = exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)?.to_dtype(qkv.dtype())?;
    shares.matmul(&part(2)?)?.transpose(1, 2)?.reshape((batch, tokens, heads * depth))
}

struct Attention {
    heads: usize,
    /// The softmax, `[batch, heads, tokens, tokens]`, kept for the backward pass.
    shares: OnceLock<Vec<f32>>,
}

/// The sizes of an operand that fits.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    tokens: usize,
    heads: usize,
    depth: usize,
}

/// Which of a token's three vectors.
const QUERY: usize = 0;
const KEY: usize = 1;
const VALUE: usize = 2;

impl Sizes {
    fn of(qkv: &Shape, heads: usize) -> Result<Self> {
        let (batch, tokens, triple) = qkv.dims3()?;
        if heads == 0 || triple % (3 * heads) != 0 {
            candle_core::bail!("attention: {heads} heads do not divide queries, keys and values of {triple} together");
        }
        Ok(Self { batch, tokens, heads, depth: triple / 3 / heads })
    }

    fn width(&self) -> usize {
        self.heads * self.depth
    }

    fn scale(&self) -> f32 {
        1.0 / (self.depth as f32).sqrt()
    }

    /// The column of a sample's `[tokens, 3 width]` where a head's vectors begin.
    fn column(&self, which: usize, head: usize) -> usize {
        which * self.width() + head * self.depth
    }

    /// The vectors of one head, `[tokens, depth]`, of a sample's `[tokens, 3 width]`.
    fn vectors<'a>(&self, qkv: &'a [f32], which: usize, head: usize) -> Matrix<'a> {
        Matrix::new(qkv, self.tokens, 3 * self.width()).columns(self.column(which, head), self.depth)
    }

    /// The same to be written.
    fn vectors_mut<'a>(&self, qkv: &'a mut [f32], which: usize, head: usize) -> MatrixMut<'a> {
        MatrixMut::new(qkv, self.tokens, 3 * self.width()).columns(self.column(which, head), self.depth)
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(layout.shape(), self.heads)?;
        let Sizes { batch, tokens, heads, depth } = sizes;
        let qkv = contiguous(qkv, layout)?;
        let mut out = vec![0.0; batch * tokens * sizes.width()];
        let mut shares = vec![0.0; batch * heads * tokens * tokens];
        let samples = qkv.chunks_exact(tokens * 3 * sizes.width()).zip(out.chunks_exact_mut(tokens * sizes.width()));
        for ((qkv, out), shares) in samples.zip(shares.chunks_exact_mut(heads * tokens * tokens)) {
            for (head, shares) in shares.chunks_exact_mut(tokens * tokens).enumerate() {
                let keys = sizes.vectors(qkv, KEY, head).transposed();
                product(MatrixMut::new(shares, tokens, tokens), false, sizes.vectors(qkv, QUERY, head), keys);
                vectorised::softmax(shares, tokens, sizes.scale());
                let out = MatrixMut::new(out, tokens, sizes.width()).columns(head * depth, depth);
                product(out, false, Matrix::new(shares, tokens, tokens), sizes.vectors(qkv, VALUE, head));
            }
        }
        // A fresh operator is made for every call, so the cell is empty here.
        let _ = self.shares.set(shares);
        Ok((CpuStorage::F32(out), (batch, tokens, sizes.width()).into()))
    }

    fn bwd(&self, qkv: &Tensor, _out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let sizes = Sizes::of(qkv.shape(), self.heads)?;
        let mut grad_qkv = vec![0.0; qkv.elem_count()];
        let shares = self.shares.get().map(Vec::as_slice).unwrap_or_default();
        with_elements(qkv, |qkv| {
            with_elements(&grad.contiguous()?, |grad| sizes.backward(qkv, shares, grad, &mut grad_qkv))
        })??;
        Ok(Some(Tensor::from_vec(grad_qkv, qkv.shape(), qkv.device())?))
    }
}

impl Sizes {
    /// With `P` the softmax and `S` its operand: `dV = P^T dO`, `dP = dO V^T`, `dS = P (dP - rows of sum(P dP))`, `dQ = dS K`, `dK = dS^T Q`.
    fn backward(&self, qkv: &[f32], shares: &[f32], grad: &[f32], grad_qkv: &mut [f32]) {
        let Self { tokens, heads, depth, .. } = *self;
        let (length, square) = (tokens * self.width(), tokens * tokens);
        let mut slope = vec![0.0; square];
        let samples = qkv.chunks_exact(3 * length).zip(grad.chunks_exact(length));
        let samples = samples.zip(grad_qkv.chunks_exact_mut(3 * length)).zip(shares.chunks_exact(heads * square));
        for (((qkv, grad), grad_qkv), shares) in samples {
            for (head, shares) in shares.chunks_exact(square).enumerate() {
                let grad = Matrix::new(grad, tokens, self.width()).columns(head * depth, depth);
                let own = Matrix::new(shares, tokens, tokens);
                product(self.vectors_mut(grad_qkv, VALUE, head), false, own.transposed(), grad);
                let values = self.vectors(qkv, VALUE, head).transposed();
                product(MatrixMut::new(&mut slope, tokens, tokens), false, grad, values);
                vectorised::softmax_backward(shares, &mut slope, tokens, self.scale());
                let slope = Matrix::new(&slope, tokens, tokens);
                product(self.vectors_mut(grad_qkv, QUERY, head), false, slope, self.vectors(qkv, KEY, head));
                let queries = self.vectors(qkv, QUERY, head);
                product(self.vectors_mut(grad_qkv, KEY, head), false, slope.transposed(), queries);
            }
        }
    }
}
