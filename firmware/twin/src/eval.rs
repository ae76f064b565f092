//! `cargo xtask eval FILE`.

use crate::board::ModelFile;
use crate::draw::{DeviceOptions, Drawer, model};
use crate::error::Error;
use candle_core::Device;
use clap::Args;
use std::path::{Path, PathBuf};
use tweedie_core::artifact::Artifact;
use tweedie_host::checkpoint;
use tweedie_host::cli::drawer;
use tweedie_host::cli::eval::{Options, Prepared, Progress, gallery, leave};
use tweedie_host::condition::Asked;
use tweedie_host::export::origin::may_come_of;
use tweedie_host::judge::evaluation::{Evaluation, Quantisation, Stated, Subject, SubjectKind, VERSION};
use tweedie_host::judge::series::Series;
use tweedie_host::preset::{DataSettings, SamplingSettings};

/// Judge an artifact: its samples, drawn on this machine with the bits of a microcontroller, whatever the device.
///
/// Scores are those of `eval RUN`. With --run the float model draws as many samples from the same noise, and what quantisation costs is said.
/// Files are left beside digits.tweedie in digits.eval (or in --out): eval.json and report.html.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask eval digits.tweedie                    an artifact that draws the embedded digits
  cargo xtask eval digits.tweedie --run runs/digits  and what quantisation costs
  cargo xtask eval faces.tweedie --data faces.npy    an artifact of your own data
  cargo xtask eval digits.tweedie --run runs/digits --count 50000 --device wgpu  many samples, on a GPU")]
pub struct Arguments {
    /// An artifact, as `export` leaves it
    file: PathBuf,
    /// The run that it was exported from, to say what quantisation costs
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceOptions,
    #[command(flatten)]
    options: Options,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let (progress, options) = (Progress::default(), &arguments.options);
    let artifact = ModelFile::open(&arguments.file)?;
    let model = model(&arguments.file, artifact.words())?;
    let header = *model.header();
    let shape: Vec<usize> = header.dims.iter().take(usize::from(header.rank)).map(|&n| usize::from(n)).collect();
    let float = arguments.run.as_deref().map(|run| float_model(run, &arguments.file, model.artifact())).transpose()?;
    let own = match &float {
        Some((float, _)) => float.preset.data.clone(),
        None if shape == [8, 8] && header.classes == 10 => DataSettings::samples_of("digits"),
        None if options.data.is_some() => DataSettings::samples_of(""),
        None => return Err(Error::UnknownData { path: arguments.file.clone() }),
    };
    let Prepared { panel, judge, settings, classes, notes } =
        options.prepare(&own, &shape, usize::from(header.classes), &progress)?;

    let drawer = Drawer::open(&model, &arguments.device, settings.count)?;
    progress.show("drawing in fixed point");
    let asked: Vec<Option<u16>> = classes.iter().map(|&class| (header.classes > 0).then_some(class as u16)).collect();
    let fixed = Series::of(&panel, &settings, (model.steps(), true), &classes, |seed| drawn(&drawer, &asked, seed))?;
    progress.done("drawn in fixed point and scored");
    let quantisation = match (&float, &arguments.run) {
        (Some((float, sampling)), Some(run)) => {
            progress.show("drawing in floating point");
            let of_run = drawer::Drawer::open(arguments.device.device, &arguments.device.gpu)?;
            let of_float = Series::of(&panel, &settings, (model.steps(), true), &classes, |seed| {
                of_run.sample(float, sampling, &classes, seed)
            })?;
            progress.done("drawn in floating point and scored");
            Some(Quantisation::between(&fixed, of_float, run))
        }
        _ => None,
    };
    progress.finish();
    let gallery = gallery(&panel, &classes, std::slice::from_ref(&fixed));
    let evaluation = Evaluation {
        format: "evaluation".to_owned(),
        version: VERSION,
        subject: Subject {
            kind: SubjectKind::Artifact,
            path: arguments.file.clone(),
            parameters: None,
            bytes: Some(4 * artifact.words().len() as u64),
            default_steps: model.steps(),
            sampler: "the artifact's own plan".to_owned(),
        },
        data: panel.rows().summary(),
        settings,
        judge,
        real: panel.real().clone(),
        by_steps: vec![fixed.scores],
        bound: Stated::Absent("an artifact knows the noise levels of its own steps alone; judge its run".to_owned()),
        quantisation,
        notes,
    };
    let out = options.out.clone().unwrap_or_else(|| arguments.file.with_extension("eval"));
    Ok(leave(&out, &evaluation, &gallery, options.json)?)
}

/// The model in a run folder and how it samples, if the artifact can have come of it: otherwise the gap would be no cost of quantisation.
fn float_model(
    run: &Path,
    file: &Path,
    artifact: &Artifact<'_>,
) -> Result<(checkpoint::Model, SamplingSettings), Error> {
    let model = Asked::load_for_judging(run, &Device::Cpu)?;
    let own = &model.preset.sampling;
    // As the preset says, or exported with another number of steps.
    for steps in [own.steps, artifact.plan().len()] {
        let sampling = SamplingSettings { steps, ..own.clone() };
        if model.accepts(&sampling).is_ok() && may_come_of(artifact, &model, &sampling)? {
            return Ok((model, sampling));
        }
    }
    Err(Error::OtherRun { run: run.to_owned(), file: file.to_owned() })
}

/// Samples in the network's range.
fn drawn(drawer: &Drawer<'_>, classes: &[Option<u16>], seed: u64) -> Result<Vec<f32>, Error> {
    Ok(drawer.draw(classes, seed)?.iter().map(|value| value.to_num()).collect())
}
