//! All that scores need of the real rows, made once, and the scores of any rows by it.

use super::classifier::{Classifier, DETAILS, FEATURES, Opinions};
use super::evaluation::{Agreement, JudgeSummary, Memorised, Scores, SpaceScores};
use super::frechet::{Moments, Reference};
use super::memorisation::{CopyFinder, distance_ratio, is_copy};
use super::neighbours::{Near, nearest, vote};
use super::precision_recall::{Manifold, evenly};
use super::real_rows::RealRows;
use crate::error::Error;

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
    copies: CopyFinder,
    accuracy: f64,
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
            let features = Space::of(&held_out.features, FEATURES);
            panel.real.features = Some(features.scores(&training.features));
            let copies = CopyFinder::new(&training.details, labels, classifier.classes(), DETAILS)?;
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
            self.real.memorised.by_cosine = Some(bench.copies.share_of_copies(&opinions.details, labels)?);
            let neighbours = self.agreement_of_neighbours(&nearest, labels);
            self.real.agreement = Some(Agreement { judge: bench.accuracy, neighbours });
        }
        Ok(())
    }

    /// Copies are sought among all rows that the model has seen.
    fn remember_all_that_was_seen(&mut self) -> Result<(), Error> {
        if let (true, Some(bench), Some(labels)) = (self.rows.held_out_seen, &mut self.bench, &self.rows.seen.labels) {
            let seen = bench.classifier.opinions(&self.rows.seen.samples, self.rows.seen.sample_size())?;
            bench.copies = CopyFinder::new(&seen.details, labels, bench.classifier.classes(), DETAILS)?;
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
            features: FEATURES,
            held_out_accuracy: bench.accuracy,
            neighbours_accuracy: agreement.neighbours,
            key: bench.classifier.key().to_owned(),
        })
    }

    /// Scores samples, `[n, width]` in the network's range with `n >= 2`, that were asked for as `classes`, `[n]`, which are not looked at
    /// without a classifier.
    ///
    /// # Errors
    /// Only the tensor library's own.
    pub fn score(&self, samples: &[f32], classes: &[u32]) -> Result<Verdict, Error> {
        let width = self.rows.seen.sample_size();
        let near = nearest::<3>(&self.rows.seen.samples, samples, width);
        let mut scores = Scores {
            pixels: self.pixels.scores(samples),
            features: None,
            agreement: None,
            memorised: Memorised { by_distance: share_of_copies(&near), by_cosine: None },
        };
        if let Some(bench) = &self.bench {
            let Opinions { classes: opinions, features, details } = bench.classifier.opinions(samples, width)?;
            scores.features = Some(bench.features.scores(&features));
            scores.memorised.by_cosine = Some(bench.copies.share_of_copies(&details, classes)?);
            let of_seen = self.rows.seen.labels.as_deref().unwrap_or_default();
            let votes: Vec<u32> = near.iter().map(|near| vote(near, of_seen)).collect();
            let neighbours = share_equal(&votes, classes);
            scores.agreement = Some(Agreement { judge: share_equal(&opinions, classes), neighbours });
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
