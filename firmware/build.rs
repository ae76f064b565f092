//! Tells the kernels what the processor can do, since stable Rust shows no `target_feature` of these targets.
//!
//! - `dsp`: two 16-bit multiplications in one instruction (`SMLALD` and its relatives);
//! - `dsp_extension`: it does, but the assembler has to be told;
//! - `thumb`: neither `dsp`, nor anything but a Cortex-M;
//! - `narrow_multiply`: no multiplication with a 64-bit result (ARMv6-M, and ARMv8-M Baseline).

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(dsp)");
    println!("cargo::rustc-check-cfg=cfg(dsp_extension)");
    println!("cargo::rustc-check-cfg=cfg(thumb)");
    println!("cargo::rustc-check-cfg=cfg(narrow_multiply)");
    let target = env::var("TARGET").unwrap_or_default();
    let asked = env::var_os("CARGO_FEATURE_DSP").is_some();
    if target.starts_with("thumbv7em") {
        println!("cargo::rustc-cfg=dsp");
    } else if asked && target.starts_with("thumbv8m.main") {
        println!("cargo::rustc-cfg=dsp");
        println!("cargo::rustc-cfg=dsp_extension");
    } else if target.starts_with("thumb") {
        println!("cargo::rustc-cfg=thumb");
    }
    if asked && target.starts_with("thumb") && !target.starts_with("thumbv7em") && !target.starts_with("thumbv8m.main")
    {
        println!(
            "cargo::error=no processor of {target} has the DSP instructions: leave tweedie-firmware's feature `dsp` out"
        );
    }
    if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") {
        println!("cargo::rustc-cfg=narrow_multiply");
    }
}
