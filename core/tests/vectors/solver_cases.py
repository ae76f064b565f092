"""Makes solvers.json: diffusers' solvers of higher order over the dummy model of more_cases.py, in float64.

    pip install diffusers torch scipy && python solver_cases.py

As in more_cases.py the library's own code runs, with float32 replaced by float64. Left out is what the library does otherwise than its paper:
Euler's churn (the model is asked before the noise is added), order 3 of DPM-Solver++'s SDE (a wrong sign), v predictions in PNDM (extrapolated as they
are, then converted at another time), and IPNDM from pure noise (the estimate there is lost in a division by 1e-8). Model: x t / (t + 1), where x is the model's input (Euler-like
schedulers scale it first) and t the timestep as the scheduler lists it. Start: the sample, times init_noise_sigma.
"""

import json
import math
import sys
import types
from pathlib import Path
from unittest import mock

import diffusers
import numpy as np
import torch
from more_cases import PROBES, SHAPE, SIZE, Double, noise, short

# Only its Brownian tree is used, and that is replaced here.
sys.modules.setdefault("torchsde", types.ModuleType("torchsde"))
from diffusers.schedulers.scheduling_cosine_dpmsolver_multistep import CosineDPMSolverMultistepScheduler  # noqa: E402
from diffusers.schedulers.scheduling_dpmsolver_sde import DPMSolverSDEScheduler  # noqa: E402

BEHIND_TORCHSDE = {cls.__name__: cls for cls in (CosineDPMSolverMultistepScheduler, DPMSolverSDEScheduler)}

SCHEDULES = {
    "linear": dict(beta_schedule="linear", beta_start=1e-4, beta_end=0.02),
    "scaled": dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
    "cosine": dict(beta_schedule="squaredcos_cap_v2"),
}


def one_path(scheduler, k):
    """Noise for a DPM-Solver++ SDE step whose two pieces belong to one Brownian path of the SDE itself."""
    pieces = []

    def sampler(sigma_from, sigma_to):
        piece = noise(k[0], torch.float64)
        if not pieces:
            pieces.append((sigma_from, sigma_to, piece))
            return piece
        start, middle, first = pieces.pop()
        up = lambda a, b: (b**2 * (a**2 - b**2) / a**2) ** 0.5
        kept = sigma_to**2 / middle**2
        return (kept * up(start, middle) * first + up(middle, sigma_to) * piece) / up(start, sigma_to)

    return sampler


def run(name, config, steps, step_args):
    cls = BEHIND_TORCHSDE.get(name) or getattr(diffusers, name)
    scheduler = cls(**config)
    scheduler.set_timesteps(steps)
    x = (torch.arange(SIZE, dtype=torch.float64) / SIZE).reshape(SHAPE) 
    flow = name.startswith("FlowMatch")
    x = x if flow else x * scheduler.init_noise_sigma
    at = [0]
    if name == "DPMSolverSDEScheduler":
        scheduler.noise_sampler = one_path(scheduler, at)
    if name == "CosineDPMSolverMultistepScheduler":
        scheduler.noise_sampler = lambda *_: noise(at[0], torch.float64)
    module = sys.modules[cls.__module__]
    timesteps, trace = [], []
    draw = lambda *_, **__: noise(at[0], torch.float64)
    patch = mock.patch.object(module, "randn_tensor", draw) if hasattr(module, "randn_tensor") else mock.MagicMock()
    with patch:
        for k, t in enumerate(scheduler.timesteps):
            at[0] = k
            scaled = x if flow else scheduler.scale_model_input(x, t)
            output = scaled * t.double() / (t.double() + 1)
            x = scheduler.step(output, t, x, **step_args).prev_sample
            assert x.dtype == torch.float64, (name, x.dtype)
            timesteps.append(t.item())
            trace.append(x.flatten()[384].item())
    sigmas = getattr(scheduler, "sigmas", None)
    return timesteps, None if sigmas is None else [s.item() for s in sigmas], x.flatten(), trace


def case(name, config, steps, **step_args):
    defaults = {} if name.startswith(("EDM", "FlowMatch", "IPNDM", "Cosine")) else dict(num_train_timesteps=1000)
    config = defaults | config
    with Double(), mock.patch.object(np, "float32", np.float64):
        timesteps, sigmas, x, trace = run(name, config, steps, step_args)
    rows = len(timesteps)
    at = list(range(rows)) if rows <= 8 else [round(i * (rows - 1) / 7) for i in range(8)]
    label = [name] + [f"{k}={v}" for k, v in (config | step_args).items() if not k.startswith(("beta_", "num_"))]
    return {
        "name": " ".join(label + [config.get("beta_schedule", ""), str(steps)]),
        "scheduler": name,
        "config": config,
        "steps": steps,
        "step_args": step_args,
        "timesteps": short(timesteps),
        "sigmas": [] if sigmas is None or rows > 30 else short(sigmas),
        "trace_at": at,
        "trace_384": short(trace[i] for i in at),
        "sum_abs": short([x.abs().sum().item()])[0],
        "probes": {str(i): v for i, v in zip(PROBES, short(x[list(PROBES)].tolist()))},
    }


def multistep():
    name, linear, scaled, cosine = "DPMSolverMultistepScheduler", *SCHEDULES.values()
    for order in (1, 2, 3):
        for i, spacing in enumerate(("linspace", "leading", "trailing")):
            prediction = ("epsilon", "v_prediction", "sample")[(order + i) % 3]
            schedule = (linear, scaled, cosine)[(order + 2 * i) % 3]
            if prediction == "epsilon" and schedule is cosine:
                schedule = linear
            yield case(name, schedule | dict(solver_order=order, timestep_spacing=spacing, prediction_type=prediction), 5 + 3 * i)
    for order in (2, 3):
        for kind in ("midpoint", "heun"):
            yield case(name, scaled | dict(solver_order=order, solver_type=kind, prediction_type="v_prediction"), 20)
            yield case(name, linear | dict(solver_order=order, solver_type=kind, final_sigmas_type="sigma_min"), 16)
    # Below 15 steps, since at full order the library divides by the length of a last step that goes nowhere.
    for sigmas in ("karras", "exponential", "beta", "lu"):
        key = "use_lu_lambdas" if sigmas == "lu" else f"use_{sigmas}_sigmas"
        yield case(name, scaled | {"solver_order": 2, key: True}, 9)
        yield case(name, scaled | {"solver_order": 3, key: True, "final_sigmas_type": "sigma_min", "prediction_type": "v_prediction"}, 11)
    yield case(name, scaled | dict(solver_order=2, final_sigmas_type="sigma_min", euler_at_final=True, lower_order_final=False), 20)
    yield case(name, scaled | dict(solver_order=3, lower_order_final=False), 12)
    yield case(name, cosine | dict(solver_order=2, lambda_min_clipped=-5.1, prediction_type="epsilon"), 10)
    yield case(name, linear | dict(solver_order=2, timestep_spacing="leading", steps_offset=1), 7)
    yield case(name, scaled | dict(solver_order=2, rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"), 8)
    for order in (1, 2, 3):
        yield case(name, scaled | dict(solver_order=order, algorithm_type="dpmsolver", final_sigmas_type="sigma_min"), 12)
    yield case(name, linear | dict(solver_order=2, algorithm_type="dpmsolver", solver_type="heun", final_sigmas_type="sigma_min", prediction_type="v_prediction"), 16)
    # Order 3 of the library's SDE has a wrong sign in one coefficient, and is left out.
    for order, kind in ((1, "midpoint"), (2, "midpoint"), (2, "heun")):
        yield case(name, scaled | dict(solver_order=order, algorithm_type="sde-dpmsolver++", solver_type=kind), 11)
    yield case(name, scaled | dict(solver_order=2, algorithm_type="sde-dpmsolver++", use_karras_sigmas=True), 15)
    for order, shift in ((2, 1.0), (3, 3.0)):
        yield case(name, dict(solver_order=order, use_flow_sigmas=True, flow_shift=shift, prediction_type="flow_prediction"), 10)


def others():
    linear, scaled, cosine = SCHEDULES.values()
    single = "DPMSolverSinglestepScheduler"
    for order, steps, kind in ((1, 6, "midpoint"), (2, 7, "midpoint"), (2, 10, "heun"), (3, 9, "midpoint"), (3, 10, "heun"), (3, 11, "heun")):
        prediction = "v_prediction" if steps % 2 else "epsilon"
        yield case(single, scaled | dict(solver_order=order, solver_type=kind, lower_order_final=True, prediction_type=prediction), steps)
    yield case(single, linear | dict(solver_order=2, algorithm_type="dpmsolver", final_sigmas_type="sigma_min"), 8)
    yield case(single, linear | dict(solver_order=2, use_karras_sigmas=True, lower_order_final=True), 8)

    uni = "UniPCMultistepScheduler"
    for order in (1, 2, 3):
        # With bh1 the library divides infinities in a last step to sigma 0.
        for kind, last in (("bh1", "sigma_min"), ("bh2", "zero")):
            prediction = ("epsilon", "v_prediction", "sample")[order % 3]
            spacing = ("linspace", "leading", "trailing")[order % 3]
            yield case(uni, scaled | dict(solver_order=order, solver_type=kind, prediction_type=prediction, timestep_spacing=spacing, final_sigmas_type=last), 10)
            yield case(uni, linear | dict(solver_order=order, solver_type=kind, predict_x0=False, final_sigmas_type="sigma_min"), 8)
    yield case(uni, scaled | dict(solver_order=2, use_karras_sigmas=True), 10)
    yield case(uni, scaled | dict(solver_order=3, lower_order_final=False, final_sigmas_type="sigma_min"), 20)
    yield case(uni, scaled | dict(solver_order=2, rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"), 6)
    yield case(uni, dict(solver_order=2, use_flow_sigmas=True, flow_shift=3.0, prediction_type="flow_prediction"), 10)

    deis = "DEISMultistepScheduler"
    for order in (1, 2, 3):
        prediction = ("epsilon", "v_prediction", "sample")[order % 3]
        spacing = ("linspace", "leading", "trailing")[order % 3]
        yield case(deis, scaled | dict(solver_order=order, prediction_type=prediction, timestep_spacing=spacing), 10)
        yield case(deis, linear | dict(solver_order=order), 17)
    yield case(deis, scaled | dict(solver_order=3, use_karras_sigmas=True), 9)
    yield case(deis, scaled | dict(solver_order=2, lower_order_final=False, prediction_type="v_prediction"), 6)

    for name in ("EulerDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler", "EulerAncestralDiscreteScheduler"):
        ancestral = "Ancestral" in name
        yield case(name, linear, 7)
        yield case(name, scaled | dict(timestep_spacing="leading", steps_offset=1, prediction_type="v_prediction"), 6)
        yield case(name, scaled | dict(timestep_spacing="trailing"), 12)
        if not ancestral:
            yield case(name, scaled | dict(prediction_type="sample"), 5)
            yield case(name, scaled | dict(use_karras_sigmas=True), 10)
            yield case(name, linear | dict(use_exponential_sigmas=True, prediction_type="v_prediction"), 8)
            yield case(name, linear | dict(use_beta_sigmas=True), 8)
    yield case("EulerDiscreteScheduler", scaled | dict(final_sigmas_type="sigma_min"), 10)
    yield case("EulerDiscreteScheduler", scaled | dict(use_karras_sigmas=True, sigma_min=0.1, sigma_max=10.0), 10)
    yield case("EulerDiscreteScheduler", scaled | dict(rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"), 8)
    yield case("HeunDiscreteScheduler", scaled | dict(clip_sample=True, clip_sample_range=0.5), 8)
    for order in (1, 2, 3):
        yield case("LMSDiscreteScheduler", scaled, 8, order=order)
    yield case("DPMSolverSDEScheduler", scaled | dict(noise_sampler_seed=0), 6)
    yield case("DPMSolverSDEScheduler", scaled | dict(use_karras_sigmas=True, prediction_type="v_prediction"), 7)

    for steps in (2, 3, 4, 5, 10, 30):
        yield case("PNDMScheduler", scaled | dict(skip_prk_steps=True, steps_offset=steps % 2, set_alpha_to_one=steps > 4), steps)
    for steps in (3, 7):
        betas = [math.sin(math.pi / 2 * 0.97 * (1 - i / steps)) ** 2 for i in range(steps + 1)]
        yield case("IPNDMScheduler", dict(trained_betas=betas), steps)

    for config in (dict(shift=3.0), dict(shift=1.0), dict(use_karras_sigmas=True), dict(use_beta_sigmas=True, shift=2.0)):
        yield case("FlowMatchEulerDiscreteScheduler", config, 7)
    # On the cosine chain the first estimates exceed 1.
    threshold = dict(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=1.5)
    yield case("DPMSolverMultistepScheduler", cosine | threshold, 8)
    yield case("UniPCMultistepScheduler", cosine | threshold, 8)
    yield case("DEISMultistepScheduler", cosine | threshold, 8)
    for shift, steps in ((1.0, 6), (3.0, 9)):
        yield case("FlowMatchHeunDiscreteScheduler", dict(shift=shift), steps)
    yield case("EDMEulerScheduler", dict(), 9)
    yield case("EDMEulerScheduler", dict(sigma_schedule="exponential", sigma_min=0.01, prediction_type="v_prediction"), 6)
    for order, kind in ((2, "midpoint"), (2, "heun"), (3, "midpoint")):
        yield case("EDMDPMSolverMultistepScheduler", dict(solver_order=order, solver_type=kind), 12)


def main():
    made = {"made_with": f"solver_cases.py, diffusers {diffusers.__version__}, torch {torch.__version__}, float64", "model": __doc__.split("Model: ")[1].strip()}
    cases = list(multistep()) + list(others())
    for c in cases:
        values = list(c["probes"].values()) + c["trace_384"]
        if not all(math.isfinite(v) and abs(v) < 1e9 for v in values):
            print("not usable:", c["name"], values, file=sys.stderr)
    text = json.dumps(made)[:-1] + ',"cases":[\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]}\n"
    path = Path(__file__).with_name("solvers.json")
    path.write_text(text)
    print(f"{path}: {path.stat().st_size} bytes, {len(cases)} cases", file=sys.stderr)


if __name__ == "__main__":
    main()
