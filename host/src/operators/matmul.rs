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

    /// The `count` columns from `first` on, of a matrix that is not transposed.
    pub fn columns(self, first: usize, count: usize) -> Self {
        assert!(self.column_stride == 1 && first + count <= self.columns, "columns {first} and {count} more");
        Self { data: &self.data[first..], columns: count, ..self }
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

/// A matrix to be written: row-major, and maybe only some columns of a wider one.
pub struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// A row-major matrix; `data` holds exactly `rows * columns` elements.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "a matrix of {rows} x {columns}");
        Self { data, rows, columns, row_stride: columns }
    }

    /// The `count` columns from `first` on.
    pub fn columns(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.columns, "columns {first} and {count} more of {}", self.columns);
        Self { data: &mut self.data[first..], columns: count, ..self }
    }
}

/// `out <- left right`, or `out <- out + left right`; `out` is row-major.
pub fn matmul(out: &mut [f32], accumulate: bool, left: Matrix<'_>, right: Matrix<'_>) {
    product(MatrixMut::new(out, left.rows, right.columns), accumulate, left, right);
}

/// `out <- left right`, or `out <- out + left right`.
///
/// Inside a worker thread the batch has been split already, and the product stays on that thread.
#[allow(unsafe_code)]
pub fn product(out: MatrixMut<'_>, accumulate: bool, left: Matrix<'_>, right: Matrix<'_>) {
    assert_eq!(left.columns, right.rows, "inner dimensions");
    assert_eq!((out.rows, out.columns), (left.rows, right.columns), "the product's size");
    let parallelism = match rayon::current_thread_index() {
        Some(_) => gemm::Parallelism::None,
        None => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: the constructors checked that each slice holds every element of its matrix, and `columns` that its choice lies within:
    // the slice's end is that of the whole matrix. `out`, being borrowed mutably, overlaps neither operand.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            out.data.as_mut_ptr(),
            1,
            out.row_stride as isize,
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

    #[test]
    fn products_of_some_columns() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
        let mut out = [-1.0; 6];
        let (left, right) = (Matrix::new(&a, 2, 3).columns(1, 2), Matrix::new(&b, 2, 3).columns(1, 2));
        product(MatrixMut::new(&mut out, 2, 3).columns(0, 2), false, left, right);
        assert_eq!(
            out,
            [
                2.0 * 8.0 + 3.0 * 11.0,
                2.0 * 9.0 + 3.0 * 12.0,
                -1.0,
                5.0 * 8.0 + 6.0 * 11.0,
                5.0 * 9.0 + 6.0 * 12.0,
                -1.0
            ]
        );
    }
}
