//! An inspection as a table with sentences, for a terminal or a log.

use super::Inspection;
use crate::picture::axis::significant;

/// The lines of an inspection.
pub fn table(inspection: &Inspection) -> String {
    let Inspection { data, shape, rows, rows_compared, classes, measures, suggestion, .. } = inspection;
    let number = |value: Option<f64>| match value {
        Some(value) if value.fract() == 0.0 && value.abs() < 1e6 => format!("{value:.0}"),
        Some(value) => significant(value),
        None => "-".to_owned(),
    };
    let part = if rows_compared < rows { format!("; {rows_compared} of them compared") } else { String::new() };
    let classed = if *classes > 0 { format!(" in {classes} classes") } else { String::new() };
    let mut lines = vec![format!("{data}: {rows} rows of {shape:?}{classed}{part}"), String::new()];
    lines.push(format!("{:<37}  {:>9}  {:>9}  noise is", "measure", "data", "noise"));
    for measure in measures {
        let (value, noise) = (number(measure.value), number(measure.noise));
        lines.push(format!("{:<37}  {value:>9}  {noise:>9}  {}", measure.label, measure.reference));
        lines.push(format!("    {}", measure.advice));
    }
    lines.push(String::new());
    lines.push(format!(
        "noise from sigma/alpha = {} ({}) to {} ({})",
        significant(suggestion.sigma_min),
        suggestion.why_min,
        significant(suggestion.sigma_max),
        suggestion.why_max
    ));
    lines.push(
        "suggested preset, for `cargo xtask train FILE`; other keys are as in host/presets/digits.toml:\n".to_owned(),
    );
    lines.push(suggestion.preset.trim_end().to_owned());
    lines.join("\n")
}
