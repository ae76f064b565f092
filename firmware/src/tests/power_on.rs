use super::*;
use core::convert::Infallible;
use std::vec;
use tweedie_core::noise::NoiseStream;
use tweedie_core::normal::Normal;
use tweedie_core::shell;

/// Makes each number of what a sound source makes, and of its place.
struct Broken<F>(NoiseStream, F);

impl<F: Fn(u32, usize, f64) -> f64> NoiseSource<FixedTensor> for Broken<F> {
    type Error = Infallible;

    fn fill_normal(&mut self, draw: u32, out: &mut FixedTensor) -> Result<(), Infallible> {
        for (index, out) in out.iter_mut().enumerate() {
            let normal: Normal = self.0.normals(draw, index as u64 / 4)[index % 4];
            *out = Q12::saturating_from_num((self.1)(draw, index, normal.into()));
        }
        Ok(())
    }
}

fn verdict(d: usize, seed: u64, change: impl Fn(u32, usize, f64) -> f64) -> Result<(), PowerOnError<Infallible>> {
    check(&mut Broken(NoiseStream::new(seed, 0), change), &mut vec![Q12::ZERO; 2 * d], DEVIATIONS)
}

fn fault(verdict: Result<(), PowerOnError<Infallible>>) -> Statistic {
    match verdict {
        Err(PowerOnError::NotNormal { what, per_mille }) => {
            assert_ne!(per_mille, 0);
            what
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sound_noise_passes_whatever_its_seed() {
    for seed in 0..2_000 {
        for d in [32, MIN_DIMENSIONS, 256] {
            assert_eq!(verdict(d, seed, |_, _, z| z), Ok(()), "{d} dimensions, seed {seed}");
        }
    }
    assert_eq!(verdict(MAX_DIMENSIONS, 0, |_, _, z| z), Ok(()));
}

#[test]
fn broken_noise_is_refused_at_every_size() {
    for d in [MIN_DIMENSIONS, 256, MAX_DIMENSIONS] {
        assert_eq!(fault(verdict(d, 1, |_, _, _| 0.0)), Statistic::Norm, "dead");
        assert_eq!(fault(verdict(d, 1, |_, _, _| 1.0)), Statistic::Mean, "stuck at 1");
        assert_eq!(fault(verdict(d, 1, |_, _, _| -8.0)), Statistic::Norm, "stuck at the lowest");
        assert_eq!(
            fault(verdict(d, 1, |_, i, _| if i % 2 == 0 { 1.0 } else { -1.0 })),
            Statistic::Neighbours,
            "alternating"
        );
        assert_eq!(fault(verdict(d, 1, |_, _, z| z * 2.0)), Statistic::Norm, "scaled up");
        assert_eq!(fault(verdict(d, 1, |_, _, z| z * 0.2)), Statistic::Norm, "scaled down");
        assert!(verdict(d, 1, |_, _, z| z + 0.9).is_err(), "biased");
        assert_eq!(fault(verdict(d, 1, |_, _, z| z.abs())), Statistic::Mean, "without its sign");
        let first = NoiseStream::new(1, 0);
        let again = |_, i: usize, _| first.normals(0, i as u64 / 4)[i % 4].into();
        assert_eq!(fault(verdict(d, 1, again)), Statistic::Draws, "the same draw again");
    }
    assert_eq!(fault(verdict(4096, 1, |_, _, z| z + 0.15)), Statistic::Mean, "a little biased");
    assert_eq!(fault(verdict(4096, 1, |_, _, z| z * 1.1)), Statistic::Norm, "a tenth too large");
}

#[test]
fn small_buffers_are_filled_several_times() {
    for d in [1, 2, 3, MIN_DIMENSIONS - 1] {
        for seed in 0..1_000 {
            assert_eq!(verdict(d, seed, |_, _, z| z), Ok(()), "{d} dimensions, seed {seed}");
        }
        let seen = std::cell::Cell::new(0);
        let count = |_, _, z| {
            seen.set(seen.get() + 1);
            z
        };
        assert_eq!(verdict(d, 1, count), Ok(()));
        assert!((2 * MIN_DIMENSIONS..2 * (MIN_DIMENSIONS + d)).contains(&seen.get()), "{} numbers", seen.get());
        assert_eq!(fault(verdict(d, 1, |_, _, _| -8.0)), Statistic::Norm, "stuck at the lowest");
        assert_eq!(fault(verdict(d, 1, |_, _, z| z * 4.0)), Statistic::Norm, "scaled up");
        assert_eq!(fault(verdict(d, 1, |_, _, _| 1.0)), Statistic::Mean, "stuck at 1");
        let stream = NoiseStream::new(1, 0);
        let again = |draw: u32, i: usize, _| stream.normals(draw / 2, i as u64 / 4)[i % 4].into();
        assert_eq!(fault(verdict(d, 1, again)), Statistic::Draws, "each draw twice");
    }
}

/// One deviation allowed is the standard deviation that core's `shell` gives.
#[test]
fn a_deviation_is_that_of_the_shell() {
    let d = 1024;
    let spread = shell::spread_gaussian(d);
    for (deviations, excess) in [(3_u32, 2.98), (3, 3.02), (6, 5.98), (6, 6.02)] {
        let sum = (excess * spread * d as f64 * f64::from(1 << 24)) as i64;
        let passes = within::<Infallible>(Statistic::Norm, sum, 2, d as i64, deviations).is_ok();
        assert_eq!(passes, excess < f64::from(deviations));
        assert_eq!(within::<Infallible>(Statistic::Norm, -sum, 2, d as i64, deviations).is_ok(), passes);
    }
}

#[test]
fn draws_of_unfit_sizes_are_refused() {
    for d in [0, MAX_DIMENSIONS + 1] {
        assert_eq!(verdict(d, 0, |_, _, z| z), Err(PowerOnError::Dimensions { dimensions: d }));
    }
    let mut odd = vec![Q12::ZERO; 2 * 256 + 1];
    assert_eq!(check(&mut NoiseStream::new(0, 0), &mut odd, DEVIATIONS), Ok(()));
}
