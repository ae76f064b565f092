//! Means over seeds with confidence intervals.

use super::evaluation::{Agreement, Interval, Memorised, Scores, SpaceScores};

/// The 0.975 quantiles of Student's t with 1, 2, 3, … degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The most values that [`Interval::of`] has a quantile for.
pub const MOST_VALUES: usize = STUDENT.len() + 1;

impl Interval {
    /// The mean of independent values and its 95 % interval, `mean +- t s / sqrt(n)`. Beyond [`MOST_VALUES`] values the quantile stays, so
    /// that the interval is a little too wide.
    ///
    /// ```
    /// use tweedie_host::judge::evaluation::Interval;
    /// let interval = Interval::of(vec![1.0, 2.0, 3.0]);
    /// assert_eq!(interval.mean, 2.0);
    /// assert!((interval.high.unwrap() - (2.0 + 4.303 / 3.0_f64.sqrt())).abs() < 1e-12);
    /// ```
    pub fn of(values: Vec<f64>) -> Self {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count.max(1) as f64;
        if count < 2 {
            return Self { mean, low: None, high: None, values };
        }
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let error = (squares / (count - 1) as f64 / count as f64).sqrt();
        let half = STUDENT[(count - 2).min(STUDENT.len() - 1)] * error;
        Self { mean, low: Some(mean - half), high: Some(mean + half), values }
    }
}

impl Scores<Interval> {
    /// The scores of several sets of samples, one for each seed; all of them have the same parts.
    pub fn over_seeds(sets: &[Scores<f64>]) -> Self {
        let over = |value: &dyn Fn(&Scores<f64>) -> Option<f64>| {
            let values: Vec<f64> = sets.iter().filter_map(value).collect();
            (!values.is_empty()).then(|| Interval::of(values))
        };
        let all = |value: &dyn Fn(&Scores<f64>) -> f64| Interval::of(sets.iter().map(value).collect());
        let features = |value: fn(&SpaceScores<f64>) -> f64| over(&|set| set.features.as_ref().map(value));
        let agreement = |value: fn(&Agreement<f64>) -> f64| over(&|set| set.agreement.as_ref().map(value));
        let classes = sets.iter().filter_map(|set| set.agreement.as_ref()).map(|by| by.by_class.len()).max();
        let of_class = |class: usize| over(&|set| set.agreement.as_ref().and_then(|by| *by.by_class.get(class)?));
        let by_class = (0..classes.unwrap_or(0)).map(of_class);
        Self {
            pixels: SpaceScores {
                frechet: all(&|set| set.pixels.frechet),
                precision: all(&|set| set.pixels.precision),
                recall: all(&|set| set.pixels.recall),
            },
            features: features(|space| space.frechet)
                .zip(features(|space| space.precision))
                .zip(features(|space| space.recall))
                .map(|((frechet, precision), recall)| SpaceScores { frechet, precision, recall }),
            agreement: agreement(|by| by.judge)
                .zip(agreement(|by| by.neighbours))
                .map(|(judge, neighbours)| Agreement { judge, neighbours, by_class: by_class.collect() }),
            memorised: Memorised {
                by_distance: all(&|set| set.memorised.by_distance),
                by_cosine: over(&|set| set.memorised.by_cosine),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_no_interval() {
        let interval = Interval::of(vec![0.5]);
        assert_eq!((interval.mean, interval.low, interval.high), (0.5, None, None));
    }

    // scipy.stats.t.interval(0.95, 4, loc=mean, scale=sem) of the same numbers.
    #[test]
    fn five_values_as_scipy_has_them() {
        let interval = Interval::of(vec![1.257, 1.301, 1.248, 1.279, 1.262]);
        assert!((interval.mean - 1.2694).abs() < 1e-12);
        assert!((interval.low.unwrap() - 1.243_375).abs() < 1e-4, "{interval:?}");
        assert!((interval.high.unwrap() - 1.295_425).abs() < 1e-4, "{interval:?}");
    }

    #[test]
    fn many_values_are_still_served() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let interval = Interval::of(values);
        let error = (100.0_f64 * 101.0 / 12.0 / 100.0).sqrt();
        assert!((interval.high.unwrap() - interval.mean - 2.042 * error).abs() < 1e-9);
    }

    #[test]
    fn scores_keep_the_parts_that_all_sets_have() {
        let set = |frechet: f64| Scores {
            pixels: SpaceScores { frechet, precision: 0.5, recall: 0.25 },
            features: None,
            agreement: Some(Agreement { judge: 1.0, neighbours: frechet, by_class: vec![None, Some(frechet)] }),
            memorised: Memorised { by_distance: 0.0, by_cosine: None },
        };
        let scores = Scores::over_seeds(&[set(1.0), set(3.0)]);
        assert_eq!(scores.pixels.frechet.values, [1.0, 3.0]);
        let agreement = scores.agreement.unwrap();
        assert_eq!(agreement.neighbours.mean, 2.0);
        assert_eq!(agreement.by_class, [None, Some(Interval::of(vec![1.0, 3.0]))]);
        assert!(scores.features.is_none() && scores.memorised.by_cosine.is_none());
    }
}
