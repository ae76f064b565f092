//! Between a file's own units and the network's range [-1, 1].

use serde::{Deserialize, Serialize};
use std::path::Path;

use super::{DataError, Place};

/// The way back from the network's range to a file's own units, the same for every element:
/// `value_in_units = offset + scale * value_in_network`.
///
/// The identity for images and for data that lay within [-1, 1] already.
///
/// ```
/// use tweedie_host::data::Scaling;
///
/// let celsius = Scaling { offset: 20.0, scale: 15.0 };
/// assert_eq!(celsius.to_units(-1.0), 5.0);
/// assert_eq!(celsius.to_units(1.0), 35.0);
/// assert_eq!(Scaling::IDENTITY.to_units(0.25), 0.25);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// What 0 in the network's range stands for; finite.
    pub offset: f32,
    /// What a step of 1 in the network's range stands for; finite and not 0.
    pub scale: f32,
}

impl Scaling {
    /// Units and the network's range are the same.
    pub const IDENTITY: Scaling = Scaling { offset: 0.0, scale: 1.0 };

    /// A value in the network's range, in the file's units.
    pub fn to_units(self, value: f32) -> f32 {
        self.offset + self.scale * value
    }

    /// A value in the file's units, in the network's range.
    pub fn to_network(self, value: f32) -> f32 {
        (value - self.offset) / self.scale
    }
}

/// Bytes of an image: 0 becomes -1 and 255 becomes 1, both exactly.
pub(super) fn pixels(bytes: impl Iterator<Item = u8>) -> Vec<f32> {
    bytes.map(|v| f32::from(v) / 127.5 - 1.0).collect()
}

/// Numbers of unknown range: as they are if all lie in [-1, 1], else mapped from [min, max] to [-1, 1].
///
/// `values` is walked twice rather than collected, so that a file costs no second copy in f64. `place` tells where the
/// i-th value stands.
pub(super) fn to_network(
    file: &Path,
    values: impl ExactSizeIterator<Item = f64> + Clone,
    place: impl Fn(usize) -> Place,
) -> Result<(Vec<f32>, Scaling), DataError> {
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for (i, value) in values.clone().enumerate() {
        if !value.is_finite() {
            return Err(DataError::NotFinite { file: file.into(), place: place(i), value });
        }
        (min, max) = (min.min(value), max.max(value));
    }
    if min >= -1.0 && max <= 1.0 {
        return Ok((values.map(|v| v as f32).collect(), Scaling::IDENTITY));
    }
    if min == max {
        return Err(DataError::Constant { file: file.into(), value: min });
    }
    // Halved before they are combined: max - min may overflow where neither of them does.
    let (offset, scale) = (max / 2.0 + min / 2.0, max / 2.0 - min / 2.0);
    let scaling = Scaling { offset: offset as f32, scale: scale as f32 };
    if !(scaling.to_units(-1.0).is_finite() && scaling.to_units(1.0).is_finite()) {
        return Err(DataError::Range { file: file.into(), min, max });
    }
    let samples = values.map(|v| ((v - offset) / scale).clamp(-1.0, 1.0) as f32).collect();
    Ok((samples, scaling))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn scaled(values: &[f64]) -> Result<(Vec<f32>, Scaling), DataError> {
        to_network(Path::new("x.npy"), values.iter().copied(), Place::Sample)
    }

    #[test]
    fn pixels_cover_the_range_exactly() {
        let all = pixels(0..=255);
        assert_eq!((all[0], all[255]), (-1.0, 1.0));
        assert!(all.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(all[51], -all[204], "symmetric about 127.5");
    }

    #[test]
    fn what_lies_in_range_is_left_alone() {
        let (samples, scaling) = scaled(&[-0.5, 0.25, 1.0]).unwrap();
        assert_eq!(samples, [-0.5, 0.25, 1.0]);
        assert_eq!(scaling, Scaling::IDENTITY);
        assert_eq!(scaled(&[0.5, 0.5]).unwrap().0, [0.5, 0.5], "constant but in range");
    }

    #[test]
    fn what_lies_outside_is_mapped() {
        let (samples, scaling) = scaled(&[5.0, 20.0, 35.0]).unwrap();
        assert_eq!(samples, [-1.0, 0.0, 1.0]);
        assert_eq!(scaling, Scaling { offset: 20.0, scale: 15.0 });
    }

    #[test]
    fn faults_are_typed() {
        assert!(matches!(scaled(&[7.0, 7.0]), Err(DataError::Constant { value, .. }) if value == 7.0));
        assert!(matches!(scaled(&[-f64::MAX, f64::MAX]), Err(DataError::Range { .. })));
        assert!(matches!(scaled(&[0.0, 1e300]), Err(DataError::Range { .. })));
        assert!(matches!(scaled(&[0.0, f64::NAN]), Err(DataError::NotFinite { place: Place::Sample(1), .. })));
        assert_eq!(
            scaled(&[f64::NEG_INFINITY]).unwrap_err().to_string(),
            "x.npy: sample 0 (counted from 0) is -inf; every value must be finite"
        );
    }

    quickcheck! {
        fn units_come_back(values: Vec<f32>) -> bool {
            let values: Vec<f64> = values.into_iter().filter(|v| v.abs() < 1e30).map(f64::from).collect();
            if values.is_empty() {
                return true;
            }
            let span = values.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
            match scaled(&values) {
                Ok((samples, scaling)) => samples.len() == values.len() && samples.iter().zip(&values).all(|(&s, &v)| {
                    s.abs() <= 1.0 && (f64::from(scaling.to_units(s)) - v).abs() <= 4.0 * f64::from(f32::EPSILON) * span
                }),
                Err(DataError::Constant { .. }) => values.iter().all(|v| *v == values[0]),
                Err(_) => false,
            }
        }
    }
}
