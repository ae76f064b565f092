//! A network as a list of calls over buffers of a GPU: recorded once for a number of rows, run at every step.
//!
//! A network's `record` names its layers in their order, as its `forward` does; each becomes a call of a kernel. A layer's result is a [`Value`], and a
//! buffer whose values have all been dropped serves a later layer. What depends on the noise level alone is computed beforehand for every step of
//! the plan; what depends on the class is looked up.

use super::context::{Access, Call, Gpu, Parameters, Storage, parameters};
use super::error::GpuError;
use crate::error::Error;
use crate::network::{Weights, features_of};
use crate::operators::Activation;
use crate::query::Query;
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// A layer's result for every row: `pixels` times `channels` numbers.
#[derive(Clone, Debug)]
pub struct Value {
    storage: Rc<Storage>,
    /// Pixels or tokens of a row; 1 for plain features.
    pub pixels: usize,
    /// Numbers of each.
    pub channels: usize,
    /// Whether all rows have it in common.
    is_table: bool,
}

impl Value {
    /// Numbers of a row.
    pub fn features(&self) -> usize {
        self.pixels * self.channels
    }

    /// The same numbers, in so many pixels.
    pub fn in_pixels(self, pixels: usize) -> Self {
        let channels = self.features() / pixels;
        Self { pixels, channels, ..self }
    }
}

/// What is added to a layer's products: a row for each step or one for all, and a row for each class or none.
#[derive(Clone, Debug)]
pub struct Bias {
    steps: Storage,
    is_stepped: bool,
    classes: Option<Storage>,
}

/// A layer of products.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// The name of its weight, `[outputs, size, size, inputs]` or `[outputs, inputs]`.
    pub weight: &'a str,
    /// Height and width of the images that it sees; 1 and 1 for a linear layer.
    pub image: [usize; 2],
    /// Pixels across its filter.
    pub size: usize,
    /// Pixels from one place of the filter to the next.
    pub stride: usize,
    /// What follows.
    pub activation: Activation,
    /// What is added last: a value of the result's shape, or a table with a row for each pixel of an image.
    pub residual: Option<&'a Value>,
}

/// What differs from one run of a program to the next.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Rows that count.
    pub rows: usize,
    /// The step of the plan.
    pub step: usize,
    /// Whether every row is of no class.
    pub unconditional: bool,
}

/// A call's parameters, and how many workgroups it needs.
type Prepare = Box<dyn Fn(&Run) -> (Parameters, usize) + Send + Sync>;

struct Recorded {
    call: Call,
    /// The call without a class, where it differs: the last layer's, whose result is to stay beside the other.
    unconditional: Option<Call>,
    prepare: Prepare,
}

/// Weights and tables of a model on a device, each uploaded once.
pub struct Uploads<'a> {
    gpu: &'a Gpu,
    weights: &'a dyn Weights,
    queries: &'a [Query],
    /// For every step [`features_of`] its angles, `[steps, levels * ANGLE_FEATURES]`.
    angles: Tensor,
    uploaded: HashMap<String, Storage>,
    nothing: Storage,
}

impl<'a> Uploads<'a> {
    /// The weights of a model, for the questions of a plan.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn new(gpu: &'a Gpu, weights: &'a dyn Weights, queries: &'a [Query]) -> Result<Self, Error> {
        let angles: Vec<f32> = queries.iter().flat_map(|query| features_of(&query.angles)).collect();
        let (steps, levels) = (queries.len(), angles.len() / queries.len().max(1));
        let angles = Tensor::from_vec(angles, (steps, levels), &Device::Cpu)?;
        let nothing = gpu.storage("nothing", 1)?;
        Ok(Self { gpu, weights, queries, angles, uploaded: HashMap::new(), nothing })
    }

    fn upload(&mut self, name: &str, make: impl FnOnce(&Self) -> Result<Tensor, Error>) -> Result<Storage, Error> {
        if let Some(storage) = self.uploaded.get(name) {
            return Ok(storage.clone());
        }
        let values = make(self)?.flatten_all()?.to_vec1::<f32>()?;
        let storage = self.gpu.upload(name, &values)?;
        self.uploaded.insert(name.to_owned(), storage.clone());
        Ok(storage)
    }
}

/// Takes down a network's layers.
pub struct Recorder<'a, 'w> {
    gpu: &'a Gpu,
    uploads: &'a mut Uploads<'w>,
    rows: usize,
    state: &'a Storage,
    classes: &'a Storage,
    outputs: [&'a Storage; 2],
    /// How many classes there are.
    class_count: usize,
    pool: Vec<Rc<Storage>>,
    layers: Vec<Recorded>,
}

/// A network's calls.
pub struct Program {
    gpu: Arc<Gpu>,
    layers: Vec<Recorded>,
    /// The words of its buffers but for weights.
    words: Vec<usize>,
}

/// Where a program reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// The states, `[rows, features]`.
    pub state: &'a Storage,
    /// The class of every row, `u32`.
    pub classes: &'a Storage,
    /// The predictions with a class, `[rows, features]`.
    pub output: &'a Storage,
    /// Those without.
    pub unconditional: &'a Storage,
}

impl Program {
    /// The calls of a network, which `record` names, for so many rows.
    ///
    /// # Errors
    /// What the network or the device refuses.
    pub fn record(
        gpu: &Arc<Gpu>,
        uploads: &mut Uploads<'_>,
        rows: usize,
        class_count: usize,
        ends: Ends<'_>,
        record: impl FnOnce(&mut Recorder<'_, '_>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut recorder = Recorder {
            gpu,
            uploads,
            rows,
            state: ends.state,
            classes: ends.classes,
            outputs: [ends.output, ends.unconditional],
            class_count,
            pool: Vec::new(),
            layers: Vec::new(),
        };
        record(&mut recorder)?;
        let words = recorder.pool.iter().map(|storage| storage.words()).collect();
        Ok(Self { gpu: gpu.clone(), layers: recorder.layers, words })
    }

    /// The words of each of its buffers.
    pub fn words(&self) -> &[usize] {
        &self.words
    }

    /// Adds the calls to the device's stream.
    ///
    /// # Errors
    /// More workgroups than the device starts.
    pub fn enqueue(&self, run: &Run) -> Result<(), GpuError> {
        for layer in &self.layers {
            let (parameters, groups) = (layer.prepare)(run);
            let call =
                if run.unconditional { layer.unconditional.as_ref().unwrap_or(&layer.call) } else { &layer.call };
            self.gpu.enqueue(call, &parameters, self.gpu.groups(groups))?;
        }
        Ok(())
    }
}

/// Rows and columns that a workgroup of the product's kernel makes: narrow layers would leave half of the wide ones' columns empty.
const WIDE: [usize; 2] = [64, 64];
const NARROW: [usize; 2] = [128, 32];

/// Numbers that an invocation of a kernel makes alone come in workgroups of so many.
const ALONE: usize = 256;

/// Keys and values that attention holds in a workgroup's memory: so many numbers of each.
const ATTENTION_NUMBERS: usize = 2048;

impl Recorder<'_, '_> {
    /// The model's weights.
    pub fn weights(&self) -> &dyn Weights {
        self.uploads.weights
    }

    /// The questions of the plan.
    pub fn queries(&self) -> &[Query] {
        self.uploads.queries
    }

    /// Features of every step's noise levels, `[steps, levels * ANGLE_FEATURES]`, on the CPU.
    pub fn angles(&self) -> &Tensor {
        &self.uploads.angles
    }

    fn weight(&mut self, name: &str) -> Result<Storage, Error> {
        self.uploads.upload(name, |uploads| Ok(uploads.weights.get(name)?.clone()))
    }

    /// A buffer that no value holds any more, or a new one.
    fn value(&mut self, pixels: usize, channels: usize) -> Result<Value, Error> {
        let words = self.rows * pixels * channels;
        let free = self.pool.iter().filter(|storage| Rc::strong_count(storage) == 1 && storage.words() >= words);
        let storage = match free.min_by_key(|storage| storage.words()) {
            Some(storage) => storage.clone(),
            None => {
                let storage = Rc::new(self.gpu.storage("a layer's results", words)?);
                self.pool.push(storage.clone());
                storage
            }
        };
        Ok(Value { storage, pixels, channels, is_table: false })
    }

    fn push(
        &mut self,
        entry: &'static str,
        source: &str,
        reads: &[&Storage],
        writes: &[&Storage],
        prepare: impl Fn(&Run) -> (Parameters, usize) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let call = self.call(entry, source, reads, writes)?;
        self.layers.push(Recorded { call, unconditional: None, prepare: Box::new(prepare) });
        Ok(())
    }

    fn call(&self, entry: &'static str, source: &str, reads: &[&Storage], writes: &[&Storage]) -> Result<Call, Error> {
        let access = reads.iter().map(|_| Access::Read).chain(writes.iter().map(|_| Access::ReadWrite));
        let kernel = self.gpu.kernel(entry, source, &access.collect::<Vec<_>>())?;
        Ok(self.gpu.bind(&kernel, &[reads, writes].concat())?)
    }

    /// A layer's bias.
    ///
    /// # Errors
    /// A weight that is not there.
    pub fn bias(&mut self, name: &str) -> Result<Bias, Error> {
        Ok(Bias { steps: self.weight(name)?, is_stepped: false, classes: None })
    }

    /// A bias that `of_steps` computes for every step, `[steps, channels]`, plus the row of a table for each class; `name` tells it from others.
    ///
    /// # Errors
    /// A weight that is not there.
    pub fn told(
        &mut self,
        name: &str,
        table: &str,
        of_steps: impl FnOnce(&dyn Weights, &Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Bias, Error> {
        let steps = self
            .uploads
            .upload(&format!("{name} at every step"), |uploads| Ok(of_steps(uploads.weights, &uploads.angles)?))?;
        Ok(Bias { steps, is_stepped: true, classes: Some(self.weight(table)?) })
    }

    /// A table of the model, `[pixels, channels]`, as what a layer adds last.
    ///
    /// # Errors
    /// A weight that is not there.
    pub fn table(&mut self, name: &str, pixels: usize, channels: usize) -> Result<Value, Error> {
        Ok(Value { storage: Rc::new(self.weight(name)?), pixels, channels, is_table: true })
    }

    /// The states over their norm, in another order, or as they are.
    ///
    /// # Errors
    /// A device without room.
    pub fn input(&mut self, features: usize, order: Option<&[u32]>) -> Result<Value, Error> {
        let order = self.order("the input's order", features, order)?;
        let value = self.value(1, features)?;
        let factors: Vec<f32> = self.queries().iter().map(|query| (1.0 / query.norm) as f32).collect();
        let source = include_str!("wgsl/rearrange.wgsl");
        self.push("rearrange", source, &[self.state, &order], &[&value.storage.clone()], move |run| {
            let count = run.rows * features;
            let factor = factors.get(run.step).copied().unwrap_or(1.0);
            (parameters(&[count as u32, features as u32, factor.to_bits()]), count.div_ceil(ALONE))
        })?;
        Ok(value)
    }

    /// The prediction: a value in another order, or as it is.
    ///
    /// # Errors
    /// A device without room.
    pub fn output(&mut self, value: &Value, order: Option<&[u32]>) -> Result<(), Error> {
        let features = value.features();
        let order = self.order("the output's order", features, order)?;
        let source = include_str!("wgsl/rearrange.wgsl");
        let [call, unconditional] =
            self.outputs.map(|output| self.call("rearrange", source, &[&value.storage, &order], &[output]));
        let prepare = move |run: &Run| {
            let count = run.rows * features;
            (parameters(&[count as u32, features as u32, 1.0_f32.to_bits()]), count.div_ceil(ALONE))
        };
        self.layers.push(Recorded { call: call?, unconditional: Some(unconditional?), prepare: Box::new(prepare) });
        Ok(())
    }

    fn order(&mut self, name: &str, features: usize, order: Option<&[u32]>) -> Result<Storage, Error> {
        if let Some(storage) = self.uploads.uploaded.get(name) {
            return Ok(storage.clone());
        }
        let plain: Vec<u32>;
        let order = match order {
            Some(order) => order,
            None => {
                plain = (0..features as u32).collect();
                &plain
            }
        };
        let storage = self.gpu.upload(name, order)?;
        self.uploads.uploaded.insert(name.to_owned(), storage.clone());
        Ok(storage)
    }

    /// `activation(filter(x) W^T + bias) + residual`.
    ///
    /// # Errors
    /// A weight that is not there or does not fit.
    pub fn product(&mut self, x: &Value, bias: &Bias, layer: Product<'_>) -> Result<Value, Error> {
        let Product { weight: name, image: [height, width], size, stride, activation, residual } = layer;
        let weight = self.weight(name)?;
        let patch = size * size * x.channels;
        let outputs = weight.words() / patch.max(1);
        let (out_height, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
        // A linear layer takes every pixel for an image of its own.
        let images = x.pixels / (height * width).max(1);
        let pixels = images * out_height * out_width;
        let fits = outputs * patch == weight.words() && images * height * width == x.pixels && images > 0;
        if !fits {
            return Err(Error::Argument(format!("{name} does not fit {} pixels of {} channels", x.pixels, x.channels)));
        }
        let value = self.value(pixels, outputs)?;
        let [tile_rows, tile_columns] = if outputs <= NARROW[1] { NARROW } else { WIDE };
        let source = format!("const ROWS: u32 = {tile_rows}u;\nconst COLUMNS: u32 = {tile_columns}u;\n")
            + include_str!("wgsl/product.wgsl");
        let nothing = self.uploads.nothing.clone();
        let added = residual.map_or(&nothing, |residual| &*residual.storage);
        let table = bias.classes.as_ref().unwrap_or(&nothing);
        let (channels, is_told, is_stepped) = (x.channels, bias.classes.is_some(), bias.is_stepped);
        let (is_silu, class_count) = (activation == Activation::Silu, self.class_count);
        let added_rows = residual.map(|residual| if residual.is_table { Some(residual.pixels) } else { None });
        let reads = [&*x.storage, &weight, &bias.steps, table, self.classes, added];
        let prepare = move |run: &Run| {
            let rows = run.rows * pixels;
            let step = if is_stepped { run.step } else { 0 };
            let period = added_rows.map_or(0, |table| table.unwrap_or(rows));
            let sizes =
                [rows, outputs, channels, height, width, out_height, out_width, size, stride, step, class_count];
            let flags = [is_told, run.unconditional, is_silu].map(u32::from);
            let all: Vec<u32> = sizes.iter().map(|&n| n as u32).chain(flags).chain([period as u32]).collect();
            (parameters(&all), rows.div_ceil(tile_rows) * outputs.div_ceil(tile_columns))
        };
        self.push("product", &source, &reads, &[&value.storage.clone()], prepare)?;
        Ok(value)
    }

    /// A fully connected layer of every pixel's channels, with the weight and bias of that name.
    ///
    /// # Errors
    /// As of [`product`](Self::product).
    pub fn linear(
        &mut self,
        x: &Value,
        name: &str,
        activation: Activation,
        residual: Option<&Value>,
    ) -> Result<Value, Error> {
        let bias = self.bias(&format!("{name}.bias"))?;
        let weight = format!("{name}.weight");
        self.product(x, &bias, Product { weight: &weight, image: [1, 1], size: 1, stride: 1, activation, residual })
    }

    /// Every pixel's channels less their mean over their deviation, times `scale` plus `shift` where names of such weights are given.
    ///
    /// # Errors
    /// A weight that is not there.
    pub fn normalise(&mut self, x: &Value, affine: Option<[&str; 2]>) -> Result<Value, Error> {
        let value = self.value(x.pixels, x.channels)?;
        let [scale, shift] = match affine {
            Some([scale, shift]) => [self.weight(scale)?, self.weight(shift)?],
            None => [self.uploads.nothing.clone(), self.uploads.nothing.clone()],
        };
        let (pixels, width, is_affine) = (x.pixels, x.channels as u32, u32::from(affine.is_some()));
        let source = include_str!("wgsl/normalise.wgsl");
        let reads = [&*x.storage, &scale, &shift];
        self.push("normalise", source, &reads, &[&value.storage.clone()], move |run| {
            let rows = run.rows * pixels;
            (parameters(&[rows as u32, width, is_affine]), rows.div_ceil(16))
        })?;
        Ok(value)
    }

    /// What tokens see of one another: `x` holds for each its queries, keys and values.
    ///
    /// # Errors
    /// Heads so wide that a workgroup's memory does not hold a key.
    pub fn attention(&mut self, x: &Value, heads: usize) -> Result<Value, Error> {
        let width = x.channels / 3;
        let depth = width / heads.max(1);
        if depth == 0 || depth > ATTENTION_NUMBERS {
            return Err(GpuError::Unsupported(format!(
                "heads of {depth} numbers are not run by --device wgpu, which takes 1 to {ATTENTION_NUMBERS}"
            )))?;
        }
        let value = self.value(x.pixels, width)?;
        let tile = (ATTENTION_NUMBERS / depth).min(32);
        let source =
            format!("const TILE: u32 = {tile}u;\nconst DEPTH: u32 = {depth}u;\n") + include_str!("wgsl/attention.wgsl");
        let (tokens, scale) = (x.pixels, 1.0 / (depth as f32).sqrt());
        self.push("attention", &source, &[&*x.storage], &[&value.storage.clone()], move |run| {
            let values = [run.rows as u32, tokens as u32, heads as u32, scale.to_bits()];
            (parameters(&values), run.rows * heads * tokens.div_ceil(64))
        })?;
        Ok(value)
    }

    /// Images one behind the other in their channels, the first enlarged; `width` is that of the second.
    ///
    /// # Errors
    /// A device without room.
    pub fn join(&mut self, low: &Value, high: &Value, width: usize, enlarge: usize) -> Result<Value, Error> {
        let value = self.value(high.pixels, low.channels + high.channels)?;
        let (features, low_channels, high_channels) = (value.features(), low.channels as u32, high.channels as u32);
        let source = include_str!("wgsl/join.wgsl");
        let reads = [&*low.storage, &*high.storage];
        self.push("join", source, &reads, &[&value.storage.clone()], move |run| {
            let count = run.rows * features;
            let values = [count as u32, width as u32, low_channels, high_channels, enlarge as u32];
            (parameters(&values), count.div_ceil(ALONE))
        })?;
        Ok(value)
    }

    /// The estimate of a mixture of low-rank Gaussians with the means and bases of the model; `terms` are those of every step and component,
    /// `[steps, components, 3 + 2 rank]`, and `alphas` the signal of every step.
    ///
    /// # Errors
    /// A weight that is not there.
    pub fn mixture(
        &mut self,
        x: &Value,
        [components, rank]: [usize; 2],
        terms: Vec<f32>,
        alphas: Vec<f32>,
    ) -> Result<Value, Error> {
        let (means, bases) = (self.weight("means")?, self.weight("bases")?);
        let length = components * (3 + 2 * rank);
        let terms = self.uploads.upload("terms of every step", |_| {
            let count = terms.len();
            Ok(Tensor::from_vec(terms, count, &Device::Cpu)?)
        })?;
        let scratch = self.value(components, 1 + rank)?;
        let value = self.value(1, x.features())?;
        let (features, class_count) = (x.features(), self.class_count);
        let source = include_str!("wgsl/mixture.wgsl");
        let reads = [&*x.storage, &means, &bases, &terms, self.classes];
        let writes = [&*scratch.storage, &*value.storage];
        for (entry, each) in [("explain", components), ("expand", features)] {
            let alphas = alphas.clone();
            self.push(entry, source, &reads, &writes, move |run| {
                let alpha = alphas.get(run.step).copied().unwrap_or(1.0);
                let values = [run.rows, features, rank, components, class_count];
                let mut all: Vec<u32> = values.iter().map(|&value| value as u32).collect();
                all.extend([u32::from(run.unconditional), alpha.to_bits(), (run.step * length) as u32]);
                (parameters(&all), (run.rows * each).div_ceil(ALONE))
            })?;
        }
        Ok(value)
    }
}
