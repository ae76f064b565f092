//! How few-step students are sampled.

mod generators;

use generators::{AnyProcess, between, check};
use tweedie_core::plan::Step;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Error, NoiseLevel, consistency};

/// With the true data in hand, a consistency step leaves the marginal of the level that it leads to.
#[test]
fn consistency_steps_renoise_the_estimate() {
    fn law(process: AnyProcess, s: u32, t: u32) -> bool {
        let horizon = process.horizon();
        let s = between(s, 0.0, 0.98 * horizon);
        let t = between(t, s + 0.01 * horizon, horizon);
        let to = process.level(s).unwrap();
        let step = consistency::step(t, process.level(t).unwrap(), to).unwrap();
        (step.keep, step.pull(), step.kick) == (0.0, &[to.alpha][..], to.sigma)
    }
    check(2000, law as fn(AnyProcess, u32, u32) -> bool);
    let schedule = Schedule::Trigonometric;
    let (half, clean) = (schedule.level(0.5).unwrap(), NoiseLevel::CLEAN);
    assert_eq!(consistency::step(0.0, clean, half), Err(Error::NoiseVanishes));
    assert!(matches!(consistency::step(0.25, schedule.level(0.25).unwrap(), half), Err(Error::NotDenoising { .. })));

    let mut plan = [Step::EMPTY; 2];
    consistency::plan(&schedule, &[1.0, 0.5, 0.0], &mut plan).unwrap();
    assert!(plan[0].is_noisy() && !plan[1].is_noisy());
    assert_eq!((plan[1].keep, plan[1].pull()), (0.0, &[1.0][..]));
    assert!(consistency::plan(&schedule, &[1.0, 0.0], &mut plan).is_err());
}
