//! Boards, seen from the other end of the wire: build their program for a model, weigh it, read what it says.
//!
//! Shared with `firmware/flasher`, which compiles this folder too, so that who flashes a chip need not build what trains a model.

pub mod build;
pub mod emulator;
pub mod image;
#[path = "../../../boards/emulated/machines.rs"]
pub mod machines;
pub mod stream;

use std::path::{Path, PathBuf};
use std::{fs, io};

use tweedie_core::artifact::{Artifact, ArtifactError};

/// The repository's `firmware/boards`.
pub fn boards() -> PathBuf {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("firmware/boards"));
    folders.into_iter().find(|folder| folder.is_dir()).unwrap_or_else(|| "firmware/boards".into())
}

/// A model file that could not be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ModelError {
    /// There is no file; what is there instead, and what would be right.
    NoFile(PathBuf, &'static str),
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// It is no artifact that could be run.
    Artifact(PathBuf, ArtifactError),
    /// The model has no such class.
    Class {
        /// The class asked for.
        class: u16,
        /// How many the model knows.
        classes: u16,
    },
}

impl std::error::Error for ModelError {}

impl std::fmt::Display for ModelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoFile(path, what) => write!(f, "{}: {what}", path.display()),
            Self::Read(path, error) => write!(f, "{}: cannot read it: {error}", path.display()),
            Self::Artifact(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Class { class, classes: 0 } => {
                write!(f, "--class {class}: this model was trained without classes")
            }
            Self::Class { class, classes } => {
                write!(f, "--class {class}: this model knows the classes 0 to {}", classes - 1)
            }
        }
    }
}

/// A model file, checked.
pub struct ModelFile {
    /// Where it lies, absolute.
    pub path: PathBuf,
    words: Vec<u32>,
}

impl ModelFile {
    /// Reads and checks a file. One that is no multiple of 4 bytes long has been cut short, and loses its last bytes here.
    ///
    /// # Errors
    /// [`ModelError`] when it is missing or no artifact.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let no_file = |what| ModelError::NoFile(path.to_path_buf(), what);
        let read = |error| ModelError::Read(path.to_path_buf(), error);
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(no_file("there is no such file; make one with `cargo xtask export RUN -o FILE.tweedie`"));
            }
            Ok(found) if found.is_dir() => return Err(no_file("this is a folder, not an artifact")),
            Ok(found) if !found.is_file() => return Err(no_file("this is not a regular file")),
            _ => {}
        }
        let bytes = fs::read(path).map_err(read)?;
        let (words, _) = bytes.as_chunks::<4>();
        let words: Vec<_> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        Artifact::parse(&words).map_err(|error| ModelError::Artifact(path.to_path_buf(), error))?;
        Ok(Self { path: fs::canonicalize(path).map_err(read)?, words })
    }

    /// Its words.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The artifact.
    ///
    /// # Errors
    /// None in practice: [`ModelFile::open`] has parsed it once.
    pub fn artifact(&self) -> Result<Artifact<'_>, ModelError> {
        Artifact::parse(&self.words).map_err(|error| ModelError::Artifact(self.path.clone(), error))
    }

    /// The firmware's features that the model needs, by the kinds of its layers.
    pub fn features(&self) -> Vec<&'static str> {
        let layers = self.artifact().into_iter().flat_map(|artifact| artifact.layers().collect::<Vec<_>>());
        let mut features: Vec<_> = layers.filter_map(|layer| layer.feature()).collect();
        features.sort_unstable();
        features.dedup();
        features
    }

    /// Checks that the model knows a class.
    ///
    /// # Errors
    /// [`ModelError::Class`] if not.
    pub fn check_class(&self, class: Option<u16>) -> Result<(), ModelError> {
        let classes = self.artifact()?.header().classes;
        match class {
            Some(class) if class >= classes => Err(ModelError::Class { class, classes }),
            _ => Ok(()),
        }
    }

    /// Multiply-accumulates of a whole sample: those of every layer, for every step.
    ///
    /// # Errors
    /// As [`ModelFile::artifact`].
    pub fn multiply_accumulates(&self) -> Result<u64, ModelError> {
        let artifact = self.artifact()?;
        let of_network: u64 = artifact.layers().map(|layer| layer.multiply_accumulates()).sum();
        Ok(of_network * artifact.steps() as u64)
    }
}

/// What to draw, as the board's program reads it: `SEED:FIRST:COUNT:CLASS`.
///
/// Without a class, a model that knows classes draws them in turn, as `cargo xtask sample` does.
pub fn request(seed: u64, count: u64, class: Option<u16>, classes: u16) -> String {
    match class {
        Some(class) => format!("{seed}:0:{count}:{class}"),
        None if classes == 0 => format!("{seed}:0:{count}:none"),
        None => format!("{seed}:0:{count}:turn"),
    }
}

#[cfg(test)]
mod tests {
    use super::{ModelFile, request};

    #[test]
    fn what_is_no_artifact_gets_one_sentence() {
        let folder = std::env::temp_dir().join(format!("tweedie-no-artifacts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let sentence = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).expect("a file");
            ModelFile::open(&path).err().expect("no artifact").to_string()
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
        let sentence = |path| ModelFile::open(path).err().expect("no artifact").to_string();
        assert!(sentence(&folder).ends_with("a folder, not an artifact"));
        assert!(sentence(&folder.join("none")).contains("no such file"));
        std::fs::remove_dir_all(folder).expect("the folder goes");
    }

    #[test]
    fn classes_take_turns_unless_one_is_named() {
        assert_eq!(request(7, 3, None, 2), "7:0:3:turn");
        assert_eq!(request(7, 3, Some(1), 2), "7:0:3:1");
        assert_eq!(request(7, 3, None, 0), "7:0:3:none");
    }
}
