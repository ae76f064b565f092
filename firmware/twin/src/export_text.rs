//! The report of an export, for people.

use crate::export::Comparison;
use std::fmt::Write;
use std::path::Path;
use tweedie_host::export::Report;
use tweedie_host::preset::SamplingSettings;
use tweedie_host::say::counted;

/// The whole report.
pub fn text(file: &Path, settings: &SamplingSettings, report: &Report, comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut text, file, settings, report, comparison);
    text
}

fn write_report(
    text: &mut String,
    file: &Path,
    settings: &SamplingSettings,
    report: &Report,
    comparison: &Comparison,
) -> std::fmt::Result {
    let bytes = &report.bytes;
    writeln!(
        text,
        "{}: {} bytes, {} in {}\n",
        file.display(),
        grouped(bytes.total),
        settings.solver,
        counted(report.steps, "step")
    )?;
    for (what, count) in [
        ("weights", bytes.weights),
        ("biases and multipliers", bytes.biases),
        ("tables by step and class", bytes.step_and_class_biases),
        ("activation tables", bytes.tables),
        ("header, plan, layers", bytes.head),
    ] {
        writeln!(text, "  {what:26}{:>12} bytes", grouped(count))?;
    }
    writeln!(
        text,
        "  {:26}{:>12} bytes, {} of them activations",
        "memory to sample",
        grouped(comparison.scratch_bytes),
        grouped(report.arena_bytes)
    )?;
    writeln!(text, "  {:26}{:>12} multiply-accumulates", "work for a sample", grouped(report.multiply_accumulates))?;

    writeln!(text, "\n  {:18}{:>12}{:>16}{:>16}{:>14}", "layer", "size", "8-bit weights", "all errors", "room in i32")?;
    for layer in &report.layers {
        let size = match layer.weights_db {
            Some(_) => format!("{} x {}", layer.outputs, layer.inputs),
            None => layer.outputs.to_string(),
        };
        let weights = layer.weights_db.map_or(String::new(), |db| format!("{db:.1} dB"));
        let room = layer.least_margin.map_or(String::new(), |margin| format!("{:.0} %", room(margin)));
        let all = format!("{:.1} dB", layer.cumulative_db);
        writeln!(text, "  {:18}{size:>12}{weights:>16}{all:>16}{room:>14}", layer.name)?;
    }

    let error = &report.output_error;
    writeln!(
        text,
        "\nthe network's output: {:.4} off (root mean square), {:.3} at most, at {} points",
        error.root_mean_square, error.largest, error.points
    )?;
    writeln!(
        text,
        "{} samples from the same noise: {:.4} off the float model's (mean), {:.2} at most",
        comparison.samples, comparison.mean_difference, comparison.largest_difference
    )?;
    writeln!(text, "no accumulator can overflow: the fullest keeps {:.0} % of its range\n", room(report.least_margin))?;
    for (class, name) in report.class_names.iter().enumerate() {
        writeln!(text, "--class {class}: {name}")?;
    }
    writeln!(text, "next: cargo xtask sample {}", file.display())
}

/// A margin as a share of 2^31, in percent.
fn room(margin: u64) -> f64 {
    100.0 * margin as f64 / f64::from(1_u32 << 31)
}

/// `12 345 678`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        assert_eq!([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }
}
