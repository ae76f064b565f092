//! Samples of several seeds, drawn and scored: one line of a judgement.

use super::evaluation::{Interval, Neighbour, Scores, Settings, Shown, StepScores};
use super::memorisation::distance_ratio;
use super::panel::Panel;
use crate::data::Dataset;
use crate::error::Error;
use std::time::Instant;

/// Samples that a report shows of each number of steps.
const SHOWN: usize = 100;
/// Held-out rows that it shows.
const SHOWN_ROWS: usize = 50;
/// Likeliest copies that it shows.
const SHOWN_COPIES: usize = 12;

/// The outcome of one number of steps.
pub struct Series {
    /// The scores over all seeds.
    pub scores: StepScores,
    /// The same seed by seed.
    pub by_seed: Vec<Scores<f64>>,
    /// The samples of the first seed, `[count, width]`.
    pub first: Vec<f32>,
    /// Of all samples those most like copies, the worst first.
    pub copies: Vec<Neighbour>,
}

impl Series {
    /// Draws `settings.count` samples for each seed, of `classes`, and scores them. `draw` makes the samples of a seed, `[count, width]` in the
    /// network's range.
    ///
    /// # Errors
    /// Those of `draw`.
    pub fn of<E: From<Error>>(
        panel: &Panel,
        settings: &Settings,
        (steps, is_default): (usize, bool),
        classes: &[u32],
        mut draw: impl FnMut(u64) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let (mut by_seed, mut first, mut copies, mut seconds) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
        for &seed in &settings.seeds {
            let begun = Instant::now();
            let samples = draw(seed)?;
            seconds += begun.elapsed().as_secs_f64();
            let verdict = panel.score(&samples, classes)?;
            by_seed.push(verdict.scores);
            let width = panel.rows().seen.sample_size();
            let ratios =
                verdict.nearest.iter().enumerate().map(|(index, near)| (distance_ratio(*near), index, near[0]));
            let mut ratios: Vec<_> = ratios.collect();
            ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
            copies.extend(ratios.into_iter().take(SHOWN_COPIES).map(|(ratio, index, near)| Neighbour {
                sample: shown(&samples[index * width..][..width], &panel.rows().seen, classes[index]),
                row: row(&panel.rows().seen, near.row as usize),
                ratio,
            }));
            if first.is_empty() {
                first = samples;
            }
        }
        copies.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
        copies.truncate(SHOWN_COPIES);
        let scores = StepScores { steps, is_default, seconds, scores: Scores::<Interval>::over_seeds(&by_seed) };
        Ok(Self { scores, by_seed, first, copies })
    }

    /// The first samples, for people to look at.
    pub fn shown(&self, panel: &Panel, classes: &[u32]) -> Vec<Shown> {
        let seen = &panel.rows().seen;
        let rows = self.first.chunks_exact(seen.sample_size()).zip(classes);
        rows.take(SHOWN).map(|(values, &class)| shown(values, seen, class)).collect()
    }
}

/// Held-out rows, the classes in turn as far as there are rows of each, for people to look at.
pub fn shown_rows(held_out: &Dataset) -> Vec<Shown> {
    let Some(labels) = &held_out.labels else {
        return (0..held_out.len().min(SHOWN_ROWS)).map(|index| row(held_out, index)).collect();
    };
    let mut by_class = vec![Vec::new(); held_out.classes];
    for (index, &label) in labels.iter().enumerate() {
        by_class[label as usize].push(index);
    }
    let longest = by_class.iter().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..longest).flat_map(|place| by_class.iter().filter_map(move |rows| rows.get(place)));
    in_turn.take(SHOWN_ROWS).map(|&index| row(held_out, index)).collect()
}

fn shown(values: &[f32], data: &Dataset, class: u32) -> Shown {
    Shown { values: values.to_vec(), class: (data.classes > 0).then_some(class) }
}

fn row(data: &Dataset, index: usize) -> Shown {
    Shown { values: data.sample(index).to_vec(), class: data.labels.as_ref().map(|labels| labels[index]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::classes_in_turn;

    #[test]
    fn classes_take_turns() {
        assert_eq!(classes_in_turn(5, 3), [0, 1, 2, 0, 1]);
        assert_eq!(classes_in_turn(2, 0), [0, 0]);
    }

    #[test]
    fn rows_are_shown_class_by_class() {
        let held_out = Dataset::digits_held_out().unwrap();
        let classes: Vec<u32> = shown_rows(&held_out).iter().map(|shown| shown.class.unwrap()).collect();
        assert_eq!(classes, classes_in_turn(50, 10));
        let rows = shown_rows(&Dataset { labels: None, classes: 0, ..held_out.clone() });
        assert_eq!((rows.len(), rows[7].values.as_slice(), rows[7].class), (50, held_out.sample(7), None));
    }
}
