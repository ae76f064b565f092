//! `bench.json`: what has been measured so far. Each kind of measurement replaces its own keys and leaves the others' as they are.

use crate::atomic_file;
use crate::error::Error;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Leaves what was measured, an object, in a folder's `bench.json`, and returns that file's path. A file that is no object is replaced.
///
/// # Errors
/// [`Error::File`] for a folder that cannot be made or a file that cannot be read, [`Error::Write`] for one that cannot be written.
pub fn leave(folder: &Path, measured: &Value) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder, "make the folder"))?;
    let file = folder.join("bench.json");
    let before = match std::fs::read(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(Error::file(&file, "read"))?,
    };
    let mut all = match serde_json::from_slice(&before) {
        Ok(Value::Object(all)) => all,
        _ => serde_json::Map::new(),
    };
    all.extend(measured.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    let text = format!("{:#}\n", Value::Object(all));
    atomic_file::write(&file, text.as_bytes()).map_err(Error::Write)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_measurement_keeps_the_others() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("runs/bench");
        let read = || serde_json::from_slice::<Value>(&std::fs::read(folder.join("bench.json")).unwrap()).unwrap();
        leave(&folder, &json!({ "threads": 2, "steps": 200 })).unwrap();
        leave(&folder, &json!({ "kernels": [1] })).unwrap();
        let file = leave(&folder, &json!({ "threads": 1, "steps": 100 })).unwrap();
        assert_eq!(read(), json!({ "threads": 1, "steps": 100, "kernels": [1] }));
        // What a killed editor may have left.
        std::fs::write(&file, "[").unwrap();
        leave(&folder, &json!({ "kernels": [2] })).unwrap();
        assert_eq!(read(), json!({ "kernels": [2] }));
        // A file in the place of the folder.
        let refused = leave(&file, &json!({})).unwrap_err().to_string();
        assert!(refused.contains("bench.json"), "{refused}");
    }
}
