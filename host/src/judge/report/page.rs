//! The page around a report: its head, its style, and the order of its parts.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Colours, type and layout, for light and dark, wide and narrow.
const STYLE: &str = include_str!("style.css");
/// Nothing may be loaded: the page is whole, and a browser holds it to that.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// A whole page, as UTF-8.
pub fn whole(title: &str, lede: &Markup, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en-GB" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="Tweedie";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kicker { "Tweedie" }
                    h1 { (title) }
                    p.lede { (lede) }
                }
                main { (body) }
            }
        }
    };
    page.into_string()
}

/// A part of the page under a heading, with an introduction that may be empty.
pub fn section(heading: &str, introduction: &str, body: &Markup) -> Markup {
    html! {
        section {
            h2 { (heading) }
            @if !introduction.is_empty() { p.introduction { (introduction) } }
            (body)
        }
    }
}

/// What stands in a table.
pub struct Cell {
    /// The figure.
    pub text: String,
    /// What stands small below it, such as its interval.
    pub below: Option<String>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, below: None }
    }
}

/// A row of a table.
pub struct Row {
    /// The cells, of which the first is the row's head.
    pub cells: Vec<Cell>,
    /// Whether it stands out.
    pub stands_out: bool,
}

/// A table with a heading for each column, whose first column heads the rows.
pub fn table(caption: &str, columns: &[&str], rows: &[Row]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in rows {
                        tr.own[row.stands_out] {
                            @for (index, cell) in row.cells.iter().enumerate() {
                                @if index == 0 { th scope="row" { (cell.text) } } @else {
                                    td { (cell.text) @if let Some(below) = &cell.below { small { (below) } } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Names with what they stand for, side by side.
pub fn facts(facts: &[(&str, String)]) -> Markup {
    html! { dl.facts { @for (name, text) in facts { div { dt { (name) } dd { (text) } } } } }
}

/// A command to copy.
pub fn command(line: &str) -> Markup {
    html! { pre.command { code { (line) } } }
}
