//! An artifact's words from a file.

use crate::error::Error;
use std::path::Path;
use tweedie_firmware::Model;

/// Reads a file's words; [`parse`] tells whether they are an artifact. A file that is no multiple of 4 bytes long has been cut short, and
/// loses its last bytes here.
pub fn read(path: &Path) -> Result<Vec<u32>, Error> {
    let wrong = |reason| Error::NoFile { path: path.to_owned(), reason };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(wrong("there is no such file; make one with `cargo xtask export RUN -o FILE.tweedie`"));
        }
        Ok(found) if found.is_dir() => return Err(wrong("this is a folder, not an artifact")),
        Ok(found) if !found.is_file() => return Err(wrong("this is not a regular file")),
        _ => {}
    }
    let bytes = std::fs::read(path).map_err(tweedie_host::Error::file(path, "read it"))?;
    let (words, _) = bytes.as_chunks::<4>();
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

/// The model in a file's words.
pub fn parse<'a>(path: &Path, words: &'a [u32]) -> Result<Model<'a>, Error> {
    Model::parse(words).map_err(|source| Error::Artifact { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_artifact_gets_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let sentence = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let words = read(&path).unwrap();
            parse(&path, &words).unwrap_err().to_string()
        };
        let mut newer = b"TWEEDIE\0".to_vec();
        newer.extend([7, 0, 16, 0]);
        newer.resize(100, 0);
        let mut longer = b"TWEEDIE\0".to_vec();
        longer.extend([1, 0, 16, 0, 0, 1, 0, 0]);
        longer.resize(64, 0);
        for (found, part) in [
            (sentence("png", b"\x89PNG\r\n\x1a\n and so on"), "not a Tweedie artifact"),
            (sentence("empty", b""), "cut short: 64 bytes are needed, 0 are there"),
            (sentence("newer", &newer), "version 7"),
            (sentence("longer", &longer), "cut short: 1024 bytes are needed, 64 are there"),
        ] {
            assert!(found.contains(part) && !found.contains('\n'), "{found}");
        }
        assert!(read(folder.path()).unwrap_err().to_string().ends_with("a folder, not an artifact"));
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().contains("no such file"));
    }
}
