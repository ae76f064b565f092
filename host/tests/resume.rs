//! A training that is killed at any moment and resumed leaves what an uninterrupted one leaves.

#![allow(missing_docs)]

mod program;

use program::{assert_same, names, outcome, small_training, start, succeed};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use tweedie_core::noise::NoiseStream;

const STEPS: [&str; 2] = ["--steps", "400"];

/// What a finished run folder holds.
const LEFT: [&str; 7] =
    [".lock", "config.toml", "loss.png", "metrics.jsonl", "model.safetensors", "samples.png", "state.safetensors"];

/// Numbers in (0, 1), different in every run of the tests; the seed is printed, and shown when a test fails.
struct Moments(NoiseStream, u64);

impl Moments {
    fn new(stream: u64) -> Self {
        let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
        println!("moments of seed {seed}");
        Self(NoiseStream::new(seed, stream), 0)
    }

    fn next(&mut self) -> f64 {
        self.1 += 1;
        tweedie_host::streams::unit(self.0.bits(0, self.1)[0])
    }
}

/// Starts or resumes the training in `run`, and kills it with SIGKILL after `life`. Returns whether it was killed in time.
fn run_for(run: &Path, life: Duration) -> bool {
    let resume: &[&str] = if run.join("config.toml").is_file() { &["--resume"] } else { &[] };
    // A resumed training is told nothing: config.toml knows.
    let mut child = match resume {
        [] => start(small_training(run, &STEPS)),
        _ => start(resumed(run)),
    };
    let end = Instant::now() + life;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "it failed by itself");
            return false;
        }
        std::thread::sleep(Duration::from_micros(200).min(end.saturating_duration_since(Instant::now())));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

fn finish(run: &Path) {
    while run_for(run, Duration::from_secs(300)) {}
    assert_eq!(names(run), LEFT);
}

#[test]
fn killed_at_random_moments_it_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let begun = Instant::now();
    succeed(small_training(&whole, &STEPS));
    let time = begun.elapsed();
    let expected = outcome(&whole);
    assert_eq!(names(&whole), LEFT);

    let mut moments = Moments::new(0);
    let mut kills = 0;
    for attempt in 0..5 {
        let run = folder.path().join(format!("killed-{attempt}"));
        // Up to three kills, of which some hit a training that was resumed.
        for _ in 0..3 {
            let life = time.mul_f64(moments.next() * 0.6);
            println!("attempt {attempt}: killed after {life:?}");
            kills += u32::from(run_for(&run, life));
        }
        finish(&run);
        assert_same(&outcome(&run), &expected, &format!("after the kills of attempt {attempt}"));
    }
    assert!(kills >= 5, "only {kills} kills came in time");
}

#[test]
fn killed_at_its_very_start_it_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    succeed(small_training(&whole, &STEPS));
    let mut moments = Moments::new(1);
    for attempt in 0..12 {
        let run = folder.path().join(format!("start-{attempt}"));
        let life = Duration::from_secs_f64(0.025 * moments.next());
        println!("killed after {life:?}");
        run_for(&run, life);
        if attempt < 3 {
            finish(&run);
            assert_same(&outcome(&run), &outcome(&whole), &format!("when killed after {life:?}"));
        }
    }
}

#[test]
fn what_a_kill_leaves_before_config_toml_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join(".lock"), b"").unwrap();
    // No system hands out such a process id, so its writer is dead.
    std::fs::write(run.join(".tweedie-4294967295-0.tmp"), b"[data]\nsour").unwrap();
    succeed(small_training(&run, &["--steps", "3"]));
    assert_eq!(names(&run), LEFT);
}

#[test]
fn a_finished_training_resumes_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(small_training(&run, &["--steps", "20"]));
    let before = outcome(&run);
    succeed(small_training(&run, &["--steps", "20", "--resume"]));
    assert_same(&outcome(&run), &before, "after resuming what was finished");
}

#[test]
fn the_seed_decides_and_the_number_of_threads_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let train = |name: &str, seed: &str, threads: &str, shard: &str| {
        let run = folder.path().join(name);
        let mut command = small_training(&run, &["--steps", "40", "--seed", seed, "--set", shard]);
        command.env("RAYON_NUM_THREADS", threads);
        succeed(command);
        std::fs::read(run.join("model.safetensors")).unwrap()
    };
    // In parts, and as one part, which the products alone could split over threads.
    for shard in ["training.shard=24", "training.shard=128"] {
        let one = train(&format!("one-{shard}"), "7", "1", shard);
        for threads in ["1", "2", "5"] {
            let again = train(&format!("{threads}-{shard}"), "7", threads, shard);
            assert!(again == one, "{threads} threads, {shard}");
        }
        assert!(train(&format!("other-{shard}"), "8", "1", shard) != one, "another seed, the same weights");
    }
}

#[test]
fn a_denoising_mixture_that_is_killed_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let train = |run: &Path| {
        let out = run.display().to_string();
        let small = ["--set", "network.rank=4", "--set", "training.batch=64", "--set", "training.checkpoint_every=1"];
        let start =
            ["train", "digits-mixture-denoising", "--out", &out, "--steps", "120", "--set", "training.log_every=1"];
        program::tweedie(&[&start[..], &small[..]].concat())
    };
    let whole = folder.path().join("whole");
    succeed(train(&whole));
    let expected = outcome(&whole);
    let mut moments = Moments::new(2);
    for attempt in 0..3 {
        let run = folder.path().join(format!("killed-{attempt}"));
        let updates =
            || std::fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |metrics| metrics.lines().count());
        // The first life begins the training, the others resume it; each is killed some updates later.
        for life in 0..3 {
            let mut child = start(if life == 0 { train(&run) } else { resumed(&run) });
            let last = updates() + 1 + (30.0 * moments.next()) as usize;
            while updates() < last {
                assert!(child.try_wait().unwrap().is_none(), "life {life} ended before update {last}");
                std::thread::sleep(Duration::from_millis(1));
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        succeed(resumed(&run));
        assert_same(&outcome(&run), &expected, &format!("after the kills of attempt {attempt}"));
    }
}

/// The training in a run folder, resumed.
fn resumed(run: &Path) -> std::process::Command {
    program::tweedie(&["train", "--resume", "--out", &run.display().to_string()])
}
