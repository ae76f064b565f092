// The artifact named by `TWEEDIE_ARTIFACT`, as Rust source: `MODEL`, aligned words in flash, and `SCRATCH_WORDS`, the buffer it needs.
// Shared by the boards' build scripts.

use std::path::Path;
use std::{env, fs, io};

/// Writes `model.rs` into `out`. Without an artifact the model is empty, and the program says so when it runs.
pub fn write_source(out: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=TWEEDIE_ARTIFACT");
    let (expression, words, scratch) = match env::var("TWEEDIE_ARTIFACT") {
        Err(_) => ("[]".to_string(), 0, 0),
        Ok(path) => {
            println!("cargo::rerun-if-changed={path}");
            let bytes = fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
            let words: Vec<_> = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            let scratch = match tweedie_firmware::Model::parse(&words) {
                Ok(model) => model.scratch_words(),
                Err(error) => {
                    println!("cargo::error={path}: {error}");
                    0
                }
            };
            let copy = out.join("model.tweedie");
            fs::write(&copy, &bytes)?;
            (format!("tweedie_core::artifact::words(include_bytes!({copy:?}))"), words.len(), scratch)
        }
    };
    fs::write(
        out.join("model.rs"),
        format!(
            "/// The model, in flash.\n\
             pub static MODEL: [u32; {words}] = {expression};\n\
             /// Words of RAM that it needs.\n\
             pub const SCRATCH_WORDS: usize = {scratch};\n"
        ),
    )
}
