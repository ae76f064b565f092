//! `cargo xtask eval`, and what the twin's `eval` of artifacts shares with it.

mod curve;
mod options;
mod progress;
mod text;

pub use options::{Options, Prepared};
pub use progress::Progress;

use crate::atomic_file;
use crate::checkpoint::Model;
use crate::cli::drawer::{Drawer, GpuOptions};
use crate::condition::Asked;
use crate::data::DataLevels;
use crate::device::DeviceName;
use crate::error::Error;
use crate::judge::bound;
use crate::judge::evaluation::{Bound, Evaluation, Gallery, Stated, Subject, SubjectKind, VERSION};
use crate::judge::panel::Panel;
use crate::judge::report;
use crate::judge::series::{Series, shown_rows};
use crate::preset::{SamplingSettings, SolverName};
use crate::process::AnyProcess;
use crate::sample::check;
use clap::Args;
use std::path::{Path, PathBuf};

/// Judge a model: how near its samples come to real ones, whether it copies, and what more steps are worth.
///
/// Samples of several seeds are compared with rows that no training has seen, in pixels and in the features of a classifier of real data:
/// Frechet distance, precision and recall, class agreement, the share of copies, and the variational bound. RUN/eval (or --out) then holds
/// eval.json and report.html.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask eval runs/digits                            1, 2, 4, 8, 20 and 50 steps
  cargo xtask eval runs/digits --steps 20 --seeds 10      the usual steps, narrower intervals
  cargo xtask eval runs/faces --held-out unseen.npy       your own held-out rows
  cargo xtask eval digits.tweedie --run runs/digits       an artifact, and what quantisation costs
  cargo xtask eval --curve                                when does it copy? the digits preset on growing subsets, in minutes")]
pub struct Arguments {
    /// A run folder, as `train` leaves it; or the file of an artifact, as `export` does (see eval FILE --help); with --curve a preset
    #[arg(value_name = "RUN|FILE", required_unless_present = "curve")]
    run: Option<PathBuf>,
    /// Numbers of steps to draw in [default: 1,2,4,8,20,50 and the model's own]
    #[arg(long, value_name = "K,K,…", value_delimiter = ',')]
    steps: Option<Vec<usize>>,
    /// Where samples are drawn: cpu, cuda, metal, wgpu, or auto for the first of cuda, metal and cpu that is there
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
    #[command(flatten)]
    gpu: GpuOptions,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    curve: curve::CurveOptions,
}

/// Numbers of steps that are tried unless the person says otherwise.
const STEPS: [usize; 6] = [1, 2, 4, 8, 20, 50];

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let options = &arguments.options;
    let subject = match &arguments.run {
        Some(subject) if !arguments.curve.curve => subject,
        // The curve trains.
        preset => {
            arguments.gpu.none_given()?;
            return curve::run(preset.as_deref(), options, &arguments.curve, &arguments.device.open()?);
        }
    };
    let drawer = Drawer::open(arguments.device, &arguments.gpu)?;
    let progress = Progress::default();
    let model = Asked::load_for_judging(subject, &drawer.model_device())?;
    let steps = steps_of(&model, arguments.steps.as_deref())?;
    let Prepared { panel, judge, settings, classes, notes } =
        options.prepare(&model.preset.data, &model.description.shape, model.description.classes, &progress)?;
    let mut all = Vec::new();
    for steps in steps {
        let sampling = SamplingSettings { steps, ..model.preset.sampling.clone() };
        progress.show(&format!("steps: {steps}"));
        let which = (steps, steps == model.preset.sampling.steps);
        all.push(Series::of(&panel, &settings, which, &classes, |seed| {
            drawer.sample(&model, &sampling, &classes, seed)
        })?);
        progress.done(&format!("steps: {steps}, drawn and scored"));
    }
    progress.show("the variational bound");
    let bound = bound_of(&model, &panel);
    progress.finish();
    let gallery = gallery(&panel, &classes, &all);
    let evaluation = Evaluation {
        format: "evaluation".to_owned(),
        version: VERSION,
        subject: Subject {
            kind: SubjectKind::Run,
            path: subject.clone(),
            parameters: Some(model.parameter_count()),
            bytes: None,
            default_steps: model.preset.sampling.steps,
            sampler: sampler(&model.preset.sampling),
        },
        data: panel.rows().summary(),
        settings,
        judge,
        real: panel.real().clone(),
        by_steps: all.into_iter().map(|series| series.scores).collect(),
        bound,
        quantisation: None,
        notes,
    };
    let out = options.out.clone().unwrap_or_else(|| subject.join("eval"));
    leave(&out, &evaluation, &gallery, options.json)
}

/// What a report shows of samples.
pub fn gallery(panel: &Panel, classes: &[u32], all: &[Series]) -> Gallery {
    let usual = all.iter().find(|series| series.scores.is_default).or(all.first());
    Gallery {
        real: shown_rows(&panel.rows().held_out),
        by_steps: all.iter().map(|series| series.shown(panel, classes)).collect(),
        nearest: usual.map_or_else(Vec::new, |series| series.copies.clone()),
    }
}

/// Rising numbers of steps, the model's own among them unless the person chose.
fn steps_of(model: &Model, chosen: Option<&[usize]>) -> Result<Vec<usize>, Error> {
    let process = AnyProcess::new(&model.preset.process)?;
    let possible = |steps: usize| {
        let settings = SamplingSettings { steps, ..model.preset.sampling.clone() };
        model.accepts(&settings).and_then(|()| check(&model.preset, &process, &settings))
    };
    let mut all: Vec<usize> = match chosen {
        Some(chosen) => {
            chosen.iter().try_for_each(|&steps| {
                possible(steps).map_err(|error| Error::Argument(format!("--steps {steps}: {error}")))
            })?;
            chosen.to_vec()
        }
        // What a solver, a spacing or a student cannot do is left out where nobody asked for it.
        None => {
            STEPS.into_iter().filter(|&steps| possible(steps).is_ok()).chain([model.preset.sampling.steps]).collect()
        }
    };
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn bound_of(model: &Model, panel: &Panel) -> Stated<Bound> {
    if model.description.distilled.is_some() {
        let reason =
            "a student draws samples and estimates no expectations, which the bound is made of; judge its teacher";
        return Stated::Absent(reason.to_owned());
    }
    let rows = panel.rows();
    let Some(levels) = DataLevels::of(&rows.seen.samples) else {
        return Stated::Absent(
            "the data's values are no evenly spaced levels, so there are no bits to count".to_owned(),
        );
    };
    match bound::of(model, &model.preset.sampling, &levels, &rows.training, &rows.held_out) {
        Ok(bound) => Stated::Present(bound),
        Err(error) => Stated::Absent(error.to_string()),
    }
}

/// A sampler in a few words.
fn sampler(settings: &SamplingSettings) -> String {
    let SamplingSettings { solver, spacing, guidance, .. } = settings;
    let noise = match solver {
        SolverName::Ddim => format!(", eta {}", settings.eta),
        SolverName::Ddpm => format!(", variance {}", settings.variance),
        _ => String::new(),
    };
    format!("{solver}{noise}, {spacing} spacing, guidance {guidance}")
}

/// Writes `eval.json` and `report.html` into a folder, and prints the table or the JSON.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn leave(out: &Path, evaluation: &Evaluation, gallery: &Gallery, json: bool) -> Result<(), Error> {
    std::fs::create_dir_all(out).map_err(Error::file(out, "make the folder"))?;
    let to_text = |value: serde_json::Result<String>| {
        value.map_err(|error| Error::Argument(format!("the judgement holds what JSON cannot say: {error}")))
    };
    let pretty = to_text(serde_json::to_string_pretty(evaluation))?;
    atomic_file::write(&out.join("eval.json"), format!("{pretty}\n").as_bytes()).map_err(Error::Write)?;
    let page = out.join("report.html");
    report::write(&page, evaluation, gallery, &command_line())?;
    if json {
        crate::say!("{}", to_text(serde_json::to_string(evaluation))?);
    } else {
        crate::say!("{}\n\nsee {}", text::table(evaluation), page.display());
    }
    Ok(())
}

/// The line that a person gave, to be repeated.
fn command_line() -> String {
    let quoted = |argument: String| match argument.contains([' ', '\'', '"', '$', '*', '?', '&', ';', '|', '<', '>']) {
        true => format!("'{}'", argument.replace('\'', r"'\''")),
        false => argument,
    };
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(argument.to_string_lossy().into_owned()));
    ["cargo xtask".to_owned()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}
