//! Solvers of higher order on a trained network: how near ten evaluations come to the exact flow, and what fixed point costs them.

#![allow(missing_docs)]

use candle_core::Device;
use rayon::prelude::*;
use std::sync::LazyLock;
use tempfile::TempDir;
use tweedie_host::checkpoint::Model;
use tweedie_host::export::export;
use tweedie_host::judge::panel::Panel;
use tweedie_host::judge::real_rows::RealRows;
use tweedie_host::preset::{Preset, SamplingSettings, SolverName, SpacingName};
use tweedie_host::process::AnyProcess;
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::{classes_in_turn, sample};
use tweedie_host::train::Training;

/// The digits' network after a fraction of its training.
static TRAINED: LazyLock<(TempDir, Model)> = LazyLock::new(|| {
    let preset = Preset::load("digits", &["training.steps=5000".to_owned()]).unwrap();
    let process = AnyProcess::new(&preset.process).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    let data = RealRows::load("digits", None).unwrap().training;
    Training::begin(&preset, &data, &process, &Device::Cpu).unwrap().run(&run, |_| {}).unwrap();
    let model = Model::load(&run.model(), &Device::Cpu).unwrap();
    (folder, model)
});

fn settings(solver: SolverName, spacing: SpacingName, steps: usize, clip: bool) -> SamplingSettings {
    SamplingSettings { solver, spacing, steps, clip, ..TRAINED.1.preset.sampling.clone() }
}

fn drawn(settings: &SamplingSettings, count: usize) -> Vec<f32> {
    sample(&TRAINED.1, settings, &classes_in_turn(count, 10), 0, &Device::Cpu).unwrap()
}

#[test]
fn ten_evaluations_come_nearer_to_the_flow_than_fifty_of_ddim() {
    use SolverName::{Ddim, DpmPlusPlus2M, HeunPec, UniPc};
    use SpacingName::{SoftLogSnr, Uniform};
    let unclamped = |solver, spacing, steps| drawn(&settings(solver, spacing, steps, false), 400);
    let exact = unclamped(DpmPlusPlus2M, SoftLogSnr, 400);
    let error = |solver, spacing, steps| {
        let samples = unclamped(solver, spacing, steps);
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        (samples.iter().zip(&exact).map(square).sum::<f64>() / exact.len() as f64).sqrt()
    };
    let fifty = error(Ddim, Uniform, 50);
    for solver in [HeunPec, DpmPlusPlus2M, UniPc] {
        let ten = error(solver, SoftLogSnr, 10);
        println!("{solver} in 10: {ten:.4}, DDIM in 50: {fifty:.4}");
        assert!(ten < fifty, "{solver}: {ten}, DDIM: {fifty}");
    }
}

#[test]
fn artifacts_of_every_kind_of_plan_draw_like_their_floats() {
    use SolverName::{Ddpm, Deis, DpmPlusPlus2M, Euler, Heun, UniPc};
    let panel = Panel::new(RealRows::load("digits", None).unwrap(), None).unwrap();
    let classes = classes_in_turn(2000, 10);
    let distance = |samples: &[f32]| panel.score(samples, &classes).unwrap().scores.pixels.frechet;
    for (solver, clip) in
        [(Euler, true), (Ddpm, true), (Heun, true), (DpmPlusPlus2M, true), (UniPc, true), (Deis, true), (Deis, false)]
    {
        let settings = settings(solver, SpacingName::SoftLogSnr, 12, clip);
        let words = export(&TRAINED.1, &settings, Some(&panel.rows().training)).unwrap().words;
        let fixed = tweedie_firmware::Model::parse(&words).unwrap();
        let draw = |(index, &class): (usize, &u32)| {
            let mut scratch = vec![0; fixed.scratch_words()];
            let class = Some(class as u16);
            let sample = tweedie_firmware::sample(&fixed, &mut scratch, 0, index as u64, class, |_| {}).unwrap();
            sample.iter().map(|value| value.to_num()).collect::<Vec<f32>>()
        };
        let samples: Vec<f32> = classes.par_iter().enumerate().map(draw).collect::<Vec<_>>().concat();
        let (of_fixed, of_float) = (distance(&samples), distance(&drawn(&settings, 2000)));
        println!("{solver}, clip {clip}: {of_fixed:.4} in fixed point, {of_float:.4} in floating point");
        assert!(of_fixed <= 1.03 * of_float, "{solver}, clip {clip}: {of_fixed} for {of_float}");
    }
}
