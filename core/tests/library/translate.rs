//! A scheduler's configuration as a plan of core.

use super::{Loop, numbers};
use serde_json::Value;
use tweedie_core::chain::{Betas, Chain};
use tweedie_core::discretise::{ChainSpacing, Spacing, shifted};
use tweedie_core::noise_level::Velocity;
use tweedie_core::plan::Step;
use tweedie_core::prediction::{Conversion, Moment, Prediction};
use tweedie_core::sampler::Clip;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::sigma_clock::{SigmaClock, sigma_at, timestep_of};
use tweedie_core::solver::deis::Deis;
use tweedie_core::solver::dpm_solver::{Correction, DpmSolver};
use tweedie_core::solver::euler::{self, Churn};
use tweedie_core::solver::singlestep::Singlestep;
use tweedie_core::solver::unipc::{B, UniPc};
use tweedie_core::solver::{Ending, Form, dpm_solver_sde, heun, lms, pndm, probability_flow};
use tweedie_core::thresholding::Thresholding;
use tweedie_core::{NoiseLevel, ddim, ddpm};

fn number(config: &Value, key: &str) -> Option<f64> {
    config.get(key).map(|v| v.as_f64().unwrap())
}

fn flag(config: &Value, key: &str) -> Option<bool> {
    config.get(key).map(|v| v.as_bool().unwrap())
}

fn text<'a>(config: &'a Value, key: &str, default: &'a str) -> &'a str {
    config.get(key).map_or(default, |v| v.as_str().unwrap())
}

/// The chain of a scheduler's configuration, whose defaults are the library's.
pub fn with_chain<R>(config: &Value, then: impl FnOnce(&Chain<&[f64]>) -> R) -> R {
    let (start, end) = (number(config, "beta_start").unwrap_or(1e-4), number(config, "beta_end").unwrap_or(0.02));
    let given = config.get("trained_betas").map(numbers);
    let betas = match (&given, text(config, "beta_schedule", "linear")) {
        (Some(given), _) => Betas::Given(given),
        (_, "linear") => Betas::Linear { start, end },
        (_, "scaled_linear") => Betas::ScaledLinear { start, end },
        (_, "squaredcos_cap_v2") => Betas::Cosine,
        (_, "sigmoid") => Betas::Sigmoid { start, end },
        (_, other) => panic!("unknown beta schedule {other}"),
    };
    let mut storage = vec![0.0; config.get("num_train_timesteps").map_or(1000, |v| v.as_u64().unwrap() as usize)];
    let chain = if flag(config, "rescale_betas_zero_snr") == Some(true) {
        Chain::with_zero_terminal_snr(betas, &mut storage)
    } else {
        Chain::new(betas, &mut storage)
    };
    then(&chain.unwrap())
}

pub fn chain_spacing(config: &Value, default: &str) -> ChainSpacing {
    let offset = number(config, "steps_offset").map_or(0, |v| v as u32);
    match text(config, "timestep_spacing", default) {
        "leading" => ChainSpacing::Leading { offset },
        "trailing" => ChainSpacing::Trailing,
        "linspace" => ChainSpacing::Linspace,
        other => panic!("unknown spacing {other}"),
    }
}

fn prediction(config: &Value) -> Prediction {
    match text(config, "prediction_type", "epsilon") {
        "epsilon" => Prediction::Eps,
        "v_prediction" => Prediction::V,
        "sample" => Prediction::X0,
        "flow_prediction" => Prediction::Velocity,
        other => panic!("unknown prediction {other}"),
    }
}

/// None of the predictions but the velocity looks at the level's slope, and that is flow matching's.
fn moment(level: NoiseLevel) -> Moment {
    Moment { level, velocity: Velocity { alpha: -1.0, sigma: 1.0 } }
}

fn usable(value: f64) -> usize {
    value as usize
}

/// Translates a case.
pub fn translate(case: &Value) -> Loop {
    let config = &case["config"];
    let mut run = match case["scheduler"].as_str().unwrap() {
        "DDIMScheduler" | "DDPMScheduler" => on_the_chain(case),
        "PNDMScheduler" => pseudo_numerical(case),
        "IPNDMScheduler" => improved_pseudo_numerical(case),
        "FlowMatchEulerDiscreteScheduler" | "FlowMatchHeunDiscreteScheduler" => flow_matching(case),
        "EDMEulerScheduler" | "EDMDPMSolverMultistepScheduler" => edm(case),
        "EulerDiscreteScheduler"
        | "EulerAncestralDiscreteScheduler"
        | "HeunDiscreteScheduler"
        | "LMSDiscreteScheduler"
        | "DPMSolverSDEScheduler" => over_sigma(case),
        _ => over_half_log_snr(case),
    };
    if flag(config, "clip_sample") == Some(true) {
        let high = number(config, "clip_sample_range").unwrap_or(1.0);
        run.clip = Clip::Range { low: -high, high };
    }
    if flag(config, "thresholding") == Some(true) {
        let ratio = number(config, "dynamic_thresholding_ratio").unwrap_or(0.995);
        run.thresholding = Some(Thresholding { ratio, most: number(config, "sample_max_value").unwrap_or(1.0) });
    }
    if run.conversions.is_empty() {
        let prediction = prediction(config);
        run.conversions = run.plan.iter().map(|step| prediction.to_x0(&moment(step.level)).unwrap()).collect();
    }
    if run.input_scales.is_empty() {
        run.input_scales = vec![1.0; run.plan.len()];
    }
    run
}

fn steps_of(case: &Value) -> usize {
    case["steps"].as_u64().unwrap() as usize
}

fn on_the_chain(case: &Value) -> Loop {
    let (config, count) = (&case["config"], steps_of(case));
    let eta = number(&case["step_args"], "eta").unwrap_or(0.0);
    let mut timesteps = vec![0; count];
    let mut run = Loop { start_scale: 1.0, plan: vec![Step::EMPTY; count], ..Loop::default() };
    with_chain(config, |chain| {
        chain_spacing(config, "leading").fill(chain.steps(), &mut timesteps).unwrap();
        if case["scheduler"] == "DDIMScheduler" {
            let first = chain.level_at(1).unwrap();
            let last = if flag(config, "set_alpha_to_one") == Some(false) { first } else { NoiseLevel::CLEAN };
            ddim::chain_plan(chain, &timesteps, last, eta, &mut run.plan).unwrap();
            return;
        }
        // The library's DDPM goes to the next timestep visited, so that a plan through times expresses it.
        let variance = match text(config, "variance_type", "fixed_small") {
            "fixed_small" => ddpm::Variance::Posterior,
            "fixed_large" => ddpm::Variance::Beta,
            other => panic!("unknown variance {other}"),
        };
        ddpm::plan(chain, &chain_times(chain, &timesteps, 0), variance, &mut run.plan).unwrap();
    });
    run.timesteps = timesteps.into_iter().map(f64::from).collect();
    run
}

/// The times of a chain's timesteps, and that of a chain index at the end.
fn chain_times(chain: &Chain<&[f64]>, timesteps: &[u32], end: u32) -> Vec<f64> {
    let total = chain.steps() as f64;
    timesteps.iter().map(|&tau| tau + 1).chain([end]).map(|i| f64::from(i) / total).collect()
}

/// Sigmas between two ends, as an option of the configuration asks, each with its timestep.
fn respaced(config: &Value, count: usize, first: f64, last: f64) -> Option<Vec<f64>> {
    let asked = |key: &str| flag(config, key) == Some(true);
    let spacing = if asked("use_karras_sigmas") {
        Spacing::Karras { rho: 7.0 }
    } else if asked("use_exponential_sigmas") || asked("use_lu_lambdas") {
        Spacing::LogSnr
    } else if asked("use_beta_sigmas") {
        Spacing::Beta { alpha: 0.6, beta: 0.6 }
    } else {
        return None;
    };
    let mut sigmas = vec![0.0; count];
    spacing.fill(&SigmaClock { sigma_max: first }, first, last, &mut sigmas).unwrap();
    Some(sigmas)
}

/// DPM-Solver, DEIS, UniPC: the variance-preserving state over `SigmaClock`, or flow matching.
fn over_half_log_snr(case: &Value) -> Loop {
    let (config, count, name) = (&case["config"], steps_of(case), case["scheduler"].as_str().unwrap());
    let asked = |key: &str| flag(config, key) == Some(true);
    let shift = number(config, "flow_shift").unwrap_or(1.0);
    let mut run = Loop { start_scale: 1.0, plan: vec![Step::EMPTY; count], ..Loop::default() };
    with_chain(config, |chain| {
        let total = chain.steps();
        let mut sigmas: Vec<f64>;
        if asked("use_flow_sigmas") {
            let least = 1.0 / total as f64;
            let grid = |i: usize| i as f64 * (1.0 - least) / count as f64;
            sigmas = (0..count)
                .map(|i| match name {
                    "UniPCMultistepScheduler" => 1.0 - grid(i),
                    _ => grid(count - i),
                })
                .map(|t| shifted(t, shift).unwrap())
                .collect();
            if (sigmas[0] - 1.0).abs() < 1e-6 {
                sigmas[0] -= 1e-6;
            }
            run.timesteps = sigmas.iter().map(|sigma| (sigma * total as f64).floor()).collect();
        } else {
            let (first, last) = (sigma_at(chain, total as f64 - 1.0).unwrap(), sigma_at(chain, 0.0).unwrap());
            if let Some(respaced) = respaced(config, count, first, last) {
                sigmas = respaced;
                let rounded = asked("use_karras_sigmas") || asked("use_lu_lambdas");
                let timestep = |&sigma: &f64| {
                    let t = timestep_of(chain, sigma).unwrap();
                    if rounded { t.round_ties_even() } else { t.floor() }
                };
                run.timesteps = sigmas.iter().map(timestep).collect();
            } else {
                // Levels noisier than lambda_min_clipped are left out.
                let least = number(config, "lambda_min_clipped").unwrap_or(f64::NEG_INFINITY);
                let clipped = (1..=total).filter(|&i| 0.5 * chain.level_at(i).unwrap().log_snr() < least).count();
                let mut timesteps = vec![0; count];
                chain_spacing(config, "linspace").fill_before_data(total - clipped, &mut timesteps).unwrap();
                run.timesteps = timesteps.into_iter().map(f64::from).collect();
                sigmas = run.timesteps.iter().map(|&t| sigma_at(chain, t).unwrap()).collect();
            }
        }
        let default = if name == "DEISMultistepScheduler" { "sigma_min" } else { "zero" };
        let is_respaced = ["karras", "exponential", "beta", "flow"].iter().any(|s| asked(&format!("use_{s}_sigmas")));
        sigmas.push(match text(config, "final_sigmas_type", default) {
            "zero" => 0.0,
            // DEIS and UniPC repeat a respaced end.
            _ if is_respaced && !name.starts_with("DPM") => sigmas[count - 1],
            _ => sigma_at(chain, 0.0).unwrap(),
        });
        if asked("use_flow_sigmas") {
            solve(name, config, &Schedule::FlowMatching, &sigmas, &mut run.plan);
        } else {
            solve(name, config, &SigmaClock { sigma_max: sigmas[0] }, &sigmas, &mut run.plan);
        }
    });
    run
}

fn solve(name: &str, config: &Value, process: &impl Process, times: &[f64], plan: &mut [Step]) {
    let order = usable(number(config, "solver_order").unwrap_or(2.0));
    let few = plan.len() < 15;
    let lower = flag(config, "lower_order_final");
    let ending = |falling: bool| match (falling, flag(config, "euler_at_final")) {
        (true, _) => Ending::Falling,
        (_, Some(true)) => Ending::Euler,
        _ => Ending::Full,
    };
    let algorithm = text(config, "algorithm_type", "dpmsolver++");
    let form = if algorithm == "dpmsolver" { Form::Noise } else { Form::Data };
    let correction = match text(config, "solver_type", "midpoint") {
        "heun" => Correction::Heun,
        _ => Correction::Midpoint,
    };
    match name {
        "DPMSolverMultistepScheduler" => {
            let eta = if algorithm == "sde-dpmsolver++" { 1.0 } else { 0.0 };
            let ending = ending(lower.unwrap_or(true) && few);
            DpmSolver { order, form, correction, eta, ending }.plan(process, times, plan)
        }
        "DPMSolverSinglestepScheduler" => {
            Singlestep { order, form, correction, ending: ending(lower == Some(true)) }.plan(process, times, plan)
        }
        "DEISMultistepScheduler" => {
            Deis { ending: ending(lower.unwrap_or(true) && few), ..Deis::new(order) }.plan(process, times, plan)
        }
        "UniPCMultistepScheduler" => {
            let b = if text(config, "solver_type", "bh2") == "bh1" { B::B1 } else { B::B2 };
            let form = if flag(config, "predict_x0") == Some(false) { Form::Noise } else { Form::Data };
            UniPc { b, form, ending: ending(lower.unwrap_or(true)), ..UniPc::new(order) }.plan(process, times, plan)
        }
        other => panic!("unknown scheduler {other}"),
    }
    .unwrap();
}

/// Euler, Heun, LMS and the like: the state over `alpha`, which is the variance-exploding process. The model sees the
/// variance-preserving state.
fn over_sigma(case: &Value) -> Loop {
    let (config, count, name) = (&case["config"], steps_of(case), case["scheduler"].as_str().unwrap());
    let mut timesteps = vec![0.0; count];
    let mut run = Loop::default();
    with_chain(config, |chain| {
        chain_spacing(config, "linspace").fill_between(chain.steps(), &mut timesteps).unwrap();
        let mut sigmas: Vec<f64> = timesteps.iter().map(|&t| sigma_at(chain, t).unwrap()).collect();
        let first = number(config, "sigma_max").unwrap_or(sigmas[0]);
        let last = number(config, "sigma_min").unwrap_or(sigmas[count - 1]);
        if let Some(respaced) = respaced(config, count, first, last) {
            sigmas = respaced;
            timesteps = sigmas.iter().map(|&sigma| timestep_of(chain, sigma).unwrap()).collect();
        }
        let most = sigmas[0];
        run.start_scale = match text(config, "timestep_spacing", "linspace") {
            "leading" => most.hypot(1.0),
            _ => most,
        };
        sigmas.push(match text(config, "final_sigmas_type", "zero") {
            "zero" => 0.0,
            _ => sigma_at(chain, 0.0).unwrap(),
        });
        let process = Schedule::VarianceExploding { sigma_max: 2.0 * most };
        let args = &case["step_args"];
        let rows = match name {
            "HeunDiscreteScheduler" => heun::evaluations(&process, &sigmas).unwrap(),
            "DPMSolverSDEScheduler" => dpm_solver_sde::evaluations(&process, &sigmas).unwrap(),
            _ => count,
        };
        run.plan = vec![Step::EMPTY; rows];
        let plan = &mut run.plan[..];
        match name {
            "EulerDiscreteScheduler" => euler::plan(&process, &sigmas, Churn::NONE, plan),
            "EulerAncestralDiscreteScheduler" => euler::ancestral_plan(&process, &sigmas, 1.0, plan),
            "HeunDiscreteScheduler" => heun::plan(&process, &sigmas, plan),
            "LMSDiscreteScheduler" => lms::plan(&process, &sigmas, number(args, "order").map_or(4, usable), plan),
            "DPMSolverSDEScheduler" => dpm_solver_sde::plan(&process, &sigmas, plan),
            other => panic!("unknown scheduler {other}"),
        }
        .unwrap();
        // Each row's timestep is that of its level; Heun comes by each but the first twice.
        run.timesteps = run
            .plan
            .iter()
            .map(|step| match sigmas.iter().position(|&sigma| sigma == step.level.sigma) {
                Some(k) => timesteps[k],
                None => timestep_of(chain, step.level.sigma).unwrap(),
            })
            .collect();
    });
    run.input_scales = run.plan.iter().map(|step| 1.0 / step.level.sigma.hypot(1.0)).collect();
    run
}

fn pseudo_numerical(case: &Value) -> Loop {
    let (config, count) = (&case["config"], steps_of(case));
    let mut timesteps = vec![0; count];
    let mut run = Loop { start_scale: 1.0, plan: vec![Step::EMPTY; count + 1], ..Loop::default() };
    with_chain(config, |chain| {
        chain_spacing(config, "leading").fill(chain.steps(), &mut timesteps).unwrap();
        let end = u32::from(flag(config, "set_alpha_to_one") != Some(true));
        pndm::plan(chain, &chain_times(chain, &timesteps, end), &mut run.plan).unwrap();
    });
    timesteps.insert(1, timesteps[1]);
    run.timesteps = timesteps.into_iter().map(f64::from).collect();
    run
}

/// The library's variables `betas` are sigmas, and its model predicts `v`.
fn improved_pseudo_numerical(case: &Value) -> Loop {
    let sigmas = numbers(&case["config"]["trained_betas"]);
    let alphas: Vec<f64> = sigmas.iter().map(|sigma| (1.0 - sigma * sigma).sqrt()).collect();
    let times: Vec<f64> = sigmas.iter().zip(&alphas).map(|(sigma, alpha)| sigma / alpha).collect();
    let mut run = Loop { start_scale: 1.0, plan: vec![Step::EMPTY; steps_of(case)], ..Loop::default() };
    pndm::improved_plan(&SigmaClock { sigma_max: times[0] }, &times, &mut run.plan).unwrap();
    run.timesteps = run.plan.iter().map(|step| step.level.angle()).collect();
    run.conversions = run.plan.iter().map(|step| Prediction::V.to_x0(&moment(step.level)).unwrap()).collect();
    run
}

fn flow_matching(case: &Value) -> Loop {
    let (config, count) = (&case["config"], steps_of(case));
    let shift = number(config, "shift").unwrap_or(1.0);
    // The library shifts its least sigma when it is made, and all of them again when it is asked for timesteps.
    let least = shifted(0.001, shift).unwrap();
    let mut times = vec![0.0; count];
    Spacing::Uniform.fill(&Schedule::FlowMatching, 1.0, least, &mut times).unwrap();
    times.iter_mut().for_each(|t| *t = shifted(*t, shift).unwrap());
    if let Some(respaced) = respaced(config, count, times[0], times[count - 1]) {
        times = respaced;
    }
    times.push(0.0);
    let process = Schedule::FlowMatching;
    let mut run = Loop { start_scale: 1.0, plan: vec![Step::EMPTY; count], ..Loop::default() };
    if case["scheduler"] == "FlowMatchHeunDiscreteScheduler" {
        run.plan = vec![Step::EMPTY; probability_flow::heun_evaluations(&process, &times).unwrap()];
        probability_flow::heun_plan(&process, &times, &mut run.plan).unwrap();
    } else {
        euler::plan(&process, &times, Churn::NONE, &mut run.plan).unwrap();
    }
    run.timesteps = run.plan.iter().map(|step| step.t * 1000.0).collect();
    run.conversions = run.plan.iter().map(|step| Prediction::Velocity.to_x0(&moment(step.level)).unwrap()).collect();
    run
}

/// The variance-exploding process with EDM's preconditioning (Karras et al. 2022, Table 1).
fn edm(case: &Value) -> Loop {
    let (config, count) = (&case["config"], steps_of(case));
    let or = |key: &str, default: f64| number(config, key).unwrap_or(default);
    let (least, most, data) = (or("sigma_min", 0.002), or("sigma_max", 80.0), or("sigma_data", 0.5));
    let spacing = match text(config, "sigma_schedule", "karras") {
        "exponential" => Spacing::LogSnr,
        _ => Spacing::Karras { rho: or("rho", 7.0) },
    };
    let process = Schedule::VarianceExploding { sigma_max: most };
    let mut times = vec![0.0; count];
    spacing.fill(&process, most, least, &mut times).unwrap();
    times.push(0.0);
    let mut run = Loop { start_scale: most.hypot(1.0), plan: vec![Step::EMPTY; count], ..Loop::default() };
    match case["scheduler"].as_str().unwrap() {
        "EDMEulerScheduler" => euler::plan(&process, &times, Churn::NONE, &mut run.plan).unwrap(),
        _ => solve("DPMSolverMultistepScheduler", config, &process, &times, &mut run.plan),
    }
    let sign = if text(config, "prediction_type", "epsilon") == "epsilon" { 1.0 } else { -1.0 };
    for &sigma in &times[..count] {
        let norm = sigma.hypot(data);
        run.timesteps.push(0.25 * sigma.ln());
        run.input_scales.push(1.0 / norm);
        run.conversions.push(Conversion { from_state: (data / norm).powi(2), from_output: sign * sigma * data / norm });
    }
    run
}
