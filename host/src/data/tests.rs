//! [`load`] as a user meets it: files, folders and what is wrong with them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::idx::tests::{gz, idx};
use super::npy::tests::array;
use super::*;

/// A folder of this test alone, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tweedie-data-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn with(files: &[(&str, &[u8])]) -> Folder {
        let folder = Folder::new();
        for (name, bytes) in files {
            fs::write(folder.0.join(name), bytes).unwrap();
        }
        folder
    }

    fn load(&self, name: &str) -> Result<Dataset, DataError> {
        let loaded = load(self.0.join(name).to_str().unwrap());
        if let Ok(data) = &loaded {
            data.validate().unwrap();
        }
        loaded
    }

    /// The message without the folder's own name.
    fn message(&self, name: &str) -> String {
        let message = self.load(name).unwrap_err().to_string();
        message.replace(&format!("{}/", self.0.display()), "")
    }

    fn name(&self) -> &str {
        self.0.file_name().unwrap().to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn digits_need_no_file() {
    let digits = load("digits").unwrap();
    assert_eq!(digits.name, "digits");
    assert_eq!(digits, Dataset::digits().unwrap());
}

#[test]
fn every_spelling_of_mnist_is_found_with_its_labels() {
    let images = idx(&[2, 1, 2], &[0, 255, 255, 0]);
    let labels = idx(&[2], &[1, 3]);
    for (images_name, labels_name) in [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte.gz", "train-labels.idx1-ubyte"),
    ] {
        let pack = |name: &str, bytes: &[u8]| match name.ends_with(".gz") {
            true => gz(bytes),
            false => bytes.to_vec(),
        };
        let folder =
            Folder::with(&[(images_name, &pack(images_name, &images)), (labels_name, &pack(labels_name, &labels))]);
        for (source, name) in [("", folder.name()), (images_name, "train-images")] {
            let data = folder.load(source).unwrap();
            assert!(data.name.starts_with(name), "{}", data.name);
            assert_eq!(data.shape, [1, 2], "{images_name}");
            assert_eq!(data.samples, [-1.0, 1.0, 1.0, -1.0]);
            assert_eq!((data.labels, data.classes), (Some(vec![1, 3]), 4));
        }
    }
}

#[test]
fn labels_are_optional() {
    let folder = Folder::with(&[
        ("train-images-idx3-ubyte", &idx(&[1, 2, 2], &[9; 4])),
        ("other.idx", &idx(&[1, 4], &[9; 4])),
        ("points.npy", &array("|u1", "(2, 1)", &[0, 255])),
    ]);
    assert_eq!(folder.load("").unwrap().labels, None);
    assert_eq!(folder.load("points.npy").unwrap().labels, None);
    let other = folder.load("other.idx").unwrap();
    assert_eq!((other.name.as_str(), other.labels, other.classes), ("other", None, 0));
}

#[test]
fn arrays_and_their_labels_are_found() {
    let folder = Folder::with(&[
        ("samples.npy", &array("|u1", "(2, 1, 2)", &[0, 255, 255, 0])),
        ("labels.npy", &array("<i8", "(2,)", &[5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
    ]);
    for (source, name) in [("", folder.name()), ("samples.npy", "samples")] {
        let data = folder.load(source).unwrap();
        assert_eq!(data.name, name);
        assert_eq!(data.shape, [1, 2]);
        assert_eq!(data.sample(1), [1.0, -1.0]);
        assert_eq!((data.labels, data.classes), (Some(vec![5, 0]), 6));
    }
    // Labels are no labels of themselves.
    assert_eq!(folder.load("labels.npy").unwrap().labels, None);
}

#[test]
fn tables_are_found_whatever_the_case() {
    let folder = Folder::with(&[("Points.CSV", b"x;class\n-1;0\n1;1\n")]);
    let data = folder.load("Points.CSV").unwrap();
    assert_eq!(data.name, "Points");
    assert_eq!(data.samples, [-1.0, 1.0]);
    assert_eq!(data.labels, Some(vec![0, 1]));
}

#[test]
fn names_that_lead_nowhere_get_a_hint() {
    let message = |source| load(source).unwrap_err().to_string();
    for near in ["digist", "Digits", "digit"] {
        assert_eq!(message(near), format!("{near}: no such file, folder or data set; did you mean `digits`?"));
    }
    assert_eq!(
        message("mnist"),
        "mnist: no such file, folder or data set; `digits` and `cow` are built in, anything else must be a path"
    );
    assert!(matches!(load(""), Err(DataError::UnknownName { .. })));
    for missing in ["./digits", "none.npy", "no/where"] {
        assert_eq!(message(missing), format!("{missing}: no such file or folder"));
    }
    assert!(matches!(load("a\0b.csv"), Err(DataError::Unreadable { .. })));
}

#[test]
fn what_is_no_data_set_says_what_would_be() {
    let folder = Folder::with(&[("notes.txt", b"hello"), ("empty.npy", b""), ("empty.csv", b""), ("empty.idx", b"")]);
    assert!(
        folder
            .load("")
            .unwrap_err()
            .to_string()
            .ends_with("no data set in this folder; expected train-images-idx3-ubyte (or train-images.idx3-ubyte, either may end in .gz), samples.npy, or PNGs, which may lie in a sub-folder for each class")
    );
    assert_eq!(
        folder.message("notes.txt"),
        "notes.txt: not a known kind of data; expected .npy, .csv, a mesh (.off, .obj, .ply), or an IDX file with `idx` or `ubyte` in its name"
    );
    for empty in ["empty.npy", "empty.csv", "empty.idx"] {
        assert_eq!(folder.message(empty), format!("{empty}: the file is empty"));
    }
}

#[test]
fn labels_must_be_as_many_as_samples() {
    let folder = Folder::with(&[
        ("train-images-idx3-ubyte", &idx(&[1, 2, 2], &[9; 4])),
        ("train-labels-idx1-ubyte", &idx(&[3], &[0; 3])),
        ("x.npy", &array("|u1", "(2, 1)", &[0, 255])),
        ("labels.npy", &array("|u1", "(1,)", &[0])),
    ]);
    assert_eq!(
        folder.message("train-images-idx3-ubyte"),
        "train-labels-idx1-ubyte: holds 3 labels for the 1 samples of train-images-idx3-ubyte"
    );
    assert_eq!(folder.message("x.npy"), "labels.npy: holds 1 labels for the 2 samples of x.npy");
}

// Reading a device would never end, and reading a folder gives an error of the system that names nothing.
#[cfg(unix)]
#[test]
fn devices_and_folders_are_not_read() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("/dev/zero", folder.0.join("zero.npy")).unwrap();
    fs::create_dir(folder.0.join("folder.npy")).unwrap();
    assert_eq!(folder.message("zero.npy"), "zero.npy: is neither a file nor a folder");
    assert!(matches!(folder.load("folder.npy"), Err(DataError::NoDataset { .. })));
    assert!(matches!(load("/dev/zero"), Err(DataError::NotRegular { .. })));
}

#[test]
fn a_sample_out_of_range_is_empty() {
    let digits = Dataset::digits().unwrap();
    assert_eq!(digits.sample(1346).len(), 64);
    assert_eq!(digits.sample(1347), [0.0; 0]);
    assert_eq!(digits.sample(usize::MAX), [0.0; 0]);
}

#[test]
fn a_folder_without_a_name_of_its_own_has_its_real_one() {
    let here = std::env::current_dir().unwrap();
    assert_eq!(name_of(Path::new(".")), here.file_name().unwrap().to_str().unwrap());
}

#[test]
fn validate_finds_every_broken_promise() {
    let good = Dataset {
        name: "made".into(),
        shape: vec![2],
        samples: vec![0.0, 1.0, -1.0, 0.5],
        labels: Some(vec![0, 1]),
        classes: 2,
        conditions: None,
        scaling: Scaling::IDENTITY,
    };
    good.validate().unwrap();
    assert!(!good.is_empty());
    assert!(Dataset { samples: vec![], ..good.clone() }.is_empty());
    assert!(Dataset { shape: vec![0], ..good.clone() }.is_empty());
    let broken = |change: fn(&mut Dataset)| {
        let mut data = good.clone();
        change(&mut data);
        data.validate().unwrap_err()
    };
    use DataError as E;
    assert!(matches!(broken(|d| d.shape = vec![]), E::NoValues { .. }));
    assert!(matches!(broken(|d| d.shape = vec![2, 0]), E::NoValues { .. }));
    assert!(matches!(broken(|d| d.shape = vec![usize::MAX, 2]), E::NoValues { .. }));
    assert!(matches!(broken(|d| d.samples.clear()), E::NoSamples { .. }));
    assert!(matches!(broken(|d| d.samples.push(0.0)), E::Inconsistent { .. }));
    assert!(matches!(broken(|d| d.samples[0] = 1.5), E::Inconsistent { .. }));
    assert!(matches!(
        broken(|d| d.samples[3] = f32::NAN),
        E::NotFinite { place: Place::Element { sample: 1, element: 1 }, .. }
    ));
    assert!(matches!(broken(|d| d.scaling.scale = 0.0), E::Inconsistent { .. }));
    assert!(matches!(broken(|d| d.scaling.offset = f32::NAN), E::Inconsistent { .. }));
    assert!(matches!(broken(|d| d.labels = None), E::Inconsistent { .. }));
    assert!(matches!(broken(|d| d.classes = 1001), E::Inconsistent { .. }));
    assert!(matches!(broken(|d| d.classes = 1), E::Label { place: Place::Sample(1), .. }));
    assert!(matches!(broken(|d| d.labels = Some(vec![0])), E::LabelCount { labels: 1, samples: 2, .. }));
}
