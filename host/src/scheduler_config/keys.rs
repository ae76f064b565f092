//! Which keys each class of scheduler has, and their values.

use super::SchedulerConfig;
use crate::error::Error;
use serde_json::Value;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident: $keys:expr),+ $(,)?) => {
        /// Classes of diffusers that have a counterpart here; named without `Scheduler`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Class { $($(#[$doc])* $name),+ }

        impl Class {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name as configurations have it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => concat!(stringify!($name), "Scheduler")),+ }
            }

            /// Groups of keys that it heeds.
            fn keys(self) -> &'static [&'static [&'static str]] {
                match self { $(Self::$name => $keys),+ }
            }
        }
    };
}

const CHAIN: &[&str] =
    &["num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type"];
const SPACING: &[&str] = &["timestep_spacing", "steps_offset"];
const CLIP: &[&str] = &["clip_sample", "clip_sample_range"];
const THRESHOLDING: &[&str] = &["thresholding", "dynamic_thresholding_ratio", "sample_max_value"];
const ZERO_SNR: &[&str] = &["rescale_betas_zero_snr"];
const SIGMAS: &[&str] = &["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"];
const FLOW: &[&str] = &["use_flow_sigmas", "flow_shift"];
const ORDER: &[&str] = &["solver_order", "solver_type", "lower_order_final"];

const KARRAS_ENDS: &[&str] = &["sigma_min", "sigma_max"];
const EDM: &[&str] =
    &["sigma_min", "sigma_max", "sigma_data", "sigma_schedule", "rho", "prediction_type", "final_sigmas_type"];

classes! {
    /// DDIM.
    DDIM: &[CHAIN, THRESHOLDING, SPACING, CLIP, ZERO_SNR, &["set_alpha_to_one"]],
    /// DDIM, the same.
    DDIMParallel: &[CHAIN, THRESHOLDING, SPACING, CLIP, ZERO_SNR, &["set_alpha_to_one"]],
    /// DDPM.
    DDPM: &[CHAIN, THRESHOLDING, SPACING, CLIP, ZERO_SNR, &["variance_type"]],
    /// DDPM, the same.
    DDPMParallel: &[CHAIN, THRESHOLDING, SPACING, CLIP, ZERO_SNR, &["variance_type"]],
    /// PNDM, without Runge-Kutta steps.
    PNDM: &[CHAIN, SPACING, &["skip_prk_steps", "set_alpha_to_one"]],
    /// Improved PNDM.
    IPNDM: &[&["trained_betas"]],
    /// Euler in sigma.
    EulerDiscrete: &[CHAIN, SPACING, SIGMAS, KARRAS_ENDS, ZERO_SNR, &["final_sigmas_type", "interpolation_type", "timestep_type"]],
    /// Ancestral Euler.
    EulerAncestralDiscrete: &[CHAIN, SPACING, ZERO_SNR],
    /// Heun in sigma.
    HeunDiscrete: &[CHAIN, SPACING, SIGMAS, CLIP],
    /// Linear multistep.
    LMSDiscrete: &[CHAIN, SPACING, SIGMAS],
    /// DPM-Solver-2.
    KDPM2Discrete: &[CHAIN, SPACING, SIGMAS],
    /// Ancestral DPM-Solver-2.
    KDPM2AncestralDiscrete: &[CHAIN, SPACING, SIGMAS],
    /// DPM-Solver++ SDE, of k-diffusion. Its noises are independent here, in the library pieces of one path.
    DPMSolverSDE: &[CHAIN, SPACING, SIGMAS],
    /// DPM-Solver++, DPM-Solver, and their SDEs.
    DPMSolverMultistep: &[
        CHAIN,
        THRESHOLDING,
        SPACING,
        SIGMAS,
        FLOW,
        ORDER,
        ZERO_SNR,
        &["algorithm_type", "euler_at_final", "final_sigmas_type", "lambda_min_clipped", "use_lu_lambdas"],
    ],
    /// Singlestep DPM-Solver++ and DPM-Solver.
    DPMSolverSinglestep: &[
        CHAIN,
        THRESHOLDING,
        SIGMAS,
        FLOW,
        ORDER,
        &["algorithm_type", "final_sigmas_type", "lambda_min_clipped"],
    ],
    /// DEIS.
    DEISMultistep: &[CHAIN, THRESHOLDING, SPACING, SIGMAS, FLOW, ORDER, &["algorithm_type"]],
    /// UniPC.
    UniPCMultistep: &[
        CHAIN,
        THRESHOLDING,
        SPACING,
        SIGMAS,
        KARRAS_ENDS,
        FLOW,
        ORDER,
        ZERO_SNR,
        &["predict_x0", "final_sigmas_type", "disable_corrector", "shift_terminal"],
    ],
    /// Flow matching, Euler.
    FlowMatchEulerDiscrete: &[&["num_train_timesteps", "shift", "shift_terminal", "stochastic_sampling"], SIGMAS],
    /// Flow matching, Heun.
    FlowMatchHeunDiscrete: &[&["num_train_timesteps", "shift"]],
    /// Euler with EDM's preconditioning.
    EDMEuler: &[EDM],
    /// DPM-Solver++ with EDM's preconditioning.
    EDMDPMSolverMultistep: &[EDM, THRESHOLDING, ORDER, &["algorithm_type", "euler_at_final"]],
    /// DPM-Solver++'s SDE with EDM's preconditioning, told the angle of the noise level.
    CosineDPMSolverMultistep: &[EDM, ORDER, &["euler_at_final"]],
}

impl Class {
    /// Whether the class does something about a key.
    pub(super) fn heeds(self, key: &str) -> bool {
        self.keys().iter().any(|group| group.contains(&key))
    }
}

/// Parameters of what is refused when it is switched on, and so without effect.
const PARAMETERS: &[&str] = &["time_shift_type", "base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len"];

impl SchedulerConfig {
    /// Refuses keys that ask for something which the class would heed in the library and nothing does here.
    pub(super) fn check_keys(&self) -> Result<(), Error> {
        for (key, value) in &self.values {
            let key = key.as_str();
            // DPM-Solver of the library cuts a learnt variance off the network's output; DDPM's key of that name is another matter.
            let cuts_output = key == "variance_type" && self.class.name().starts_with("DPM");
            let known = Class::ALL.iter().any(|class| class.heeds(key)) && !cuts_output;
            let off = matches!(value, Value::Null | Value::Bool(false)) || value.as_array().is_some_and(Vec::is_empty);
            if !(known || off || PARAMETERS.contains(&key)) {
                return Err(self.fail(format!("{key} = {value} asks for what is not done here")));
            }
        }
        Ok(())
    }

    pub(super) fn fail(&self, reason: String) -> Error {
        Error::Scheduler { file: self.name.clone(), reason }
    }

    /// A value that the class heeds and that is not `null`.
    fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| self.class.heeds(key) && !value.is_null())
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.fail(format!("{key} = {value} must be {wanted}")))
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub(super) fn count(&self, key: &str, default: usize) -> Result<usize, Error> {
        let most = 1 << 24;
        let read = |value: &Value| value.as_u64().filter(|&count| count <= most).map(|count| count as usize);
        Ok(self.typed(key, "a whole number up to 16777216", read)?.unwrap_or(default))
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        Ok(self.typed(key, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// A list of whole numbers, at least 0; none at all if there is no such key.
    pub(super) fn counts(&self, key: &str) -> Result<Vec<usize>, Error> {
        let count = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        let read = |value: &Value| value.as_array()?.iter().map(count).collect();
        Ok(self.typed(key, "a list of whole numbers", read)?.unwrap_or_default())
    }

    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, Error> {
        let read = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect();
        self.typed(key, "a list of numbers", read)
    }

    /// One of some words, each with its meaning.
    pub(super) fn word<T: Copy>(&self, key: &str, default: T, meanings: &[(&str, T)]) -> Result<T, Error> {
        let Some(value) = self.value(key) else { return Ok(default) };
        let found = meanings.iter().find(|(word, _)| value == word);
        found.map(|&(_, meaning)| meaning).ok_or_else(|| {
            let words: Vec<&str> = meanings.iter().map(|(word, _)| *word).collect();
            self.fail(format!("{key} = {value} must be one of {}", words.join(", ")))
        })
    }
}
