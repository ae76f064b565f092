//! The order of events: frames at a given rate, a rest after the last one, then the next seed.

use super::artist::{Artist, Frame, Request};
use super::controls::{Controls, Effect, Key};
use super::studio::{News, Studio};
use crate::atomic_file;
use crate::error::Error;
use crate::picture::{Depiction, PictureError, png};
use image::{Rgb, RgbImage, imageops};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a complete drawing stands.
const REST: Duration = Duration::from_millis(1500);
/// How long to wait for a key while nothing moves.
const IDLE: Duration = Duration::from_millis(100);
/// How long to wait for a key while the artist is awaited.
const AWAITED: Duration = Duration::from_millis(10);
/// What stands between state and estimate in a file.
const BETWEEN: u32 = 12;
/// Its colour: white, since pictures have edges of their own.
const PAPER: Rgb<u8> = Rgb([255; 3]);

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing new to see.
    Nothing,
    /// There is.
    Changed,
    /// The end.
    Quit,
}

/// What is said of an artist's thread that has panicked.
pub(super) fn broken_down() -> Error {
    Error::Argument("the drawing broke down; what went wrong is said above".to_owned())
}

/// A drawing that is watched.
pub struct Session {
    artist: Arc<dyn Artist>,
    controls: Controls,
    studio: Studio,
    frame: Option<Frame>,
    /// How many samples are wanted; as many are drawn as there is room for.
    wanted: usize,
    /// Where pictures are written.
    out: PathBuf,
    /// When the next frame may be shown.
    due: Instant,
    /// Whether one more frame is shown though it is paused.
    single: bool,
    /// Whether the drawing has failed, so that nothing more comes of it.
    failed: bool,
}

impl Session {
    /// Begins to draw, with room for so many samples; pictures are written into the folder `out`.
    pub fn begin(artist: Arc<dyn Artist>, controls: Controls, room: usize, out: &Path) -> Self {
        let wanted = controls.request.count;
        let mut controls = controls;
        controls.request.count = wanted.min(room).max(1);
        let studio = Studio::begin(artist.clone(), controls.request.clone());
        let (frame, due, out) = (None, Instant::now(), out.to_owned());
        Self { artist, controls, studio, frame, wanted, out, due, single: false, failed: false }
    }

    /// Who draws.
    pub fn artist(&self) -> &dyn Artist {
        &*self.artist
    }

    /// What is on.
    pub fn controls(&self) -> &Controls {
        &self.controls
    }

    /// What is to be seen.
    pub fn frame(&self) -> Option<&Frame> {
        self.frame.as_ref()
    }

    /// How many samples are wanted, whether or not there is room for them.
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// There is room for so many samples from the next drawing on.
    pub fn set_room(&mut self, room: usize) {
        self.controls.request.count = self.wanted.min(room).max(1);
    }

    /// Takes in a key.
    pub fn press(&mut self, key: Key) -> Outcome {
        match self.controls.press(key, &*self.artist) {
            Effect::Nothing => return Outcome::Nothing,
            Effect::Quit => return Outcome::Quit,
            Effect::Redraw => {}
            Effect::Restart => self.restart(Instant::now()),
            Effect::Step => self.single = true,
            Effect::Save => {
                self.controls.note = Some(match self.save() {
                    Ok(path) => format!("wrote {}", path.display()),
                    Err(error) => error.to_string(),
                });
            }
        }
        Outcome::Changed
    }

    fn restart(&mut self, now: Instant) {
        self.studio.restart(self.controls.request.clone());
        // Even when it is paused, the beginning of what was asked for is seen.
        (self.due, self.single, self.failed) = (now, true, false);
    }

    /// Lets time pass; whether there is something new to see.
    ///
    /// # Errors
    /// [`Error::Argument`] if the artist's thread has broken down.
    pub fn tick(&mut self, now: Instant) -> Result<bool, Error> {
        if self.is_held() || now < self.due {
            return Ok(false);
        }
        match self.studio.news() {
            None => return Ok(false),
            Some(News::Frame(frame)) => {
                let between = Duration::from_secs_f64(1.0 / self.controls.per_second);
                let is_last = frame.step == frame.steps;
                self.due = now + if is_last { between.max(REST) } else { between };
                (self.frame, self.single) = (Some(frame), false);
            }
            Some(News::Done) => {
                let request = &mut self.controls.request;
                request.seed = request.seed.wrapping_add(1);
                let single = self.single;
                self.restart(now);
                self.single = single;
                return Ok(false);
            }
            Some(News::Failed(why)) => (self.controls.note, self.failed) = (Some(why), true),
            Some(News::Gone) => return Err(broken_down()),
        }
        Ok(true)
    }

    fn is_held(&self) -> bool {
        self.failed || (self.controls.paused && !self.single)
    }

    /// How long a key may be waited for.
    pub fn patience(&self, now: Instant) -> Duration {
        match self.is_held() {
            true => IDLE,
            false => self.due.saturating_duration_since(now).clamp(AWAITED, IDLE),
        }
    }

    /// Writes state and estimate beside each other as PNG, and returns where.
    fn save(&self) -> Result<PathBuf, PictureError> {
        let (subject, Controls { request, .. }) = (self.artist.subject(), &self.controls);
        let frame = self.frame.as_ref().ok_or(PictureError::Frames)?;
        let count = frame.state.len() / subject.features();
        let shape = [&[count], subject.shape.as_slice()].concat();
        let columns = count.isqrt().max(1);
        let draw = |samples: &[f32]| Depiction::of(&subject.shape).draw(samples, &shape, columns);
        let left = draw(&frame.state)?;
        let right = match &frame.x0_hat {
            Some(x0_hat) => draw(x0_hat)?,
            None => RgbImage::from_pixel(left.width(), left.height(), PAPER),
        };
        let mut both = RgbImage::from_pixel(2 * left.width() + BETWEEN, left.height(), PAPER);
        imageops::replace(&mut both, &left, 0, 0);
        imageops::replace(&mut both, &right, i64::from(left.width() + BETWEEN), 0);
        let path = self.out.join(file_name(request, frame));
        std::fs::create_dir_all(&self.out)?;
        atomic_file::write(&path, &png(&both)?)?;
        Ok(path)
    }
}

/// A name that says all that the picture depends on.
fn file_name(request: &Request, frame: &Frame) -> String {
    let class = request.class.map_or("all".to_owned(), |class| format!("class-{class}"));
    let solver = request.solver.map(|solver| format!("-{solver}")).unwrap_or_default();
    let guidance = if request.guidance == 1.0 { String::new() } else { format!("-guidance-{}", request.guidance) };
    format!("{class}-seed-{}{solver}{guidance}-step-{}-of-{}.png", request.seed, frame.step, frame.steps)
}

#[cfg(test)]
mod tests {
    use super::super::artist::tests::{Painter, request};
    use super::*;
    use crate::preset::SolverName;

    fn session(out: &Path) -> Session {
        Session::begin(Arc::new(Painter::new(3)), Controls::new(request(), 10.0), 10, out)
    }

    /// Waits until a frame is shown at the time `now`.
    fn show(session: &mut Session, now: Instant) -> usize {
        let begun = Instant::now();
        while !session.tick(now).unwrap() {
            assert!(begun.elapsed() < Duration::from_secs(20), "no frame comes");
            std::thread::sleep(Duration::from_millis(1));
        }
        session.frame().unwrap().step
    }

    /// Whether nothing is shown at the time `now`, though the artist has had time.
    fn is_still(session: &mut Session, now: Instant) -> bool {
        (0..20).all(|_| {
            std::thread::sleep(Duration::from_millis(1));
            !session.tick(now).unwrap()
        })
    }

    #[test]
    fn frames_come_at_their_rate_and_the_last_one_rests() {
        let mut session = session(Path::new("."));
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(show(&mut session, at(0)), 0);
        assert!(is_still(&mut session, at(99)));
        let steps: Vec<usize> = (1..5).map(|tenth| show(&mut session, at(100 * tenth))).collect();
        assert_eq!(steps, [1, 2, 3, 4]);
        assert!(is_still(&mut session, at(400 + 1499)));
        assert_eq!((session.controls().request.seed, show(&mut session, at(400 + 1500))), (0, 0));
        assert_eq!(session.controls().request.seed, 1);
        assert!(session.patience(at(1900)) <= IDLE && session.patience(at(1900)) >= AWAITED);
    }

    #[test]
    fn a_pause_holds_and_a_key_moves_on_by_one_step() {
        let mut session = session(Path::new("."));
        let now = Instant::now();
        let later = |s: u64| now + Duration::from_secs(s);
        assert_eq!(show(&mut session, now), 0);
        assert_eq!(session.press(Key::Character(' ')), Outcome::Changed);
        assert!(is_still(&mut session, later(5)));
        assert_eq!(session.patience(later(5)), IDLE);
        for step in 1..=4 {
            assert_eq!(session.press(Key::Character('.')), Outcome::Changed);
            assert_eq!(show(&mut session, later(5 * step)), step as usize);
            assert!(is_still(&mut session, later(5 * step + 4)));
        }
        // Then the next seed begins, and the beginning of what keys ask for is seen as well.
        session.press(Key::Character('.'));
        assert_eq!((show(&mut session, later(40)), session.controls().request.seed), (0, 1));
        session.press(Key::Character('2'));
        assert_eq!((show(&mut session, later(50)), session.controls().request.class), (0, Some(2)));
        assert!(is_still(&mut session, later(60)));
        assert_eq!(session.press(Key::Character('q')), Outcome::Quit);
    }

    #[test]
    fn a_drawing_that_fails_says_why_and_keys_go_on() {
        let mut session = session(Path::new("."));
        for _ in 0..13 {
            session.press(Key::Character('s'));
        }
        let now = Instant::now();
        let later = |s: u64| now + Duration::from_secs(s);
        let steps: Vec<usize> = (0..6).map(|step| show(&mut session, later(2 * step))).collect();
        assert_eq!(steps, [0, 1, 2, 3, 4, 4]);
        assert_eq!(session.controls().note.as_deref(), Some("thirteen brings bad luck"));
        assert!(is_still(&mut session, later(60)));
        session.press(Key::Character('s'));
        assert_eq!((show(&mut session, later(70)), session.controls().note.clone()), (0, None));
    }

    #[test]
    fn what_is_seen_is_written_under_a_name_that_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = session(&folder.path().join("new"));
        assert_eq!(session.press(Key::Character('w')), Outcome::Changed);
        assert!(session.controls().note.as_ref().unwrap().contains("picture"), "nothing is there yet");
        let now = Instant::now();
        show(&mut session, now);
        show(&mut session, now + Duration::from_secs(1));
        session.press(Key::Character('w'));
        let path = folder.path().join("new/all-seed-0-ddim-step-1-of-4.png");
        assert_eq!(session.controls().note.clone().unwrap(), format!("wrote {}", path.display()));
        let picture = image::open(&path).unwrap().into_rgb8();
        // Two samples of 1 x 2, each enlarged to 24 x 48, one above the other; the state on the left is brighter than the estimate.
        assert_eq!(picture.dimensions(), (2 * 52 + 12, 2 * 26 + 2));
        assert!(picture.get_pixel(10, 10).0[0] > 180 && picture.get_pixel(74, 10).0[0] < 80);
        let request = Request { class: Some(2), solver: Some(SolverName::DpmPlusPlus2M), guidance: 1.5, ..request() };
        let name = file_name(&request, session.frame().unwrap());
        assert_eq!(name, "class-2-seed-0-dpm++2m-guidance-1.5-step-1-of-4.png");
    }

    #[test]
    fn as_many_are_drawn_as_there_is_room_for() {
        let mut session = Session::begin(Arc::new(Painter::new(3)), Controls::new(request(), 10.0), 1, Path::new("."));
        let now = Instant::now();
        show(&mut session, now);
        assert_eq!((session.wanted(), session.frame().unwrap().state.len()), (2, 2));
        session.set_room(5);
        session.press(Key::Character('r'));
        show(&mut session, now + Duration::from_secs(1));
        assert_eq!(session.frame().unwrap().state.len(), 4);
    }
}
