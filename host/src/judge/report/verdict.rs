//! The verdict: a few sentences that follow from the numbers, by thresholds that the page states.

use super::number::{of_things, percent, value, with_interval};
use crate::judge::evaluation::{Evaluation, Interval, Scores, SpaceScores, StepScores};

/// A value that is good on one side of the first threshold, and fair between it and the second.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    /// What is measured.
    pub what: &'static str,
    /// Where good ends.
    pub good: f64,
    /// Where fair ends.
    pub fair: f64,
}

/// Frechet distance over the floor.
pub const DISTANCE: Threshold =
    Threshold { what: "Fréchet distance, as a multiple of the floor", good: 1.5, fair: 3.0 };
/// Class agreement.
pub const AGREEMENT: Threshold = Threshold { what: "Class agreement", good: 0.97, fair: 0.9 };
/// Copies beyond chance.
pub const COPIES: Threshold =
    Threshold { what: "Share of copies by distance, beyond what held-out rows score", good: 0.02, fair: 0.1 };
/// Precision over that of real rows.
pub const PRECISION: Threshold = Threshold { what: "Precision, as a multiple of real rows’", good: 0.9, fair: 0.7 };
/// Recall over that of real rows.
pub const RECALL: Threshold = Threshold { what: "Recall, as a multiple of real rows’", good: 0.9, fair: 0.7 };
/// Distance of the fixed-point samples over the float ones'.
pub const QUANTISATION: Threshold =
    Threshold { what: "Fréchet distance in fixed point, as a multiple of the float model’s", good: 1.02, fair: 1.1 };
/// The judge's own accuracy.
pub const JUDGE: Threshold = Threshold { what: "Accuracy of the judge on held-out rows", good: 0.95, fair: 0.85 };

/// All of them, for the page to state.
pub const ALL: [Threshold; 7] = [DISTANCE, AGREEMENT, COPIES, PRECISION, RECALL, QUANTISATION, JUDGE];

/// How well a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// As good as asked.
    Good,
    /// Usable, to be known.
    Fair,
    /// Not to be relied on.
    Poor,
}

impl Mark {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Poor => "poor",
        }
    }
}

impl Threshold {
    /// Whether smaller values are better.
    pub fn falls(&self) -> bool {
        self.good < self.fair
    }

    /// The mark of a value; what is no number is poor.
    pub fn mark(&self, value: f64) -> Mark {
        let meets = |limit: f64| if self.falls() { value <= limit } else { value >= limit };
        match (meets(self.good), meets(self.fair)) {
            (true, _) => Mark::Good,
            (_, true) => Mark::Fair,
            _ => Mark::Poor,
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How it went.
    pub mark: Mark,
    /// What was asked, in a word or two.
    pub title: &'static str,
    /// What was found, a sentence or two.
    pub text: String,
}

/// The whole verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The worst mark of all findings.
    pub mark: Mark,
    /// One sentence.
    pub headline: String,
    /// The checks.
    pub findings: Vec<Finding>,
}

/// The scores that speak for the model: of its own number of steps, or the only ones there are.
pub fn own(evaluation: &Evaluation) -> Option<&StepScores> {
    evaluation.by_steps.iter().find(|scores| scores.is_default).or(evaluation.by_steps.last())
}

/// The space in which samples are compared for the verdict, with its name: the judge's features, or pixels without a judge.
fn space<'a>(
    evaluation: &'a Evaluation,
    scores: &'a Scores<Interval>,
) -> (&'a SpaceScores<Interval>, &'a SpaceScores<f64>, &'static str) {
    match (&scores.features, &evaluation.real.features) {
        (Some(scores), Some(real)) => (scores, real, "the judge’s features"),
        _ => (&scores.pixels, &evaluation.real.pixels, "pixels"),
    }
}

/// The verdict on an evaluation.
pub fn of(evaluation: &Evaluation) -> Verdict {
    let findings = own(evaluation).map_or_else(Vec::new, |own| findings(evaluation, own));
    let mark = findings.iter().map(|finding| finding.mark).max().unwrap_or(Mark::Poor);
    let worst: Vec<&str> =
        findings.iter().filter(|finding| finding.mark == mark).map(|finding| finding.title).collect();
    let headline = match (mark, worst.as_slice()) {
        (Mark::Good, _) => "A good model: it passes every check below.".to_owned(),
        (Mark::Fair, _) => format!("Usable, with reservations about {}.", listed(&worst)),
        (Mark::Poor, []) => "Nothing was judged.".to_owned(),
        (Mark::Poor, _) => format!("Not to be relied on, because of {}.", listed(&worst)),
    };
    Verdict { mark, headline, findings }
}

/// `one`, `one and two`, `one, two and three`, in small letters.
fn listed(titles: &[&str]) -> String {
    let small: Vec<String> = titles.iter().map(|title| title.to_lowercase()).collect();
    match small.as_slice() {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => small.concat(),
    }
}

fn findings(evaluation: &Evaluation, own: &StepScores) -> Vec<Finding> {
    let scores = &own.scores;
    let mut findings = vec![likeness(evaluation, scores, own.steps)];
    findings.extend(classes(evaluation, scores));
    findings.push(copies(evaluation, scores));
    findings.push(fidelity(evaluation, scores));
    findings.push(variety(evaluation, scores));
    findings.extend(quantisation(evaluation));
    findings.extend(judge(evaluation));
    if evaluation.data.held_out_seen_in_training {
        let text = "The model has seen the rows that it is compared with, because there were no others: every distance flatters it.";
        findings.push(Finding { mark: Mark::Fair, title: "Held-out rows", text: text.to_owned() });
    }
    findings
}

fn likeness(evaluation: &Evaluation, scores: &Scores<Interval>, steps: usize) -> Finding {
    let ratio = |scores: &SpaceScores<Interval>, real: &SpaceScores<f64>| scores.frechet.mean / real.frechet;
    let pixels = ratio(&scores.pixels, &evaluation.real.pixels);
    let (features, real, name) = space(evaluation, scores);
    // Marks are compared, not numbers: the larger of a number and none is the number.
    let mark = DISTANCE.mark(pixels).max(DISTANCE.mark(ratio(features, real)));
    let mut text = format!(
        "In {}, the Fréchet distance to held-out rows is {} in pixels, {pixels:.2} times the floor of {} that real training rows have",
        of_things(steps, "step"),
        with_interval(&scores.pixels.frechet, value),
        value(evaluation.real.pixels.frechet),
    );
    if scores.features.is_some() {
        text += &format!("; in {name} {:.2} times theirs", ratio(features, real));
    }
    Finding { mark, title: "Likeness", text: text + "." }
}

fn classes(evaluation: &Evaluation, scores: &Scores<Interval>) -> Option<Finding> {
    let agreement = scores.agreement.as_ref()?;
    let mark = AGREEMENT.mark(agreement.judge.mean);
    let text = format!(
        "{} of the samples are of the class they were asked for, says the judge; {} say the three nearest training rows of {}.",
        percent(agreement.judge.mean),
        percent(agreement.neighbours.mean),
        evaluation.data.name,
    );
    Some(Finding { mark, title: "Classes", text })
}

fn copies(evaluation: &Evaluation, scores: &Scores<Interval>) -> Finding {
    let (samples, strangers) = (&scores.memorised, &evaluation.real.memorised);
    let mut text = format!(
        "{} of the samples are copies of a training row by distance; {} of held-out rows would count as such by chance",
        percent(samples.by_distance.mean),
        percent(strangers.by_distance),
    );
    if let (Some(samples), Some(strangers)) = (&samples.by_cosine, strangers.by_cosine) {
        text += &format!(". By cosine similarity: {} and {}", percent(samples.mean), percent(strangers));
    }
    let mark = COPIES.mark(samples.by_distance.mean - strangers.by_distance);
    Finding { mark, title: "Copying", text: text + "." }
}

fn fidelity(evaluation: &Evaluation, scores: &Scores<Interval>) -> Finding {
    // In pixels: the judge looks through noise, and would believe in samples of nothing else.
    let (space, real) = (&scores.pixels, &evaluation.real.pixels);
    let text = format!(
        "{} of the samples lie where held-out rows do, in pixels; of real training rows {} do.",
        percent(space.precision.mean),
        percent(real.precision),
    );
    Finding { mark: PRECISION.mark(space.precision.mean / real.precision), title: "Fidelity", text }
}

fn variety(evaluation: &Evaluation, scores: &Scores<Interval>) -> Finding {
    let (space, real, name) = space(evaluation, scores);
    let text = format!(
        "{} of the held-out rows lie where samples do, in {name}; real training rows reach {}.",
        percent(space.recall.mean),
        percent(real.recall),
    );
    Finding { mark: RECALL.mark(space.recall.mean / real.recall), title: "Variety", text }
}

fn quantisation(evaluation: &Evaluation) -> Option<Finding> {
    let cost = evaluation.quantisation.as_ref()?;
    let agreement = cost.agreement.as_ref().map_or_else(String::new, |difference| {
        format!(" and its class agreement by {:+.2} percentage points", 100.0 * difference.mean)
    });
    let text = format!(
        "Fixed point changes the Fréchet distance in pixels by {:+.1}\u{a0}%{agreement}, from the same noise.",
        100.0 * (cost.frechet_pixels.mean - 1.0),
    );
    Some(Finding { mark: QUANTISATION.mark(cost.frechet_pixels.mean), title: "Quantisation", text })
}

fn judge(evaluation: &Evaluation) -> Option<Finding> {
    let judge = evaluation.judge.present()?;
    let text = format!(
        "The judge, trained on real rows alone, names {} of the held-out rows rightly; the three nearest rows {}.",
        percent(judge.held_out_accuracy),
        percent(judge.neighbours_accuracy),
    );
    Some(Finding { mark: JUDGE.mark(judge.held_out_accuracy), title: "Judge", text })
}
