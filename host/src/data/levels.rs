//! Which values the data take: bits can be counted only of values that are told apart.

/// Evenly spaced values, such as the 17 counts of the embedded digits or the 256 of a byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataLevels {
    /// The lowest value, in the network's range.
    pub low: f32,
    /// The distance between neighbours, above 0.
    pub spacing: f32,
    /// How many there are, at least 2.
    pub count: usize,
}

/// The most levels that are taken for levels: finer ones are a continuum in `f32`.
const MOST: usize = 4096;

impl DataLevels {
    /// The levels of samples; `None` if their values are not evenly spaced, or more than 4096, as measurements are.
    pub fn of(samples: &[f32]) -> Option<Self> {
        let mut values: Vec<f32> = Vec::new();
        for &value in samples {
            if let Err(place) = values.binary_search_by(|other| other.total_cmp(&value)) {
                values.insert(place, value);
                if values.len() > MOST {
                    return None;
                }
            }
        }
        let (low, high) = (*values.first()?, *values.last()?);
        let least = values.windows(2).map(|pair| pair[1] - pair[0]).min_by(f32::total_cmp)?;
        let steps = ((high - low) / least).round();
        let levels = Self { low, spacing: (high - low) / steps, count: steps as usize + 1 };
        let is_level = |value: &f32| {
            let place = (value - low) / levels.spacing;
            (place - place.round()).abs() < 0.05
        };
        (levels.count <= MOST && values.iter().all(is_level)).then_some(levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;

    #[test]
    fn digits_have_seventeen_levels() {
        let levels = DataLevels::of(&Dataset::digits().unwrap().samples);
        assert_eq!(levels, Some(DataLevels { low: -1.0, spacing: 0.125, count: 17 }));
    }

    #[test]
    fn bytes_have_256() {
        let bytes: Vec<f32> = (0..=255_u8).map(|v| f32::from(v) / 127.5 - 1.0).collect();
        let levels = DataLevels::of(&bytes).unwrap();
        assert_eq!(levels.count, 256);
        assert!((levels.spacing - 1.0 / 127.5).abs() < 1e-7);
    }

    #[test]
    fn gaps_are_bridged() {
        assert_eq!(DataLevels::of(&[1.0, -1.0, 0.5]), Some(DataLevels { low: -1.0, spacing: 0.5, count: 5 }));
    }

    #[test]
    fn a_continuum_has_none() {
        let mut noise = vec![0.0; 10_000];
        tweedie_core::noise::NoiseStream::new(0, 0).fill(0, &mut noise);
        assert_eq!(DataLevels::of(&noise), None);
        assert_eq!(DataLevels::of(&noise[..100]), None);
        assert_eq!(DataLevels::of(&[0.5, 0.5]), None);
        assert_eq!(DataLevels::of(&[]), None);
    }
}
