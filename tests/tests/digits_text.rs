//! The preset that is told captions: prompts that no training saw are understood, on the host and in fixed point.

#![allow(missing_docs)]

use candle_core::Device;
use rayon::prelude::*;
use tweedie_host::condition::Asked;
use tweedie_host::condition::freeze::freeze;
use tweedie_host::data::Dataset;
use tweedie_host::export::export;
use tweedie_host::judge::classifier::Classifier;
use tweedie_host::preset::{Preset, SamplingSettings};
use tweedie_host::process::AnyProcess;
use tweedie_host::run_folder::RunFolder;
use tweedie_host::sample::{classes_in_turn, sample};
use tweedie_host::text::{self, Retrieval, captions};
use tweedie_host::train::Training;

/// Samples of each prompt.
const COUNT: usize = 40;

/// A tenth of the preset's updates are enough to tell digits apart.
const STEPS: u64 = 3000;

#[test]
fn prompts_that_no_training_saw_draw_the_digit_they_name() {
    let preset = Preset::load("digits-text", &[format!("training.steps={STEPS}")]).unwrap();
    let mut data = preset.data.load().unwrap();
    let judge = Classifier::train(&data, |_| {}).unwrap();
    let encoder = text::describe(&mut data, &preset, None, |_| {}).unwrap().unwrap();

    let held_out = Dataset::digits_held_out().unwrap();
    let prompts = captions::held_out();
    let retrieval = Retrieval::of(&encoder, &held_out.samples, held_out.labels.as_ref().unwrap(), &prompts).unwrap();
    println!("held-out captions and held-out digits: {retrieval:?}");
    assert!(retrieval.texts_of_samples >= 0.93 && retrieval.samples_of_texts >= 0.98, "{retrieval:?}");

    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    let process = AnyProcess::new(&preset.process).unwrap();
    Training::begin(&preset, &data, &process, &Device::Cpu).unwrap().run(&run, |_| {}).unwrap();
    encoder.save(&run.text()).unwrap();
    let asked = |prompts: Vec<String>| Asked { prompt: prompts, ..Asked::default() };
    let load = |prompts: Vec<String>| asked(prompts).load(run.path(), &Device::Cpu).unwrap();
    let opinions = |samples: &[f32]| judge.opinions(samples, 64).unwrap().classes;

    // Prompt k names digit k / 5.
    let per_digit = prompts[0].len();
    let agreement = |opinions: &[u32]| {
        let named = (0..).map(|sample| (sample % prompts.concat().len() / per_digit) as u32);
        opinions.iter().zip(named).filter(|(own, named)| *own == named).count() as f64 / opinions.len() as f64
    };
    let model = load(prompts.concat());
    let classes = classes_in_turn(COUNT * model.description.classes, model.description.classes);
    for guidance in [1.0, 2.0] {
        let settings = SamplingSettings { guidance, ..preset.sampling.clone() };
        let drawn = opinions(&sample(&model, &settings, &classes, 0, &Device::Cpu).unwrap());
        println!("guidance {guidance}: {:.4} of {} samples are of the class meant", agreement(&drawn), drawn.len());
        assert!(agreement(&drawn) >= 0.95, "{}", agreement(&drawn));
    }

    // The prompts as classes of an artifact, by the firmware library.
    let exported = export(&model, &preset.sampling, None).unwrap();
    assert_eq!((exported.report.classes, exported.report.class_names[35].as_str()), (50, "a handwritten seven"));
    let fixed = tweedie_firmware::Model::parse(&exported.words).unwrap();
    let draw = |(index, &class): (usize, &u32)| {
        let mut scratch = vec![0; fixed.scratch_words()];
        let sample =
            tweedie_firmware::sample(&fixed, &mut scratch, 0, index as u64, Some(class as u16), |_| {}).unwrap();
        sample.iter().map(|value| value.to_num()).collect::<Vec<f32>>()
    };
    let drawn = opinions(&classes.par_iter().enumerate().map(draw).collect::<Vec<_>>().concat());
    println!("in fixed point: {:.4}", agreement(&drawn));
    assert!(agreement(&drawn) >= 0.95, "{}", agreement(&drawn));

    // A caption of several digits draws all of them; its vector lies between theirs, so guidance helps it most.
    let odd = load(vec!["an odd number".to_owned()]);
    let counts = |guidance| {
        let settings = SamplingSettings { guidance, ..preset.sampling.clone() };
        let drawn = opinions(&sample(&odd, &settings, &[0; 500], 0, &Device::Cpu).unwrap());
        let counts = [1, 3, 5, 7, 9].map(|digit| drawn.iter().filter(|own| **own == digit).count());
        println!("an odd number, guidance {guidance}: {counts:?} of 500");
        counts
    };
    let (plain, guided) = (counts(1.0), counts(2.0));
    assert!(plain.iter().sum::<usize>() >= 350 && plain.iter().all(|&count| count >= 25), "{plain:?}");
    assert!(guided.iter().sum::<usize>() >= 450 && guided.iter().all(|&count| count >= 15), "{guided:?}");

    // Nothing asked for: one example for each class.
    let plain = load(Vec::new());
    assert_eq!((plain.description.classes, plain.description.class_names[3].as_str()), (10, "the digit 3"));
    assert!(freeze(plain, &[]).is_err(), "it is frozen already");
}
