//! The variational bound: how many bits a number of the data costs, and at which noise levels.

use super::number::{count, value};
use super::page::{facts, section};
use super::plot::{Plot, Point, Series, Stroke};
use crate::judge::evaluation::{Bound, Evaluation, Stated};
use crate::picture::axis::Axis;
use maud::{Markup, html};

/// The part of the page on the bound, or why there is none.
pub fn section_of(evaluation: &Evaluation) -> Markup {
    let heading = "Variational bound";
    match &evaluation.bound {
        Stated::Absent(reason) => section(heading, "", &html! { p { "There is none: " (reason) "." } }),
        Stated::Present(bound) => section(
            heading,
            "An upper bound on the bits that a number of a held-out row costs when the model is used to compress it. Much below it on training rows than on held-out rows: the model knows its training rows by heart.",
            &figures(bound),
        ),
    }
}

fn figures(bound: &Bound) -> Markup {
    let list = [
        ("Held-out rows, bits per dimension", value(bound.held_out)),
        ("Training rows, bits per dimension", value(bound.training)),
        ("of held-out rows: prior", value(bound.prior)),
        ("of held-out rows: diffusion steps", value(bound.diffusion)),
        ("of held-out rows: reconstruction", value(bound.reconstruction)),
        ("Steps of the chain", count(bound.steps)),
        (
            "Held-out rows, and steps that each was looked at in",
            format!("{}, {}", count(bound.rows), count(bound.steps_of_a_row)),
        ),
        (
            "Levels of the data",
            format!("{}, {} bits uncompressed", count(bound.data_levels), value((bound.data_levels as f64).log2())),
        ),
    ];
    html! {
        (facts(&list))
        @if bound.by_level.len() > 1 { div.plots { (by_level(bound).markup()) } }
    }
}

fn by_level(bound: &Bound) -> Plot<'static> {
    let mut points: Vec<Point> =
        bound.by_level.iter().map(|term| Point { x: term.log_snr, y: term.bits, interval: None }).collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let (first, last) = (points.first().map_or(0.0, |p| p.x), points.last().map_or(1.0, |p| p.x));
    Plot {
        title: "Where the bits are",
        caption: "Bits per dimension that each range of noise levels adds: noise at the left, data at the right.",
        x_name: "log-SNR, ln(α²/σ²)",
        x: Axis::linear(first..last, 0.0),
        y_name: "bits per dimension",
        y: Axis::linear(0.0..1.1 * points.iter().map(|p| p.y).fold(f64::MIN_POSITIVE, f64::max), 0.0),
        series: vec![Series { name: "held-out rows".into(), style: 0, stroke: Stroke::Solid, points }],
        levels: Vec::new(),
    }
}
