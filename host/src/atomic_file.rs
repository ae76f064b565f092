//! Files that are either whole or not there: what a killed run, a full disk or a reader at the wrong moment can't spoil.
//!
//! The bytes go to a hidden temporary file in the folder of the target, which is synced and then renamed over the
//! target. A name that is a symbolic link is replaced by a file, not written through.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// How names of temporary files begin; `<process id>-<count>` stands between the two affixes.
const PREFIX: &str = ".tweedie-";
/// How names of temporary files end.
const SUFFIX: &str = ".tmp";

/// Writes `bytes` to `path`, replacing what was there.
///
/// # Errors
/// As [`write_with`].
///
/// # Example
/// ```
/// # let folder = std::env::temp_dir();
/// # let path = folder.join(format!("tweedie-doc-{}", std::process::id()));
/// tweedie_host::atomic_file::write(&path, b"whole or not at all")?;
/// assert_eq!(std::fs::read(&path)?, b"whole or not at all");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Writes to `path` what `fill` writes, replacing what was there.
///
/// # Errors
/// Whatever `fill` returns, or what the system says when the temporary file can't be made, written, synced or renamed:
/// `path` is then as it was, and the temporary file is gone. The message names `path`; the kind is the system's. Only
/// a folder that can't be synced (after the rename) leaves the new file in place and is an error all the same: the file
/// is whole, but a power cut may bring back the old one.
pub fn write_with<F>(path: &Path, fill: F) -> io::Result<()>
where
    F: FnOnce(&mut BufWriter<File>) -> io::Result<()>,
{
    replace(path, fill)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display())))
}

fn replace<F>(path: &Path, fill: F) -> io::Result<()>
where
    F: FnOnce(&mut BufWriter<File>) -> io::Result<()>,
{
    if path.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = Temporary::in_folder(folder);
    let mut writer = BufWriter::new(File::create(&temporary.path)?);
    fill(&mut writer)?;
    let file = writer.into_inner().map_err(|error| error.into_error())?;
    file.sync_all()?;
    // Windows does not rename a file that is open.
    drop(file);
    temporary.rename_to(path)?;
    sync_folder(folder)
}

/// A temporary file that is removed unless it is renamed, also when the writer panics.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn in_folder(folder: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { path: folder.join(format!("{PREFIX}{}-{count}{SUFFIX}", process::id())) }
    }

    fn rename_to(self, path: &Path) -> io::Result<()> {
        // After a rename there is nothing of this name left, so the removal on drop does nothing.
        fs::rename(&self.path, path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nobody is left to tell, and `clean_temporaries` comes round later.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems know no such call.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Removes the temporary files that killed runs left in `folder` and says how many; a missing folder has none.
///
/// Call it before this process writes into `folder`: its own files count as left over, since a process in a container
/// often has the id of the run before it. Files of other processes that are alive are kept (where `/proc` tells);
/// elsewhere no other process should be writing into `folder`. Subfolders are not looked at.
///
/// # Errors
/// What the system says when the folder can't be read or a file can't be removed.
pub fn clean_temporaries(folder: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let Some(process_id) = entry.file_name().to_str().and_then(writer_of) else { continue };
        let in_use = process_id != process::id() && Path::new("/proc").join(process_id.to_string()).exists();
        if in_use || !entry.file_type()?.is_file() {
            continue;
        }
        fs::remove_file(entry.path())?;
        removed += 1;
    }
    Ok(removed)
}

/// The id of the process that made the temporary file `name`; `None` if the name is not one of ours.
fn writer_of(name: &str) -> Option<u32> {
    let (process_id, count) = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.split_once('-')?;
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(process_id) || !all_digits(count) || count.is_empty() {
        return None;
    }
    process_id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_content_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"a long first content").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn writes_to_a_hidden_file_of_this_process_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_with(&path, |file| {
            file.write_all(b"x")?;
            let names = names(folder.path());
            assert_eq!(names.len(), 1);
            assert_eq!(writer_of(&names[0]), Some(process::id()));
            Ok(())
        })
        .unwrap();
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn an_error_leaves_the_old_content_and_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |file| {
            file.write_all(b"half of the new")?;
            file.flush()?;
            Err(io::Error::new(io::ErrorKind::StorageFull, "no room"))
        })
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(error.to_string(), format!("cannot write {}: no room", path.display()));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_panic_leaves_the_old_content_and_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        let result = std::panic::catch_unwind(|| write_with(&path, |_| panic!("on purpose")));
        assert!(result.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_target_that_cannot_be_replaced_leaves_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"").unwrap();
        assert!(write(&path, b"new").is_err());
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(write(Path::new(".."), b"new").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let missing = write(&folder.path().join("no/such/a"), b"new").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn cleaning_removes_only_what_dead_runs_left() {
        let folder = tempfile::tempdir().unwrap();
        let own = format!(".tweedie-{}-7.tmp", process::id());
        // No system hands out ids as high as the second one.
        for name in [own.as_str(), ".tweedie-4294967295-0.tmp", ".tweedie-x-0.tmp", ".tweedie-1-.tmp", "model.tmp", "a"]
        {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        fs::create_dir(folder.path().join(".tweedie-4294967295-1.tmp")).unwrap();
        assert_eq!(clean_temporaries(folder.path()).unwrap(), 2);
        assert_eq!(
            names(folder.path()),
            [".tweedie-1-.tmp", ".tweedie-4294967295-1.tmp", ".tweedie-x-0.tmp", "a", "model.tmp"]
        );
        assert_eq!(clean_temporaries(&folder.path().join("missing")).unwrap(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn cleaning_keeps_files_of_running_processes() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!(".tweedie-{}-0.tmp", std::os::unix::process::parent_id());
        fs::write(folder.path().join(&name), b"").unwrap();
        assert_eq!(clean_temporaries(folder.path()).unwrap(), 0);
        assert_eq!(names(folder.path()), [name]);
    }
}
