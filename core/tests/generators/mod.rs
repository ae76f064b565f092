//! Random processes and numbers for the laws: quickcheck's integers mapped to the ranges in which a law is meant to hold.
#![allow(dead_code)] // Each test file uses its share.

use quickcheck::{Arbitrary, Gen, QuickCheck, Testable};
use tweedie_core::chain::{Betas, Chain};
use tweedie_core::noise_level::Velocity;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Error, NoiseLevel};

/// Checks a law on that many random cases: the same ones each time, so that a failure can be looked at again, and others under
/// another `QUICKCHECK_SEED`.
pub fn check(cases: u64, law: impl Testable) {
    let seed = std::env::var("QUICKCHECK_SEED").map_or(0, |seed| seed.parse().expect("QUICKCHECK_SEED is a number"));
    let rng = Gen::from_size_and_seed(100, seed);
    QuickCheck::new().rng(rng).tests(cases).max_tests(cases).quickcheck(law);
}

/// Strictly between `low` and `high`.
pub fn between(bits: u32, low: f64, high: f64) -> f64 {
    low + (high - low) * ((f64::from(bits) + 0.5) / 4_294_967_296.0)
}

/// Whether `a` and `b` agree to `tolerance` times `scale`; false for NaN.
pub fn close(a: f64, b: f64, tolerance: f64, scale: f64) -> bool {
    (a - b).abs() <= tolerance * scale
}

/// Any process of the crate.
#[derive(Clone, Debug)]
pub enum AnyProcess {
    Continuous(Schedule),
    /// `alpha_bar_1 ..= alpha_bar_T`.
    Discrete(Vec<f64>),
}

impl AnyProcess {
    fn with<R>(&self, continuous: impl FnOnce(&Schedule) -> R, discrete: impl FnOnce(&Chain<&[f64]>) -> R) -> R {
        match self {
            Self::Continuous(schedule) => continuous(schedule),
            Self::Discrete(table) => discrete(&Chain::from_alpha_bar(table.as_slice()).unwrap()),
        }
    }

    pub fn is_variance_preserving(&self) -> bool {
        self.with(Schedule::is_variance_preserving, |_| true)
    }

    /// The number of pieces within which the derivatives are smooth: a chain's steps.
    pub fn pieces(&self) -> Option<usize> {
        self.with(|_| None, |chain| Some(chain.steps()))
    }
}

impl Process for AnyProcess {
    fn horizon(&self) -> f64 {
        self.with(|p| p.horizon(), |p| p.horizon())
    }

    fn level(&self, t: f64) -> Result<NoiseLevel, Error> {
        self.with(|p| p.level(t), |p| p.level(t))
    }

    fn velocity(&self, t: f64) -> Result<Velocity, Error> {
        self.with(|p| p.velocity(t), |p| p.velocity(t))
    }
}

/// A table of `T` steps by one of the rules; every other one rescaled to zero terminal SNR when `may_vanish`.
pub fn any_chain(g: &mut Gen, may_vanish: bool) -> Vec<f64> {
    let bits = u32::arbitrary(g);
    let steps = 2 + u32::arbitrary(g) as usize % 300;
    let start = between(u32::arbitrary(g), 1e-5, 1e-3);
    let end = between(u32::arbitrary(g), 2e-3, 0.1);
    let given: Vec<f64> = (0..steps).map(|_| between(u32::arbitrary(g), 1e-5, 0.2)).collect();
    let betas = match bits % 5 {
        0 => Betas::Linear { start, end },
        1 => Betas::ScaledLinear { start, end },
        2 => Betas::Cosine,
        3 => Betas::Sigmoid { start, end },
        _ => Betas::Given(&given),
    };
    let mut table = vec![0.0; steps];
    if may_vanish && bits / 5 % 2 == 0 {
        Chain::with_zero_terminal_snr(betas, &mut table).unwrap();
    } else {
        Chain::new(betas, &mut table).unwrap();
    }
    table
}

impl Arbitrary for AnyProcess {
    fn arbitrary(g: &mut Gen) -> Self {
        Self::Continuous(match u32::arbitrary(g) % 9 {
            0 => Schedule::VarianceExploding { sigma_max: between(u32::arbitrary(g), 0.5, 200.0) },
            1 => Schedule::VariancePreserving,
            2 => Schedule::Trigonometric,
            3 => Schedule::CosineSquared,
            4 => Schedule::LinearBeta {
                beta_min: between(u32::arbitrary(g), 0.01, 1.0),
                beta_max: between(u32::arbitrary(g), 1.0, 30.0),
            },
            5 => Schedule::FlowMatching,
            _ => return Self::Discrete(any_chain(g, true)),
        })
    }
}
