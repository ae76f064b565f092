//! Class labels: whole numbers from 0, checked before anything is allocated per class.

use std::path::Path;

use super::{DataError, Place};

/// The most classes a data set may have. An embedding row is trained for every class up to the largest label, so one
/// stray label (an identifier, a year) would otherwise size the network.
pub const MAX_CLASSES: usize = 1000;

/// Labels and the number of classes, which is the largest label + 1: classes without a sample still count, so that a
/// subset of a data set keeps its class indices.
pub(super) fn class_labels(
    file: &Path,
    values: impl Iterator<Item = (Place, f64)>,
) -> Result<(Vec<u32>, usize), DataError> {
    let mut labels = Vec::with_capacity(values.size_hint().0);
    let mut classes = 0;
    for (place, label) in values {
        // Negated, so that NaN is refused as well.
        if !(label >= 0.0 && label < MAX_CLASSES as f64 && label.fract() == 0.0) {
            return Err(DataError::Label { file: file.into(), place, label });
        }
        classes = classes.max(label as usize + 1);
        labels.push(label as u32);
    }
    Ok((labels, classes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Result<(Vec<u32>, usize), DataError> {
        let places = (0..).map(Place::Sample);
        class_labels(Path::new("labels.npy"), places.zip(values.iter().copied()))
    }

    #[test]
    fn classes_are_the_largest_label_plus_one() {
        assert_eq!(
            of(&[2.0, 0.0, 5.0, -0.0]).unwrap(),
            (vec![2, 0, 5, 0], 6),
            "classes 1, 3 and 4 have no sample and still count"
        );
        assert_eq!(of(&[999.0]).unwrap(), (vec![999], 1000));
    }

    #[test]
    fn what_is_no_class_index_is_refused_and_placed() {
        for bad in [-1.0, 0.5, 1000.0, 1e300, f64::NAN, f64::INFINITY] {
            match of(&[0.0, bad]) {
                Err(DataError::Label { place, label, .. }) => {
                    assert_eq!(place, Place::Sample(1));
                    assert!(label == bad || bad.is_nan());
                }
                other => panic!("{bad}: {other:?}"),
            }
        }
        assert_eq!(
            of(&[-1.0]).unwrap_err().to_string(),
            "labels.npy: sample 0 (counted from 0) has the label -1; expected a whole number from 0 to 999 \
             (the number of classes is the largest label + 1, at most 1000)"
        );
    }
}
