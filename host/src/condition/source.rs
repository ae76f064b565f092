//! Where a preset's conditions come from.

use crate::data::{DataError, is_embedded};
use std::path::{Path, PathBuf};

/// What `data.conditions` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The data's classes, if they have any.
    Class,
    /// Nothing, whatever the data have.
    None,
    /// Captions that are made up from digits' labels.
    Templates,
    /// A file with a caption a line.
    Captions(PathBuf),
    /// An array `[n, c]`.
    Vectors(PathBuf),
}

impl Source {
    /// The name that leaves the choice to what lies beside the data.
    pub const AUTO: &str = "auto";
    /// The name of [`Source::Class`].
    pub const CLASS: &str = "class";
    /// The name of [`Source::None`].
    pub const NONE: &str = "none";
    /// The name of [`Source::Templates`].
    pub const TEMPLATES: &str = "captions";

    /// What `name` means for the data `source`: a name of the above, or a file by its extension.
    ///
    /// # Errors
    /// [`DataError::UnknownConditions`].
    pub fn of(name: &str, source: &str) -> Result<Self, DataError> {
        match name {
            Self::AUTO => Ok(Self::beside(source)),
            Self::CLASS => Ok(Self::Class),
            Self::NONE => Ok(Self::None),
            Self::TEMPLATES => Ok(Self::Templates),
            path => {
                let path = Path::new(path);
                match path.extension().map(|extension| extension.to_ascii_lowercase()) {
                    Some(extension) if extension == "txt" => Ok(Self::Captions(path.to_owned())),
                    Some(extension) if extension == "npy" => Ok(Self::Vectors(path.to_owned())),
                    _ => Err(DataError::UnknownConditions { value: name.to_owned() }),
                }
            }
        }
    }

    /// Whether a text encoder makes the vectors.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Templates | Self::Captions(_))
    }

    /// The file that names this source, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Captions(file) | Self::Vectors(file) => Some(file),
            Self::Class | Self::None | Self::Templates => None,
        }
    }

    fn beside(source: &str) -> Self {
        let path = Path::new(source);
        let folder = if path.is_dir() { Some(path) } else { path.parent() };
        let Some(folder) = folder.filter(|_| !is_embedded(source)) else { return Self::Class };
        let (captions, vectors) = (folder.join("captions.txt"), folder.join("conditions.npy"));
        if captions.is_file() {
            Self::Captions(captions)
        } else if vectors.is_file() && vectors != path {
            Self::Vectors(vectors)
        } else {
            Self::Class
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_files_are_told_apart() {
        let of = |name| Source::of(name, "digits").unwrap();
        assert_eq!([of("auto"), of("class"), of("none")], [Source::Class, Source::Class, Source::None]);
        assert_eq!(of("captions"), Source::Templates);
        assert_eq!(of("a/b.TXT"), Source::Captions("a/b.TXT".into()));
        assert_eq!(of("b.npy").file(), Some(Path::new("b.npy")));
        let sentence = Source::of("clas", "digits").unwrap_err().to_string();
        assert!(sentence.starts_with("data.conditions = clas: there are auto"), "{sentence}");
    }

    #[test]
    fn what_lies_beside_the_data_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("x.npy");
        let found = || Source::of("auto", data.to_str().unwrap()).unwrap();
        assert_eq!(found(), Source::Class);
        let vectors = folder.path().join("conditions.npy");
        std::fs::write(&vectors, "").unwrap();
        assert_eq!(found(), Source::Vectors(vectors.clone()));
        assert_eq!(Source::of("auto", vectors.to_str().unwrap()).unwrap(), Source::Class);
        let captions = folder.path().join("captions.txt");
        std::fs::write(&captions, "").unwrap();
        assert_eq!(found(), Source::Captions(captions));
    }
}
