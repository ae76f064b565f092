"""Makes wider.json: configurations of diffusers' solvers drawn at random, over the dummy model of more_cases.py, in float64.

    pip install diffusers torch scipy && python wider_cases.py [CASES OF EACH CLASS] [SEED] [FILE]

Where solver_cases.py looks at one option after another, this tries them together. What the library refuses, and what it makes infinities of, is left
out, and so is what solver_cases.py leaves out, the SDE of the singlestep solver, Runge-Kutta steps of PNDM
and inverted sigmas. Timesteps are listed as float64 has them; `timesteps_32` are those of float32 where they differ.
"""

import json
import math
import random
import sys
import warnings
from pathlib import Path

import diffusers
import torch
from solver_cases import BEHIND_TORCHSDE, case

SCHEDULES = (
    dict(beta_schedule="linear", beta_start=1e-4, beta_end=0.02),
    dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
    dict(beta_schedule="squaredcos_cap_v2"),
    dict(),
)
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 20, 25, 30, 50)
THRESHOLD = dict(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=1.5)


def chain(draw, predictions=("epsilon", "v_prediction", "sample")):
    config = dict(draw.choice(SCHEDULES))
    if draw.random() < 0.2:
        config["num_train_timesteps"] = draw.choice((100, 250, 2000))
    config["prediction_type"] = draw.choice(predictions)
    return config


def spacing(draw, config):
    config["timestep_spacing"] = draw.choice(("linspace", "leading", "trailing"))
    if draw.random() < 0.3:
        config["steps_offset"] = 1


def respacing(draw, config, kinds=("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")):
    if draw.random() < 0.5:
        config[draw.choice(kinds)] = True


def maybe(draw, config, key, *values, chance=0.5):
    if draw.random() < chance:
        config[key] = draw.choice(values)


def sometimes_thresholded(draw, config):
    if draw.random() < 0.15:
        config.update(THRESHOLD)


def multistep(draw):
    config = chain(draw)
    spacing(draw, config)
    respacing(draw, config, ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas"))
    config["solver_order"] = draw.choice((1, 2, 3))
    config["algorithm_type"] = draw.choice(("dpmsolver++", "dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver"))
    if config["algorithm_type"] == "sde-dpmsolver":
        # Of third order the library has none.
        config["solver_order"] = draw.choice((1, 2))
    maybe(draw, config, "solver_type", "midpoint", "heun")
    maybe(draw, config, "lower_order_final", False, True)
    maybe(draw, config, "euler_at_final", True, False, chance=0.3)
    maybe(draw, config, "final_sigmas_type", "sigma_min", "zero")
    maybe(draw, config, "lambda_min_clipped", -5.1, chance=0.2)
    maybe(draw, config, "rescale_betas_zero_snr", True, chance=0.15)
    if config.get("use_flow_sigmas"):
        config["prediction_type"] = "flow_prediction"
        config["flow_shift"] = draw.choice((1.0, 2.5, 5.0))
    if config["algorithm_type"] in ("dpmsolver", "sde-dpmsolver"):
        # The library refuses the other.
        config["final_sigmas_type"] = "sigma_min"
    sometimes_thresholded(draw, config)
    return config


def singlestep(draw):
    config = multistep(draw)
    config["algorithm_type"] = draw.choice(("dpmsolver++",) + ("dpmsolver",) * (config.get("final_sigmas_type") == "sigma_min"))
    for key in ("timestep_spacing", "steps_offset", "euler_at_final", "use_lu_lambdas", "rescale_betas_zero_snr"):
        config.pop(key, None)
    return config


def deis(draw):
    config = chain(draw)
    spacing(draw, config)
    respacing(draw, config, ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_flow_sigmas"))
    config["solver_order"] = draw.choice((1, 2, 3))
    maybe(draw, config, "lower_order_final", False, True)
    if config.get("use_flow_sigmas"):
        config["prediction_type"] = "flow_prediction"
        config["flow_shift"] = draw.choice((1.0, 3.0))
    sometimes_thresholded(draw, config)
    return config


def unipc(draw):
    config = deis(draw)
    maybe(draw, config, "solver_type", "bh1", "bh2")
    maybe(draw, config, "predict_x0", False)
    maybe(draw, config, "final_sigmas_type", "sigma_min", "zero")
    maybe(draw, config, "rescale_betas_zero_snr", True, chance=0.15)
    if draw.random() < 0.15:
        config.update(sigma_min=0.05, sigma_max=12.0)
    if draw.random() < 0.15:
        config["disable_corrector"] = draw.choice(([0], [0, 1], [2]))
    if config.get("use_flow_sigmas") and draw.random() < 0.3:
        config["use_karras_sigmas"] = True
    if config.get("use_flow_sigmas") and draw.random() < 0.3:
        config["shift_terminal"] = 0.1
    return config


def over_sigma(draw, *more, predictions=("epsilon", "v_prediction", "sample")):
    config = chain(draw, predictions)
    spacing(draw, config)
    if "sigmas" in more:
        respacing(draw, config)
    return config


def euler(draw):
    config = over_sigma(draw, "sigmas")
    maybe(draw, config, "final_sigmas_type", "sigma_min", "zero")
    maybe(draw, config, "rescale_betas_zero_snr", True, chance=0.15)
    maybe(draw, config, "interpolation_type", "log_linear", "linear", chance=0.2)
    maybe(draw, config, "timestep_type", "continuous", chance=0.15)
    if draw.random() < 0.15:
        config.update(sigma_min=0.05, sigma_max=12.0)
    return config


def euler_ancestral(draw):
    config = over_sigma(draw, predictions=("epsilon", "v_prediction"))
    maybe(draw, config, "rescale_betas_zero_snr", True, chance=0.3)
    return config


def heun(draw):
    config = over_sigma(draw, "sigmas")
    if draw.random() < 0.3:
        config.update(clip_sample=True, clip_sample_range=draw.choice((0.5, 1.0)))
    maybe(draw, config, "beta_schedule", "exp", chance=0.2)
    return config


def linear_multistep(draw):
    return over_sigma(draw, "sigmas")


def second_order(draw):
    return over_sigma(draw, "sigmas", predictions=("epsilon", "v_prediction"))


def pndm(draw):
    config = chain(draw, ("epsilon", "v_prediction"))
    spacing(draw, config)
    # Runge-Kutta steps are not done.
    config["skip_prk_steps"] = True
    maybe(draw, config, "set_alpha_to_one", True)
    return config


def ipndm(draw):
    return {}


def flow_euler(draw):
    config = dict(shift=draw.choice((1.0, 3.0, 6.0)))
    respacing(draw, config)
    maybe(draw, config, "num_train_timesteps", 500, chance=0.2)
    maybe(draw, config, "shift_terminal", 0.1, chance=0.2)
    maybe(draw, config, "stochastic_sampling", True, chance=0.2)
    return config


def flow_heun(draw):
    config = dict(shift=draw.choice((1.0, 3.0, 6.0)))
    maybe(draw, config, "num_train_timesteps", 500, chance=0.2)
    return config


def edm(draw):
    config = dict(sigma_schedule=draw.choice(("karras", "exponential")), prediction_type=draw.choice(("epsilon", "v_prediction")))
    maybe(draw, config, "sigma_min", 0.02, chance=0.3)
    maybe(draw, config, "sigma_max", 20.0, chance=0.3)
    maybe(draw, config, "sigma_data", 1.0, 0.7)
    maybe(draw, config, "rho", 3.0, chance=0.3)
    maybe(draw, config, "final_sigmas_type", "sigma_min", chance=0.3)
    return config


def edm_multistep(draw):
    config = edm(draw)
    config["solver_order"] = draw.choice((1, 2, 3))
    config["algorithm_type"] = draw.choice(("dpmsolver++", "dpmsolver++", "sde-dpmsolver++"))
    maybe(draw, config, "solver_type", "midpoint", "heun")
    maybe(draw, config, "lower_order_final", False, True)
    maybe(draw, config, "euler_at_final", True, False, chance=0.3)
    sometimes_thresholded(draw, config)
    return config


def cosine_multistep(draw):
    config = edm(draw)
    config["solver_order"] = draw.choice((1, 2))
    maybe(draw, config, "solver_type", "midpoint", "heun")
    maybe(draw, config, "lower_order_final", False, True)
    return config


def ddpm(draw):
    """Ends at timestep 0: from others the library adds noise on the way to clean data, which the paper and core never do."""
    config = chain(draw)
    config["timestep_spacing"] = draw.choice(("leading", "linspace"))
    maybe(draw, config, "beta_schedule", "laplace", "sigmoid")
    maybe(draw, config, "variance_type", "fixed_small", "fixed_large")
    config["clip_sample"] = draw.choice((True, False))
    sometimes_thresholded(draw, config)
    return config


def ddim(draw):
    config = chain(draw)
    spacing(draw, config)
    maybe(draw, config, "set_alpha_to_one", False, chance=0.3)
    maybe(draw, config, "rescale_betas_zero_snr", True, chance=0.2)
    if draw.random() < 0.3:
        config.update(clip_sample=draw.choice((True, False)), clip_sample_range=draw.choice((0.5, 1.0)))
    sometimes_thresholded(draw, config)
    return config


CLASSES = dict(
    DPMSolverMultistepScheduler=multistep,
    DPMSolverSinglestepScheduler=singlestep,
    DEISMultistepScheduler=deis,
    UniPCMultistepScheduler=unipc,
    EulerDiscreteScheduler=euler,
    EulerAncestralDiscreteScheduler=euler_ancestral,
    HeunDiscreteScheduler=heun,
    LMSDiscreteScheduler=linear_multistep,
    KDPM2DiscreteScheduler=second_order,
    KDPM2AncestralDiscreteScheduler=second_order,
    DPMSolverSDEScheduler=second_order,
    PNDMScheduler=pndm,
    IPNDMScheduler=ipndm,
    FlowMatchEulerDiscreteScheduler=flow_euler,
    FlowMatchHeunDiscreteScheduler=flow_heun,
    EDMEulerScheduler=edm,
    EDMDPMSolverMultistepScheduler=edm_multistep,
    CosineDPMSolverMultistepScheduler=cosine_multistep,
    DDIMScheduler=ddim,
    DDPMScheduler=ddpm,
)


def cases(per_class, seed):
    for name, make in CLASSES.items():
        draw = random.Random(f"{name} {seed}")
        made, tried, seen = 0, 0, set()
        while made < per_class and tried < 20 * per_class:
            tried += 1
            config, steps = make(draw), draw.choice(COUNTS)
            key = json.dumps([config, steps], sort_keys=True)
            if key in seen:
                continue
            seen.add(key)
            defaults = {} if name.startswith(("EDM", "FlowMatch", "IPNDM", "Cosine")) else dict(num_train_timesteps=1000)
            # The library's DDIM keeps the noise of the estimate as it was before it was clipped, unless it is told otherwise.
            args = dict(use_clipped_model_output=True) if name == "DDIMScheduler" else {}
            try:
                found = case(name, defaults | config, steps, **args)
                narrow = [float(t) for t in run_narrow(name, defaults | config, steps)]
            except (ValueError, NotImplementedError, IndexError, UnboundLocalError, TypeError, ZeroDivisionError, RuntimeError, AssertionError) as error:
                print("refused by the library:", name, config, steps, repr(error)[:120], file=sys.stderr)
                continue
            values = list(found["probes"].values()) + found["trace_384"]
            if not all(math.isfinite(v) and abs(v) < 1e9 for v in values):
                print("not finite:", name, config, steps, file=sys.stderr)
                continue
            if any(abs(a - b) > 1e-3 * max(1, abs(b)) for a, b in zip(narrow, found["timesteps"])):
                found["timesteps_32"] = narrow
            made += 1
            yield found


def run_narrow(name, config, steps):
    cls = BEHIND_TORCHSDE.get(name) or getattr(diffusers, name)
    scheduler = cls(**config)
    scheduler.set_timesteps(steps)
    return [t.item() for t in scheduler.timesteps]


def main():
    warnings.simplefilter("ignore")
    diffusers.utils.logging.set_verbosity_error()
    per_class = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    path = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(__file__).with_name("wider.json")
    made = {"made_with": f"wider_cases.py, diffusers {diffusers.__version__}, torch {torch.__version__}, float64"}
    found = list(cases(per_class, seed))
    text = json.dumps(made)[:-1] + ',"cases":[\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in found) + "\n]}\n"
    path.write_text(text)
    print(f"{path}: {path.stat().st_size} bytes, {len(found)} cases", file=sys.stderr)


if __name__ == "__main__":
    main()
