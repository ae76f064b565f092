//! What can go wrong, each as one sentence.

use crate::board::ModelError;
use std::path::PathBuf;
use tweedie_firmware::SampleError;
use tweedie_host::export::ExportError;
use tweedie_host::picture::PictureError;

/// The twin's errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An artifact that cannot be used, or a class that it lacks.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A device that knows no integers.
    #[error("an artifact is drawn with --device cpu, by the firmware library, or with --device wgpu, on a GPU")]
    Device,
    /// Too many samples for one call.
    #[error("--count {count} is more than the {most} that one call draws")]
    Count {
        /// The count asked for.
        count: usize,
        /// The most.
        most: usize,
    },
    /// An artifact to be judged by nobody knows which data.
    #[error(
        "{}: an artifact does not say what data it learnt; name them with --data, or the run it was exported from with --run",
        path.display()
    )]
    UnknownData {
        /// The artifact.
        path: PathBuf,
    },
    /// A run that an artifact cannot have come from.
    #[error(
        "--run {}: {} was not exported from it as it samples by default (another network, solver or plan), so the difference would not be the cost of quantisation",
        run.display(),
        file.display()
    )]
    OtherRun {
        /// The run folder.
        run: PathBuf,
        /// The artifact.
        file: PathBuf,
    },
    /// What a device cannot run.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The firmware library refused.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// A file that could not be written whole; the message names it.
    #[error(transparent)]
    Write(std::io::Error),
    /// A picture that could not be made.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The emulated board.
    #[error(transparent)]
    Run(#[from] crate::run::RunError),
    /// A program for the emulated board that does not build.
    #[error(transparent)]
    Build(#[from] crate::board::build::BuildError),
    /// A program on the emulated board that did not come to its end.
    #[error(transparent)]
    Emulator(#[from] crate::board::emulator::EmulatorError),
    /// The host's side.
    #[error(transparent)]
    Host(#[from] tweedie_host::Error),
}
