//! `scheduler_config.json`, in which diffusers keeps a sampler: read, turned into a plan with the same timesteps and coefficients, and written.
//!
//! A key that asks for something that is not done here is named in an error; a key of another class, or one that is switched off (`null`,
//! `false`, or the default), is kept and does nothing, as in the library.

mod edm;
mod flow;
mod keys;
mod plan;
mod sigmas;
mod solve;
mod write;

pub use keys::Class;
pub use plan::Scheduled;

use crate::atomic_file;
use crate::error::Error;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// A scheduler's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerConfig {
    class: Class,
    /// Every key but those that begin with an underscore.
    values: Map<String, Value>,
    /// What errors call it.
    name: PathBuf,
}

impl SchedulerConfig {
    /// Reads a file; or of a folder `scheduler_config.json`, in it or, as in a pipeline, in its folder `scheduler`.
    ///
    /// # Errors
    /// A file that cannot be read, and those of [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, Error> {
        let inside = path.join("scheduler/scheduler_config.json");
        let file = match (path.is_dir(), inside.is_file()) {
            (false, _) => path.to_owned(),
            (true, true) => inside,
            (true, false) => path.join("scheduler_config.json"),
        };
        let text = std::fs::read_to_string(&file).map_err(Error::file(&file, "read it"))?;
        Self::parse(&file, &text)
    }

    /// Reads JSON; `name` stands in error messages.
    ///
    /// # Errors
    /// Text that is not JSON, a class or a key that is not known, or a key that asks for what is not done.
    pub fn parse(name: &Path, text: &str) -> Result<Self, Error> {
        let fail = |reason: String| Error::Scheduler { file: name.to_owned(), reason };
        // Python writes infinities, which JSON does not have; the one that occurs is a default.
        let text = text.replace("-Infinity", "null");
        let mut values: Map<String, Value> = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        let class = match values.get("_class_name") {
            Some(Value::String(class)) => class.clone(),
            _ => return Err(fail("there is no _class_name, so it is no scheduler's configuration".to_owned())),
        };
        let known = Class::ALL.iter().find(|known| known.name() == class);
        let Some(&class) = known else {
            let known: Vec<&str> = Class::ALL.iter().map(|known| known.name()).collect();
            return Err(fail(format!("the class {class} has no counterpart here; these have: {}", known.join(", "))));
        };
        values.retain(|key, _| !key.starts_with('_'));
        let config = Self { class, values, name: name.to_owned() };
        config.check_keys()?;
        Ok(config)
    }

    /// The scheduler's class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// As JSON, the way diffusers writes it.
    pub fn to_json(&self) -> String {
        let mut values = self.values.clone();
        values.insert("_class_name".to_owned(), self.class.name().into());
        format!("{:#}\n", Value::Object(values))
    }

    /// Writes `scheduler_config.json` into a folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        atomic_file::write(&folder.join("scheduler_config.json"), self.to_json().as_bytes()).map_err(Error::Write)
    }
}
