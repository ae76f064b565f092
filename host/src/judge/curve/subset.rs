//! Parts of a data set that hold one another, each balanced over the classes.

use crate::data::Dataset;
use crate::streams;
use tweedie_core::noise::NoiseStream;

/// The order in which rows enter growing subsets: the first `n` of it are the subset of `n` rows. Rows are drawn class by class
/// in turn, within a class in an order drawn for `seed`, so that counts of classes differ by one at most until a class runs out.
pub fn order(data: &Dataset, seed: u64) -> Vec<u32> {
    let mut by_class = vec![Vec::new(); data.classes.max(1)];
    for row in 0..data.len() {
        let class = data.labels.as_ref().map_or(0, |labels| labels[row] as usize);
        let [low, high, ..] = NoiseStream::new(seed, streams::SUBSET).bits(0, row as u64);
        by_class[class].push((u64::from(low) | u64::from(high) << 32, row));
    }
    let mut turns = Vec::with_capacity(data.len());
    for (class, rows) in by_class.iter_mut().enumerate() {
        rows.sort_unstable();
        turns.extend(rows.iter().enumerate().map(|(turn, &(_, row))| (turn, class, row)));
    }
    turns.sort_unstable();
    turns.into_iter().map(|(.., row)| row as u32).collect()
}

/// The data set of some rows of another, as if its file held no others.
pub fn of_rows(data: &Dataset, rows: &[u32]) -> Dataset {
    Dataset {
        samples: rows.iter().flat_map(|&row| data.sample(row as usize)).copied().collect(),
        labels: data.labels.as_ref().map(|labels| rows.iter().map(|&row| labels[row as usize]).collect()),
        conditions: data.conditions.as_ref().map(|own| own.of_samples(rows.iter().map(|&row| row as usize))),
        ..data.clone()
    }
}

/// The data set over and over until it holds a batch of `batch` rows.
///
/// Training on it is training on the data set itself with the same number of noisy rows in each update: every pass shows each of
/// the rows equally often.
pub fn repeated(data: &Dataset, batch: usize) -> Dataset {
    let times = batch.div_ceil(data.len().max(1)).max(1);
    Dataset {
        samples: data.samples.repeat(times),
        labels: data.labels.as_ref().map(|labels| labels.repeat(times)),
        conditions: data
            .conditions
            .as_ref()
            .map(|own| own.of_samples((0..times * data.len()).map(|row| row % data.len()))),
        ..data.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_order_holds_every_row_once_and_its_beginnings_are_balanced() {
        let digits = Dataset::digits().unwrap();
        let labels = digits.labels.as_ref().unwrap();
        let rows = order(&digits, 0);
        assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), 1347);
        for size in [10, 16, 64, 1000] {
            let mut counts = [0; 10];
            rows[..size].iter().for_each(|&row| counts[labels[row as usize] as usize] += 1);
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{size}: {counts:?}");
        }
        assert_eq!(rows, order(&digits, 0));
        assert_ne!(rows[..16], order(&digits, 1)[..16]);
    }

    #[test]
    fn rows_without_classes_come_in_a_drawn_order() {
        let plain = Dataset { labels: None, classes: 0, ..Dataset::digits().unwrap() };
        let rows = order(&plain, 0);
        assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), 1347);
        assert!(!rows.is_sorted());
    }

    #[test]
    fn a_subset_keeps_rows_labels_and_the_number_of_classes() {
        let digits = Dataset::digits().unwrap();
        let few = of_rows(&digits, &[7, 3]);
        few.validate().unwrap();
        assert_eq!((few.len(), few.classes), (2, 10));
        assert_eq!((few.sample(0), few.sample(1)), (digits.sample(7), digits.sample(3)));
        assert_eq!(few.labels.unwrap(), [7, 3], "the first ten digits are 0 to 9");
    }

    #[test]
    fn repetition_fills_a_batch_and_no_more() {
        let three = of_rows(&Dataset::digits().unwrap(), &[0, 1, 2]);
        let many = repeated(&three, 7);
        many.validate().unwrap();
        assert_eq!(many.len(), 9);
        for row in 0..9 {
            assert_eq!(many.sample(row), three.sample(row % 3));
        }
        assert_eq!(repeated(&three, 3), three);
        assert_eq!(repeated(&three, 1), three);
    }
}
