//! A mixture in integers: unit rows in 8 bits, and tables of gains whose formats are chosen step by step.

use super::ExportError;
use super::calibrate::LayerStatistics;
use super::mixture::{FoldedMixture, norm};
use super::rounding::{LARGEST, output_power};
use std::f64::consts::LOG2_E;
use tweedie_core::artifact::{
    COEFF_FRACTION, LOGIT_FRACTION, MixtureLevel, MixtureTerms, STATE_FRACTION, pack_weights, weight_words,
};
use tweedie_core::exact::{LowRankMixture, Mixture as _, inverse_temperature};

/// Room above the largest coordinate or coefficient seen in calibration.
const HEADROOM: f64 = 1.5;
/// The most fractional bits of a direction's gain: with as many, a coefficient is the upper half of a product by a chance.
const MOST_GAIN_FRACTION: i32 = 17;

/// The tables of [`Mixture`](tweedie_core::artifact::Mixture).
#[derive(Clone, Debug)]
pub struct QuantisedMixture {
    /// Packed rows of all blocks.
    pub rows: Vec<u32>,
    /// `[blocks, rows]`.
    pub offsets: Vec<u32>,
    /// `[blocks, rows]`.
    pub multipliers: Vec<u32>,
    /// Packed columns of all blocks.
    pub columns: Vec<u32>,
    /// `[blocks, features]`.
    pub output_multipliers: Vec<u32>,
    /// `[steps, ..]`.
    pub by_step: Vec<u32>,
    /// What 1 stands for in coordinates and coefficients.
    pub unit: f64,
    /// `2^31` less the largest magnitude that any accumulator can reach.
    pub least_margin: u64,
    /// Mean square of the exact coordinates around their means, over that of the error which the rounding of rows makes.
    pub weights_signal_to_noise: f64,
}

/// Quantises a mixture in `features` coordinates.
///
/// # Errors
/// Gains or constants that the formats do not hold.
pub fn quantise(
    mixture: &FoldedMixture,
    statistics: &LayerStatistics,
    features: usize,
) -> Result<QuantisedMixture, ExportError> {
    let all = mixture.tables.mixture(0..mixture.tables.components())?;
    let fraction = fraction(mixture, &all, statistics, features)?;
    let (count, blocks) = (mixture.block_rows(), mixture.blocks);
    let mut made = QuantisedMixture {
        rows: Vec::new(),
        offsets: Vec::new(),
        multipliers: Vec::new(),
        columns: Vec::new(),
        output_multipliers: Vec::new(),
        by_step: Vec::new(),
        unit: f64::from(-fraction).exp2(),
        least_margin: u64::MAX,
        weights_signal_to_noise: 0.0,
    };
    let (mut signal, mut noise) = (0.0, 0.0);
    for block in 0..blocks {
        let rows: Vec<Vec<f64>> =
            (block * mixture.components..(block + 1) * mixture.components).flat_map(|k| unit_rows(&all, k)).collect();
        let mut weights = Vec::with_capacity(count * features);
        for (o, row) in rows.iter().enumerate() {
            let mean = all.mean(block * mixture.components + o / (1 + mixture.rank));
            let Row { scale, rounded } = Row::new(row, norm(mean));
            let change: Vec<f64> = row.iter().zip(&rounded).map(|(u, &q)| u - f64::from(q) * scale).collect();
            signal += output_power(row, &statistics.covariance);
            noise += output_power(&change, &statistics.covariance);
            // Of the rounded row, so that at alpha times the mean the coordinate is exactly 0.
            let along: f64 = rounded.iter().zip(mean).map(|(&q, m)| f64::from(q) * m).sum();
            let offset = in_i32("an offset", 0, 2.0 * along * f64::from(1 << STATE_FRACTION))?;
            made.offsets.push(offset as u32);
            made.multipliers.push(multiplier(scale, fraction - STATE_FRACTION as i32)?);
            made.reach(&rounded, offset)?;
            weights.extend(rounded);
        }
        pack(&weights, features, count, &mut made.rows)?;
        let mut weights = Vec::with_capacity(count * features);
        for i in 0..features {
            let column: Vec<f64> = rows.iter().map(|row| row[i]).collect();
            let Row { scale, rounded } = Row::new(&column, 0.0);
            made.output_multipliers.push(multiplier(scale, STATE_FRACTION as i32 - fraction)?);
            made.reach(&rounded, 0)?;
            weights.extend(rounded);
        }
        pack(&weights, count, features, &mut made.columns)?;
    }
    made.weights_signal_to_noise = signal / noise;
    for step in 0..mixture.levels.len() {
        terms_of_step(mixture, &all, step, fraction, &mut made.by_step)?;
    }
    Ok(made)
}

impl QuantisedMixture {
    /// Takes note of how large a row's accumulator can get.
    fn reach(&mut self, row: &[i8], offset: i32) -> Result<(), ExportError> {
        let bias = offset.unsigned_abs() / 2 + 1;
        let margin = super::prove::margin(row, &[bias]).ok_or(ExportError::Mixture {
            what: "an accumulator",
            step: 0,
            value: f64::from(offset),
        })?;
        self.least_margin = self.least_margin.min(margin);
        Ok(())
    }
}

/// A component's rows, of length 1: its mean's direction and its own. A mean of 0 has the row 0.
fn unit_rows(mixture: &LowRankMixture<'_>, k: usize) -> Vec<Vec<f64>> {
    let mean = mixture.mean(k);
    let length = norm(mean).max(f64::MIN_POSITIVE);
    let direction = mean.iter().map(|m| m / length).collect();
    std::iter::once(direction).chain(mixture.basis(k).map(<[f64]>::to_vec)).collect()
}

/// A row in 8 bits.
struct Row {
    scale: f64,
    rounded: Vec<i8>,
}

impl Row {
    /// Rounded to nearest at the least scale at which the accumulator holds every sum, beside a bias of at most `along` in the input's units.
    fn new(row: &[f64], along: f64) -> Self {
        let largest = row.iter().fold(0.0_f64, |most, w| most.max(w.abs()));
        let (activation, one) = (f64::from(1 << 15), f64::from(1 << STATE_FRACTION));
        // Rounding adds up to half a unit to each weight.
        let room = (31.0_f64).exp2() - activation * 0.5 * row.len() as f64 - 2.0;
        let sum: f64 = row.iter().map(|w| w.abs()).sum();
        let least = 1.01 * (activation * sum + one * along) / room;
        let scale = (largest / LARGEST).max(least).max(f64::MIN_POSITIVE);
        Self { scale, rounded: row.iter().map(|w| (w / scale).round() as i8).collect() }
    }
}

/// `scale 2^shift` as a multiplier of the upper half.
fn multiplier(scale: f64, shift: i32) -> Result<u32, ExportError> {
    let value = (scale * f64::from(32 + shift).exp2()).round();
    if value < (31.0_f64).exp2() {
        Ok(value as u32)
    } else {
        Err(ExportError::Mixture { what: "a multiplier", step: 0, value })
    }
}

fn pack(weights: &[i8], inputs: usize, outputs: usize, packed: &mut Vec<u32>) -> Result<(), ExportError> {
    let begin = packed.len();
    let length = weight_words(inputs, outputs).unwrap_or(0);
    packed.resize(begin + length, 0);
    Ok(pack_weights(weights, inputs, outputs, &mut packed[begin..])?)
}

/// Fractional bits of coordinates and coefficients.
fn fraction(
    mixture: &FoldedMixture,
    all: &LowRankMixture<'_>,
    statistics: &LayerStatistics,
    features: usize,
) -> Result<i32, ExportError> {
    let mut reach = HEADROOM * f64::from(statistics.pre_activation);
    for k in 0..all.components() {
        let length = norm(all.mean(k));
        for &level in &mixture.levels {
            reach = reach.max(length * all.terms(k, level).mean_gain);
        }
    }
    // The shift of the state's square, 39 less twice the fraction, makes up for the number of features.
    let most = (39 - usize::BITS.saturating_sub(features.leading_zeros()) as i32) / 2;
    let fits = |fraction: &i32| (reach * f64::from(*fraction).exp2()).round() <= f64::from(i16::MAX);
    (0..=most.min(15)).rev().find(fits).ok_or(ExportError::Mixture { what: "a coordinate", step: 0, value: reach })
}

/// What a step says, in the format of [`Mixture::by_step`](tweedie_core::artifact::Mixture::by_step).
fn terms_of_step(
    mixture: &FoldedMixture,
    all: &LowRankMixture<'_>,
    step: usize,
    fraction: i32,
    words: &mut Vec<u32>,
) -> Result<(), ExportError> {
    let (level, count) = (mixture.levels[step], all.components());
    let refuse = |what, value| ExportError::Mixture { what, step: step + 1, value };
    let largest = (0..count).flat_map(|k| all.excess_gains(k, level)).fold(0.0_f64, |most, gain| most.max(gain.abs()));
    let fits = |fraction: &i32| (largest * f64::from(*fraction).exp2()).round() <= f64::from(i16::MAX);
    let least = (usize::BITS - mixture.rank.leading_zeros()) as i32;
    let gain_fraction = (least.max(2)..=MOST_GAIN_FRACTION).rev().find(fits).ok_or(refuse("a gain", largest))?;

    // An energy has twice the fraction of coordinates, a logit is to base 2.
    let beta = inverse_temperature(level)? * LOG2_E;
    let sharpness = |shift: i32| beta * f64::from(LOGIT_FRACTION as i32 - 2 * fraction + shift).exp2();
    let largest_shift = (0..=62).rev().find(|&shift| sharpness(shift).round() < f64::from(1 << 15));
    let logit_shift = largest_shift.ok_or(refuse("a sharpness", beta))?;
    let level_words = MixtureLevel {
        // The cast saturates where alpha is 1.
        alpha: ((level.alpha * (31.0_f64).exp2()).round() as u32).min(i32::MAX as u32),
        sharpness: sharpness(logit_shift).round() as u16,
        logit_shift: logit_shift as u8,
        norm_shift: (39 - 2 * fraction) as u8,
        square_shift: (gain_fraction + 1) as u8,
        gain_shift: (MOST_GAIN_FRACTION - gain_fraction) as u8,
    };
    words.extend(level_words.to_words());

    let most = (0..count).map(|k| all.terms(k, level).log_constant).fold(f64::NEG_INFINITY, f64::max);
    for k in 0..count {
        let terms = all.terms(k, level);
        let constant = (terms.log_constant - most) * LOG2_E * f64::from(1 << LOGIT_FRACTION);
        let head = MixtureTerms {
            constant: in_i32("a constant", step + 1, constant)?,
            mean_gain: in_i16(terms.mean_gain * norm(all.mean(k)), fraction)
                .ok_or(refuse("a mean's gain", terms.mean_gain))?,
            floor_gain: in_i16(terms.floor_gain, COEFF_FRACTION as i32)
                .ok_or(refuse("a floor's gain", terms.floor_gain))?,
            excess_gains: &[],
        };
        words.extend(head.head());
        let gains: Vec<i16> =
            all.excess_gains(k, level).map(|gain| in_i16(gain, gain_fraction).unwrap_or(i16::MAX)).collect();
        words.extend(super::table::packed(&gains));
    }
    Ok(())
}

/// A number with so many fractional bits, if 16 bits hold it.
fn in_i16(value: f64, fraction: i32) -> Option<i16> {
    let scaled = (value * f64::from(fraction).exp2()).round();
    (f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&scaled).then_some(scaled as i16)
}

fn in_i32(what: &'static str, step: usize, value: f64) -> Result<i32, ExportError> {
    let rounded = value.round();
    let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
    if range.contains(&rounded) { Ok(rounded as i32) } else { Err(ExportError::Mixture { what, step, value }) }
}
