//! Arrays as NumPy's `.npy` files, format 1.0: little endian, C order, so that `numpy.load` reads samples and weights.
//!
//! The format: the magic bytes `\x93NUMPY`, the version `1 0`, the length of the header as `u16`, a Python dictionary
//! that is padded with spaces so that the data begin at a multiple of 64 bytes, the data.

use std::io::{self, Write};
use std::path::Path;

use crate::atomic_file;

/// Writes `data` as 32-bit floats of shape `shape` (row-major; an empty shape is one number).
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if `data` has not as many elements as `shape` says; otherwise as
/// [`atomic_file::write_with`].
///
/// # Example
/// ```
/// # let path = std::env::temp_dir().join(format!("tweedie-doc-{}.npy", std::process::id()));
/// tweedie_host::npy::write_f32(&path, &[2, 3], &[0.0, 0.1, 0.2, 1.0, 1.1, 1.2])?;
/// assert_eq!(std::fs::metadata(&path)?.len(), 128 + 6 * 4);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write_f32(path: &Path, shape: &[usize], data: &[f32]) -> io::Result<()> {
    write(path, "<f4", shape, data.iter().map(|value| value.to_le_bytes()))
}

/// Writes `data` as 64-bit integers of shape `shape` (row-major).
///
/// # Errors
/// As [`write_f32`].
pub fn write_i64(path: &Path, shape: &[usize], data: &[i64]) -> io::Result<()> {
    write(path, "<i8", shape, data.iter().map(|value| value.to_le_bytes()))
}

/// Writes `data` as 16-bit integers of shape `shape` (row-major).
///
/// # Errors
/// As [`write_f32`].
pub fn write_i16(path: &Path, shape: &[usize], data: &[i16]) -> io::Result<()> {
    write(path, "<i2", shape, data.iter().map(|value| value.to_le_bytes()))
}

fn write<const BYTES: usize>(
    path: &Path,
    descr: &str,
    shape: &[usize],
    elements: impl ExactSizeIterator<Item = [u8; BYTES]>,
) -> io::Result<()> {
    let expected = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    if expected != Some(elements.len()) {
        let message = format!("shape {shape:?} does not hold {} elements", elements.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let header = header(descr, shape)?;
    atomic_file::write_with(path, |file| {
        file.write_all(&header)?;
        for element in elements {
            file.write_all(&element)?;
        }
        Ok(())
    })
}

/// Everything in front of the data.
fn header(descr: &str, shape: &[usize]) -> io::Result<Vec<u8>> {
    const PREAMBLE: usize = 10;
    // As Python writes tuples: `()`, `(2,)`, `(2, 3)`.
    let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let shape = format!("({}{comma})", lengths.join(", "));
    let dictionary = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");

    let total = (PREAMBLE + dictionary.len() + 1).next_multiple_of(64);
    let length = u16::try_from(total - PREAMBLE)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "more dimensions than format 1.0 has room for"))?;
    let mut header = Vec::with_capacity(total);
    header.extend_from_slice(b"\x93NUMPY\x01\x00");
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(dictionary.as_bytes());
    header.resize(total - 1, b' ');
    header.push(b'\n');
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn bytes_are_those_of_numpy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_f32(&path, &[2, 1], &[1.0, -2.5]).unwrap();
        // numpy.save(path, numpy.array([[1.0], [-2.5]], "<f4"))
        let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        expected.extend_from_slice(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }");
        expected.extend_from_slice(&[b' '; 58]);
        expected.extend_from_slice(b"\n\x00\x00\x80\x3f\x00\x00\x20\xc0");
        assert_eq!(fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn integers_are_little_endian() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_i16(&path, &[2], &[-2, 0x0102]).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes[10..].starts_with(b"{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }"));
        assert_eq!(bytes[128..], [0xfe, 0xff, 0x02, 0x01]);
        write_i64(&path, &[], &[-3]).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes[10..].starts_with(b"{'descr': '<i8', 'fortran_order': False, 'shape': (), }"));
        assert_eq!(bytes[128..], [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn data_begin_at_a_multiple_of_64_bytes() {
        for dimensions in 0..40 {
            let header = header("<f4", &vec![1; dimensions]).unwrap();
            assert_eq!(header.len() % 64, 0);
            assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])) + 10, header.len());
            assert_eq!(header.last(), Some(&b'\n'));
        }
        assert!(header("<f4", &[1; 40_000]).is_err());
    }

    #[test]
    fn a_shape_that_does_not_fit_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        for shape in [&[3][..], &[], &[usize::MAX, 2]] {
            assert_eq!(write_f32(&path, shape, &[0.0, 1.0]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert!(!path.exists());
        write_f32(&path, &[0, 5], &[]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 128);
    }
}
