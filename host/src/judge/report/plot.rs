//! Plots as SVG inside a page: lines with confidence intervals, over a few measured positions.
//!
//! Colours are the page's, by class names, so that a plot is legible on a light and on a dark page; series differ in the shape of
//! their marks and in dashes as well, for who sees no colours. Every mark tells its numbers when pointed at.

use crate::picture::axis::{Axis, significant};
use maud::{Markup, html};
use std::fmt::Write;

/// The picture's size in its own units: small, so that a narrow screen need not shrink its letters much.
const SIZE: (f64, f64) = (440.0, 290.0);
/// Room at the left, top, right and bottom for marks and names.
const MARGIN: (f64, f64, f64, f64) = (56.0, 32.0, 14.0, 48.0);
/// Width of a letter of a mark, about.
const LETTER: f64 = 7.5;
/// With more points than this a line needs no marks.
const MOST_MARKS: usize = 24;
/// Half the size of a point.
const MARK: f64 = 4.5;

/// A plot and what is said of it.
pub struct Plot<'a> {
    /// What it shows, in a line.
    pub title: &'a str,
    /// What a reader should see in it, a sentence or two.
    pub caption: &'a str,
    /// Name of the quantity across, with its unit.
    pub x_name: &'a str,
    /// The axis across.
    pub x: Axis,
    /// Name of the quantity upwards, with its unit.
    pub y_name: &'a str,
    /// The axis upwards.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
    /// Levels to compare with.
    pub levels: Vec<Level>,
}

/// One line of a plot.
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Which colour and mark it has, from 0.
    pub style: usize,
    /// What joins its points.
    pub stroke: Stroke,
    /// Its points, from left to right.
    pub points: Vec<Point>,
}

/// What joins points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// A line.
    Solid,
    /// A dashed line, the marks hollow.
    Dashed,
    /// Nothing, where there is no way from one to the next.
    None,
    /// Nothing, the marks hollow.
    Hollow,
}

/// A measured point.
#[derive(Clone, Copy)]
pub struct Point {
    /// Where across.
    pub x: f64,
    /// The value.
    pub y: f64,
    /// The ends of its confidence interval, if there is one.
    pub interval: Option<(f64, f64)>,
}

/// A level line.
pub struct Level {
    /// Its name in the legend.
    pub name: String,
    /// The value.
    pub y: f64,
    /// The colour of which series, or none of them.
    pub style: Option<usize>,
}

/// Colours and marks that the page's style sheet knows.
pub const STYLES: usize = 5;

impl Plot<'_> {
    /// The figure: title, legend, picture and caption.
    pub fn markup(&self) -> Markup {
        html! {
            figure.plot {
                h3 { (self.title) }
                @if self.series.len() + self.levels.len() > 1 { (self.legend()) }
                svg viewBox=(format!("0 0 {} {}", SIZE.0, SIZE.1)) role="img" aria-label=(self.description()) {
                    (self.grid())
                    @for level in &self.levels { (self.level(level)) }
                    // The first on top.
                    @for series in self.series.iter().rev() { (self.line(series)) }
                }
                figcaption { (self.caption) }
            }
        }
    }

    /// What the picture shows, for who can't see it.
    fn description(&self) -> String {
        let mut text = format!("{}: {} against {}.", self.title, self.y_name, self.x_name);
        for series in &self.series {
            let points = series.points.iter().map(|p| format!("{} at {}", significant(p.y), p.x));
            let _ = write!(text, " {}: {}.", series.name, points.collect::<Vec<_>>().join(", "));
        }
        for level in &self.levels {
            let _ = write!(text, " {}: {}.", level.name, significant(level.y));
        }
        text
    }

    fn legend(&self) -> Markup {
        html! {
            ul.legend {
                @for series in &self.series {
                    li {
                        svg.(series.class()) viewBox="0 0 30 14" width="30" height="14" aria-hidden="true" {
                            @if series.is_joined() { path.line d="M1 7H29" {} }
                            (mark(series.style, 15.0, 7.0))
                        }
                        (series.name)
                    }
                }
                @for level in &self.levels {
                    li {
                        svg.(level.class()) viewBox="0 0 30 14" width="30" height="14" aria-hidden="true" { path.level d="M1 7H29" {} }
                        (level.name)
                    }
                }
            }
        }
    }

    fn grid(&self) -> Markup {
        let (left, right, bottom) = (MARGIN.0, SIZE.0 - MARGIN.2, SIZE.1 - MARGIN.3);
        html! {
            text.name x=(0) y=(14) { (self.y_name) @if self.y.logarithmic { " (logarithmic)" } }
            text.name x=((left + right) / 2.0) y=(SIZE.1 - 7.0) text-anchor="middle" { (self.x_name) }
            @for (value, label) in &self.y.ticks {
                @let y = number(self.y_of(*value));
                path.grid d=(format!("M{left} {y}H{right}")) {}
                text.tick x=(left - 8.0) y=(y) dy="0.35em" text-anchor="end" { (label) }
            }
            path.axis d=(format!("M{left} {bottom}H{right}")) {}
            @for (value, label) in self.marked() {
                @let x = number(self.x_of(value));
                path.axis d=(format!("M{x} {bottom}v5")) {}
                text.tick x=(x) y=(bottom + 20.0) text-anchor="middle" { (label) }
            }
        }
    }

    /// The ticks across that have room for their labels: the last always, the others from the left.
    fn marked(&self) -> Vec<(f64, &str)> {
        let width = |label: &str| LETTER * label.chars().count() as f64;
        let apart = |a: &(f64, &str), b: &(f64, &str)| {
            (self.x_of(a.0) - self.x_of(b.0)).abs() >= (width(a.1) + width(b.1)) / 2.0 + LETTER / 2.0
        };
        let mut ticks = self.x.ticks.iter().map(|(value, label)| (*value, label.as_str()));
        let Some(last) = ticks.next_back() else { return Vec::new() };
        let mut kept: Vec<(f64, &str)> = Vec::new();
        for tick in ticks {
            if apart(&tick, &last) && kept.last().is_none_or(|before| apart(before, &tick)) {
                kept.push(tick);
            }
        }
        kept.push(last);
        kept
    }

    fn level(&self, level: &Level) -> Markup {
        let (left, right, y) = (MARGIN.0, SIZE.0 - MARGIN.2, number(self.y_of(level.y)));
        html! {
            g.(level.class()) {
                path.level d=(format!("M{left} {y}H{right}")) {}
                title { (level.name) ": " (significant(level.y)) }
            }
        }
    }

    fn line(&self, series: &Series) -> Markup {
        let mut path = String::new();
        for (index, point) in series.points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{} {}", number(self.x_of(point.x)), number(self.y_of(point.y)));
        }
        html! {
            g.(series.class()) {
                @if series.is_joined() { path.line d=(path) {} }
                @for point in series.points.iter().filter(|_| series.points.len() <= MOST_MARKS) {
                    @let (x, y) = (self.x_of(point.x), self.y_of(point.y));
                    g {
                        title { (series.name) ", " (point.x) ": " (significant(point.y)) (said_interval(point)) }
                        @if let Some((low, high)) = point.interval {
                            path.interval d=(interval_path(x, self.y_of(low), self.y_of(high))) {}
                        }
                        (mark(series.style, x, y))
                    }
                }
            }
        }
    }

    fn x_of(&self, value: f64) -> f64 {
        MARGIN.0 + self.x.position(value) * (SIZE.0 - MARGIN.0 - MARGIN.2)
    }

    fn y_of(&self, value: f64) -> f64 {
        SIZE.1 - MARGIN.3 - self.y.position(value) * (SIZE.1 - MARGIN.1 - MARGIN.3)
    }
}

impl Series {
    fn is_joined(&self) -> bool {
        matches!(self.stroke, Stroke::Solid | Stroke::Dashed)
    }

    fn class(&self) -> String {
        let hollow = matches!(self.stroke, Stroke::Dashed | Stroke::Hollow);
        format!("s{}{}", self.style % STYLES, if hollow { " hollow" } else { "" })
    }
}

impl Level {
    fn class(&self) -> String {
        self.style.map_or_else(|| "reference".to_owned(), |style| format!("s{}", style % STYLES))
    }
}

/// The mark of a style around a place: circle, square, triangle, diamond, triangle on its tip.
fn mark(style: usize, x: f64, y: f64) -> Markup {
    let (x, y) = (number(x), number(y));
    let path = match style % STYLES {
        0 => format!("M{x} {y}m-{MARK} 0a{MARK} {MARK} 0 1 0 9 0a{MARK} {MARK} 0 1 0 -9 0z"),
        1 => format!("M{x} {y}m-4 -4h8v8h-8z"),
        2 => format!("M{x} {y}m0 -5l5 8.5h-10z"),
        3 => format!("M{x} {y}m0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z"),
        _ => format!("M{x} {y}m0 5l5 -8.5h-10z"),
    };
    html! { path.mark d=(path) {} }
}

/// A bar from the interval's one end to the other, with caps.
fn interval_path(x: f64, low: f64, high: f64) -> String {
    let (x, low, high) = (number(x), number(low), number(high));
    format!("M{x} {low}V{high}M{x} {low}m-4 0h8M{x} {high}m-4 0h8")
}

fn said_interval(point: &Point) -> String {
    point.interval.map_or_else(String::new, |(low, high)| format!(" ({} to {})", significant(low), significant(high)))
}

/// A coordinate, to a tenth of a pixel; what is not finite would make the picture invalid.
fn number(value: f64) -> f64 {
    if value.is_finite() { (10.0 * value).round() / 10.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: &[(f64, f64)]) -> Plot<'static> {
        let points: Vec<Point> =
            points.iter().map(|&(x, y)| Point { x, y, interval: Some((y / 2.0, y * 2.0)) }).collect();
        Plot {
            title: "T <1>",
            caption: "A & B",
            x_name: "steps",
            x: Axis::of_values(&points.iter().map(|point| point.x).collect::<Vec<_>>()),
            y_name: "distance",
            y: Axis::of_amounts(points.iter().map(|point| point.y)),
            series: vec![Series { name: "\"pixels\"".into(), style: 0, stroke: Stroke::Solid, points }],
            levels: vec![Level { name: "floor".into(), y: 1.0, style: None }],
        }
    }

    #[test]
    fn every_point_lies_inside_and_higher_values_higher_up() {
        let plot = plot(&[(1.0, 9.0), (4.0, 3.0), (20.0, 2.0)]);
        let places: Vec<(f64, f64)> = plot.series[0].points.iter().map(|p| (plot.x_of(p.x), plot.y_of(p.y))).collect();
        assert!(places.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1), "{places:?}");
        for (x, y) in places {
            assert!((MARGIN.0..=SIZE.0 - MARGIN.2).contains(&x) && (MARGIN.1..=SIZE.1 - MARGIN.3).contains(&y));
        }
    }

    #[test]
    fn the_figure_is_xml_that_says_its_numbers_and_escapes_its_texts() {
        let text = plot(&[(1.0, 9.0), (4.0, 3.0)]).markup().into_string();
        let figure = roxmltree::Document::parse(&text).unwrap();
        let by_tag = |tag: &str| figure.descendants().filter(|node| node.has_tag_name(tag)).count();
        assert_eq!(by_tag("svg"), 3, "the picture and two of the legend");
        let picture = figure.descendants().find(|node| node.attribute("role") == Some("img")).unwrap();
        let said = picture.attribute("aria-label").unwrap();
        assert_eq!(said, "T <1>: distance against steps. \"pixels\": 9.000 at 1, 3.000 at 4. floor: 1.000.");
        let marks = picture.descendants().filter(|node| node.attribute("class") == Some("mark")).count();
        assert_eq!(marks, 2);
    }

    #[test]
    fn labels_that_would_overlap_are_left_out_but_the_last() {
        let close = plot(&[(1.0, 1.0), (1000.0, 1.0), (1024.0, 1.0), (1347.0, 1.0)]);
        let labels: Vec<&str> = close.marked().iter().map(|tick| tick.1).collect();
        assert_eq!(labels, ["1", "1347"]);
        let apart = plot(&[(1.0, 1.0), (2.0, 1.0), (4.0, 1.0), (8.0, 1.0), (20.0, 1.0), (50.0, 1.0)]);
        assert_eq!(apart.marked().len(), 6);
    }

    #[test]
    fn what_is_no_number_breaks_nothing() {
        let text = plot(&[(1.0, f64::NAN), (2.0, f64::INFINITY)]).markup().into_string();
        assert!(!text.contains("d=\"MNaN") && !text.contains("inf V"), "{text}");
        roxmltree::Document::parse(&text).unwrap();
    }
}
