//! `cargo xtask watch FILE`.

use crate::board::ModelFile;
use crate::draw::{classes_in_turn, model};
use crate::error::Error;
use clap::Args;
use rayon::prelude::*;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tweedie_core::NoiseSource;
use tweedie_core::artifact::COEFF_FRACTION;
use tweedie_core::noise::NoiseStream;
use tweedie_core::plan::Memory;
use tweedie_firmware::sampler::sample_from;
use tweedie_firmware::tensor::FixedTensor;
use tweedie_firmware::{Model, Q12};
use tweedie_host::cli::watch::{Options, name_of};
use tweedie_host::watch::{Artist, Fixed, Frame, Request, Subject};

/// Watch an artifact draw, step by step, with the bits of a microcontroller: the state beside the estimate of the data.
///
/// In a terminal, keys change class and seed while it draws; `?` explains them. In a pipe, or with --once, every step of one drawing is printed. An
/// artifact draws by a plan of its own: for other steps or another solver, export it again.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask watch digits.tweedie              ten digits, seed after seed
  cargo xtask watch digits.tweedie --class 3    threes
  cargo xtask watch digits.tweedie --window     in a window")]
pub struct Arguments {
    /// An artifact, as `export` leaves it
    file: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let file = ModelFile::open(&arguments.file)?;
    let (artist, request) = ArtifactArtist::new(file, &name_of(&arguments.file))?;
    let request = Request { class: arguments.options.class, seed: arguments.options.seed, ..request };
    Ok(arguments.options.show(Arc::new(artist), request, &arguments.file.with_extension("watch"))?)
}

/// Draws by the firmware library, on every core of this machine.
struct ArtifactArtist {
    file: ModelFile,
    subject: Subject,
}

impl ArtifactArtist {
    /// For an artifact, called `name`, and what it draws by itself.
    fn new(file: ModelFile, name: &str) -> Result<(Self, Request), Error> {
        let artifact = file.artifact()?;
        let header = artifact.header();
        let fixed = |what: &str| Some(format!("an artifact draws by its own plan: export it again for other {what}"));
        let subject = Subject {
            name: name.to_owned(),
            by: "the firmware library".to_owned(),
            shape: header.dims.iter().take(usize::from(header.rank)).map(|&n| usize::from(n)).collect(),
            classes: usize::from(header.classes),
            class_names: Vec::new(),
            fixed: Fixed {
                solver: fixed("solvers"),
                steps: fixed("numbers of steps"),
                guidance: Some("an artifact is not guided: guide a teacher, and distil it".to_owned()),
            },
        };
        let request = Request { class: None, count: 1, seed: 0, steps: artifact.steps(), solver: None, guidance: 1.0 };
        Ok((Self { file, subject }, request))
    }
}

impl Artist for ArtifactArtist {
    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn check(&self, request: &Request) -> Result<(), String> {
        self.subject.check_class(request.class)
    }

    /// A sample is drawn whole before the next, as on a device, so that all of them are there before the first is shown.
    fn draw(&self, request: &Request, show: &mut dyn FnMut(Frame) -> ControlFlow<()>) -> Result<(), String> {
        let model = model(&self.file.path, self.file.words()).map_err(|error| error.to_string())?;
        let classes = match request.class.map(u16::try_from) {
            Some(Ok(class)) => vec![Some(class); request.count],
            _ => classes_in_turn(request.count, model.header().classes),
        };
        let begun = Instant::now();
        let samples = classes.par_iter().enumerate().map_init(
            || vec![0; model.scratch_words()],
            |scratch, (index, &class)| stages(&model, scratch, request.seed, index as u64, class),
        );
        let samples = samples.collect::<Result<Vec<_>, Error>>().map_err(|error| error.to_string())?;
        let seconds = begun.elapsed().as_secs_f64() / model.steps() as f64;
        // The state is at the level where the next step begins.
        let angles: Vec<f64> = model.artifact().plan().map(|step| f64::from(step.angle)).chain([0.0]).collect();
        for (step, &angle) in angles.iter().enumerate() {
            let of_all =
                |of: fn(&Stage) -> &[f32]| samples.iter().flat_map(|stages| of(&stages[step]).to_vec()).collect();
            let x0_hat = (step > 0).then(|| of_all(|stage| &stage.x0_hat));
            let frame =
                Frame { step, steps: model.steps(), angle, state: of_all(|stage| &stage.state), x0_hat, seconds };
            if show(frame).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// One sample between two steps.
struct Stage {
    state: Vec<f32>,
    x0_hat: Vec<f32>,
}

/// The sample's noise, and what every step leaves: one more than steps.
fn stages(
    model: &Model<'_>,
    scratch: &mut [u32],
    seed: u64,
    sample: u64,
    class: Option<u16>,
) -> Result<Vec<Stage>, Error> {
    let mut noise = Listening { stream: NoiseStream::new(seed, sample), first: Vec::new() };
    let mut later: Vec<Stage> = Vec::new();
    sample_from(model, scratch, &mut noise, class, |progress| {
        later.push(Stage { state: numbers(progress.state), x0_hat: numbers(progress.x0_hat) });
    })?;
    let mut stages = vec![Stage { state: numbers(&noise.first), x0_hat: Vec::new() }];
    for (mut stage, step) in later.into_iter().zip(model.artifact().plan()) {
        if let (Some(memory), Some(before)) = (step.memory, stages.last()) {
            forget(&memory, &before.state, &mut stage.x0_hat);
        }
        stages.push(stage);
    }
    Ok(stages)
}

/// Turns what a step remembers, `from_state x + from_x0 x0_hat`, back into `x0_hat`. Where the memory holds nothing of it, it stays as it is.
fn forget(memory: &Memory<i32>, x: &[f32], remembered: &mut [f32]) {
    let coefficient = |bits: i32| bits as f32 / (1 << COEFF_FRACTION) as f32;
    let (from_state, from_x0) = (coefficient(memory.from_state), coefficient(memory.from_x0));
    if from_x0 != 0.0 {
        remembered.iter_mut().zip(x).for_each(|(value, x)| *value = (*value - from_state * x) / from_x0);
    }
}

fn numbers(fixed: &[Q12]) -> Vec<f32> {
    fixed.iter().map(|&value| value.to_num()).collect()
}

/// A sample's noise, whose first draw, the initial state, is kept.
struct Listening {
    stream: NoiseStream,
    first: Vec<Q12>,
}

impl NoiseSource<FixedTensor> for Listening {
    type Error = Infallible;

    fn fill_normal(&mut self, draw: u32, out: &mut FixedTensor) -> Result<(), Infallible> {
        self.stream.fill_normal(draw, out)?;
        if draw == 0 {
            self.first = out.to_vec();
        }
        Ok(())
    }
}
