//! A judgement as a table, for a terminal or a log.

use crate::judge::evaluation::{Evaluation, Interval, Quantisation, Scores, Stated};

/// What the columns hold, the number of steps first.
const COLUMNS: [&str; 8] =
    ["steps", "Frechet, pixels", "features", "precision", "recall", "agreement", "copies", "by cosine"];

/// The lines of a judgement.
pub fn table(evaluation: &Evaluation) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.push(row("real", &evaluation.real, |value, digits| format!("{value:.digits$}")));
    for step in &evaluation.by_steps {
        let mark = if step.is_default { "*" } else { "" };
        rows.push(row(&format!("{mark}{}", step.steps), &step.scores, with_interval));
    }
    let mut lines = vec![heading(evaluation), String::new()];
    lines.extend(aligned(&rows));
    lines.push(String::new());
    lines.push(
        "real: training rows against held-out ones, in pixels where not in features; agreement and copies: of the held-out rows".to_owned(),
    );
    if evaluation.by_steps.len() > 1 {
        lines.push("*: the model's own number of steps".to_owned());
    }
    if evaluation.settings.seeds.len() > 1 {
        lines.push(format!("±: 95 % interval over {} seeds", evaluation.settings.seeds.len()));
    }
    lines.extend(evaluation.quantisation.as_ref().map(quantisation));
    lines.push(match &evaluation.bound {
        Stated::Present(bound) => format!(
            "variational bound: {:.3} bits per dimension of held-out rows, {:.3} of training rows ({} levels)",
            bound.held_out, bound.training, bound.data_levels
        ),
        Stated::Absent(reason) => format!("no variational bound: {reason}"),
    });
    lines.extend(evaluation.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

/// Rows as lines whose columns end below each other.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}"));
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect()
}

fn heading(evaluation: &Evaluation) -> String {
    let (data, subject) = (&evaluation.data, &evaluation.subject);
    let judge = match &evaluation.judge {
        Stated::Present(judge) => format!(
            "the judge names {:.1} % of the latter rightly, three neighbours {:.1} %",
            100.0 * judge.held_out_accuracy,
            100.0 * judge.neighbours_accuracy
        ),
        Stated::Absent(reason) => format!("no judge, pixels only: {reason}"),
    };
    format!(
        "{}: {} samples of {} seeds, {}\n{}: {} training rows, {} held out ({}); {judge}",
        subject.path.display(),
        evaluation.settings.count,
        evaluation.settings.seeds.len(),
        subject.sampler,
        data.name,
        data.training_rows,
        data.held_out_rows,
        data.held_out_from,
    )
}

/// A row of the table; `write` is told how many decimals a value deserves.
fn row<Value>(name: &str, scores: &Scores<Value>, write: impl Fn(&Value, usize) -> String) -> [String; 8] {
    let absent = || "-".to_owned();
    [
        name.to_owned(),
        write(&scores.pixels.frechet, 3),
        scores.features.as_ref().map_or_else(absent, |space| write(&space.frechet, 3)),
        write(&scores.pixels.precision, 3),
        write(&scores.pixels.recall, 3),
        scores.agreement.as_ref().map_or_else(absent, |agreement| write(&agreement.judge, 4)),
        write(&scores.memorised.by_distance, 4),
        scores.memorised.by_cosine.as_ref().map_or_else(absent, |share| write(share, 4)),
    ]
}

fn with_interval(interval: &Interval, digits: usize) -> String {
    match interval.high {
        Some(high) => format!("{:.digits$} ± {:.digits$}", interval.mean, high - interval.mean),
        None => format!("{:.digits$}", interval.mean),
    }
}

fn quantisation(cost: &Quantisation) -> String {
    let ratio = |interval: &Interval| format!("{} of its distance", with_interval(interval, 4));
    let features = cost.frechet_features.as_ref().map(|f| format!(", {} in features", ratio(f))).unwrap_or_default();
    let agreement = cost.agreement.as_ref().map(|a| format!(", agreement {:+.4}", a.mean)).unwrap_or_default();
    format!(
        "fixed point beside {} with the same noise: {} in pixels{features}{agreement}, {:.4} off on average",
        cost.run.display(),
        ratio(&cost.frechet_pixels),
        cost.mean_difference
    )
}
