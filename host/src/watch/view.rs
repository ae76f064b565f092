//! What is seen: two lines on what is drawn and how far it is, the state beside the estimate, and a line for notes.

use super::artist::{Frame, Subject};
use super::controls::{Controls, KEYS};
use crate::picture::terminal::{Style, lines};
use crate::picture::{PictureError, panel};
use crate::say::counted;
use image::RgbImage;

/// The least terminal, in columns and lines.
pub const LEAST: (usize, usize) = (60, 14);
/// Lines that are no picture: title, progress and headings above, the note below.
const TEXT: usize = 4;
/// Columns between state and estimate.
const BETWEEN: usize = 2;
/// Columns of the bar that shows how many steps are done.
const BAR: usize = 20;

/// Everything that a page shows.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What is drawn.
    pub subject: &'a Subject,
    /// What is on.
    pub controls: &'a Controls,
    /// The present frame, once there is one.
    pub frame: Option<&'a Frame>,
}

/// A terminal's size and what it can show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sheet {
    /// Characters side by side.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
    /// How pixels are shown.
    pub style: Style,
}

impl Sheet {
    /// Whether it is large enough.
    ///
    /// # Errors
    /// A sentence with the size that is needed.
    pub fn check(self) -> Result<(), String> {
        let ((columns, lines), Self { columns: own, lines: own_lines, .. }) = (LEAST, self);
        match own >= columns && own_lines >= lines {
            true => Ok(()),
            false => {
                Err(format!("this terminal has {own} columns and {own_lines} lines; {columns} and {lines} are needed"))
            }
        }
    }

    /// Columns of either panel.
    fn half(self) -> usize {
        self.columns.saturating_sub(BETWEEN) / 2
    }

    /// Width and height of either panel in pixels.
    fn panel(self) -> (usize, usize) {
        let lines = self.lines.saturating_sub(TEXT);
        (self.half() / self.style.columns_per_pixel(), lines * self.style.pixels_per_line())
    }

    /// How many of `count` samples can be seen.
    ///
    /// # Errors
    /// [`PictureError::Shape`] for samples that cannot be drawn.
    pub fn room(self, subject: &Subject, count: usize) -> Result<usize, PictureError> {
        panel::room(&subject.shape, count, self.panel())
    }
}

impl View<'_> {
    /// What is drawn, by whom.
    pub fn title(&self) -> String {
        let (Subject { name, by, classes, class_names, .. }, request) = (self.subject, &self.controls.request);
        let class = match (request.class, classes) {
            (_, 0) => None,
            (None, _) => Some("classes in turn".to_owned()),
            (Some(class), _) => {
                let name = class_names.get(class as usize).map(|name| format!(" ({name})")).unwrap_or_default();
                Some(format!("class {class}{name}"))
            }
        };
        let solver = request.solver.map_or("its own plan".to_owned(), |solver| solver.to_string());
        let guidance = (request.guidance != 1.0).then(|| format!("guidance {}", request.guidance));
        let steps = counted(request.steps, "step");
        let parts = [
            Some(name.clone()),
            class,
            Some(format!("seed {}", request.seed)),
            Some(format!("{solver}, {steps}")),
            guidance,
            Some(by.clone()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
    }

    /// How far the drawing is.
    pub fn progress(&self) -> String {
        let Some(Frame { step, steps, angle, seconds, .. }) = self.frame else {
            return "waiting for the noise".to_owned();
        };
        let done = (step * BAR).checked_div(*steps).unwrap_or(BAR);
        let bar: String = (0..BAR).map(|place| if place < done { '=' } else { '-' }).collect();
        let width = steps.to_string().len();
        let speed = if *step == 0 { String::new() } else { format!("  {} a step", duration(*seconds)) };
        let paused = if self.controls.paused { "  paused" } else { "" };
        format!("step {step:>width$} of {steps} [{bar}] noise {angle:.2}{speed}{paused}")
    }

    /// What stands over the two panels.
    pub const HEADINGS: (&'static str, &'static str) = ("state x_t", "estimate x0_hat");

    /// The note, or which key explains the keys.
    pub fn footer(&self) -> &str {
        self.controls.note.as_deref().unwrap_or("? keys   space pause   q quit")
    }

    /// State and estimate as pictures of `size` (width, height); black where there is none yet.
    ///
    /// # Errors
    /// [`PictureError`] for samples that cannot be drawn.
    pub fn panels(&self, size: (usize, usize)) -> Result<[RgbImage; 2], PictureError> {
        let (state, x0_hat) = match self.frame {
            Some(frame) => (frame.state.as_slice(), frame.x0_hat.as_deref().unwrap_or_default()),
            None => (&[][..], &[][..]),
        };
        let count = match state.len() / self.subject.features() {
            0 => self.controls.request.count,
            count => count,
        };
        let draw = |samples: &[f32]| panel::draw(samples, &self.subject.shape, count, size);
        Ok([draw(state)?, draw(x0_hat)?])
    }

    /// State and estimate as lines, under their headings.
    ///
    /// # Errors
    /// As of [`panels`](Self::panels).
    pub fn pictures(&self, sheet: Sheet) -> Result<Vec<String>, PictureError> {
        let size = sheet.panel();
        let [left, right] = self.panels(size)?.map(|panel| lines(&panel, sheet.style));
        let gap = " ".repeat(sheet.half() + BETWEEN - size.0 * sheet.style.columns_per_pixel());
        let (state, estimate) = Self::HEADINGS;
        let heading = format!("{state:width$}{estimate}", width = sheet.half() + BETWEEN);
        let pairs = left.into_iter().zip(right).map(|(left, right)| format!("{left}{gap}{right}"));
        Ok([heading].into_iter().chain(pairs).map(|line| line.trim_end_matches(' ').to_owned()).collect())
    }

    /// A whole page: as many lines as the sheet has, none wider than it is.
    ///
    /// # Errors
    /// As of [`panels`](Self::panels).
    pub fn page(&self, sheet: Sheet) -> Result<Vec<String>, PictureError> {
        let cut = |text: &str| text.chars().take(sheet.columns).collect::<String>();
        let mut page = vec![cut(&self.title())];
        if let Err(small) = sheet.check() {
            page = wrapped(&small, sheet.columns);
            page.resize(sheet.lines, String::new());
            return Ok(page);
        }
        if self.controls.help {
            page.extend(help().map(|line| cut(&line)).take(sheet.lines - 2));
        } else {
            page.push(cut(&self.progress()));
            page.extend(self.pictures(sheet)?);
        }
        page.resize(sheet.lines.saturating_sub(1).max(1), String::new());
        page.push(cut(self.footer()));
        Ok(page)
    }
}

/// The keys, a line each.
pub fn help() -> impl Iterator<Item = String> {
    KEYS.iter().map(|(keys, what)| format!("  {keys:<17} {what}"))
}

/// Text as lines of at most so many characters, words that are no longer left whole.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(line) if last == 0 => line.push_str(word),
            Some(line) if last + 1 + word.chars().count() <= columns => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| line.chars().take(columns).collect()).collect()
}

/// A span of time with its unit.
fn duration(seconds: f64) -> String {
    match seconds {
        ..1e-3 => format!("{:.0} us", seconds * 1e6),
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::artist::tests::{Painter, request};
    use super::super::artist::{Fixed, Request};
    use super::*;
    use crate::preset::SolverName;
    use quickcheck::{TestResult, quickcheck};

    fn subject(shape: &[usize]) -> Subject {
        Subject { shape: shape.to_vec(), name: "runs/tiny".into(), by: "candle on cpu".into(), ..Painter::new(3).0 }
    }

    fn frame() -> Frame {
        let state = vec![1.0, -1.0, 0.0, -1.0, -1.0, 1.0, 1.0, 1.0];
        let x0_hat = Some(vec![-1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0]);
        Frame { step: 3, steps: 12, angle: 0.75, state, x0_hat, seconds: 0.0012 }
    }

    #[test]
    fn a_page_of_a_tiny_model() {
        let (subject, mut controls) = (subject(&[2, 2]), Controls::new(request(), 10.0));
        controls.request = Request { class: Some(1), steps: 12, guidance: 2.0, ..request() };
        controls.paused = true;
        let frame = frame();
        let mut view = View { subject: &subject, controls: &controls, frame: Some(&frame) };
        let sheet = Sheet { columns: 62, lines: 14, style: Style::Ascii };
        // Two samples of 2 x 2, three times as large; a pixel is two characters.
        let upper = "@@@@@@              @@@@@@            @@@@@@  @@@@@@";
        let lower = "++++++        @@@@@@@@@@@@      @@@@@@              @@@@@@";
        let text = "\
            runs/tiny  class 1  seed 0  ddim, 12 steps  guidance 2  candle\n\
            step  3 of 12 [=====---------------] noise 0.75  1.2 ms a step\n\
            state x_t                       estimate x0_hat\n";
        let expected = text.lines().chain([upper; 3]).chain([lower; 3]).chain([""; 4]);
        let page = view.page(sheet).unwrap();
        assert_eq!(page, expected.chain(["? keys   space pause   q quit"]).collect::<Vec<_>>());

        // In colours pixels are as wide as a character and half as high, so that there is room for larger ones.
        let colours = view.page(Sheet { style: Style::TrueColour, ..sheet }).unwrap();
        assert_eq!(colours.len(), 14);
        assert!(colours[3].starts_with("\x1b[38;2;255;255;255;48;2;255;255;255m▀▀▀▀▀▀▀\x1b[38;2;0;0;0;48;2;0;0;0m"));
        assert_eq!(view.panels((5, 2)).unwrap()[0].dimensions(), (5, 2));

        // Before the first frame, and before the first estimate.
        view.frame = None;
        let blank = view.page(sheet).unwrap();
        assert_eq!(blank[1], "waiting for the noise");
        assert!(blank[3..13].iter().all(String::is_empty));
        let noise = Frame { step: 0, x0_hat: None, ..frame.clone() };
        view.frame = Some(&noise);
        let page = view.page(sheet).unwrap();
        assert_eq!(
            (page[1].as_str(), page[3].as_str()),
            ("step  0 of 12 [--------------------] noise 0.75  paused", &upper[..26])
        );
    }

    #[test]
    fn help_notes_and_small_terminals_take_the_page() {
        let (subject, mut controls) = (subject(&[2, 2]), Controls::new(request(), 10.0));
        controls.help = true;
        controls.note = Some("wrote it".to_owned());
        let view = View { subject: &subject, controls: &controls, frame: None };
        let page = view.page(Sheet { columns: LEAST.0, lines: LEAST.1, style: Style::Ascii }).unwrap();
        assert_eq!((page.len(), page[13].as_str()), (14, "wrote it"));
        // Every key is explained, and whole.
        for (line, (keys, what)) in page[1..].iter().zip(KEYS) {
            assert!(line.contains(keys) && line.ends_with(what), "{line}");
        }
        let small = view.page(Sheet { columns: 40, lines: 5, style: Style::Ascii }).unwrap();
        let text = ["this terminal has 40 columns and 5", "lines; 60 and 14 are needed", "", "", ""];
        assert_eq!(small, text);
        assert_eq!(view.page(Sheet { columns: 3, lines: 2, style: Style::Ascii }).unwrap(), ["thi", "ter"]);
        let low = Sheet { columns: 99, lines: 13, style: Style::Ascii };
        assert!(low.check().unwrap_err().ends_with("60 and 14 are needed"));
    }

    #[test]
    fn titles_say_what_is_special() {
        let mut subject = subject(&[2, 2]);
        subject.class_names = vec!["a seven".into()];
        subject.fixed = Fixed { solver: Some("its own".into()), ..Fixed::default() };
        let mut controls = Controls::new(Request { solver: None, steps: 1, ..request() }, 10.0);
        let title = |subject: &Subject, controls: &Controls| View { subject, controls, frame: None }.title();
        assert_eq!(
            title(&subject, &controls),
            "runs/tiny  classes in turn  seed 0  its own plan, 1 step  candle on cpu"
        );
        controls.request.class = Some(0);
        controls.request.solver = Some(SolverName::DpmPlusPlus2M);
        assert!(title(&subject, &controls).contains("class 0 (a seven)  seed 0  dpm++2m, 1 step"));
        subject.classes = 0;
        assert!(!title(&subject, &controls).contains("class"));
    }

    #[test]
    fn pages_fit_their_terminal_and_show_something() {
        fn fits(kind: u8, side: u8, count: u8, columns: u8, lines: u8, style: u8) -> TestResult {
            let side = usize::from(side % 70) + 1;
            let shapes = [vec![side, side / 2 + 1], vec![3, side, side], vec![3], vec![1, side + 1], vec![side + 3]];
            let subject = subject(&shapes[usize::from(kind) % shapes.len()]);
            let mut controls = Controls::new(request(), 10.0);
            controls.request.count = usize::from(count % 20) + 1;
            let style = [Style::Ascii, Style::Colours256, Style::TrueColour][usize::from(style) % 3];
            let sheet =
                Sheet { columns: LEAST.0 + usize::from(columns) / 2, lines: LEAST.1 + usize::from(lines) / 4, style };
            let numbers = vec![0.4; controls.request.count * subject.features()];
            let frame =
                Frame { step: 1, steps: 2, angle: 0.5, state: numbers.clone(), x0_hat: Some(numbers), seconds: 0.1 };
            let view = View { subject: &subject, controls: &controls, frame: Some(&frame) };
            let page = view.page(sheet).unwrap();
            let width = |line: &str| console::measure_text_width(line);
            let is_seen = sheet.room(&subject, controls.request.count).unwrap() > 0;
            TestResult::from_bool(
                page.len() == sheet.lines && page.iter().all(|line| width(line) <= sheet.columns) && is_seen,
            )
        }
        quickcheck(fits as fn(u8, u8, u8, u8, u8, u8) -> TestResult);
    }

    #[test]
    fn times_have_units() {
        assert_eq!([2.4e-4, 0.0321, 1.5].map(duration), ["240 us", "32.1 ms", "1.50 s"]);
    }
}
