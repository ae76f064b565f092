//! The numbers along the sides of a plot: where its ends lie, what is marked, and how that is written.

use std::ops::Range;

/// Values span a logarithmic axis if the largest is more than this many times the smallest.
const DECADE: f64 = 10.0;

/// The numbers along one side of the plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Whether equal factors are equal distances.
    pub logarithmic: bool,
    /// The values at its ends.
    pub range: Range<f64>,
    /// Values that are marked, with what is written there.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis of training steps: linear, not below 0, marked at whole numbers.
    pub fn of_steps(steps: impl Iterator<Item = f64>) -> Self {
        let (least, greatest) = extremes(steps).unwrap_or((0.0, 1.0));
        let pad = if least < greatest { 0.0 } else { (0.1 * greatest).max(1.0) };
        Self::linear((least - pad).max(0.0)..greatest + pad, 1.0)
    }

    /// An axis of losses: logarithmic if they are positive and span more than a factor of 10, else linear around them.
    pub fn of_losses(losses: impl Iterator<Item = f64>) -> Self {
        let (least, greatest) = extremes(losses).unwrap_or((0.0, 1.0));
        if least > 0.0 && greatest / DECADE > least {
            return Self::logarithmic(least, greatest);
        }
        let magnitude = least.abs().max(greatest.abs());
        let span = greatest - least;
        let pad = match span {
            _ if magnitude == 0.0 => 1.0,
            // As good as constant: room for a line in the middle.
            _ if span < 1e-6 * magnitude => 0.1 * magnitude,
            _ => 0.05 * span,
        };
        Self::linear(least - pad..greatest + pad, 0.0)
    }

    /// An axis of amounts that are at least 0: logarithmic if they span more than a factor of 10, else linear from 0.
    pub fn of_amounts(amounts: impl Iterator<Item = f64>) -> Self {
        let (least, greatest) = extremes(amounts.filter(|amount| amount.is_finite())).unwrap_or((0.0, 1.0));
        if least > 0.0 && greatest / DECADE > least {
            return Self::logarithmic(least, greatest);
        }
        Self::linear(0.0..if greatest > 0.0 { 1.1 * greatest } else { 1.0 }, 0.0)
    }

    /// An axis of shares, 0 to 1, marked in percent: from 0 to 1, or less where all of them are large, or all small.
    pub fn of_shares(shares: impl Iterator<Item = f64>) -> Self {
        let (least, greatest) = extremes(shares.filter(|share| share.is_finite())).unwrap_or((0.0, 1.0));
        // To the tenth or twentieth below or above, so that the span is a tenth at least.
        let low = if least >= 0.65 { ((least - 0.02) * 10.0).floor() / 10.0 } else { 0.0 };
        let high = if greatest <= 0.45 { ((greatest + 0.02) * 10.0).ceil() / 10.0 } else { 1.0 };
        let mut axis = Self::linear(low..high, 0.01);
        axis.ticks.iter_mut().for_each(|(share, label)| *label = format!("{:.0}\u{a0}%", 100.0 * *share));
        axis
    }

    /// An axis of the numbers `0..count`, all marked, with room at both ends.
    pub fn of_indices(count: usize) -> Self {
        let ticks = (0..count).map(|index| (index as f64, index.to_string())).collect();
        Self { logarithmic: false, range: -0.5..count as f64 - 0.5, ticks }
    }

    /// A logarithmic axis of the positive, rising `values`, marked at each of them.
    pub fn of_values(values: &[f64]) -> Self {
        let (least, greatest) = extremes(values.iter().copied()).unwrap_or((1.0, 1.0));
        let margin = if least < greatest { (greatest / least).powf(0.04) } else { 2.0 };
        let ticks = values.iter().map(|&value| (value, number(value, 1.0))).collect();
        Self { logarithmic: true, range: least / margin..greatest * margin, ticks }
    }

    /// A linear axis; ticks at multiples of 1, 2 or 5 times a power of ten, not closer than `closest`.
    pub fn linear(range: Range<f64>, closest: f64) -> Self {
        let wanted = ((range.end - range.start) / 7.0).max(closest).max(f64::MIN_POSITIVE);
        let power = 10_f64.powf(wanted.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|&step| step >= 0.999 * wanted);
        let step = step.unwrap_or(10.0 * power);
        // Few: there are at most 7 of these steps in the range.
        let (first, last) = ((range.start / step).ceil(), (range.end / step).floor());
        let count = (last - first).clamp(0.0, 8.0) as u32;
        let ticks = (0..=count)
            .map(|k| (first + f64::from(k)) * step)
            .filter(|tick| range.contains(tick) || *tick == range.end);
        let ticks = ticks.map(|tick| (tick, number(tick, step))).collect();
        Self { logarithmic: false, range, ticks }
    }

    /// A logarithmic axis; ticks at 1, 2 and 5 times powers of ten; over many decades only at some powers of ten.
    pub fn logarithmic(least: f64, greatest: f64) -> Self {
        let decades = greatest.log10() - least.log10();
        let margin = 10_f64.powf(0.05 * decades);
        let range = (least / margin).max(f64::MIN_POSITIVE)..greatest * margin;
        let stride = (decades / 7.0).ceil() as usize;
        let factors: &[f64] = if decades < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = (range.start.log10().floor() as i32..=range.end.log10().ceil() as i32).step_by(stride);
        let ticks = powers.flat_map(|power| factors.iter().map(move |&factor| (power, factor)));
        let ticks = ticks.map(|(power, factor)| {
            let value = factor * 10_f64.powi(power);
            let label = match power {
                -4..=4 => format!("{value:.*}", power.min(0).unsigned_abs() as usize),
                _ => format!("{factor}e{power}"),
            };
            (value, label)
        });
        let ticks = ticks.filter(|(value, _)| range.contains(value)).collect();
        Self { logarithmic: true, range, ticks }
    }

    /// Where `value` is between the ends of the range, 0 to 1.
    pub fn position(&self, value: f64) -> f64 {
        let on_scale = |value: f64| if self.logarithmic { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let (start, end) = (on_scale(self.range.start), on_scale(self.range.end));
        ((on_scale(value) - start) / (end - start)).clamp(0.0, 1.0)
    }

    /// Characters in the longest mark.
    pub fn longest_label(&self) -> u32 {
        self.ticks.iter().map(|(_, label)| label.chars().count() as u32).max().unwrap_or(0)
    }
}

/// The least and the greatest, if there are any values.
fn extremes(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |extremes, value| {
        let (least, greatest) = extremes.unwrap_or((value, value));
        Some((least.min(value), greatest.max(value)))
    })
}

/// `value` with the digits that tell it from its neighbours at a distance of `step`; thousands stand apart.
pub fn number(value: f64, step: f64) -> String {
    // The addend is for powers of ten, whose logarithms may come out a little below the whole number.
    let exponent = (step.log10() + 1e-9).floor();
    if value != 0.0 && (value.abs() >= 1e7 || exponent < -6.0) {
        let digits = (value.abs().log10().floor() - exponent).clamp(0.0, 9.0) as usize;
        return format!("{value:.digits$e}");
    }
    let text = format!("{:.*}", (-exponent).max(0.0) as usize, value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::from(if value < 0.0 { "\u{2212}" } else { "" });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && whole.len() > 4 && (whole.len() - index) % 3 == 0 {
            grouped.push('\u{2009}');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// `value` with four significant digits.
pub fn significant(value: f64) -> String {
    let power = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    if (-4.0..6.0).contains(&power) {
        format!("{value:.*}", (3.0 - power).max(0.0) as usize)
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn axes_have_round_ticks() {
        assert_eq!(labels(&Axis::linear(0.0..1.0, 0.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(
            labels(&Axis::linear(-0.011..0.021, 0.0)),
            ["\u{2212}0.010", "\u{2212}0.005", "0.000", "0.005", "0.010", "0.015", "0.020"]
        );
        assert_eq!(labels(&Axis::of_steps([1.0, 3.0].into_iter())), ["1", "2", "3"]);
        assert_eq!(
            labels(&Axis::of_steps([0.0, 20_000.0].into_iter())),
            ["0", "5000", "10\u{2009}000", "15\u{2009}000", "20\u{2009}000"]
        );
        assert_eq!(labels(&Axis::of_steps([0.0, 4e8].into_iter())), ["0", "1e8", "2e8", "3e8", "4e8"]);
        assert_eq!(labels(&Axis::of_losses([0.04, 1.1].into_iter())), ["0.05", "0.1", "0.2", "0.5", "1"]);
        assert_eq!(
            labels(&Axis::of_losses([1e-6, 1.0].into_iter())),
            ["1e-6", "1e-5", "0.0001", "0.001", "0.01", "0.1", "1"]
        );
        assert!(!Axis::of_losses([0.0, 100.0].into_iter()).logarithmic);
        assert!(!Axis::of_losses([1.0, 10.0].into_iter()).logarithmic);
    }

    #[test]
    fn axes_of_a_report() {
        let amounts = Axis::of_amounts([2.0, 3.0, f64::NAN].into_iter());
        assert_eq!((amounts.logarithmic, amounts.range.start), (false, 0.0));
        assert!(amounts.range.end > 3.0);
        assert!(Axis::of_amounts([0.9, 12.0].into_iter()).logarithmic);
        assert_eq!(Axis::of_amounts([0.0].into_iter()).range, 0.0..1.0);
        let steps = Axis::of_values(&[1.0, 4.0, 1347.0]);
        assert_eq!(labels(&steps), ["1", "4", "1347"]);
        assert!(steps.range.start < 1.0 && steps.range.end > 1347.0);
        assert_eq!(Axis::of_indices(10).position(4.5), 0.5);
        assert_eq!(labels(&Axis::of_indices(2)), ["0", "1"]);
        // A single value stands in the middle.
        assert!((Axis::of_values(&[20.0]).position(20.0) - 0.5).abs() < 1e-9);
        let shares = Axis::of_shares([0.1, 0.7].into_iter());
        assert!((shares.position(0.2) - 0.2).abs() < 1e-12);
        assert_eq!(labels(&shares)[1], "20\u{a0}%");
        assert_eq!(Axis::of_shares([0.93, 0.98].into_iter()).range, 0.9..1.0);
        assert_eq!(Axis::of_shares([0.0, 0.008].into_iter()).range, 0.0..0.1);
        assert_eq!(Axis::of_shares([f64::NAN].into_iter()).range, 0.0..1.0);
    }

    #[test]
    fn numbers_have_four_significant_digits() {
        let text = [0.043_012, 12.3456, 0.0, -1.5, 123_456.7, 1.234_56e-7].map(significant);
        assert_eq!(text, ["0.04301", "12.35", "0.000", "-1.500", "123457", "1.235e-7"]);
    }
}
