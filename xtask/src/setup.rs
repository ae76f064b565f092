//! `cargo xtask setup`: install what the tests and the emulated boards need and this machine lacks.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::cargo::{cargo, root};
use crate::cli::{UsageError, is_help};
use crate::machines::MACHINES;

const HELP: &str = "\
Install what is missing: the Rust components and targets of rust-toolchain.toml, QEMU for the emulated
microcontrollers, and on Linux a Vulkan driver in software for --device wgpu where there is no other. `train`
and `sample` need none of it; `test` calls it by itself, but for the driver.

Usage: cargo xtask setup [--check]

Options:
  --check   say what is missing and install nothing (exit status 1 if anything is)

Example:
  cargo xtask setup --check
";

/// The emulator of every board under `firmware/boards/emulated`.
const QEMU: &str = "qemu-system-arm";

/// One thing that is not there.
#[derive(Debug, PartialEq, Eq)]
enum Missing {
    Component(String),
    Target(String),
    Qemu,
    Vulkan,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(name) => write!(f, "the Rust component {name}"),
            Self::Target(name) => write!(f, "the Rust target {name}"),
            Self::Qemu => write!(f, "{QEMU}"),
            Self::Vulkan => write!(f, "a Vulkan driver, which --device wgpu and its tests alone need"),
        }
    }
}

/// The command.
pub fn main(arguments: &[OsString]) -> Result<ExitCode, UsageError> {
    match arguments {
        [] => Ok(match install_missing().and_then(|()| install_vulkan()) {
            Ok(()) => {
                println!("everything is installed.");
                ExitCode::SUCCESS
            }
            Err(sentence) => {
                eprintln!("{sentence}");
                ExitCode::FAILURE
            }
        }),
        [only] if is_help(only) => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        [only] if only == "--check" => {
            let mut missing = missing();
            missing.extend((!has_vulkan()).then_some(Missing::Vulkan));
            for what in &missing {
                println!("missing: {what}");
            }
            if missing.is_empty() {
                println!("nothing is missing.");
                return Ok(ExitCode::SUCCESS);
            }
            Ok(ExitCode::FAILURE)
        }
        [first, ..] => {
            Err(UsageError(format!("setup does not know `{}`: it takes --check or nothing.", first.to_string_lossy())))
        }
    }
}

/// Installs what is missing; the error is one sentence that says what to do by hand.
pub fn install_missing() -> Result<(), String> {
    for what in missing() {
        eprintln!("installing {what}");
        match &what {
            Missing::Component(name) => rustup(&["component", "add", name])?,
            Missing::Target(name) => rustup(&["target", "add", name])?,
            Missing::Qemu => install(QEMU, |installer| Some(installer.qemu))?,
            // It is asked for by `setup` alone.
            Missing::Vulkan => {}
        }
    }
    match missing().first() {
        None => Ok(()),
        Some(Missing::Qemu) => Err(format!(
            "{QEMU} was installed but is not on the PATH: add the folder it went to, then open a new terminal."
        )),
        Some(what) => Err(format!("{what} is still missing although its installation reported success.")),
    }
}

fn missing() -> Vec<Missing> {
    let toolchain = std::fs::read_to_string(root().join("rust-toolchain.toml")).unwrap_or_default();
    let components = string_array(&toolchain, "components");
    let mut targets = string_array(&toolchain, "targets");
    targets.extend(MACHINES.iter().map(|machine| machine.target.to_string()));
    targets.sort();
    targets.dedup();

    let components = components.into_iter().filter(|name| !has_component(name)).map(Missing::Component);
    let targets = targets.into_iter().filter(|name| !has_target(name)).map(Missing::Target);
    let qemu = find_on_path(QEMU).is_none().then_some(Missing::Qemu);
    components.chain(targets).chain(qemu).collect()
}

/// The strings of `key = ["a", "b"]`, which is all the TOML that rust-toolchain.toml has.
fn string_array(toml: &str, key: &str) -> Vec<String> {
    let uncommented: Vec<_> = toml.lines().map(|line| line.split('#').next().unwrap_or("")).collect();
    let text = uncommented.join("\n");
    let value = text.split_once(&format!("\n{key}")).map(|(_, after)| after.trim_start());
    let list = value.and_then(|value| value.strip_prefix('=')?.trim_start().strip_prefix('[')?.split(']').next());
    list.map_or_else(Vec::new, |list| list.split('"').skip(1).step_by(2).map(str::to_string).collect())
}

fn has_component(name: &str) -> bool {
    // A component is asked for by the cargo command that it brings.
    let subcommand = match name {
        "rustfmt" => "fmt",
        other => other,
    };
    succeeds(cargo().args([subcommand, "--version"]))
}

fn has_target(name: &str) -> bool {
    // Asks the compiler, not rustup, so that a Rust from a distribution will do.
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.current_dir(root()).args(["--print", "target-libdir", "--target", name]);
    let Ok(output) = rustc.stderr(Stdio::null()).output() else { return false };
    Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
}

fn rustup(arguments: &[&str]) -> Result<(), String> {
    let line = format!("rustup {}", arguments.join(" "));
    match Command::new("rustup").current_dir(root()).args(arguments).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("`{line}` failed; its message is above.")),
        Err(_) => Err(format!("rustup is not installed: install it, or make `{line}` unnecessary by other means.")),
    }
}

/// Installs a Vulkan driver in software where there is none.
fn install_vulkan() -> Result<(), String> {
    if has_vulkan() {
        return Ok(());
    }
    eprintln!("installing {}", Missing::Vulkan);
    install("a Vulkan driver", |installer| installer.vulkan)
}

/// Whether there is a Vulkan driver, or something in its place: elsewhere than on Linux it comes with the system.
fn has_vulkan() -> bool {
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().filter_map(std::env::var_os);
    let named = named.flat_map(|files| std::env::split_paths(&files).collect::<Vec<_>>()).any(|file| file.exists());
    let folders = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let holds_any = |folder: &&str| std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    !cfg!(target_os = "linux") || named || folders.iter().any(holds_any)
}

/// A package manager: what comes before an installation, what installs, the packages, and whether it needs root.
struct Installer {
    program: &'static str,
    before: Option<&'static str>,
    install: &'static [&'static str],
    qemu: &'static str,
    vulkan: Option<&'static str>,
    needs_root: bool,
}

const INSTALLERS: &[Installer] = &[
    Installer {
        program: "apt-get",
        before: Some("update"),
        install: &["install", "-y", "--no-install-recommends"],
        qemu: QEMU,
        vulkan: Some("mesa-vulkan-drivers"),
        needs_root: true,
    },
    Installer {
        program: "dnf",
        before: None,
        install: &["install", "-y"],
        qemu: QEMU,
        vulkan: Some("mesa-vulkan-drivers"),
        needs_root: true,
    },
    Installer {
        program: "pacman",
        before: None,
        install: &["-S", "--needed", "--noconfirm"],
        qemu: QEMU,
        vulkan: Some("vulkan-swrast"),
        needs_root: true,
    },
    Installer { program: "brew", before: None, install: &["install"], qemu: "qemu", vulkan: None, needs_root: false },
    Installer {
        program: "winget",
        before: None,
        install: &["install", "--exact", "--id"],
        qemu: "SoftwareFreedomConservancy.QEMU",
        vulkan: None,
        needs_root: false,
    },
];

/// Installs the package that the system's package manager has for `what`.
fn install(what: &str, package: impl Fn(&Installer) -> Option<&'static str>) -> Result<(), String> {
    let known = |installer: &&Installer| package(installer).is_some() && find_on_path(installer.program).is_some();
    let found = INSTALLERS.iter().find(known).and_then(|installer| Some((installer, package(installer)?)));
    let Some((installer, package)) = found else {
        return Err(format!("{what} is missing and no known package manager was found: install it by hand."));
    };
    let elevate = installer.needs_root && !is_root();
    let line = format!("{} {} {package}", installer.program, installer.install.join(" "));
    if elevate && find_on_path("sudo").is_none() {
        return Err(format!("{what} is missing: as root, run `{line}`."));
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(if elevate { "sudo" } else { installer.program });
        if elevate {
            command.arg(installer.program);
        }
        command.args(arguments).status().is_ok_and(|status| status.success())
    };
    // A stale package list may still do; a failed installation may not.
    if let Some(before) = installer.before {
        run(&[before]);
    }
    match run(&[installer.install, &[package]].concat()) {
        true => Ok(()),
        false => Err(format!("`{line}` failed: install {what} by hand.")),
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn find_on_path(program: &str) -> Option<PathBuf> {
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(&file)).find(|file| file.is_file())
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_lists_of_rust_toolchain_toml() {
        let toml =
            "[toolchain]\nchannel = \"1.0\" # \"x\"\ntargets = [\n  \"a\", # not \"c\"\n  \"b\",\n]\ncomponents=[]";
        assert_eq!(string_array(toml, "targets"), ["a", "b"]);
        assert!(string_array(toml, "components").is_empty());
        assert!(string_array(toml, "profile").is_empty());
        let ours = std::fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
        assert!(string_array(&ours, "targets").contains(&"thumbv6m-none-eabi".to_string()));
        assert_eq!(string_array(&ours, "components"), ["rustfmt", "clippy"]);
    }

    #[test]
    fn an_unknown_argument_is_one_sentence() {
        let UsageError(sentence) = main(&["--chek".into()]).unwrap_err();
        assert_eq!(sentence, "setup does not know `--chek`: it takes --check or nothing.");
    }

    #[test]
    fn a_target_that_cannot_exist_is_missing() {
        assert!(!has_target("no-such-target"));
    }
}
