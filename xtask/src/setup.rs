//! `cargo xtask setup`: install what the tests and the emulated boards need and this machine lacks.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::cargo::{cargo, root};
use crate::cli::{UsageError, is_help};
use crate::machines::MACHINES;

const HELP: &str = "\
Install what is missing: the Rust components and targets of rust-toolchain.toml, and QEMU for the
emulated microcontrollers. `train` and `sample` need none of it; `test` calls it by itself.

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
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(name) => write!(f, "the Rust component {name}"),
            Self::Target(name) => write!(f, "the Rust target {name}"),
            Self::Qemu => write!(f, "{QEMU}"),
        }
    }
}

/// The command.
pub fn main(arguments: &[OsString]) -> Result<ExitCode, UsageError> {
    match arguments {
        [] => Ok(match install_missing() {
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
            let missing = missing();
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
            Missing::Qemu => install_qemu()?,
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

/// A package manager, the commands that install QEMU with it, and whether they need root.
struct Installer {
    program: &'static str,
    commands: &'static [&'static [&'static str]],
    needs_root: bool,
}

const INSTALLERS: &[Installer] = &[
    Installer {
        program: "apt-get",
        commands: &[&["update"], &["install", "-y", "--no-install-recommends", QEMU]],
        needs_root: true,
    },
    Installer { program: "dnf", commands: &[&["install", "-y", QEMU]], needs_root: true },
    Installer { program: "pacman", commands: &[&["-S", "--needed", "--noconfirm", QEMU]], needs_root: true },
    Installer { program: "brew", commands: &[&["install", "qemu"]], needs_root: false },
    Installer {
        program: "winget",
        commands: &[&["install", "--exact", "--id", "SoftwareFreedomConservancy.QEMU"]],
        needs_root: false,
    },
];

fn install_qemu() -> Result<(), String> {
    let installer = INSTALLERS.iter().find(|installer| find_on_path(installer.program).is_some()).ok_or_else(|| {
        format!("{QEMU} is missing and no known package manager was found: install QEMU for Arm by hand.")
    })?;
    let elevate = installer.needs_root && !is_root();
    if elevate && find_on_path("sudo").is_none() {
        let last = installer.commands.last().map(|command| command.join(" ")).unwrap_or_default();
        return Err(format!("{QEMU} is missing: as root, run `{} {last}`.", installer.program));
    }
    for arguments in installer.commands {
        let mut command = Command::new(if elevate { "sudo" } else { installer.program });
        if elevate {
            command.arg(installer.program);
        }
        let succeeded = command.args(*arguments).status().is_ok_and(|status| status.success());
        // A stale package list may still do; a failed installation may not.
        if !succeeded && *arguments != ["update"] {
            return Err(format!("`{} {}` failed: install {QEMU} by hand.", installer.program, arguments.join(" ")));
        }
    }
    Ok(())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A program on the PATH.
pub fn find_on_path(program: &str) -> Option<PathBuf> {
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
