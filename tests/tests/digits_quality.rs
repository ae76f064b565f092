//! The default preset draws digits as well as it is said to: trained once, judged on 2000 samples.

#![allow(missing_docs)]

use candle_core::Device;
use tweedie_host::checkpoint::Model;
use tweedie_host::judge::classifier::Classifier;
use tweedie_host::judge::panel::Panel;
use tweedie_host::judge::real_rows::RealRows;
use tweedie_host::judge::series::classes_in_turn;
use tweedie_host::preset::Preset;
use tweedie_host::process::AnyProcess;
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::sample;
use tweedie_host::train::Training;

#[test]
fn the_default_preset_draws_good_digits() {
    let rows = RealRows::load("digits", None).unwrap();
    let data = rows.training.clone();
    let panel = Panel::new(rows, Some(Classifier::train(&data, |_| {}).unwrap())).unwrap();
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
    Training::begin(&preset, &data, &process, &Device::Cpu).unwrap().run(&run, |_| {}).unwrap();
    let model = Model::load(&run.model(), &Device::Cpu).unwrap();
    let classes = classes_in_turn(2000, 10);
    assert_eq!(preset.sampling.steps, 20);
    let samples = sample(&model, &preset.sampling, &classes, 0, &Device::Cpu).unwrap();

    let scores = panel.score(&samples, &classes).unwrap().scores;
    println!("samples: {scores:?}");
    let (agreement, features) = (scores.agreement.unwrap(), scores.features.unwrap());
    assert!(
        scores.pixels.frechet <= 1.45 && features.frechet <= 0.3,
        "{} and {}",
        scores.pixels.frechet,
        features.frechet
    );
    assert!(agreement.judge >= 0.97 && agreement.neighbours >= 0.97, "{agreement:?}");
    assert!(scores.memorised.by_distance <= 0.02, "{:?}", scores.memorised);
    assert!(scores.memorised.by_cosine < real.memorised.by_cosine, "{:?}", scores.memorised);
}
