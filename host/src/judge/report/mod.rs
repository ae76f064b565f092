//! `report.html`: an evaluation as one page that a person would show to a colleague.
//!
//! The page is whole in itself: pictures are data URIs, plots are SVG, no script and nothing from elsewhere, so that it opens from a disk
//! as from a server. Every text is escaped where it is set ([`maud`]), whatever a data set or a folder is called.
//!
//! | read | for |
//! |---|---|
//! | [`verdict`] | what is said at the top, and the thresholds it follows from |
//! | [`scores`], [`samples`], [`bound`], [`background`] | the parts of the page |
//! | [`page`], [`plot`], [`sheets`], [`number`] | what they are made of; the memorisation curve's page is as well |

pub mod background;
pub mod bound;
pub mod number;
pub mod page;
pub mod plot;
pub mod samples;
pub mod scores;
pub mod sheets;
pub mod verdict;

use super::evaluation::{Evaluation, Gallery, SubjectKind};
use crate::atomic_file;
use crate::error::Error;
use maud::{Markup, html};
use number::count;
use std::path::Path;
use verdict::Verdict;

/// Writes the page to `path`; `command` is the line that made the evaluation, for who wants to repeat it.
///
/// # Errors
/// [`Error::Picture`] when a picture can't be encoded, [`Error::Write`] when the file can't be written.
pub fn write(path: &Path, evaluation: &Evaluation, gallery: &Gallery, command: &str) -> Result<(), Error> {
    let page = render(evaluation, gallery, command)?;
    atomic_file::write(path, page.as_bytes()).map_err(Error::Write)
}

/// The page that [`write()`] writes.
///
/// # Errors
/// [`Error::Picture`] when a picture can't be encoded.
pub fn render(evaluation: &Evaluation, gallery: &Gallery, command: &str) -> Result<String, Error> {
    let subject = &evaluation.subject;
    let title = match subject.kind {
        SubjectKind::Run => format!("How good is {}?", subject.path.display()),
        SubjectKind::Artifact => format!("How good is the artifact {}?", subject.path.display()),
    };
    let verdict = verdict::of(evaluation);
    let body = html! {
        (spoken(&verdict))
        (scores::tiles(evaluation))
        (samples::gallery(evaluation, gallery)?)
        (scores::by_steps(evaluation))
        (samples::copies(evaluation, gallery)?)
        (bound::section_of(evaluation))
        (background::quantisation(evaluation))
        (background::method(evaluation, command))
    };
    Ok(page::whole(&title, &lede(evaluation), &body))
}

/// What was judged, in a sentence.
fn lede(evaluation: &Evaluation) -> Markup {
    let (subject, data) = (&evaluation.subject, &evaluation.data);
    let size = match (subject.parameters, subject.bytes) {
        (Some(parameters), _) => format!("{} parameters", count(parameters)),
        (None, Some(bytes)) => format!("{} bytes, drawn in fixed point by the firmware library", count(bytes as usize)),
        (None, None) => String::new(),
    };
    let what = match subject.kind {
        SubjectKind::Run => "A diffusion model of",
        SubjectKind::Artifact => "An artifact for microcontrollers, a diffusion model of",
    };
    let settings = &evaluation.settings;
    let seeds = match settings.seeds.len() {
        1 => String::new(),
        seeds => format!(" of each of {seeds} seeds"),
    };
    html! {
        (what) " " (data.name) ", " (size) ", judged on " (count(settings.count)) " samples" (seeds) " against "
        (count(data.held_out_rows)) " real rows"
        @if !data.held_out_from.is_empty() { " (" (data.held_out_from) ")" } "."
    }
}

fn spoken(verdict: &Verdict) -> Markup {
    html! {
        section.verdict.(verdict.mark.word()) aria-label="Verdict" {
            h2 { (verdict.headline) }
            ul.findings {
                @for finding in &verdict.findings {
                    li {
                        span.mark-word.(finding.mark.word()) { (finding.mark.word()) }
                        p { strong { (finding.title) ". " } (finding.text) }
                    }
                }
            }
        }
    }
}
