//! `tweedie watch`.

use crate::checkpoint::Model;
use crate::cli::drawer::{Drawer, GpuOptions};
use crate::condition::Asked;
use crate::device::DeviceName;
use crate::error::Error;
use crate::picture::Depiction;
use crate::picture::terminal::Style;
use crate::preset::{SamplingSettings, SolverName, SpacingName};
use crate::sample::follow::Stage;
use crate::watch::controls::Controls;
use crate::watch::session::Session;
use crate::watch::view::Sheet;
use crate::watch::{Artist, ModelArtist, Request, Subject, once, screen};
use clap::Args;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Watch a trained model draw, step by step: the state beside the estimate of the data.
///
/// In a terminal, keys change class, seed, steps, solver and guidance while it draws; `?` explains them. In a pipe, or with --once, every step of one drawing is
/// printed. States are shown over the norm of their noise level, so that all are of about unit variance.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask watch runs/digits                      ten digits, seed after seed
  cargo xtask watch runs/digits --class 3 --steps 50 threes, in more steps
  cargo xtask watch runs/cow --window                points that gather to a cow, in a window
  cargo xtask watch runs/digits --device wgpu        drawn by any GPU
  cargo xtask watch runs/digits --once | less        every step of one drawing, as text
  cargo xtask watch digits.tweedie                   an artifact, as a microcontroller draws it (see watch FILE --help)")]
pub struct Arguments {
    /// A run folder, as `train` leaves it; or the file of an artifact, as `export` does (see watch FILE --help)
    #[arg(value_name = "RUN|FILE")]
    run: PathBuf,
    #[command(flatten)]
    asked: Asked,
    /// ddim, ddpm, consistency, euler, euler-a, heun, unipc and so on, as of sample [default: the preset's]
    #[arg(long, value_name = "NAME")]
    solver: Option<SolverName>,
    /// Network evaluations for a sample [default: the preset's]
    #[arg(long, value_name = "K", value_parser = super::positive::<u64>)]
    steps: Option<u64>,
    /// Classifier-free guidance, 1 being none [default: the preset's]
    #[arg(long, value_name = "G")]
    guidance: Option<f64>,
    /// Noise of DDIM, 0 to 1 [default: the preset's]
    #[arg(long, value_name = "E")]
    eta: Option<f64>,
    /// uniform, exponential, log-snr, soft-log-snr, karras; on a chain also leading, trailing, linspace [default: the preset's]
    #[arg(long, value_name = "NAME")]
    spacing: Option<SpacingName>,
    /// cpu, cuda, metal, wgpu, or auto for the first of cuda, metal and cpu that is there
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
    #[command(flatten)]
    gpu: GpuOptions,
    #[command(flatten)]
    options: Options,
}

/// What watching a run and watching an artifact have in common.
#[derive(Args)]
pub struct Options {
    /// How many samples, as far as there is room for them [default: one of each class, up to 16; 2048 points; 4 curves]
    #[arg(long, value_name = "N", value_parser = super::positive::<u64>)]
    pub count: Option<u64>,
    /// Only this class [default: all in turn]
    #[arg(long, value_name = "C")]
    pub class: Option<u32>,
    /// Seed of the noise
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Steps in a second, at most
    #[arg(long, value_name = "F", default_value_t = 12.0, value_parser = frames_per_second)]
    pub fps: f64,
    /// Print every step of one drawing and end; so it is where there is no terminal
    #[arg(long, conflicts_with = "window")]
    pub once: bool,
    /// In a window
    #[arg(long)]
    pub window: bool,
    /// Where the key w leaves pictures [default: RUN/watch, or FILE's name with .watch]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// More points than anybody tells apart.
const MOST: u64 = 1 << 16;
/// Size of a page that is no terminal's.
const PLAIN: (usize, usize) = (100, 22);

fn frames_per_second(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.1..=1000.0).contains(&rate) => Ok(rate),
        _ => Err("it must be a number from 0.1 to 1000".to_owned()),
    }
}

/// Whoever is shown each stage of a drawing.
type Show<'a> = dyn FnMut(Stage) -> ControlFlow<()> + 'a;

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let drawer = Drawer::open(arguments.device, &arguments.gpu)?;
    let model = arguments.asked.load(&arguments.run, &drawer.model_device())?;
    let own = model.preset.sampling.clone();
    let settings = SamplingSettings {
        solver: arguments.solver.unwrap_or(own.solver),
        steps: arguments.steps.map_or(own.steps, |steps| steps as usize),
        guidance: arguments.guidance.unwrap_or(own.guidance),
        eta: arguments.eta.unwrap_or(own.eta),
        spacing: arguments.spacing.unwrap_or(own.spacing),
        ..own
    };
    if arguments.guidance.is_some() && model.description.classes == 0 {
        return Err(Error::Argument("--guidance needs a model with classes".to_owned()));
    }
    let request = Request {
        class: arguments.options.class,
        count: 0,
        seed: arguments.options.seed,
        steps: settings.steps,
        solver: Some(settings.solver),
        guidance: settings.guidance,
    };
    let by = drawer.name();
    let on_device =
        Box::new(move |model: &Model, settings: &SamplingSettings, classes: &[u32], seed: u64, show: &mut Show<'_>| {
            drawer.follow(model, settings, classes, seed, show)
        });
    let artist = ModelArtist::new(model, settings, on_device, &name_of(&arguments.run), &by)?;
    arguments.options.show(Arc::new(artist), request, &arguments.run.join("watch"))
}

/// What a run or a file is called on a page that has no room for its path.
pub fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

impl Options {
    /// Shows what an artist draws, wherever the options say. The number of samples is the options', not the request's.
    ///
    /// # Errors
    /// What cannot be drawn, no terminal or window to show it in, or one that is too small.
    pub fn show(&self, artist: Arc<dyn Artist>, request: Request, out: &Path) -> Result<(), Error> {
        let request = Request { count: self.count(artist.subject())?, ..request };
        artist.check(&request).map_err(Error::Argument)?;
        let out = self.out.as_deref().unwrap_or(out);
        let controls = Controls::new(request, self.fps);
        if self.window {
            return window(artist, controls, out);
        }
        let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        if self.once || !has_terminal {
            let (columns, lines) = PLAIN;
            let style = Style::of_standard_output();
            let sheet = if io::stdout().is_terminal() { screen::sheet()? } else { Sheet { columns, lines, style } };
            return once::print(&*artist, &controls.request, sheet, &mut io::stdout().lock());
        }
        let sheet = screen::sheet()?;
        sheet.check().map_err(|small| Error::Argument(format!("{small}; or print the steps with --once")))?;
        let room = sheet.room(artist.subject(), controls.request.count)?;
        screen::watch(Session::begin(artist, controls, room, out))
    }

    /// How many samples are wanted.
    fn count(&self, subject: &Subject) -> Result<usize, Error> {
        match self.count {
            Some(count) if count > MOST => {
                Err(Error::Argument(format!("--count {count} is more than the {MOST} that can be watched")))
            }
            Some(count) => Ok(count as usize),
            None => Ok(match Depiction::of(&subject.shape) {
                Depiction::Cloud => 2048,
                Depiction::Traces => 4,
                Depiction::Sheet => subject.classes.clamp(8, 16),
            }),
        }
    }
}

#[cfg(feature = "window")]
fn window(artist: Arc<dyn Artist>, controls: Controls, out: &Path) -> Result<(), Error> {
    crate::watch::window::watch(artist, controls, out)
}

#[cfg(not(feature = "window"))]
fn window(_: Arc<dyn Artist>, _: Controls, _: &Path) -> Result<(), Error> {
    let reason = "this build has no window: build it with --features window, as `cargo xtask watch … --window` does";
    Err(Error::Device(reason.to_owned()))
}
