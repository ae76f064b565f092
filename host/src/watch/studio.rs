//! An artist in a thread of its own.

use super::artist::{Artist, Frame, Request};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};
use std::thread;

/// What comes out of the studio.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A step has been taken.
    Frame(Frame),
    /// The drawing is complete.
    Done,
    /// The drawing has failed; why.
    Failed(String),
    /// The artist's thread is no more: a defect, of which it has said what it could.
    Gone,
}

/// The artist at work. One step is drawn ahead of what has been asked for, so that a slow artist is never idle and a fast one never far ahead.
pub struct Studio {
    requests: Sender<(Request, SyncSender<News>)>,
    news: Receiver<News>,
}

impl Studio {
    /// Lets an artist begin.
    pub fn begin(artist: Arc<dyn Artist>, request: Request) -> Self {
        let (requests, asked) = mpsc::channel();
        thread::spawn(move || work(&*artist, &asked));
        let mut studio = Self { requests, news: mpsc::channel().1 };
        studio.restart(request);
        studio
    }

    /// Draws something else. The artist drops what it is at when its present step is done; nothing of it is heard of any more.
    pub fn restart(&mut self, request: Request) {
        let (sender, receiver) = mpsc::sync_channel(1);
        // An artist that is gone is noticed when news are asked for: its end of the new channel goes as well.
        let _ = self.requests.send((request, sender));
        self.news = receiver;
    }

    /// What there is by now.
    pub fn news(&self) -> Option<News> {
        match self.news.try_recv() {
            Ok(news) => Some(news),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(News::Gone),
        }
    }

    /// What comes next, however long it takes.
    pub fn wait(&self) -> News {
        self.news.recv().unwrap_or(News::Gone)
    }
}

fn work(artist: &dyn Artist, asked: &Receiver<(Request, SyncSender<News>)>) {
    while let Ok(mut newest) = asked.recv() {
        while let Ok(newer) = asked.try_recv() {
            newest = newer;
        }
        let (request, news) = newest;
        let mut show = |frame: Frame| match news.send(News::Frame(frame)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let end = match artist.draw(&request, &mut show) {
            Ok(()) => News::Done,
            Err(why) => News::Failed(why),
        };
        // Whoever asked may have turned to something else.
        let _ = news.send(end);
    }
}

#[cfg(test)]
mod tests {
    use super::super::artist::Subject;
    use super::super::artist::tests::{Painter, request};
    use super::*;

    fn steps_of(studio: &Studio) -> (Vec<usize>, News) {
        let mut steps = Vec::new();
        loop {
            match studio.wait() {
                News::Frame(frame) => steps.push(frame.step),
                end => return (steps, end),
            }
        }
    }

    #[test]
    fn every_step_comes_once_and_in_order() {
        let mut studio = Studio::begin(Arc::new(Painter::new(3)), request());
        assert_eq!(steps_of(&studio), (vec![0, 1, 2, 3, 4], News::Done));
        studio.restart(Request { steps: 2, seed: 13, ..request() });
        let (steps, end) = steps_of(&studio);
        assert_eq!((steps, end), (vec![0, 1, 2], News::Failed("thirteen brings bad luck".into())));
    }

    #[test]
    fn a_new_request_ends_the_old_one() {
        let mut studio = Studio::begin(Arc::new(Painter::new(3)), Request { steps: 1_000_000, ..request() });
        assert!(matches!(studio.wait(), News::Frame(Frame { step: 0, steps: 1_000_000, .. })));
        studio.restart(Request { steps: 3, ..request() });
        assert_eq!(steps_of(&studio), (vec![0, 1, 2, 3], News::Done));
    }

    #[test]
    fn an_artist_that_breaks_down_is_noticed() {
        struct Broken(Subject);
        impl Artist for Broken {
            fn subject(&self) -> &Subject {
                &self.0
            }
            fn check(&self, _: &Request) -> Result<(), String> {
                Ok(())
            }
            fn draw(&self, _: &Request, _: &mut dyn FnMut(Frame) -> ControlFlow<()>) -> Result<(), String> {
                std::panic::resume_unwind(Box::new("broken"));
            }
        }
        let mut studio = Studio::begin(Arc::new(Broken(Painter::new(0).0)), request());
        assert_eq!(studio.wait(), News::Gone);
        studio.restart(request());
        assert_eq!(studio.wait(), News::Gone);
    }
}
