//! Core against the Python library diffusers, through core's public functions alone.
//!
//! Two files of numbers: `vectors/diffusers.json` was made with diffusers 0.42.1 and torch in float32 (by a script that
//! ran the library's schedulers in a loop over the dummy model below; its head says how the sample, the noise and the model
//! are defined), `vectors/more_diffusers.json` by `vectors/more_cases.py`, the same library made to compute in float64.

use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use tweedie_core::chain::{Betas, Chain};
use tweedie_core::discretise::{ChainSpacing, Spacing};
use tweedie_core::forward::Noising;
use tweedie_core::noise_level::Velocity;
use tweedie_core::plan::Step;
use tweedie_core::prediction::{Conversion, Moment, Prediction};
use tweedie_core::sampler::{self, Clip, Workspace};
use tweedie_core::schedule::Schedule;
use tweedie_core::{Denoiser, NoiseLevel, NoiseSource, StepId, Tensor, ddim, ddpm};

const SIZE: usize = 768;
const COLUMNS: usize = 32;

fn file(name: &str) -> Value {
    let text = match name {
        "diffusers.json" => include_str!("vectors/diffusers.json"),
        _ => include_str!("vectors/more_diffusers.json"),
    };
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The chain of a scheduler's configuration, whose defaults are the library's.
fn with_chain<R>(config: &Value, then: impl FnOnce(&Chain<&[f64]>) -> R) -> R {
    let number = |key: &str, default: f64| config.get(key).map_or(default, |v| v.as_f64().unwrap());
    let (start, end) = (number("beta_start", 1e-4), number("beta_end", 0.02));
    let given = config.get("trained_betas").map(numbers);
    let betas = match (&given, config.get("beta_schedule").map_or("linear", |v| v.as_str().unwrap())) {
        (Some(given), _) => Betas::Given(given),
        (_, "linear") => Betas::Linear { start, end },
        (_, "scaled_linear") => Betas::ScaledLinear { start, end },
        (_, "squaredcos_cap_v2") => Betas::Cosine,
        (_, "sigmoid") => Betas::Sigmoid { start, end },
        (_, other) => panic!("unknown beta schedule {other}"),
    };
    let mut storage = vec![0.0; config["num_train_timesteps"].as_u64().unwrap() as usize];
    let chain = if config.get("rescale_betas_zero_snr") == Some(&Value::Bool(true)) {
        Chain::with_zero_terminal_snr(betas, &mut storage)
    } else {
        Chain::new(betas, &mut storage)
    };
    then(&chain.unwrap())
}

fn spacing(config: &Value) -> ChainSpacing {
    let offset = config.get("steps_offset").map_or(0, |v| v.as_u64().unwrap() as u32);
    match config.get("timestep_spacing").map_or("leading", |v| v.as_str().unwrap()) {
        "leading" => ChainSpacing::Leading { offset },
        "trailing" => ChainSpacing::Trailing,
        "linspace" => ChainSpacing::Linspace,
        other => panic!("unknown spacing {other}"),
    }
}

/// A sampling loop of the library, translated: what is asked of the model, and what is done with its answer.
#[derive(Default)]
struct Loop {
    timesteps: Vec<f64>,
    plan: Vec<Step>,
    /// From the model's output to `x0_hat`.
    conversions: Vec<Conversion>,
    /// What the state is multiplied by before the model sees it.
    input_scales: Vec<f64>,
    /// What the sample is multiplied by to make the initial state.
    start_scale: f64,
    clip: Clip,
}

/// The dummy model `x t / (t + 1)`, converted.
impl Denoiser<[f64]> for Loop {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f64], step: StepId, x0_hat: &mut [f64]) -> Result<(), Infallible> {
        let (t, scale) = (self.timesteps[step.0], self.input_scales[step.0]);
        for (estimate, &x) in x0_hat.iter_mut().zip(x_t) {
            *estimate = self.conversions[step.0].apply(x, scale * x * t / (t + 1.0));
        }
        Ok(())
    }
}

impl Denoiser<[f32]> for Loop {
    type Error = Infallible;

    fn denoise(&mut self, x_t: &[f32], step: StepId, x0_hat: &mut [f32]) -> Result<(), Infallible> {
        let x_t: Vec<f64> = x_t.iter().map(|&x| x.into()).collect();
        let mut wide = vec![0.0; x_t.len()];
        Denoiser::<[f64]>::denoise(self, &x_t, step, &mut wide)?;
        x0_hat.iter_mut().zip(wide).for_each(|(narrow, wide)| *narrow = wide as f32);
        Ok(())
    }
}

/// The noise of `more_cases.py`: draw `k + 1` belongs to step `k`.
struct ScriptNoise;

impl NoiseSource<[f64]> for ScriptNoise {
    type Error = Infallible;

    fn fill_normal(&mut self, draw: u32, out: &mut [f64]) -> Result<(), Infallible> {
        for (i, z) in out.iter_mut().enumerate() {
            *z = (((7919 * i + 104_729 * draw as usize) % 1000) as f64 - 499.5) / 288.675;
        }
        Ok(())
    }
}

impl NoiseSource<[f32]> for ScriptNoise {
    type Error = Infallible;

    fn fill_normal(&mut self, _: u32, _: &mut [f32]) -> Result<(), Infallible> {
        unreachable!("the float32 file has deterministic cases alone")
    }
}

fn prediction(config: &Value) -> Prediction {
    match config.get("prediction_type").map_or("epsilon", |v| v.as_str().unwrap()) {
        "epsilon" => Prediction::Eps,
        "v_prediction" => Prediction::V,
        "sample" => Prediction::X0,
        other => panic!("unknown prediction {other}"),
    }
}

/// None of the predictions but the velocity looks at the level's slope.
fn moment(level: NoiseLevel) -> Moment {
    Moment { level, velocity: Velocity { alpha: f64::NAN, sigma: f64::NAN } }
}

/// Translates a case, or returns `None` for a solver that core has not got.
fn translate(case: &Value) -> Option<Loop> {
    let config = &case["config"];
    let count = case["steps"].as_u64().unwrap() as usize;
    let eta = case["step_args"].get("eta").map_or(0.0, |v| v.as_f64().unwrap());
    let mut run = Loop { start_scale: 1.0, input_scales: vec![1.0; count], ..Loop::default() };
    if config.get("clip_sample") == Some(&Value::Bool(true)) {
        let high = config.get("clip_sample_range").map_or(1.0, |v| v.as_f64().unwrap());
        run.clip = Clip::Range { low: -high, high };
    }
    let mut timesteps = vec![0; count];
    match case["scheduler"].as_str().unwrap() {
        "DDIMScheduler" => with_chain(config, |chain| {
            spacing(config).fill(chain.steps(), &mut timesteps).unwrap();
            let last = if config.get("set_alpha_to_one") == Some(&Value::Bool(false)) {
                chain.level_at(1).unwrap()
            } else {
                NoiseLevel::CLEAN
            };
            for &tau in &timesteps {
                let from = chain.level_at(tau as usize + 1).unwrap();
                let to = ChainSpacing::previous(tau, chain.steps(), count)
                    .map_or(last, |previous| chain.level_at(previous as usize + 1).unwrap());
                let t = f64::from(tau + 1) / chain.steps() as f64;
                run.plan.push(ddim::step(t, from, to, eta).unwrap());
            }
        }),
        // The library's DDPM goes to the next timestep visited, so that a plan through times expresses it.
        "DDPMScheduler" => with_chain(config, |chain| {
            spacing(config).fill(chain.steps(), &mut timesteps).unwrap();
            let variance = match config.get("variance_type").map_or("fixed_small", |v| v.as_str().unwrap()) {
                "fixed_small" => ddpm::Variance::Posterior,
                "fixed_large" => ddpm::Variance::Beta,
                other => panic!("unknown variance {other}"),
            };
            run.plan = vec![Step::EMPTY; count];
            ddpm::plan(chain, &chain_times(chain, &timesteps), variance, &mut run.plan).unwrap();
        }),
        // At first order DPM-Solver++ is DDIM without noise, through the timesteps it visits: linspace less its last.
        "DPMSolverMultistepScheduler" if config["solver_order"] == 1 => with_chain(config, |chain| {
            timesteps.push(0);
            ChainSpacing::Linspace.fill(chain.steps(), &mut timesteps).unwrap();
            timesteps.pop();
            run.plan = vec![Step::EMPTY; count];
            ddim::plan(chain, &chain_times(chain, &timesteps), 0.0, &mut run.plan).unwrap();
        }),
        // Euler works on x / alpha, a variance-exploding process, where DDIM without noise is the Euler step. The model
        // sees the variance-preserving state.
        "EulerDiscreteScheduler" => with_chain(config, |chain| {
            ChainSpacing::Linspace.fill(chain.steps(), &mut timesteps).unwrap();
            let levels: Vec<_> = timesteps.iter().map(|&tau| chain.level_at(tau as usize + 1).unwrap()).collect();
            let mut times: Vec<_> = levels.iter().map(|level| level.sigma / level.alpha).collect();
            run.start_scale = times[0];
            run.input_scales = levels.iter().map(|level| level.alpha).collect();
            times.push(0.0);
            run.plan = vec![Step::EMPTY; count];
            let process = Schedule::VarianceExploding { sigma_max: 1000.0 };
            ddim::plan(&process, &times, 0.0, &mut run.plan).unwrap();
        }),
        "FlowMatchEulerDiscreteScheduler" => {
            let mut times = vec![0.0; count + 1];
            Spacing::Uniform.fill(&Schedule::FlowMatching, 1.0, 0.001, &mut times[..count]).unwrap();
            run.plan = vec![Step::EMPTY; count];
            ddim::plan(&Schedule::FlowMatching, &times, 0.0, &mut run.plan).unwrap();
            run.timesteps = times[..count].iter().map(|t| t * 1000.0).collect();
            run.conversions = times[..count]
                .iter()
                .map(|&t| Prediction::Velocity.to_x0(&Moment::at(&Schedule::FlowMatching, t).unwrap()).unwrap())
                .collect();
            return Some(run);
        }
        _ => return None,
    }
    run.timesteps = timesteps.into_iter().map(f64::from).collect();
    let prediction = prediction(config);
    run.conversions = run.plan.iter().map(|step| prediction.to_x0(&moment(step.level)).unwrap()).collect();
    Some(run)
}

/// The times of a chain's timesteps, and 0 for clean data at the end.
fn chain_times(chain: &Chain<&[f64]>, timesteps: &[u32]) -> Vec<f64> {
    let total = chain.steps() as f64;
    timesteps.iter().map(|&tau| f64::from(tau + 1) / total).chain([0.0]).collect()
}

/// The sample at the end, and element 384 after every step.
fn sample<F: Copy>(run: &mut Loop, narrow: fn(f64) -> F) -> (Vec<f64>, Vec<f64>)
where
    f64: From<F>,
    [F]: Tensor<Coeff = f64>,
    Loop: Denoiser<[F], Error = Infallible>,
    ScriptNoise: NoiseSource<[F], Error = Infallible>,
{
    let mut x: Vec<F> = (0..SIZE).map(|i| narrow(run.start_scale * i as f64 / SIZE as f64)).collect();
    let (mut x0_hat, mut z) = (x.clone(), x.clone());
    let mut workspace = Workspace { x0_hats: &mut [x0_hat.as_mut_slice()], noise: Some(z.as_mut_slice()) };
    let (plan, clip, mut trace) = (run.plan.clone(), run.clip, vec![]);
    sampler::run(&plan, clip, &mut x[..], &mut workspace, run, &mut ScriptNoise, |_, x, _| trace.push(x[384].into()))
        .unwrap();
    (x.into_iter().map(f64::from).collect(), trace)
}

/// Compares with a case, relative to its largest probe, or for the trace to its largest entry.
fn compare(case: &Value, run: &Loop, (x, trace): &(Vec<f64>, Vec<f64>), tolerance: f64) {
    let name = &case["name"];
    let probes: BTreeMap<usize, f64> = case["probes"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(at, value)| (at.parse().unwrap(), value.as_f64().unwrap()))
        .collect();
    assert_eq!(probes.len(), 5, "{name}");
    let largest = probes.values().fold(0.0, |m: f64, p| m.max(p.abs()));
    for (&at, &expected) in &probes {
        assert!((x[at] - expected).abs() <= tolerance * largest, "{name}: element {at} is {}, not {expected}", x[at]);
    }
    let (sum, expected) = (x.iter().map(|x| x.abs()).sum::<f64>(), case["sum_abs"].as_f64().unwrap());
    assert!((sum - expected).abs() <= tolerance * expected, "{name}: the sum is {sum}, not {expected}");
    let visited = numbers(&case["timesteps"]);
    let expected = numbers(&case["trace_384"]);
    let at: Vec<usize> = match case.get("trace_at") {
        Some(at) => numbers(at).into_iter().map(|at| at as usize).collect(),
        None => (0..expected.len()).collect(),
    };
    assert!(!at.is_empty() && at.len() == expected.len(), "{name}");
    if visited.len() == run.timesteps.len() {
        for (got, expected) in run.timesteps.iter().zip(&visited) {
            assert!((got - expected).abs() < 1e-9 * expected.max(1.0), "{name}: {got} for timestep {expected}");
        }
    } else {
        let subset: Vec<_> = at.iter().map(|&i| run.timesteps[i]).collect();
        assert_eq!(subset, visited, "{name}");
    }
    let largest = expected.iter().fold(0.0, |m: f64, p| m.max(p.abs()));
    for (&k, expected) in at.iter().zip(&expected) {
        assert!((trace[k] - expected).abs() <= tolerance * largest, "{name}: step {k}: {} for {expected}", trace[k]);
    }
}

/// Tolerance against float32 numbers. Nothing here needs the 1e-4 that the file allows.
const SINGLE: f64 = 1e-5;
/// Tolerance against the float64 file, whose numbers have 13 digits.
const DOUBLE: f64 = 1e-11;

#[test]
fn whole_loops_match_the_library() {
    let (mut ran, mut left_out) = (BTreeMap::<String, usize>::new(), vec![]);
    for case in file("diffusers.json")["cases"].as_array().unwrap() {
        let Some(mut run) = translate(case) else {
            left_out.push(case["name"].as_str().unwrap().to_owned());
            continue;
        };
        let wide = sample::<f64>(&mut run, |v| v);
        compare(case, &run, &wide, SINGLE);
        let narrow = sample::<f32>(&mut run, |v| v as f32);
        compare(case, &run, &narrow, SINGLE);
        *ran.entry(case["scheduler"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let expected = [
        ("DDIMScheduler", 14),
        ("DPMSolverMultistepScheduler", 1),
        ("EulerDiscreteScheduler", 1),
        ("FlowMatchEulerDiscreteScheduler", 1),
    ];
    assert_eq!(ran, expected.map(|(name, count)| (name.to_owned(), count)).into());
    assert_eq!(left_out, ["heun-epsilon", "dpmsolver++-2M-midpoint-epsilon", "dpmsolver++-2M-midpoint-v_prediction"]);
}

#[test]
fn more_loops_match_the_library() {
    let mut ran = BTreeMap::<String, usize>::new();
    for case in file("more_diffusers.json")["cases"].as_array().unwrap() {
        let mut run = translate(case).unwrap();
        let got = sample::<f64>(&mut run, |v| v);
        compare(case, &run, &got, DOUBLE);
        *ran.entry(case["scheduler"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(
        ran,
        [("DDIMScheduler", 98), ("DDPMScheduler", 37)].map(|(name, count)| (name.to_owned(), count)).into()
    );
}

#[test]
fn beta_tables_match_the_library() {
    for (schedule, rows) in file("diffusers.json")["tables"].as_object().unwrap() {
        let config = serde_json::json!({ "num_train_timesteps": 1000, "beta_schedule": schedule });
        with_chain(&config, |chain| {
            for (timestep, row) in rows.as_object().unwrap() {
                let i = timestep.parse::<usize>().unwrap() + 1;
                let (beta, alpha_bar) = (row[0].as_f64().unwrap(), row[1].as_f64().unwrap());
                assert!((chain.beta(i).unwrap() / beta - 1.0).abs() < 2e-5, "{schedule} {timestep}");
                assert!((chain.alpha_bar(i).unwrap() / alpha_bar - 1.0).abs() < 5e-5, "{schedule} {timestep}");
            }
            assert_eq!(rows.as_object().unwrap().len(), 7);
        });
    }
    let more = file("more_diffusers.json");
    let tables = more["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 38);
    for table in tables {
        with_chain(&table["config"], |chain| {
            let (betas, alpha_bars) = (numbers(&table["beta"]), numbers(&table["alpha_bar"]));
            for ((at, beta), alpha_bar) in numbers(&table["at"]).into_iter().zip(betas).zip(alpha_bars) {
                let i = at as usize + 1;
                assert!((chain.beta(i).unwrap() - beta).abs() < 1e-12, "{table}: beta {at}");
                assert!(
                    (chain.alpha_bar(i).unwrap() - alpha_bar).abs() <= 1e-11 * alpha_bar,
                    "{table}: alpha_bar {at}"
                );
            }
        });
    }
}

#[test]
fn every_number_of_steps_visits_the_librarys_timesteps() {
    for row in file("more_diffusers.json")["spacings"].as_array().unwrap() {
        let total = row["T"].as_u64().unwrap() as usize;
        let sums = row["weighted_sums"].as_array().unwrap();
        assert_eq!(sums.len(), total);
        let spacing = spacing(&serde_json::json!({ "timestep_spacing": row["spacing"] }));
        for (expected, count) in sums.iter().zip(1..) {
            let mut timesteps = vec![0; count];
            spacing.fill(total, &mut timesteps).unwrap();
            let sum: u64 = timesteps.iter().zip(1..).map(|(&t, weight)| u64::from(t) * weight).sum();
            // `null` where numpy.arange rounds itself into one timestep more than was asked for.
            assert!(expected.as_u64().is_none_or(|expected| sum == expected), "{spacing:?}, {count} steps of {total}");
        }
        let odd = sums.iter().filter(|sum| sum.is_null()).count();
        assert_eq!(odd > 0, spacing == ChainSpacing::Trailing, "{spacing:?}: {odd}");
    }
}

#[test]
fn forward_noise_matches_the_library() {
    let file = file("diffusers.json");
    let rows = file["add_noise"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    let clean: Vec<f32> = (0..SIZE).map(|i| i as f32 / SIZE as f32).collect();
    let eps: Vec<f32> = clean.chunks(COLUMNS).flat_map(|row| row.iter().rev().copied()).collect();
    with_chain(&serde_json::json!({ "num_train_timesteps": 1000 }), |chain| {
        for row in rows {
            let mut x = clean.clone();
            let level = chain.level_at(row["t"].as_u64().unwrap() as usize + 1).unwrap();
            Noising::jump(level).apply(&mut x[..], &eps).unwrap();
            for (at, expected) in row["probes"].as_object().unwrap() {
                let (got, expected) = (f64::from(x[at.parse::<usize>().unwrap()]), expected.as_f64().unwrap());
                assert!((got - expected).abs() < 3e-6, "t = {}, element {at}: {got} for {expected}", row["t"]);
            }
        }
    });
}

#[test]
fn ddpm_variances_match_the_library() {
    let file = file("diffusers.json");
    let rows = file["ddpm_variance"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    with_chain(&serde_json::json!({ "num_train_timesteps": 1000 }), |chain| {
        for row in rows {
            let i = row["t"].as_u64().unwrap() as usize + 1;
            let (from, to) = (chain.level_at(i).unwrap(), chain.level_at(i - 1).unwrap());
            let small = ddpm::Variance::Posterior.of(from, to).unwrap();
            // In float32, 1 - alpha_bar has few digits left near data: 5e-4 at timestep 1.
            let tolerance = if i < 10 { 1e-3 } else { 1e-5 };
            assert!((small / row["fixed_small"].as_f64().unwrap() - 1.0).abs() < tolerance, "timestep {}", i - 1);
            let large = ddpm::Variance::Beta.of(from, to).unwrap();
            assert!((large / chain.beta(i).unwrap() - 1.0).abs() < 1e-9, "timestep {}", i - 1);
        }
    });
}
