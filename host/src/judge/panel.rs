//! All that scores need of the real rows, made once, and the scores of any rows by it.

use super::classifier::{Classifier, Opinions};
use super::evaluation::{Agreement, JudgeSummary, Memorised, Scores, SpaceScores};
use super::frechet::{Moments, Reference};
use super::memorisation::{CopyFinder, distance_ratio, is_copy};
use super::precision_recall::{Manifold, evenly};
use super::real_rows::RealRows;
use crate::error::Error;
use crate::neighbours::{Near, nearest, vote};

/// The held-out rows in one space.
struct Space {
    width: usize,
    reference: Reference,
    manifold: Manifold,
}

impl Space {
    fn of(held_out: &[f32], width: usize) -> Self {
        let reference = Reference::new(Moments::of(held_out, width));
        Self { width, reference, manifold: Manifold::around(held_out.to_vec(), width) }
    }

    fn scores(&self, rows: &[f32]) -> SpaceScores<f64> {
        let held_out = self.manifold.points();
        let even = evenly(rows, self.width, held_out.len() / self.width);
        SpaceScores {
            frechet: self.reference.distance(&Moments::of(rows, self.width)).max(0.0),
            precision: self.manifold.share_of(&even),
            recall: Manifold::around(even, self.width).share_of(held_out),
        }
    }
}

/// The classifier, and what it makes of the real rows.
struct Bench {
    classifier: Classifier,
    features: Space,
    /// None where the judge has no layer to find copies by.
    copies: Option<CopyFinder>,
    accuracy: f64,
}

impl Bench {
    /// The share of rows asked for as `classes` that are copies by their cosine.
    fn share_of_copies(&self, rows: &Opinions, classes: &[u32]) -> Result<Option<f64>, Error> {
        self.copies.as_ref().map(|copies| copies.share_of_copies(&rows.details, classes)).transpose()
    }
}

/// A finder of copies among rows, if the judge has a layer for that.
fn copy_finder(judge: &Classifier, rows: &Opinions, labels: &[u32]) -> Result<Option<CopyFinder>, Error> {
    let make = || CopyFinder::new(&rows.details, labels, judge.classes(), judge.details());
    (judge.details() > 0).then(make).transpose()
}

/// Judges rows by real ones.
pub struct Panel {
    rows: RealRows,
    pixels: Space,
    bench: Option<Bench>,
    real: Scores<f64>,
}

/// The scores of a set of rows, and what was found on the way.
pub struct Verdict {
    /// The scores.
    pub scores: Scores<f64>,
    /// The two nearest of the rows that the model has seen, in pixels, for each row.
    pub nearest: Vec<[Near; 2]>,
}

impl Panel {
    /// A panel of real rows; `classifier` is of their training part, `None` for rows without classes.
    ///
    /// # Errors
    /// Only the tensor library's own.
    pub fn new(rows: RealRows, classifier: Option<Classifier>) -> Result<Self, Error> {
        let width = rows.seen.sample_size();
        let pixels = Space::of(&rows.held_out.samples, width);
        let unjudged = Scores {
            pixels: pixels.scores(&rows.training.samples),
            features: None,
            agreement: None,
            memorised: Memorised { by_distance: 0.0, by_cosine: None },
        };
        let mut panel = Self { rows, pixels, bench: None, real: unjudged };
        if let (Some(classifier), Some(labels)) = (classifier, &panel.rows.training.labels) {
            let training = classifier.opinions(&panel.rows.training.samples, width)?;
            let held_out = classifier.opinions(&panel.rows.held_out.samples, width)?;
            let features = Space::of(&held_out.features, classifier.features());
            panel.real.features = Some(features.scores(&training.features));
            let copies = copy_finder(&classifier, &training, labels)?;
            let held_out_labels = panel.rows.held_out.labels.as_deref().unwrap_or_default();
            let accuracy = share_equal(&held_out.classes, held_out_labels);
            panel.bench = Some(Bench { classifier, features, copies, accuracy });
        }
        panel.judge_held_out_rows()?;
        panel.remember_all_that_was_seen()?;
        Ok(panel)
    }

    /// Agreement and memorisation of the held-out rows, by training rows that they are no part of.
    fn judge_held_out_rows(&mut self) -> Result<(), Error> {
        let held_out = &self.rows.held_out;
        let nearest = nearest::<3>(&self.rows.training.samples, &held_out.samples, held_out.sample_size());
        self.real.memorised.by_distance = share_of_copies(&nearest);
        if let (Some(bench), Some(labels)) = (&self.bench, &held_out.labels) {
            let opinions = bench.classifier.opinions(&held_out.samples, held_out.sample_size())?;
            self.real.memorised.by_cosine = bench.share_of_copies(&opinions, labels)?;
            let neighbours = self.agreement_of_neighbours(&nearest, labels);
            let by_class = share_equal_by_class(&opinions.classes, labels, bench.classifier.classes());
            self.real.agreement = Some(Agreement { judge: bench.accuracy, neighbours, by_class });
        }
        Ok(())
    }

    /// Copies are sought among all rows that the model has seen.
    fn remember_all_that_was_seen(&mut self) -> Result<(), Error> {
        if let (true, Some(bench), Some(labels)) = (self.rows.held_out_seen, &mut self.bench, &self.rows.seen.labels) {
            let seen = bench.classifier.opinions(&self.rows.seen.samples, self.rows.seen.sample_size())?;
            bench.copies = copy_finder(&bench.classifier, &seen, labels)?;
        }
        Ok(())
    }

    /// The real rows.
    pub fn rows(&self) -> &RealRows {
        &self.rows
    }

    /// What real rows score; see [`Evaluation::real`](super::Evaluation::real).
    pub fn real(&self) -> &Scores<f64> {
        &self.real
    }

    /// The classifier in figures; `None` without one.
    pub fn judge(&self) -> Option<JudgeSummary> {
        let (bench, agreement) = (self.bench.as_ref()?, self.real.agreement.as_ref()?);
        Some(JudgeSummary {
            parameters: bench.classifier.parameters(),
            features: bench.classifier.features(),
            held_out_accuracy: bench.accuracy,
            neighbours_accuracy: agreement.neighbours,
            key: bench.classifier.key().to_owned(),
        })
    }

    /// Scores samples, `[n, width]` in the network's range with `n >= 2`, that were asked for as `classes`, `[n]`, which are not looked at
    /// without a classifier.
    ///
    /// # Errors
    /// [`Error::Argument`] for a sample that is not finite, which every distance would be blind to; the tensor library's own.
    pub fn score(&self, samples: &[f32], classes: &[u32]) -> Result<Verdict, Error> {
        let width = self.rows.seen.sample_size();
        if let Some(place) = samples.iter().position(|value| !value.is_finite()) {
            let sample = place / width;
            return Err(Error::Argument(format!(
                "sample {sample} holds a value that is not finite: the model is broken"
            )));
        }
        let near = nearest::<3>(&self.rows.seen.samples, samples, width);
        let mut scores = Scores {
            pixels: self.pixels.scores(samples),
            features: None,
            agreement: None,
            memorised: Memorised { by_distance: share_of_copies(&near), by_cosine: None },
        };
        if let Some(bench) = &self.bench {
            let opinions = bench.classifier.opinions(samples, width)?;
            scores.features = Some(bench.features.scores(&opinions.features));
            scores.memorised.by_cosine = bench.share_of_copies(&opinions, classes)?;
            let opinions = opinions.classes;
            let of_seen = self.rows.seen.labels.as_deref().unwrap_or_default();
            let votes: Vec<u32> = near.iter().map(|near| vote(near, of_seen)).collect();
            let neighbours = share_equal(&votes, classes);
            let by_class = share_equal_by_class(&opinions, classes, bench.classifier.classes());
            scores.agreement = Some(Agreement { judge: share_equal(&opinions, classes), neighbours, by_class });
        }
        Ok(Verdict { scores, nearest: near.into_iter().map(|[first, second, _]| [first, second]).collect() })
    }

    fn agreement_of_neighbours(&self, nearest: &[[Near; 3]], labels: &[u32]) -> f64 {
        let of_training = self.rows.training.labels.as_deref().unwrap_or_default();
        let votes: Vec<u32> = nearest.iter().map(|near| vote(near, of_training)).collect();
        share_equal(&votes, labels)
    }
}

fn share_of_copies(nearest: &[[Near; 3]]) -> f64 {
    let copies = nearest.iter().filter(|[first, second, _]| is_copy(distance_ratio([*first, *second]))).count();
    copies as f64 / nearest.len().max(1) as f64
}

fn share_equal(a: &[u32], b: &[u32]) -> f64 {
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len().max(1) as f64
}

/// [`share_equal`] of the rows of each class of `b`; `None` for a class without rows.
fn share_equal_by_class(a: &[u32], b: &[u32], classes: usize) -> Vec<Option<f64>> {
    let mut counts = vec![(0_usize, 0_usize); classes];
    for (a, &b) in a.iter().zip(b) {
        let (all, equal) = &mut counts[b as usize];
        *all += 1;
        *equal += usize::from(*a == b);
    }
    counts.into_iter().map(|(all, equal)| (all > 0).then(|| equal as f64 / all as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_class_by_class() {
        assert_eq!(share_equal_by_class(&[0, 1, 2, 2], &[0, 2, 2, 2], 3), [Some(1.0), None, Some(2.0 / 3.0)]);
    }
    use crate::data::Dataset;
    use crate::judge::classifier::tests::judge;
    use crate::sample::classes_in_turn;
    use std::sync::OnceLock;
    use tweedie_core::noise::NoiseStream;

    fn panel() -> &'static Panel {
        static PANEL: OnceLock<Panel> = OnceLock::new();
        PANEL.get_or_init(|| Panel::new(RealRows::load("digits", None).unwrap(), Some(judge().clone())).unwrap())
    }

    fn noise(count: usize) -> Vec<f32> {
        let mut values = vec![0.0_f32; count * 64];
        NoiseStream::new(0, 0).fill(0, &mut values);
        values.iter().map(|value| value.clamp(-1.0, 1.0)).collect()
    }

    #[test]
    fn real_rows_score_as_real_rows() {
        let real = panel().real();
        assert!((real.pixels.frechet - 0.985).abs() < 5e-4, "{real:?}");
        let features = real.features.as_ref().unwrap();
        assert!(features.precision > 0.8 && features.recall > 0.8, "{real:?}");
        let agreement = real.agreement.as_ref().unwrap();
        assert!(agreement.judge >= 0.95 && agreement.neighbours >= 0.95, "{real:?}");
        // No held-out row is a copy; by cosine one in ten looks like one, and more would make the criterion worthless.
        assert_eq!(real.memorised.by_distance, 0.0);
        assert!(real.memorised.by_cosine.unwrap() < 0.15, "{real:?}");
    }

    #[test]
    fn the_training_set_itself_is_memorised() {
        let training = Dataset::digits().unwrap();
        let scores = panel().score(&training.samples, training.labels.as_ref().unwrap()).unwrap().scores;
        assert_eq!((scores.memorised.by_distance, scores.memorised.by_cosine), (1.0, Some(1.0)));
        // Nothing else gives it away: it is as near to the held-out rows as can be.
        assert_eq!(scores.pixels, panel().real().pixels);
        assert_eq!(scores.features, panel().real().features);
        assert!(scores.agreement.unwrap().judge > 0.99);
    }

    #[test]
    fn noise_is_called_noise() {
        let scores = panel().score(&noise(1000), &classes_in_turn(1000, 10)).unwrap().scores;
        let (floor, features) = (panel().real(), scores.features.as_ref().unwrap());
        assert!(scores.pixels.frechet > 20.0 * floor.pixels.frechet, "{scores:?}");
        assert!(features.frechet > 20.0 * floor.features.as_ref().unwrap().frechet, "{scores:?}");
        // Not in features, which have been taught to look through noise.
        assert_eq!(scores.pixels.precision, 0.0, "{scores:?}");
        assert!(scores.pixels.recall < 0.1, "{scores:?}");
        let agreement = scores.agreement.unwrap();
        assert!((0.05..0.15).contains(&agreement.judge) && (0.05..0.15).contains(&agreement.neighbours));
        assert_eq!((scores.memorised.by_distance, scores.memorised.by_cosine), (0.0, Some(0.0)));
    }

    #[test]
    fn what_is_no_number_is_not_judged() {
        for broken in [f32::NAN, f32::INFINITY] {
            let mut samples = noise(100);
            samples[70] = broken;
            let refused = panel().score(&samples, &classes_in_turn(100, 10)).err().unwrap().to_string();
            assert!(refused.contains("sample 1 "), "{refused}");
        }
    }

    #[test]
    fn one_repeated_image_is_no_variety() {
        let held_out = Dataset::digits_held_out().unwrap();
        let samples = held_out.sample(0).repeat(500);
        let scores = panel().score(&samples, &classes_in_turn(500, 10)).unwrap().scores;
        let (floor, features) = (panel().real(), scores.features.as_ref().unwrap());
        assert!(scores.pixels.frechet > 20.0 * floor.pixels.frechet, "{scores:?}");
        // Each copy is precise, and they cover next to nothing: the row that they are of.
        assert_eq!((scores.pixels.precision, features.precision), (1.0, 1.0));
        assert_eq!((scores.pixels.recall, features.recall), (1.0 / 450.0, 1.0 / 450.0));
        assert_eq!(scores.agreement.unwrap().judge, 0.1);
    }

    #[test]
    fn a_verdict_does_not_depend_on_threads() {
        let (samples, classes) = (noise(300), classes_in_turn(300, 10));
        let by = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| panel().score(&samples, &classes)).unwrap().scores
        };
        assert_eq!(by(1), by(3));
    }

    #[test]
    fn rows_without_classes_are_judged_in_pixels_alone() {
        let mut rows = RealRows::load("digits", None).unwrap();
        for part in [&mut rows.training, &mut rows.held_out, &mut rows.seen] {
            (part.labels, part.classes) = (None, 0);
        }
        let panel = Panel::new(rows, None).unwrap();
        let Verdict { scores, nearest } = panel.score(&noise(100), &[0; 100]).unwrap();
        assert!(panel.judge().is_none() && panel.real().features.is_none() && panel.real().agreement.is_none());
        assert!(scores.features.is_none() && scores.agreement.is_none() && scores.memorised.by_cosine.is_none());
        assert_eq!((scores.memorised.by_distance, nearest.len()), (0.0, 100));
    }

    #[test]
    fn copies_of_rows_held_out_from_the_judge_alone_are_found() {
        let mut rows = RealRows::load("digits", None).unwrap();
        // As if there were no other rows: the model has seen the held-out ones too.
        (rows.held_out_seen, rows.seen.samples) = (true, [rows.seen.samples, rows.held_out.samples.clone()].concat());
        let labels = [rows.training.labels.as_deref(), rows.held_out.labels.as_deref()];
        rows.seen.labels = Some(labels.map(Option::unwrap_or_default).concat());
        let held_out = rows.held_out.clone();
        let panel = Panel::new(rows, Some(judge().clone())).unwrap();
        let scores = panel.score(&held_out.samples, held_out.labels.as_ref().unwrap()).unwrap().scores;
        assert_eq!((scores.memorised.by_distance, scores.memorised.by_cosine), (1.0, Some(1.0)));
        assert_eq!(panel.real().memorised.by_distance, 0.0);
    }
}
