//! Commands of the host program, of its twin, which sees the firmware as well, and of the flasher: build the program, then become it.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::cargo::cargo;
use crate::cuda::{self, Toolkit};

/// A program that does the work of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Program {
    package: &'static str,
    name: &'static str,
    /// The manifest of a workspace of its own.
    manifest: Option<&'static str>,
}

/// Trains models and samples them.
const HOST: Program = Program { package: "tweedie-host", name: "tweedie", manifest: None };
/// Sees both models and the firmware library: makes artifacts and runs them.
const TWIN: Program = Program { package: "tweedie-twin", name: "tweedie-twin", manifest: None };
/// Knows real chips, by probe-rs, which takes minutes to build: apart, so that only who flashes a chip waits for it.
const FLASHER: Program =
    Program { package: "tweedie-flasher", name: "tweedie-flasher", manifest: Some("firmware/flasher/Cargo.toml") };

impl Program {
    /// Who does the work of a command: all that is about artifacts is the twin's.
    fn of(command: &str, arguments: &[OsString]) -> Self {
        match command {
            "export" | "run" => TWIN,
            "flash" => FLASHER,
            // Training is the host's, what runs on emulated chips the twin's.
            "bench" if arguments.iter().any(|argument| of_kernels(argument)) => TWIN,
            "sample" | "watch" if subject(arguments).is_some_and(|argument| is_artifact(Path::new(argument))) => TWIN,
            // The curve's subject is a preset, which may be a file too.
            "eval" if arguments.iter().any(|argument| argument == "--curve") => HOST,
            "eval" if subject(arguments).is_some_and(|argument| is_artifact(Path::new(argument))) => TWIN,
            _ => HOST,
        }
    }

    /// Whether a device's feature makes a difference to the program: on artifacts the twin works with integers, on the CPU or by wgpu.
    fn has(self, feature: &str) -> bool {
        self == HOST || (self == TWIN && matches!(feature, "wgpu" | "window"))
    }
}

/// Whether an option of `bench` is about device kernels.
fn of_kernels(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy();
    text == "--kernels" || text.split('=').next() == Some("--machine")
}

/// What samples are drawn of, or an evaluation is of: the one argument that no option takes. Data are files as well, so it has to be told from options' values.
fn subject(arguments: &[OsString]) -> Option<&OsString> {
    const WITHOUT_VALUE: [&str; 7] = ["--json", "--help", "-h", "--curve", "--resume", "--once", "--window"];
    let mut is_value = false;
    arguments.iter().find(|argument| {
        let text = argument.to_string_lossy();
        let is_option = text.starts_with('-');
        let is_subject = !is_option && !is_value;
        is_value = is_option && !text.contains('=') && !WITHOUT_VALUE.contains(&text.as_ref());
        is_subject
    })
}

/// Whether an argument names an artifact rather than a run folder: by what is there, or, where nothing is, by its name.
fn is_artifact(argument: &Path) -> bool {
    argument.is_file() || (!argument.is_dir() && argument.extension().is_some_and(|extension| extension == "tweedie"))
}

/// Builds the program for the command `name` and runs it with `arguments`, in the caller's directory.
pub fn run(name: &str, arguments: &[OsString]) -> ExitCode {
    let program = Program::of(name, arguments);
    let device = match name {
        // It lists what wgpu reaches.
        "devices" => Some("wgpu".to_owned()),
        _ => device_of(arguments),
    };
    // The others refuse it in words of their own.
    let device = device.filter(|device| program == HOST || (program == TWIN && device == "wgpu"));
    let accelerator = match device.as_deref().map(Accelerator::of).transpose() {
        Ok(accelerator) => accelerator.flatten().filter(|accelerator| program.has(accelerator.feature)),
        Err(sentence) => {
            eprintln!("error: {sentence}");
            return ExitCode::from(2);
        }
    };
    let window = (name == "watch" && arguments.iter().any(|argument| argument == "--window")).then_some("window");
    match build(program, accelerator.as_ref(), window) {
        Ok(code @ 1..) => return ExitCode::from(code),
        Ok(0) => {}
        Err(error) => {
            eprintln!("cannot start cargo to build {}: {error}.", program.package);
            return ExitCode::FAILURE;
        }
    }
    let path = executable(program);
    let mut command = Command::new(&path);
    command.arg(name).args(arguments);
    if accelerator.is_some_and(|accelerator| accelerator.feature == "wgpu")
        && std::env::var_os(NO_DEVICE_SELECT).is_none()
    {
        command.env(NO_DEVICE_SELECT, "1");
    }
    match replace_with(&mut command) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("cannot start {}: {error}.", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Leaves Mesa's layer out that puts the desktop's GPU first: adapters are ordered here, and without a desktop it complains on standard error.
const NO_DEVICE_SELECT: &str = "NODEVICE_SELECT";

/// What a build must have for a device other than the CPU.
#[derive(Debug)]
struct Accelerator {
    /// The cargo feature.
    feature: &'static str,
    /// Where NVIDIA's compiler is.
    toolkit: Option<Toolkit>,
}

impl Accelerator {
    /// What the device of that name needs. `auto` is what this machine has, and is said on standard error.
    ///
    /// # Errors
    /// One sentence for a device that this machine cannot build for.
    fn of(device: &str) -> Result<Option<Self>, String> {
        // `cuda:1` names the second GPU.
        match device.split(':').next().unwrap_or_default() {
            "cuda" => match cuda::ready() {
                Ok(toolkit) => Ok(Some(Self { feature: "cuda", toolkit: Some(toolkit) })),
                Err(reason) => Err(format!("--device {device}: {reason}")),
            },
            "metal" => Ok(Some(Self { feature: "metal", toolkit: None })),
            "wgpu" => Ok(Some(Self { feature: "wgpu", toolkit: None })),
            "auto" => Ok(Self::best()),
            _ => Ok(None),
        }
    }

    fn best() -> Option<Self> {
        if cfg!(target_os = "macos") {
            eprintln!("--device auto: building with metal");
            return Some(Self { feature: "metal", toolkit: None });
        }
        match cuda::ready() {
            Ok(toolkit) => {
                eprintln!("--device auto: building with cuda");
                Some(Self { feature: "cuda", toolkit: Some(toolkit) })
            }
            Err(reason) => {
                eprintln!("--device auto: building for the CPU, since {reason}");
                None
            }
        }
    }
}

/// The arguments' `--device`.
fn device_of(arguments: &[OsString]) -> Option<String> {
    let flag = arguments.iter().position(|argument| argument == "--device");
    let separate = flag.and_then(|at| arguments.get(at + 1)).map(|value| value.to_string_lossy());
    let joined = arguments.iter().find_map(|argument| {
        argument.to_string_lossy().strip_prefix("--device=").map(|value| value.to_string().into())
    });
    separate.or(joined).map(|device| device.into_owned())
}

/// Builds a program with cargo's progress in sight; returns cargo's exit status.
///
/// Cargo's closing "Finished" line is left out: every later call would print it, and a person who mistypes
/// an argument should read one sentence.
fn build(program: Program, accelerator: Option<&Accelerator>, window: Option<&'static str>) -> io::Result<u8> {
    let mut command = cargo();
    command.args(["build", "--release"]);
    match program.manifest {
        Some(_) => command.args(["-p", program.package]),
        // Always both: alone, each would resolve other features and build the tensor library anew.
        None => command.args(["-p", HOST.package, "-p", TWIN.package]),
    };
    if let Some(manifest) = program.manifest {
        command.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target_dir());
    }
    let toolkit = accelerator.and_then(|accelerator| accelerator.toolkit.as_ref());
    for feature in accelerator.map(|accelerator| accelerator.feature).into_iter().chain(window) {
        command.arg("--features").arg(format!("{}/{feature}", HOST.package));
        if TWIN.has(feature) {
            command.arg("--features").arg(format!("{}/{feature}", TWIN.package));
        }
    }
    if let Some(toolkit) = toolkit {
        toolkit.lend(&mut command);
    }
    if io::stderr().is_terminal() {
        let columns = std::env::var("COLUMNS").unwrap_or("80".into());
        command.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", columns);
        if std::env::var_os("NO_COLOR").is_none() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
            command.env("CARGO_TERM_COLOR", "always");
        }
    }
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    if let Some(progress) = child.stderr.take() {
        forward_progress(BufReader::new(progress), io::stderr().lock())?;
    }
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Clears a terminal's line from the cursor on.
const ERASE: &[u8] = b"\x1b[K";

/// Copies cargo's progress, which ends lines with `\n` and its moving bar with `\r`, but for "Finished".
fn forward_progress(mut from: impl BufRead, mut to: impl Write) -> io::Result<()> {
    let mut piece = Vec::new();
    let mut over_a_bar = false;
    loop {
        let available = from.fill_buf()?;
        if available.is_empty() {
            return to.write_all(&piece);
        }
        let end = available.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let taken = end.map_or(available.len(), |at| at + 1);
        piece.extend_from_slice(&available[..taken]);
        from.consume(taken);
        if end.is_none() {
            continue;
        }
        // Cargo sees a pipe, so it leaves the erasing of its bar to whoever shows it.
        if over_a_bar {
            to.write_all(ERASE)?;
        }
        if !is_finished_line(&piece) {
            to.write_all(&piece)?;
        }
        to.flush()?;
        over_a_bar = piece.ends_with(b"\r");
        piece.clear();
    }
}

fn is_finished_line(piece: &[u8]) -> bool {
    let text = String::from_utf8_lossy(piece);
    text.contains("Finished") && text.contains("`release` profile")
}

/// Where cargo puts a program: beside this one's folder, whatever the target directory.
fn executable(program: Program) -> PathBuf {
    let name = format!("{}{}", program.name, std::env::consts::EXE_SUFFIX);
    target_dir().join("release").join(OsStr::new(&name))
}

/// The folder that cargo builds into, from where this program lies.
pub fn target_dir() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    this.ancestors().nth(2).map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// Becomes the program: its signals and its exit status are then its own.
#[cfg(unix)]
fn replace_with(program: &mut Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(program.exec())
}

#[cfg(not(unix))]
fn replace_with(program: &mut Command) -> io::Result<ExitCode> {
    let status = program.status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(line: &str) -> Option<String> {
        device_of(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_device_is_found_among_the_arguments() {
        assert_eq!(device("digits --device cuda:1 --steps 3").as_deref(), Some("cuda:1"));
        assert_eq!(device("--device=metal").as_deref(), Some("metal"));
        assert_eq!(device("--device"), None);
        assert_eq!(device("--out cuda"), None);
    }

    #[test]
    fn the_device_chooses_the_feature() {
        let feature = |device: &str| Accelerator::of(device).unwrap().map(|accelerator| accelerator.feature);
        assert_eq!(feature("metal:1"), Some("metal"));
        assert_eq!(feature("wgpu"), Some("wgpu"));
        assert_eq!((feature("cpu"), feature("gpu")), (None, None));
        // What this machine has decides the others.
        match cuda::ready() {
            Ok(_) => assert_eq!((feature("cuda:1"), feature("auto")), (Some("cuda"), Some("cuda"))),
            Err(reason) => {
                let sentence = Accelerator::of("cuda:1").unwrap_err();
                assert_eq!(sentence, format!("--device cuda:1: {reason}"));
                assert_eq!(feature("auto"), cfg!(target_os = "macos").then_some("metal"));
            }
        }
    }

    #[test]
    fn artifacts_go_to_the_twin_and_folders_to_the_host() {
        let program =
            |command: &str, line: &str| Program::of(command, &line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(program("export", "runs/digits -o x.tweedie"), TWIN);
        assert_eq!(program("sample", "--count 3 nowhere.tweedie"), TWIN);
        assert_eq!(program("sample", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), TWIN);
        assert_eq!(program("sample", concat!(env!("CARGO_MANIFEST_DIR"), " --count 3")), HOST);
        assert_eq!(program("sample", "nowhere --help"), HOST);
        assert_eq!(program("watch", "--once nowhere.tweedie"), TWIN);
        assert_eq!(program("watch", "--window nowhere.tweedie --class 3"), TWIN);
        assert_eq!(program("watch", "runs/digits --once"), HOST);
        let conditions = concat!("runs/faces --conditions ", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(program("sample", conditions), HOST);
        assert_eq!(program("eval", "--seeds 3 --json nowhere.tweedie --run runs/digits"), TWIN);
        assert_eq!(program("eval", concat!("runs/digits --data ", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), HOST);
        assert_eq!(program("eval", concat!("--data=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml runs/digits")), HOST);
        assert_eq!(program("eval", "--help"), HOST);
        assert_eq!(program("eval", concat!("--curve ", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), HOST);
        assert_eq!(program("train", "digits"), HOST);
        assert_eq!(program("run", "x.tweedie"), TWIN);
        assert_eq!(program("bench", "--out there --kernels"), TWIN);
        assert_eq!(program("bench", "--machine=m4"), TWIN);
        assert_eq!(program("bench", "--rounds 3"), HOST);
        assert_eq!(program("flash", "x.tweedie --chip RP2040"), FLASHER);
    }

    #[test]
    fn progress_passes_but_for_its_last_line() {
        let cargo = "   Compiling a v1.0.0\n Building [=> ] 1/2\rwarning: b\n Building [==>] 2/2\r\
                     \x1b[92m    Finished\x1b[0m `release` profile [optimized] target(s) in 0.1s\nx";
        let mut seen = Vec::new();
        forward_progress(cargo.as_bytes(), &mut seen).unwrap();
        let seen = String::from_utf8(seen).unwrap();
        let expected = "   Compiling a v1.0.0\n Building [=> ] 1/2\r\x1b[Kwarning: b\n Building [==>] 2/2\r\x1b[Kx";
        assert_eq!(seen, expected);
    }
}
