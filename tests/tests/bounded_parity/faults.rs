//! Devices that compute wrongly by a little: what a fault in a kernel would do is done to the artifact that the device is given.

use tweedie_core::artifact::{self, Artifact, Layer, PlanStep, TABLE_ENTRIES};

/// A fault.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Every accumulator is rounded too low; by one half of a unit, it is truncated.
    Rounding {
        /// Halves of a unit.
        halves: i32,
    },
    /// Every value of a table is too large.
    Table {
        /// Units of the layer's output.
        units: i16,
    },
    /// The reciprocal root of every row is too small.
    Root {
        /// Parts in 4096.
        parts: u64,
    },
    /// The output's share in every estimate is too large.
    Coefficient {
        /// Units of 2^-14.
        units: i16,
    },
}

/// The artifact with a fault.
pub fn with(fault: Fault, words: &[u32]) -> Vec<u32> {
    let artifact = Artifact::parse(words).unwrap();
    let plan: Vec<PlanStep> = artifact
        .plan()
        .map(|step| match fault {
            Fault::Coefficient { units } => PlanStep { from_output: step.from_output.saturating_add(units), ..step },
            _ => step,
        })
        .collect();
    // Tables of their own for every layer, since a layer only borrows them.
    let tables: Vec<[Vec<u32>; 2]> = artifact
        .layers()
        .map(|layer| match layer {
            Layer::Linear(linear) => [bias(fault, &linear), table(fault, linear.table)],
            _ => [Vec::new(), Vec::new()],
        })
        .collect();
    let layers: Vec<Layer<'_>> = artifact
        .layers()
        .zip(&tables)
        .map(|(layer, [bias, table])| match (layer, fault) {
            (Layer::Linear(linear), _) => Layer::Linear(artifact::Linear { bias, table, ..linear }),
            (Layer::Normalise(layer), Fault::Root { parts }) => {
                Layer::Normalise(artifact::Normalise { gain: layer.gain - layer.gain / 4096 * parts, ..layer })
            }
            (layer, _) => layer,
        })
        .collect();
    let mut faulty = vec![0; artifact::length(&plan, &layers)];
    artifact::write(artifact.header(), &plan, &layers, &mut faulty).unwrap();
    faulty
}

fn bias(fault: Fault, linear: &artifact::Linear<'_>) -> Vec<u32> {
    let Fault::Rounding { halves } = fault else { return linear.bias.to_vec() };
    // Half a unit of the result is 2^31 before the multiplier's shift.
    let half = |multiplier: u32| ((1_u64 << 31) / u64::from(multiplier.max(1))) as i32;
    let lowered = linear
        .bias
        .iter()
        .zip(linear.multipliers)
        .map(|(&bias, &multiplier)| (bias as i32 - halves * half(multiplier)) as u32);
    lowered.collect()
}

fn table(fault: Fault, table: &[u32]) -> Vec<u32> {
    let Fault::Table { units } = fault else { return table.to_vec() };
    let mut entries: Vec<i16> = table.iter().flat_map(|&word| [word as i16, (word >> 16) as i16]).collect();
    entries.iter_mut().take(TABLE_ENTRIES).for_each(|entry| *entry = entry.saturating_add(units));
    entries.chunks(2).map(|pair| u32::from(pair[0] as u16) | u32::from(pair[1] as u16) << 16).collect()
}
