//! NumPy's `.npy`: `\x93NUMPY`, a version, the length of a header, the header as a Python dictionary, the elements.
//!
//! Read here rather than by a crate: `npyz` allocates the length that a header claims before it looks at the file, and
//! its errors are texts that name neither the file nor what would be right.

use std::path::Path;

use super::labels::class_labels;
use super::npy_header::{Header, Kind};
use super::scaling::{pixels, to_network};
use super::{DataError, Dataset, Place, Scaling, read_file, shape_text};

/// Samples of shape `[...]` out of `[n, ...]` (`[1]` out of `[n]`), with the labels in `labels.npy` beside the file if
/// there are any.
pub(super) fn dataset(name: String, file: &Path) -> Result<Dataset, DataError> {
    let (shape, samples, scaling) = samples(file, &read_file(file)?)?;
    let mut data = Dataset { name, shape, samples, labels: None, classes: 0, conditions: None, scaling };
    let labels_file = file.with_file_name("labels.npy");
    if labels_file != file && labels_file.is_file() {
        let (labels, classes) = labels(&labels_file, &read_file(&labels_file)?)?;
        super::same_count(&labels_file, labels.len(), file, data.len())?;
        data.labels = Some(labels);
        data.classes = classes;
    }
    Ok(data)
}

fn samples(file: &Path, bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>, Scaling), DataError> {
    let array = Array::read(file, bytes)?;
    let shape = match array.header.shape.as_slice() {
        [] => return Err(DataError::NpyScalar { file: file.into() }),
        [0, ..] => return Err(DataError::NoSamples { file: file.into() }),
        [_] => vec![1],
        [_, shape @ ..] => shape.to_vec(),
    };
    let size = array.count / array.header.shape[0];
    if size == 0 {
        return Err(DataError::NoValues { file: file.into(), shape });
    }
    if array.header.kind == Kind::Unsigned && array.header.size == 1 {
        let bytes = (0..array.count).map(|i| array.bytes[array.offset(i)]);
        return Ok((shape, pixels(bytes), Scaling::IDENTITY));
    }
    let values = (0..array.count).map(|i| array.value(i));
    let (samples, scaling) = to_network(file, values, |i| Place::Element { sample: i / size, element: i % size })?;
    Ok((shape, samples, scaling))
}

fn labels(file: &Path, bytes: &[u8]) -> Result<(Vec<u32>, usize), DataError> {
    let array = Array::read(file, bytes)?;
    if array.header.kind == Kind::Float || array.header.shape.len() != 1 {
        return Err(DataError::NpyLabels {
            file: file.into(),
            dtype: array.header.dtype.clone(),
            shape: array.header.shape.clone(),
        });
    }
    let values = (0..array.count).map(|i| (Place::Sample(i), array.value(i)));
    class_labels(file, values)
}

pub(super) struct Array<'a> {
    header: Header,
    /// Product of the shape.
    count: usize,
    /// Exactly `count * header.size`.
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    pub(super) fn read(file: &Path, bytes: &'a [u8]) -> Result<Array<'a>, DataError> {
        let (header, body) = Header::read(file, bytes)?;
        let what = format!("{} of {}", shape_text(&header.shape), header.dtype);
        let header_bytes = bytes.len() - body.len();
        let sizes = super::product(&header.shape).and_then(|count| {
            let body = count.checked_mul(header.size)?;
            Some((count, body, body.checked_add(header_bytes)?))
        });
        let Some((count, promised_body, promised)) = sizes else {
            return Err(DataError::TooLarge { file: file.into(), what });
        };
        if body.len() < promised_body {
            return Err(DataError::Truncated {
                file: file.into(),
                what,
                promised: promised as u64,
                actual: bytes.len() as u64,
            });
        }
        if body.len() > promised_body {
            return Err(DataError::TrailingBytes { file: file.into(), what, promised: promised as u64 });
        }
        Ok(Array { header, count, bytes: body })
    }

    /// As the header says.
    pub(super) fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The elements in row-major order.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        (0..self.count).map(|i| self.value(i))
    }

    /// Where in `bytes` the i-th element in row-major order starts, for `i < count`.
    fn offset(&self, mut i: usize) -> usize {
        if !self.header.fortran {
            return i * self.header.size;
        }
        // Column-major: the first dimension runs fastest, so its neighbours are `stride` apart with stride 1.
        let mut stride = self.count;
        let mut position = 0;
        for &dimension in self.header.shape.iter().rev() {
            stride /= dimension;
            position += i % dimension * stride;
            i /= dimension;
        }
        position * self.header.size
    }

    /// The i-th element in row-major order, for `i < count`. Integers beyond 2^53 lose their last bits.
    fn value(&self, i: usize) -> f64 {
        let start = self.offset(i);
        let element = &self.bytes[start..start + self.header.size];
        let shift = |bits, &byte| bits << 8 | u64::from(byte);
        let bits =
            if self.header.big_endian { element.iter().fold(0, shift) } else { element.iter().rev().fold(0, shift) };
        match (self.header.kind, self.header.size) {
            (Kind::Float, 4) => f64::from(f32::from_bits(bits as u32)),
            (Kind::Float, _) => f64::from_bits(bits),
            (Kind::Unsigned, _) => bits as f64,
            (Kind::Signed, size) => {
                // Up to the top and back down, to repeat the sign.
                let unused = 64 - 8 * size as u32;
                ((bits << unused) as i64 >> unused) as f64
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use quickcheck::quickcheck;

    use super::*;

    pub(in super::super) fn npy(dictionary: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((dictionary.len() as u16).to_le_bytes());
        bytes.extend(dictionary.as_bytes());
        bytes.extend(body);
        bytes
    }

    pub(in super::super) fn array(dtype: &str, shape: &str, body: &[u8]) -> Vec<u8> {
        let dictionary = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}   \n");
        npy(&dictionary, body)
    }

    fn samples_of(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>, Scaling), DataError> {
        samples(Path::new("x.npy"), bytes)
    }

    fn message(bytes: &[u8]) -> String {
        samples_of(bytes).unwrap_err().to_string()
    }

    fn le(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn bytes_are_pixels() {
        let (shape, samples, scaling) = samples_of(&array("|u1", "(2, 1, 2)", &[0, 255, 51, 204])).unwrap();
        assert_eq!(shape, [1, 2]);
        assert_eq!(samples, [-1.0, 1.0, -0.6, 0.6]);
        assert_eq!(scaling, Scaling::IDENTITY);
    }

    // Every type holds -1, 0, 1 (0, 2, 4 if it has no sign) in its own bytes.
    #[test]
    fn every_type_and_byte_order_means_the_same_numbers() {
        macro_rules! bodies {
            ($($type:ty, $name:literal, $values:expr;)*) => {
                [$(
                    (format!("<{}", $name), $values.iter().flat_map(|&v| (v as $type).to_le_bytes()).collect::<Vec<u8>>()),
                    (format!(">{}", $name), $values.iter().flat_map(|&v| (v as $type).to_be_bytes()).collect()),
                )*]
            };
        }
        let (signed, unsigned) = ([-1i8, 0, 1], [0u8, 2, 4]);
        for (dtype, body) in bodies! {
            i8, "i1", signed; i16, "i2", signed; i32, "i4", signed; i64, "i8", signed;
            u16, "u2", unsigned; u32, "u4", unsigned; u64, "u8", unsigned;
            f32, "f4", signed; f64, "f8", signed;
        } {
            let (shape, samples, scaling) = samples_of(&array(&dtype, "(3,)", &body)).unwrap();
            assert_eq!(shape, [1], "{dtype}");
            assert_eq!(samples, [-1.0, 0.0, 1.0], "{dtype}");
            assert_eq!(scaling.to_units(-1.0), if dtype.contains('u') { 0.0 } else { -1.0 });
        }
    }

    #[test]
    fn column_major_arrays_are_put_in_order() {
        let dictionary = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 2), }";
        // Element [i, j, k] is 6 i + 2 j + k, written with i fastest and k slowest.
        let body = le(&[0., 6., 2., 8., 4., 10., 1., 7., 3., 9., 5., 11.]);
        let (shape, samples, scaling) = samples_of(&npy(dictionary, &body)).unwrap();
        assert_eq!(shape, [3, 2]);
        let back: Vec<f32> = samples.iter().map(|&v| scaling.to_units(v).round()).collect();
        assert_eq!(back, (0..12).map(|v| v as f32).collect::<Vec<_>>());
    }

    #[test]
    fn promises_are_checked_against_the_file() {
        let short = array("<f4", "(10, 8, 8)", &[0; 100]);
        let header = short.len() - 100;
        assert_eq!(
            message(&short),
            format!(
                "x.npy: the header promises 10x8x8 of <f4 ({} bytes), the file has {} bytes",
                header + 2560,
                header + 100
            )
        );
        assert!(matches!(samples_of(&array("<f4", "(1, 2)", &[0; 9])), Err(DataError::TrailingBytes { .. })));
        for shape in [
            "(4294967296, 4294967296)",
            "(18446744073709551615,)",
            "(4611686018427387904,)",
            "(0, 4294967296, 4294967296)",
        ] {
            let error = samples_of(&array("<f4", shape, &[])).unwrap_err();
            assert!(matches!(error, DataError::TooLarge { .. }), "{shape}: {error}");
        }
    }

    #[test]
    fn nothing_to_learn_from_is_refused() {
        assert!(matches!(samples_of(&array("<f4", "(0, 4)", &[])), Err(DataError::NoSamples { .. })));
        assert!(matches!(samples_of(&array("<f4", "(4, 0)", &[])), Err(DataError::NoValues { .. })));
        assert!(matches!(samples_of(&array("<f4", "()", &[0; 4])), Err(DataError::NpyScalar { .. })));
        assert!(matches!(samples_of(&array("<f4", "(2,)", &le(&[7.0, 7.0]))), Err(DataError::Constant { .. })));
    }

    #[test]
    fn values_that_are_no_numbers_are_placed() {
        let body = le(&[0.0, 0.0, 0.0, 0.0, 0.0, f32::NAN]);
        assert_eq!(
            message(&array("<f4", "(2, 3)", &body)),
            "x.npy: sample 1, element 2 (counted from 0) is NaN; every value must be finite"
        );
    }

    #[test]
    fn labels_are_a_list_of_integers() {
        let of = |bytes: &[u8]| labels(Path::new("labels.npy"), bytes);
        assert_eq!(of(&array("|u1", "(2,)", &[3, 0])).unwrap(), (vec![3, 0], 4));
        assert_eq!(of(&array(">i2", "(2,)", &[0, 3, 0, 0])).unwrap(), (vec![3, 0], 4));
        assert!(matches!(of(&array("<i2", "(1,)", &[255, 255])), Err(DataError::Label { label: -1.0, .. })));
        assert!(matches!(
            of(&array("<u2", "(1,)", &1000u16.to_le_bytes())),
            Err(DataError::Label { label: 1000.0, .. })
        ));
        assert_eq!(
            of(&array("<f4", "(1,)", &[0; 4])).unwrap_err().to_string(),
            "labels.npy: labels of dtype <f4 and shape [1]; expected integers of shape [n]"
        );
        assert!(matches!(of(&array("|u1", "(1, 1)", &[0])), Err(DataError::NpyLabels { .. })));
    }

    fn survives(bytes: &[u8]) -> bool {
        let _ = labels(Path::new("labels.npy"), bytes);
        samples_of(bytes)
            .map_or(true, |(shape, samples, _)| samples.len().is_multiple_of(shape.iter().product::<usize>()))
    }

    quickcheck! {
        fn any_bytes_are_an_array_or_an_error(bytes: Vec<u8>) -> bool {
            survives(&bytes) && survives(&[b"\x93NUMPY", bytes.as_slice()].concat())
        }

        fn any_shape_is_an_array_or_an_error(dtype: u8, fortran: bool, shape: Vec<u8>, body: Vec<u8>) -> bool {
            let dtype = ["|u1", "<i2", ">f4", "<f8", "|i1", "|O", "<f2", "<u3"][dtype as usize % 8];
            let shape: String = shape.iter().take(4).map(|d| format!("{}, ", d % 4)).collect();
            let fortran = if fortran { "True" } else { "False" };
            let dictionary = format!("{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': ({shape})}}");
            (0..body.len().min(40)).all(|end| survives(&npy(&dictionary, &body[..end])))
        }

        fn what_is_written_comes_back(values: Vec<(i8, i8)>) -> bool {
            let values: Vec<f32> = values.iter().flat_map(|&(a, b)| [f32::from(a) / 128.0, f32::from(b) / 128.0]).collect();
            match samples_of(&array("<f4", &format!("({}, 2)", values.len() / 2), &le(&values))) {
                Ok((shape, samples, scaling)) => shape == [2] && samples == values && scaling == Scaling::IDENTITY,
                Err(error) => values.is_empty() && matches!(error, DataError::NoSamples { .. }),
            }
        }
    }
}
