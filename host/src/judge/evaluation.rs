//! What a judgement says: the contents of `eval.json`, and the samples that a report shows beside it.
//!
//! Every figure of samples is an [`Interval`] over independent seeds. Distances and shares are those of the data in the network's
//! range, [-1, 1], so that they compare between runs on one data set, and between a model and an artifact of it.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of `eval.json` that this program writes.
pub const VERSION: u32 = 1;

/// A judgement of a run or an artifact, as `eval.json` holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// `evaluation`.
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// What was judged.
    pub subject: Subject,
    /// The real rows it was judged by.
    pub data: DataSummary,
    /// How it was judged.
    pub settings: Settings,
    /// The classifier whose features and opinions are used, or why there is none.
    pub judge: Stated<JudgeSummary>,
    /// Real rows in the place of samples. Distances, precision and recall are those of the training rows: the floor of the first, about
    /// the best of the others. Agreement and memorisation are those of the held-out rows: how often the judges err, and how often real
    /// strangers look like copies.
    pub real: Scores<f64>,
    /// The samples' scores, by rising numbers of steps; at least one entry.
    pub by_steps: Vec<StepScores>,
    /// The variational bound, or why there is none.
    pub bound: Stated<Bound>,
    /// What fixed point costs, for an artifact judged beside its float model.
    pub quantisation: Option<Quantisation>,
    /// Whatever a reader must know to trust the figures, a sentence each; may be empty.
    pub notes: Vec<String>,
}

/// Something that is there, or the reason why it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stated<T> {
    /// It is there.
    Present(T),
    /// One clause that says why not, such as `the data have no classes`.
    Absent(String),
}

impl<T> Stated<T> {
    /// It, if it is there.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(it) => Some(it),
            Self::Absent(_) => None,
        }
    }
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// A run's float model, or an artifact.
    pub kind: SubjectKind,
    /// The run folder, or the artifact's file, as the person gave it.
    pub path: PathBuf,
    /// Weights of a run's network; of an artifact `None`.
    pub parameters: Option<usize>,
    /// Bytes of an artifact; of a run `None`.
    pub bytes: Option<u64>,
    /// Steps that the model takes unless it is told otherwise.
    pub default_steps: usize,
    /// The sampler, such as `ddim, eta 0, guidance 1`; for an artifact, whose plan is frozen, `the artifact's own plan`.
    pub sampler: String,
}

/// The two things that can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A run folder, sampled in floating point on the host.
    Run,
    /// An artifact, sampled by the firmware library in fixed point.
    Artifact,
}

/// The real rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSummary {
    /// The data set's name.
    pub name: String,
    /// Shape of one sample, such as `[8, 8]`.
    pub shape: Vec<usize>,
    /// Number of classes; 0 without.
    pub classes: usize,
    /// Rows that the model and the judge were trained on.
    pub training_rows: usize,
    /// Rows that samples are compared with.
    pub held_out_rows: usize,
    /// Where the held-out rows come from, a clause such as `rows that no training has seen`.
    pub held_out_from: String,
    /// Whether the model has seen the held-out rows in training, because nothing else was there; distances then flatter it.
    pub held_out_seen_in_training: bool,
}

/// How samples were drawn and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Samples for each seed and number of steps, classes in turn.
    pub count: usize,
    /// The seeds of the noise; one draws `count` samples each.
    pub seeds: Vec<u64>,
    /// `k` of precision and recall.
    pub neighbours: usize,
}

/// The classifier that judges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgeSummary {
    /// Weights.
    pub parameters: usize,
    /// Numbers in its features, the last hidden layer.
    pub features: usize,
    /// Share of held-out rows that it names rightly, 0 to 1.
    pub held_out_accuracy: f64,
    /// The same of the three nearest training rows in pixels.
    pub neighbours_accuracy: f64,
    /// SHA-256 of its training rows and recipe, in hexadecimal; judges of one key have the same bits.
    pub key: String,
}

/// A mean over seeds with its 95 % confidence interval (Student's t).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The interval's lower end; `None` for a single seed, which tells nothing of its own spread.
    pub low: Option<f64>,
    /// The interval's upper end, likewise.
    pub high: Option<f64>,
    /// The value of each seed, in the order of [`Settings::seeds`].
    pub values: Vec<f64>,
}

/// Scores of samples at one number of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepScores {
    /// Network evaluations for a sample.
    pub steps: usize,
    /// Whether this is the model's own number of steps.
    pub is_default: bool,
    /// Seconds for drawing all samples of all seeds.
    pub seconds: f64,
    /// The samples' scores.
    pub scores: Scores<Interval>,
}

/// All scores of one set of rows; `Value` is a number, or an [`Interval`] over several sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores<Value> {
    /// Compared with the held-out rows in pixels.
    pub pixels: SpaceScores<Value>,
    /// Compared with the held-out rows in the judge's features; `None` without a judge. Its precision is that of shapes: the judge has been taught
    /// to look through noise, so that noise passes for precise here and only here.
    pub features: Option<SpaceScores<Value>>,
    /// Share of rows that are of their class, or of the class they were asked for; `None` without classes.
    pub agreement: Option<Agreement<Value>>,
    /// Shares of rows that are copies of training rows.
    pub memorised: Memorised<Value>,
}

/// How near rows come to the held-out rows in one space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpaceScores<Value> {
    /// Frechet distance to the held-out rows, at least 0.
    pub frechet: Value,
    /// Share of rows that lie among the held-out rows, 0 to 1.
    pub precision: Value,
    /// Share of held-out rows that lie among the rows, 0 to 1.
    pub recall: Value,
}

/// Class agreement, 0 to 1, by two judges that err differently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement<Value> {
    /// By the classifier.
    pub judge: Value,
    /// By the three nearest training rows in pixels.
    pub neighbours: Value,
    /// By the classifier, class by class; `None` for a class without rows.
    pub by_class: Vec<Option<Value>>,
}

/// Shares that count as memorised, 0 to 1, by either criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memorised<Value> {
    /// At most a third as far, in pixels, from the nearest training row as from the second nearest.
    pub by_distance: Value,
    /// Cosine similarity above 3/5 with some training row, in the judge's whitened detail features; `None` without a judge.
    pub by_cosine: Option<Value>,
}

/// The variational bound on the negative log-likelihood of held-out rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Bits per dimension of held-out rows: the sum of the three parts below.
    pub held_out: f64,
    /// The same of training rows; far below the held-out rows' it tells of memorisation.
    pub training: f64,
    /// Held-out rows: what the noisiest state still tells of the data.
    pub prior: f64,
    /// Held-out rows: the steps between, (4.15) and (4.16).
    pub diffusion: f64,
    /// Held-out rows: from the least noise to the data's own levels.
    pub reconstruction: f64,
    /// Distinct values that a number of the data takes, evenly spaced, such as 17 for the digits and 256 for bytes.
    pub data_levels: usize,
    /// Steps of the chain that the bound is of.
    pub steps: usize,
    /// Held-out rows that were looked at, and at most as many training rows.
    pub rows: usize,
    /// Steps, evenly spread and other ones for the next row, that a row was looked at in: all of them, or, of a model whose evaluations cost much, some. The mean
    /// over rows is then an estimate of the same bound.
    pub steps_of_a_row: usize,
    /// Held-out rows: bits per dimension that the step from each noise level adds, from the least noise to the most; its `bits` sum up to
    /// `diffusion`.
    pub by_level: Vec<LevelTerm>,
}

/// What a range of noise levels adds to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelTerm {
    /// `ln(alpha^2 / sigma^2)` in the middle of the range.
    pub log_snr: f64,
    /// Bits per dimension.
    pub bits: f64,
}

/// An artifact beside its float model, which drew as many samples from the same noise in as many steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantisation {
    /// The run folder of the float model.
    pub run: PathBuf,
    /// The float model's scores.
    pub float: StepScores,
    /// Frechet distance in pixels over the float model's, seed by seed; 1 is no cost.
    pub frechet_pixels: Interval,
    /// The same in the judge's features; `None` without a judge.
    pub frechet_features: Option<Interval>,
    /// The judge's class agreement less the float model's; `None` without classes.
    pub agreement: Option<Interval>,
    /// Mean absolute difference of a pixel, the range of the data being 2.
    pub mean_difference: f64,
}

/// Samples for people to look at. It is no part of `eval.json`; a report shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Gallery {
    /// Held-out rows, one of each class in turn, to compare with.
    pub real: Vec<Shown>,
    /// The first samples of the first seed, for each entry of [`Evaluation::by_steps`] in its order.
    pub by_steps: Vec<Vec<Shown>>,
    /// Of all samples of the default number of steps (of the only one, if it is not among them) those most like copies by the distance
    /// criterion, the worst first.
    pub nearest: Vec<Neighbour>,
}

/// One sample or row.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its numbers in [-1, 1], row-major in [`DataSummary::shape`].
    pub values: Vec<f32>,
    /// Its class, or the class asked for.
    pub class: Option<u32>,
}

/// A sample and the training row nearest to it in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// The sample.
    pub sample: Shown,
    /// The training row.
    pub row: Shown,
    /// The distance to that row over the distance to the second nearest; at most 1/3 counts as memorised.
    pub ratio: f64,
}
