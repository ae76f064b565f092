//! Folders of PNGs: every file a sample, and every sub-folder, if there are any, a class.

use std::fs;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use rayon::prelude::*;

use super::scaling::pixels;
use super::{DataError, Dataset, MAX_CLASSES, Scaling, read_file};

/// The PNGs of a folder, or, class by class, of its sub-folders, all in the order of their names; nothing if there are none.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn classes_in(folder: &Path) -> Result<Option<Classes>, DataError> {
    let entries = entries(folder)?;
    let own = pngs(&entries);
    let classes = entries.iter().filter(|path| path.is_dir()).map(|path| {
        let files = pngs(&self::entries(path)?);
        Ok((path.clone(), files))
    });
    let classes = classes.collect::<Result<Vec<_>, DataError>>()?;
    Ok(match (own.is_empty(), classes.iter().all(|(_, files)| files.is_empty())) {
        (true, true) => None,
        (false, _) => Some(Classes::None(own)),
        (true, false) => Some(Classes::Named(classes)),
    })
}

/// Files, with or without classes.
pub(super) enum Classes {
    /// PNGs without a class.
    None(Vec<PathBuf>),
    /// The folder of each class, with its PNGs.
    Named(Vec<(PathBuf, Vec<PathBuf>)>),
}

/// Everything in a folder but what is hidden, sorted by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |reason| DataError::Unreadable { file: folder.into(), reason };
    let entries = fs::read_dir(folder).map_err(unreadable)?.map(|entry| Ok(entry.map_err(unreadable)?.path()));
    let mut entries = entries.collect::<Result<Vec<_>, DataError>>()?;
    entries.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    entries.sort();
    Ok(entries)
}

fn pngs(entries: &[PathBuf]) -> Vec<PathBuf> {
    let is_png = |path: &&PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    entries.iter().filter(is_png).cloned().collect()
}

/// Images of one size, `[height, width]` if all of them are grey, else `[3, height, width]`; pixels as `v / 127.5 - 1`, transparency left out.
///
/// # Errors
/// A file that is no PNG, images of several sizes, a class without images, too many classes.
pub(super) fn dataset(name: String, folder: &Path, classes: Classes) -> Result<Dataset, DataError> {
    let (files, labels, classes) = match classes {
        Classes::None(files) => (files, None, 0),
        Classes::Named(classes) => {
            if classes.len() > MAX_CLASSES {
                return Err(DataError::TooManyClasses { file: folder.into(), classes: classes.len() });
            }
            let count = classes.len();
            let (mut files, mut labels) = (Vec::new(), Vec::new());
            for (label, (folder, own)) in classes.into_iter().enumerate() {
                if own.is_empty() {
                    return Err(DataError::NoImages { file: folder });
                }
                labels.resize(labels.len() + own.len(), label as u32);
                files.extend(own);
            }
            (files, Some(labels), count)
        }
    };
    let images = files.par_iter().map(|file| Image::read(file)).collect::<Result<Vec<_>, DataError>>()?;
    let Some(first) = images.first() else {
        return Err(DataError::NoSamples { file: folder.into() });
    };
    if let Some(at) = images.iter().position(|image| image.size != first.size) {
        let (file, of) = (files[at].clone(), files[0].clone());
        return Err(DataError::ImageSize { file, size: images[at].size, of, expected: first.size });
    }
    let (width, height) = (first.size.0 as usize, first.size.1 as usize);
    let coloured = images.iter().any(|image| image.channels == 3);
    let shape = if coloured { vec![3, height, width] } else { vec![height, width] };
    let bytes = images.iter().flat_map(|image| image.planes(if coloured { 3 } else { 1 }));
    Ok(Dataset { name, shape, samples: pixels(bytes), labels, classes, scaling: Scaling::IDENTITY })
}

/// A decoded file.
struct Image {
    /// Width and height.
    size: (u32, u32),
    /// 1 for grey, 3 for red, green and blue.
    channels: usize,
    /// `[height, width, channels]`.
    bytes: Vec<u8>,
}

impl Image {
    fn read(file: &Path) -> Result<Self, DataError> {
        let image = image::load_from_memory_with_format(&read_file(file)?, ImageFormat::Png)
            .map_err(|reason| DataError::Png { file: file.into(), reason: reason.to_string() })?;
        let size = (image.width(), image.height());
        Ok(match image.color().has_color() {
            true => Self { size, channels: 3, bytes: image.into_rgb8().into_raw() },
            false => Self { size, channels: 1, bytes: image.into_luma8().into_raw() },
        })
    }

    /// The image plane by plane, grey repeated where colours are asked for.
    fn planes(&self, channels: usize) -> impl Iterator<Item = u8> {
        (0..channels)
            .flat_map(move |channel| self.bytes.iter().skip(channel % self.channels).step_by(self.channels).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, GrayImage, RgbImage};

    /// A folder with PNGs: red images of class `b`, grey ones of class `a`.
    fn made() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for class in ["b", "a"] {
            fs::create_dir(folder.path().join(class)).unwrap();
        }
        let save = |name: &str, image: DynamicImage| image.save(folder.path().join(name)).unwrap();
        save("a/1.png", GrayImage::from_raw(2, 1, vec![0, 255]).unwrap().into());
        save("b/2.PNG", RgbImage::from_raw(2, 1, vec![255, 0, 0, 255, 0, 51]).unwrap().into());
        save("b/1.png", RgbImage::from_raw(2, 1, vec![255, 0, 0, 0, 0, 0]).unwrap().into());
        fs::write(folder.path().join("notes.txt"), "not an image").unwrap();
        folder
    }

    fn load(folder: &Path) -> Result<Dataset, DataError> {
        super::super::load(&folder.display().to_string())
    }

    #[test]
    fn sub_folders_are_classes() {
        let folder = made();
        let data = load(folder.path()).unwrap();
        assert_eq!((data.shape.as_slice(), data.classes, data.len()), (&[3, 1, 2][..], 2, 3));
        assert_eq!(data.labels.as_deref(), Some(&[0, 1, 1][..]));
        assert_eq!(data.sample(0), [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]);
        assert_eq!(data.sample(2), [1.0, 1.0, -1.0, -1.0, -1.0, 51.0 / 127.5 - 1.0]);
        data.validate().unwrap();

        // Grey images alone are grey, and without sub-folders there are no classes.
        let data = load(&folder.path().join("a")).unwrap();
        assert_eq!((data.shape.as_slice(), data.labels, data.samples), (&[1, 2][..], None, vec![-1.0, 1.0]));
    }

    #[test]
    fn what_does_not_fit_is_one_sentence() {
        let folder = made();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("c")).unwrap();
        assert!(
            load(folder.path())
                .unwrap_err()
                .to_string()
                .ends_with("c: no PNGs in this folder, which is a class by its place")
        );
        fs::write(path("c/1.png"), "no image").unwrap();
        let refused = load(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("c/1.png: cannot be read as PNG"), "{refused}");
        GrayImage::new(3, 1).save(path("c/1.png")).unwrap();
        let refused = load(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("3x1 pixels") && refused.contains("2x1"), "{refused}");
    }
}
