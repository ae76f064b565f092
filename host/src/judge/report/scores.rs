//! The figures: at a glance, as plots over the number of steps, and all of them in a table.

use super::number::{count, percent, reach, value};
use super::page::{Cell, Row, section, table};
use super::plot::{Level, Plot, Point, Series, Stroke};
use super::verdict;
use crate::judge::evaluation::{Evaluation, Interval, Scores, SpaceScores};
use crate::picture::axis::Axis;
use maud::{Markup, html};

/// The figures at the model's own number of steps, each beside what real rows score.
pub fn tiles(evaluation: &Evaluation) -> Markup {
    let Some(own) = verdict::own(evaluation) else { return html! {} };
    let (scores, real) = (&own.scores, &evaluation.real);
    let mut tiles = vec![distance("Fréchet distance, pixels", &scores.pixels.frechet, real.pixels.frechet)];
    if let (Some(features), Some(real)) = (&scores.features, &real.features) {
        tiles.push(distance("Fréchet distance, judge’s features", &features.frechet, real.frechet));
    }
    if let Some(agreement) = &scores.agreement {
        let real = real.agreement.as_ref().map(|agreement| agreement.judge);
        tiles.push(share("Class agreement", &agreement.judge, real));
    }
    tiles.push(share("Copies, by distance", &scores.memorised.by_distance, Some(real.memorised.by_distance)));
    let (space, of_real) = match (&scores.features, &real.features) {
        (Some(features), Some(real)) => (features, real),
        _ => (&scores.pixels, &real.pixels),
    };
    // The judge looks through noise, and would believe in samples of nothing else.
    tiles.push(share("Precision, in pixels", &scores.pixels.precision, Some(real.pixels.precision)));
    tiles.push(share("Recall", &space.recall, Some(of_real.recall)));
    if let Some(bound) = evaluation.bound.present() {
        let beside = format!("training: {}", value(bound.training));
        tiles.push(("Bits per dimension", value(bound.held_out), beside));
    }
    html! {
        dl.tiles {
            @for (name, figure, beside) in tiles {
                div { dt { (name) } dd { span.figure { (figure) } span.beside { (beside) } } }
            }
        }
    }
}

fn distance(name: &'static str, interval: &Interval, floor: f64) -> (&'static str, String, String) {
    (name, value(interval.mean), format!("real rows: {}", value(floor)))
}

fn share(name: &'static str, interval: &Interval, real: Option<f64>) -> (&'static str, String, String) {
    (name, percent(interval.mean), real.map_or_else(String::new, |real| format!("real rows: {}", percent(real))))
}

/// Plots over the number of steps, and the table of all figures.
pub fn by_steps(evaluation: &Evaluation) -> Markup {
    let several = evaluation.by_steps.len() > 1;
    let (heading, introduction) = match several {
        true => (
            "By number of steps",
            "More steps cost more evaluations of the network. Bars are 95 % confidence intervals over independent seeds; dotted lines are real rows in the place of samples.",
        ),
        false => ("All figures", ""),
    };
    let plots = html! {
        @if several { div.plots { @for plot in plots(evaluation) { (plot.markup()) } } }
        @if !several { div.plots { @if let Some(plot) = by_class(evaluation) { (plot.markup()) } } }
        (numbers(evaluation))
    };
    section(heading, introduction, &plots)
}

/// The name of the one quantity that is no share.
const DISTANCE: &str = "Fréchet distance";

type Pick = fn(&Scores<Interval>) -> Option<&Interval>;

fn plots(evaluation: &Evaluation) -> Vec<Plot<'static>> {
    let real = &evaluation.real;
    let line = |name: &str, style: usize, pick: Pick| Series {
        name: name.to_owned(),
        style,
        stroke: Stroke::Solid,
        points: evaluation.by_steps.iter().filter_map(|at| Some(point(at.steps, pick(&at.scores)?))).collect(),
    };
    let level = |name: &str, y: f64, style: usize| Level { name: name.to_owned(), y, style: Some(style) };
    let mut plots = vec![Plot {
        title: "Fréchet distance in pixels",
        caption: "Distance to the held-out rows: lower is nearer. The floor is what the training rows themselves score.",
        series: vec![line("samples", 0, |scores| Some(&scores.pixels.frechet))],
        levels: vec![level("floor: real training rows", real.pixels.frechet, 0)],
        ..over_steps(evaluation, DISTANCE)
    }];
    if let Some(floor) = &real.features {
        plots.push(Plot {
            title: "Fréchet distance in the judge’s features",
            caption: "The same in what an independent classifier sees. Where it disagrees with pixels, look at the samples.",
            series: vec![line("samples", 1, |scores| scores.features.as_ref().map(|space| &space.frechet))],
            levels: vec![level("floor: real training rows", floor.frechet, 1)],
            ..over_steps(evaluation, DISTANCE)
        });
    }
    if let Some(of_real) = &real.agreement {
        plots.push(Plot {
            title: "Class agreement",
            caption: "Share of samples that are of the class they were asked for, by two judges that err differently.",
            series: vec![
                line("judge", 0, |scores| scores.agreement.as_ref().map(|agreement| &agreement.judge)),
                line("three nearest rows", 2, |scores| {
                    scores.agreement.as_ref().map(|agreement| &agreement.neighbours)
                }),
            ],
            levels: vec![level("held-out rows, judge", of_real.judge, 0)],
            ..over_steps(evaluation, "agreement")
        });
    }
    let with_features = real.features.is_some();
    let pick = |in_features: Pick, in_pixels: Pick| if with_features { in_features } else { in_pixels };
    plots.push(Plot {
        title: if with_features { "Precision and recall, in the judge’s features" } else { "Precision and recall, in pixels" },
        caption: "Precision: samples that lie among real rows. Recall: real rows that lie among samples; low recall means missing kinds.",
        series: vec![
            line("precision", 0, pick(|s| s.features.as_ref().map(|f| &f.precision), |s| Some(&s.pixels.precision))),
            line("recall", 1, pick(|s| s.features.as_ref().map(|f| &f.recall), |s| Some(&s.pixels.recall))),
        ],
        levels: {
            let space = real.features.as_ref().unwrap_or(&real.pixels);
            vec![level("precision of real rows", space.precision, 0), level("recall of real rows", space.recall, 1)]
        },
        ..over_steps(evaluation, "share")
    });
    let mut copies = vec![line("by distance", 3, |scores| Some(&scores.memorised.by_distance))];
    let mut chance = vec![level("held-out rows, by distance", real.memorised.by_distance, 3)];
    if let Some(by_cosine) = real.memorised.by_cosine {
        copies.push(line("by cosine", 4, |scores| scores.memorised.by_cosine.as_ref()));
        chance.push(level("held-out rows, by cosine", by_cosine, 4));
    }
    plots.push(Plot {
        title: "Memorisation ratio",
        caption: "Share of samples that are copies of training rows. What held-out rows score is chance, not copying.",
        series: copies,
        levels: chance,
        ..over_steps(evaluation, "copies")
    });
    for plot in &mut plots {
        plot.y = axis_of(plot);
    }
    plots.extend(by_class(evaluation));
    plots
}

/// Class agreement at the model's own number of steps, class by class.
fn by_class(evaluation: &Evaluation) -> Option<Plot<'static>> {
    let own = verdict::own(evaluation)?;
    let of_samples = &own.scores.agreement.as_ref()?.by_class;
    let of_real = &evaluation.real.agreement.as_ref()?.by_class;
    let samples = of_samples.iter().enumerate().filter_map(|(class, share)| Some(point(class, share.as_ref()?)));
    let real = (of_real.iter().enumerate())
        .filter_map(|(class, share)| Some(Point { x: class as f64, y: (*share)?, interval: None }));
    let mut plot = Plot {
        title: "Class agreement, class by class",
        caption: "By the judge, at the model’s own number of steps. Where held-out rows score low too, the judge is unsure, not the model.",
        x_name: "class asked for",
        x: Axis::of_indices(of_samples.len()),
        series: vec![
            Series { name: "samples".into(), style: 0, stroke: Stroke::None, points: samples.collect() },
            Series { name: "held-out rows".into(), style: 2, stroke: Stroke::Hollow, points: real.collect() },
        ],
        ..over_steps(evaluation, "agreement")
    };
    plot.y = axis_of(&plot);
    Some(plot)
}

/// A plot of nothing yet, over the numbers of steps.
fn over_steps(evaluation: &Evaluation, y_name: &'static str) -> Plot<'static> {
    let steps: Vec<f64> = evaluation.by_steps.iter().map(|at| at.steps as f64).collect();
    Plot {
        title: "",
        caption: "",
        x_name: "steps (network evaluations for a sample)",
        x: Axis::of_values(&steps),
        y_name,
        y: Axis::of_shares([].into_iter()),
        series: Vec::new(),
        levels: Vec::new(),
    }
}

/// The upward axis that holds all of a plot: shares in percent, distances from 0 or on a logarithmic scale.
fn axis_of(plot: &Plot) -> Axis {
    let points = plot.series.iter().flat_map(|series| &series.points);
    let ends = points.flat_map(|point| {
        let (low, high) = point.interval.unwrap_or((point.y, point.y));
        [low, point.y, high]
    });
    let all = ends.chain(plot.levels.iter().map(|level| level.y));
    if plot.y_name == DISTANCE { Axis::of_amounts(all) } else { Axis::of_shares(all) }
}

fn point(at: usize, interval: &Interval) -> Point {
    Point { x: at as f64, y: interval.mean, interval: interval.low.zip(interval.high) }
}

fn numbers(evaluation: &Evaluation) -> Markup {
    let with_features = evaluation.real.features.is_some();
    let with_classes = evaluation.real.agreement.is_some();
    let with_cosine = evaluation.real.memorised.by_cosine.is_some();
    let mut columns = vec!["Steps", "Fréchet, pixels", "Precision, pixels", "Recall, pixels"];
    let wanted: [(bool, &[&str]); 4] = [
        (with_features, &["Fréchet, features", "Precision, features", "Recall, features"]),
        (with_classes, &["Agreement, judge", "Agreement, 3 nearest"]),
        (true, &["Copies, distance"]),
        (with_cosine, &["Copies, cosine"]),
    ];
    wanted.iter().filter(|(there, _)| *there).for_each(|(_, names)| columns.extend(*names));
    columns.push("Seconds to draw");
    let of_samples = |write: fn(f64) -> String| {
        move |interval: &Interval| Cell { text: write(interval.mean), below: reach(interval, write) }
    };
    let rows = evaluation.by_steps.iter().map(|at| {
        let name = if at.is_default { format!("{} (its own)", count(at.steps)) } else { count(at.steps) };
        let mut cells = cells(name, &at.scores, of_samples(value), of_samples(percent));
        cells.push(format!("{:.2}", at.seconds).into());
        Row { cells, stands_out: at.is_default }
    });
    let mut rows: Vec<Row> = rows.collect();
    let mut real = cells("Real rows".into(), &evaluation.real, |v| value(*v).into(), |v| percent(*v).into());
    real.push("\u{2013}".to_owned().into());
    rows.push(Row { cells: real, stands_out: false });
    let caption = "Means over seeds with 95 % intervals. Real rows: training rows for distances, precision and recall; held-out rows for agreement and copies.";
    table(caption, &columns, &rows)
}

/// A row of the table: distances written by `distance`, shares by `share`.
fn cells<V>(name: String, scores: &Scores<V>, distance: impl Fn(&V) -> Cell, share: impl Fn(&V) -> Cell) -> Vec<Cell> {
    let space = |space: &SpaceScores<V>| [distance(&space.frechet), share(&space.precision), share(&space.recall)];
    let mut cells = vec![name.into()];
    cells.extend(space(&scores.pixels));
    cells.extend(scores.features.iter().flat_map(space));
    cells.extend(scores.agreement.iter().flat_map(|agreement| [share(&agreement.judge), share(&agreement.neighbours)]));
    cells.push(share(&scores.memorised.by_distance));
    cells.extend(scores.memorised.by_cosine.iter().map(&share));
    cells
}
