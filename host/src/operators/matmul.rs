//! Matrix products on slices, by the `gemm` crate that candle itself uses.

/// A matrix of `rows x columns` in a slice, row-major or (transposed) column-major.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix; `data` holds exactly `rows * columns` elements.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "a matrix of {rows} x {columns}");
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The same elements seen as the transposed matrix.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `out <- left right`, or `out <- out + left right`; `out` is row-major.
///
/// Inside a worker thread the batch has been split already, and the product stays on that thread.
#[allow(unsafe_code)]
pub fn matmul(out: &mut [f32], accumulate: bool, left: Matrix<'_>, right: Matrix<'_>) {
    assert_eq!(left.columns, right.rows, "inner dimensions");
    assert_eq!(out.len(), left.rows * right.columns, "the product's size");
    let parallelism = match rayon::current_thread_index() {
        Some(_) => gemm::Parallelism::None,
        None => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: `Matrix::new` checked that each slice holds rows * columns elements, of which every (row, column) pair under
    // the two strides is one; `out` was checked above and, being borrowed mutably, overlaps neither operand.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            out.as_mut_ptr(),
            1,
            right.columns as isize,
            accumulate,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_all_four_layouts() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
        let mut out = [0.0; 4];
        matmul(&mut out, false, Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2));
        assert_eq!(out, [58.0, 64.0, 139.0, 154.0]);
        matmul(&mut out, true, Matrix::new(&a, 2, 3), Matrix::new(&b, 2, 3).transposed());
        assert_eq!(out, [58.0 + 50.0, 64.0 + 68.0, 139.0 + 122.0, 154.0 + 167.0]);
        matmul(&mut out, false, Matrix::new(&a, 3, 2).transposed(), Matrix::new(&b, 3, 2));
        assert_eq!(out, [89.0, 98.0, 116.0, 128.0]);
        matmul(&mut out, false, Matrix::new(&a, 3, 2).transposed(), Matrix::new(&b, 2, 3).transposed());
        assert_eq!(out, [76.0, 103.0, 100.0, 136.0]);
    }
}
