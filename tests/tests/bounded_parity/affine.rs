//! Affine forms: sets of vectors that remember where their uncertainty comes from.
//!
//! A form is `{ centre + sum_k e_k part_k : |e_k| <= 1 }`. Each rounding brings symbols `e_k` of its own, and linear operations map their parts
//! exactly, so that an error which a later layer cancels is cancelled here as well; with intervals it would be counted twice. Curved
//! functions become their tangent and a fresh symbol as large as the tangent can be wrong (Stolfi and de Figueiredo, 1997).

/// How many symbols have been issued; every form of one run counts by the same.
#[derive(Debug, Default)]
pub struct Symbols(usize);

/// A set of vectors of one length.
#[derive(Clone, Debug)]
pub struct Form {
    centre: Vec<f64>,
    /// `[symbols, length]`; symbols beyond the last have no part in it.
    parts: Vec<f64>,
}

/// A set of numbers between two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    /// From `low` to `high`.
    pub fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// The largest magnitude.
    pub fn magnitude(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }
}

/// `z / (1 + e^-z)`.
pub fn silu(z: f64) -> f64 {
    z / (1.0 + (-z).exp())
}

impl Form {
    /// One vector.
    pub fn exact(centre: Vec<f64>) -> Self {
        Self { centre, parts: Vec::new() }
    }

    /// Elements of each vector.
    pub fn len(&self) -> usize {
        self.centre.len()
    }

    /// The vector in the middle.
    pub fn centre(&self) -> &[f64] {
        &self.centre
    }

    /// How far each element can be from its centre.
    pub fn radius(&self) -> Vec<f64> {
        let mut radius = vec![0.0; self.len()];
        for part in self.parts.chunks_exact(self.len()) {
            radius.iter_mut().zip(part).for_each(|(radius, part)| *radius += part.abs());
        }
        radius
    }

    /// Where each element can be.
    pub fn ranges(&self) -> Vec<Range> {
        self.centre
            .iter()
            .zip(self.radius())
            .map(|(centre, radius)| Range::new(centre - radius, centre + radius))
            .collect()
    }

    /// `weights self + bias`, `weights` being `[outputs, inputs]`.
    pub fn linear(&self, weights: &[f64], bias: &[f64]) -> Self {
        let product = |x: &[f64]| -> Vec<f64> {
            let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum();
            weights.chunks_exact(self.len()).map(dot).collect()
        };
        let centre = product(&self.centre).iter().zip(bias).map(|(wx, b)| wx + b).collect();
        Self { centre, parts: self.parts.chunks_exact(self.len()).flat_map(product).collect() }
    }

    /// `sum_i c_i t_i` of forms of one length.
    pub fn combination(terms: &[(f64, &Self)]) -> Self {
        let add = |to: &mut Vec<f64>, coefficient: f64, from: &[f64]| {
            to.resize(to.len().max(from.len()), 0.0);
            to.iter_mut().zip(from).for_each(|(to, from)| *to += coefficient * from);
        };
        let mut sum = Self::exact(Vec::new());
        for (coefficient, term) in terms {
            add(&mut sum.centre, *coefficient, &term.centre);
            add(&mut sum.parts, *coefficient, &term.parts);
        }
        sum
    }

    /// Each element times a factor, plus an offset.
    pub fn stretched(&self, factors: &[f64], offsets: &[f64]) -> Self {
        let times = |x: &[f64]| x.iter().zip(factors).map(|(x, factor)| x * factor).collect::<Vec<f64>>();
        let centre = times(&self.centre).iter().zip(offsets).map(|(x, offset)| x + offset).collect();
        Self { centre, parts: self.parts.chunks_exact(self.len()).flat_map(times).collect() }
    }

    /// An error of up to `radius` in each element, all of them independent.
    #[must_use]
    pub fn widened(mut self, symbols: &mut Symbols, radius: impl IntoIterator<Item = f64>) -> Self {
        for (element, radius) in radius.into_iter().enumerate().filter(|(_, radius)| *radius > 0.0) {
            self.fresh(symbols)[element] = radius;
        }
        self
    }

    /// One error shared by all elements, of up to `part` in each.
    #[must_use]
    pub fn shared(mut self, symbols: &mut Symbols, part: &[f64]) -> Self {
        self.fresh(symbols).copy_from_slice(part);
        self
    }

    /// The part of a fresh symbol.
    fn fresh(&mut self, symbols: &mut Symbols) -> &mut [f64] {
        let at = symbols.0 * self.len();
        symbols.0 += 1;
        self.parts.resize(at + self.len(), 0.0);
        &mut self.parts[at..]
    }

    /// Every element clamped, as by saturation: nothing changes where it is within the limits for certain. Elsewhere the chord takes the
    /// place of the tangent.
    #[must_use]
    pub fn clamped(self, symbols: &mut Symbols, limits: Range) -> Self {
        let clamp = |x: f64| x.clamp(limits.low, limits.high);
        let (mut slopes, mut offsets, mut radius) = (Vec::new(), Vec::new(), Vec::new());
        for range in self.ranges() {
            let Range { low, high } = range;
            let slope = if high > low { (clamp(high) - clamp(low)) / (high - low) } else { 0.0 };
            // What is left besides the chord is largest at a corner.
            let left = |x: f64| clamp(x) - slope * x;
            let corners = [low, high, limits.low.clamp(low, high), limits.high.clamp(low, high)].map(left);
            let least = corners.into_iter().fold(f64::INFINITY, f64::min);
            let most = corners.into_iter().fold(f64::NEG_INFINITY, f64::max);
            slopes.push(slope);
            offsets.push((least + most) / 2.0);
            radius.push((most - least) / 2.0);
        }
        self.stretched(&slopes, &offsets).widened(symbols, radius)
    }

    /// SiLU. The tangent is wrong by `max |silu''| / 2 = 1/4` of the squared distance at most.
    pub fn silu(&self, symbols: &mut Symbols) -> Self {
        let radius = self.radius();
        let slope = |z: f64| (1.0 + z / (1.0 + z.exp())) / (1.0 + (-z).exp());
        let slopes: Vec<f64> = self.centre.iter().map(|&z| slope(z)).collect();
        let offsets: Vec<f64> = self.centre.iter().zip(&slopes).map(|(&z, slope)| silu(z) - slope * z).collect();
        self.stretched(&slopes, &offsets).widened(symbols, radius.iter().map(|r| r * r / 4.0))
    }

    /// `(x - mean) / s` with `s = sqrt(variance + epsilon)`; also the least `s` that is possible.
    ///
    /// With `y` the centre's deviations and `d` those of the error, `s^2` changes by the factor `1 + tau`, where
    /// `tau = (2 y.d + |d|^2) / (n s^2)`, and `(y + d) (1 + tau)^(-1/2) / s` is expanded: first order `d - y (y.d) / (n s^2)`, all over `s`.
    /// The rest is `-y |d|^2 / (2 n s^2) - d tau / 2 + (y + d) R`, over `s`, with `|R| <= 3/8 tau^2 (1 - |tau|)^(-5/2)`.
    ///
    /// # Panics
    /// If the deviation may be 0: nothing can be said then.
    pub fn normalised(&self, symbols: &mut Symbols, epsilon: f64) -> (Self, f64) {
        let n = self.len() as f64;
        let centred = |x: &[f64]| -> Vec<f64> {
            let mean = x.iter().sum::<f64>() / n;
            x.iter().map(|x| x - mean).collect()
        };
        let y = centred(&self.centre);
        let square = y.iter().map(|y| y * y).sum::<f64>() / n + epsilon;
        let s = square.sqrt();
        let deviations = Self {
            centre: vec![0.0; self.len()],
            parts: self.parts.chunks_exact(self.len()).flat_map(centred).collect(),
        };
        let along = deviations.linear(&y.iter().map(|y| y / (n * square)).collect::<Vec<f64>>(), &[0.0]);
        let radius = deviations.radius();
        let across = radius.iter().map(|r| r * r).sum::<f64>() / (n * square);
        let tau = 2.0 * along.radius()[0] + across;
        assert!(tau < 1.0, "errors as large as a row's deviation, {s}");
        let curved = 0.375 * tau * tau * (1.0 - tau).powf(-2.5);
        let rest =
            y.iter().zip(&radius).map(|(y, r)| (y.abs() * across / 2.0 + r * tau / 2.0 + (y.abs() + r) * curved) / s);
        let outwards = along.linear(&y.iter().map(|y| -y).collect::<Vec<f64>>(), &y);
        let first_order = Self::combination(&[(1.0 / s, &deviations), (1.0 / s, &outwards)]);
        (first_order.widened(symbols, rest), s * (1.0 - tau).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::{Arbitrary, Gen, quickcheck};

    /// A form, and values of its symbols between -1 and 1.
    #[derive(Clone, Debug)]
    struct Point {
        form: Form,
        symbols: usize,
        values: Vec<f64>,
    }

    fn unit(g: &mut Gen) -> f64 {
        f64::from(i32::arbitrary(g)) / f64::from(i32::MAX).abs()
    }

    impl Arbitrary for Point {
        fn arbitrary(g: &mut Gen) -> Self {
            let (length, symbols) = (3 + usize::arbitrary(g) % 5, usize::arbitrary(g) % 6);
            // Spread enough for normalisation, and on both sides of 0.
            let centre = (0..length).map(|element| element as f64 - 2.0 + 0.3 * unit(g)).collect();
            let parts = (0..length * symbols).map(|_| 0.1 * unit(g)).collect();
            let values = (0..symbols).map(|_| *g.choose(&[-1.0, -0.3, 0.0, 1.0]).unwrap()).collect();
            Self { form: Form { centre, parts }, symbols, values }
        }
    }

    impl Point {
        fn vector(&self) -> Vec<f64> {
            self.within(&self.form).0
        }

        /// Where this point lies in `image`, as far as the form's own symbols tell, and how far those of the image can take it from there.
        fn within(&self, image: &Form) -> (Vec<f64>, Vec<f64>) {
            let (mut place, mut radius) = (image.centre.clone(), vec![0.0; image.len()]);
            for (symbol, part) in image.parts.chunks_exact(image.len()).enumerate() {
                for (element, part) in part.iter().enumerate() {
                    match self.values.get(symbol) {
                        Some(value) => place[element] += value * part,
                        None => radius[element] += part.abs(),
                    }
                }
            }
            (place, radius)
        }

        /// Whether `image` holds what `function` makes of this very point.
        fn is_held(&self, image: impl Fn(&Form, &mut Symbols) -> Form, function: impl Fn(&[f64]) -> Vec<f64>) -> bool {
            let (place, radius) = self.within(&image(&self.form, &mut Symbols(self.symbols)));
            let exact = function(&self.vector());
            exact.len() == place.len()
                && place
                    .iter()
                    .zip(radius)
                    .zip(exact)
                    .all(|((place, radius), exact)| (place - exact).abs() <= radius + 1e-12)
        }
    }

    fn normalised(x: &[f64]) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        x.iter().map(|x| (x - mean) / (variance + 0.01).sqrt()).collect()
    }

    quickcheck! {
        fn silu_is_held(point: Point) -> bool {
            point.is_held(|form, symbols| form.silu(symbols), |x| x.iter().map(|&x| silu(x)).collect())
        }

        fn clamping_is_held(point: Point, low: i8, width: u8) -> bool {
            let low = f64::from(low) / 32.0;
            let limits = Range::new(low, low + f64::from(width) / 32.0);
            let clamp = |x: &[f64]| x.iter().map(|x| x.clamp(limits.low, limits.high)).collect();
            point.is_held(|form, symbols| form.clone().clamped(symbols, limits), clamp)
        }

        fn normalisation_is_held(point: Point) -> bool {
            let least = point.form.normalised(&mut Symbols(point.symbols), 0.01).1;
            let x = point.vector();
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let square = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64 + 0.01;
            square.sqrt() >= least && point.is_held(|form, symbols| form.normalised(symbols, 0.01).0, normalised)
        }

        fn sums_of_rows_are_held(point: Point) -> bool {
            let row: Vec<f64> = (0..point.form.len()).map(|element| 0.7 - element as f64).collect();
            let sum = |x: &[f64]| vec![x.iter().zip(&row).map(|(x, w)| x * w).sum::<f64>() + 0.5];
            point.is_held(|form, _| form.linear(&row, &[0.5]), sum)
        }
    }

    #[test]
    fn an_error_that_cancels_is_gone() {
        let mut symbols = Symbols::default();
        let x = Form::exact(vec![1.0, 2.0]).widened(&mut symbols, [0.5, 0.25]);
        assert_eq!(x.radius(), [0.5, 0.25]);
        assert_eq!(Form::combination(&[(2.0, &x), (-2.0, &x)]).radius(), [0.0, 0.0]);
        let other = Form::exact(vec![0.0, 0.0]).widened(&mut symbols, [0.5, 0.25]);
        assert_eq!(Form::combination(&[(2.0, &x), (-2.0, &other)]).radius(), [2.0, 1.0]);
    }

    #[test]
    fn what_lies_between_the_limits_is_not_touched() {
        let mut symbols = Symbols::default();
        let x = Form::exact(vec![0.5, 0.875, 3.0]).widened(&mut symbols, [0.25, 0.25, 0.25]);
        let clamped = x.clone().clamped(&mut symbols, Range::new(-1.0, 1.0)).ranges();
        assert_eq!(clamped[0], Range::new(0.25, 0.75));
        assert!(clamped[1].low <= 0.625 && clamped[1].high >= 1.0 && clamped[1].high < 1.1, "{clamped:?}");
        assert_eq!(clamped[2], Range::new(1.0, 1.0));
    }
}
