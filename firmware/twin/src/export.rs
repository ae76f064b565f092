//! `cargo xtask export`.

use crate::cli::positive;
use crate::draw::{self, classes_in_turn, draw};
use crate::error::Error;
use crate::export_text;
use candle_core::Device;
use clap::Args;
use std::path::{Path, PathBuf};
use tweedie_firmware::Model;
use tweedie_host::checkpoint;
use tweedie_host::condition::Asked;
use tweedie_host::data::Dataset;
use tweedie_host::export::{Export, export};
use tweedie_host::preset::{DataSettings, SamplingSettings, SolverName, SpacingName};
use tweedie_host::{atomic_file, sample};

/// Turn a trained model into an artifact for microcontrollers.
///
/// The solver and its steps are frozen into the file. Time and class embeddings are folded into tables, activations are calibrated on the
/// sampler's own trajectories and on the training data, weights become 8-bit integers, and the overflow of any sum is ruled out by proof.
/// Afterwards 200 samples are drawn by the firmware library and by the float model from the same noise.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask export runs/digits -o digits.tweedie             as the preset samples
  cargo xtask export runs/digits --steps 10 -o fast.tweedie    half the steps, half the time
  cargo xtask export runs/digits --solver ddpm --steps 50 -o ancestral.tweedie
  cargo xtask export runs/digits-text --prompt seven --prompt 'an odd number' -o two.tweedie
                                                               prompts become classes 0, 1, ...")]
pub struct Arguments {
    /// A run folder, as `train` leaves it
    run: PathBuf,
    #[command(flatten)]
    asked: Asked,
    /// ddim, ddpm, euler, euler-a, heun, heun-pec, flow-euler, flow-heun, reverse-sde, dpm++2m, dpm++2m-heun, dpm++2m-sde, dpm++3m, dpm++2s, dpm++sde,
    /// dpm2m, deis, unipc, lms, pndm, ipndm or consistency [default: the preset's]
    #[arg(long, value_name = "NAME")]
    solver: Option<SolverName>,
    /// Network evaluations for a sample [default: the preset's]
    #[arg(long, value_name = "K", value_parser = positive)]
    steps: Option<usize>,
    /// Whether to clamp each estimate of the data to [-1, 1] [default: the preset's]
    #[arg(long, value_name = "true|false")]
    clip: Option<bool>,
    /// Noise of DDIM, 0 to 1 [default: the preset's]
    #[arg(long, value_name = "E")]
    eta: Option<f64>,
    /// uniform, exponential, log-snr, soft-log-snr, karras; on a chain also leading, trailing, linspace [default: the preset's]
    #[arg(long, value_name = "NAME")]
    spacing: Option<SpacingName>,
    /// Guidance; a device runs none, which is 1 [default: the preset's]
    #[arg(long, value_name = "G")]
    guidance: Option<f64>,
    /// Data to calibrate on [default: what the model was trained on]
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Where to write the artifact [default: model.tweedie in RUN]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Samples drawn both ways.
const COMPARED: usize = 200;

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let model = arguments.asked.load(&arguments.run, &Device::Cpu)?;
    let settings = arguments.settings(&model.preset.sampling);
    let (data, note) = arguments.data(&model)?;
    progress("calibrating and quantising …");
    let exported = export(&model, &settings, data.as_ref())?;
    let file = arguments.output.clone().unwrap_or_else(|| arguments.run.join("model.tweedie"));
    progress("drawing samples both ways …");
    let comparison = Comparison::make(&file, &exported, &model, &settings)?;
    atomic_file::write(&file, &exported.to_bytes()).map_err(Error::Write)?;

    if arguments.json {
        let Comparison { scratch_bytes, mean_difference, largest_difference, .. } = comparison;
        let report = serde_json::json!({
            "run": arguments.run, "file": file, "sampling": settings, "report": exported.report, "scratch_bytes": scratch_bytes,
            "compared": {"samples": COMPARED, "mean_difference": mean_difference, "largest_difference": largest_difference},
            "note": note,
        });
        tweedie_host::say!("{report}");
    } else {
        if let Some(note) = note {
            eprintln!("note: {note}");
        }
        tweedie_host::say!("{}", export_text::text(&file, &settings, &exported.report, &comparison).trim_end());
    }
    Ok(())
}

/// What is being done, for whoever waits at a terminal; a large model takes half a minute.
fn progress(doing: &str) {
    let terminal = console::Term::stderr();
    if terminal.is_term() {
        // A terminal that cannot be written to is no reason to stop.
        let _ = terminal.write_line(doing);
    }
}

/// Samples of the artifact against those of the float model, from the same noise, in the network's range.
pub struct Comparison {
    /// Memory that sampling takes on the device, in bytes.
    pub scratch_bytes: usize,
    /// How many samples were drawn both ways.
    pub samples: usize,
    /// Mean magnitude of the difference.
    pub mean_difference: f64,
    /// Largest magnitude of the difference.
    pub largest_difference: f64,
}

impl Comparison {
    fn make(
        file: &Path,
        exported: &Export,
        float: &checkpoint::Model,
        settings: &SamplingSettings,
    ) -> Result<Self, Error> {
        let model: Model<'_> = draw::model(file, &exported.words)?;
        let classes = classes_in_turn(COMPARED, model.header().classes);
        let fixed = draw(&model, &classes, 0)?;
        // Without classes, class 0 is the table's only row.
        let classes: Vec<u32> = classes.iter().map(|class| class.map_or(0, u32::from)).collect();
        let exact = sample::sample(float, settings, &classes, 0, &Device::Cpu)?;
        let differences =
            fixed.iter().zip(&exact).map(|(fixed, exact)| (fixed.to_num::<f64>() - f64::from(*exact)).abs());
        let (sum, largest) = differences.fold((0.0, 0.0_f64), |(sum, largest), d| (sum + d, largest.max(d)));
        Ok(Self {
            scratch_bytes: 4 * model.scratch_words(),
            samples: COMPARED,
            mean_difference: sum / exact.len().max(1) as f64,
            largest_difference: largest,
        })
    }
}

impl Arguments {
    fn settings(&self, preset: &SamplingSettings) -> SamplingSettings {
        SamplingSettings {
            solver: self.solver.unwrap_or(preset.solver),
            steps: self.steps.unwrap_or(preset.steps),
            clip: self.clip.unwrap_or(preset.clip),
            eta: self.eta.unwrap_or(preset.eta),
            spacing: self.spacing.unwrap_or(preset.spacing),
            guidance: self.guidance.unwrap_or(preset.guidance),
            ..preset.clone()
        }
    }

    /// The data to calibrate on; those of the training may have gone since, and a note then says so.
    fn data(&self, model: &checkpoint::Model) -> Result<(Option<Dataset>, Option<String>), Error> {
        let own = model.preset.data.of_classes();
        if let Some(source) = &self.data {
            let settings = DataSettings { source: source.clone(), ..own };
            let data = settings.load().map_err(tweedie_host::Error::from)?;
            return Ok((Some(data), None));
        }
        let fits = |data: &Dataset| {
            data.shape == model.description.shape && data.classes == model.description.classes && !data.is_empty()
        };
        let alone = "calibrated along the sampler's trajectories alone, since";
        if !self.asked.is_empty() {
            return Ok((None, Some(format!("{alone} the classes are those asked for, not the data's"))));
        }
        let reason = match own.load() {
            Ok(data) if fits(&data) => return Ok((Some(data), None)),
            Ok(data) if data.classes == 0 && model.description.classes > 0 => "they have no classes".to_owned(),
            Ok(_) => format!("{} has changed since the training", model.preset.data.source),
            Err(error) => error.to_string(),
        };
        Ok((None, Some(format!("{alone} the training's data do not serve: {reason}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie_host::export::ExportError;

    #[test]
    fn refusals_reach_the_person_as_they_are() {
        let refusal: Error = ExportError::Guidance(2.0).into();
        assert!(refusal.to_string().starts_with("guidance 2 would"));
    }
}
