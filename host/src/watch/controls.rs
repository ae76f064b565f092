//! What keys do.

use super::artist::{Artist, Request};
use crate::preset::SolverName;

/// A key, whatever took it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A letter or sign, as it is typed.
    Character(char),
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// Escape.
    Escape,
    /// Ctrl and C.
    Interrupt,
}

/// What a key asks of whoever shows the drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing has changed.
    Nothing,
    /// What is said has changed, and the drawing goes on.
    Redraw,
    /// The drawing is begun anew.
    Restart,
    /// One more step, while it is paused.
    Step,
    /// What is seen is to be written to a file.
    Save,
    /// The end.
    Quit,
}

/// What is on.
#[derive(Clone, Debug, PartialEq)]
pub struct Controls {
    /// What is drawn.
    pub request: Request,
    /// Whether steps wait for a key.
    pub paused: bool,
    /// Whether the keys are explained.
    pub help: bool,
    /// What a person has to know, until the next key.
    pub note: Option<String>,
    /// Frames in a second.
    pub per_second: f64,
}

/// The keys and what they do, for people.
pub const KEYS: &[(&str, &str)] = &[
    ("left right, - +", "class; the digits choose one, a all"),
    ("s S, n p", "next seed, the one before"),
    ("up down, ] [", "more steps, fewer"),
    ("o O", "next solver, the one before"),
    ("g G", "more guidance, less"),
    ("> <", "faster, slower"),
    ("space", "pause and go on"),
    (".", "one step, and pause"),
    ("r", "the same again"),
    ("w", "write what is seen as PNG"),
    ("?", "these keys"),
    ("q, Esc", "quit"),
];

/// Guidance that keys choose among.
const GUIDANCE: [f64; 7] = [0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0];
/// Frames in a second that keys choose among.
const SPEEDS: [f64; 10] = [0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 20.0, 30.0, 60.0, 120.0];
/// The most steps that keys ask for.
const MOST_STEPS: usize = 1000;

impl Controls {
    /// At the beginning.
    pub fn new(request: Request, per_second: f64) -> Self {
        Self { request, paused: false, help: false, note: None, per_second }
    }

    /// Takes in a key. What the artist cannot draw changes nothing, and the note says why.
    pub fn press(&mut self, key: Key, artist: &dyn Artist) -> Effect {
        self.note = None;
        let request = &self.request;
        let class = |by: i64| other_class(request, artist, by);
        let changed = match key {
            Key::Interrupt | Key::Character('q' | 'Q') => return Effect::Quit,
            Key::Escape if !self.help => return Effect::Quit,
            Key::Escape | Key::Character('?' | 'h') => {
                self.help = !self.help;
                return Effect::Redraw;
            }
            Key::Character(' ') => {
                self.paused = !self.paused;
                return Effect::Redraw;
            }
            Key::Character('.') => {
                self.paused = true;
                return Effect::Step;
            }
            Key::Character('w') => return Effect::Save,
            Key::Character('>') => return self.speed(next(&SPEEDS, self.per_second)),
            Key::Character('<') => return self.speed(before(&SPEEDS, self.per_second)),
            Key::Character('r') => return Effect::Restart,
            Key::Right | Key::Character('+' | '=') => class(1),
            Key::Left | Key::Character('-' | '_') => class(-1),
            Key::Character('a') => allowed(artist, Request { class: None, ..request.clone() }),
            Key::Character(digit @ '0'..='9') => {
                allowed(artist, Request { class: digit.to_digit(10), ..request.clone() })
            }
            Key::Character('s' | 'n') => Ok(Request { seed: request.seed.wrapping_add(1), ..request.clone() }),
            Key::Character('S' | 'p') => Ok(Request { seed: request.seed.wrapping_sub(1), ..request.clone() }),
            Key::Up | Key::Character(']') => other_steps(request, artist, more(request.steps)),
            Key::Down | Key::Character('[') => other_steps(request, artist, fewer(request.steps)),
            Key::Character('o') => other_solver(request, artist, false),
            Key::Character('O') => other_solver(request, artist, true),
            Key::Character('g') => other_guidance(request, artist, next(&GUIDANCE, request.guidance)),
            Key::Character('G') => other_guidance(request, artist, before(&GUIDANCE, request.guidance)),
            Key::Character(_) => return Effect::Nothing,
        };
        match changed {
            Ok(request) => {
                self.request = request;
                Effect::Restart
            }
            Err(why) => {
                self.note = Some(why);
                Effect::Redraw
            }
        }
    }

    fn speed(&mut self, per_second: f64) -> Effect {
        self.per_second = per_second;
        Effect::Redraw
    }
}

/// A request that the artist can draw.
fn allowed(artist: &dyn Artist, request: Request) -> Result<Request, String> {
    artist.check(&request).map(|()| request)
}

/// The class after or before; between the last and the first stand all in turn.
fn other_class(request: &Request, artist: &dyn Artist, by: i64) -> Result<Request, String> {
    let classes = artist.subject().classes as i64;
    if classes == 0 {
        return Err("this model was trained without classes".to_owned());
    }
    let place = request.class.map_or(-1, i64::from);
    let class = (place + 1 + by).rem_euclid(classes + 1) - 1;
    allowed(artist, Request { class: u32::try_from(class).ok(), ..request.clone() })
}

/// What the artist says if that is fixed.
fn free(fixed: &Option<String>) -> Result<(), String> {
    fixed.clone().map_or(Ok(()), Err)
}

fn other_steps(request: &Request, artist: &dyn Artist, steps: usize) -> Result<Request, String> {
    free(&artist.subject().fixed.steps)?;
    allowed(artist, Request { steps, ..request.clone() })
}

fn other_guidance(request: &Request, artist: &dyn Artist, guidance: f64) -> Result<Request, String> {
    free(&artist.subject().fixed.guidance)?;
    allowed(artist, Request { guidance, ..request.clone() })
}

/// The next solver that can draw this.
fn other_solver(request: &Request, artist: &dyn Artist, backwards: bool) -> Result<Request, String> {
    free(&artist.subject().fixed.solver)?;
    let all = SolverName::ALL;
    let at = all.iter().position(|&solver| Some(solver) == request.solver).unwrap_or(0);
    let step = if backwards { all.len() - 1 } else { 1 };
    let others = (1..all.len()).map(|k| all[(at + k * step) % all.len()]);
    let requests = others.map(|solver| Request { solver: Some(solver), ..request.clone() });
    let found = requests.into_iter().find(|request| artist.check(request).is_ok());
    found.ok_or_else(|| "no other solver can draw this in so many steps".to_owned())
}

/// How far apart numbers of steps are that keys choose among.
fn pace(steps: usize) -> usize {
    match steps {
        0..10 => 1,
        10..20 => 2,
        20..50 => 5,
        50..100 => 10,
        100..200 => 20,
        _ => 50,
    }
}

fn more(steps: usize) -> usize {
    (steps + pace(steps)).min(MOST_STEPS.max(steps))
}

fn fewer(steps: usize) -> usize {
    (steps - pace(steps.saturating_sub(1)).min(steps)).max(1)
}

/// The least of some rising numbers above one, or the last.
fn next(numbers: &[f64], than: f64) -> f64 {
    numbers.iter().copied().find(|&number| number > than).unwrap_or(than)
}

/// The greatest of them below one, or the first.
fn before(numbers: &[f64], than: f64) -> f64 {
    numbers.iter().copied().rev().find(|&number| number < than).unwrap_or(than)
}

#[cfg(test)]
mod tests {
    use super::super::artist::tests::{Painter, request};
    use super::*;
    use quickcheck::quickcheck;

    /// What keys make of a new drawing of a model with three classes, and of the last of them.
    fn after(keys: &str) -> (Controls, Effect) {
        let artist = Painter::new(3);
        let mut controls = Controls::new(request(), 10.0);
        let mut effect = Effect::Nothing;
        for key in keys.chars() {
            effect = controls.press(Key::Character(key), &artist);
        }
        (controls, effect)
    }

    #[test]
    fn each_key_changes_its_setting() {
        let class = |keys| after(keys).0.request.class;
        assert_eq!([class("+"), class("++"), class("+++"), class("++++")], [Some(0), Some(1), Some(2), None]);
        assert_eq!([class("-"), class("1"), class("2a"), class("1-")], [Some(2), Some(1), None, Some(0)]);
        let seed = |keys| after(keys).0.request.seed;
        assert_eq!([seed("s"), seed("sn"), seed("ssS"), seed("ssp"), seed("S")], [1, 2, 1, 1, u64::MAX]);
        let steps = |keys| after(keys).0.request.steps;
        assert_eq!([steps("]"), steps("["), steps("[[[[[")], [5, 3, 1]);
        let solver = |keys| after(keys).0.request.solver;
        // Solvers that cannot draw it are passed over, and the circle closes.
        assert_eq!(
            [solver("o"), solver("oo"), solver("O")],
            [Some(SolverName::UniPc), Some(SolverName::Ddim), Some(SolverName::UniPc)]
        );
        let guidance = |keys| after(keys).0.request.guidance;
        assert_eq!([guidance("g"), guidance("gg"), guidance("gG"), guidance("GGG")], [1.5, 2.0, 1.0, 0.0]);
        let speed = |keys| after(keys).0.per_second;
        assert_eq!([speed(">"), speed("<"), speed("<<<<<<<<<")], [12.0, 8.0, 0.5]);
        for key in "+s]og r".chars().filter(|key| *key != ' ') {
            assert_eq!(after(&key.to_string()).1, Effect::Restart, "{key}");
        }
    }

    #[test]
    fn the_drawing_can_be_held_saved_and_left() {
        assert!(after(" ").0.paused && !after("  ").0.paused);
        assert_eq!(after("."), (Controls { paused: true, ..Controls::new(request(), 10.0) }, Effect::Step));
        assert_eq!([after("w").1, after("q").1, after("x").1], [Effect::Save, Effect::Quit, Effect::Nothing]);
        let (mut helped, effect) = after("?");
        assert!(helped.help && effect == Effect::Redraw);
        let artist = Painter::new(3);
        // Escape closes the help first; Ctrl-C always leaves.
        assert_eq!((helped.press(Key::Escape, &artist), helped.help), (Effect::Redraw, false));
        assert_eq!(helped.press(Key::Escape, &artist), Effect::Quit);
        assert_eq!(after("?").0.press(Key::Interrupt, &artist), Effect::Quit);
    }

    #[test]
    fn what_cannot_be_is_said_and_changes_nothing() {
        let (refused, effect) = after("9");
        assert_eq!((refused.request, effect), (request(), Effect::Redraw));
        assert!(refused.note.unwrap().contains("the classes 0 to 2"));
        let (seven, _) = after("]]]");
        assert_eq!((seven.request.steps, seven.note), (6, Some("seven is no number".to_owned())));
        // The next key clears it.
        assert_eq!(after("9s").0.note, None);

        let mut artist = Painter::new(0);
        artist.0.fixed.solver = Some("a plan of its own".to_owned());
        artist.0.fixed.steps = Some("so many steps".to_owned());
        artist.0.fixed.guidance = Some("no guidance".to_owned());
        let mut controls = Controls::new(request(), 10.0);
        for (key, part) in
            [('o', "a plan"), (']', "so many"), ('g', "no guid"), ('+', "without classes"), ('0', "without classes")]
        {
            assert_eq!(controls.press(Key::Character(key), &artist), Effect::Redraw);
            assert!(controls.note.as_ref().unwrap().contains(part), "{key}: {controls:?}");
            assert_eq!(controls.request, request());
        }
    }

    #[test]
    fn fewer_steps_undo_more() {
        let mut steps = 1;
        for _ in 0..80 {
            let higher = more(steps);
            assert!(higher > steps && fewer(higher) == steps || higher == MOST_STEPS, "{steps} {higher}");
            steps = higher;
        }
        assert_eq!((steps, more(2000), fewer(1), fewer(0)), (MOST_STEPS, 2000, 1, 1));
    }

    #[test]
    fn no_keys_lead_to_what_cannot_be_drawn() {
        fn is_drawable(keys: Vec<u8>) -> bool {
            let artist = Painter::new(3);
            let mut controls = Controls::new(request(), 10.0);
            keys.iter().all(|&key| {
                controls.press(Key::Character(char::from(key % 128)), &artist);
                artist.check(&controls.request).is_ok() && controls.per_second > 0.0
            })
        }
        quickcheck(is_drawable as fn(Vec<u8>) -> bool);
    }
}
