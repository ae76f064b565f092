//! What `train` and `distill` share: a training with its progress, and what it leaves.

use super::preview;
use super::trainer::Trainer;
use crate::chamfer::Straying;
use crate::condition::Asked;
use crate::data::mesh;
use crate::error::Error;
use crate::picture::{Depiction, loss_plot};
use crate::preset::Preset;
use crate::run_folder::{Metrics, RunFolder};
use crate::sample::{classes_in_turn, sample};
use candle_core::Device;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

/// Trains to the end, draws the loss and samples into the run folder, and shows them.
pub fn conclude(
    trainer: &mut Trainer<'_>,
    folder: &RunFolder,
    preset: &Preset,
    device: &Device,
    json: bool,
) -> Result<(), Error> {
    let parameters = trainer.parameter_count();
    let progress = Progress::new(preset.training.steps, trainer.updates());
    trainer.run(folder, |metrics| progress.show(metrics))?;
    progress.finish();

    let metrics = folder.read_metrics(preset.training.steps)?;
    let seconds = metrics.last().map_or(0.0, |m| m.seconds);
    draw_loss(folder, preset, &metrics)?;
    let model = Asked::default().load(folder.path(), device)?;
    let depiction = Depiction::of(&model.description.shape);
    let classes = classes_in_turn(depiction.good_count(model.description.classes), model.description.classes);
    let drawing = Instant::now();
    let samples = sample(&model, &preset.sampling, &classes, 0, device)?;
    let drawing = drawing.elapsed().as_secs_f64();
    let shape: Vec<usize> = [classes.len()].into_iter().chain(model.description.shape.iter().copied()).collect();
    depiction.write(&folder.path().join("samples.png"), &samples, &shape, model.description.classes.max(10))?;
    let straying = straying(preset, depiction, &samples)?;
    if json {
        let summary = serde_json::json!({
            "run": folder.path(), "steps": preset.training.steps, "parameters": parameters,
            "seconds": seconds, "loss": metrics.last().map(|m| m.loss),
            "chamfer": straying.map(|straying| serde_json::json!({"samples": straying.samples, "fresh": straying.fresh})),
        });
        crate::say!("{summary}");
    } else {
        let labelled = model.description.classes > 0;
        let shown = classes.iter().map(|class| labelled.then_some(class));
        let labels = preview::labels(shown, 2 * model.description.classes.max(5));
        preview::print(&model.description.shape, &samples, &labels);
        crate::say!(
            "\ntrained in {seconds:.1} s ({:.2} ms a step), drew {} samples in {drawing:.2} s; see {}",
            1e3 * seconds / preset.training.steps as f64,
            classes.len(),
            folder.path().join("samples.png").display(),
        );
        if let Some(straying) = straying {
            crate::say!(
                "one-sided Chamfer distance {:.4}, {:.2} times that of fresh points inside the solid",
                straying.samples,
                straying.ratio()
            );
        }
        preview::legend(&model.description.class_names);
        let class = match model.description.class_names.get(3) {
            Some(prompt) if folder.text().is_file() => format!(" --prompt {prompt:?}"),
            _ if model.description.classes > 3 => " --class 3 --count 16".to_owned(),
            _ => String::new(),
        };
        crate::say!("next: cargo xtask sample {}{class}", folder.path().display());
    }
    Ok(())
}

/// How far the samples stray from the solid that they were learnt from, if it was one.
fn straying(preset: &Preset, depiction: Depiction, samples: &[f32]) -> Result<Option<Straying>, Error> {
    let source = &preset.data.source;
    if depiction != Depiction::Cloud {
        return Ok(None);
    }
    let solid = mesh::load(source)?;
    Ok(solid.map(|solid| Straying::of(samples, &solid, Path::new(source))).transpose()?)
}

fn draw_loss(folder: &RunFolder, preset: &Preset, metrics: &[Metrics]) -> Result<(), Error> {
    let points: Vec<(u64, f64)> = metrics.iter().map(|m| (m.step, m.loss)).collect();
    let smooth = loss_plot::smoothed(&points, 2.0);
    let name = folder.path().file_name().map(|name| name.display().to_string()).unwrap_or_default();
    let title = format!("{name}: {} steps of {}", preset.training.steps, preset.training.batch);
    Ok(loss_plot::write(&folder.path().join("loss.png"), &points, &smooth, &title)?)
}
/// A bar on a terminal, plain lines elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    steps: u64,
    first: u64,
    begun: Instant,
    /// The last tenth that a plain line was printed for.
    shown: Cell<u64>,
}

impl Progress {
    fn new(steps: u64, first: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps).with_position(first);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps  loss {msg}  {per_sec}  {eta} left");
            if let Ok(style) = style {
                bar.set_style(style.with_key(
                    "per_sec",
                    |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                        let _ = write!(out, "{:.0} steps/s", state.per_sec());
                    },
                ));
            }
            bar.reset_eta();
            bar
        });
        Self { bar, steps, first, begun: Instant::now(), shown: Cell::new(0) }
    }

    fn show(&self, metrics: &Metrics) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{:.4}", metrics.loss));
            bar.set_position(metrics.step);
            return;
        }
        // About ten lines for the whole training.
        let tenth = (self.steps / 10).max(1);
        let is_new_tenth = metrics.step / tenth > self.shown.replace(metrics.step / tenth);
        if is_new_tenth || metrics.step == self.steps {
            let elapsed = self.begun.elapsed().as_secs_f64();
            let per_second = (metrics.step - self.first) as f64 / elapsed.max(1e-9);
            let left = (self.steps - metrics.step) as f64 / per_second.max(1e-9);
            eprintln!(
                "step {}/{}  loss {:.4}  {per_second:.0} steps/s  {left:.0} s left",
                metrics.step, self.steps, metrics.loss
            );
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
