//! How a report writes numbers.

use crate::judge::evaluation::Interval;
use crate::picture::axis;

/// A value with four significant digits, below 1 with three decimals.
pub fn value(value: f64) -> String {
    if (0.001..1.0).contains(&value.abs()) { format!("{value:.3}") } else { axis::significant(value) }
}

/// A whole number, thousands apart.
pub fn count(count: usize) -> String {
    axis::number(count as f64, 1.0)
}

/// A share of 0 to 1 in percent, to a tenth.
pub fn percent(share: f64) -> String {
    format!("{:.1}\u{a0}%", 100.0 * share)
}

/// A mean with the ends of its interval, written by `write`.
pub fn with_interval(interval: &Interval, write: fn(f64) -> String) -> String {
    match (interval.low, interval.high) {
        (Some(low), Some(high)) => format!("{} ({} to {})", write(interval.mean), write(low), write(high)),
        _ => write(interval.mean),
    }
}

/// How far an interval reaches to either side of its mean, if it has ends.
pub fn reach(interval: &Interval, write: fn(f64) -> String) -> Option<String> {
    Some(format!("±\u{a0}{}", write((interval.high? - interval.low?) / 2.0)))
}

/// `one thing`, `2 things`.
pub fn of_things(number: usize, thing: &str) -> String {
    match number {
        1 => format!("one {thing}"),
        _ => format!("{} {thing}s", count(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!([0.985, 1.257, 12.4, -0.5, 1e-7].map(value), ["0.985", "1.257", "12.40", "-0.500", "1.000e-7"]);
        assert_eq!(count(88_768), "88\u{2009}768");
        assert_eq!(percent(0.9924), "99.2\u{a0}%");
        let interval = |low, high| Interval { mean: 1.25, low, high, values: vec![1.25] };
        assert_eq!(with_interval(&interval(None, None), value), "1.250");
        assert_eq!(with_interval(&interval(Some(1.0), Some(1.5)), value), "1.250 (1.000 to 1.500)");
        assert_eq!(reach(&interval(Some(1.0), Some(1.5)), value).unwrap(), "±\u{a0}0.250");
        assert_eq!((of_things(1, "step"), of_things(20, "step")), ("one step".into(), "20 steps".into()));
    }
}
