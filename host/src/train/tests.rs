//! Training in half precision: it learns what f32 learns, and resumes to the same bits.

use super::*;

fn preset(settings: &[&str]) -> Preset {
    let small = ["network.hidden=48", "training.batch=64", "training.shard=32"];
    let settings: Vec<String> = small.iter().chain(settings).map(|&setting| setting.to_owned()).collect();
    Preset::load("digits", &settings).unwrap()
}

/// The mean loss of the last fifty of three hundred updates.
fn loss_of(precision: &str) -> f64 {
    let (preset, data) =
        (preset(&["training.steps=300", &format!("training.precision={precision}")]), Dataset::digits().unwrap());
    let process = AnyProcess::new(&preset.process).unwrap();
    let mut training = Training::begin(&preset, &data, &process, &Device::Cpu).unwrap();
    let losses: Vec<f64> = (0..300).map(|_| training.update().unwrap().loss).collect();
    losses[250..].iter().sum::<f64>() / 50.0
}

#[test]
fn half_precision_learns_what_f32_learns() {
    let full = loss_of("f32");
    for precision in ["bf16", "f16"] {
        let half = loss_of(precision);
        assert!((half / full - 1.0).abs() < 0.02 && half != full, "{precision}: {half} beside {full}");
    }
}

/// The weights of a training that is interrupted after so many updates, or not at all.
fn weights(precision: &str, interrupted: Option<u64>) -> (Vec<u8>, Vec<u8>) {
    let place = tempfile::tempdir().unwrap();
    let (preset, data) = (
        preset(&[
            "training.steps=40",
            "training.checkpoint_every=10",
            "training.log_every=7",
            &format!("training.precision={precision}"),
        ]),
        Dataset::digits().unwrap(),
    );
    let process = AnyProcess::new(&preset.process).unwrap();
    let folder = RunFolder::create(&place.path().join("run"), &preset.to_toml().unwrap()).unwrap();
    let mut training = Training::begin(&preset, &data, &process, &Device::Cpu).unwrap();
    if let Some(updates) = interrupted {
        // The state of a checkpoint on the way, by a watcher that cannot go on.
        let stop = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = training.run(&folder, |metrics| assert!(metrics.step < updates, "interrupted"));
        }));
        assert!(stop.is_err());
        training = Training::resume(&folder.state(), &preset, &data, &process, &Device::Cpu).unwrap();
        assert!(training.updates() > 0 && training.updates() < 40);
    }
    training.run(&folder, |_| {}).unwrap();
    assert!(Model::load(&folder.model(), &Device::Cpu).is_ok());
    (std::fs::read(folder.model()).unwrap(), std::fs::read(folder.state()).unwrap())
}

#[test]
fn an_interrupted_training_comes_to_the_same_bytes() {
    for precision in ["bf16", "f16"] {
        assert_eq!(weights(precision, Some(21)), weights(precision, None), "{precision}");
    }
}

/// A first step of a million sends every output beyond the range of f16.
#[test]
fn what_cannot_be_scaled_down_diverges() {
    let (preset, data) = (
        preset(&[
            "training.precision=f16",
            "training.learning_rate=1000",
            "training.warmup=0",
            "training.weight_decay=0",
        ]),
        Dataset::digits().unwrap(),
    );
    let process = AnyProcess::new(&preset.process).unwrap();
    let mut training = Training::begin(&preset, &data, &process, &Device::Cpu).unwrap();
    let error = (0..100).find_map(|_| training.update().err()).expect("divergence");
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
}
