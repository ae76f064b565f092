//! Core against the Python library diffusers, through core's public functions alone.
//!
//! Three files of numbers: `vectors/diffusers.json` was made with diffusers 0.42.1 and torch in float32 (by a script that
//! ran the library's schedulers in a loop over a dummy model; its head says how the sample, the noise and the model are
//! defined); `vectors/more_diffusers.json` by `vectors/more_cases.py` and `vectors/solvers.json` by `vectors/solver_cases.py`, the same
//! library made to compute in float64.

mod library;

use library::{COLUMNS, SIZE, chain_spacing, compare, numbers, sample, translate, with_chain};
use serde_json::Value;
use std::collections::BTreeMap;
use tweedie_core::ddpm;
use tweedie_core::discretise::ChainSpacing;
use tweedie_core::forward::Noising;

fn file(name: &str) -> Value {
    let text = match name {
        "diffusers.json" => include_str!("vectors/diffusers.json"),
        "more_diffusers.json" => include_str!("vectors/more_diffusers.json"),
        _ => include_str!("vectors/solvers.json"),
    };
    serde_json::from_str(text).unwrap()
}

/// Tolerance against float32 numbers. Nothing here needs the 1e-4 that the file allows.
const SINGLE: f64 = 1e-5;
/// Tolerance against the float64 file, whose numbers have 13 digits.
const DOUBLE: f64 = 1e-11;
/// Tolerance against the solvers' float64 file. There the library goes from sigma to alpha and logarithms and back, and integrates LMS by
/// quadrature, which costs it digits.
const SOLVERS: f64 = 1e-8;

/// Runs every case in float64, and in float32 as well if the file is of that kind; counts them by scheduler.
fn match_all(name: &str, tolerance: f64, in_single: bool) -> BTreeMap<String, usize> {
    let (mut ran, mut different) = (BTreeMap::<String, usize>::new(), vec![]);
    for case in file(name)["cases"].as_array().unwrap() {
        let mut run = translate(case);
        let wide = sample::<f64>(&mut run, |v| v);
        different.extend(compare(case, &run, &wide, tolerance).err());
        if in_single {
            let narrow = sample::<f32>(&mut run, |v| v as f32);
            different.extend(compare(case, &run, &narrow, tolerance).err());
        }
        *ran.entry(case["scheduler"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    ran
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected.map(|(name, count)| (name.to_owned(), count)).into()
}

#[test]
fn whole_loops_match_the_library() {
    let expected = [
        ("DDIMScheduler", 14),
        ("DPMSolverMultistepScheduler", 3),
        ("EulerDiscreteScheduler", 1),
        ("FlowMatchEulerDiscreteScheduler", 1),
        ("HeunDiscreteScheduler", 1),
    ];
    assert_eq!(match_all("diffusers.json", SINGLE, true), counts(expected));
}

#[test]
fn more_loops_match_the_library() {
    let ran = match_all("more_diffusers.json", DOUBLE, false);
    assert_eq!(ran, counts([("DDIMScheduler", 98), ("DDPMScheduler", 37)]));
}

#[test]
fn solvers_of_higher_order_match_the_library() {
    let ran = match_all("solvers.json", SOLVERS, false);
    assert_eq!(ran.values().sum::<usize>(), 127, "{ran:?}");
    assert_eq!(ran.len(), 15, "{ran:?}");
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
        let spacing = chain_spacing(&serde_json::json!({ "timestep_spacing": row["spacing"] }), "leading");
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
