//! `curve.html`: the memorisation curve as a page.

use super::{Curve, Point as Measured};
use crate::atomic_file;
use crate::data::Dataset;
use crate::error::Error;
use crate::judge::evaluation::Memorised;
use crate::judge::report::number::{count, of_things, percent, value};
use crate::judge::report::page::{self, Cell, Row, facts, section, table};
use crate::judge::report::plot::{Plot, Point, Series, Stroke};
use crate::judge::report::sheets::picture;
use crate::picture::axis::Axis;
use maud::{Markup, html};
use std::path::Path;

/// The style of what strangers score, which no width has.
const STRANGERS: usize = 4;

/// Writes the page to `path`: a curve measured on `data`, by the line `command`.
///
/// # Errors
/// [`Error::Picture`] when a picture can't be encoded, [`Error::Write`] when the file can't be written.
pub fn write(path: &Path, curve: &Curve, data: &Dataset, command: &str) -> Result<(), Error> {
    let page = render(curve, data, command)?;
    atomic_file::write(path, page.as_bytes()).map_err(Error::Write)
}

/// The page that [`write()`] writes.
///
/// # Errors
/// [`Error::Picture`] when a picture can't be encoded.
pub fn render(curve: &Curve, data: &Dataset, command: &str) -> Result<String, Error> {
    let settings = &curve.settings;
    let lede = html! {
        "The recipe " code { (settings.preset) } ", trained on growing subsets of " (settings.data) " at "
        (of_things(settings.widths.len(), "width")) ", " (count(settings.updates as usize)) " updates each: when are samples copies, and when are they new?"
    };
    let body = html! {
        section.verdict.note aria-label="In words" {
            h2 { (headline(curve)) }
            ul.findings.plain { @for &width in &settings.widths { li { p { (transition(&of_width(curve, width))) } } } }
        }
        (section("Against data and weights", "Every network saw as many noisy rows in training as every other; only the number of different rows differs. Hollow triangles are chance: real rows that no training saw, held against the same subset.", &html! {
            div.plots {
                @for plot in against_rows(curve) { (plot.markup()) }
                (against_parameters(curve).markup())
            }
        }))
        (exhibits(curve, data)?)
        (section("All figures", "", &numbers(curve)))
        (section("How it was measured", METHOD, &html! {
            (facts(&[
                ("Data", format!("{}, {} training rows, {} held out", settings.data, count(settings.training_rows), count(settings.held_out_rows))),
                ("Updates of each training", count(settings.updates as usize)),
                ("Samples of each model", count(settings.samples)),
                ("Seed", settings.seed.to_string()),
                ("Time in all", format!("{:.0} s", curve.points.iter().map(|point| point.seconds).sum::<f64>())),
            ]))
            h3 { "To repeat it" }
            (page::command(command))
        }))
    };
    Ok(page::whole("From memorisation to generalisation", &lede, &body))
}

const METHOD: &str = "Subsets hold one another and are balanced over the classes. A copy, by distance: at most a third as far from the nearest row of its training as from the second nearest, in pixels (Yoon et al., 2023). By cosine: similarity above 3/5 with some row of its training, in the judge’s whitened features (Zhang et al., 2024). Losses are the preset’s, under noise that training did not draw, of the averaged weights.";

fn of_width(curve: &Curve, width: usize) -> Vec<&Measured> {
    curve.points.iter().filter(|point| point.width == width).collect()
}

/// What the curve shows, in a line.
fn headline(curve: &Curve) -> &'static str {
    let widths = || curve.settings.widths.iter().map(|&width| of_width(curve, width));
    let copies = |point: Option<&&Measured>| point.is_some_and(|point| point.memorised.by_distance >= 0.5);
    match (widths().any(|points| copies(points.first())), widths().any(|points| copies(points.last()))) {
        (true, false) => "Few rows are copied, many are learnt",
        (_, true) => "Even the most rows are copied: give more, or a smaller network",
        (false, false) => "Most samples are new, even from the fewest rows",
    }
}

/// What happens to a network of one width as data grow, in a sentence or two.
fn transition(points: &[&Measured]) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let ratio = |point: &Measured| point.memorised.by_distance;
    let subject = format!("With {} parameters (width {})", count(first.parameters), first.width);
    let most = points.iter().map(|point| ratio(point)).fold(0.0, f64::max);
    let halfway = points.windows(2).find(|pair| ratio(pair[0]) >= 0.5 && ratio(pair[1]) < 0.5);
    match halfway {
        Some(pair) => format!(
            "{subject}, {} of the samples are copies when it learns {} and {} when it learns {}: the turn comes between {} and {} rows.",
            percent(ratio(first)),
            of_things(first.rows, "row"),
            percent(ratio(last)),
            of_things(last.rows, "row"),
            count(pair[0].rows),
            count(pair[1].rows),
        ),
        None if most >= 0.5 => {
            format!("{subject}, at least half of the samples are copies even of {}.", of_things(last.rows, "row"))
        }
        None if most == 0.0 => format!("{subject}, no sample is a copy, not even of {}.", of_things(first.rows, "row")),
        None => format!("{subject}, never more than {} of the samples are copies.", percent(most)),
    }
}

fn against_rows(curve: &Curve) -> Vec<Plot<'static>> {
    let rows: Vec<f64> = curve.settings.rows.iter().map(|&rows| rows as f64).collect();
    let plot = |title, caption, y_name, series: Vec<Series>| {
        let values = || series.iter().flat_map(|series| &series.points).map(|point| point.y);
        let y = if y_name == "loss" { Axis::of_amounts(values()) } else { Axis::of_shares(values()) };
        let x = Axis::of_values(&rows);
        Plot { title, caption, x_name: "training rows", x, y_name, y, series, levels: Vec::new() }
    };
    let lines = |said: &str, stroke: Stroke, pick: &dyn Fn(&Measured) -> Option<f64>| -> Vec<Series> {
        let widths = curve.settings.widths.iter().enumerate();
        widths
            .map(|(style, &width)| Series {
                name: format!("width {width}{said}"),
                style,
                stroke,
                points: points(&of_width(curve, width), pick),
            })
            .collect()
    };
    let ratio = |pick: fn(&Memorised<f64>) -> Option<f64>| {
        let mut series = lines("", Stroke::Solid, &|point| pick(&point.memorised));
        // They do not depend on the network.
        let any = curve.settings.widths.last().map_or_else(Vec::new, |&width| of_width(curve, width));
        let points = points(&any, &|point| pick(&point.strangers));
        series.push(Series {
            name: "held-out rows (chance)".to_owned(),
            style: STRANGERS,
            stroke: Stroke::Dashed,
            points,
        });
        series
    };
    let mut plots = vec![plot(
        "Memorisation ratio, by distance",
        "Share of samples at most a third as far from the nearest training row as from the second nearest.",
        "copies",
        ratio(|memorised| Some(memorised.by_distance)),
    )];
    if curve.points.iter().any(|point| point.memorised.by_cosine.is_some()) {
        plots.push(plot(
            "Memorisation ratio, by cosine",
            "Share of samples whose features lie in the direction of a training row’s.",
            "copies",
            ratio(|memorised| memorised.by_cosine),
        ));
    }
    let mut losses = lines(", own rows", Stroke::Solid, &|point| Some(point.training_loss));
    losses.extend(lines(", held-out rows", Stroke::Dashed, &|point| Some(point.held_out_loss)));
    plots.push(plot(
        "Loss on training rows and on held-out rows",
        "The gap between a solid line and the dashed one of its colour is what a network knows by heart. It closes as data grow.",
        "loss",
        losses,
    ));
    plots
}

fn points(of: &[&Measured], pick: &dyn Fn(&Measured) -> Option<f64>) -> Vec<Point> {
    of.iter().filter_map(|point| Some(Point { x: point.rows as f64, y: pick(point)?, interval: None })).collect()
}

fn against_parameters(curve: &Curve) -> Plot<'static> {
    let settings = &curve.settings;
    let sizes: Vec<f64> =
        settings.widths.iter().filter_map(|&width| Some(of_width(curve, width).first()?.parameters as f64)).collect();
    // As many lines as there are colours, from the fewest rows up: where there are copies at all.
    let series: Vec<Series> = (settings.rows.iter().take(crate::judge::report::plot::STYLES).enumerate())
        .map(|(style, &rows)| Series {
            name: of_things(rows, "row"),
            style,
            stroke: Stroke::Solid,
            points: (curve.points.iter().filter(|point| point.rows == rows))
                .map(|point| Point { x: point.parameters as f64, y: point.memorised.by_distance, interval: None })
                .collect(),
        })
        .collect();
    let values = series.iter().flat_map(|series| &series.points).map(|point| point.y);
    Plot {
        title: "Memorisation ratio by distance, against weights",
        caption: "A network too small to hold its rows cannot copy them.",
        x_name: "parameters of the network",
        x: Axis::of_values(&sizes),
        y_name: "copies",
        y: Axis::of_shares(values),
        series,
        levels: Vec::new(),
    }
}

/// Samples of the widest network above their nearest training rows, for every number of rows.
fn exhibits(curve: &Curve, data: &Dataset) -> Result<Markup, Error> {
    let widest = curve.settings.widths.last().map_or_else(Vec::new, |&width| of_width(curve, width));
    let mut sheets = Vec::new();
    for point in widest {
        let samples = point.exhibits.iter().map(|exhibit| exhibit.sample.as_slice());
        let rows = point.exhibits.iter().map(|exhibit| data.sample(exhibit.row));
        let both: Vec<&[f32]> = samples.chain(rows).collect();
        let title = format!("Trained on {}", of_things(point.rows, "row"));
        let alt = format!("{title}: samples in the first row, the training row nearest to each below it");
        if let Some(image) = picture(&both, &curve.settings.shape, point.exhibits.len(), &alt)? {
            let copied = percent(point.memorised.by_distance);
            sheets
                .push(html! { figure.sheet { h3 { (title) } (image) figcaption { (copied) " copies by distance" } } });
        }
    }
    if sheets.is_empty() {
        return Ok(html! {});
    }
    let introduction = "Above: the first samples of the widest network, not chosen. Below each: the row of its training that is nearest.";
    Ok(section("To be seen", introduction, &html! { div.sheets { @for sheet in &sheets { (sheet) } } }))
}

fn numbers(curve: &Curve) -> Markup {
    let columns = [
        "Width",
        "Parameters",
        "Rows",
        "Copies, distance",
        "Copies, cosine",
        "Loss, own rows",
        "Loss, held-out rows",
        "Seconds",
    ];
    let share =
        |share: f64, chance: f64| Cell { text: percent(share), below: Some(format!("chance {}", percent(chance))) };
    let rows: Vec<Row> = (curve.points.iter())
        .map(|point| {
            let by_cosine = point.memorised.by_cosine.zip(point.strangers.by_cosine);
            let cells = vec![
                point.width.to_string().into(),
                count(point.parameters).into(),
                count(point.rows).into(),
                share(point.memorised.by_distance, point.strangers.by_distance),
                by_cosine.map_or_else(|| "\u{2013}".to_owned().into(), |(samples, chance)| share(samples, chance)),
                value(point.training_loss).into(),
                value(point.held_out_loss).into(),
                format!("{:.1}", point.seconds).into(),
            ];
            Row { cells, stands_out: false }
        })
        .collect();
    table("Every training of the curve. Chance: what held-out rows score in the place of samples.", &columns, &rows)
}
