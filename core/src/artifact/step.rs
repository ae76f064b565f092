//! A row of the plan.

use super::ArtifactError;
use super::record::{high, low, pair};

/// Words of a step's record.
pub const STEP_WORDS: usize = 6;

/// One step of the plan in fixed point: coefficients times `2^14`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlanStep {
    /// Multiplies the state.
    pub keep: i16,
    /// Multiplies fresh noise, not negative.
    pub kick: i16,
    /// Multiplies the state in `x0_hat`.
    pub from_state: i16,
    /// Multiplies the network's output in `x0_hat`.
    pub from_output: i16,
    /// Multiply the newest estimates, newest first.
    pub pulls: [i16; 4],
    /// How many pulls count, 1 to 4.
    pub pull_count: u8,
    /// The noise level's angle in [0, 1].
    pub angle: f32,
}

impl PlanStep {
    pub(super) fn read(record: &[u32; STEP_WORDS]) -> Self {
        Self {
            keep: low(record[0]) as i16,
            kick: high(record[0]) as i16,
            from_state: low(record[1]) as i16,
            from_output: high(record[1]) as i16,
            pulls: [low(record[2]), high(record[2]), low(record[3]), high(record[3])].map(|pull| pull as i16),
            pull_count: record[4] as u8,
            angle: f32::from_bits(record[5]),
        }
    }

    pub(super) fn write(&self, record: &mut [u32; STEP_WORDS]) {
        let pair = |low: i16, high: i16| pair(low as u16, high as u16);
        *record = [
            pair(self.keep, self.kick),
            pair(self.from_state, self.from_output),
            pair(self.pulls[0], self.pulls[1]),
            pair(self.pulls[2], self.pulls[3]),
            u32::from(self.pull_count),
            self.angle.to_bits(),
        ];
    }

    /// Everything that running relies on, of the step with this number.
    pub(super) fn check(&self, index: usize, record: &[u32; STEP_WORDS]) -> Result<(), ArtifactError> {
        let pulls = usize::from(self.pull_count);
        let unused = self.pulls.iter().skip(pulls).any(|&pull| pull != 0);
        if !(1..=4).contains(&pulls) || record[4] > 4 || unused || self.kick < 0 || !(0.0..=1.0).contains(&self.angle) {
            return Err(ArtifactError::Inconsistent("a step of the plan"));
        }
        // An estimate cannot be older than the plan.
        if pulls > index + 1 {
            return Err(ArtifactError::Inconsistent("a step's history"));
        }
        Ok(())
    }
}
