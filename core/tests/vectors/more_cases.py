"""Makes more_diffusers.json: diffusers' DDIM and DDPM over a dummy model, in many configurations.

    pip install diffusers torch && python more_cases.py

It runs the library's own code, with `torch.float32` replaced by `torch.float64` while it does, so that the numbers are good to
some 1e-12 and the test need not allow for float32 tables. Each case says how far the library's usual float32 is from them.
"""

import json
import sys
from pathlib import Path
from unittest import mock

import diffusers
import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler

SIZE, SHAPE = 768, (1, 3, 16, 16)
PROBES = (0, 1, 100, 384, 767)
SCHEDULES = {
    "linear": dict(beta_schedule="linear", beta_start=1e-4, beta_end=0.02),
    "scaled_linear": dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
    "cosine": dict(beta_schedule="squaredcos_cap_v2"),
    "sigmoid": dict(beta_schedule="sigmoid", beta_start=1e-4, beta_end=0.02),
    "trained": dict(trained_betas=[0.01 + 0.03 * (i * 7 % 20) / 20 for i in range(20)]),
}
PREDICTIONS = ("epsilon", "v_prediction", "sample")
SPACINGS = ("leading", "trailing", "linspace")


def noise(step, dtype):
    """Draw of one step: element i is ((7919 i + 104729 (step + 1)) mod 1000 - 499.5) / 288.675."""
    i = torch.arange(SIZE, dtype=torch.int64)
    whole = (7919 * i + 104729 * (step + 1)) % 1000
    return ((whole.to(torch.float64) - 499.5) / 288.675).to(dtype).reshape(SHAPE)


def run(scheduler_class, config, steps, step_args, dtype):
    scheduler = scheduler_class(**config)
    scheduler.set_timesteps(steps)
    x = (torch.arange(SIZE, dtype=torch.float64) / SIZE).to(dtype).reshape(SHAPE)
    timesteps = [int(t) for t in scheduler.timesteps]
    trace = []
    for k, t in enumerate(timesteps):
        output = x * t / (t + 1)
        if scheduler_class is DDIMScheduler:
            extra = dict(variance_noise=noise(k, dtype)) if step_args.get("eta") else {}
            x = scheduler.step(output, t, x, **step_args, **extra).prev_sample
        else:
            # The library adds noise on the way to clean data unless t is 0; the DDPM paper, and core, never do.
            z = noise(k, dtype) * (k + 1 < len(timesteps))
            with mock.patch("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, **__: z):
                x = scheduler.step(output, t, x).prev_sample
        assert x.dtype == dtype, x.dtype
        trace.append(x.flatten()[384].item())
    return timesteps, x.flatten(), trace


class Double:
    """Lets the library compute in float64."""

    def __enter__(self):
        self.patch = mock.patch.object(torch, "float32", torch.float64)
        self.patch.start()
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_):
        self.patch.stop()
        torch.set_default_dtype(torch.float)


def short(values):
    return [float(f"{v:.13g}") for v in values]


def case(name, scheduler_class, config, steps, **step_args):
    config = dict(num_train_timesteps=1000, clip_sample=False) | config
    with Double():
        timesteps, x, trace = run(scheduler_class, config, steps, step_args, torch.float64)
    _, single, _ = run(scheduler_class, config, steps, step_args, torch.float)
    probes = x[list(PROBES)]
    error = (x[list(PROBES)] - single[list(PROBES)].double()).abs().max() / probes.abs().max().clamp(min=1e-30)
    at = list(range(steps)) if steps <= 8 else [round(i * (steps - 1) / 7) for i in range(8)]
    return {
        "name": name,
        "scheduler": scheduler_class.__name__,
        "config": config,
        "steps": steps,
        "step_args": step_args,
        "timesteps": timesteps if steps <= 50 else [timesteps[i] for i in at],
        "trace_at": at,
        "trace_384": short(trace[i] for i in at),
        "sum_abs": short([x.abs().sum().item()])[0],
        "probes": {str(i): v for i, v in zip(PROBES, short(probes.tolist()))},
        "float32_differs_by": float(f"{error.item():.1e}"),
    }


def cases():
    count = 0
    for label in ("linear", "scaled_linear", "cosine", "trained"):
        total = 20 if label == "trained" else 1000
        base = SCHEDULES[label] | dict(num_train_timesteps=total)
        for spacing in SPACINGS:
            for steps in (1, 2, 3, 7, 16) if label == "trained" else (1, 2, 3, 7, 16, 50):
                # Each prediction meets each schedule, spacing and number of steps in turn.
                prediction, count = PREDICTIONS[count % 3], count + 1
                config = base | dict(timestep_spacing=spacing, prediction_type=prediction)
                yield case(f"ddim {label} {spacing} {steps}", DDIMScheduler, config, steps)
            count += 1
    for spacing in SPACINGS:
        for steps in (999, 1000):
            config = SCHEDULES["linear"] | dict(timestep_spacing=spacing, prediction_type="v_prediction")
            yield case(f"ddim linear {spacing} {steps}", DDIMScheduler, config, steps)
    for i, (spacing, eta) in enumerate((s, e) for s in SPACINGS for e in (0.5, 1.0)):
        config = SCHEDULES["linear"] | dict(timestep_spacing=spacing, prediction_type=PREDICTIONS[i % 3])
        yield case(f"ddim eta {eta} {spacing}", DDIMScheduler, config, 9, eta=eta)
    for total, steps in ((50, 7), (100, 100), (250, 16), (10, 3), (2, 2), (4000, 13)):
        config = SCHEDULES["cosine"] | dict(num_train_timesteps=total, timestep_spacing="trailing", prediction_type="sample")
        yield case(f"ddim cosine T={total}", DDIMScheduler, config, steps)
    for offset in (0, 1):
        for eta in (0.0, 1.0):
            config = SCHEDULES["scaled_linear"] | dict(steps_offset=offset, set_alpha_to_one=False)
            yield case(f"ddim offset {offset} to alpha_bar[0] eta {eta}", DDIMScheduler, config, 7, eta=eta)
    for spacing in ("trailing", "linspace"):
        for eta in (0.0, 0.5):
            config = SCHEDULES["scaled_linear"] | dict(
                rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing=spacing
            )
            yield case(f"ddim zero terminal SNR {spacing} eta {eta}", DDIMScheduler, config, 8, eta=eta)
    for prediction in PREDICTIONS:
        config = SCHEDULES["linear"] | dict(
            clip_sample=True, clip_sample_range=0.25, prediction_type=prediction, timestep_spacing="trailing"
        )
        yield case(f"ddim clip {prediction}", DDIMScheduler, config, 6, eta=0.5, use_clipped_model_output=True)
    for i, label in enumerate(SCHEDULES):
        total = 20 if label == "trained" else 1000
        for j, variance in enumerate(("fixed_small", "fixed_large")):
            for k, spacing in enumerate(SPACINGS):
                config = SCHEDULES[label] | dict(
                    num_train_timesteps=total,
                    variance_type=variance,
                    timestep_spacing=spacing,
                    prediction_type=PREDICTIONS[(i + j + k) % 3],
                )
                yield case(f"ddpm {label} {variance} {spacing}", DDPMScheduler, config, (16, 7, 3, 2, 20)[(i + k) % 5])
    for steps, offset in ((1, 0), (5, 1), (250, 0), (1000, 0)):
        config = SCHEDULES["linear"] | dict(steps_offset=offset)
        yield case(f"ddpm linear {steps} offset {offset}", DDPMScheduler, config, steps)
    config = SCHEDULES["sigmoid"] | dict(num_train_timesteps=250, variance_type="fixed_large", prediction_type="sample")
    yield case("ddpm sigmoid T=250", DDPMScheduler, config, 10)
    config = SCHEDULES["linear"] | dict(
        rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing", variance_type="fixed_large"
    )
    yield case("ddpm zero terminal SNR", DDPMScheduler, config, 8)
    config = SCHEDULES["linear"] | dict(clip_sample=True, clip_sample_range=0.25, prediction_type="v_prediction")
    yield case("ddpm clip", DDPMScheduler, config, 6)


def tables():
    """beta and alpha_bar at some timesteps, in float64."""
    for label, base in SCHEDULES.items():
        for total in (20,) if label == "trained" else (1, 2, 10, 250, 1000):
            for rescale in (False, True) if total > 1 else (False,):
                config = base | dict(num_train_timesteps=total, rescale_betas_zero_snr=rescale)
                with Double():
                    scheduler = DDPMScheduler(**config)
                    at = sorted({min(i, total - 1) for i in (0, 1, 5, total // 2, total - 2, total - 1) if i >= 0})
                    yield {
                        "config": config,
                        "at": at,
                        "beta": short(scheduler.betas[at].tolist()),
                        "alpha_bar": short(scheduler.alphas_cumprod[at].tolist()),
                    }


def every_spacing():
    """For each spacing, the sum over k of (k + 1) timestep_k, for every number of steps from 1 to T. None where the
    library visits one timestep more than asked (rounding in numpy.arange)."""
    for total in (1000, 77):
        for spacing in SPACINGS:
            scheduler = DDIMScheduler(num_train_timesteps=total, timestep_spacing=spacing)
            sums = []
            for steps in range(1, total + 1):
                scheduler.set_timesteps(steps)
                t = scheduler.timesteps.numpy()
                sums.append(int((np.arange(1, len(t) + 1) * t).sum()) if len(t) == steps else None)
            yield {"T": total, "spacing": spacing, "weighted_sums": sums}


def main():
    made = {
        "made_with": f"more_cases.py, diffusers {diffusers.__version__}, torch {torch.__version__}, float64",
        "sample": "i / 768 for i in 0..768",
        "model": "x t / (t + 1), t the timestep",
        "noise": noise.__doc__,
    }
    lists = {"tables": list(tables()), "spacings": list(every_spacing()), "cases": list(cases())}
    text = ["{"] + [f"{json.dumps(k)}:{json.dumps(v)}," for k, v in made.items()]
    for i, (key, rows) in enumerate(lists.items()):
        text.append(f"{json.dumps(key)}:[")
        text.append(",\n".join(json.dumps(row, separators=(",", ":")) for row in rows))
        text.append("]" + "," * (i + 1 < len(lists)))
    text.append("}\n")
    path = Path(__file__).with_name("more_diffusers.json")
    path.write_text("\n".join(text))
    print(f"{path}: {path.stat().st_size} bytes, {len(lists['cases'])} cases", file=sys.stderr)
    for c in lists["cases"]:
        if c["float32_differs_by"] > 3e-5:
            print("float32 is far from float64 in", c["name"], c["config"].get("prediction_type"), c["float32_differs_by"], file=sys.stderr)
    for s in lists["spacings"]:
        odd = [i + 1 for i, v in enumerate(s["weighted_sums"]) if v is None]
        if odd:
            print("one timestep too many:", s["T"], s["spacing"], odd, file=sys.stderr)


if __name__ == "__main__":
    main()
