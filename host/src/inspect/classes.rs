//! The balance of classes.

use super::Measure;
use crate::data::Dataset;

/// Names of the measure.
const NAMES: [&str; 2] = ["class_balance", "rarest class / commonest"];

/// Rows of each class; nothing without labels.
pub fn counts(data: &Dataset) -> Option<Vec<usize>> {
    let mut counts = vec![0; data.classes];
    data.labels.as_ref()?.iter().for_each(|&label| counts[label as usize] += 1);
    Some(counts)
}

/// The rarest class's rows over the commonest one's; random labels are as common as each other.
pub fn measure(data: &Dataset) -> Measure {
    let Some(counts) = counts(data) else {
        return Measure {
            name: NAMES[0],
            label: NAMES[1],
            value: None,
            noise: None,
            reference: "random labels",
            advice: "There are no classes: to draw by class, put them into labels.npy or a column `label`.".to_owned(),
        };
    };
    let extreme = |greater: fn(usize, usize) -> bool| {
        (1..counts.len()).fold(0, |best, class| if greater(counts[class], counts[best]) { class } else { best })
    };
    let (rarest, commonest) = (extreme(|a, b| a < b), extreme(|a, b| a > b));
    let balance = counts[rarest] as f64 / counts[commonest] as f64;
    let advice = if counts[rarest] == 0 {
        format!("Class {rarest} has no row and cannot be drawn: number the classes without gaps.")
    } else if balance < 0.5 {
        format!(
            "Class {rarest} has {} rows, class {commonest} {}: repeat the rare ones, or they will be drawn worse.",
            counts[rarest], counts[commonest]
        )
    } else {
        format!("{} classes of {} to {} rows: nothing to do.", counts.len(), counts[rarest], counts[commonest])
    };
    Measure::new(NAMES, balance, (1.0, "random labels"), advice)
}
