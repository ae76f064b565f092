//! IDX files, the format of MNIST and its relatives: `00 00 type dimensions`, big-endian sizes, then the elements.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::labels::class_labels;
use super::scaling::pixels;
use super::{DataError, Dataset, Place, Scaling, read_file, shape_text};

const UNSIGNED_BYTES: u8 = 0x08;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Gzip can turn one byte into about 1000, images become 5 to 30 times smaller. Anything beyond this ratio (and a
/// size that doesn't matter) is refused before a byte of it is inflated.
const MOST_INFLATION: u64 = 256;
const HARMLESS_BYTES: u64 = 1 << 20;

/// The images of a folder that's laid out as MNIST is, if there are any.
pub(super) fn images_in(folder: &Path) -> Option<PathBuf> {
    first_of(folder, "train-images", "idx3-ubyte")
}

/// The labels that belong to a file of images, by its name: `train-images-idx3-ubyte` has `train-labels-idx1-ubyte`.
fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let (stem, _) = name.split_once("images")?;
    first_of(images.parent()?, &format!("{stem}labels"), "idx1-ubyte")
}

/// The first that exists of `stem-kind`, `stem.kind` and either with `.gz`.
fn first_of(folder: &Path, stem: &str, kind: &str) -> Option<PathBuf> {
    ["", ".gz"]
        .iter()
        .flat_map(|gz| ["-", "."].map(|dot| folder.join(format!("{stem}{dot}{kind}{gz}"))))
        .find(|path| path.is_file())
}

/// Samples of the shape that the header gives, pixels as `v / 127.5 - 1`, with the labels beside the file if any.
pub(super) fn dataset(name: String, file: &Path) -> Result<Dataset, DataError> {
    let (shape, samples) = images(file, &read_file(file)?)?;
    let mut data =
        Dataset { name, shape, samples, labels: None, classes: 0, conditions: None, scaling: Scaling::IDENTITY };
    if let Some(labels_file) = labels_beside(file) {
        let (labels, classes) = labels(&labels_file, &read_file(&labels_file)?)?;
        super::same_count(&labels_file, labels.len(), file, data.len())?;
        data.labels = Some(labels);
        data.classes = classes;
    }
    Ok(data)
}

fn images(file: &Path, bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>), DataError> {
    let array = read(file, bytes)?;
    let [count, shape @ ..] = array.dimensions.as_slice() else {
        return Err(dimensions(file, 0, IMAGES));
    };
    if shape.is_empty() {
        return Err(dimensions(file, 1, IMAGES));
    }
    if *count == 0 {
        return Err(DataError::NoSamples { file: file.into() });
    }
    if array.elements.is_empty() {
        return Err(DataError::NoValues { file: file.into(), shape: shape.to_vec() });
    }
    Ok((shape.to_vec(), pixels(array.elements.iter().copied())))
}

fn labels(file: &Path, bytes: &[u8]) -> Result<(Vec<u32>, usize), DataError> {
    let array = read(file, bytes)?;
    if array.dimensions.len() != 1 {
        return Err(dimensions(file, array.dimensions.len(), LABELS));
    }
    let labels = array.elements.iter().map(|&label| f64::from(label));
    class_labels(file, (0..).map(Place::Sample).zip(labels))
}

const IMAGES: &str = "as labels do; images have at least 2, the first of which counts them";
const LABELS: &str = "labels have 1";

fn dimensions(file: &Path, dimensions: usize, expected: &'static str) -> DataError {
    DataError::IdxDimensions { file: file.into(), dimensions, expected }
}

struct Array<'a> {
    dimensions: Vec<usize>,
    /// As many as the product of the dimensions.
    elements: Cow<'a, [u8]>,
}

fn read<'a>(file: &Path, bytes: &'a [u8]) -> Result<Array<'a>, DataError> {
    // By content and not by name: browsers and tools drop or keep `.gz` as they like.
    if bytes.starts_with(&GZIP_MAGIC) {
        return read_compressed(file, bytes);
    }
    let mut rest = bytes;
    let header = Header::read(file, &mut rest)?;
    let present = rest.len() as u64;
    header.check_present(file, present)?;
    Ok(Array { dimensions: header.dimensions, elements: rest.into() })
}

fn read_compressed(file: &Path, bytes: &[u8]) -> Result<Array<'static>, DataError> {
    let mut reader = MultiGzDecoder::new(bytes);
    let header = Header::read(file, &mut reader)?;
    let (promised, compressed) = (header.bytes(), bytes.len() as u64);
    if promised > HARMLESS_BYTES.saturating_add(compressed.saturating_mul(MOST_INFLATION)) {
        return Err(DataError::Inflation { file: file.into(), promised, compressed });
    }
    // One more than promised, to notice what follows without inflating all of it.
    let elements = up_to(file, &mut reader, header.elements.saturating_add(1))?;
    header.check_present(file, elements.len() as u64)?;
    Ok(Array { dimensions: header.dimensions, elements: elements.into() })
}

fn up_to(file: &Path, reader: &mut impl Read, limit: u64) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    match reader.take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(reason) => Err(DataError::Gzip { file: file.into(), reason }),
    }
}

struct Header {
    dimensions: Vec<usize>,
    /// Product of the dimensions; fits usize.
    elements: u64,
}

impl Header {
    fn read(file: &Path, reader: &mut impl Read) -> Result<Header, DataError> {
        let magic = up_to(file, reader, 4)?;
        let &[0, 0, code, count] = magic.as_slice() else {
            return Err(match magic.len() {
                0 => DataError::Empty { file: file.into() },
                1..4 => truncated_header(file, 4, magic.len()),
                _ => DataError::Magic {
                    file: file.into(),
                    found: magic,
                    expected: "an IDX file of bytes starts with 00 00 08, gzip with 1f 8b",
                },
            });
        };
        if code != UNSIGNED_BYTES {
            return Err(DataError::IdxElement { file: file.into(), code });
        }
        let sizes = up_to(file, reader, 4 * u64::from(count))?;
        if sizes.len() < 4 * usize::from(count) {
            return Err(truncated_header(file, 4 + 4 * u64::from(count), 4 + sizes.len()));
        }
        let dimensions: Vec<usize> =
            sizes.as_chunks::<4>().0.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
        // A file of no dimensions holds nothing rather than one element.
        let elements = if dimensions.is_empty() { Some(0) } else { super::product(&dimensions) };
        match elements {
            Some(elements) => Ok(Header { elements: elements as u64, dimensions }),
            None => Err(DataError::TooLarge { file: file.into(), what: what(&dimensions) }),
        }
    }

    /// The size of a whole file with this header.
    fn bytes(&self) -> u64 {
        (4 + 4 * self.dimensions.len() as u64).saturating_add(self.elements)
    }

    /// `present` elements follow the header: are they those that it promises?
    fn check_present(&self, file: &Path, present: u64) -> Result<(), DataError> {
        let (file, what, promised) = (file.into(), what(&self.dimensions), self.bytes());
        if present < self.elements {
            return Err(DataError::Truncated { file, what, promised, actual: promised - self.elements + present });
        }
        if present > self.elements {
            return Err(DataError::TrailingBytes { file, what, promised });
        }
        Ok(())
    }
}

fn truncated_header(file: &Path, needed: u64, actual: usize) -> DataError {
    DataError::HeaderTruncated { file: file.into(), needed, actual: actual as u64 }
}

fn what(dimensions: &[usize]) -> String {
    match dimensions {
        [] => "nothing".into(),
        [count] => format!("{count} labels"),
        [count, shape @ ..] => format!("{count} images of {}", shape_text(shape)),
    }
}

/// Whether a file's name says that it's IDX.
pub(super) fn is_named(file: &Path) -> bool {
    let name: OsString = file.file_name().unwrap_or_default().to_ascii_lowercase();
    let name = name.to_string_lossy();
    name.contains("idx") || name.contains("ubyte")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use quickcheck::quickcheck;

    use super::*;

    pub(in super::super) fn idx(dimensions: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, UNSIGNED_BYTES, dimensions.len() as u8];
        bytes.extend(dimensions.iter().flat_map(|d| d.to_be_bytes()));
        bytes.extend(elements);
        bytes
    }

    pub(in super::super) fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn file() -> &'static Path {
        Path::new("train-images-idx3-ubyte")
    }

    fn images_of(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>), DataError> {
        images(file(), bytes)
    }

    #[test]
    fn images_and_labels_are_read_plain_and_compressed() {
        let bytes = idx(&[2, 1, 3], &[0, 255, 51, 204, 0, 255]);
        for bytes in [gz(&bytes), bytes] {
            let (shape, samples) = images_of(&bytes).unwrap();
            assert_eq!(shape, [1, 3]);
            assert_eq!(samples, [-1.0, 1.0, -0.6, 0.6, -1.0, 1.0]);
        }
        let bytes = idx(&[3], &[4, 0, 2]);
        for bytes in [gz(&bytes), bytes] {
            assert_eq!(labels(file(), &bytes).unwrap(), (vec![4, 0, 2], 5));
        }
    }

    #[test]
    fn a_promise_that_is_not_kept_is_counted_out() {
        let short = idx(&[60_000, 28, 28], &[0; 1184]);
        assert_eq!(
            images_of(&short).unwrap_err().to_string(),
            "train-images-idx3-ubyte: the header promises 60000 images of 28x28 (47040016 bytes), the file has 1200 bytes"
        );
        for bytes in [idx(&[2, 2, 2], &[0; 7]), gz(&idx(&[2, 2, 2], &[0; 7]))] {
            assert!(matches!(images_of(&bytes), Err(DataError::Truncated { promised: 24, actual: 23, .. })));
        }
        for bytes in [idx(&[2, 2, 2], &[0; 9]), gz(&idx(&[2, 2, 2], &[0; 9])), gz(&idx(&[2, 2, 2], &[0; 5000]))] {
            assert!(matches!(images_of(&bytes), Err(DataError::TrailingBytes { promised: 24, .. })));
        }
    }

    #[test]
    fn a_header_that_is_none_is_refused() {
        assert!(matches!(images_of(b""), Err(DataError::Empty { .. })));
        assert!(matches!(images_of(&gz(b"")), Err(DataError::Empty { .. })));
        assert!(matches!(images_of(&[0, 0, 8]), Err(DataError::HeaderTruncated { needed: 4, actual: 3, .. })));
        assert!(matches!(
            images_of(&[0, 0, 8, 3, 0, 0]),
            Err(DataError::HeaderTruncated { needed: 16, actual: 6, .. })
        ));
        assert_eq!(
            images_of(b"\x89PNG\r\n").unwrap_err().to_string(),
            "train-images-idx3-ubyte: starts with the bytes [89, 50, 4e, 47]; \
             an IDX file of bytes starts with 00 00 08, gzip with 1f 8b"
        );
        assert!(matches!(images_of(&[0, 0, 0x0d, 3, 0, 0]), Err(DataError::IdxElement { code: 0x0d, .. })));
    }

    #[test]
    fn the_wrong_kind_is_refused() {
        assert_eq!(
            images_of(&idx(&[1], &[7])).unwrap_err().to_string(),
            "train-images-idx3-ubyte: has 1 dimension(s), as labels do; images have at least 2, the first of which counts them"
        );
        assert!(matches!(images_of(&idx(&[], &[])), Err(DataError::IdxDimensions { dimensions: 0, .. })));
        assert!(matches!(labels(file(), &idx(&[1, 1], &[7])), Err(DataError::IdxDimensions { dimensions: 2, .. })));
        assert!(matches!(images_of(&idx(&[0, 2, 2], &[])), Err(DataError::NoSamples { .. })));
        assert!(matches!(images_of(&idx(&[2, 0, 2], &[])), Err(DataError::NoValues { .. })));
    }

    #[test]
    fn sizes_that_overflow_or_inflate_allocate_nothing() {
        assert!(matches!(images_of(&idx(&[u32::MAX; 3], &[])), Err(DataError::TooLarge { .. })));
        assert!(matches!(images_of(&idx(&[u32::MAX, 28, 28], &[])), Err(DataError::Truncated { .. })));
        // A real bomb: all that it promises is there, in 1/1000 of the space.
        let bomb = gz(&idx(&[4096, 32, 64], &vec![0; 4096 * 32 * 64]));
        assert!(matches!(images_of(&bomb), Err(DataError::Inflation { promised: 8_388_624, .. })));
    }

    #[test]
    fn a_damaged_gzip_stream_is_named() {
        let mut cut = gz(&idx(&[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8]));
        cut.truncate(cut.len() - 10);
        assert!(matches!(images_of(&cut), Err(DataError::Gzip { .. })));
        let mut flipped = gz(&idx(&[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8]));
        let checksum = flipped.len() - 8;
        flipped[checksum] ^= 1;
        assert!(matches!(images_of(&flipped), Err(DataError::Gzip { .. })));
    }

    fn survives(bytes: &[u8]) -> bool {
        let _ = labels(file(), bytes);
        images_of(bytes).map_or(true, |(shape, samples)| samples.len().is_multiple_of(shape.iter().product::<usize>()))
    }

    quickcheck! {
        fn any_bytes_are_images_or_an_error(bytes: Vec<u8>) -> bool {
            survives(&bytes)
        }

        fn any_bytes_after_a_header_are_images_or_an_error(count: u8, sizes: Vec<u32>, bytes: Vec<u8>) -> bool {
            let mut file = vec![0, 0, UNSIGNED_BYTES, count % 6];
            file.extend(sizes.iter().take(5).flat_map(|s| (s % 7).to_be_bytes()));
            file.extend(&bytes);
            survives(&file) && survives(&gz(&file)) && survives(&[&GZIP_MAGIC[..], &bytes].concat())
        }

        fn what_is_written_comes_back(rows: u8, columns: u8, pixels: Vec<u8>) -> bool {
            let (rows, columns) = (rows as usize % 4 + 1, columns as usize % 4 + 1);
            let count = pixels.len() / (rows * columns);
            let pixels = &pixels[..count * rows * columns];
            match images_of(&idx(&[count as u32, rows as u32, columns as u32], pixels)) {
                Ok((shape, samples)) => shape == [rows, columns]
                    && samples.iter().map(|v| ((v + 1.0) * 127.5).round() as u8).eq(pixels.iter().copied()),
                Err(error) => count == 0 && matches!(error, DataError::NoSamples { .. }),
            }
        }
    }
}
