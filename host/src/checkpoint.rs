//! Files of weights: a model to sample from, and the state that training resumes from.
//!
//! Both are safetensors with one metadata entry, `tweedie`, a JSON object of a description and a SHA-256 over it and every
//! tensor, so a file that storage or transport damaged is refused. They are written to a temporary name and renamed, so
//! a reader finds a whole file or none. Equal trainings leave equal bytes.

use crate::atomic_file;
use crate::data::conditions::VectorDescription;
use crate::data::{Dataset, Scaling};
use crate::distill::settings::Method;
use crate::error::Error;
use crate::loss_scale::LossScale;
use crate::network::parameters::FrozenWeights;
use crate::network::{Network, Parameters};
use crate::optimiser::{OptimiserState, Slot};
use crate::preset::{Preset, SamplingSettings};
use crate::say::counted;
use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The name of the one metadata entry.
const METADATA: &str = "tweedie";

/// What a model needs beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// `model`.
    pub format: String,
    /// Version of this layout.
    pub version: u32,
    /// The preset it was trained by, as TOML.
    pub preset: String,
    /// Name of the data set.
    pub data: String,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// Number of classes; 0 without, or where the network is told vectors.
    pub classes: usize,
    /// What each class stands for, where it is a frozen vector ([`freeze`](crate::condition::freeze)); else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// The vectors that the network is told instead of a class, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<VectorDescription>,
    /// From the network's range to the data's units: `offset + scale * value`.
    pub offset: f32,
    /// See `offset`.
    pub scale: f32,
    /// How it was distilled from another model, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distilled: Option<Method>,
}

/// The version that this program writes and reads.
const VERSION: u32 = 1;

impl Description {
    /// The description of a model trained by `preset` on `data`.
    pub fn new(preset: &Preset, data: &Dataset) -> Result<Self, Error> {
        Ok(Self {
            format: "model".to_owned(),
            version: VERSION,
            preset: preset.to_toml()?,
            data: data.name.clone(),
            shape: data.shape.clone(),
            classes: if data.conditions.is_some() { 0 } else { data.classes },
            class_names: Vec::new(),
            vectors: data.conditions.as_ref().map(|conditions| conditions.description.clone()),
            offset: data.scaling.offset,
            scale: data.scaling.scale,
            distilled: None,
        })
    }

    /// The number of values in a sample.
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }

    /// In how many numbers the network is told of a sample: classes, as one-hot vectors, or the numbers in a vector.
    pub fn condition_width(&self) -> usize {
        self.vectors.as_ref().map_or(self.classes, VectorDescription::width)
    }
}

/// A network that can be sampled from.
pub struct Model {
    /// The network.
    pub network: Box<dyn Network>,
    /// Its weights: the moving average of training.
    pub weights: FrozenWeights,
    /// The preset it was trained by.
    pub preset: Preset,
    /// Shape, classes and units.
    pub description: Description,
}

impl Model {
    /// Reads `model.safetensors`.
    ///
    /// # Errors
    /// A file that is missing, damaged, of a newer version, or whose weights do not fit its own description.
    pub fn load(path: &Path, device: &Device) -> Result<Self, Error> {
        let file = StoredFile::read(path)?;
        let description: Description = file.metadata(path)?;
        if description.format != "model" || description.version > VERSION {
            return Err(damaged(path, "it is no model of this version of Tweedie"));
        }
        let preset = Preset::parse(&path.display().to_string(), &description.preset, &[])?;
        let sizes_fit = !description.shape.is_empty()
            && description.shape.iter().try_fold(1_usize, |size, &n| size.checked_mul(n)).is_some_and(|size| size > 0);
        if !sizes_fit {
            return Err(damaged(path, "the shape of its samples makes no sense"));
        }
        let network = preset.network.build(&description.shape, description.condition_width())?;
        let mut entries = Vec::new();
        for (name, shape) in network.weights() {
            entries.push((name.clone(), file.tensor(path, &name, &shape, device)?));
        }
        Ok(Self { network, weights: FrozenWeights::new(entries), preset, description })
    }

    /// Writes `model.safetensors`.
    pub fn save(path: &Path, weights: &[(String, &Tensor)], description: &Description) -> Result<(), Error> {
        write(path, weights, description)
    }

    /// Whether the model can be sampled by these settings: a student's estimates are ends of steps, not expectations, so that only the steps it
    /// was taught make sense; some students know the noise levels of their own plan alone.
    ///
    /// # Errors
    /// [`Error::Argument`] that names what the student was taught.
    pub fn accepts(&self, settings: &SamplingSettings) -> Result<(), Error> {
        self.knows_classes()?;
        let Some(method) = self.description.distilled else { return Ok(()) };
        let own = &self.preset.sampling;
        let step = |settings: &SamplingSettings| (settings.solver, settings.eta.to_bits(), settings.clip);
        let times = |settings: &SamplingSettings| (settings.steps, settings.spacing, settings.growth.to_bits());
        if step(settings) != step(own) {
            return Err(Error::Argument(format!(
                "this student was taught the steps of {} alone; leave out the solver, eta and clip, or sample its teacher",
                own.solver
            )));
        }
        if method.is_bound_to_its_steps() && times(settings) != times(own) {
            return Err(Error::Argument(format!(
                "this student was distilled for {} at the noise levels of its own plan; leave out steps and spacing, or sample its teacher",
                counted(own.steps, "step")
            )));
        }
        Ok(())
    }

    /// Whether the network is told classes, not vectors, which [`freeze`](crate::condition::freeze) turns into classes.
    ///
    /// # Errors
    /// [`Error::Argument`] for vectors.
    pub fn knows_classes(&self) -> Result<(), Error> {
        match self.description.vectors {
            None => Ok(()),
            Some(_) => Err(Error::Argument("this model is told vectors: freeze those that are asked for".to_owned())),
        }
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.weights.iter().next().map_or(Device::Cpu, |(_, weight)| weight.device().clone())
    }

    /// The number of weights.
    pub fn parameter_count(&self) -> usize {
        self.weights.iter().map(|(_, weight)| weight.elem_count()).sum()
    }

    /// The map from the network's range to the data's units.
    pub fn scaling(&self) -> Scaling {
        Scaling { offset: self.description.offset, scale: self.description.scale }
    }
}

/// Everything of a training but its weights and the optimiser's memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// `state`.
    pub format: String,
    /// Version of this layout.
    pub version: u32,
    /// Everything that fixes the training, as TOML.
    pub preset: String,
    /// SHA-256 of what is learnt from, so that a run is not continued on anything else.
    pub fingerprint: String,
    /// Updates made.
    pub updates: u64,
    /// Sum of losses since the last line of metrics, as the bits of an f64.
    pub loss_sum_bits: u64,
    /// In f16: what the loss is multiplied by, and the updates since that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<(f32, f32)>,
}

impl Progress {
    /// The record of a run at its start.
    pub fn new(preset: String, fingerprint: String) -> Self {
        let format = "state".to_owned();
        Self { format, version: VERSION, preset, fingerprint, updates: 0, loss_sum_bits: 0, loss_scale: None }
    }
}

/// A training's state.
pub struct State {
    /// The weights.
    pub parameters: Parameters,
    /// The optimiser's memory.
    pub optimiser: OptimiserState,
    /// Everything else of the training.
    pub progress: Progress,
    /// What its lesson must remember, by name.
    pub memory: Vec<(String, Tensor)>,
}

/// What the names of a lesson's tensors begin with.
const MEMORY: &str = "lesson.";

/// Writes `state.safetensors`: the weights, the optimiser's three tensors for each, and the lesson's memory.
pub fn save_state(
    path: &Path,
    parameters: &Parameters,
    state: &OptimiserState,
    progress: &Progress,
    memory: &[(String, Tensor)],
) -> Result<(), Error> {
    let mut tensors = Vec::new();
    for ((name, var), slot) in parameters.iter().zip(&state.slots) {
        tensors.push((format!("weight.{name}"), var.as_tensor()));
        tensors.push((format!("mean.{name}"), &slot.mean));
        tensors.push((format!("square.{name}"), &slot.square));
        tensors.push((format!("average.{name}"), &slot.average));
    }
    tensors.extend(memory.iter().map(|(name, tensor)| (format!("{MEMORY}{name}"), tensor)));
    write(path, &tensors, progress)
}

/// Reads `state.safetensors` back.
///
/// # Errors
/// As of [`Model::load`].
pub fn load_state(path: &Path, network: &dyn Network, device: &Device) -> Result<State, Error> {
    let file = StoredFile::read(path)?;
    let progress: Progress = file.metadata(path)?;
    if progress.format != "state" || progress.version > VERSION {
        return Err(damaged(path, "it is no training state of this version of Tweedie"));
    }
    let (mut parameters, mut slots) = (Parameters::default(), Vec::new());
    for (name, shape) in network.weights() {
        let tensor = |kind: &str| file.tensor(path, &format!("{kind}.{name}"), &shape, device);
        parameters.insert(&name, tensor("weight")?)?;
        slots.push(Slot { mean: tensor("mean")?, square: tensor("square")?, average: tensor("average")? });
    }
    let loss_scale = progress.loss_scale.map(|scale| LossScale::restored(scale, device)).transpose()?;
    let optimiser = OptimiserState { slots, updates: progress.updates, loss_scale };
    let mut memory = Vec::new();
    let stored = file.tensors(path)?;
    for (name, view) in stored.tensors() {
        if let Some(own) = name.strip_prefix(MEMORY) {
            memory.push((own.to_owned(), file.tensor(path, &name, view.shape(), device)?));
        }
    }
    Ok(State { parameters, optimiser, progress, memory })
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::Model { path: path.to_owned(), reason: reason.to_owned() }
}

/// Writes named tensors and a description, sealed together.
pub(crate) fn write(path: &Path, tensors: &[(String, &Tensor)], metadata: &impl Serialize) -> Result<(), Error> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            Ok((name.clone(), tensor.dims().to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        })
        .collect::<candle_core::Result<_>>()?;
    let fail = |reason: String| Error::Model { path: path.to_owned(), reason };
    let views = bytes
        .iter()
        .map(|(name, shape, data)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| fail(error.to_string()))?;
    let seal = || {
        let description = serde_json::value::to_raw_value(metadata)?;
        let contents = bytes.iter().map(|(name, shape, data)| (name.as_str(), (shape.as_slice(), data.as_slice())));
        let sha256 = digest(description.get(), &contents.collect());
        serde_json::to_string(&Sealed { sha256, description })
    };
    let json = seal().map_err(|error| fail(error.to_string()))?;
    let metadata = HashMap::from([(METADATA.to_owned(), json)]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(|error| fail(error.to_string()))?;
    atomic_file::write(path, &file).map_err(Error::Write)
}

/// The metadata entry.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// [`digest`] of the description, letter by letter, and the tensors.
    sha256: String,
    description: Box<RawValue>,
}

/// SHA-256 in hexadecimal over a description and tensors (shape and bytes by name), each with its length before it.
fn digest(description: &str, tensors: &BTreeMap<&str, (&[usize], &[u8])>) -> String {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(description.as_bytes());
    for (name, (shape, data)) in tensors {
        add(name.as_bytes());
        add(&shape.iter().flat_map(|&length| (length as u64).to_le_bytes()).collect::<Vec<_>>());
        add(data);
    }
    hexadecimal(&hash.finalize())
}

/// Bytes as text.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A safetensors file in memory.
pub(crate) struct StoredFile {
    bytes: Vec<u8>,
}

impl StoredFile {
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        Ok(Self { bytes: std::fs::read(path).map_err(Error::file(path, "read it"))? })
    }

    /// The description, after a look at the seal.
    pub(crate) fn metadata<M: DeserializeOwned>(&self, path: &Path) -> Result<M, Error> {
        let (_, header) = SafeTensors::read_metadata(&self.bytes)
            .map_err(|_| damaged(path, "it is not a safetensors file, or is cut short"))?;
        let json = header.metadata().as_ref().and_then(|entries| entries.get(METADATA));
        let json = json.ok_or_else(|| damaged(path, "it was not written by Tweedie"))?;
        let broken = || damaged(path, "it is damaged: its checksum does not fit; restore it from a copy");
        let sealed: Sealed = serde_json::from_str(json).map_err(|_| broken())?;
        let file = self.tensors(path)?;
        let tensors = file.tensors();
        let tensors = tensors.iter().map(|(name, view)| (name.as_str(), (view.shape(), view.data())));
        if digest(sealed.description.get(), &tensors.collect()) != sealed.sha256 {
            return Err(broken());
        }
        serde_json::from_str(sealed.description.get())
            .map_err(|_| damaged(path, "it was written by another version of Tweedie"))
    }

    fn tensors(&self, path: &Path) -> Result<SafeTensors<'_>, Error> {
        SafeTensors::deserialize(&self.bytes)
            .map_err(|_| damaged(path, "it is not a safetensors file, or is cut short"))
    }

    /// A tensor of that name and shape, all of it finite.
    pub(crate) fn tensor(&self, path: &Path, name: &str, shape: &[usize], device: &Device) -> Result<Tensor, Error> {
        let file = self.tensors(path)?;
        let view = file.tensor(name).map_err(|_| damaged(path, &format!("the weight {name} is missing")))?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            let found = view.shape();
            return Err(damaged(path, &format!("the weight {name} has shape {found:?} where {shape:?} is needed")));
        }
        let (values, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(damaged(path, &format!("the weight {name} holds a value that is not finite")));
        }
        Ok(Tensor::from_vec(values, shape, device)?)
    }
}
