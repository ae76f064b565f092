//! Students: every method teaches, any interruption leaves the same bytes, and what makes no sense is refused.

#![allow(missing_docs)]

mod program;

use candle_core::Device;
use program::{names, small_training, succeed, tweedie};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use tweedie_host::checkpoint::Model;
use tweedie_host::data::Dataset;
use tweedie_host::distill::Rules;
use tweedie_host::distill::settings::{DistillationConfig, DistillationSettings};
use tweedie_host::preset::{NetworkKind, Preset, SamplingSettings};
use tweedie_host::process::AnyProcess;
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::sample;
use tweedie_host::train::Training;

const METHODS: [&str; 4] = ["trajectory", "progressive", "consistency", "average-velocity"];

/// One small teacher for all.
fn teacher() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let settings = ["network.hidden=48", "network.blocks=1", "training.batch=64", "training.steps=1500"];
        let preset = Preset::load("digits", &settings.map(str::to_owned)).unwrap();
        let (data, process) = (Dataset::digits().unwrap(), AnyProcess::new(&preset.process).unwrap());
        let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
        Training::begin(&preset, &data, &process, &Device::Cpu).unwrap().run(&run, |_| {}).unwrap();
        Model::load(&run.model(), &Device::Cpu).unwrap()
    })
}

/// Distils the teacher into `folder`, and copies the state and metrics at some moments into folders beside it.
fn distil(folder: &Path, settings: &[&str], moments: &[u64]) -> Model {
    let settings: Vec<String> = settings.iter().map(|setting| format!("distillation.{setting}")).collect();
    let settings = DistillationSettings::new(NetworkKind::ResidualMlp, &settings).unwrap();
    let config =
        DistillationConfig { teacher: "teacher".into(), student: settings.student(teacher()).unwrap(), settings };
    let run = RunFolder::create(folder, &config.to_toml().unwrap()).unwrap();
    with_rules(&config, |rules| {
        let mut training = rules.begin(&config.teacher, &Device::Cpu).unwrap();
        let copy = |step: u64| {
            let copy = folder.with_extension(step.to_string());
            std::fs::create_dir(&copy).unwrap();
            for file in ["config.toml", "state.safetensors", "metrics.jsonl"] {
                std::fs::copy(folder.join(file), copy.join(file)).unwrap();
            }
        };
        training
            .run(&run, |metrics| {
                if moments.contains(&metrics.step) {
                    copy(metrics.step);
                }
            })
            .unwrap();
    });
    Model::load(&run.model(), &Device::Cpu).unwrap()
}

fn with_rules(config: &DistillationConfig, f: impl FnOnce(&Rules<'_>)) {
    let (data, process) = (Dataset::digits().unwrap(), AnyProcess::new(&teacher().preset.process).unwrap());
    let (settings, student) = (&config.settings, &config.student);
    f(&Rules { settings, teacher: teacher(), student, process: &process, data: &data });
}

/// Root mean square of the difference between two models' samples from the same noise.
fn distance(a: (&Model, &SamplingSettings), b: (&Model, &SamplingSettings)) -> f64 {
    let classes: Vec<u32> = (0..500).map(|i| i % 10).collect();
    let [a, b] = [a, b].map(|(model, settings)| sample(model, settings, &classes, 3, &Device::Cpu).unwrap());
    let squares = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}

#[test]
fn every_method_brings_few_steps_closer_to_many() {
    let folder = tempfile::tempdir().unwrap();
    let own = &teacher().preset.sampling;
    let many = SamplingSettings { steps: 48, ..own.clone() };
    for method in METHODS {
        // A consistency model's later steps start from fresh noise: only its first can be compared.
        let steps = if method == "consistency" { 1 } else { 2 };
        let settings = [
            &format!("method=\"{method}\"")[..],
            &format!("steps={steps}"),
            "hidden=48",
            "updates=4500",
            "batch=64",
            "trajectories=4000",
            "teacher_steps=16",
            "ema=0.99",
        ];
        let student = distil(&folder.path().join(method), &settings, &[]);
        assert_eq!(student.preset.sampling.steps, steps);
        let few = SamplingSettings { steps, ..own.clone() };
        let untaught = distance((teacher(), &few), (teacher(), &many));
        let taught = distance((&student, &student.preset.sampling), (teacher(), &many));
        println!("{method}: {taught:.3} from the teacher's 48 steps, whose own {steps} are {untaught:.3} from them");
        // Not by much for the methods that learn on data alone, whose students meet other states on their own way.
        assert!(taught < 0.9 * untaught, "{method}: {taught} is hardly less than {untaught}");
    }
}

#[test]
fn a_student_learns_its_teachers_guidance() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "steps=1",
        "guidance=3.0",
        "hidden=48",
        "updates=1500",
        "batch=64",
        "trajectories=4000",
        "teacher_steps=16",
        "ema=0.99",
    ];
    let student = distil(&folder.path().join("guided"), &settings, &[]);
    assert_eq!(student.preset.sampling.guidance, 1.0);
    let [guided, plain] = [3.0, 1.0].map(|guidance| {
        let many = SamplingSettings { steps: 16, guidance, ..teacher().preset.sampling.clone() };
        distance((&student, &student.preset.sampling), (teacher(), &many))
    });
    println!("{guided:.3} from the guided teacher, {plain:.3} from the teacher as it is");
    assert!(guided < 0.7 * plain, "{guided} from the guided teacher, {plain} from the teacher as it is");
}

#[test]
fn interrupted_anywhere_it_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for method in METHODS {
        let settings = [
            &format!("method=\"{method}\"")[..],
            "updates=60",
            "batch=32",
            "shard=16",
            "trajectories=100",
            "teacher_steps=8",
            "checkpoint_every=10",
            "log_every=7",
        ];
        let whole = folder.path().join(method);
        // Checkpoints of update 10; of 30, where halving goes on to its second stage; and of 40, in the middle of it.
        let moments = [14, 35, 49];
        distil(&whole, &settings, &moments);
        for moment in moments {
            let path = whole.with_extension(moment.to_string());
            let run = RunFolder::open(&path).unwrap();
            let text = std::fs::read_to_string(run.config()).unwrap();
            let config = DistillationConfig::parse("config.toml", &text).unwrap();
            with_rules(&config, |rules| {
                let mut training = rules.resume(&run.state(), &config.teacher, &Device::Cpu).unwrap();
                assert_eq!(training.updates(), moment / 10 * 10);
                training.run(&run, |_| {}).unwrap();
            });
            for file in ["model.safetensors", "state.safetensors"] {
                let [resumed, whole] = [&path, &whole].map(|folder| std::fs::read(folder.join(file)).unwrap());
                assert!(resumed == whole, "{method} resumed at {moment}: {file} differs");
            }
        }
    }
}

#[test]
fn fewer_weights_and_settings_that_stay() {
    let count = |model: &Model| model.weights.iter().map(|(_, tensor)| tensor.elem_count()).sum::<usize>();
    let folder = tempfile::tempdir().unwrap();
    let small = ["updates=1", "trajectories=2", "teacher_steps=4", "batch=2"];
    for (more, steps) in [(&["steps=1"][..], 1), (&["steps=3", "method=\"average-velocity\"", "blocks=2"], 3)] {
        let student = distil(&folder.path().join(steps.to_string()), &[&small, more].concat(), &[]);
        let share = count(&student) as f64 / count(teacher()) as f64;
        assert!((0.3..=0.4).contains(&share), "{share} of the weights");
        assert_eq!(student.preset.sampling.steps, steps);
        assert_eq!(student.preset.training.prediction, teacher().preset.training.prediction);
        assert_eq!(student.description.shape, teacher().description.shape);
    }
    // The teacher's own size begins with its weights, which one update with a rate that has hardly risen leaves all but alone.
    let twin =
        distil(&folder.path().join("twin"), &[&small[..], &["hidden=48", "ema=0", "learning_rate=1e-9"]].concat(), &[]);
    for ((name, own), (_, teachers)) in twin.weights.iter().zip(teacher().weights.iter()) {
        let difference = (own - teachers).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-6, "{name}");
    }
}

#[track_caller]
fn refused(mut command: Command, culprit: &str) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{command:?}: {text}");
    assert!(text.lines().count() == 1 && text.starts_with("error: ") && text.contains(culprit), "{culprit}: {text}");
}

#[test]
fn from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (run, student) = (path("run"), path("run-2-steps"));
    succeed(small_training(&folder.path().join("run"), &["--steps", "5"]));
    let distil = |arguments: &[&str]| {
        let small =
            ["trajectories=9", "updates=5", "batch=8", "checkpoint_every=2"].map(|s| format!("distillation.{s}"));
        let mut all = vec!["distill", &run, "--json"];
        small.iter().for_each(|setting| all.extend(["--set", setting]));
        tweedie(&[&all[..], arguments].concat())
    };
    for (arguments, culprit) in [
        (&["--method", "progresive"][..], "did you mean `progressive`?"),
        (&["--set", "distillation.trajectory=3"], "did you mean `trajectories`?"),
        (&["--set", "distillation.teacher_steps=2"], "teacher_steps = 2 must be more than distillation.steps = 2"),
        (&["--steps", "0"], "at least 1"),
        (&["--method", "progressive", "--updates", "1"], "one for each halving"),
        (&["--resume"], "no training to resume"),
    ] {
        refused(distil(arguments), culprit);
        assert!(!Path::new(&student).join("config.toml").exists(), "{arguments:?} left a run");
    }
    refused(tweedie(&["distill", &path("nowhere")]), "no such run folder");

    let output = succeed(distil(&[]));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["steps"], 5);
    let left =
        [".lock", "config.toml", "loss.png", "metrics.jsonl", "model.safetensors", "samples.png", "state.safetensors"];
    assert_eq!(names(Path::new(&student)), left);
    refused(distil(&[]), "is not overwritten");
    // A finished one is finished once more.
    succeed(tweedie(&["distill", &run, "--resume", "--json"]));
    for other in [["--guidance", "2"], ["--seed", "1"], ["--method", "consistency"], ["--set", "distillation.steps=1"]]
    {
        refused(
            tweedie(&[&["distill", &run, "--resume", "--out", &student][..], &other].concat()),
            "began with other settings",
        );
    }
    refused(tweedie(&["train", "--resume", "--out", &student]), "cargo xtask distill");
    refused(tweedie(&["distill", &student]), "itself a student");
    refused(tweedie(&["distill", &run, "--resume", "--out", &run]), "trained, not distilled");

    succeed(tweedie(&["sample", &student, "--count", "3", "--json"]));
    for (arguments, culprit) in [
        (["--steps", "4"], "distilled for 2 steps"),
        (["--solver", "heun"], "taught the steps of ddim alone"),
        (["--clip", "false"], "taught the steps of ddim alone"),
    ] {
        refused(tweedie(&[&["sample", &student][..], &arguments].concat()), culprit);
    }
    let scheduler = path("scheduler_config.json");
    std::fs::write(&scheduler, r#"{"_class_name": "DDIMScheduler", "num_train_timesteps": 1000}"#).unwrap();
    refused(tweedie(&["sample", &student, "--scheduler", &scheduler]), "follows no scheduler");
    refused(tweedie(&["train", "--set", "network.end_level=true", "--out", &path("new")]), "average-velocity");
}
