//! Presets: small TOML files that say everything about a training.
//!
//! `host/presets/digits.toml` documents every key; a key left out of a user's file keeps the value given there.

use crate::condition::Source;
use crate::data::{self, Conditions, DataError, Dataset};
use crate::error::{Error, did_you_mean};
use candle_core::DType;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::ops::RangeInclusive;
use std::path::Path;
use toml::{Table, Value};
use tweedie_core::loss::Weight;
use tweedie_core::prediction::Prediction;

/// The presets that are built in, by name.
pub const BUILT_IN: [(&str, &str); 7] = [
    ("digits", include_str!("../presets/digits.toml")),
    ("mnist", include_str!("../presets/mnist.toml")),
    ("images", include_str!("../presets/images.toml")),
    ("digits-mixture", include_str!("../presets/digits-mixture.toml")),
    ("digits-mixture-denoising", include_str!("../presets/digits-mixture-denoising.toml")),
    ("digits-text", include_str!("../presets/digits-text.toml")),
    ("cow", include_str!("../presets/cow.toml")),
];

/// Everything about a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What is learnt.
    pub data: DataSettings,
    /// How noise is added.
    pub process: ProcessSettings,
    /// The network.
    pub network: NetworkSettings,
    /// How it is trained.
    pub training: TrainingSettings,
    /// How samples are drawn.
    pub sampling: SamplingSettings,
}

/// The section `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// A name or a path, as [`data::load`] takes it.
    pub source: String,
    /// Numbers in a window of a series; 0: the data are samples already.
    pub window: usize,
    /// Numbers from one window's beginning to the next one's.
    pub stride: usize,
    /// What the network is told of each sample, as [`Source`] reads it.
    pub conditions: String,
}

impl DataSettings {
    /// A source whose rows are samples already.
    pub fn samples_of(source: &str) -> Self {
        Self { source: source.to_owned(), window: 0, stride: 1, conditions: Source::CLASS.to_owned() }
    }

    /// The same with an absolute path for a file or folder that is there, so that it is found from anywhere.
    pub fn found(&self) -> Self {
        let path = Path::new(&self.source);
        let absolute = if data::is_embedded(&self.source) { None } else { path.canonicalize().ok() };
        let source = absolute.map_or_else(|| self.source.clone(), |path| path.display().to_string());
        Self { source, ..self.clone() }
    }

    /// The samples: those of the source, or [windows](data::windows) of it, with vectors where [`conditions`](Self::conditions) names some.
    /// Captions become vectors by [`text::describe`](crate::text::describe) only.
    ///
    /// # Errors
    /// As of [`data::load`], [`data::windows`] and [`Conditions::read`].
    pub fn load(&self) -> Result<Dataset, DataError> {
        let mut data = data::load(&self.source)?;
        if self.window > 0 {
            data = data::windows(data, self.window, self.stride)?;
        }
        match self.conditions_source()? {
            Source::Class | Source::Templates | Source::Captions(_) => {}
            Source::None => (data.labels, data.classes) = (None, 0),
            Source::Vectors(file) => data.conditions = Some(Conditions::read(&file, &data)?),
        }
        Ok(data)
    }

    /// Where conditions come from.
    ///
    /// # Errors
    /// [`DataError::UnknownConditions`].
    pub fn conditions_source(&self) -> Result<Source, DataError> {
        Source::of(&self.conditions, &self.source)
    }

    /// The same data without vectors or captions, as whoever judges samples sees them.
    pub fn of_classes(&self) -> Self {
        let is_none = self.conditions == Source::NONE;
        let conditions = if is_none { Source::NONE } else { Source::CLASS }.to_owned();
        Self { conditions, ..self.clone() }
    }
}

/// The section `[process]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSettings {
    /// Which schedule.
    pub schedule: ScheduleName,
    /// The least noise in training, as a share of the horizon.
    pub min_time: f64,
    /// The most noise in training, where sampling starts, as a share of the horizon.
    pub max_time: f64,
    /// The horizon of the variance-exploding process.
    pub sigma_max: f64,
    /// `beta` at data, continuous time.
    pub beta_min: f64,
    /// `beta` at noise, continuous time.
    pub beta_max: f64,
    /// Steps of a chain.
    pub chain_steps: usize,
    /// The rule of a chain's betas.
    pub betas: BetaRule,
    /// A chain's first beta.
    pub beta_start: f64,
    /// A chain's last beta.
    pub beta_end: f64,
    /// Whether a chain is rescaled to end without signal.
    pub zero_terminal_snr: bool,
}

/// The section `[network]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// Which architecture.
    pub kind: NetworkKind,
    /// Width.
    pub hidden: usize,
    /// Residual blocks.
    pub blocks: usize,
    /// Of a network of images: pixels along a side of the patches that it sees.
    pub patch: usize,
    /// Of a U-Net: sizes of the image, each half of the one before.
    pub levels: usize,
    /// Of a transformer: heads of the attention.
    pub heads: usize,
    /// Of a mixture: components for each class.
    pub components: usize,
    /// Of a mixture: directions in which a component varies.
    pub rank: usize,
    /// Whether the network is also told the noise level that a step leads to, as average-velocity students are.
    pub end_level: bool,
}

/// The section `[training]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSettings {
    /// How: by which of the two ways there are.
    pub method: TrainingMethod,
    /// Weight updates; of a mixture, passes of expectation maximisation.
    pub steps: u64,
    /// Samples for each update.
    pub batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Updates over which it rises.
    pub warmup: u64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest norm of the gradient; 0: no limit.
    pub gradient_clip: f64,
    /// Decay of the moving average of the weights.
    pub ema: f64,
    /// Of what numbers the network computes while it is trained. Left out of files where it is f32, so that they are those of earlier versions.
    #[serde(default = "Precision::full", skip_serializing_if = "Precision::is_full")]
    pub precision: Precision,
    /// What the network predicts.
    pub prediction: PredictionName,
    /// The weight of each noise level.
    pub weight: WeightName,
    /// The cap of min-SNR weights.
    pub min_snr_gamma: f64,
    /// How training times are distributed.
    pub times: TimeDistribution,
    /// Share of labels hidden.
    pub label_dropout: f64,
    /// Seed of weights, noise and order.
    pub seed: u64,
    /// Updates between lines of metrics.
    pub log_every: u64,
    /// Updates between checkpoints.
    pub checkpoint_every: u64,
    /// Rows that one thread works on.
    pub shard: usize,
}

/// The section `[sampling]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingSettings {
    /// Which solver.
    pub solver: SolverName,
    /// Network evaluations.
    pub steps: usize,
    /// Noise of DDIM, 0 to 1.
    pub eta: f64,
    /// Churn of Euler's and Heun's methods, `S_churn`; 0 is none.
    pub churn: f64,
    /// Variance of DDPM.
    pub variance: VarianceName,
    /// Where the times lie.
    pub spacing: SpacingName,
    /// Growth of exponential spacing.
    pub growth: f64,
    /// Exponent of Karras spacing.
    pub rho: f64,
    /// Classifier-free guidance; 1 is none.
    pub guidance: f64,
    /// Clamp estimates to [-1, 1].
    pub clip: bool,
    /// Dynamic thresholding: the share of a sample's elements that the threshold leaves alone; 0 is none.
    pub threshold: f64,
}

/// Settings of `defaults`, a documented TOML file, changed by `text` and then by `overrides`; `name` stands in error messages.
///
/// # Errors
/// An unknown section, key or value, each naming the nearest right one.
pub(crate) fn merged<S: DeserializeOwned>(
    defaults: &str,
    name: &str,
    text: &str,
    overrides: &[String],
) -> Result<S, Error> {
    let fail = |reason: String| Error::Preset { file: name.to_owned(), reason };
    let mut table: Table = defaults.parse().map_err(|e: toml::de::Error| fail(sentence(e.message())))?;
    let own: Table = text.parse().map_err(|e: toml::de::Error| fail(located(text, &e)))?;
    merge(&mut table, own).map_err(fail)?;
    for change in overrides {
        let changed: Table = dotted(change).map_err(|reason| Error::Argument(format!("--set {change}: {reason}")))?;
        merge(&mut table, changed).map_err(|reason| Error::Argument(format!("--set {change}: {reason}")))?;
    }
    Value::Table(table).try_into().map_err(|e: toml::de::Error| fail(keyed(&e)))
}

/// An enumeration whose variants presets and the command line call by their names in kebab case.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                $crate::preset::by_name(text)
            }
        }

        /// The name as presets write it.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                serde::Serialize::serialize(self, f)
            }
        }
    };
}
pub(crate) use names;

/// A value of an enumeration by its name.
pub(crate) fn by_name<N: DeserializeOwned>(text: &str) -> Result<N, String> {
    Value::String(text.to_owned()).try_into().map_err(|error: toml::de::Error| sentence(error.message()))
}

names! {
    /// Schedules by name.
    ScheduleName {
        /// [`Schedule::Trigonometric`](tweedie_core::schedule::Schedule::Trigonometric).
        Trigonometric,
        /// [`Schedule::VariancePreserving`](tweedie_core::schedule::Schedule::VariancePreserving).
        VariancePreserving,
        /// [`Schedule::VarianceExploding`](tweedie_core::schedule::Schedule::VarianceExploding).
        VarianceExploding,
        /// [`Schedule::CosineSquared`](tweedie_core::schedule::Schedule::CosineSquared).
        CosineSquared,
        /// [`Schedule::LinearBeta`](tweedie_core::schedule::Schedule::LinearBeta).
        LinearBeta,
        /// [`Schedule::FlowMatching`](tweedie_core::schedule::Schedule::FlowMatching).
        FlowMatching,
        /// A DDPM chain, [`Chain`](tweedie_core::chain::Chain).
        Chain,
    }
}

names! {
    /// Rules for a chain's betas, [`Betas`](tweedie_core::chain::Betas).
    BetaRule {
        /// Evenly spaced.
        Linear,
        /// Square roots evenly spaced.
        ScaledLinear,
        /// Squared cosine.
        Cosine,
        /// Logistic.
        Sigmoid,
    }
}

names! {
    /// Network architectures.
    NetworkKind {
        /// [`ResidualMlp`](crate::network::ResidualMlp).
        ResidualMlp,
        /// [`UNet`](crate::network::UNet).
        Unet,
        /// [`Transformer`](crate::network::Transformer).
        Transformer,
        /// [`Mixture`](crate::network::Mixture).
        Mixture,
    }
}

names! {
    /// Of what numbers a network computes while it is trained; its weights are f32 in any case.
    Precision {
        /// 32 bits.
        F32,
        /// 16 bits, of which 8 are the exponent's, as f32 has them.
        Bf16,
        /// 16 bits, of which 5 are the exponent's, so that the loss is scaled: see [`LossScale`](crate::loss_scale::LossScale).
        F16,
    }
}

impl Precision {
    /// The half type, if it is one.
    pub fn half(self) -> Option<DType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(DType::BF16),
            Self::F16 => Some(DType::F16),
        }
    }

    /// f32, which files that do not say mean.
    pub fn full() -> Self {
        Self::F32
    }

    /// Whether it is f32.
    pub fn is_full(&self) -> bool {
        *self == Self::F32
    }
}

names! {
    /// Ways to train.
    TrainingMethod {
        /// Gradient descent on the denoising loss, [`train`](mod@crate::train).
        Denoising,
        /// Expectation maximisation, [`mixture`](crate::mixture).
        Em,
    }
}

names! {
    /// What a network can be trained to predict, [`Prediction`].
    PredictionName {
        /// [`Prediction::V`].
        V,
        /// [`Prediction::X0`].
        X0,
        /// [`Prediction::Eps`].
        Eps,
        /// [`Prediction::Velocity`].
        Velocity,
    }
}

names! {
    /// Loss weights, [`Weight`].
    WeightName {
        /// [`Weight::Uniform`].
        Uniform,
        /// [`Weight::Snr`].
        Snr,
        /// [`Weight::MinSnr`].
        MinSnr,
    }
}

names! {
    /// What training times are uniform in.
    TimeDistribution {
        /// Time itself.
        Uniform,
        /// The angle of the noise level.
        Angle,
        /// The log-SNR.
        LogSnr,
    }
}

names! {
    /// Solvers by the names that practitioners give them; [`solver`](crate::solver) makes their plans.
    SolverName {
        /// [`tweedie_core::ddim`].
        Ddim,
        /// [`tweedie_core::ddpm`].
        Ddpm,
        /// [`tweedie_core::consistency`].
        Consistency,
        /// [`tweedie_core::solver::euler`], of EDM; the same as DDIM without noise.
        Euler,
        /// Ancestral Euler.
        #[serde(rename = "euler-a")]
        EulerAncestral,
        /// [`tweedie_core::solver::heun`], of EDM.
        Heun,
        /// [`tweedie_core::solver::heun_pec`], one evaluation a step.
        HeunPec,
        /// [`tweedie_core::solver::probability_flow`], Euler.
        FlowEuler,
        /// [`tweedie_core::solver::probability_flow`], Heun.
        FlowHeun,
        /// [`tweedie_core::solver::reverse_sde`].
        ReverseSde,
        /// [`tweedie_core::solver::dpm_solver`], data form, order 2.
        #[serde(rename = "dpm++2m")]
        DpmPlusPlus2M,
        /// The same with the slope integrated exactly.
        #[serde(rename = "dpm++2m-heun")]
        DpmPlusPlus2MHeun,
        /// The same as an SDE.
        #[serde(rename = "dpm++2m-sde")]
        DpmPlusPlus2MSde,
        /// Order 3, exactly interpolated.
        #[serde(rename = "dpm++3m")]
        DpmPlusPlus3M,
        /// [`tweedie_core::solver::singlestep`], order 2.
        #[serde(rename = "dpm++2s")]
        DpmPlusPlus2S,
        /// [`tweedie_core::solver::dpm_solver_sde`].
        #[serde(rename = "dpm++sde")]
        DpmPlusPlusSde,
        /// [`tweedie_core::solver::dpm_solver`], noise form, order 2.
        #[serde(rename = "dpm2m")]
        Dpm2M,
        /// [`tweedie_core::solver::deis`], log-rho, order 3.
        Deis,
        /// [`tweedie_core::solver::unipc`], order 2.
        #[serde(rename = "unipc")]
        UniPc,
        /// [`tweedie_core::solver::lms`], order 4.
        Lms,
        /// [`tweedie_core::solver::pndm`], PLMS.
        Pndm,
        /// [`tweedie_core::solver::pndm`], improved.
        Ipndm,
    }
}

names! {
    /// DDPM's variances, [`Variance`](tweedie_core::ddpm::Variance).
    VarianceName {
        /// The posterior's.
        Posterior,
        /// The forward step's.
        Beta,
    }
}

names! {
    /// Where sampling times lie: [`Spacing`](tweedie_core::discretise::Spacing), [`ChainSpacing`](tweedie_core::discretise::ChainSpacing).
    SpacingName {
        /// Evenly in time.
        Uniform,
        /// Ever smaller steps towards data.
        Exponential,
        /// Evenly in log-SNR.
        LogSnr,
        /// Evenly in log-SNR with floors under noise and signal; for solvers of higher order in about ten evaluations.
        SoftLogSnr,
        /// Karras et al.'s.
        Karras,
        /// A chain's multiples from 0 up.
        Leading,
        /// A chain's multiples from the end down.
        Trailing,
        /// A chain's both ends.
        Linspace,
    }
}

impl From<PredictionName> for Prediction {
    fn from(name: PredictionName) -> Self {
        match name {
            PredictionName::V => Self::V,
            PredictionName::X0 => Self::X0,
            PredictionName::Eps => Self::Eps,
            PredictionName::Velocity => Self::Velocity,
        }
    }
}

impl TrainingSettings {
    /// The loss weight.
    pub fn weight(&self) -> Weight {
        match self.weight {
            WeightName::Uniform => Weight::Uniform,
            WeightName::Snr => Weight::Snr,
            WeightName::MinSnr => Weight::MinSnr { gamma: self.min_snr_gamma },
        }
    }
}

impl Preset {
    /// A built-in preset by name, or a file by path; `overrides` are `section.key=value` in TOML.
    ///
    /// # Errors
    /// An unknown name, key or value, each naming the nearest right one; a value outside its range.
    pub fn load(name: &str, overrides: &[String]) -> Result<Self, Error> {
        let built_in = BUILT_IN.iter().find(|(own, _)| *own == name);
        let text = match built_in {
            Some((_, text)) => (*text).to_owned(),
            None if Path::new(name).is_file() => std::fs::read_to_string(name).map_err(Error::file(name, "read it"))?,
            None => {
                let hint = did_you_mean(name, BUILT_IN.iter().map(|(own, _)| *own));
                return Err(Error::UnknownPreset { name: name.to_owned(), hint });
            }
        };
        Self::parse(name, &text, overrides)
    }

    /// A preset from TOML; `name` stands in error messages.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub fn parse(name: &str, text: &str, overrides: &[String]) -> Result<Self, Error> {
        let preset: Self = merged(BUILT_IN[0].1, name, text, overrides)?;
        preset.validate().map_err(|reason| Error::Preset { file: name.to_owned(), reason })?;
        Ok(preset)
    }

    /// The preset as TOML, every key written out.
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string(self).map_err(|error| Error::Argument(error.to_string()))
    }

    /// Checks the range of every number.
    fn validate(&self) -> Result<(), String> {
        let Self { data, process, network, training, sampling } = self;
        between("data.window", data.window, 0..=data::MAX_WINDOW)?;
        between("data.stride", data.stride, 1..=usize::MAX)?;
        between("process.chain_steps", process.chain_steps, 1..=1_000_000)?;
        within("process.min_time", process.min_time, 0.0..=1.0)?;
        within("process.max_time", process.max_time, 0.0..=1.0)?;
        if process.min_time >= process.max_time {
            return Err(format!(
                "process.min_time = {} must be below process.max_time = {}",
                process.min_time, process.max_time
            ));
        }
        between("network.hidden", network.hidden, 1..=1 << 14)?;
        between("network.blocks", network.blocks, 0..=1 << 10)?;
        between("network.patch", network.patch, 1..=1 << 8)?;
        between("network.levels", network.levels, 1..=8)?;
        between("network.heads", network.heads, 1..=1 << 10)?;
        between("network.components", network.components, 1..=1 << 10)?;
        between("network.rank", network.rank, 0..=1 << 10)?;
        if network.kind == NetworkKind::Mixture && training.prediction != PredictionName::X0 {
            return Err(format!("training.prediction = {} must be x0 for a mixture", training.prediction));
        }
        if network.kind != NetworkKind::Mixture && training.method == TrainingMethod::Em {
            return Err(
                "training.method = em is for mixtures: set it to denoising, or network.kind to mixture".to_owned()
            );
        }
        if network.kind == NetworkKind::Mixture && !training.precision.is_full() {
            return Err(format!("training.precision = {} must be f32 for a mixture", training.precision));
        }
        between("training.steps", training.steps, 1..=MOST)?;
        between("training.batch", training.batch, 1..=usize::MAX)?;
        between("training.shard", training.shard, 1..=usize::MAX)?;
        between("training.warmup", training.warmup, 0..=MOST)?;
        between("training.log_every", training.log_every, 1..=MOST)?;
        between("training.checkpoint_every", training.checkpoint_every, 1..=MOST)?;
        within("training.learning_rate", training.learning_rate, f64::MIN_POSITIVE..=1e3)?;
        within("training.weight_decay", training.weight_decay, 0.0..=1e3)?;
        within("training.gradient_clip", training.gradient_clip, 0.0..=f64::MAX)?;
        within("training.ema", training.ema, 0.0..=1.0)?;
        within("training.min_snr_gamma", training.min_snr_gamma, f64::MIN_POSITIVE..=f64::MAX)?;
        within("training.label_dropout", training.label_dropout, 0.0..=1.0)?;
        sampling.validate().map_err(|reason| format!("sampling.{reason}"))
    }
}

impl SamplingSettings {
    /// Checks the range of every number; the sentence begins with the key's name.
    pub fn validate(&self) -> Result<(), String> {
        between("steps", self.steps, 1..=100_000)?;
        within("eta", self.eta, 0.0..=1.0)?;
        within("threshold", self.threshold, 0.0..=1.0)?;
        within("churn", self.churn, 0.0..=f64::MAX)?;
        within("growth", self.growth, f64::MIN_POSITIVE..=700.0)?;
        within("rho", self.rho, 1.0..=100.0)?;
        within("guidance", self.guidance, -100.0..=100.0)
    }
}

pub(crate) fn within(key: &str, value: f64, range: RangeInclusive<f64>) -> Result<(), String> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = (*range.start(), *range.end());
    Err(match (low == f64::MIN_POSITIVE, high == f64::MAX) {
        (true, true) => format!("{key} = {value} must be above 0"),
        (true, false) => format!("{key} = {value} must be above 0 and at most {high}"),
        (false, true) => format!("{key} = {value} must be at least {low}"),
        (false, false) => format!("{key} = {value} must lie in [{low}, {high}]"),
    })
}

/// Updates that can be counted exactly and will never be reached.
const MOST: u64 = 1 << 53;

pub(crate) fn between<N: PartialOrd + std::fmt::Display>(
    key: &str,
    value: N,
    range: RangeInclusive<N>,
) -> Result<(), String> {
    if value < *range.start() {
        return Err(format!("{key} = {value} must be at least {}", range.start()));
    }
    if value > *range.end() {
        return Err(format!("{key} = {value} must be at most {}", range.end()));
    }
    Ok(())
}

/// `a.b=value` as a table; a value that is not TOML is taken as text, so that names need no quotes.
fn dotted(change: &str) -> Result<Table, String> {
    let (key, value) = change.split_once('=').ok_or("write it as section.key=value")?;
    let (section, key) = key.trim().split_once('.').ok_or("write it as section.key=value")?;
    let value = match format!("v = {}", value.trim()).parse::<Table>() {
        Ok(mut table) => table.remove("v").unwrap_or(Value::Boolean(false)),
        Err(_) => Value::String(value.trim().to_owned()),
    };
    Ok(Table::from_iter([(section.to_owned(), Value::Table(Table::from_iter([(key.to_owned(), value)])))]))
}

/// Writes the values of `own` over those of `table`; a section or key that `table` lacks is an error, and so is another type.
fn merge(table: &mut Table, own: Table) -> Result<(), String> {
    for (section, values) in own {
        let sections: Vec<String> = table.keys().cloned().collect();
        let Some(known) = table.get_mut(&section).and_then(Value::as_table_mut) else {
            let hint = did_you_mean(&section, sections.iter().map(String::as_str));
            return Err(format!("there is no section [{section}]{hint}"));
        };
        let Value::Table(values) = values else {
            return Err(format!("{section} is a section: write [{section}] and its keys below it"));
        };
        for (key, mut value) in values {
            let keys: Vec<String> = known.keys().cloned().collect();
            let Some(old) = known.get_mut(&key) else {
                let hint = did_you_mean(&key, keys.iter().map(String::as_str));
                return Err(format!("[{section}] has no key `{key}`{hint}"));
            };
            if let (Value::Float(_), Value::Integer(whole)) = (&*old, &value) {
                value = Value::Float(*whole as f64);
            }
            if let (Value::Integer(_), Value::Integer(number @ ..0)) = (&*old, &value) {
                return Err(format!("{section}.{key} = {number} must not be negative"));
            }
            if !old.same_type(&value) {
                let wanted = match old {
                    Value::Integer(_) => "a whole number",
                    Value::Float(_) => "a number",
                    Value::Boolean(_) => "true or false",
                    _ => "a text in quotes",
                };
                return Err(format!("{section}.{key} must be {wanted}, not {value}"));
            }
            *old = value;
        }
    }
    Ok(())
}

/// A TOML syntax error with its line.
fn located(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", sentence(error.message())),
        None => sentence(error.message()),
    }
}

/// A deserialiser's message with the key that it is about.
fn keyed(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let key = text.lines().find_map(|line| line.trim().strip_prefix("in `")?.strip_suffix('`'));
    match key {
        Some(key) => format!("{key}: {}", sentence(error.message())),
        None => sentence(error.message()),
    }
}

/// A deserialiser's message in one line, with the nearest name where it lists several.
fn sentence(message: &str) -> String {
    let message = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let hint = match quoted.next() {
        Some(given) if message.starts_with("unknown variant") => did_you_mean(given, quoted),
        _ => String::new(),
    };
    message.replacen("unknown variant", "unknown value", 1) + &hint
}
