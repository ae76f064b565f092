"""Lets diffusers write some scheduler_config.json files, as pipelines keep them, and lists their timesteps.

    pip install diffusers torch scipy && python make.py
"""

import json
from pathlib import Path

import diffusers

FOLDER = Path(__file__).parent
LATENT = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
MADE = {
    "pndm_latent": diffusers.PNDMScheduler(**LATENT, skip_prk_steps=True),
    "ddim_v": diffusers.DDIMScheduler(**LATENT, clip_sample=False, set_alpha_to_one=False, prediction_type="v_prediction"),
    "ddpm_pixels": diffusers.DDPMScheduler(variance_type="fixed_large"),
    "euler_latent": diffusers.EulerDiscreteScheduler(**LATENT, timestep_spacing="leading"),
    "dpm_karras": diffusers.DPMSolverMultistepScheduler(**LATENT, use_karras_sigmas=True),
    "unipc_flow": diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    "flow_shift": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    "dpm_thresholding": diffusers.DPMSolverMultistepScheduler(thresholding=True),
    "flow_dynamic": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
}

timesteps = {}
for name, scheduler in MADE.items():
    (FOLDER / f"{name}.json").write_text(scheduler.to_json_string())
    if not scheduler.config.get("use_dynamic_shifting"):
        scheduler.set_timesteps(20)
        timesteps[name] = [round(t, 3) for t in scheduler.timesteps.tolist()]
(FOLDER / "timesteps.json").write_text(json.dumps(timesteps, indent=1) + "\n")
