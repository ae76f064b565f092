//! What can go wrong on the host, each as one sentence for the person at the keyboard.

use crate::data::DataError;
use crate::picture::PictureError;
use std::path::PathBuf;

/// The host's errors. The command line prints one and leaves with status 2.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A preset that names nothing known.
    #[error("{name}: no such preset or file{hint}")]
    UnknownPreset {
        /// The name as given.
        name: String,
        /// The nearest that exists, as a part of the sentence.
        hint: String,
    },
    /// A preset that cannot be used.
    #[error("{file}: {reason}")]
    Preset {
        /// The preset's file or name.
        file: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// A data set that cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// More rows in a batch than in the data.
    #[error(
        "a batch of {batch} is larger than the data, which hold {samples} samples; choose training.batch of at most {samples}"
    )]
    BatchTooLarge {
        /// Rows in a batch.
        batch: usize,
        /// Samples in the data.
        samples: usize,
    },
    /// A run folder that must not be overwritten.
    #[error("{} exists and is not overwritten; continue it with --resume, or choose another folder with --out", .0.display())]
    RunExists(PathBuf),
    /// A `curve.json` that belongs to another curve.
    #[error("{} holds another curve and is not overwritten; choose another folder with --out", .0.display())]
    CurveExists(PathBuf),
    /// A folder without a run in it.
    #[error("{}: {reason}", folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// Another process trains into the folder.
    #[error("another training is writing to {}; wait for it, or choose another folder with --out", .0.display())]
    RunBusy(PathBuf),
    /// A resumed run that was asked for other settings or other data than it began with.
    #[error("{}: {reason}", folder.display())]
    ResumeMismatch {
        /// The run folder.
        folder: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A file that could not be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file that could not be written whole, so it is as it was before; the message names it.
    #[error(transparent)]
    Write(std::io::Error),
    /// A model or checkpoint that is damaged or of another make.
    #[error("{}: {reason}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A scheduler's configuration that cannot be followed.
    #[error("{}: {reason}", file.display())]
    Scheduler {
        /// The file.
        file: PathBuf,
        /// What is wrong, or what it asks for that is not done.
        reason: String,
    },
    /// An argument outside its range.
    #[error("{0}")]
    Argument(String),
    /// A standard output that takes no more.
    #[error("standard output: {0}")]
    Output(std::io::Error),
    /// A device that this build or this machine does not have.
    #[error("{0}")]
    Device(String),
    /// Training that left the range of numbers.
    #[error(
        "the loss is no longer a number at step {step}; lower training.learning_rate or set training.gradient_clip (the checkpoint before it is kept)"
    )]
    Diverged {
        /// The update at which it happened.
        step: u64,
    },
    /// Numbers that core refuses.
    #[error(transparent)]
    Core(#[from] tweedie_core::Error),
    /// A picture that could not be made.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A failure on a GPU by way of wgpu.
    #[cfg(feature = "wgpu")]
    #[error(transparent)]
    Gpu(#[from] crate::gpu::GpuError),
    /// A failure inside candle.
    #[error("the tensor library failed: {0}")]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// Wraps an error about a file with its path and what was tried.
    pub fn file(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, action, source }
    }
}

/// `; did you mean ...?` with the nearest of several names, if one is near.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&given.to_lowercase(), name), name))
        .min()
        .filter(|(distance, name)| *distance <= (name.len() / 2).max(2));
    nearest.map(|(_, name)| format!("; did you mean `{name}`?")).unwrap_or_default()
}
