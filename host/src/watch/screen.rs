//! The terminal: taken over while a drawing is watched, and left as it was found whatever happens.

use super::controls::Key;
use super::session::{Outcome, Session, broken_down};
use super::view::{Sheet, View};
use crate::error::Error;
use crate::picture::terminal::Style;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};
use std::io::{self, Write};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether the terminal is taken over.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal in raw mode, on its alternate screen. It is given back when this is dropped; before a panic's message, so that the message can be
/// read; and after a signal that asks the program to end.
struct Taken;

impl Taken {
    fn take() -> io::Result<Self> {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            usual(info);
        }));
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let taken = Self;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // There is nobody left to tell.
        let _ = execute!(io::stdout(), EndSynchronizedUpdate, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// A flag that signals raise which ask the program to end.
fn asked_to_end() -> io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, asked.clone())?;
    }
    Ok(asked)
}

/// The terminal as it is now, less a column: a line that ends in the last one would make some terminals begin another.
///
/// # Errors
/// [`Error::Output`] if it does not say how large it is.
pub fn sheet() -> Result<Sheet, Error> {
    let (columns, lines) = size().map_err(Error::Output)?;
    let style = Style::of_standard_output();
    Ok(Sheet { columns: usize::from(columns).saturating_sub(1), lines: usize::from(lines), style })
}

/// Shows a drawing until a key or a signal ends it.
///
/// # Errors
/// A terminal that cannot be written to, or an artist that breaks down.
pub fn watch(mut session: Session) -> Result<(), Error> {
    let asked = asked_to_end().map_err(Error::Output)?;
    let taken = Taken::take().map_err(Error::Output)?;
    let mut is_new = true;
    // A panic of the artist's thread gives the terminal back as well.
    while TAKEN.load(Ordering::SeqCst) && !asked.load(Ordering::Relaxed) {
        if is_new {
            draw(&mut session)?;
        }
        is_new = false;
        // All keys that wait are taken in before anything is drawn, so that a key that is held down leaves no queue.
        let mut patience = session.patience(Instant::now());
        while event::poll(patience).map_err(Error::Output)? {
            match event::read().map_err(Error::Output)? {
                Event::Resize(..) => is_new = true,
                Event::Key(key) => match translate(key).map_or(Outcome::Nothing, |key| session.press(key)) {
                    Outcome::Nothing => {}
                    Outcome::Changed => is_new = true,
                    Outcome::Quit => return Ok(()),
                },
                _ => {}
            }
            patience = Duration::ZERO;
        }
        is_new |= session.tick(Instant::now())?;
    }
    drop(taken);
    match asked.load(Ordering::Relaxed) {
        true => Ok(()),
        false => Err(broken_down()),
    }
}

/// Writes a whole page in one go over the one before.
fn draw(session: &mut Session) -> Result<(), Error> {
    let sheet = sheet()?;
    session.set_room(sheet.room(session.artist().subject(), session.wanted())?);
    let (subject, controls) = (session.artist().subject(), session.controls());
    let page = View { subject, controls, frame: session.frame() }.page(sheet)?;
    let mut bytes = Vec::new();
    let write = |bytes: &mut Vec<u8>| -> io::Result<()> {
        queue!(bytes, BeginSynchronizedUpdate)?;
        for (row, line) in page.iter().enumerate() {
            queue!(bytes, MoveTo(0, row as u16))?;
            bytes.extend_from_slice(line.as_bytes());
            queue!(bytes, Clear(ClearType::UntilNewLine))?;
        }
        queue!(bytes, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    };
    write(&mut bytes).map_err(Error::Output)
}

/// A key of crossterm's as one of ours.
fn translate(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    match event.code {
        KeyCode::Char('c') if event.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
        KeyCode::Char(_) if event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => None,
        KeyCode::Char(character) => Some(Key::Character(character)),
        KeyCode::Left => Some(Key::Left),
        KeyCode::Right => Some(Key::Right),
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::Esc => Some(Key::Escape),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_understood_when_they_go_down() {
        let press = |code, modifiers| translate(KeyEvent::new(code, modifiers));
        assert_eq!(press(KeyCode::Char('S'), KeyModifiers::SHIFT), Some(Key::Character('S')));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(press(KeyCode::Char('s'), KeyModifiers::CONTROL), None);
        assert_eq!(press(KeyCode::Left, KeyModifiers::NONE), Some(Key::Left));
        assert_eq!(press(KeyCode::Esc, KeyModifiers::NONE), Some(Key::Escape));
        assert_eq!(press(KeyCode::F(1), KeyModifiers::NONE), None);
        let mut release = KeyEvent::new(KeyCode::Up, KeyModifiers::NONE);
        release.kind = KeyEventKind::Release;
        assert_eq!(translate(release), None);
    }
}
