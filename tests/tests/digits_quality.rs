//! The default presets draw digits as well as they are said to: trained once, distilled, quantised, and judged on 2000 samples each.

#![allow(missing_docs)]

use candle_core::Device;
use rayon::prelude::*;
use std::path::Path;
use tweedie_host::checkpoint::Model;
use tweedie_host::distill::Rules;
use tweedie_host::distill::settings::{DistillationConfig, DistillationSettings};
use tweedie_host::export::export;
use tweedie_host::judge::classifier::Classifier;
use tweedie_host::judge::evaluation::Scores;
use tweedie_host::judge::panel::Panel;
use tweedie_host::judge::real_rows::RealRows;
use tweedie_host::mixture::Fit;
use tweedie_host::preset::{NetworkKind, Preset};
use tweedie_host::process::AnyProcess;
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::{classes_in_turn, sample};
use tweedie_host::train::Training;

const COUNT: usize = 2000;

fn panel() -> Panel {
    let rows = RealRows::load("digits", None).unwrap();
    let judge = Classifier::train(&rows.training, |_| {}).unwrap();
    Panel::new(rows, Some(judge)).unwrap()
}

/// Scores of a model's own settings.
fn scores(panel: &Panel, model: &Model) -> Scores<f64> {
    let classes = classes_in_turn(COUNT, 10);
    let samples = sample(model, &model.preset.sampling, &classes, 0, &Device::Cpu).unwrap();
    panel.score(&samples, &classes).unwrap().scores
}

/// Scores of the same by the firmware library.
fn scores_in_fixed_point(panel: &Panel, model: &Model) -> Scores<f64> {
    let exported = export(model, &model.preset.sampling, Some(&panel.rows().training)).unwrap();
    let fixed = tweedie_firmware::Model::parse(&exported.words).unwrap();
    let classes = classes_in_turn(COUNT, 10);
    let draw = |(index, &class): (usize, &u32)| {
        let mut scratch = vec![0; fixed.scratch_words()];
        let sample =
            tweedie_firmware::sample(&fixed, &mut scratch, 0, index as u64, Some(class as u16), |_| {}).unwrap();
        sample.iter().map(|value| value.to_num()).collect::<Vec<f32>>()
    };
    let samples: Vec<f32> = classes.par_iter().enumerate().map(draw).collect::<Vec<_>>().concat();
    panel.score(&samples, &classes).unwrap().scores
}

fn good(panel: &Panel, scores: &Scores<f64>) {
    let agreement = scores.agreement.as_ref().unwrap();
    assert!(agreement.judge >= 0.97 && agreement.neighbours >= 0.97, "{agreement:?}");
    assert!(scores.memorised.by_distance <= 0.02, "{:?}", scores.memorised);
    assert!(scores.memorised.by_cosine < panel.real().memorised.by_cosine, "{:?}", scores.memorised);
}

fn student(teacher: &Model, panel: &Panel, folder: &Path) -> Model {
    let settings = DistillationSettings::new(NetworkKind::ResidualMlp, &[]).unwrap();
    let config = DistillationConfig { teacher: folder.into(), student: settings.student(teacher).unwrap(), settings };
    let run = RunFolder::create(folder, &config.to_toml().unwrap()).unwrap();
    let process = AnyProcess::new(&teacher.preset.process).unwrap();
    let (settings, student, data) = (&config.settings, &config.student, &panel.rows().training);
    let rules = Rules { settings, teacher, student, process: &process, data };
    rules.begin(folder, &Device::Cpu).unwrap().run(&run, |_| {}).unwrap();
    Model::load(&run.model(), &Device::Cpu).unwrap()
}

#[test]
fn the_default_preset_and_its_student_draw_good_digits() {
    let panel = panel();
    let real = panel.real();
    println!("real rows: {real:?}");
    let errs = real.agreement.as_ref().unwrap();
    assert!(errs.judge >= 0.95 && errs.neighbours >= 0.95, "the judges themselves err too often: {errs:?}");
    // As scipy computes it from the same rows.
    assert!((real.pixels.frechet - 0.985).abs() < 5e-4, "{real:?}");

    let preset = Preset::load("digits", &[]).unwrap();
    let process = AnyProcess::new(&preset.process).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    let data = &panel.rows().training;
    Training::begin(&preset, data, &process, &Device::Cpu).unwrap().run(&run, |_| {}).unwrap();
    let teacher = Model::load(&run.model(), &Device::Cpu).unwrap();
    assert_eq!(preset.sampling.steps, 20);
    let of_teacher = scores(&panel, &teacher);
    println!("samples: {of_teacher:?}");
    good(&panel, &of_teacher);
    let features = of_teacher.features.as_ref().unwrap().frechet;
    assert!(of_teacher.pixels.frechet <= 1.45 && features <= 0.3, "{of_teacher:?}");

    let student = student(&teacher, &panel, &folder.path().join("student"));
    assert!(student.parameter_count() <= 45_000 && student.preset.sampling.steps == 2);
    let of_student = scores(&panel, &student);
    println!("samples of its student: {of_student:?}");
    good(&panel, &of_student);
    let ratio = of_student.pixels.frechet / of_teacher.pixels.frechet;
    assert!(ratio <= 1.12, "{ratio} times the teacher's Frechet distance");
    assert!(of_student.features.as_ref().unwrap().frechet <= 1.3 * features, "{of_student:?}");

    for (model, float) in [(&teacher, &of_teacher), (&student, &of_student)] {
        let fixed = scores_in_fixed_point(&panel, model);
        let cost = fixed.pixels.frechet / float.pixels.frechet;
        let agreement = [&fixed, float].map(|scores| scores.agreement.as_ref().unwrap().judge);
        println!("in fixed point {cost:.4} times the distance, agreement {agreement:?}");
        assert!(cost <= 1.02 && (agreement[0] - agreement[1]).abs() <= 0.005, "{cost} {agreement:?}");
    }
}

#[test]
fn the_mixture_draws_digits_better_than_the_network() {
    let panel = panel();
    let preset = Preset::load("digits-mixture", &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    let data = &panel.rows().training;
    Fit::begin(data, &preset.network, preset.training.seed).unwrap().run(&preset, data, &run, |_| {}).unwrap();
    let scores = scores(&panel, &Model::load(&run.model(), &Device::Cpu).unwrap());
    println!("samples of the mixture: {scores:?}");
    // The network's figure is 1.257.
    assert!(scores.pixels.frechet <= 1.2, "{scores:?}");
    good(&panel, &scores);
}
