//! An artifact's mixture run plainly, word for word as [`Mixture`] describes it and not as the firmware does it.

use super::integer::{saturated, unpacked};
use tweedie_core::artifact::{FALLING, Mixture, MixtureLevel, MixtureTerms};

/// A mixture with its weights unpacked.
pub struct PlainMixture {
    input: std::ops::Range<usize>,
    output: std::ops::Range<usize>,
    components: usize,
    rank: usize,
    blocks: usize,
    /// `[blocks, rows, features]`.
    rows: Vec<i8>,
    offsets: Vec<i32>,
    multipliers: Vec<u32>,
    /// `[blocks, features, rows]`.
    columns: Vec<i8>,
    output_multipliers: Vec<u32>,
    steps: Vec<PlainStep>,
}

struct PlainStep {
    level: MixtureLevel,
    /// Of all blocks in turn.
    terms: Vec<PlainTerms>,
}

struct PlainTerms {
    constant: i32,
    mean_gain: i16,
    floor_gain: i16,
    excess_gains: Vec<i16>,
}

/// `(a m + 2^31) >> 32`.
fn high(a: i64, m: u32) -> i64 {
    (a * i64::from(m) + (1 << 31)) >> 32
}

impl PlainMixture {
    /// Unpacks a layer for a number of steps.
    pub fn new(layer: &Mixture<'_>, steps: usize) -> Self {
        let (features, count) = (layer.features as usize, layer.block_rows());
        let range = |at: u32| at as usize..at as usize + features;
        let blocks = layer.blocks as usize;
        let each = |packed: &[u32], inputs, outputs| {
            packed.chunks_exact(packed.len() / blocks).flat_map(|block| unpacked(block, inputs, outputs)).collect()
        };
        let rank = usize::from(layer.rank);
        let plain = |terms: MixtureTerms<'_>| PlainTerms {
            constant: terms.constant,
            mean_gain: terms.mean_gain,
            floor_gain: terms.floor_gain,
            excess_gains: (0..rank).map(|j| (terms.excess_gains[j / 2] >> (16 * (j % 2))) as i16).collect(),
        };
        let steps = (0..steps).map(|step| PlainStep {
            level: layer.level(step).unwrap_or_default(),
            terms: (0..blocks).filter_map(|block| layer.terms(step, block)).flatten().map(plain).collect(),
        });
        Self {
            input: range(layer.input_at),
            output: range(layer.output_at),
            components: layer.components.into(),
            rank,
            blocks,
            rows: each(layer.rows, features, count),
            offsets: layer.offsets.iter().map(|&offset| offset as i32).collect(),
            multipliers: layer.multipliers.to_vec(),
            columns: each(layer.columns, count, features),
            output_multipliers: layer.output_multipliers.to_vec(),
            steps: steps.collect(),
        }
    }

    /// Runs the layer in an arena; returns where it wrote.
    pub fn run(&self, arena: &mut [i16], step: usize, class: usize) -> std::ops::Range<usize> {
        let input = arena[self.input.clone()].to_vec();
        let (features, each) = (input.len(), 1 + self.rank);
        let count = self.components * each;
        let PlainStep { level, terms } = &self.steps[step];
        let blocks = if class < self.blocks { class..class + 1 } else { 0..self.blocks };
        let components: Vec<usize> = (blocks.start * self.components..blocks.end * self.components).collect();
        let squares: i64 = input.iter().map(|&x| i64::from(x) * i64::from(x)).sum();

        let coordinate = |row: usize| {
            let bias = -high(self.offsets[row].into(), level.alpha);
            let products = self.rows[row * features..][..features].iter().zip(&input);
            let acc = bias + products.map(|(&w, &x)| i64::from(w) * i64::from(x)).sum::<i64>();
            i64::from(saturated(high(acc, self.multipliers[row])))
        };
        let coordinates: Vec<Vec<i64>> =
            components.iter().map(|&k| (k * each..(k + 1) * each).map(coordinate).collect()).collect();
        let logit = |(&k, c): (&usize, &Vec<i64>)| {
            let PlainTerms { constant, mean_gain, floor_gain, excess_gains } = &terms[k];
            let square: i64 = c[1..].iter().zip(excess_gains).map(|(c, &gain)| i64::from(gain) * c * c).sum();
            let energy = i64::from(*mean_gain) * c[0]
                + ((i64::from(*floor_gain) * squares) >> level.norm_shift)
                + (square >> level.square_shift);
            let scaled = (energy * i64::from(level.sharpness)) >> level.logit_shift;
            (scaled + i64::from(*constant)).clamp(i32::MIN.into(), i32::MAX.into())
        };
        let chances = chances(&components.iter().zip(&coordinates).map(logit).collect::<Vec<i64>>());

        let mut output = vec![0_i16; features];
        let mut floor_gain = 0_i64;
        for (of_block, block) in blocks.enumerate() {
            let mut coefficients = Vec::with_capacity(count);
            for at in of_block * self.components..(of_block + 1) * self.components {
                let (own, w) = (&terms[components[at]], chances[at]);
                floor_gain += w * i64::from(own.floor_gain);
                coefficients.push((w * i64::from(own.mean_gain) + (1 << 14)) >> 15);
                for (c, &gain) in coordinates[at][1..].iter().zip(&own.excess_gains) {
                    let coefficient = high(c * i64::from(gain), (w << level.gain_shift) as u32);
                    coefficients.push(saturated(coefficient).into());
                }
            }
            for (i, out) in output.iter_mut().enumerate() {
                let columns = self.columns[(block * features + i) * count..][..count].iter();
                let acc: i64 = columns.zip(&coefficients).map(|(&v, a)| i64::from(v) * a).sum();
                *out = out.saturating_add(saturated(high(acc, self.output_multipliers[block * features + i])));
            }
        }
        let state_gain = (floor_gain + (1 << 14)) >> 15;
        for ((place, z), x) in arena[self.output.clone()].iter_mut().zip(output).zip(input) {
            *place = saturated(((i64::from(z) << 14) + state_gain * i64::from(x) + (1 << 13)) >> 14);
        }
        self.output.clone()
    }
}

/// Steps 3 and 4.
fn chances(logits: &[i64]) -> Vec<i64> {
    let most = logits.iter().copied().max().unwrap_or(0);
    let entry = |i: i64| i64::from(FALLING[i as usize]);
    let falling = |d: i64| {
        let (n, f) = (d >> 10, d & 1023);
        let i = f >> 5;
        let between = entry(i) - (((entry(i) - entry((i + 1).min(32))) * (f & 31) + 16) >> 5);
        if n > 15 { 0 } else { between >> n }
    };
    let falls: Vec<i64> = logits.iter().map(|&logit| falling(most - logit)).collect();
    let total: i64 = falls.iter().sum();
    let mut chances: Vec<i64> = falls.iter().map(|e| (e << 15) / total.max(1)).collect();
    let lack = (1 << 15) - chances.iter().sum::<i64>();
    if let Some(first) = logits.iter().position(|&logit| logit == most) {
        chances[first] += lack;
    }
    chances
}
