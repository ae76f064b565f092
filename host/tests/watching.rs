//! Watching a model draw: every step is seen, the end is the sample, and what cannot be drawn is refused in one sentence.

#![allow(missing_docs)]

mod program;

use candle_core::Device;
use program::{small_training, succeed, tweedie};
use std::ops::ControlFlow;
use std::path::Path;
use tweedie_host::checkpoint::Model;
use tweedie_host::preset::{SamplingSettings, SolverName};
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::follow::{Stage, follow};
use tweedie_host::sample::sample;

fn train(run: &Path) {
    succeed(small_training(run, &["--steps", "20"]));
}

#[test]
fn the_end_of_what_is_seen_is_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run);
    let model = Model::load(&RunFolder::model_in(&run), &Device::Cpu).unwrap();
    let classes = [3, 1, 4, 1, 5];
    // One step of one estimate; several; estimates of noise remembered; two evaluations a step; noise.
    for (solver, eta) in [
        (SolverName::Ddim, 0.0),
        (SolverName::DpmPlusPlus2M, 0.0),
        (SolverName::Deis, 0.0),
        (SolverName::Heun, 0.0),
        (SolverName::Ddim, 1.0),
    ] {
        let settings = SamplingSettings { solver, eta, steps: 7, guidance: 1.5, ..model.preset.sampling.clone() };
        let mut seen: Vec<Stage> = Vec::new();
        let mut show = |stage| {
            seen.push(stage);
            ControlFlow::Continue(())
        };
        follow(&model, &settings, &classes, 9, &Device::Cpu, &mut show).unwrap();
        let (first, last) = (&seen[0], &seen[seen.len() - 1]);
        assert!(seen.iter().enumerate().all(|(step, stage)| stage.step == step && stage.steps + 1 == seen.len()));
        assert!(first.x0_hat.is_none() && first.angle > 0.9 && last.angle == 0.0, "{solver}");
        assert!(seen.windows(2).all(|pair| pair[0].angle >= pair[1].angle && pair[0].state != pair[1].state));
        let near = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near(&last.state, &sample(&model, &settings, &classes, 9, &Device::Cpu).unwrap()), "{solver}");
        // The last step of each lands on its estimate, whatever the solver remembers of it.
        let x0_hat: Vec<f32> = last.x0_hat.iter().flatten().map(|value| value.clamp(-1.0, 1.0)).collect();
        assert!(near(&x0_hat, &last.state), "{solver}");

        let mut calls = 0;
        let mut leave = |_| {
            calls += 1;
            if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        follow(&model, &settings, &classes, 9, &Device::Cpu, &mut leave).unwrap();
        assert_eq!(calls, 3, "it ends where it is left");
    }
}

#[test]
fn in_a_pipe_every_step_of_one_drawing_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run);
    let run = run.display().to_string();
    let output =
        succeed(tweedie(&["watch", &run, "--count", "2", "--class", "3", "--steps", "3", "--solver", "euler"]));
    let text = String::from_utf8(output.stdout).unwrap();
    let blocks: Vec<&str> = text.split("\n\n").collect();
    assert!(blocks[0].contains("class 3  seed 0  euler, 3 steps  candle on cpu"), "{text}");
    let steps: Vec<&str> = blocks[1..].iter().map(|block| &block[..11]).collect();
    assert_eq!(steps, ["step 0 of 3", "step 1 of 3", "step 2 of 3", "step 3 of 3"]);
    assert!(!text.contains('\x1b') && text.contains("state x_t") && text.contains('@'), "{text}");
    // The same again, and something else under another seed.
    let again = |more: &[&str]| {
        let arguments = [&["watch", &run, "--count", "2", "--class", "3", "--steps", "3", "--once"], more].concat();
        String::from_utf8(succeed(tweedie(&arguments)).stdout).unwrap()
    };
    // But for what a step took.
    let pictures = |text: &str| text.lines().filter(|line| !line.starts_with("step")).collect::<Vec<_>>().join("\n");
    assert_eq!(pictures(&again(&[])), pictures(&again(&["--seed", "0"])));
    assert_ne!(pictures(&again(&[])), pictures(&again(&["--seed", "1"])));

    for (arguments, part) in [
        (&["nowhere"][..], "no such run folder"),
        (&[&run, "--class", "10"], "the classes 0 to 9"),
        (&[&run, "--solver", "dim"], "did you mean `ddim`?"),
        (&[&run, "--steps", "0"], "at least 1"),
        (&[&run, "--fps", "0"], "from 0.1 to 1000"),
        (&[&run, "--count", "70000"], "65536"),
        (&[&run, "--spacing", "leading"], "chain"),
        (&[&run, "--device", "gpu"], "gpu"),
        (&[&run, "--prompt", "seven"], "--prompt"),
        (&[&run, "--once", "--window"], "--window"),
    ] {
        let output = tweedie(&[&["watch"], arguments].concat()).output().unwrap();
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {sentence}");
        assert!(sentence.starts_with("error: ") && sentence.contains(part), "{arguments:?}: {sentence}");
        assert!(sentence.lines().count() == 1 && output.stdout.is_empty(), "{arguments:?}: {sentence}");
    }
    let mut window = tweedie(&["watch", &run, "--window"]);
    let output = window.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").output().unwrap();
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && sentence.contains("window"), "{sentence}");
}
