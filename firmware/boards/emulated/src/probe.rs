// The bits of core's schedules, spacings, DDIM and DDPM plans and noise, as text. This file is compiled twice: into the board's
// `schedule_bits`, and into tests/tests/emulated.rs, which compares what the two machines write.

use core::fmt::{self, Write};

use tweedie_core::chain::{Betas, Chain};
use tweedie_core::ddpm::{self, Variance};
use tweedie_core::discretise::Spacing;
use tweedie_core::noise::NoiseStream;
use tweedie_core::plan::Step;
use tweedie_core::schedule::{Process, Schedule};
use tweedie_core::{Error, ddim};

/// Why the text ends early.
#[derive(Debug)]
pub enum Stopped {
    /// Core refused what was asked of it.
    Core(Error),
    /// The way out is closed.
    Output,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(error) => error.fmt(f),
            Self::Output => f.write_str("cannot write the result"),
        }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<fmt::Error> for Stopped {
    fn from(_: fmt::Error) -> Self {
        Self::Output
    }
}

const SCHEDULES: [(&str, Schedule); 6] = [
    ("variance_exploding", Schedule::VarianceExploding { sigma_max: 80.0 }),
    ("variance_preserving", Schedule::VariancePreserving),
    ("trigonometric", Schedule::Trigonometric),
    ("cosine_squared", Schedule::CosineSquared),
    ("linear_beta", Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 }),
    ("flow_matching", Schedule::FlowMatching),
];

const SPACINGS: [(&str, Spacing); 4] = [
    ("uniform", Spacing::Uniform),
    ("exponential", Spacing::Exponential { growth: 0.1 }),
    ("log_snr", Spacing::LogSnr),
    ("karras", Spacing::Karras { rho: 7.0 }),
];

const BETAS: [(&str, Betas<'static>); 4] = [
    ("linear", Betas::Linear { start: 1e-4, end: 0.02 }),
    ("scaled_linear", Betas::ScaledLinear { start: 0.00085, end: 0.012 }),
    ("cosine", Betas::Cosine),
    ("sigmoid", Betas::Sigmoid { start: 1e-4, end: 0.02 }),
];

const ETAS: [f64; 3] = [0.0, 0.5, 1.0];
const VARIANCES: [(&str, Variance); 2] = [("beta", Variance::Beta), ("posterior", Variance::Posterior)];
const STEPS: usize = 20;
const TIMES: u32 = 97;
const CHAIN: usize = 200;
const NOISE: u64 = 256;

/// Writes everything, one line `name index bits-of-an-f64` per number.
pub fn write_all(out: &mut impl Write) -> Result<(), Stopped> {
    for (name, schedule) in &SCHEDULES {
        for index in 0..=TIMES {
            let t = schedule.horizon() * f64::from(index) / f64::from(TIMES);
            let level = schedule.level(t)?;
            let velocity = schedule.velocity(t)?;
            let numbers = [
                ("alpha", level.alpha),
                ("sigma", level.sigma),
                ("log_snr", level.log_snr()),
                ("angle", level.angle()),
                ("d_alpha", velocity.alpha),
                ("d_sigma", velocity.sigma),
            ];
            for (what, number) in numbers {
                write_bits(out, format_args!("{name}.{what}"), index, number)?;
            }
        }
        for (spacing_name, spacing) in &SPACINGS {
            let mut times = [0.0; STEPS + 1];
            spacing.fill(schedule, 0.999 * schedule.horizon(), 0.001, &mut times)?;
            write_times(out, format_args!("{name}.{spacing_name}"), &times)?;
            write_ddim(out, format_args!("{name}.{spacing_name}"), schedule, &times)?;
        }
    }
    for (name, betas) in &BETAS {
        let mut storage = [0.0; CHAIN];
        let chain = Chain::new(*betas, &mut storage)?;
        for index in 0..=CHAIN {
            write_bits(out, format_args!("{name}.alpha_bar"), index, chain.alpha_bar(index)?)?;
        }
        let mut times = [0.0; STEPS + 1];
        Spacing::Uniform.fill(&chain, 1.0, 0.0, &mut times)?;
        write_ddim(out, format_args!("{name}"), &chain, &times)?;
        write_ddpm(out, format_args!("{name}"), &chain, &times)?;
    }
    write_noise(out)
}

fn write_times(out: &mut impl Write, name: fmt::Arguments<'_>, times: &[f64]) -> Result<(), Stopped> {
    times.iter().enumerate().try_for_each(|(index, t)| write_bits(out, format_args!("{name}.t"), index, *t))
}

fn write_ddim(
    out: &mut impl Write,
    name: fmt::Arguments<'_>,
    process: &impl Process,
    times: &[f64],
) -> Result<(), Stopped> {
    let mut plan = [Step::EMPTY; STEPS];
    for eta in ETAS {
        ddim::plan(process, times, eta, &mut plan)?;
        write_plan(out, format_args!("{name}.ddim-{eta}"), &plan)?;
    }
    Ok(())
}

fn write_ddpm(
    out: &mut impl Write,
    name: fmt::Arguments<'_>,
    process: &impl Process,
    times: &[f64],
) -> Result<(), Stopped> {
    let mut plan = [Step::EMPTY; STEPS];
    for (variance_name, variance) in VARIANCES {
        ddpm::plan(process, times, variance, &mut plan)?;
        write_plan(out, format_args!("{name}.ddpm-{variance_name}"), &plan)?;
    }
    Ok(())
}

fn write_plan(out: &mut impl Write, name: fmt::Arguments<'_>, plan: &[Step]) -> Result<(), Stopped> {
    for (index, step) in plan.iter().enumerate() {
        write_bits(out, format_args!("{name}.keep"), index, step.keep)?;
        write_bits(out, format_args!("{name}.kick"), index, step.kick)?;
        for pull in step.pull() {
            write_bits(out, format_args!("{name}.pull"), index, *pull)?;
        }
    }
    Ok(())
}

fn write_noise(out: &mut impl Write) -> Result<(), Stopped> {
    let noise = NoiseStream::new(0x0123_4567_89ab_cdef, 7);
    for index in 0..NOISE {
        for normal in noise.normals(3, index) {
            write_bits(out, format_args!("noise"), index, normal.into())?;
        }
    }
    Ok(())
}

fn write_bits(
    out: &mut impl Write,
    name: fmt::Arguments<'_>,
    index: impl fmt::Display,
    number: f64,
) -> Result<(), Stopped> {
    writeln!(out, "{name} {index} {:016x}", number.to_bits())?;
    Ok(())
}
