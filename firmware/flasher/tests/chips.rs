//! Models on chips, without a chip: they are built and weighed, and what does not fit is refused.

#[path = "../../../tests/tests/small_model/mod.rs"]
mod small_model;

use std::path::PathBuf;
use std::process::{Command, Output};

/// A model with so many hidden features, in a file.
fn model(hidden: usize) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("flasher-{hidden}.tweedie"));
    if !path.exists() {
        small_model::write_file(&path, &[8, 8], hidden);
    }
    path
}

fn flash(hidden: usize, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tweedie-flasher"));
    command.arg("flash").arg(model(hidden)).args(arguments).output().expect("the flasher starts")
}

/// The one sentence with which the flasher refuses.
fn refusal(hidden: usize, arguments: &[&str]) -> String {
    let output = flash(hidden, arguments);
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    errors
}

#[test]
fn a_model_fits_chips_of_eight_families() {
    for (chip, target) in [
        ("nRF51822_xxAA", "thumbv6m-none-eabi"),
        ("STM32G071RB", "thumbv6m-none-eabi"),
        ("RP2040", "thumbv6m-none-eabi"),
        ("nRF52840_xxAA", "thumbv7em-none-eabi"),
        ("STM32F411RE", "thumbv7em-none-eabi"),
        ("STM32F746ZG", "thumbv7em-none-eabi"),
        ("STM32L476RG", "thumbv7em-none-eabi"),
        ("RP235x", "thumbv8m.main-none-eabi"),
    ] {
        let output = flash(32, &["--chip", chip, "--build-only", "--json"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{chip}: {errors}");
        let sizes: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let size = |name: &str| sizes[name].as_u64().unwrap_or_else(|| panic!("{name} in {sizes}"));
        assert_eq!(sizes["target"], target);
        assert_eq!(size("model_bytes"), std::fs::metadata(model(32)).expect("a file").len());
        assert!((10_000..40_000).contains(&size("code_bytes")), "{sizes}");
        assert!((1_000..8_192).contains(&size("static_bytes")), "{sizes}");
        assert!(size("code_bytes") + size("model_bytes") <= size("flash_bytes"), "{sizes}");
    }
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_what_is_missing() {
    // 3000 hidden features are 384 000 weights.
    let sentence = refusal(3000, &["--chip", "STM32G071RB"]);
    let missing = sentence.strip_prefix("error: the model does not fit STM32G071RB: ").expect("the reason");
    let bytes: u64 = missing.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    let model = std::fs::metadata(model(3000)).expect("a file").len();
    // All that is missing is the model and the code, less the chip's 128 KiB.
    assert!((10_000..40_000).contains(&(bytes + 128 * 1024 - model)), "{sentence}");
    assert!(missing.ends_with(" bytes of flash are missing\n"), "{sentence}");
    // Its buffers alone are larger than this chip's RAM.
    let sentence = refusal(3000, &["--chip", "STM32G031F4", "--build-only"]);
    assert!(sentence.contains("bytes of flash and") && sentence.ends_with("bytes of RAM are missing\n"), "{sentence}");
}

#[test]
fn an_unknown_chip_or_class_or_file_is_one_sentence() {
    let sentence = refusal(32, &["--chip", "nRF5284O_xxAA"]);
    assert!(sentence.contains("knows no chip `nRF5284O_xxAA`: did you mean nRF52840_xxAA"), "{sentence}");
    let sentence = refusal(32, &["--chip", "RP2040", "--class", "3"]);
    assert!(sentence.ends_with("--class 3: this model knows the classes 0 to 2\n"), "{sentence}");
    let sentence = refusal(32, &["--chip", "RP2040", "--count", "0"]);
    assert!(sentence.contains("--count"), "{sentence}");
    assert!(refusal(32, &[]).contains("--chip"), "no chip");
}

#[test]
fn without_a_probe_it_says_what_to_do() {
    // A machine with a probe would be flashed here, so the probe named is one that nobody has.
    let sentence = refusal(32, &["--chip", "nRF51822_xxAA", "--probe", "ffff:ffff:none"]);
    assert!(sentence.starts_with("error: the debug probe cannot be used"), "{sentence}");
}
