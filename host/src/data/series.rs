//! Time series: samples are windows of one long series of numbers.

use super::{DataError, Dataset};

/// The most numbers in a window; more would be a network that nothing trains.
pub const MAX_WINDOW: usize = 1 << 14;
/// The most numbers in all windows together: a gigabyte of them.
const MOST_NUMBERS: usize = 1 << 28;

/// Windows of `window` numbers of a series, each beginning `stride` after the one before: samples of shape `[1, window]`, one channel over time. What
/// is left at the end is too short for a window, and not used. The series keeps its scaling, and so do they.
///
/// # Errors
/// [`DataError::NoSeries`] unless the data are one number a sample, or one sample of rank 1, without classes;
/// [`DataError::WindowTooLong`], [`DataError::TooManyWindows`] (at most 2^28 numbers in all).
///
/// ```
/// use tweedie_host::data::{Dataset, Scaling, windows};
///
/// let series = Dataset {
///     name: "ramp".into(),
///     shape: vec![1],
///     samples: vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
///     labels: None,
///     classes: 0,
///     conditions: None,
///     scaling: Scaling::IDENTITY,
/// };
/// let windows = windows(series, 3, 2)?;
/// assert_eq!((windows.shape.as_slice(), windows.len()), (&[1, 3][..], 2));
/// assert_eq!(windows.sample(1), [0.2, 0.3, 0.4]);
/// # Ok::<(), tweedie_host::data::DataError>(())
/// ```
pub fn windows(series: Dataset, window: usize, stride: usize) -> Result<Dataset, DataError> {
    let Dataset { name, shape, samples: series, labels, scaling, .. } = series;
    let samples = series.len() / shape.iter().product::<usize>().max(1);
    if !(shape == [1] || shape.len() == 1 && samples == 1) || labels.is_some() {
        return Err(DataError::NoSeries { name, samples, shape });
    }
    let (window, stride) = (window.max(1), stride.max(1));
    let Some(room) = series.len().checked_sub(window) else {
        return Err(DataError::WindowTooLong { name, window, length: series.len() });
    };
    let windows = room / stride + 1;
    if windows > MOST_NUMBERS / window {
        return Err(DataError::TooManyWindows { name, windows, window });
    }
    let samples = (0..windows).flat_map(|i| &series[i * stride..][..window]).copied().collect();
    Ok(Dataset { name, shape: vec![1, window], samples, labels: None, classes: 0, conditions: None, scaling })
}

#[cfg(test)]
mod tests {
    use super::super::Scaling;
    use super::*;
    use quickcheck::quickcheck;

    fn series(shape: &[usize], samples: Vec<f32>) -> Dataset {
        let scaling = Scaling { offset: 3.0, scale: 2.0 };
        Dataset {
            name: "s".into(),
            shape: shape.to_vec(),
            samples,
            labels: None,
            classes: 0,
            conditions: None,
            scaling,
        }
    }

    #[test]
    fn a_row_and_a_column_are_the_same_series() {
        let numbers = vec![0.0, 0.25, 0.5, 0.75, 1.0];
        let column = windows(series(&[1], numbers.clone()), 2, 3).unwrap();
        assert_eq!(column, windows(series(&[5], numbers), 2, 3).unwrap());
        assert_eq!(column.samples, [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(column.scaling, Scaling { offset: 3.0, scale: 2.0 });
        column.validate().unwrap();
    }

    #[test]
    fn what_is_no_series_is_refused() {
        let refused = |data, window, stride| windows(data, window, stride).unwrap_err();
        assert_eq!(
            refused(series(&[2], vec![0.0; 6]), 2, 1).to_string(),
            "s: windows are cut from one series without classes, an array [n] or a table of one column or one row; these are 3 samples of shape [2]"
        );
        assert!(matches!(refused(series(&[2, 3], vec![0.0; 6]), 2, 1), DataError::NoSeries { samples: 1, .. }));
        let labelled = Dataset { labels: Some(vec![0; 6]), classes: 1, ..series(&[1], vec![0.0; 6]) };
        assert!(matches!(refused(labelled, 2, 1), DataError::NoSeries { .. }));
        assert!(matches!(refused(series(&[1], vec![0.0; 6]), 7, 1), DataError::WindowTooLong { length: 6, .. }));
        let long = series(&[1], vec![0.0; 40_000]);
        assert!(matches!(refused(long, MAX_WINDOW, 1), DataError::TooManyWindows { windows: 23_617, .. }));
    }

    quickcheck! {
        fn every_window_is_a_piece_of_the_series(length: u8, window: u8, stride: u8) -> bool {
            let numbers: Vec<f32> = (0..length).map(|i| f32::from(i) / 256.0).collect();
            let (window, stride) = (usize::from(window % 16) + 1, usize::from(stride % 16) + 1);
            match windows(series(&[1], numbers.clone()), window, stride) {
                Ok(data) => (0..data.len()).all(|i| data.sample(i) == &numbers[i * stride..][..window])
                    && data.len() * stride + window > numbers.len(),
                Err(_) => numbers.len() < window,
            }
        }
    }
}
