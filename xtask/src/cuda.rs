//! NVIDIA's toolkit: whether it is here, and `cargo xtask check-cuda`, which compiles for it on machines without a GPU.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::cargo::cargo;
use crate::cli::{UsageError, is_help};
use crate::host::target_dir;
use crate::setup::find_on_path;

const HELP: &str = "\
Compile what runs on NVIDIA GPUs, which needs NVIDIA's compiler and no GPU: the host with --features cuda,
and this project's own kernels, which are compiled for the processor as well and compared with it there,
bit for bit. The first time takes minutes, most of them for the tensor library's kernels.

Usage: cargo xtask check-cuda

The compiler is that of CUDA_HOME, of the PATH or of /usr/local/cuda. Where there is none, Python's pip
installs it below the target directory. CUDA_COMPUTE_CAP chooses a GPU, such as 86; 90 without one.
Metal is checked on macOS alone: cargo check -p tweedie-host --features metal

Example:
  cargo xtask check-cuda
";

/// What pip calls the parts of the toolkit that are needed to compile.
const WHEELS: [&str; 8] = [
    "nvidia-cuda-nvcc==13.0.*",
    "nvidia-cuda-runtime==13.0.*",
    "nvidia-cuda-cccl==13.0.*",
    "nvidia-cuda-crt==13.0.*",
    "nvidia-cuda-nvrtc==13.0.*",
    "nvidia-nvvm==13.0.*",
    "nvidia-cublas==13.0.*",
    "nvidia-curand",
];
/// Where they go, in the packages of a Python.
const WHEELS_HOME: &str = "nvidia/cu13";
/// The GPU that is compiled for where there is none: that of an H100.
const COMPUTE_CAP: &str = "90";

/// The command.
pub fn main(arguments: &[OsString]) -> Result<ExitCode, UsageError> {
    match arguments {
        [] => {}
        [only] if is_help(only) => {
            print!("{HELP}");
            return Ok(ExitCode::SUCCESS);
        }
        [first, ..] => {
            let first = first.to_string_lossy();
            return Err(UsageError(format!("check-cuda does not know `{first}`: it takes no arguments.")));
        }
    }
    let toolkit = match Toolkit::find() {
        Some(toolkit) => toolkit,
        None => Toolkit::install(&target_dir().join("cuda-toolkit")).map_err(UsageError)?,
    };
    println!("compiling with {}", toolkit.nvcc().display());
    let mut check = cargo();
    check.args(["check", "--release", "-p", "tweedie-host", "--lib", "--bins", "--features", "cuda"]);
    toolkit.lend(&mut check);
    // Linking needs a driver, so the kernels' tests are those of a build without the feature.
    let mut test = cargo();
    test.args(["test", "--release", "-p", "tweedie-host", "-p", "tweedie-twin", "--lib", "--", "cuda::"]);
    test.env("NVCC", toolkit.nvcc());
    for command in [&mut check, &mut test] {
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(_) => return Ok(ExitCode::FAILURE),
            Err(error) => return Err(UsageError(format!("cargo cannot be started: {error}."))),
        }
    }
    println!("what runs on NVIDIA GPUs compiles, and its kernels agree with the processor.");
    Ok(ExitCode::SUCCESS)
}

/// An installed toolkit.
#[derive(Debug, PartialEq, Eq)]
pub struct Toolkit {
    home: PathBuf,
}

impl Toolkit {
    /// The toolkit of this machine, if there is one.
    pub fn find() -> Option<Self> {
        let named = ["CUDA_HOME", "CUDA_PATH"].iter().filter_map(std::env::var_os).map(PathBuf::from);
        let on_path = find_on_path("nvcc").and_then(|nvcc| nvcc.canonicalize().ok());
        let on_path = on_path.and_then(|nvcc| Some(nvcc.parent()?.parent()?.to_owned()));
        Self::among(named.chain(on_path).chain(["/usr/local/cuda".into()]))
    }

    /// The first of these folders that holds a compiler.
    fn among(homes: impl Iterator<Item = PathBuf>) -> Option<Self> {
        homes.map(|home| Self { home }).find(|toolkit| toolkit.nvcc().is_file())
    }

    /// Installs what compiling needs into a virtual environment, unless it is there from an earlier call.
    fn install(folder: &Path) -> Result<Self, String> {
        if let Some(toolkit) = Self::in_environment(folder) {
            return Ok(toolkit);
        }
        let Some(python) = find_on_path("python3").or_else(|| find_on_path("python")) else {
            return Err("neither a CUDA toolkit nor Python, which could install one, is on the PATH: install either, or set CUDA_HOME.".to_owned());
        };
        eprintln!("installing NVIDIA's compiler into {}", folder.display());
        let environment = Command::new(&python).args(["-m", "venv"]).arg(folder).stdout(Stdio::null()).status();
        if !environment.is_ok_and(|status| status.success()) {
            return Err(format!(
                "{} cannot make a virtual environment: install its modules venv and pip, or a CUDA toolkit.",
                python.display()
            ));
        }
        let scripts = if cfg!(windows) { "Scripts" } else { "bin" };
        let own_python = folder.join(scripts).join(format!("python{}", std::env::consts::EXE_SUFFIX));
        let installed = Command::new(own_python).args(["-m", "pip", "install", "--quiet"]).args(WHEELS).status();
        if !installed.is_ok_and(|status| status.success()) {
            return Err(
                "pip could not install NVIDIA's compiler; its message is above. Install a CUDA toolkit instead.".into(),
            );
        }
        Self::in_environment(folder)
            .ok_or_else(|| format!("pip installed NVIDIA's compiler, but it is not below {}.", folder.display()))
    }

    /// The toolkit that pip put into a virtual environment: below `lib/python3.N/site-packages` or `Lib/site-packages`.
    fn in_environment(folder: &Path) -> Option<Self> {
        let versions = std::fs::read_dir(folder.join("lib")).into_iter().flatten().flatten();
        let libraries = versions.map(|version| version.path()).chain([folder.join("Lib")]);
        Self::among(libraries.map(|library| library.join("site-packages").join(WHEELS_HOME)))
    }

    /// NVIDIA's compiler.
    fn nvcc(&self) -> PathBuf {
        self.home.join("bin").join(format!("nvcc{}", std::env::consts::EXE_SUFFIX))
    }

    /// Tells a build where the toolkit is.
    pub fn lend(&self, build: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [self.home.join("bin")].into_iter().chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(folders) {
            build.env("PATH", path);
        }
        build.env("CUDA_HOME", &self.home);
        if std::env::var_os("CUDA_COMPUTE_CAP").is_none() && !has_driver() {
            build.env("CUDA_COMPUTE_CAP", COMPUTE_CAP);
        }
    }
}

/// Whether NVIDIA's driver is on this machine.
pub fn has_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").is_file() || find_on_path("nvidia-smi").is_some()
}

/// The toolkit to build for the GPU of this machine with; the error is one sentence that says what is missing.
pub fn ready() -> Result<Toolkit, &'static str> {
    match (Toolkit::find(), has_driver()) {
        (Some(toolkit), true) => Ok(toolkit),
        (None, true) => {
            Err("NVIDIA's driver is here but its compiler is not: install the CUDA toolkit, or set CUDA_HOME to it")
        }
        (_, false) => Err("there is no NVIDIA driver on this machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolkit_is_where_its_compiler_is() {
        let folder = std::env::temp_dir().join(format!("tweedie-toolkit-{}", std::process::id()));
        let home = folder.join("lib/python3.9/site-packages").join(WHEELS_HOME);
        std::fs::create_dir_all(home.join("bin")).unwrap();
        assert_eq!(Toolkit::in_environment(&folder), None);
        let toolkit = Toolkit { home: home.clone() };
        std::fs::write(toolkit.nvcc(), "").unwrap();
        assert_eq!(Toolkit::in_environment(&folder), Some(toolkit));
        assert_eq!(Toolkit::among([folder.clone(), home.clone()].into_iter()), Some(Toolkit { home: home.clone() }));

        let mut build = Command::new("true");
        Toolkit { home: home.clone() }.lend(&mut build);
        let lent = |name: &str| build.get_envs().find(|(key, _)| *key == name).and_then(|(_, value)| value);
        assert_eq!(lent("CUDA_HOME"), Some(home.as_os_str()));
        assert!(std::env::split_paths(lent("PATH").unwrap()).next().unwrap().ends_with("bin"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn an_argument_is_refused_in_one_sentence() {
        let UsageError(sentence) = main(&["--fast".into()]).unwrap_err();
        assert_eq!(sentence, "check-cuda does not know `--fast`: it takes no arguments.");
    }
}
