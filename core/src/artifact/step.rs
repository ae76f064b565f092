//! A row of the plan.

use super::record::{high, low, pair};
use super::{ArtifactError, COEFF_FRACTION};
use crate::plan::Memory;

/// Words of a step's record in a plan without memories.
const STEP_WORDS: usize = 6;
/// The same in a plan with some.
const REMEMBERING_STEP_WORDS: usize = 8;
/// The widest shift of a coefficient, which fills four bits.
const MAX_SHIFT: u32 = 15;

/// One step of the plan in fixed point: coefficients times `2^14`, of which [`round_coefficient`] makes those that an artifact can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlanStep {
    /// Multiplies the state.
    pub keep: i32,
    /// Multiplies fresh noise, not negative.
    pub kick: i32,
    /// Multiplies the state in `x0_hat`.
    pub from_state: i16,
    /// Multiplies the network's output in `x0_hat`.
    pub from_output: i16,
    /// Multiply the newest estimates, newest first.
    pub pulls: [i32; 4],
    /// How many pulls count, 1 to 4.
    pub pull_count: u8,
    /// What is remembered instead of `x0_hat`; not both coefficients are 0.
    pub memory: Option<Memory<i32>>,
    /// The noise level's angle in [0, 1].
    pub angle: f32,
}

/// The coefficient nearest to `value` that a step can hold, times `2^14`: a number of 16 bits, shifted left no further than it must be;
/// `None` beyond the widest shift, near 65536 in magnitude.
pub fn round_coefficient(value: f64) -> Option<i32> {
    (0..=MAX_SHIFT).find_map(|shift| {
        let scaled = libm::round(value * f64::from(1_u32 << COEFF_FRACTION) / f64::from(1_u32 << shift));
        (f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&scaled).then(|| i32::from(scaled as i16) << shift)
    })
}

/// A coefficient's 16 bits and its shift, the least that holds it; what is lost is for [`write()`](super::write()) to find.
fn to_parts(coefficient: i32) -> (u16, u32) {
    let magnitude = if coefficient < 0 { !coefficient } else { coefficient };
    let shift = 17_u32.saturating_sub(magnitude.leading_zeros()).min(MAX_SHIFT);
    ((coefficient >> shift) as u16, shift)
}

/// The inverse, with the shift in the lowest bits of `shifts`.
fn from_parts(bits: u16, shifts: u32) -> i32 {
    i32::from(bits as i16) << (shifts & MAX_SHIFT)
}

/// Words of a step's record, by whether any step of the plan has a memory.
pub const fn step_words(remembering: bool) -> usize {
    if remembering { REMEMBERING_STEP_WORDS } else { STEP_WORDS }
}

impl PlanStep {
    /// A step from its record, of either length.
    pub(super) fn read(record: &[u32]) -> Self {
        let shifts = record[4] >> 8;
        let memory = record.get(6..8).map(|memory| Memory {
            from_state: from_parts(low(memory[0]), memory[1]),
            from_x0: from_parts(high(memory[0]), memory[1] >> 4),
        });
        Self {
            keep: from_parts(low(record[0]), shifts),
            kick: from_parts(high(record[0]), shifts >> 4),
            from_state: low(record[1]) as i16,
            from_output: high(record[1]) as i16,
            pulls: [
                from_parts(low(record[2]), shifts >> 8),
                from_parts(high(record[2]), shifts >> 12),
                from_parts(low(record[3]), shifts >> 16),
                from_parts(high(record[3]), shifts >> 20),
            ],
            pull_count: record[4] as u8,
            memory: memory.filter(|memory| *memory != Memory { from_state: 0, from_x0: 0 }),
            angle: f32::from_bits(record[5]),
        }
    }

    pub(super) fn write(&self, record: &mut [u32]) {
        let [keep, kick] = [self.keep, self.kick].map(to_parts);
        let pulls = self.pulls.map(to_parts);
        let shifts = [keep, kick].iter().chain(&pulls).rev().fold(0, |shifts, (_, shift)| shifts << 4 | shift);
        record[..6].copy_from_slice(&[
            pair(keep.0, kick.0),
            pair(self.from_state as u16, self.from_output as u16),
            pair(pulls[0].0, pulls[1].0),
            pair(pulls[2].0, pulls[3].0),
            u32::from(self.pull_count) | shifts << 8,
            self.angle.to_bits(),
        ]);
        if let Some(out) = record.get_mut(6..8) {
            let memory = self.memory.unwrap_or(Memory { from_state: 0, from_x0: 0 });
            let (from_state, from_x0) = (to_parts(memory.from_state), to_parts(memory.from_x0));
            out.copy_from_slice(&[pair(from_state.0, from_x0.0), from_state.1 | from_x0.1 << 4]);
        }
    }

    /// Checks everything that running relies on in the record of the step with this number; returns how many estimates it combines.
    pub(super) fn checked_pulls(index: usize, record: &[u32]) -> Result<usize, ArtifactError> {
        let step = Self::read(record);
        let pulls = usize::from(step.pull_count);
        let unused = step.pulls.iter().skip(pulls).any(|&pull| pull != 0)
            || record.get(7).is_some_and(|&shifts| shifts >> 8 != 0);
        if !(1..=4).contains(&pulls) || unused || step.kick < 0 || !(0.0..=1.0).contains(&step.angle) {
            return Err(ArtifactError::Inconsistent("a step of the plan"));
        }
        // An estimate cannot be older than the plan.
        if pulls > index + 1 {
            return Err(ArtifactError::Inconsistent("a step's history"));
        }
        Ok(pulls)
    }
}
