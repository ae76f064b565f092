//! Bounded parity: samples of the device's arithmetic (the firmware library, on this machine) differ from those of candle's float path by
//! no more than number formats and steps allow, for random networks, plans and seeds of quickcheck.
//!
//! # The bound
//!
//! Each side's sample is enclosed before it is drawn: its own network and plan in real numbers, its own roundings wherever it rounds, and
//! nothing else. The device's come from its formats ([`device`]: 12 fractional bits of state and noise, 16-bit activations, tables, the floors
//! of normalisation, saturation everywhere), the host's from f32 ([`float32`]). Roundings go through layers and steps as symbols of an
//! [`affine`] form. Then
//!
//! `|fixed - float| <= the distance of the farthest points of both ranges`,
//!
//! number by number. Weights of 8 bits and coefficients of 14 are in it as well: they move the centres of the two ranges apart, by how much
//! is known exactly. Nothing is fitted, and no result of either side is looked at.
//!
//! # How fast it grows
//!
//! Half the width of the device's range, median, in units of 2^-12: 4 x 4 numbers, 16 hidden features, random weights, `v`, DDIM on the
//! trigonometric schedule, no clamp. Twice the steps make it 1.3 to 1.8 times as wide, since steps pull errors together as well; a block more
//! adds 3 to 10 units.
//!
//! | blocks | 1 step | 2 | 4 | 8 | 16 | 32 |
//! |---|---|---|---|---|---|---|
//! | 0 | 3.3 | 5.8 | 9.3 | 15 | 25 | 43 |
//! | 1 | 6.1 | 9.3 | 13 | 19 | 29 | 47 |
//! | 2 | 9.3 | 14 | 19 | 27 | 38 | 57 |
//! | 3 | 12 | 18 | 23 | 31 | 42 | 62 |
//!
//! It is a worst case: all roundings pulling one way, where chance would have `n` of them add up to their `sqrt(n)`. And a trained network
//! magnifies errors where it decides between digits. For the default preset's (8 x 8, 128 features, 2 blocks, trained) the median bound is
//! 0.034 over 2 steps and 0.41 over 5, with errors of at most 0.012 and 0.011, and over 10 nothing can be proved. What its 20 steps do is
//! measured, in Frechet distance, and not proved.
//!
//! # What it sees
//!
//! A device whose sums are rounded four units too low, or whose tables are 32 units too high (a thousandth of their range), leaves the range of
//! most models that have such layers: see [`faults`]. Truncation in place of rounding stays within: in place of errors of half a unit both ways
//! it makes errors of up to one unit, but all of one sign, and the worst case has room for those. The last bit is held by
//! `firmware/twin/tests/agreement.rs` and `parity.rs`, which compare all bits.

mod affine;
mod device;
mod enclosure;
mod faults;
mod float32;
mod random;

use affine::Range;
use candle_core::Device;
use enclosure::{Arithmetic, Sampler, enclose};
use faults::Fault;
use quickcheck::{Arbitrary, Gen};
use random::Case;
use tweedie_core::artifact::Artifact;
use tweedie_core::noise::NoiseStream;
use tweedie_firmware::Model as FixedModel;
use tweedie_host::checkpoint::Model;
use tweedie_host::export::{ExportError, Report, export};
use tweedie_host::network::parameters::FrozenWeights;

/// Random models in one run.
const CASES: usize = 200;

/// A model and its artifact, and where each number of its samples was proved to lie on each side.
struct Proved {
    case: Case,
    model: Model,
    words: Vec<u32>,
    report: Report,
    fixed: Vec<Range>,
    float: Vec<Range>,
}

impl Proved {
    /// An error for a model that no device can run.
    fn new(case: Case) -> Result<Self, ExportError> {
        let model = case.model();
        let exported = export(&model, &model.preset.sampling, None)?;
        let (sampler, float32) = float32::read(&model);
        let (fixed, float) =
            (device_ranges(&case, &exported.words, &exported.report), ranges(&case, &sampler, &float32));
        Ok(Self { case, model, words: exported.words, report: exported.report, fixed, float })
    }

    /// The largest that the difference of the two sides can be, for each number: the farthest points of the two ranges.
    fn bounds(&self) -> Vec<f64> {
        self.fixed.iter().zip(&self.float).map(|(a, b)| (a.high - b.low).max(b.high - a.low)).collect()
    }

    /// What the firmware library draws.
    fn fixed_samples(&self, words: &[u32]) -> Vec<f64> {
        let model = FixedModel::parse(words).unwrap();
        let mut scratch = vec![0; model.scratch_words()];
        let draw = |(number, &class): (usize, &u32)| -> Vec<f64> {
            let class = u16::try_from(class).ok().filter(|&class| class < model.header().classes);
            let drawn = tweedie_firmware::sample(&model, &mut scratch, self.case.seed, number as u64, class, |_| {});
            drawn.unwrap().iter().map(|&x| f64::from(x)).collect()
        };
        self.case.drawn.iter().enumerate().flat_map(draw).collect()
    }

    /// What the host draws by candle.
    fn float_samples(&self, model: &Model) -> Vec<f64> {
        let settings = &model.preset.sampling;
        let drawn = tweedie_host::sample::sample(model, settings, &self.case.drawn, self.case.seed, &Device::Cpu);
        drawn.unwrap().into_iter().map(f64::from).collect()
    }
}

/// Where each number of a case's samples lies.
fn ranges(case: &Case, sampler: &Sampler, arithmetic: &impl Arithmetic) -> Vec<Range> {
    let samples = case.drawn.iter().enumerate().flat_map(|(number, &class)| {
        enclose(sampler, arithmetic, &NoiseStream::new(case.seed, number as u64), class as usize)
    });
    samples.collect()
}

/// Where they lie for the device of an artifact; the report tells its units.
fn device_ranges(case: &Case, words: &[u32], report: &Report) -> Vec<Range> {
    let (sampler, device) = device::read(&Artifact::parse(words).unwrap(), report);
    ranges(case, &sampler, &device)
}

/// A case's model with something added to every output.
fn with_output_moved(case: &Case, by: f64) -> Model {
    let mut model = case.model();
    let moved = model.weights.iter().map(|(name, tensor)| {
        let by = if name == "output.bias" { by } else { 0.0 };
        (name.to_owned(), (tensor + by).unwrap())
    });
    model.weights = FrozenWeights::new(moved.collect());
    model
}

/// Whether any number lies outside its range.
fn leaves(ranges: &[Range], samples: &[f64]) -> bool {
    assert_eq!(ranges.len(), samples.len());
    ranges.iter().zip(samples).any(|(range, x)| !(range.low..=range.high).contains(x))
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

#[test]
fn fixed_samples_stay_within_the_bound_of_the_float_path() {
    let mut g = Gen::new(100);
    let (mut errors, mut bounds, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..CASES {
        let case = Case::arbitrary(&mut g);
        let Ok(proved) = Proved::new(case) else {
            refused += 1;
            continue;
        };
        let (fixed, float) = (proved.fixed_samples(&proved.words), proved.float_samples(&proved.model));
        assert!(!leaves(&proved.fixed, &fixed), "the device leaves {:?}: {:?}", proved.fixed, proved.case);
        assert!(!leaves(&proved.float, &float), "candle leaves {:?}: {:?}", proved.float, proved.case);
        for ((fixed, float), bound) in fixed.iter().zip(float).zip(proved.bounds()) {
            let error = (fixed - float).abs();
            assert!(error <= bound, "{error} above {bound}: {:?}", proved.case);
            errors.push(error);
            bounds.push(bound);
        }
    }
    let mut ratios: Vec<f64> = errors.iter().zip(&bounds).map(|(error, bound)| error / bound).collect();
    for figures in [&mut errors, &mut bounds, &mut ratios] {
        figures.sort_by(f64::total_cmp);
    }
    let shares = [0.0, 0.5, 0.9, 0.99, 1.0];
    println!("{} models, {refused} refused, {} numbers; quantiles {shares:?}", CASES - refused, errors.len());
    for (name, figures) in [("error", &errors), ("bound", &bounds), ("error / bound", &ratios)] {
        println!("{name:>14}: {:.5?}", shares.map(|share| quantile(figures, share)));
    }
    assert!(10 * refused < CASES, "{refused} models were refused");
    // The bound means something: it is small beside the range of data, from -1 to 1, and errors come near it.
    assert!(quantile(&bounds, 0.9) < 1.0 / 64.0, "nine in ten bounds are below {}", quantile(&bounds, 0.9));
    assert!(quantile(&ratios, 0.9) > 0.4, "nine in ten errors are below {} of their bounds", quantile(&ratios, 0.9));
}

#[test]
fn a_device_off_by_a_few_units_leaves_its_range() {
    let mut g = Gen::from_size_and_seed(100, 2);
    let cases = std::iter::repeat_with(|| Proved::new(Case::arbitrary(&mut g)));
    let proved: Vec<Proved> = cases.flatten().take(60).collect();
    let caught = |fault: Fault| {
        let faulty =
            |proved: &&Proved| leaves(&proved.fixed, &proved.fixed_samples(&faults::with(fault, &proved.words)));
        proved.iter().filter(faulty).count()
    };
    // A third of the networks have neither tables nor normalisation.
    let expected = [
        (Fault::Rounding { halves: 8 }, 35),
        (Fault::Table { units: 32 }, 15),
        (Fault::Root { parts: 32 }, 15),
        (Fault::Coefficient { units: 32 }, 35),
    ];
    for (fault, least) in expected {
        let caught = caught(fault);
        println!("{fault:?}: {caught} of {}", proved.len());
        assert!(caught >= least, "{fault:?} was noticed in {caught} models of {}", proved.len());
    }
}

#[test]
fn a_float_path_off_by_a_little_leaves_its_range() {
    let mut g = Gen::from_size_and_seed(100, 3);
    let cases = std::iter::repeat_with(|| Proved::new(Case::arbitrary(&mut g)));
    let noticed = cases
        .flatten()
        .take(20)
        .filter(|proved| leaves(&proved.float, &proved.float_samples(&with_output_moved(&proved.case, 1e-3))));
    assert!(noticed.count() >= 15);
}

/// A case of 16 numbers and 16 hidden features on the trigonometric schedule.
fn plain(overrides: &[&str]) -> Case {
    let own = ["network.hidden=16", "network.blocks=1", "sampling.clip=false"];
    let overrides = own.iter().chain(overrides).map(|&set| set.to_owned()).collect();
    Case { overrides, shape: vec![4, 4], classes: 3, weights: 100, seed: 5, drawn: [0, 3] }
}

#[test]
fn the_range_grows_no_faster_than_the_steps() {
    let widest = |steps: usize| {
        let proved = Proved::new(plain(&[&format!("sampling.steps={steps}")])).unwrap();
        proved.fixed.iter().map(|range| range.high - range.low).fold(0.0, f64::max)
    };
    let widths = [2, 4, 8, 16].map(widest);
    assert!(widths.windows(2).all(|pair| pair[0] < pair[1] && pair[1] < 2.0 * pair[0]), "{widths:?}");
}

#[test]
fn what_saturates_stays_within_its_range() {
    let case = plain(&["training.prediction=x0", "sampling.steps=4", "sampling.eta=1.0"]);
    let proved = Proved::new(case).unwrap();
    // An artifact that export would never write, every sum of which is pushed to the end of its range, and taken at its word.
    let words = faults::with(Fault::Rounding { halves: -50_000 }, &proved.words);
    let ranges = device_ranges(&proved.case, &words, &proved.report);
    let samples = proved.fixed_samples(&words);
    let saturated = samples.iter().filter(|&&x| x == f64::from(i16::MAX) / 4096.0).count();
    assert!((1..samples.len()).contains(&saturated), "{saturated} of {samples:?}");
    assert!(!leaves(&ranges, &samples), "{samples:?} leave {ranges:?}");
}
