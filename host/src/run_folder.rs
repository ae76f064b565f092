//! The folder that a training leaves: never overwritten, always resumable.

use crate::atomic_file;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A run folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Updates made.
    pub step: u64,
    /// Mean loss since the line before; of a mixture, minus its mean log-likelihood, in nats for each value.
    pub loss: f64,
    /// Learning rate of the last update; 0 for a mixture.
    pub learning_rate: f64,
    /// Norm of the last gradient, before clipping; 0 for a mixture, infinite for an update that half precision has left out.
    #[serde(deserialize_with = "number_or_infinity")]
    pub gradient_norm: f64,
    /// Seconds of training so far, over all sessions.
    pub seconds: f64,
}

/// JSON has no infinities: they are written as `null`.
fn number_or_infinity<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::INFINITY))
}

const LOCK: &str = ".lock";

/// The lines of a `metrics.jsonl` up to an update, each with what it says, as far as they can be read.
fn lines_until(text: &str, until: u64) -> impl Iterator<Item = (&str, Metrics)> {
    let lines = text.lines().map_while(|line| Some((line, serde_json::from_str::<Metrics>(line).ok()?)));
    lines.take_while(move |(_, metrics)| metrics.step <= until)
}

impl RunFolder {
    /// Makes a new run folder with its `config.toml`.
    ///
    /// # Errors
    /// [`Error::RunExists`] for a folder that holds anything; [`Error::File`] when it cannot be made or written.
    pub fn create(path: &Path, config: &str) -> Result<Self, Error> {
        if !Self::is_vacant(path)? {
            return Err(Error::RunExists(path.to_owned()));
        }
        std::fs::create_dir_all(path).map_err(Error::file(path, "make the run folder"))?;
        let folder = Self::hold(path)?;
        // Another process may have filled it since.
        if folder.config().is_file() {
            return Err(Error::RunExists(path.to_owned()));
        }
        atomic_file::write(&folder.config(), config.as_bytes()).map_err(Error::Write)?;
        Ok(folder)
    }

    /// Opens a folder that a training began in.
    ///
    /// # Errors
    /// [`Error::NoRun`] without `config.toml`, [`Error::RunBusy`] while another process trains into it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.join("config.toml").is_file() {
            let reason = "there is no config.toml in it, so no training to resume; leave out --resume to begin one";
            return Err(Error::NoRun { folder: path.to_owned(), reason: reason.to_owned() });
        }
        Self::hold(path)
    }

    /// Whether a new run may be made here: nothing exists, or a folder with nothing but what a run killed at its
    /// very start leaves.
    pub fn is_vacant(path: &Path) -> Result<bool, Error> {
        match std::fs::read_dir(path) {
            Ok(entries) => Ok(entries
                .flatten()
                .all(|e| e.file_name() == LOCK || e.file_name().to_string_lossy().starts_with(".tweedie-"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(Error::file(path, "read the run folder")(error)),
        }
    }

    fn hold(path: &Path) -> Result<Self, Error> {
        let file = path.join(LOCK);
        let lock = OpenOptions::new().create(true).append(true).open(&file).map_err(Error::file(&file, "write it"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::RunBusy(path.to_owned())),
            // A file system without locks: go on without.
            Err(TryLockError::Error(_)) => {}
        }
        atomic_file::clean_temporaries(path).map_err(Error::file(path, "clean the run folder"))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The preset, every key written out.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The model to sample from.
    pub fn model(&self) -> PathBuf {
        Self::model_in(&self.path)
    }

    /// The model in a run folder that is not held.
    pub fn model_in(path: &Path) -> PathBuf {
        path.join("model.safetensors")
    }

    /// The model in a run folder that is not held, which must be there.
    ///
    /// # Errors
    /// [`Error::NoRun`] without the folder, or without a model in it.
    pub fn trained_model(path: &Path) -> Result<PathBuf, Error> {
        let model = Self::model_in(path);
        if model.is_file() {
            return Ok(model);
        }
        let reason = match path.is_dir() {
            true => "there is no model.safetensors in it; has it been trained?",
            false => "there is no such run folder; make one with `cargo xtask train`",
        };
        Err(Error::NoRun { folder: path.to_owned(), reason: reason.to_owned() })
    }

    /// The text encoder of a model that is told captions.
    pub fn text(&self) -> PathBuf {
        Self::text_in(&self.path)
    }

    /// The same in a run folder that is not held.
    pub fn text_in(path: &Path) -> PathBuf {
        path.join("text.safetensors")
    }

    /// What training resumes from.
    pub fn state(&self) -> PathBuf {
        self.path.join("state.safetensors")
    }

    fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Appends a line to `metrics.jsonl`.
    pub fn append_metrics(&self, metrics: &Metrics) -> Result<(), Error> {
        let path = self.metrics();
        let append = || {
            let mut line = serde_json::to_string(metrics)?;
            line.push('\n');
            OpenOptions::new().create(true).append(true).open(&path)?.write_all(line.as_bytes())
        };
        append().map_err(Error::file(&path, "write it"))
    }

    /// The lines of `metrics.jsonl` up to an update; a line cut short by a kill is left out.
    pub fn read_metrics(&self, until: u64) -> Result<Vec<Metrics>, Error> {
        Ok(lines_until(&self.metrics_text()?, until).map(|(_, metrics)| metrics).collect())
    }

    /// Drops the lines of `metrics.jsonl` after an update, which will be made again, and returns the last that stays.
    pub fn rewind_metrics(&self, until: u64) -> Result<Option<Metrics>, Error> {
        let text = self.metrics_text()?;
        // Lines stay letter by letter.
        let kept: String = lines_until(&text, until).map(|(line, _)| format!("{line}\n")).collect();
        if kept != text {
            atomic_file::write(&self.metrics(), kept.as_bytes()).map_err(Error::Write)?;
        }
        Ok(lines_until(&text, until).last().map(|(_, metrics)| metrics))
    }

    fn metrics_text(&self) -> Result<String, Error> {
        match std::fs::read(self.metrics()) {
            // What a power cut may have left of the last line is dropped with it.
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Error::file(self.metrics(), "read it")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_an_update_that_was_left_out_is_read_like_any() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&place.path().join("run"), "").unwrap();
        let line = |step: u64, gradient_norm: f64| Metrics {
            step,
            loss: 0.5,
            learning_rate: 1e-3,
            gradient_norm,
            seconds: 2.0,
        };
        let lines = [line(10, f64::INFINITY), line(20, 0.25)];
        lines.iter().for_each(|line| folder.append_metrics(line).unwrap());
        assert_eq!(folder.read_metrics(u64::MAX).unwrap(), lines);
    }
}
