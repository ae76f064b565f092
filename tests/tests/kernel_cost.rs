//! What the kernels cost on each emulated chip, and that all of them leave the same bits: the board's program `kernels` compares these itself.

mod emulator;

use emulator::{MACHINES, build, emulate};

/// Instructions for each unit that a processor with the DSP instructions may take at most, requantisation and all overhead included.
const LIMITS: [(&str, f64); 12] = [
    ("linear 256x256", 1.25),
    ("3x3 16x16 16->16", 1.10),
    ("3x3 8x8 32->32", 1.00),
    ("1x1 16x16 32->32", 1.30),
    ("3x3 14x14 18->18", 1.10),
    ("3x3 14x14 36 and 18->18", 1.25),
    ("depthwise 16x16x32", 2.0),
    ("add 128", 8.0),
    ("softmax 64", 30.0),
    ("attention 49x4x16", 3.0),
    ("table 128", 10.0),
    ("normalise 128", 17.0),
];

#[test]
fn every_kernel_leaves_the_same_bits_on_every_machine_within_its_cost() {
    let mut beyond = Vec::new();
    for machine in MACHINES {
        let output = emulate(&build("kernels", machine), machine);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", machine.name);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        // `name  instructions, cost per unit`
        let cost = |name: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} ")))?;
            line.rsplit_once(" per ")?.0.rsplit(' ').next()?.parse().ok()
        };
        if !matches!(machine.name, "m4" | "m7" | "m33") {
            continue;
        }
        for (name, limit) in LIMITS {
            let cost = cost(name).unwrap_or_else(|| panic!("{} does not measure {name}:\n{text}", machine.name));
            if cost > limit {
                beyond.push(format!("{name} on {}: {cost}", machine.name));
            }
        }
    }
    assert!(beyond.is_empty(), "{beyond:#?}");
}
