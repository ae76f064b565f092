//! The end of the page: what fixed point costs, how everything was measured, and how to measure it again.

use super::number::{count, percent, value, with_interval};
use super::page::{Cell, Row, command as shown_command, facts, section, table};
use super::verdict;
use crate::judge::evaluation::{Evaluation, Stated};
use maud::{Markup, html};

/// What fixed point costs, for an artifact that was judged beside its float model.
pub fn quantisation(evaluation: &Evaluation) -> Markup {
    let Some(cost) = &evaluation.quantisation else { return html! {} };
    let mut list = vec![
        ("Float model", cost.run.display().to_string()),
        ("Fréchet distance in pixels, over the float model’s", with_interval(&cost.frechet_pixels, value)),
    ];
    if let Some(ratio) = &cost.frechet_features {
        list.push(("Fréchet distance in features, over the float model’s", with_interval(ratio, value)));
    }
    if let Some(difference) = &cost.agreement {
        let points = |share: f64| format!("{:+.2}", 100.0 * share);
        list.push(("Class agreement less the float model’s, percentage points", with_interval(difference, points)));
    }
    list.push(("Mean difference of a value, of a range of 2", value(cost.mean_difference)));
    let introduction =
        "The same noise, drawn by the float model on the host and by the firmware’s fixed-point arithmetic.";
    section("What fixed point costs", introduction, &facts(&list))
}

/// How it was measured: settings, thresholds, notes, and the command that repeats it.
pub fn method(evaluation: &Evaluation, command: &str) -> Markup {
    let (subject, data, settings) = (&evaluation.subject, &evaluation.data, &evaluation.settings);
    let seeds: Vec<String> = settings.seeds.iter().map(u64::to_string).collect();
    let shape: Vec<String> = data.shape.iter().map(usize::to_string).collect();
    let list = [
        ("Data", format!("{}, samples of {}, {}", data.name, shape.join(" × "), classes(data.classes))),
        ("Training rows", count(data.training_rows)),
        ("Held-out rows", count(data.held_out_rows)),
        ("Sampler", subject.sampler.clone()),
        ("Its own number of steps", count(subject.default_steps)),
        ("Samples for each seed", count(settings.count)),
        ("Seeds of the noise", seeds.join(", ")),
        ("Neighbours of precision and recall", count(settings.neighbours)),
    ];
    let body = html! {
        (facts(&list))
        (judge(evaluation))
        @if !evaluation.notes.is_empty() { ul.notes { @for note in &evaluation.notes { li { (note) } } } }
        details {
            summary { "How the verdict follows from the figures" }
            (thresholds())
        }
        details {
            summary { "What the figures are" }
            (definitions())
        }
        h3 { "To repeat it" }
        (shown_command(command))
    };
    section("How it was measured", "", &body)
}

fn classes(classes: usize) -> String {
    if classes == 0 { "without classes".to_owned() } else { format!("{classes} classes") }
}

fn judge(evaluation: &Evaluation) -> Markup {
    match &evaluation.judge {
        Stated::Absent(reason) => html! { p { "There is no judge besides pixels: " (reason) "." } },
        Stated::Present(judge) => html! {
            p {
                "The judge is a classifier of " (count(judge.parameters)) " parameters, trained on the real training rows alone and never used in training a model. It names "
                (percent(judge.held_out_accuracy)) " of the held-out rows rightly; its " (count(judge.features))
                " features are its last hidden layer. Key " code { (judge.key.chars().take(16).collect::<String>()) } "."
            }
        },
    }
}

fn thresholds() -> Markup {
    let rows = verdict::ALL.map(|threshold| {
        let sign = if threshold.falls() { "at most" } else { "at least" };
        let limit = |value: f64| format!("{sign} {value}");
        let cells = [threshold.what.to_owned(), limit(threshold.good), limit(threshold.fair)];
        Row { cells: cells.map(Cell::from).into(), stands_out: false }
    });
    table(
        "The verdict is the worst of its findings; what is neither good nor fair is poor.",
        &["Figure", "Good", "Fair"],
        &rows,
    )
}

fn definitions() -> Markup {
    let list: [(&str, &str); 6] = [
        (
            "Fréchet distance",
            "Between the Gaussians with the mean and covariance of two sets of rows: |m − n|² + tr(C + D − 2 (C D)^½). Sensitive to the number of samples, so compare equal counts only.",
        ),
        ("Floor", "The distance of the real training rows to the held-out rows. No model needs to be nearer."),
        ("Class agreement", "Share of samples that a judge gives the class they were asked for."),
        (
            "Precision and recall",
            "Share of samples within the k-nearest-neighbour balls of real rows, and the reverse (Kynkäänniemi et al., 2019).",
        ),
        (
            "Copy, by distance",
            "At most a third as far from the nearest training row as from the second nearest, in pixels (Yoon et al., 2023).",
        ),
        (
            "Copy, by cosine",
            "Cosine similarity above 3/5 with some training row, in whitened features that tell rows of a class apart (Zhang et al., 2024).",
        ),
    ];
    html! { dl { @for (name, text) in list { dt { strong { (name) } } dd { (text) } } } }
}
