//! A window: the same page in pixels, with the same keys.

use super::artist::Artist;
use super::controls::{Controls, Key};
use super::session::{Outcome, Session};
use super::view::{View, help};
use crate::error::Error;
use crate::picture::font::letter;
use crate::picture::{PictureError, panel};
use image::{Rgb, RgbImage, imageops};
use minifb::{InputCallback, KeyRepeat, ScaleMode, Window, WindowOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Instant;

/// Width and height at the beginning.
const SIZE: (usize, usize) = (1000, 620);
/// Height of a line, and of the letters in it.
const LINE: usize = 26;
const LETTERS: u32 = 18;
/// Around everything.
const MARGIN: usize = 12;
/// Lines above the pictures.
const ABOVE: usize = 3;
const PAPER: [u8; 3] = [36, 40, 50];
const INK: [u8; 3] = [226, 229, 235];
const FAINT: [u8; 3] = [150, 158, 172];
/// Looks for events in a second.
const RATE: usize = 60;

/// Shows a drawing until a key or its frame closes the window.
///
/// # Errors
/// No display to open a window on, samples that cannot be drawn, an artist that breaks down.
pub fn watch(artist: Arc<dyn Artist>, controls: Controls, out: &Path) -> Result<(), Error> {
    let options = WindowOptions { resize: true, scale_mode: ScaleMode::UpperLeft, ..WindowOptions::default() };
    let mut window = Window::new(&artist.subject().name, SIZE.0, SIZE.1, options).map_err(|error| {
        Error::Device(format!("no window can be opened ({error}); leave out --window to watch in the terminal"))
    })?;
    window.set_target_fps(RATE);
    let (typed, letters) = mpsc::channel();
    window.set_input_callback(Box::new(Typed(typed)));

    let room = |artist: &dyn Artist, count, size| panel::room(&artist.subject().shape, count, panel_size(size));
    let first = room(&*artist, controls.request.count, SIZE)?;
    let mut session = Session::begin(artist, controls, first, out);
    let (mut is_new, mut seen) = (true, RgbImage::new(0, 0));
    let mut buffer = Vec::new();
    while window.is_open() {
        let size = window.get_size();
        if is_new || (seen.width() as usize, seen.height() as usize) != size {
            session.set_room(room(session.artist(), session.wanted(), size)?);
            seen = page(&session, size)?;
            buffer = seen.pixels().map(|&Rgb([red, green, blue])| u32::from_be_bytes([0, red, green, blue])).collect();
        }
        is_new = false;
        window
            .update_with_buffer(&buffer, seen.width() as usize, seen.height() as usize)
            .map_err(|error| Error::Device(format!("the window is lost: {error}")))?;
        let signs = letters.try_iter().filter(|sign| !sign.is_control()).map(Key::Character);
        let others = window.get_keys_pressed(KeyRepeat::Yes).into_iter().filter_map(translate);
        for key in signs.chain(others) {
            match session.press(key) {
                Outcome::Nothing => {}
                Outcome::Changed => is_new = true,
                Outcome::Quit => return Ok(()),
            }
        }
        is_new |= session.tick(Instant::now())?;
    }
    Ok(())
}

/// Takes in what is typed, as the keyboard's layout has it.
struct Typed(Sender<char>);

impl InputCallback for Typed {
    fn add_char(&mut self, sign: u32) {
        if let Some(sign) = char::from_u32(sign) {
            // The loop that listens outlives the window.
            let _ = self.0.send(sign);
        }
    }
}

/// Keys that type nothing.
fn translate(key: minifb::Key) -> Option<Key> {
    match key {
        minifb::Key::Left => Some(Key::Left),
        minifb::Key::Right => Some(Key::Right),
        minifb::Key::Up => Some(Key::Up),
        minifb::Key::Down => Some(Key::Down),
        minifb::Key::Escape => Some(Key::Escape),
        _ => None,
    }
}

/// Width and height of either panel in a window of a size; at least 1 each.
fn panel_size((width, height): (usize, usize)) -> (usize, usize) {
    let width = width.saturating_sub(3 * MARGIN) / 2;
    (width.max(1), height.saturating_sub(2 * MARGIN + (ABOVE + 1) * LINE).max(1))
}

/// What the window shows.
fn page(session: &Session, size: (usize, usize)) -> Result<RgbImage, PictureError> {
    let (subject, controls) = (session.artist().subject(), session.controls());
    let view = View { subject, controls, frame: session.frame() };
    let mut page = RgbImage::from_pixel(size.0.max(1) as u32, size.1.max(1) as u32, Rgb(PAPER));
    let line = |number: usize| (MARGIN + number * LINE) as i32;
    let (left, right) = (MARGIN, 2 * MARGIN + panel_size(size).0);
    letter(&mut page, &view.title(), (left as i32, line(0)), LETTERS, INK)?;
    letter(&mut page, &view.progress(), (left as i32, line(1)), LETTERS, INK)?;
    if controls.help {
        for (number, text) in help().enumerate() {
            letter(&mut page, text.trim(), (left as i32, line(ABOVE + number)), LETTERS, INK)?;
        }
    } else {
        let headings = View::HEADINGS;
        letter(&mut page, headings.0, (left as i32, line(2)), LETTERS, FAINT)?;
        letter(&mut page, headings.1, (right as i32, line(2)), LETTERS, FAINT)?;
        for (panel, left) in view.panels(panel_size(size))?.iter().zip([left, right]) {
            imageops::replace(&mut page, panel, left as i64, i64::from(line(ABOVE)));
        }
    }
    let below = size.1.saturating_sub(LINE + MARGIN / 2) as i32;
    letter(&mut page, view.footer(), (left as i32, below), LETTERS, FAINT)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::super::artist::tests::{Painter, request};
    use super::*;

    #[test]
    fn state_and_estimate_stand_beside_each_other() {
        let mut session = Session::begin(Arc::new(Painter::new(3)), Controls::new(request(), 60.0), 2, Path::new("."));
        while !session.tick(Instant::now()).unwrap() {}
        let size = (400, 300);
        let seen = page(&session, size).unwrap();
        assert_eq!(seen.dimensions(), (400, 300));
        // The noise is white, and there is no estimate yet.
        let top = (MARGIN + ABOVE * LINE + 4) as u32;
        assert_eq!(seen.get_pixel(MARGIN as u32 + 4, top).0, [255; 3]);
        assert!(seen.get_pixel((2 * MARGIN + panel_size(size).0 + 4) as u32, top).0[0] < 40);
        assert!(seen.enumerate_pixels().any(|(_, y, pixel)| y < 40 && pixel.0 == INK), "the title");
        // However small, it is a picture.
        for size in [(0, 0), (30, 20), (1, 500)] {
            assert_eq!(page(&session, size).unwrap().dimensions(), (size.0.max(1) as u32, size.1.max(1) as u32));
        }
    }
}
