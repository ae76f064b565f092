//! One drawing as plain text, a picture below the other, for pipes and files.

use super::artist::{Artist, Request};
use super::controls::Controls;
use super::view::{Sheet, View};
use crate::error::Error;
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;

/// Draws once and prints every step. Ends early, and well, when nobody reads on.
///
/// # Errors
/// A drawing that fails, or an output that cannot be written.
pub fn print(artist: &dyn Artist, request: &Request, sheet: Sheet, out: &mut impl Write) -> Result<(), Error> {
    let subject = artist.subject();
    let room = sheet.room(subject, request.count)?.max(1);
    let controls = Controls::new(Request { count: request.count.min(room), ..request.clone() }, 1.0);
    let mut written =
        writeln!(out, "{}", View { subject, controls: &controls, frame: None }.title()).map_err(Error::from);
    let drawn = artist.draw(&controls.request, &mut |frame| {
        let view = View { subject, controls: &controls, frame: Some(&frame) };
        let mut print = || -> Result<(), Error> {
            writeln!(out, "\n{}", view.progress())?;
            let mut pictures = view.pictures(sheet)?;
            while pictures.last().is_some_and(String::is_empty) {
                pictures.pop();
            }
            pictures.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            Ok(out.flush()?)
        };
        if written.is_ok() {
            written = print();
        }
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match written {
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error),
        Ok(()) => drawn.map_err(Error::Argument),
    }
}

#[cfg(test)]
mod tests {
    use super::super::artist::tests::{Painter, request};
    use super::*;
    use crate::picture::terminal::Style;

    const SHEET: Sheet = Sheet { columns: 60, lines: 8, style: Style::Ascii };

    #[test]
    fn every_step_is_printed_once() {
        let mut out = Vec::new();
        print(&Painter::new(0), &Request { steps: 2, ..request() }, SHEET, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let blocks: Vec<&str> = text.split("\n\n").collect();
        assert_eq!(blocks[0], "test  seed 0  ddim, 2 steps  a test");
        assert!(blocks[1].starts_with("step 0 of 2 ") && blocks[3].starts_with("step 2 of 2 "), "{text}");
        // From white to black, and estimates the other way; of the noise there is none.
        let last = |block: &str| block.trim_end().lines().last().unwrap_or_default().to_owned();
        assert!(last(blocks[1]).starts_with("@@@@") && last(blocks[1]).len() < 31, "{text}");
        assert!(last(blocks[3]).starts_with(&" ".repeat(31)) && last(blocks[3]).ends_with("@@@@"), "{text}");
        assert_eq!(blocks.len(), 4);
    }

    #[test]
    fn a_reader_that_leaves_ends_it_and_a_failure_is_said() {
        struct Closed(ErrorKind);
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let print_to = |kind| print(&Painter::new(0), &request(), SHEET, &mut Closed(kind));
        assert!(print_to(ErrorKind::BrokenPipe).is_ok());
        assert!(print_to(ErrorKind::StorageFull).is_err());
        let unlucky = Request { seed: 13, ..request() };
        let error = print(&Painter::new(0), &unlucky, SHEET, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "thirteen brings bad luck");
    }
}
