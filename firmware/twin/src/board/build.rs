//! Cargo's build of a board's program for one model and one chip.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fmt, fs, io};

use super::ModelFile;
use super::machines::Machine;

/// What to build.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// Folder below `firmware/boards`.
    pub board: &'static str,
    /// Who it is for: the name of the machine or chip, for messages and for the file.
    pub chip: String,
    /// The Rust target.
    pub target: &'static str,
    /// Whether the chip has DSP instructions of which the target says nothing.
    pub dsp: bool,
    /// What the board's build script wants to know.
    pub environment: Vec<(&'static str, OsString)>,
}

/// Why there is no program.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The chip is too small; bytes that are missing.
    DoesNotFit {
        /// The chip.
        chip: String,
        /// Bytes of flash missing.
        flash: u64,
        /// Bytes of RAM missing.
        ram: u64,
    },
    /// The compiler refused; its message has been shown.
    Compiler(String),
    /// Cargo could not be started, or its result not be found.
    Io(io::Error),
}

impl std::error::Error for BuildError {}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoesNotFit { chip, flash, ram } => {
                let missing = match (flash, ram) {
                    (0, ram) => format!("{ram} bytes of RAM are missing"),
                    (flash, 0) => format!("{flash} bytes of flash are missing"),
                    (flash, ram) => format!("{flash} bytes of flash and {ram} bytes of RAM are missing"),
                };
                write!(f, "the model does not fit {chip}: {missing}")
            }
            Self::Compiler(chip) => write!(f, "the program for {chip} does not build; the compiler's message is above"),
            Self::Io(error) => write!(f, "cannot build the board's program: {error}"),
        }
    }
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Build {
    /// For an emulated machine.
    pub fn emulated(machine: &Machine) -> Self {
        let Machine { name, chip, target, dsp, .. } = *machine;
        let environment = vec![("TWEEDIE_MACHINE", name.into())];
        Self { board: "emulated", chip: format!("{name} ({chip})"), target, dsp, environment }
    }

    /// Builds the program `sample` for a model, with the kinds of layers that it needs; returns a copy that later builds leave alone.
    ///
    /// # Errors
    /// [`BuildError`]: the chip is too small, or something is wrong with the installation.
    pub fn run(&self, model: &ModelFile) -> Result<PathBuf, BuildError> {
        let artifact = ("TWEEDIE_ARTIFACT", model.path.as_os_str().to_owned());
        self.cargo(
            "sample",
            &model.features(),
            &[artifact],
            &model.path.file_stem().unwrap_or_default().to_string_lossy(),
        )
    }

    /// Builds another of the board's programs, with these features of the board; returns a copy that later builds leave alone.
    ///
    /// # Errors
    /// As [`Build::run`].
    pub fn program(&self, name: &str, features: &[&str]) -> Result<PathBuf, BuildError> {
        self.cargo(name, features, &[], name)
    }

    /// Builds a program, and copies it under the chip's name and `label`.
    fn cargo(
        &self,
        program: &str,
        features: &[&str],
        environment: &[(&str, OsString)],
        label: &str,
    ) -> Result<PathBuf, BuildError> {
        let features: Vec<_> = features.iter().copied().chain(self.dsp.then_some("dsp")).collect();
        let target_dir = target_dir().join("boards").join(self.board);
        fs::create_dir_all(&target_dir)?;
        // Until the copy is made, another build must not take its place.
        let lock = fs::File::create(target_dir.join("lock"))?;
        lock.lock()?;
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .current_dir(super::boards().join(self.board))
            .args(["build", "--release", "--bin", program, "--target", self.target])
            .args(["--no-default-features", "--features", &features.join(",")])
            .args(["--config", &same_everywhere(self.target)])
            .env("CARGO_TARGET_DIR", &target_dir)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // Meant for the host, if they are set at all.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .stdin(Stdio::null());
        let output = cargo.output()?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            let (flash, ram) = (missing(&message, "FLASH"), missing(&message, "RAM"));
            if (flash, ram) != (0, 0) {
                return Err(BuildError::DoesNotFit { chip: self.chip.clone(), flash, ram });
            }
            eprintln!("{message}");
            return Err(BuildError::Compiler(self.chip.clone()));
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = format!("{}-{label}", self.chip).chars().map(plain).collect();
        let copy = target_dir.join(name);
        // Whole or not at all, since an earlier one may just be in use.
        let half = copy.with_extension("part");
        fs::copy(target_dir.join(self.target).join("release").join(program), &half)?;
        fs::rename(half, &copy)?;
        Ok(copy)
    }
}

/// A setting of cargo's that keeps folders of this machine out of the program, where panics would name them: it is then as large, and the same,
/// wherever it was built. Added to what `.cargo/config.toml` says of the target.
fn same_everywhere(target: &str) -> String {
    let cargo_home =
        env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let root = super::boards().canonicalize().ok().and_then(|boards| Some(boards.ancestors().nth(2)?.to_path_buf()));
    let folders = [(cargo_home, "cargo"), (root, "tweedie")];
    let flags = folders.into_iter().filter_map(|(folder, name)| {
        let folder = folder?;
        // Rust's quotes and escapes are TOML's, for what paths are made of.
        Some(format!("{:?}", format!("--remap-path-prefix={}={name}", folder.to_str()?)))
    });
    format!("target.{target}.rustflags=[{}]", flags.collect::<Vec<_>>().join(", "))
}

/// The folder that cargo builds into: the one that this program lies in, two levels up.
fn target_dir() -> PathBuf {
    let this = env::current_exe().unwrap_or_default();
    let from_cargo = env::var_os("CARGO_TARGET_DIR").and_then(|folder| std::path::absolute(folder).ok());
    from_cargo.or_else(|| this.ancestors().nth(2).map(Path::to_path_buf)).unwrap_or_else(|| "target".into())
}

/// How many bytes the linker says are missing in a region. It complains of each section, the last one most.
fn missing(message: &str, region: &str) -> u64 {
    let complaint = format!("will not fit in region '{region}': overflowed by ");
    let numbers = message.match_indices(&complaint).filter_map(|(at, found)| {
        let digits: String = message[at + found.len()..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    numbers.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_this_machine_become_names() {
        let setting = same_everywhere("thumbv6m-none-eabi");
        let flags =
            setting.strip_prefix("target.thumbv6m-none-eabi.rustflags=[").and_then(|rest| rest.strip_suffix(']'));
        assert_eq!(flags.expect(&setting).matches("--remap-path-prefix=").count(), 2, "{setting}");
        assert!(setting.contains("=tweedie\"") && setting.contains("=cargo\""), "{setting}");
    }

    #[test]
    fn reads_the_linkers_complaints() {
        let message = "rust-lld: error: section '.text' will not fit in region 'FLASH': overflowed by 12 bytes\n\
                       rust-lld: error: section '.rodata' will not fit in region 'FLASH': overflowed by 3456 bytes\n\
                       rust-lld: error: section '.bss' will not fit in region 'RAM': overflowed by 7 bytes";
        assert_eq!((missing(message, "FLASH"), missing(message, "RAM")), (3456, 7));
        assert_eq!(missing("error: linking failed", "FLASH"), 0);
        let error = BuildError::DoesNotFit { chip: "m0".into(), flash: 0, ram: 7 };
        assert_eq!(error.to_string(), "the model does not fit m0: 7 bytes of RAM are missing");
    }
}
