//! Whatever a person gets wrong: one clear sentence on standard error, exit status 2, nothing written and nothing lost.

#![allow(missing_docs)]

mod program;

use program::{assert_same, names, outcome, small_training, start, succeed, tweedie};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Runs a command that must be refused by one sentence with every one of `culprits` in it.
#[track_caller]
fn refused(command: Command, culprits: &[&str]) -> String {
    complaint(command, culprits, 0)
}

/// As [`refused`], after `lines` lines of progress.
#[track_caller]
fn complaint(mut command: Command, culprits: &[&str], lines: usize) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.lines().take(lines).all(|line| !line.starts_with("error")), "{text}");
    let text = text.lines().skip(lines).map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(output.status.code(), Some(2), "{command:?}: {text}");
    assert!(output.stdout.is_empty(), "{command:?} printed {:?}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(text.lines().count(), 1, "more than one line: {text}");
    let sentence = text.trim_end_matches('\n').strip_prefix("error: ").expect(&text);
    for culprit in culprits {
        assert!(sentence.contains(culprit), "`{culprit}` is not in: {sentence}");
    }
    for noise in ["  ", "Some(", "Err(", "os error", "panicked", "Kind", "\\\"", "error:", "; ;"] {
        assert!(!sentence.contains(noise), "`{noise}` is in: {sentence}");
    }
    assert!(!sentence.ends_with([' ', '.', ';', ',', ':']), "a sentence that ends oddly: {sentence}");
    sentence.to_owned()
}

/// A folder of its own, and a run folder in it that must not come to be.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
        self.text(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// `train ARGUMENTS --out run` is refused, and there is no run folder.
    #[track_caller]
    fn training_refused(&self, arguments: &[&str], culprits: &[&str]) -> String {
        let out = self.text("run");
        let sentence = refused(tweedie(&[&["train"], arguments, &["--out", &out]].concat()), culprits);
        assert!(!self.path("run").exists(), "a run folder was made");
        sentence
    }

    /// A finished small run in `name`.
    fn trained(&self, name: &str, more: &[&str]) -> PathBuf {
        let run = self.path(name);
        succeed(small_training(&run, &[&["--steps", "5"], more].concat()));
        run
    }
}

#[test]
fn presets() {
    let place = Place::new();
    place.training_refused(&["digit"], &["digit: no such preset or file", "did you mean `digits`?"]);
    place.training_refused(&["no/such.toml"], &["no/such.toml: no such preset or file"]);
    for (name, text, culprits) in [
        ("key", "[training]\nbach = 3", ["[training] has no key `bach`", "did you mean `batch`?"]),
        ("section", "[trainig]\nbatch = 3", ["no section [trainig]", "did you mean `training`?"]),
        ("value", "[training]\nprediction = 'vv'", ["training.prediction: unknown value `vv`", "did you mean `v`?"]),
        ("schedule", "[process]\nschedule = 'trig'", ["process.schedule: unknown value `trig`", "`trigonometric`"]),
        ("type", "[training]\nbatch = 'many'", ["training.batch must be a whole number", "\"many\""]),
        ("float", "[training]\nsteps = 2.5", ["training.steps must be a whole number", "2.5"]),
        ("negative", "[training]\nsteps = -1", ["training.steps = -1", "negative"]),
        ("zero", "[training]\nsteps = 0", ["training.steps = 0", "at least 1"]),
        ("range", "[training]\nema = 1.5", ["training.ema = 1.5", "[0, 1]"]),
        ("nan", "[training]\nlearning_rate = nan", ["training.learning_rate = NaN", "above 0"]),
        ("huge", "[network]\nhidden = 1000000000000", ["network.hidden = 1000000000000", "at most"]),
        ("syntax", "[training]\nbatch = = 3", ["line 2", "toml"]),
        ("order", "[process]\nmin_time = 0.9\nmax_time = 0.5", ["process.min_time = 0.9", "below process.max_time"]),
        ("flat", "training = 3", ["training is a section", "[training]"]),
    ] {
        let file = place.file(&format!("{name}.toml"), text);
        let culprits: Vec<&str> = [file.as_str()].into_iter().chain(culprits).collect();
        place.training_refused(&[&file], &culprits);
        let sentence = place.training_refused(&[&file], &[]);
        assert!(sentence.starts_with(&file), "{sentence}");
    }
    place.training_refused(&["--set", "training.prediction=vv"], &["training.prediction", "`vv`", "did you mean `v`?"]);
    place.training_refused(&["--set", "batch=3"], &["--set batch=3", "section.key=value"]);
    place.training_refused(&["--set", "training.bach=3"], &["`bach`", "did you mean `batch`?"]);
    place.training_refused(
        &["--set", "process.sigma_max=-1", "--set", "process.schedule=variance-exploding"],
        &["sigma_max = -1"],
    );
    place.training_refused(&["--set", "process.beta_start=7", "--set", "process.schedule=chain"], &["beta_start = 7"]);
    let binary = place.file("binary.toml", [0xff, 0xfe, 0x00]);
    place.training_refused(&[&binary], &["binary.toml: cannot read it"]);
}

#[test]
fn data_sets() {
    let place = Place::new();
    place.training_refused(&["--data", "digist"], &["digist: no such file", "did you mean `digits`?"]);
    place.training_refused(&["mnist"], &["mnist: no such file or folder", "preset mnist", "--data"]);
    let missing = place.text("missing.npy");
    place.training_refused(&["--data", &missing], &["missing.npy: no such file"]);

    let header =
        |count: u32| [&[0, 0, 8, 3][..], &count.to_be_bytes(), &2_u32.to_be_bytes(), &2_u32.to_be_bytes()].concat();
    place.file("idx/train-images-idx3-ubyte", [header(100), vec![7; 399]].concat());
    place.training_refused(&["--data", &place.text("idx")], &["train-images-idx3-ubyte", "100 images", "415"]);
    place.file("cut/train-images-idx3-ubyte", &header(100)[..9]);
    place.training_refused(&["--data", &place.text("cut")], &["train-images-idx3-ubyte", "9"]);
    place.file("empty/train-images-idx3-ubyte", b"");
    place.training_refused(&["--data", &place.text("empty")], &["train-images-idx3-ubyte: the file is empty"]);

    let numbers = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    let nan = place.file("nan.npy", npy("<f4", "(2, 3)", &numbers(&[0.0, 0.1, 0.2, 0.3, f32::NAN, 0.5])));
    place.training_refused(&["--data", &nan], &["nan.npy", "sample 1, element 1", "NaN"]);
    for (name, label, found) in [("negative", -1_i64, "-1"), ("enormous", 1 << 40, "1099511627776")] {
        let array = place.file(&format!("{name}/samples.npy"), npy("<f4", "(2, 3)", &numbers(&[0.1; 6])));
        let labels = [0_i64, label].iter().flat_map(|l| l.to_le_bytes()).collect::<Vec<_>>();
        place.file(&format!("{name}/labels.npy"), npy("<i8", "(2,)", &labels));
        place.training_refused(&["--data", &array], &["labels.npy: sample 1", found]);
    }
    place.training_refused(&["--set", "training.batch=5000"], &["a batch of 5000", "1347 samples", "training.batch"]);
}

/// An array as NumPy writes it.
fn npy(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:117}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn command_lines() {
    let place = Place::new();
    place.training_refused(&["--steps", "0"], &["'0'", "--steps", "at least 1"]);
    place.training_refused(&["--steps", "many"], &["'many'", "--steps"]);
    place.training_refused(&["--setp", "5"], &["--setp"]);
    place.training_refused(&["--device", "gpu"], &["gpu", "cpu, cuda, metal, wgpu and auto"]);
    place.training_refused(&["--device", "cuda:x"], &["cuda:x"]);
    place.training_refused(&["--precision", "f8"], &["f8", "bf16"]);
    place.training_refused(&["digits-mixture", "--precision", "bf16"], &["must be f32 for a mixture"]);
    if !cfg!(feature = "cuda") {
        place.training_refused(&["--device", "cuda"], &["this build has no cuda", "--features cuda"]);
    }
    if !cfg!(feature = "metal") {
        place.training_refused(&["--device", "metal:1"], &["this build has no metal"]);
    }
    refused(tweedie(&["trian"]), &["trian"]);
    refused(tweedie::<&str>(&[]), &["train", "sample"]);
    refused(tweedie(&["bench", "--rounds", "0"]), &["--rounds"]);
}

#[test]
fn combinations_that_cannot_work_are_refused_before_training() {
    let place = Place::new();
    for (settings, culprits) in [
        (&["training.prediction=eps", "process.max_time=1"][..], &["eps", "process.max_time"][..]),
        (
            &["training.prediction=velocity", "process.schedule=variance-preserving", "process.max_time=1"],
            &["velocity", "process.max_time = 1"],
        ),
        (&["training.times=log-snr", "process.min_time=0"], &["log-snr", "process.min_time = 0"]),
        (&["sampling.spacing=trailing"], &["trailing", "process.schedule = chain"]),
        (&["sampling.spacing=linspace", "process.schedule=chain", "sampling.steps=1001"], &["linspace", "1001"]),
        (&["sampling.spacing=log-snr", "process.max_time=1"], &["log-snr spacing"]),
        (&["sampling.eta=2"], &["sampling.eta = 2", "[0, 1]"]),
        (&["sampling.guidance=nan"], &["sampling.guidance = NaN"]),
        (&["sampling.steps=100000000000"], &["sampling.steps = 100000000000"]),
    ] {
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        place.training_refused(&arguments, culprits);
    }
}

#[test]
fn run_folders() {
    let place = Place::new();
    let file = place.file("file", "precious");
    let below = format!("{file}/run");
    refused(small_training(Path::new(&below), &[]), &["file/run", "Not a directory"]);
    refused(small_training(Path::new(&file), &[]), &["file", "Not a directory"]);
    assert_eq!(fs::read(&file).unwrap(), b"precious");

    place.file("taken/thesis.txt", "precious");
    let taken = place.path("taken");
    refused(small_training(&taken, &[]), &["taken exists and is not overwritten", "--resume", "--out"]);
    refused(small_training(&taken, &["--resume"]), &["taken", "no config.toml", "leave out --resume"]);
    assert_eq!(names(&taken), ["thesis.txt"]);
    refused(small_training(&place.path("none"), &["--resume"]), &["none", "no config.toml"]);
    assert!(!place.path("none").exists());

    let run = place.trained("run", &[]);
    let before = outcome(&run);
    refused(small_training(&run, &["--steps", "5"]), &["run exists and is not overwritten"]);
    refused(small_training(&run, &["--steps", "6", "--resume"]), &["began with other settings", "config.toml"]);
    refused(small_training(&run, &["--steps", "5", "--seed", "1", "--resume"]), &["began with other settings"]);
    assert_same(&outcome(&run), &before, "after trainings that were refused");

    // Settings that were edited, a state that was damaged.
    let resume = |run: &Path| tweedie(&["train", "--resume", "--out", &run.display().to_string()]);
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    fs::write(run.join("config.toml"), config.replace("seed = 0", "seed = 1")).unwrap();
    refused(resume(&run), &["other settings than its config.toml says"]);
    fs::write(run.join("config.toml"), "[training]\nsteps =").unwrap();
    refused(resume(&run), &["config.toml", "line 2"]);
    fs::write(run.join("config.toml"), config).unwrap();
    let state = fs::read(run.join("state.safetensors")).unwrap();
    fs::write(run.join("state.safetensors"), &state[..state.len() - 1]).unwrap();
    refused(resume(&run), &["state.safetensors", "cut short"]);
    fs::write(run.join("state.safetensors"), &state).unwrap();
    succeed(resume(&run));
    assert_same(&outcome(&run), &before, "after all was put right");
}

#[test]
fn data_that_changed_are_not_resumed_on() {
    let place = Place::new();
    let table = |last: &str| format!("{}{last}\n", "0.1,0.2\n0.3,-0.4\n".repeat(40));
    let data = place.file("points.csv", table("0.5,0.5"));
    let run = place.trained("run", &["--data", &data]);
    place.file("points.csv", table("0.5,0.6"));
    refused(tweedie(&["train", "--resume", "--out", &run.display().to_string()]), &["the data have changed"]);
}

#[test]
fn a_folder_that_is_being_trained_into() {
    let place = Place::new();
    let run = place.path("run");
    let mut first = start(small_training(&run, &["--steps", "1000000"]));
    while !run.join("state.safetensors").is_file() {
        assert!(first.try_wait().unwrap().is_none(), "the first training ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    refused(
        tweedie(&["train", "--resume", "--out", &run.display().to_string()]),
        &["another training is writing to", "run"],
    );
    refused(small_training(&run, &["--steps", "1000000"]), &["run exists"]);
    assert!(first.try_wait().unwrap().is_none(), "the first training was disturbed");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn sampling() {
    let place = Place::new();
    let run = place.trained("run", &[]);
    let before = names(&run);
    let sample = |arguments: &[&str]| tweedie(&[&["sample", &run.display().to_string()], arguments].concat());
    for (arguments, culprits) in [
        (&["--class", "10"][..], &["--class 10", "0 to 9"][..]),
        (&["--class", "-1"], &["-1"]),
        (&["--count", "0"], &["'0'", "--count", "at least 1"]),
        (&["--count", "99999999999"], &["--count 99999999999", "more than"]),
        (&["--steps", "0"], &["--steps"]),
        (&["--steps", "99999999999"], &["steps = 99999999999", "at most"]),
        (&["--eta", "2"], &["eta = 2", "[0, 1]"]),
        (&["--eta", "nan"], &["eta = NaN"]),
        (&["--guidance", "inf"], &["guidance = inf"]),
        (&["--solver", "dimm"], &["`dimm`", "did you mean `ddim`?"]),
        (&["--spacing", "trailing"], &["trailing", "chain"]),
        (&["--device", "cuda"], &["no cuda"]),
    ] {
        refused(sample(arguments), culprits);
    }
    let file = place.file("file", "precious");
    refused(sample(&["--out", &format!("{file}/below")]), &["file/below", "Not a directory"]);
    refused(tweedie(&["sample", &place.text("none")]), &["none: there is no such run folder"]);
    fs::create_dir(place.path("hollow")).unwrap();
    refused(tweedie(&["sample", &place.text("hollow")]), &["hollow: there is no model.safetensors in it"]);
    assert_eq!(names(&run), before);
}

#[test]
fn damaged_models() {
    let place = Place::new();
    let run = place.trained("run", &["--set", "network.hidden=2"]);
    let file = run.join("model.safetensors");
    let whole = fs::read(&file).unwrap();
    let sample = || tweedie(&["sample", &run.display().to_string(), "--count", "1", "--json"]);
    succeed(sample());
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for length in [0, 1, 7, 8, 9, header / 2, header, header + 1, whole.len() - 4, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        refused(sample(), &["model.safetensors"]);
    }
    // Each of the first bytes, then ever rarer ones, the last among them.
    let positions =
        (0..9).chain((9..header).step_by(header / 40)).chain((header..whole.len()).step_by(whole.len() / 20));
    for position in positions.chain([whole.len() - 1]) {
        for bit in [0, 6] {
            let mut flipped = whole.clone();
            flipped[position] ^= 1 << bit;
            fs::write(&file, &flipped).unwrap();
            refused(sample(), &["model.safetensors"]);
        }
    }
    fs::write(&file, &whole).unwrap();
    succeed(sample());
}

/// Solids that are none, and series that are too short.
#[test]
fn meshes_and_series() {
    let place = Place::new();
    let tetrahedron = "OFF 4 4 6\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n";
    let open = tetrahedron.replace("4 4 6", "4 3 6").replace("3 1 2 3\n", "");
    let ply = "ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nend_header\n";
    for (name, content, culprits) in [
        ("open.off", open.as_str(), ["open.off: the mesh leaks: 3 of its edges", "close the holes"]),
        ("cut.off", &tetrahedron[..tetrahedron.len() - 8], ["cut.off", "the file ends where a face should stand"]),
        ("far.off", &tetrahedron.replace("3 0 ", "3 9 "), ["names vertex 9 (counted from 0)", "there are 4"]),
        ("word.obj", "v 1 2 three\n", ["word.obj: line 1", "`v` and three numbers"]),
        ("cloud.obj", "v 1 2 3\n", ["cloud.obj", "no faces"]),
        ("thin.ply", ply, ["thin.ply", "x, y and z"]),
        ("other.ply", "solid cube", ["other.ply: line 1", "expected ply"]),
    ] {
        let file = place.file(name, content);
        place.training_refused(&["cow", "--data", &file], &culprits);
    }
    place.training_refused(&["cow", "--data", "none.off"], &["none.off: no such file or folder"]);
    place.training_refused(&["--data", "cows"], &["cows", "did you mean `cow`?"]);
    place.training_refused(&["cows"], &["cows: no such preset or file; did you mean `cow`?"]);

    let series = place.file("series.csv", "0.1\n0.2\n0.3\n0.4\n");
    place.training_refused(&["--data", &series, "--window", "5"], &["a window of 5", "series, which has 4 numbers"]);
    place.training_refused(&["--data", &series, "--window", "0"], &["--window", "at least 1"]);
    place.training_refused(&["--data", &series, "--window", "70000"], &["data.window = 70000", "at most 16384"]);
    place.training_refused(&["--data", &series, "--stride", "2"], &["--stride", "--window"]);
    place.training_refused(&["--window", "8"], &["one series without classes", "1347 samples of shape [8, 8]"]);
}

/// Files may grow to 60 KiB and no further: the model fits, the state does not.
#[cfg(unix)]
#[test]
fn a_limit_on_file_sizes_spares_the_last_checkpoint() {
    let place = Place::new();
    out_of_room(&place.path("whole"), &place.path("run"), |run| {
        let mut limited = Command::new("bash");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 60; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tweedie")]);
        limited.args(["train", "--resume", "--out"]).arg(run);
        complaint(limited, &["cannot write", "state.safetensors", "File too large"], 1);
    });
}

/// A file system of 1 MiB that something else fills. Only root can mount one: elsewhere the test above must do.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_spares_the_last_checkpoint() {
    let place = Place::new();
    let disk = place.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("no file system can be mounted here");
        return;
    }
    let unmount = Unmount(disk.clone());
    out_of_room(&place.path("whole"), &disk.join("run"), |run| {
        // Whole pages, until not one is left.
        let filler = disk.join("filler");
        let _ = fs::write(&filler, vec![1; 1 << 20]);
        let resumed = tweedie(&["train", "--resume", "--out", &run.display().to_string()]);
        complaint(resumed, &["cannot write", "No space left"], 1);
        // A run that cannot even begin.
        let mut beginning = small_training(&disk.join("other"), &["--steps", "5"]);
        let output = beginning.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().filter(|l| l.starts_with("error: ")).count(), 1);
        fs::remove_file(&filler).unwrap();
    });
    drop(unmount);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Trains into `run`, killed on the way; `without_room` resumes it in vain. The last checkpoint is then as it was, nothing lies
/// about, and with room again the training ends as the one in `whole`.
fn out_of_room(whole: &Path, run: &Path, without_room: impl Fn(&Path)) {
    succeed(small_training(whole, &["--steps", "300"]));
    let mut training = start(small_training(run, &["--steps", "300"]));
    while !run.join("model.safetensors").is_file() {
        assert!(training.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    training.kill().unwrap();
    training.wait().unwrap();
    let checkpoint = || ["state.safetensors", "model.safetensors"].map(|name| fs::read(run.join(name)).unwrap());
    let before = checkpoint();
    without_room(run);
    assert!(checkpoint() == before, "the checkpoint was lost");
    assert!(!names(run).iter().any(|name| name.ends_with(".tmp")), "{:?}", names(run));
    succeed(tweedie(&["train", "--resume", "--json", "--out", &run.display().to_string()]));
    assert_same(&outcome(run), &outcome(whole), "after it ran out of room");
}
