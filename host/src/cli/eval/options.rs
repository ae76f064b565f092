//! What `eval` of a run and `eval` of an artifact have in common: options, and all that is made before the first sample is drawn.

use super::progress::Progress;
use crate::error::Error;
use crate::judge::classifier::recipe::Recipe;
use crate::judge::classifier::{Classifier, cache};
use crate::judge::evaluation::{JudgeSummary, Settings, Stated};
use crate::judge::interval::MOST_VALUES;
use crate::judge::panel::Panel;
use crate::judge::precision_recall::NEIGHBOURS;
use crate::judge::real_rows::RealRows;
use crate::preset::DataSettings;
use crate::sample::classes_in_turn;
use clap::Args;
use std::path::PathBuf;

/// Options of both.
#[derive(Args)]
pub struct Options {
    /// Samples for each seed and number of steps [default: 2000, or twice the numbers in a sample]
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,
    /// Seeds 0, 1, 2, … of the noise; intervals need at least 2
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub seeds: u64,
    /// The training data [default: the run's own]
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,
    /// Data that no training has seen [default: what belongs to the training data, else every fourth row of them]
    #[arg(long, value_name = "PATH")]
    pub held_out: Option<String>,
    /// Where to leave eval.json and report.html
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print eval.json on standard output instead of a table
    #[arg(long)]
    pub json: bool,
}

/// The most samples that are drawn for a seed, as of `sample`.
const MOST: usize = 10_000_000;

/// Ready to draw and score.
pub struct Prepared {
    /// Who scores.
    pub panel: Panel,
    /// The classifier in figures, or why there is none.
    pub judge: Stated<JudgeSummary>,
    /// How many samples of which seeds.
    pub settings: Settings,
    /// The class of each sample of a seed.
    pub classes: Vec<u32>,
    /// What a reader must know so far.
    pub notes: Vec<String>,
}

impl Options {
    /// What a model learnt from, or the data that are asked for in its place, cut into the same windows.
    pub fn data_of(&self, own: &DataSettings) -> DataSettings {
        let source = self.data.clone().unwrap_or_else(|| own.source.clone());
        DataSettings { source, ..own.clone() }
    }

    /// The real rows, for a model that draws samples of a shape in so many classes; `own` is where it learnt from.
    ///
    /// # Errors
    /// Data that cannot be read, or do not fit the model; a count too small for a covariance, or too large.
    pub fn prepare(
        &self,
        own: &DataSettings,
        shape: &[usize],
        classes: usize,
        progress: &Progress,
    ) -> Result<Prepared, Error> {
        let width: usize = shape.iter().product();
        let recipe = Recipe::of(shape);
        let settings = self.settings(if classes > 0 { width.max(recipe.features) } else { width })?;
        let rows = RealRows::of(&self.data_of(own), self.held_out.as_deref())?;
        rows.check(shape, classes)?;
        let notes = notes(&rows, width);
        let classifier = (classes > 0).then(|| {
            let watch = |update| progress.show(&format!("training the judge: {update}/{}", recipe.updates));
            Classifier::obtain(&rows.training, &cache::folder(), watch)
        });
        progress.show("measuring the real rows");
        let panel = Panel::new(rows, classifier.transpose()?)?;
        let judge = match panel.judge() {
            Some(summary) => Stated::Present(summary),
            None => Stated::Absent("the data have no classes to learn a judge from".to_owned()),
        };
        let classes = classes_in_turn(settings.count, classes);
        Ok(Prepared { panel, judge, settings, classes, notes })
    }

    fn settings(&self, dimensions: usize) -> Result<Settings, Error> {
        let count = self.count.unwrap_or(2000.max(2 * dimensions));
        if count <= dimensions {
            return Err(Error::Argument(format!(
                "--count {count} is too small: a covariance of {dimensions} numbers needs more than {dimensions} samples"
            )));
        }
        if count > MOST {
            return Err(Error::Argument(format!("--count {count} is more than the {MOST} that are drawn for a seed")));
        }
        if !(1..=MOST_VALUES as u64).contains(&self.seeds) {
            return Err(Error::Argument(format!("--seeds {}: it must lie between 1 and {MOST_VALUES}", self.seeds)));
        }
        Ok(Settings { count, seeds: (0..self.seeds).collect(), neighbours: NEIGHBOURS })
    }
}

fn notes(rows: &RealRows, width: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if rows.held_out_seen {
        notes.push(
            "The model has seen the held-out rows in training, since there are no others: distances, precision and recall flatter it. \
             Give rows that it has not seen with --held-out."
                .to_owned(),
        );
    }
    let count = rows.held_out.len();
    if count <= width {
        notes.push(format!(
            "{count} held-out rows are too few for a covariance of {width} numbers: the Frechet distance in pixels compares only with others of the same rows."
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_their_limits() {
        let options = |count, seeds| Options { count, seeds, data: None, held_out: None, out: None, json: false };
        let settings = options(None, 3).settings(64).unwrap();
        assert_eq!((settings.count, settings.seeds), (2000, vec![0, 1, 2]));
        assert_eq!(options(None, 1).settings(3072).unwrap().count, 6144);
        assert_eq!(options(Some(65), 1).settings(64).unwrap().count, 65);
        for (count, seeds, part) in
            [(Some(64), 5, "more than 64 samples"), (Some(usize::MAX), 5, "10000000"), (None, 0, "between 1 and 31")]
        {
            let sentence = options(count, seeds).settings(64).unwrap_err().to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
