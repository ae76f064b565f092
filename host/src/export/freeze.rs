//! The plan as the device runs it: normalised, and its coefficients rounded to those that an artifact holds.

use super::ExportError;
use crate::process::AnyProcess;
use tweedie_core::NoiseLevel;
use tweedie_core::artifact::{COEFF_FRACTION, PlanStep, round_coefficient};
use tweedie_core::plan::{self, Memory, Step};
use tweedie_core::prediction::{Conversion, Moment, Prediction};

/// A plan in both worlds.
#[derive(Clone, Debug)]
pub struct FrozenPlan {
    /// The normalised steps, exact.
    pub steps: Vec<Step>,
    /// How the normalised state and the network's output give at each step what is remembered, or with a memory of its own `x0_hat`; exact.
    pub to_x0: Vec<Conversion>,
    /// Both as they stand in the artifact.
    pub fixed: Vec<PlanStep>,
}

/// Normalises `plan`, which ends at the level `end`, and rounds its coefficients. What a solver remembers instead of `x0_hat` is made from
/// the network's output in one conversion, as `x0_hat` is, so that a device knows no difference; only where estimates are clamped on the
/// way (`clip`) does it keep a memory.
///
/// # Errors
/// A prediction of noise, a coefficient that is too large, a reach too far back, or an end that is not clean.
pub fn freeze(
    mut plan: Vec<Step>,
    end: NoiseLevel,
    process: &AnyProcess,
    prediction: Prediction,
    clip: bool,
) -> Result<FrozenPlan, ExportError> {
    if matches!(prediction, Prediction::Eps | Prediction::Score) {
        return Err(ExportError::PredictsNoise);
    }
    if end.sigma != 0.0 {
        return Err(ExportError::NotClean { sigma: end.sigma });
    }
    let most = usize::from(u16::MAX);
    if plan.len() > most {
        let remedy = "choose fewer with --steps";
        return Err(ExportError::TooMany { what: "steps", have: plan.len(), most, remedy });
    }
    let to_x0 = plan
        .iter()
        .map(|step| {
            let to_x0 = prediction.to_x0(&Moment::at(process, step.t)?)?;
            let memory = step.memory().filter(|_| !clip);
            let exact = memory.map_or(to_x0, |memory| memory.of_output(to_x0));
            // The normalised state is the state over its norm.
            Ok(Conversion { from_state: exact.from_state * step.level.norm(), ..exact })
        })
        .collect::<Result<Vec<_>, tweedie_core::Error>>()?;
    if !clip {
        plan = plan.into_iter().map(Step::forgetting).collect();
    }
    plan::normalise(&mut plan);
    let steps = plan.len();
    let fixed = plan
        .iter()
        .zip(&to_x0)
        .enumerate()
        .map(|(index, (step, to_x0))| {
            let refused = |name, value, most, remedy| ExportError::Coefficient {
                step: index + 1,
                steps,
                name,
                value,
                most,
                remedy,
            };
            let round = |name, value| {
                let remedy = "use more steps, or a smaller process.max_time";
                round_coefficient(value).ok_or(refused(name, value, WIDEST, remedy))
            };
            let convert = |name, value| {
                let remedy = "train with --set training.prediction=v (or x0)";
                to_fixed(value).ok_or(refused(name, value, WIDEST_CONVERSION, remedy))
            };
            let mut pulls = [0; 4];
            if step.pull().len() > pulls.len() {
                let (need, most) = (step.pull().len(), pulls.len());
                return Err(ExportError::History { step: index + 1, need, most });
            }
            for (fixed, &pull) in pulls.iter_mut().zip(step.pull()) {
                *fixed = round("pull", pull)?;
            }
            let memory = step.memory().map(|memory| {
                let (from_state, from_x0) = (round("memory", memory.from_state)?, round("memory", memory.from_x0)?);
                Ok::<_, ExportError>(Memory { from_state, from_x0 })
            });
            Ok(PlanStep {
                keep: round("keep", step.keep)?,
                kick: round("kick", step.kick)?,
                from_state: convert("from_state", to_x0.from_state)?,
                from_output: convert("from_output", to_x0.from_output)?,
                pulls,
                pull_count: step.pull().len() as u8,
                memory: memory.transpose()?,
                angle: step.level.angle() as f32,
            })
        })
        .collect::<Result<_, ExportError>>()?;
    Ok(FrozenPlan { steps: plan, to_x0, fixed })
}

/// Magnitudes that coefficients of the plan and of conversions stay below.
const WIDEST: u32 = 65_536;
const WIDEST_CONVERSION: u32 = 2;

/// A conversion's coefficient in 14 fractional bits, if 16 bits hold it.
fn to_fixed(value: f64) -> Option<i16> {
    let scaled = (value * f64::from(1 << COEFF_FRACTION)).round();
    (f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&scaled).then_some(scaled as i16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie_core::ddim;
    use tweedie_core::discretise::Spacing;
    use tweedie_core::schedule::Schedule;

    fn made(schedule: Schedule, first: f64, steps: usize, prediction: Prediction) -> Result<FrozenPlan, ExportError> {
        let mut times = vec![0.0; steps + 1];
        Spacing::Uniform.fill(&schedule, first, 0.0, &mut times).unwrap();
        let mut plan = vec![Step::EMPTY; steps];
        ddim::plan(&schedule, &times, 0.0, &mut plan).unwrap();
        freeze(plan, NoiseLevel::CLEAN, &AnyProcess::Continuous(schedule), prediction, true)
    }

    #[test]
    fn coefficients_are_rounded_to_nearest() {
        let frozen = made(Schedule::Trigonometric, 0.999, 20, Prediction::V).unwrap();
        for (fixed, (step, to_x0)) in frozen.fixed.iter().zip(frozen.steps.iter().zip(&frozen.to_x0)) {
            for (fixed, exact) in [
                (fixed.keep, step.keep),
                (fixed.kick, step.kick),
                (fixed.pulls[0], step.pull()[0]),
                (fixed.from_state.into(), to_x0.from_state),
                (fixed.from_output.into(), to_x0.from_output),
            ] {
                assert!((f64::from(fixed) / 16384.0 - exact).abs() <= 0.5 / 16384.0, "{fixed} for {exact}");
            }
        }
        assert_eq!((frozen.fixed[19].keep, frozen.fixed[19].pulls[0]), (0, 1 << 14));
    }

    #[test]
    fn a_normalised_state_gives_the_same_estimate() {
        // In the variance-exploding process the state is 40 times as large as data.
        let schedule = Schedule::VarianceExploding { sigma_max: 40.0 };
        let frozen = made(schedule, 40.0, 8, Prediction::V).unwrap();
        let exact = Prediction::V.to_x0(&Moment::at(&schedule, 40.0).unwrap()).unwrap();
        let norm = (1.0_f64 + 1600.0).sqrt();
        let (state, output) = (-30.0, 0.7);
        assert!((frozen.to_x0[0].apply(state / norm, output) - exact.apply(state, output)).abs() < 1e-12);
    }

    #[test]
    fn what_a_device_cannot_run_is_refused_in_one_sentence() {
        let trigonometric = AnyProcess::Continuous(Schedule::Trigonometric);
        let level = |t| trigonometric_level(t);
        let step = |keep: f64, pull: &[f64]| vec![Step::new(0.5, level(0.5), keep, pull, 0.0).unwrap()];
        let freeze = |plan, end| freeze(plan, end, &trigonometric, Prediction::V, true);
        let refusals = [
            (made(Schedule::Trigonometric, 0.999, 20, Prediction::Eps), "training.prediction=v"),
            (made(Schedule::VarianceExploding { sigma_max: 40.0 }, 40.0, 8, Prediction::Velocity), "from_state = 40"),
            (freeze(step(7e4, &[1.0]), NoiseLevel::CLEAN), "keep = 70000.000"),
            (freeze(step(0.5, &[1.0, -6.6e4]), NoiseLevel::CLEAN), "pull = -66000.000"),
            (freeze(step(0.5, &[1.0]), level(0.1)), "noise left"),
            (freeze(vec![Step::EMPTY; 70_000], NoiseLevel::CLEAN), "70000 steps"),
        ];
        for (refusal, part) in refusals {
            let sentence = refusal.unwrap_err().to_string();
            assert!(sentence.contains(part) && !sentence.contains('\n'), "{sentence}");
        }
    }

    fn trigonometric_level(t: f64) -> NoiseLevel {
        use tweedie_core::schedule::Process;
        Schedule::Trigonometric.level(t).unwrap()
    }
}
