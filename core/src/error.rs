use core::fmt;

/// What can be wrong with the numbers that a schedule, a grid or a solver is asked to work with.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A time lies outside the schedule's interval.
    TimeOutOfRange {
        /// The time asked for.
        t: f64,
        /// The largest time of the schedule; the smallest is 0.
        horizon: f64,
    },
    /// `alpha` and `sigma` must be finite, not negative, and not both zero.
    InvalidNoiseLevel {
        /// The signal coefficient given.
        alpha: f64,
        /// The noise coefficient given.
        sigma: f64,
    },
    /// A division by the signal coefficient, which is zero at pure noise.
    SignalVanishes,
    /// A division by the noise coefficient, which is zero at clean data.
    NoiseVanishes,
    /// Signal and noise change in proportion here, so a velocity says nothing about `x_0`.
    VelocityUninformative,
    /// A sampler must go from more noise to less.
    NotDenoising {
        /// log-SNR before the step.
        from: f64,
        /// log-SNR after the step.
        to: f64,
    },
    /// A parameter lies outside its range.
    OutOfRange {
        /// The parameter's name.
        name: &'static str,
        /// The value given.
        value: f64,
        /// The smallest value allowed.
        min: f64,
        /// The largest value allowed.
        max: f64,
    },
    /// A table is of the wrong length.
    WrongLength {
        /// What the table holds.
        what: &'static str,
        /// The length needed.
        need: usize,
        /// The length given.
        have: usize,
    },
}

impl core::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TimeOutOfRange { t, horizon } => {
                write!(f, "time {t} lies outside [0, {horizon}]")
            }
            Self::InvalidNoiseLevel { alpha, sigma } => {
                write!(
                    f,
                    "alpha = {alpha}, sigma = {sigma} is no noise level: both must be finite, not negative, and not both zero"
                )
            }
            Self::SignalVanishes => {
                write!(
                    f,
                    "no signal is left at this noise level (alpha = 0), so this prediction does not determine x_0"
                )
            }
            Self::NoiseVanishes => {
                write!(f, "no noise is left at this noise level (sigma = 0), so the noise cannot be told from x_t")
            }
            Self::VelocityUninformative => {
                write!(f, "signal and noise change in proportion here, so a velocity does not determine x_0")
            }
            Self::NotDenoising { from, to } => {
                write!(f, "a sampler step must raise the log-SNR, this one goes from {from} to {to}")
            }
            Self::OutOfRange { name, value, min, max } => {
                write!(f, "{name} = {value} lies outside [{min}, {max}]")
            }
            Self::WrongLength { what, need, have } => {
                write!(f, "{what}: {need} entries are needed, {have} were given")
            }
        }
    }
}

/// `Ok` when `min <= value <= max` (and `value` is a number).
pub(crate) fn in_range(name: &'static str, value: f64, min: f64, max: f64) -> Result<(), Error> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(Error::OutOfRange { name, value, min, max }) }
}
