//! Artifacts of mixtures with random sizes and numbers: whatever parses, however little sense it makes.

use quickcheck::{Arbitrary, Gen};
use tweedie_core::artifact::{
    self, Header, Layer, Mixture, MixtureLevel, MixtureTerms, PlanStep, pack_weights, weight_words,
};

/// A mixture as an artifact.
#[derive(Clone, Debug)]
pub struct RandomMixture {
    pub words: Vec<u32>,
}

impl AsRef<[u32]> for RandomMixture {
    fn as_ref(&self) -> &[u32] {
        &self.words
    }
}

fn within(g: &mut Gen, low: i64, high: i64) -> i64 {
    low + i64::from(u32::arbitrary(g)) % (high - low + 1)
}

fn numbers(g: &mut Gen, count: usize, low: i64, high: i64) -> Vec<u32> {
    (0..count).map(|_| within(g, low, high) as u32).collect()
}

/// Packed random weights of so many blocks.
fn packed(g: &mut Gen, blocks: usize, inputs: usize, outputs: usize) -> Vec<u32> {
    let widest = *g.choose(&[127, 127, 40]).unwrap();
    let length = weight_words(inputs, outputs).unwrap();
    let mut packed = vec![0; blocks * length];
    for block in packed.chunks_mut(length) {
        let weights: Vec<i8> = (0..inputs * outputs).map(|_| within(g, -widest, widest) as i8).collect();
        pack_weights(&weights, inputs, outputs, block).unwrap();
    }
    packed
}

impl Arbitrary for RandomMixture {
    fn arbitrary(g: &mut Gen) -> Self {
        let (features, components, rank) =
            (within(g, 1, 18) as usize, within(g, 1, 5) as usize, within(g, 0, 5) as usize);
        let (classes, steps) = (within(g, 0, 3) as usize, within(g, 1, 3) as usize);
        let (blocks, rows) = (classes.max(1), components * (1 + rank));
        let half = |g: &mut Gen| within(g, i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
        let mut by_step = Vec::new();
        for _ in 0..steps {
            let level = MixtureLevel {
                alpha: within(g, 0, i64::from(i32::MAX)) as u32,
                sharpness: within(g, 0, (1 << 15) - 1) as u16,
                // Logits that differ by little, and by more than any format holds.
                logit_shift: within(g, 10, 40) as u8,
                norm_shift: within(g, 5, 40) as u8,
                square_shift: within(g, 3, 40) as u8,
                gain_shift: within(g, 0, 15) as u8,
            };
            by_step.extend(level.to_words());
            for _ in 0..blocks * components {
                let mut gains: Vec<u32> =
                    (0..rank / 2).map(|_| u32::from(half(g) as u16) | u32::from(half(g) as u16) << 16).collect();
                gains.extend((rank % 2 == 1).then(|| u32::from(half(g) as u16)));
                let constant = within(g, -20_000, 20_000) as i32;
                let terms = MixtureTerms { constant, mean_gain: half(g), floor_gain: half(g), excess_gains: &gains };
                by_step.extend(terms.head());
                by_step.extend(&gains);
            }
        }
        let (own, columns) = (packed(g, blocks, features, rows), packed(g, blocks, rows, features));
        let (offsets, multipliers, output_multipliers) = (
            numbers(g, blocks * rows, -1 << 24, 1 << 24),
            numbers(g, blocks * rows, 0, 1 << 26),
            numbers(g, blocks * features, 0, 1 << 26),
        );
        let padded = features.next_multiple_of(4);
        let work = rows.next_multiple_of(4) + 2 * blocks * components;
        // The three may lie in any order.
        let [input_at, output_at, work_at] =
            *g.choose(&[[0, padded, 2 * padded], [padded + work.next_multiple_of(4), 0, padded]]).unwrap();
        let layer = Layer::Mixture(Mixture {
            input_at: input_at as u32,
            features: features as u32,
            output_at: output_at as u32,
            work_at: work_at as u32,
            components: components as u16,
            rank: rank as u16,
            blocks: blocks as u32,
            rows: &own,
            offsets: &offsets,
            multipliers: &multipliers,
            columns: &columns,
            output_multipliers: &output_multipliers,
            by_step: &by_step,
        });
        let coefficient = |g: &mut Gen| within(g, -1 << 14, 1 << 14) as i32;
        let plan: Vec<PlanStep> = (0..steps)
            .map(|_| PlanStep {
                keep: coefficient(g),
                kick: if bool::arbitrary(g) { coefficient(g).saturating_abs() } else { 0 },
                from_state: if bool::arbitrary(g) { coefficient(g) as i16 } else { 0 },
                from_output: 1 << 14,
                pulls: [coefficient(g), 0, 0, 0],
                pull_count: 1,
                memory: None,
                angle: 0.5,
            })
            .collect();
        let header = Header {
            dims: [features as u16, 1, 1, 1],
            rank: 1,
            classes: classes as u16,
            clip: bool::arbitrary(g),
            arena: (2 * padded + work.next_multiple_of(4)) as u32,
            input_at: input_at as u32,
            output_at: output_at as u32,
            offset: 0.0,
            scale: 1.0,
        };
        let mut words = vec![0; artifact::length(&plan, &[layer])];
        artifact::write(&header, &plan, &[layer], &mut words).unwrap();
        Self { words }
    }
}
